//! Actions on balances and on settlements.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::asset::Asset;
use crate::id::{AccountId, BatchNumber, Signature};

/// Moves money between accounts of this chain. Credits cannot be moved.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Transfer {
    /// Who receives.
    pub to: AccountId,
    /// Which asset; never credit.
    pub asset: Asset,
    /// How much, more than zero.
    pub amount: Amount,
    /// The signer's own number for this transfer; the same number again is refused, so a repeat is harmless.
    pub client_id: u64,
}

/// Moves money from the signer's balance to his pending payout on Solana.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Withdraw {
    /// Which asset; it must exist on Solana.
    pub asset: Asset,
    /// How much, more than zero.
    pub amount: Amount,
    /// The signer's own number for this withdrawal; the same number again is refused.
    pub client_id: u64,
}

/// Takes a deposit out of suspense. The signer must be the deposit's depositor.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ClaimSuspense {
    /// Number of the deposit record.
    pub deposit: u64,
    /// Who is credited.
    pub to: AccountId,
}

/// A validator's settlement signature by plain transaction: the way for those whose vote extension was lost.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SignSettlement {
    /// Which batch.
    pub number: BatchNumber,
    /// The settlement key that signed.
    pub member: AccountId,
    /// Over the batch's message.
    pub signature: Signature,
}
