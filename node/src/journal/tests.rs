//! Blocks that come back, come again, and are cut.

#![expect(clippy::arithmetic_side_effects, reason = "small sums of a test")]

use std::fs;

use io_types::{BlockTime, ChainTime, Event, Hash, Height};

use super::{BlockRecord, Journal, JournalError, TransactionRecord, first_id, height_of};

fn record(height: u64) -> BlockRecord {
    let paid = |amount| Event::FeePaid {
        payer: io_types::AccountId([7; 32]),
        amount: io_types::Amount::new(amount),
    };
    let hash = io_types::codec::sha256(&height.to_be_bytes());
    BlockRecord {
        height: Height(height),
        time: BlockTime(height * 1000),
        chain_time: ChainTime(height * 60_000),
        transactions: vec![TransactionRecord {
            hash,
            code: 0,
            log: String::new(),
            events: vec![paid(1), paid(2)],
        }],
        events: vec![paid(3)],
    }
}

fn open(folder: &std::path::Path, committed: u64) -> Result<Journal, JournalError> {
    Journal::open(folder, Height(committed), 2_000)
}

#[test]
fn blocks_and_transactions_are_found_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), 0).unwrap();
    for height in 1..=1_050 {
        journal.append(&record(height)).unwrap();
    }
    for journal in [&journal, &open(folder.path(), 1_050).unwrap()] {
        assert_eq!(journal.range(), Some((Height(1), Height(1_050))));
        for height in [1, 999, 1_000, 1_050] {
            assert_eq!(journal.block(Height(height)).unwrap(), Some(record(height)));
        }
        let hash = record(1_000).transactions[0].hash;
        let (height, found) = journal.transaction(hash).unwrap().unwrap();
        assert_eq!((height, found.hash), (Height(1_000), hash));
        assert!(journal.transaction(Hash([9; 32])).unwrap().is_none());
        assert!(journal.block(Height(1_051)).unwrap().is_none());
    }
}

#[test]
fn a_block_that_was_not_committed_is_cut_and_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), 0).unwrap();
    for height in 995..=1_002 {
        journal.append(&record(height)).unwrap();
    }
    let mut journal =
        open(folder.path(), 998).unwrap_or_else(|error| panic!("{error} {journal:?}"));
    assert_eq!(journal.range(), Some((Height(995), Height(998))));
    let mut other = record(999);
    other.events.clear();
    journal.append(&other).unwrap();
    journal.append(&record(1_000)).unwrap();
    // The same height again, as when a block is finalized twice.
    journal.append(&record(1_000)).unwrap();
    let journal = open(folder.path(), 1_000).unwrap();
    assert_eq!(journal.block(Height(999)).unwrap(), Some(other));
    assert_eq!(journal.range(), Some((Height(995), Height(1_000))));
}

#[test]
fn an_end_cut_by_a_crash_is_dropped_at_any_byte_and_damage_before_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), 0).unwrap();
    let file = folder.path().join("0000000000.blocks");
    let mut ends = vec![0];
    for height in 1..=3 {
        journal.append(&record(height)).unwrap();
        ends.push(fs::metadata(&file).unwrap().len());
    }
    let whole = fs::read(&file).unwrap();
    for length in ends[2]..ends[3] {
        fs::write(&file, &whole[..usize::try_from(length).unwrap()]).unwrap();
        let journal = open(folder.path(), 9).unwrap();
        assert_eq!(journal.range(), Some((Height(1), Height(2))), "{length}");
        assert_eq!(fs::metadata(&file).unwrap().len(), ends[2]);
    }
    let mut damaged = whole.clone();
    damaged[usize::try_from(ends[1]).unwrap() + 9] ^= 1;
    fs::write(&file, &damaged).unwrap();
    assert!(
        matches!(open(folder.path(), 9), Err(JournalError::Damaged { at, .. }) if at == ends[1])
    );
}

#[test]
fn old_files_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path(), 0).unwrap();
    for height in (1..=5_000).step_by(100) {
        journal.append(&record(height)).unwrap();
    }
    let (first, last) = journal.range().unwrap();
    assert_eq!((first, last), (Height(2_001), Height(4_901)));
    assert!(!folder.path().join("0000000001.blocks").exists());
    assert!(
        journal
            .transaction(record(1_901).transactions[0].hash)
            .unwrap()
            .is_none()
    );
    assert!(
        journal
            .transaction(record(2_001).transactions[0].hash)
            .unwrap()
            .is_some()
    );
}

#[test]
fn ids_of_events_rise_and_name_their_block() {
    let record = record(7);
    let ids: Vec<(u64, bool)> = record
        .numbered()
        .map(|(id, hash, _)| (id, hash.is_some()))
        .collect();
    let first = first_id(Height(7));
    assert_eq!(ids, [(first, true), (first + 1, true), (first + 2, false)]);
    assert_eq!(height_of(first + 2), Height(7));
    assert!(first_id(Height(8)) > first + 2);
}
