//! What a reader is told.

use std::path::PathBuf;

use io_settlement::{Bytes32, PerAsset, batch};
use io_types::genesis::GenesisBridge;
use io_types::id::Hash;
use serde::{Deserialize, Serialize};

use super::AGREEING_MIN;

/// The operator's part of the configuration: table `[solana]` of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderConfig {
    /// URLs of two or more JSON-RPC endpoints of the cluster, of different operators.
    pub endpoints: Vec<String>,
    /// Time between two polls of an endpoint, ms.
    #[serde(default = "poll_ms")]
    pub poll_ms: u64,
    /// An answer that takes longer is none, ms.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// What an endpoint said counts that long, ms.
    #[serde(default = "age_max_ms")]
    pub age_max_ms: u64,
    /// An endpoint that many slots behind the best one does not count.
    #[serde(default = "behind_slots_max")]
    pub behind_slots_max: u64,
    /// Header hashes of the program that governance approved. Empty: the first one that the endpoints agree on, kept in `pin`.
    #[serde(default)]
    pub approved: Vec<Hash>,
    /// File that keeps the first header hash, outside of the chain's data. Absent: it is forgotten with the process.
    #[serde(default)]
    pub pin: Option<PathBuf>,
}

const fn poll_ms() -> u64 {
    1000
}

const fn timeout_ms() -> u64 {
    3000
}

const fn age_max_ms() -> u64 {
    30_000
}

const fn behind_slots_max() -> u64 {
    150
}

impl ReaderConfig {
    /// These endpoints, everything else as usual.
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            poll_ms: poll_ms(),
            timeout_ms: timeout_ms(),
            age_max_ms: age_max_ms(),
            behind_slots_max: behind_slots_max(),
            approved: Vec::new(),
            pin: None,
        }
    }
}

/// What the chain says its bridge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Genesis hash of the cluster.
    pub cluster: Bytes32,
    /// The program.
    pub program: Bytes32,
    /// [`batch::chain_id_hash`] of the chain.
    pub chain_id: Bytes32,
    /// Mint per asset.
    pub mints: PerAsset<Bytes32>,
}

impl Bound {
    /// Of a chain and its bridge.
    pub fn new(chain_id: &str, bridge: &GenesisBridge) -> Self {
        Self {
            cluster: bridge.cluster.0,
            program: bridge.program.0,
            chain_id: batch::chain_id_hash(chain_id),
            mints: [bridge.io_mint.0, bridge.usdc_mint.0],
        }
    }
}

/// Why a reader cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// One endpoint alone could lie.
    #[error(
        "solana.endpoints names {given} endpoint(s); name at least {AGREEING_MIN}, of different operators"
    )]
    FewEndpoints {
        /// How many there are.
        given: usize,
    },
    /// Not a URL.
    #[error("solana.endpoints: {url}: {why}; use http or https")]
    Url {
        /// The URL without its path.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The file with the program's header hash is broken.
    #[error(
        "{path}: {why}; if the program's present version is approved, put its header hash in solana.approved and remove the file"
    )]
    Pin {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The header hash that was kept, if one was.
pub(super) fn read_pin(config: &ReaderConfig) -> Result<Option<Bytes32>, ReaderError> {
    let Some(path) = &config.pin else {
        return Ok(None);
    };
    let fault = |why: String| ReaderError::Pin {
        path: path.clone(),
        why,
    };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let hash: Hash = text
                .trim()
                .parse()
                .map_err(|error| fault(format!("{error}")))?;
            Ok(Some(hash.0))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(error.to_string())),
    }
}

/// Keeps a header hash. A disk that refuses is no reason to report nothing.
pub(super) fn write_pin(config: &ReaderConfig, header: &Bytes32) {
    let Some(path) = &config.pin else {
        return;
    };
    let text = format!("{}\n", Hash(*header));
    if let Err(error) = crate::signer::write_synced(path, text.as_bytes()) {
        tracing::error!(path = %path.display(), %error, "the program's header hash is not kept; an upgrade during a restart would not be seen");
    }
}
