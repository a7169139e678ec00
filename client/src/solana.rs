//! The Solana side: a thin JSON-RPC client, and the bridge program as its users call it.
//!
//! | module | holds |
//! |---|---|
//! | [`rpc`] | [`SolanaRpc`]: the dozen methods that we need, each with its commitment written out |
//! | [`program`] | [`BridgeProgram`]: addresses, accounts and instructions of the bridge program; token accounts |
//! | [`error`] | [`SolanaError`] |

pub mod error;
pub mod program;
pub mod rpc;

pub use error::SolanaError;
pub use program::{
    BridgeProgram, ClaimProof, address, bridge_address, bridge_asset, program_instruction,
    token_address,
};
pub use rpc::{AtSlot, Blockhash, Commitment, Landed, SignatureStatus, SolanaAccount, SolanaRpc};

use io_types::id::AccountId;
use solana_pubkey::Pubkey;

/// An account's key as Solana's libraries take it.
pub fn pubkey(account: &AccountId) -> Pubkey {
    Pubkey::new_from_array(account.0)
}

/// A Solana address as an account.
pub fn account_id(address: &Pubkey) -> AccountId {
    AccountId(address.to_bytes())
}
