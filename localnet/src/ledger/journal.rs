//! The accounts on disk: one append-only file of records, one record a transaction.
//!
//! A record is `length u32 ‖ first 8 bytes of sha256(body) ‖ body`, little endian. It is written by one call, so a killed process
//! leaves it whole or as a torn tail, which the next start cuts off. There is no sync to the device: the ledger promises to survive
//! `kill -9`, not a power cut.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use solana_pubkey::Pubkey;
use surfpool_core::solana_account::{Account, AccountSharedData, ReadableAccount};

const MAGIC: &[u8; 12] = b"io-ledger/1\n";
const FRAME: usize = 12;
/// Length of the pieces in which two versions of an account are compared.
const PIECE: usize = 128;

const CLOSED: u8 = 0;
const WHOLE: u8 = 1;
const PATCH: u8 = 2;

/// What one transaction leaves of an account: its new content, or nothing when it was closed.
pub type Change = (Pubkey, Option<AccountSharedData>);

/// The open journal file.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal, replays it, and rewrites it without its history.
    ///
    /// Errors: the file cannot be read or written, or is not a journal. A torn last record is cut off, not an error.
    pub fn open(path: &Path) -> io::Result<(Self, BTreeMap<Pubkey, AccountSharedData>)> {
        let rows = match File::open(path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                replay(&bytes).map_err(|what| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("{}: {what}", path.display()),
                    )
                })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        // The compact copy replaces the old file in one step, so a crash leaves one or the other.
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&fresh)?;
        file.write_all(MAGIC)?;
        for (key, account) in &rows {
            let mut body = Vec::new();
            encode(&mut body, key, None, Some(account));
            file.write_all(&frame(&body)?)?;
        }
        std::fs::rename(&fresh, path)?;
        file.seek(SeekFrom::End(0))?;
        Ok((
            Self {
                file,
                path: path.to_owned(),
            },
            rows,
        ))
    }

    /// Appends one record. `before` gives the present content of an account, so that only the difference is written.
    ///
    /// Errors: the disk refuses. What was promised to be kept is then not kept, so the caller must stop.
    pub fn append<'a>(
        &mut self,
        changes: &[Change],
        before: impl Fn(&Pubkey) -> Option<&'a AccountSharedData>,
    ) -> io::Result<()> {
        let mut body = Vec::new();
        for (key, after) in changes {
            encode(&mut body, key, before(key), after.as_ref());
        }
        self.file.write_all(&frame(&body)?).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
        })
    }
}

fn frame(body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut record = Vec::with_capacity(body.len().saturating_add(FRAME));
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&digest(body));
    record.extend_from_slice(body);
    Ok(record)
}

fn digest(body: &[u8]) -> [u8; 8] {
    let full: [u8; 32] = Sha256::digest(body).into();
    let mut short = [0; 8];
    short.copy_from_slice(full.get(..8).expect("a sha256 has 32 bytes"));
    short
}

fn encode(
    body: &mut Vec<u8>,
    key: &Pubkey,
    before: Option<&AccountSharedData>,
    after: Option<&AccountSharedData>,
) {
    body.extend_from_slice(key.as_ref());
    let Some(after) = after else {
        body.push(CLOSED);
        return;
    };
    let patched = before.filter(|old| old.data().len() == after.data().len());
    body.push(if patched.is_some() { PATCH } else { WHOLE });
    body.extend_from_slice(&after.lamports().to_le_bytes());
    body.extend_from_slice(after.owner().as_ref());
    body.push(u8::from(after.executable()));
    body.extend_from_slice(&after.rent_epoch().to_le_bytes());
    match patched {
        None => put_bytes(body, after.data()),
        Some(old) => {
            let pieces: Vec<(usize, &[u8])> = old
                .data()
                .chunks(PIECE)
                .zip(after.data().chunks(PIECE))
                .enumerate()
                .filter(|(_, (old, new))| old != new)
                .map(|(index, (_, new))| (index.saturating_mul(PIECE), new))
                .collect();
            put_length(body, pieces.len());
            for (offset, piece) in pieces {
                put_length(body, offset);
                put_bytes(body, piece);
            }
        }
    }
}

fn put_length(body: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("an account holds at most 10 MiB");
    body.extend_from_slice(&length.to_le_bytes());
}

fn put_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    put_length(body, bytes.len());
    body.extend_from_slice(bytes);
}

