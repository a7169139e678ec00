//! What the settlement key has signed. It lies outside the chain's data, so that no rollback or restore makes the key sign
//! a second content for one number.
//!
//! One line each, synced before the signature leaves: `kind set-epoch number hash`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use io_types::Hash;

/// Why a signature is not given.
#[derive(Debug, thiserror::Error)]
pub enum SignLogError {
    /// The disk refuses.
    #[error("sign log {path}: {source}; without it nothing is signed")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process signs with this log.
    #[error("sign log {path} is in use by another process; two signers of one key must not run")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A line is not what this program writes.
    #[error("sign log {path}, line {line}: not a record; restore the file from a copy, never by hand")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Something else was signed under this number.
    #[error("number {number} of set epoch {set_epoch} was signed before with content {before}, now {now} is asked: refused")]
    Conflict {
        /// The program's set.
        set_epoch: u64,
        /// The number.
        number: u64,
        /// Signed.
        before: Hash,
        /// Asked.
        now: Hash,
    },
}

/// The record, held by one process.
#[derive(Debug)]
pub struct SignLog {
    path: PathBuf,
    file: File,
    signed: BTreeMap<(u8, u64, u64), Hash>,
}

impl SignLog {
    /// Opens the record in a folder, and makes both if they do not exist.
    pub fn open(folder: &Path) -> Result<Self, SignLogError> {
        let path = folder.join("signed.log");
        let failed = |source| SignLogError::Io { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SignLogError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = String::new();
        io::Read::read_to_string(&mut file, &mut text).map_err(failed)?;
        // A line without its end was never synced, so its signature never left.
        let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
        if whole < text.len() {
            let length = u64::try_from(whole).unwrap_or(u64::MAX);
            file.set_len(length).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let mut signed = BTreeMap::new();
        for (index, line) in text.get(..whole).unwrap_or_default().lines().enumerate() {
            let (key, hash) = parse(line)
                .ok_or_else(|| SignLogError::Damaged { path: path.clone(), line: index.saturating_add(1) })?;
            signed.insert(key, hash);
        }
        Ok(Self { path, file, signed })
    }

    /// Allows a signature over this content, and remembers it durably before it says so.
    pub fn permit(&mut self, kind: u8, set_epoch: u64, number: u64, content: Hash) -> Result<(), SignLogError> {
        let key = (kind, set_epoch, number);
        match self.signed.get(&key) {
            Some(before) if *before == content => return Ok(()),
            Some(before) => return Err(SignLogError::Conflict { set_epoch, number, before: *before, now: content }),
            None => {}
        }
        let line = format!("{kind} {set_epoch} {number} {content}\n");
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|source| SignLogError::Io { path: self.path.clone(), source })?;
        self.signed.insert(key, content);
        Ok(())
    }
}

fn parse(line: &str) -> Option<((u8, u64, u64), Hash)> {
    let mut parts = line.split(' ');
    let key = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let hash = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((key, hash))
}
