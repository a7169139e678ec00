//! What came of each block, for people: results of transactions and events, in files beside the database.
//!
//! The chain does not need it. A block is written here, durably, before its commit, so that nothing a client was told can
//! be missing after a crash; what is above the committed height at start is cut off and comes again by replay.
//!
//! A file holds `SEGMENT_BLOCKS` heights: records `length u32 LE ‖ checksum 4 bytes ‖ borsh`, checksum = first bytes of SHA-256.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use io_types::{BlockTime, ChainTime, Event, Hash, Height};

/// Heights in one file.
const SEGMENT_BLOCKS: u64 = 1_000;

/// The largest record that is read back, bytes.
const RECORD_BYTES_MAX: u32 = 256 * 1024 * 1024;

/// Bits of an event's id that count within its block.
const PLACE_BITS: u32 = 20;

/// What became of one transaction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransactionRecord {
    /// SHA-256 of its bytes.
    pub hash: Hash,
    /// 0, or the code of the rejection.
    pub code: u32,
    /// Text of the rejection.
    pub log: String,
    /// What happened.
    pub events: Vec<Event>,
}

/// What came of one block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockRecord {
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: BlockTime,
    /// Its chain time.
    pub chain_time: ChainTime,
    /// Of each transaction, in order.
    pub transactions: Vec<TransactionRecord>,
    /// What the block did by itself.
    pub events: Vec<Event>,
}

impl BlockRecord {
    /// Every event with its id and the transaction that caused it, ids ascending.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, Option<Hash>, &Event)> {
        let first = first_id(self.height);
        let caused = self
            .transactions
            .iter()
            .flat_map(|tx| tx.events.iter().map(|event| (Some(tx.hash), event)));
        let all = caused.chain(self.events.iter().map(|event| (None, event)));
        (first..)
            .zip(all)
            .map(|(id, (hash, event))| (id, hash, event))
    }
}

/// The id of a block's first event.
pub fn first_id(height: Height) -> u64 {
    height.0.checked_shl(PLACE_BITS).unwrap_or(u64::MAX)
}

/// The block of an event's id.
pub fn height_of(id: u64) -> Height {
    Height(id >> PLACE_BITS)
}

/// Why the journal can not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refuses.
    #[error(
        "journal {path}: {source}; check the disk, or remove the folder (only history is lost)"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record that was written whole is not what it was.
    #[error("journal {path} is damaged at byte {at}; remove the folder (only history is lost)")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    bytes: u32,
}

/// The journal of one node.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    keep_blocks: u64,
    places: BTreeMap<Height, Place>,
    heights: BTreeMap<Hash, Height>,
    open: Option<(u64, File)>,
}