fn replay(bytes: &[u8]) -> Result<BTreeMap<Pubkey, AccountSharedData>, String> {
    let mut rows = BTreeMap::new();
    let mut rest = match bytes.strip_prefix(MAGIC.as_slice()) {
        Some(rest) => rest,
        None if MAGIC.starts_with(bytes) => return Ok(rows),
        None => return Err("not a ledger journal of version 1".to_owned()),
    };
    loop {
        let mut input = Input(rest);
        let body = input
            .u32()
            .and_then(|length| Some((usize::try_from(length).ok()?, input.take(8)?)))
            .and_then(|(length, sum)| Some((sum, input.take(length)?)))
            .filter(|(sum, body)| *sum == digest(body).as_slice())
            .map(|(_, body)| body);
        // A record that is not whole ends the journal: nothing was ever written after it.
        let Some(body) = body else { return Ok(rows) };
        let mut fields = Input(body);
        while !fields.0.is_empty() {
            apply(&mut rows, &mut fields).ok_or("a record has a good checksum and a bad shape")?;
        }
        rest = input.0;
    }
}

fn apply(rows: &mut BTreeMap<Pubkey, AccountSharedData>, input: &mut Input<'_>) -> Option<()> {
    let key = input.pubkey()?;
    let kind = input.u8()?;
    if kind == CLOSED {
        rows.remove(&key);
        return Some(());
    }
    let lamports = input.u64()?;
    let owner = input.pubkey()?;
    let executable = input.u8()? == 1;
    let rent_epoch = input.u64()?;
    let data = if kind == WHOLE {
        let length = input.length()?;
        input.take(length)?.to_vec()
    } else {
        let mut data = rows.get(&key)?.data().to_vec();
        for _ in 0..input.length()? {
            let (offset, length) = (input.length()?, input.length()?);
            let piece = input.take(length)?;
            data.get_mut(offset..offset.checked_add(length)?)?
                .copy_from_slice(piece);
        }
        data
    };
    rows.insert(
        key,
        Account {
            lamports,
            data,
            owner,
            executable,
            rent_epoch,
        }
        .into(),
    );
    Some(())
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }
    fn pubkey(&mut self) -> Option<Pubkey> {
        Some(Pubkey::new_from_array(self.take(32)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(lamports: u64, data: Vec<u8>) -> AccountSharedData {
        Account {
            lamports,
            data,
            owner: Pubkey::new_from_array([7; 32]),
            executable: false,
            rent_epoch: 3,
        }
        .into()
    }

    fn journal_with_two_records(path: &Path) -> (Pubkey, Pubkey, AccountSharedData) {
        let (first, second) = (
            Pubkey::new_from_array([1; 32]),
            Pubkey::new_from_array([2; 32]),
        );
        let (mut journal, rows) = Journal::open(path).unwrap();
        assert_eq!(rows.len(), 0);
        let old = account(5, vec![0; 1000]);
        journal
            .append(
                &[
                    (first, Some(old.clone())),
                    (second, Some(account(9, vec![]))),
                ],
                |_| None,
            )
            .unwrap();
        let mut data = vec![0; 1000];
        data[999] = 1;
        let new = account(6, data);
        journal
            .append(&[(first, Some(new.clone())), (second, None)], |_| {
                Some(&old)
            })
            .unwrap();
        (first, second, new)
    }

    #[test]
    fn what_was_appended_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts");
        let (first, second, new) = journal_with_two_records(&path);
        let (_, rows) = Journal::open(&path).unwrap();
        assert_eq!(rows.get(&first), Some(&new));
        assert_eq!(rows.get(&second), None);
        assert_eq!(
            Journal::open(&path).unwrap().1,
            rows,
            "a compact journal reads as the same rows"
        );
    }

    #[test]
    fn a_record_cut_at_any_byte_is_absent_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts");
        let (first, second, _) = journal_with_two_records(&path);
        let bytes = std::fs::read(&path).unwrap();
        // The second record patches one piece of `first` and closes `second`.
        let record = FRAME + (32 + 1 + 8 + 32 + 1 + 8 + 4 + 4 + 4 + 1000 % PIECE) + (32 + 1);
        for cut in 1..=record {
            let rows = replay(&bytes[..bytes.len() - cut]).unwrap();
            assert_eq!(rows[&first].lamports(), 5, "cut {cut}");
            assert_eq!(rows[&second].lamports(), 9, "cut {cut}");
        }
        assert_eq!(replay(&bytes[..bytes.len() - record - 1]).unwrap().len(), 0);
    }

    #[test]
    fn a_damaged_record_ends_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts");
        let (first, _, _) = journal_with_two_records(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(replay(&bytes).unwrap()[&first].lamports(), 5);
    }

    #[test]
    fn a_small_change_of_a_large_account_is_a_small_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let old = account(1, vec![0; 500_000]);
        let mut data = vec![0; 500_000];
        data[250_000] = 1;
        let key = Pubkey::new_from_array([1; 32]);
        journal
            .append(&[(key, Some(account(1, data)))], |_| Some(&old))
            .unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 300);
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts");
        std::fs::write(&path, b"something else").unwrap();
        assert_eq!(
            Journal::open(&path).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
