//! Why a bridge cannot be made.

use io_client::solana::SolanaError;
use solana_pubkey::Pubkey;

/// Why the bridge cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Solana did not answer, or refused.
    #[error(transparent)]
    Solana(#[from] SolanaError),
    /// The genesis is not one for this.
    #[error("genesis: {0}")]
    Genesis(io_settlement::Error),
    /// Another cluster.
    #[error(
        "the endpoint serves the cluster {found}, the genesis names {wanted}; use an endpoint of that cluster"
    )]
    Cluster {
        /// Its genesis hash, hexadecimal.
        found: String,
        /// The one of genesis, hexadecimal.
        wanted: String,
    },
    /// The program is not there.
    #[error(
        "there is no program {0}; deploy it with its upgrade authority set to the key that you give here"
    )]
    NoProgram(Pubkey),
    /// There is a bridge already, of something else.
    #[error(
        "program {program} has a bridge already, whose {field} is not that of this genesis; use another program"
    )]
    OtherBridge {
        /// The program.
        program: Pubkey,
        /// Which fact differs.
        field: &'static str,
    },
    /// The IO mint belongs to somebody else.
    #[error(
        "the IO mint {mint} is minted by {found}; let that key hand it over to the bridge {bridge}"
    )]
    MintAuthority {
        /// The mint.
        mint: Pubkey,
        /// Who may mint.
        found: String,
        /// Who must.
        bridge: Pubkey,
    },
    /// An account is not a mint, or not a token account of the mint.
    #[error("{what} {key} is not what it must be: {why}")]
    Token {
        /// Mint or vault.
        what: &'static str,
        /// Its address.
        key: Pubkey,
        /// What is wrong.
        why: &'static str,
    },
    /// The vaults lack tokens.
    #[error(
        "the vault {vault} lacks {missing} base units of {asset} that the genesis puts on the chain; send them, or let --fund send \
             them from the authority's own token account"
    )]
    VaultShort {
        /// Which vault.
        vault: Pubkey,
        /// Which asset.
        asset: io_types::Asset,
        /// How much.
        missing: u64,
    },
}