impl Journal {
    /// Opens it as of the committed height: what lies above comes again by replay.
    pub fn open(folder: &Path, committed: Height, keep_blocks: u64) -> Result<Self, JournalError> {
        fs::create_dir_all(folder).map_err(|source| JournalError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let mut journal = Self {
            folder: folder.to_owned(),
            keep_blocks: keep_blocks.max(SEGMENT_BLOCKS),
            places: BTreeMap::new(),
            heights: BTreeMap::new(),
            open: None,
        };
        for segment in journal.segments()? {
            journal.load(segment)?;
        }
        journal.cut_above(committed)?;
        Ok(journal)
    }

    /// The heights that it holds, lowest and highest.
    pub fn range(&self) -> Option<(Height, Height)> {
        Some((
            *self.places.first_key_value()?.0,
            *self.places.last_key_value()?.0,
        ))
    }

    /// Writes a block durably. A height that is there already, or lies above, is replaced.
    pub fn append(&mut self, record: &BlockRecord) -> Result<(), JournalError> {
        let before = Height(record.height.0.saturating_sub(1));
        if self
            .places
            .last_key_value()
            .is_some_and(|(last, _)| *last > before)
        {
            self.cut_above(before)?;
        }
        let segment = segment_of(record.height);
        let path = self.path(segment);
        let bytes = borsh::to_vec(record).unwrap_or_default();
        let failed = |source| JournalError::Io {
            path: path.clone(),
            source,
        };
        let length = u32::try_from(bytes.len())
            .map_err(|_error| failed(io::Error::other("a record of over 4 GiB")))?;
        let mut framed = length.to_le_bytes().to_vec();
        framed.extend(checksum(&bytes));
        framed.extend(&bytes);
        let file = self.file(segment)?;
        let write = |file: &mut File| -> io::Result<u64> {
            let at = file.seek(SeekFrom::End(0))?;
            file.write_all(&framed)?;
            file.sync_data()?;
            Ok(at)
        };
        let at = write(file).map_err(failed)?;
        self.note(record, Place { at, bytes: length });
        self.forget_old()
    }

    /// One block, if it is held.
    pub fn block(&self, height: Height) -> Result<Option<BlockRecord>, JournalError> {
        let Some(place) = self.places.get(&height) else {
            return Ok(None);
        };
        let path = self.path(segment_of(height));
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(place.at.saturating_add(8)))?;
            let mut bytes = vec![0; usize::try_from(place.bytes).unwrap_or(usize::MAX)];
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| JournalError::Io {
            path: path.clone(),
            source,
        })?;
        let record = BlockRecord::try_from_slice(&bytes);
        record
            .map(Some)
            .map_err(|_error| JournalError::Damaged { path, at: place.at })
    }

    /// What became of a transaction, and where.
    pub fn transaction(
        &self,
        hash: Hash,
    ) -> Result<Option<(Height, TransactionRecord)>, JournalError> {
        let Some(height) = self.heights.get(&hash) else {
            return Ok(None);
        };
        let block = self.block(*height)?;
        let found =
            block.and_then(|block| block.transactions.into_iter().find(|tx| tx.hash == hash));
        Ok(found.map(|tx| (*height, tx)))
    }

    /// Drops every block above this height.
    pub fn cut_above(&mut self, height: Height) -> Result<(), JournalError> {
        let next = Height(height.0.saturating_add(1));
        let cut = self.places.split_off(&next);
        self.heights.retain(|_, held| *held <= height);
        let mut segments: Vec<u64> = cut.keys().map(|height| segment_of(*height)).collect();
        segments.dedup();
        for segment in segments {
            let first = cut
                .iter()
                .find(|(height, _)| segment_of(**height) == segment);
            let length = first.map_or(0, |(_, place)| place.at);
            let path = self.path(segment);
            let file = self.file(segment)?;
            file.set_len(length)
                .and_then(|()| file.sync_all())
                .map_err(|source| JournalError::Io { path, source })?;
        }
        Ok(())
    }

    fn note(&mut self, record: &BlockRecord, place: Place) {
        self.places.insert(record.height, place);
        for tx in &record.transactions {
            self.heights.insert(tx.hash, record.height);
        }
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(format!("{segment:010}.blocks"))
    }

    fn segments(&self) -> Result<Vec<u64>, JournalError> {
        let failed = |source| JournalError::Io {
            path: self.folder.clone(),
            source,
        };
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number: Option<u64> = name
                .to_str()
                .and_then(|name| name.strip_suffix(".blocks"))
                .and_then(|name| name.parse().ok());
            segments.extend(number);
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// Reads a file's records. An end that was cut by a crash is cut off; damage before it is an error.
    fn load(&mut self, segment: u64) -> Result<(), JournalError> {
        let path = self.path(segment);
        let bytes = fs::read(&path).map_err(|source| JournalError::Io {
            path: path.clone(),
            source,
        })?;
        let mut rest = bytes.as_slice();
        let mut at = 0_u64;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length);
            let Some((sum, after)) = after.split_first_chunk::<4>() else {
                break;
            };
            let wanted = usize::try_from(length.min(RECORD_BYTES_MAX)).unwrap_or(usize::MAX);
            let Some((body, after)) = after.split_at_checked(wanted) else {
                break;
            };
            let record = BlockRecord::try_from_slice(body)
                .ok()
                .filter(|_| checksum(body) == *sum);
            let Some(record) = record else {
                if after.is_empty() {
                    break;
                }
                return Err(JournalError::Damaged { path, at });
            };
            self.note(&record, Place { at, bytes: length });
            at = at.saturating_add(u64::from(length)).saturating_add(8);
            rest = after;
        }
        if !rest.is_empty() {
            let file = self.file(segment)?;
            file.set_len(at)
                .and_then(|()| file.sync_all())
                .map_err(|source| JournalError::Io { path, source })?;
        }
        Ok(())
    }

    fn file(&mut self, segment: u64) -> Result<&mut File, JournalError> {
        let path = self.path(segment);
        let kept = self.open.take().filter(|(number, _)| *number == segment);
        let file = match kept {
            Some((_, file)) => file,
            None => OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(|source| JournalError::Io { path, source })?,
        };
        Ok(&mut self.open.insert((segment, file)).1)
    }

    fn forget_old(&mut self) -> Result<(), JournalError> {
        let Some((_, last)) = self.range() else {
            return Ok(());
        };
        let oldest = segment_of(Height(last.0.saturating_sub(self.keep_blocks)));
        while let Some((first, _)) = self.range()
            && segment_of(first) < oldest
        {
            let segment = segment_of(first);
            let path = self.path(segment);
            fs::remove_file(&path).map_err(|source| JournalError::Io { path, source })?;
            let end = Height(segment.saturating_add(1).saturating_mul(SEGMENT_BLOCKS));
            self.places = self.places.split_off(&end);
            self.heights.retain(|_, height| *height >= end);
        }
        Ok(())
    }
}

fn segment_of(height: Height) -> u64 {
    height.0.checked_div(SEGMENT_BLOCKS).unwrap_or(0)
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = io_types::codec::sha256(bytes).0;
    [a, b, c, d]
}
