//! The settlement key, and the log that keeps it from signing twice.
//!
//! The log lies outside of the chain's data folder: whatever is rolled back, restored or copied, a batch number that has a hash keeps it.
//! A line is on disk before its signature leaves this module.

mod log;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ed25519_dalek::{Signer as _, SigningKey};
use io_settlement::Bytes32;
use io_settlement::batch::{Kind, SettleBody, message};
use io_types::id::{AccountId, BatchNumber, Hash, Signature};

pub use log::LogError;
use log::{Entry, SignLog};

use crate::failpoint;
use crate::reader::Bound;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The key file is not one.
    #[error("settlement key: {0}")]
    Key(String),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// These bytes are no batch.
    #[error("the batch to sign is no settlement body: {0}")]
    Body(io_settlement::Error),
    /// The batch is not of this network.
    #[error("batch {number} names another {field} than this network; it is not signed")]
    OtherNetwork {
        /// The batch.
        number: u64,
        /// Which fact.
        field: &'static str,
    },
    /// The number has another hash already.
    #[error(
        "batch {number} was signed before with hash {signed}; another one with hash {asked} is not signed, whatever the chain says: \
             compare this node's state with the others'"
    )]
    Conflict {
        /// The batch.
        number: u64,
        /// What was signed.
        signed: Hash,
        /// What was asked for.
        asked: Hash,
    },
}

/// Signs batches with a settlement key. Shared by reference; one process per log.
#[derive(Debug)]
pub struct SettlementSigner {
    key: SigningKey,
    bound: Bound,
    log: Mutex<SignLog>,
}

impl SettlementSigner {
    /// Reads the key (a Solana keypair file) and opens or makes the log for this network.
    ///
    /// # Errors
    /// [`SignerError::Key`]; [`SignerError::Log`]: the log is in use, of another key or network, corrupt, or the disk refuses.
    pub fn open(key_file: &Path, log_file: &Path, bound: Bound) -> Result<Self, SignerError> {
        let wallet = io_client::Wallet::load(key_file)
            .map_err(|error| SignerError::Key(error.to_string()))?;
        Self::with_key(wallet.key().clone(), log_file, bound)
    }

    /// The same with a key that is in memory.
    ///
    /// # Errors
    /// As [`SettlementSigner::open`].
    pub fn with_key(key: SigningKey, log_file: &Path, bound: Bound) -> Result<Self, SignerError> {
        let account = AccountId(key.verifying_key().to_bytes());
        let log = SignLog::open(log_file, &account, &binding(&bound))?;
        Ok(Self {
            key,
            bound,
            log: Mutex::new(log),
        })
    }

    /// The key's public half.
    pub fn account(&self) -> AccountId {
        AccountId(self.key.verifying_key().to_bytes())
    }

    /// Signs a batch, given as io-settlement's encoding of its body. The same batch may be signed any number of times.
    ///
    /// # Errors
    /// [`SignerError`]; then nothing was signed.
    pub fn sign(&self, body: &[u8]) -> Result<(BatchNumber, Signature), SignerError> {
        let body = SettleBody::from_bytes(body).map_err(SignerError::Body)?;
        let number = body.number;
        let facts = [
            ("cluster", body.cluster_genesis == self.bound.cluster),
            ("program", body.program_id == self.bound.program),
            ("chain id", body.chain_id == self.bound.chain_id),
        ];
        if let Some((field, _same)) = facts.iter().find(|(_field, same)| !same) {
            return Err(SignerError::OtherNetwork { number, field });
        }
        let asked = Hash(body.hash());
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        match log.hash_of(Kind::Settle, number) {
            Some(signed) if signed == asked => {}
            Some(signed) => {
                return Err(SignerError::Conflict {
                    number,
                    signed,
                    asked,
                });
            }
            None => {
                failpoint::hit("signer:before_log");
                log.append(&Entry {
                    kind: Kind::Settle,
                    set_epoch: body.set_epoch,
                    number,
                    hash: asked,
                })?;
                failpoint::hit("signer:after_log");
            }
        }
        let signature = self.key.sign(&message(Kind::Settle, &asked.0));
        Ok((BatchNumber(number), Signature(signature.to_bytes())))
    }
}

/// What ties a log to one network.
fn binding(bound: &Bound) -> Bytes32 {
    io_settlement::sha256(&[
        b"io-bridge/v1/signer-log\0",
        &bound.cluster,
        &bound.program,
        &bound.chain_id,
    ])
}

/// Writes a small file whole: beside its place first, then renamed, both synced.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(&folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = folder.join(name);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    File::open(&folder)?.sync_all()
}

/// The folder of a file, the current one if the path names none.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests;
