//! What a ledger process is told: where its state lies and on which ports it listens.

use std::path::PathBuf;

/// Slots between a write and the moment when `finalized` reads show it, as on the main cluster.
pub const FINALITY_SLOTS: u64 = 31;

/// Configuration of one ledger process. All ports are on the loopback address.
#[derive(Debug, Clone, clap::Args)]
pub struct LedgerConfig {
    /// Folder that holds the ledger's state; made if absent.
    #[arg(long, value_name = "DIR")]
    pub home: PathBuf,
    /// What the ledger holds at its first start (TOML); not read again once the state exists.
    #[arg(long, value_name = "FILE")]
    pub genesis: PathBuf,
    /// Port of the JSON-RPC.
    #[arg(long, value_name = "PORT", default_value_t = 8899)]
    pub rpc_port: u16,
    /// Port of the websocket.
    #[arg(long, value_name = "PORT", default_value_t = 8900)]
    pub ws_port: u16,
    /// Port of the machine behind the JSON-RPC. It knows no finality: nothing but this process should speak to it.
    #[arg(long, value_name = "PORT", default_value_t = 8901)]
    pub inner_port: u16,
    /// Length of a slot in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 200)]
    pub slot_ms: u64,
    /// Slots until a write is final.
    #[arg(long, value_name = "SLOTS", default_value_t = FINALITY_SLOTS)]
    pub finality_slots: u64,
}
