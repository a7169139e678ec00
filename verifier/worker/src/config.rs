//! What a supplier sets. File, `IO_WORKER_` variables and flags, in that order.

use std::path::PathBuf;
use std::time::Duration;

use io_types::DeviceId;
use serde::{Deserialize, Serialize};

use crate::backend::Backend;

/// What the variables begin with.
pub const PREFIX: &str = "IO_WORKER_";

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// URL of a node's HTTP API.
    pub node: String,
    /// Key file of the device key (Solana's JSON keypair), readable by its owner only. Made by `register` if it is missing.
    pub wallet: PathBuf,
    /// Number of the device; 0: the one that `register` noted in the data folder.
    pub device: u64,
    /// Folder of the hash chain's seed and of running jobs. Without the seed the chain stops for some minutes.
    pub data: PathBuf,
    /// Which engines answer challenges.
    pub backend: Backend,
    /// Whether processors that NVML does not show may be served by the CPU. For networks of test classes only: no CPU meets
    /// the times of a real class.
    pub declared: bool,
    /// How often the chain is asked for news, milliseconds.
    pub poll_ms: u64,
    /// How long the last nonces are waited for once enough are there, milliseconds: each one counts against the time.
    pub nonce_grace_ms: u64,
    /// Elements of phase A that are computed again on the host before an answer is committed.
    pub self_check_elements: u32,
    /// Program that is run when the device is hired: the job as JSON on its standard input, connection details on its
    /// standard output. Empty: nothing is started, and the details say so.
    pub start_hook: String,
    /// Program that is run when the booking is over: the job as JSON on its standard input.
    pub stop_hook: String,
    /// Longest time of a hook, seconds.
    pub hook_seconds: u64,
    /// What is logged, as `info` or `io_worker=debug`.
    pub log: String,
    /// Whether the log is JSON, one object a line.
    pub log_json: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: "http://127.0.0.1:26680".to_owned(),
            wallet: PathBuf::from("device.json"),
            device: 0,
            data: PathBuf::from("worker-data"),
            backend: Backend::Auto,
            declared: false,
            poll_ms: 250,
            nonce_grace_ms: 300,
            self_check_elements: 8,
            start_hook: String::new(),
            stop_hook: String::new(),
            hook_seconds: 300,
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

    /// How long the last nonces are waited for.
    pub fn nonce_grace(&self) -> Duration {
        Duration::from_millis(self.nonce_grace_ms)
    }

    /// The device that is set, if one is.
    pub fn device(&self) -> Option<DeviceId> {
        (self.device != 0).then_some(DeviceId(self.device))
    }
}
