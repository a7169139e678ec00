//! The same store on RocksDB: reopened, torn, damaged, taken twice.

use std::{
    fs,
    path::{Path, PathBuf},
};

use io_storage::{
    Fault, Store, TableSpec,
    backend::{Backend, Batch, Family, RocksBackend},
};
use tempfile::TempDir;

use crate::model::{ACCOUNTS, Block, Model, SPECS, fixed_blocks, open_on, rows_of, run};

const RESTORE: &str =
    "move the data folder away and restore from a snapshot, or replay the chain from genesis";

fn open(path: &Path) -> Result<Store, Fault> {
    Store::open(&SPECS, Box::new(RocksBackend::open(path, &SPECS)?))
}

fn models(blocks: &[Block]) -> Vec<Model> {
    let mut models = vec![Model::default()];
    for block in blocks {
        let mut model = models.last().unwrap().clone();
        model.apply(block);
        models.push(model);
    }
    models
}

/// A database with `blocks` blocks, closed.
fn written(blocks: u8) -> TempDir {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).unwrap();
    for (height, block) in (1..).zip(fixed_blocks(blocks)) {
        run(&store, &block, height).unwrap();
    }
    folder
}

/// The largest file of a kind.
fn largest(folder: &Path, extension: &str) -> PathBuf {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap()
}

fn copy(folder: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn flip_in_the_middle(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_store_reopened_after_each_block_goes_on_as_the_model() {
    let folder = TempDir::new().unwrap();
    let blocks = fixed_blocks(6);
    let models = models(&blocks);
    for (height, block) in (1..).zip(&blocks) {
        let store = open(folder.path()).unwrap();
        assert_eq!(store.height(), height - 1);
        run(&store, block, height).unwrap();
    }
    let store = open(folder.path()).unwrap();
    assert_eq!(store.app_hash(), models[6].app_hash());
    assert_eq!(rows_of(&store), models[6].tables);
    store.set_meta(b"chain-id", Some(b"io-1".to_vec())).unwrap();
    assert_eq!(store.rollback().unwrap(), 5);
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.height(), 5);
    assert_eq!(rows_of(&store), models[5].tables);
    assert_eq!(store.meta(b"chain-id"), Some(b"io-1".to_vec()));
}

#[test]
fn a_log_torn_at_any_byte_opens_at_a_whole_block() {
    let blocks = fixed_blocks(5);
    let models = models(&blocks);
    let folder = written(5);
    let log = largest(folder.path(), "log");
    let len = fs::metadata(&log).unwrap().len();
    let mut heights = Vec::new();
    let step = usize::try_from(len / 40).unwrap();
    for cut in (0..len).step_by(step).chain([len]) {
        let torn = copy(folder.path());
        let file = fs::OpenOptions::new()
            .write(true)
            .open(torn.path().join(log.file_name().unwrap()))
            .unwrap();
        file.set_len(cut).unwrap();
        drop(file);
        let store = open(torn.path()).unwrap();
        let height = usize::try_from(store.height()).unwrap();
        assert_eq!(store.app_hash(), models[height].app_hash());
        heights.push(height);
    }
    assert!(heights.is_sorted());
    heights.dedup();
    assert_eq!(heights, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_damaged_log_or_file_is_refused() {
    let folder = written(5);
    flip_in_the_middle(&largest(folder.path(), "log"));
    let fault = open(folder.path()).unwrap_err();
    assert_eq!(
        fault.place(),
        format!("database {}", folder.path().display())
    );
    assert!(fault.finding().contains("Corruption"), "{fault}");
    assert_eq!(fault.remedy(), RESTORE);

    // Opening moves the rows from the log to files.
    let folder = written(5);
    drop(open(folder.path()).unwrap());
    flip_in_the_middle(&largest(folder.path(), "sst"));
    let fault = open(folder.path()).unwrap_err();
    assert!(fault.finding().contains("Corruption"), "{fault}");
    assert_eq!(fault.remedy(), RESTORE);
}

#[test]
fn a_lost_file_is_refused_and_nothing_is_made_in_its_place() {
    let folder = written(5);
    drop(open(folder.path()).unwrap());
    fs::remove_file(largest(folder.path(), "sst")).unwrap();
    assert_eq!(open(folder.path()).unwrap_err().remedy(), RESTORE);

    let folder = written(2);
    fs::remove_file(folder.path().join("CURRENT")).unwrap();
    let fault = open(folder.path()).unwrap_err();
    assert_eq!(
        fault.finding(),
        "its folder has files, but the file CURRENT is missing"
    );
    assert_eq!(fault.remedy(), RESTORE);
}

/// The engine cannot miss its newest log. The store is then at an earlier whole block, and the chain's blocks are replayed.
#[test]
fn without_its_newest_log_it_opens_at_an_earlier_block() {
    let blocks = fixed_blocks(6);
    let folder = written(5);
    let store = open(folder.path()).unwrap();
    run(&store, &blocks[5], 6).unwrap();
    drop(store);
    fs::remove_file(largest(folder.path(), "log")).unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(store.height(), 5);
    assert_eq!(store.app_hash(), models(&blocks)[5].app_hash());
}

#[test]
fn a_database_that_is_open_is_not_opened_again() {
    let folder = written(1);
    let _store = open(folder.path()).unwrap();
    let fault = open(folder.path()).unwrap_err();
    assert_eq!(
        fault.remedy(),
        "another process has it open: stop that process, then start this one again"
    );
}

#[test]
fn a_table_that_the_program_does_not_know_is_named() {
    let folder = written(1);
    let fewer: Vec<TableSpec> = SPECS
        .into_iter()
        .filter(|spec| spec.id != ACCOUNTS)
        .collect();
    let fault = RocksBackend::open(folder.path(), &fewer).unwrap_err();
    assert_eq!(fault.place(), "table 1");
    assert_eq!(
        fault.finding(),
        "the database has a family \"table-1-accounts\", but this program knows no such table"
    );
}

#[test]
fn a_row_changed_on_disk_names_its_table() {
    let folder = written(3);
    let mut backend = RocksBackend::open(folder.path(), &SPECS).unwrap();
    let mut batch = Batch::default();
    batch.set(
        Family::Table(ACCOUNTS),
        b"k".to_vec(),
        Some(vec![0, 0, 0, 60, 1]),
    );
    backend.write(batch).unwrap();
    let fault = Store::open(&SPECS, Box::new(backend)).unwrap_err();
    assert_eq!(fault.place(), "table 1 \"accounts\"");
}

#[test]
fn an_empty_folder_and_an_absent_one_become_a_database() {
    let folder = TempDir::new().unwrap();
    for path in [
        folder.path().join("absent/deep"),
        folder.path().join("empty"),
    ] {
        if path.ends_with("empty") {
            fs::create_dir(&path).unwrap();
        }
        let store = open_on(RocksBackend::open(&path, &SPECS).unwrap());
        assert_eq!(store.height(), 0);
    }
}
