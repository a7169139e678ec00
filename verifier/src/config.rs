//! What an operator sets. File, `IO_VERIFIER_` variables and flags, in that order.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::Backend;

/// What the variables begin with.
pub const PREFIX: &str = "IO_VERIFIER_";

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// URL of a node's HTTP API.
    pub node: String,
    /// Key file of the verifier's account (Solana's JSON keypair), readable by its owner only.
    pub wallet: PathBuf,
    /// Folder of the records that must outlive a crash. Never delete it while challenges run: a commitment without its
    /// salt costs the task bond.
    pub data: PathBuf,
    /// Where workers connect; the public URL in the chain's list leads here, by a reverse proxy with TLS.
    pub bind: String,
    /// Most workers connected at one time.
    pub workers_max: usize,
    /// Which engine replays.
    pub backend: Backend,
    /// How often the chain is asked for news, milliseconds.
    pub poll_ms: u64,
    /// Openings must be complete that soon after the second nonce was sent, milliseconds. Long enough for slow lines, too
    /// short to compute the challenge a second time for another device.
    pub openings_within_ms: u64,
    /// How many of 100 answers are replayed in full, beside the spot check.
    pub replay_percent: u8,
    /// Whether wrong elements are reported to the chain; it needs the bond of a report on the account.
    pub report_fraud: bool,
    /// What is logged, as `info` or `io_verifier=debug`.
    pub log: String,
    /// Whether the log is JSON, one object a line.
    pub log_json: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: "http://127.0.0.1:26680".to_owned(),
            wallet: PathBuf::from("verifier.json"),
            data: PathBuf::from("verifier-data"),
            bind: "127.0.0.1:26690".to_owned(),
            workers_max: 10_000,
            backend: Backend::Auto,
            poll_ms: 200,
            openings_within_ms: 10_000,
            replay_percent: 5,
            report_fraud: true,
            log: "info".to_owned(),
            log_json: false,
        }
    }
}

impl Config {
    /// The time between two looks at the chain.
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms.max(10))
    }

    /// How long openings may take.
    pub fn openings_within(&self) -> Duration {
        Duration::from_millis(self.openings_within_ms)
    }
}
