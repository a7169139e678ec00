//! The leaf set of each batch as a file: with it, claims on Solana work without the chain.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use io_types::BatchNumber;
use io_types::api::PayoutFile;

/// How many batches' files are kept: more than the eight that the program accepts and the eight before.
const KEPT: u64 = 64;

/// Why a leaf set can not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// The disk refuses.
    #[error("payout file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("payout file {path} is damaged: {why}; copy it from another node")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The files of one node.
#[derive(Debug)]
pub struct PayoutFiles {
    folder: PathBuf,
}

impl PayoutFiles {
    /// The files in a folder, which is made if it does not exist.
    pub fn open(folder: &Path) -> Result<Self, PayoutError> {
        fs::create_dir_all(folder).map_err(|source| PayoutError::Io {
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Where a batch's leaf set lies.
    pub fn path(&self, number: BatchNumber) -> PathBuf {
        self.folder.join(format!("{:010}.json", number.0))
    }

    /// Writes a leaf set durably. The same one again, as in a replay, is fine.
    pub fn write(&self, file: &PayoutFile) -> Result<(), PayoutError> {
        let path = self.path(file.number);
        let draft = path.with_extension("draft");
        let text = serde_json::to_vec(file).map_err(|error| PayoutError::Damaged {
            path: path.clone(),
            why: error.to_string(),
        })?;
        let write = || -> io::Result<()> {
            let mut opened = File::create(&draft)?;
            opened.write_all(&text)?;
            opened.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().map_err(|source| PayoutError::Io {
            path: path.clone(),
            source,
        })?;
        let Some(old) = file.number.0.checked_sub(KEPT) else {
            return Ok(());
        };
        match fs::remove_file(self.path(BatchNumber(old))) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(PayoutError::Io { path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The leaf set of a batch, if it is kept.
    pub fn read(&self, number: BatchNumber) -> Result<Option<PayoutFile>, PayoutError> {
        let path = self.path(number);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PayoutError::Io { path, source }),
        };
        let file = serde_json::from_slice(&text);
        file.map(Some).map_err(|error| PayoutError::Damaged {
            path,
            why: error.to_string(),
        })
    }
}
