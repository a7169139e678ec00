//! The append-only log of what a settlement key signed.
//!
//! Text, one entry a line: kind, set epoch, number, hash, and a check that covers the line and all lines before it. The first line names the key
//! and the network. A last line without its end is what a power cut left of an entry whose signature never left: it is cut off. Anything else
//! that does not fit is damage, and damage is refused: a log with a hole could let a second hash through.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use io_settlement::batch::Kind;
use io_settlement::{Bytes32, sha256};
use io_types::id::{AccountId, Hash};

const TITLE: &str = "io-settlement-log-v1";

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refuses.
    #[error(
        "settlement log {path}: {what}: {why}; nothing is signed until the disk works and the node is restarted"
    )]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        why: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "settlement log {path} is in use by another process; two nodes with one settlement key would sign twice: stop the other one"
    )]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// It belongs to another key or network.
    #[error(
        "settlement log {path} is of another key or network; name another file for this one, and keep that one"
    )]
    Other {
        /// Which file.
        path: PathBuf,
    },
    /// It was damaged.
    #[error(
        "settlement log {path} is damaged at line {line}: {why}; restore the file from a copy: \
             never sign with this key without its whole log"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1 on.
        line: usize,
        /// What does not fit.
        why: &'static str,
    },
    /// An earlier write failed, so that the file's state is unknown.
    #[error("settlement log {path} failed to write before; restart the node once the disk works")]
    Failed {
        /// Which file.
        path: PathBuf,
    },
}

/// One batch that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) set_epoch: u64,
    pub(super) number: u64,
    pub(super) hash: Hash,
}

impl Entry {
    fn text(&self) -> String {
        let Self {
            kind,
            set_epoch,
            number,
            hash,
        } = self;
        format!("{} {set_epoch} {number} {hash}", kind.byte())
    }

    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [kind, set_epoch, number, hash] = <[&str; 4]>::try_from(parts).ok()?;
        let entry = Self {
            kind: Kind::try_from(kind.parse::<u8>().ok()?).ok()?,
            set_epoch: set_epoch.parse().ok()?,
            number: number.parse().ok()?,
            hash: hash.parse().ok()?,
        };
        // One entry has one text.
        (entry.text() == text).then_some(entry)
    }
}

/// An open log. Its file is locked as long as it lives.
#[derive(Debug)]
pub(super) struct SignLog {
    path: PathBuf,
    file: File,
    signed: BTreeMap<(u8, u64), Hash>,
    check: Bytes32,
    failed: bool,
}

impl SignLog {
    /// Opens or makes the log of a key and a network.
    pub(super) fn open(path: &Path, key: &AccountId, binding: &Bytes32) -> Result<Self, LogError> {
        let disk = |what: &'static str| {
            let path = path.to_owned();
            move |why| LogError::Disk { path, what, why }
        };
        let folder = super::folder_of(path);
        std::fs::create_dir_all(&folder).map_err(disk("making its folder"))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(disk("opening"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LogError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(why)) => return Err(disk("locking")(why)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(disk("reading"))?;
        let title = format!("{TITLE} {key} {}", hex::encode(binding));
        let Contents {
            signed,
            check,
            whole_bytes,
        } = read(path, &bytes, &title)?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            signed,
            check,
            failed: false,
        };
        if whole_bytes < bytes.len() {
            tracing::warn!(path = %path.display(), "the settlement log ends in a torn line, which is cut off");
            let length = u64::try_from(whole_bytes).unwrap_or(u64::MAX);
            log.file
                .set_len(length)
                .map_err(disk("cutting a torn line"))?;
            log.file.sync_all().map_err(disk("syncing"))?;
        }
        log.file.seek(SeekFrom::End(0)).map_err(disk("seeking"))?;
        if whole_bytes == 0 {
            log.write_line(&title)?;
            File::open(&folder)
                .and_then(|folder| folder.sync_all())
                .map_err(disk("syncing its folder"))?;
        }
        Ok(log)
    }

    /// What was signed under this number.
    pub(super) fn hash_of(&self, kind: Kind, number: u64) -> Option<Hash> {
        self.signed.get(&(kind.byte(), number)).copied()
    }

    /// Writes an entry; it is on disk when this returns.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Failed {
                path: self.path.clone(),
            });
        }
        self.write_line(&entry.text())?;
        self.signed
            .insert((entry.kind.byte(), entry.number), entry.hash);
        Ok(())
    }

    fn write_line(&mut self, text: &str) -> Result<(), LogError> {
        let check = next_check(&self.check, text);
        let line = line_of(text, &check);
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        written.map_err(|why| {
            // What is on disk now is unknown, and a later sync may not say so: only a fresh look does.
            self.failed = true;
            LogError::Disk {
                path: self.path.clone(),
                what: "writing",
                why,
            }
        })?;
        self.check = check;
        Ok(())
    }
}

struct Contents {
    signed: BTreeMap<(u8, u64), Hash>,
    check: Bytes32,
    /// Bytes up to the end of the last whole line.
    whole_bytes: usize,
}

fn next_check(before: &Bytes32, text: &str) -> Bytes32 {
    sha256(&[before, text.as_bytes()])
}

fn line_of(text: &str, check: &Bytes32) -> String {
    format!("{text} {}\n", hex::encode(check))
}

fn read(path: &Path, bytes: &[u8], title: &str) -> Result<Contents, LogError> {
    let damaged = |line: usize, why: &'static str| LogError::Damaged {
        path: path.to_owned(),
        line,
        why,
    };
    let whole_bytes = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at.saturating_add(1));
    let whole = bytes.get(..whole_bytes).unwrap_or_default();
    let text = std::str::from_utf8(whole).map_err(|error| {
        let before = whole.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        damaged(line, "it is no text")
    })?;
    let mut contents = Contents {
        signed: BTreeMap::new(),
        check: [0; 32],
        whole_bytes,
    };
    for (index, line) in text.lines().enumerate() {
        let number = index.saturating_add(1);
        let (body, check) = line
            .rsplit_once(' ')
            .ok_or_else(|| damaged(number, "it has no check"))?;
        contents.check = next_check(&contents.check, body);
        if hex::encode(contents.check) != check {
            return Err(damaged(number, "its check does not fit"));
        }
        if index == 0 {
            if body != title {
                return Err(LogError::Other {
                    path: path.to_owned(),
                });
            }
            continue;
        }
        let entry = Entry::parse(body).ok_or_else(|| damaged(number, "it is no entry"))?;
        let key = (entry.kind.byte(), entry.number);
        if contents
            .signed
            .insert(key, entry.hash)
            .is_some_and(|before| before != entry.hash)
        {
            return Err(damaged(number, "it has a second hash for one number"));
        }
    }
    Ok(contents)
}
