//! What was changed behind the store's back is found at open, and the message names the table and what to do.

use std::ops::ControlFlow;

use io_storage::{
    Fault, TableId,
    backend::{Backend, Disk, Family, MemoryBackend},
};

use crate::model::{ACCOUNTS, ORDERS, PARAMS, fixed_blocks, open, run};

const RESTORE: &str =
    "move the data folder away and restore from a snapshot, or replay the chain from genesis";

fn written() -> Disk {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    for (height, block) in (1..).zip(fixed_blocks(6)) {
        run(&store, &block, height).unwrap();
    }
    disk
}

fn refused(disk: &Disk) -> Fault {
    open(disk).unwrap_err()
}

/// The first stored row of a family.
fn first(disk: &Disk, family: Family) -> (Vec<u8>, Vec<u8>) {
    disk.rows(family).unwrap().into_iter().next().unwrap()
}

#[test]
fn a_changed_lost_or_added_row_names_its_table() {
    for (id, name) in [
        (ACCOUNTS, "accounts"),
        (ORDERS, "orders"),
        (PARAMS, "params"),
    ] {
        let place = format!("table {id} {name:?}");
        let family = Family::Table(id);
        let disk = written();
        let (key, mut value) = first(&disk, family);
        *value.last_mut().unwrap() ^= 1;
        disk.tamper(family, &key, Some(value)).unwrap();
        let fault = refused(&disk);
        assert_eq!(fault.place(), place);
        assert_eq!(fault.remedy(), RESTORE);
        assert!(
            fault
                .finding()
                .starts_with("its root at height 6 rebuilt from its rows is "),
            "{fault}"
        );

        let disk = written();
        disk.tamper(family, &key, None).unwrap();
        assert_eq!(refused(&disk).place(), place);

        let disk = written();
        let free = [0, 0, 0, 120, 1, 2, 3];
        disk.tamper(family, b"not there", Some(free.to_vec()))
            .unwrap();
        assert_eq!(refused(&disk).place(), place);
    }
}

#[test]
fn indices_that_contradict_each_other_name_their_table() {
    let disk = written();
    let family = Family::Table(ACCOUNTS);
    let rows = disk.rows(family).unwrap();
    let used = rows.values().next().unwrap()[..4].to_vec();
    disk.tamper(family, b"not there", Some([&used[..], b"v"].concat()))
        .unwrap();
    let index = u32::from_be_bytes(used.try_into().unwrap());
    let fault = refused(&disk);
    assert_eq!(fault.place(), "table 1 \"accounts\"");
    assert_eq!(fault.finding(), format!("two rows have the index {index}"));

    let disk = written();
    disk.tamper(family, b"not there", Some(vec![0, 1, 0, 0, 9]))
        .unwrap();
    let depth = 32 - (u32::try_from(rows.len()).unwrap() - 1).leading_zeros();
    assert_eq!(
        refused(&disk).finding(),
        format!("a row has the index 65536, but the depth is {depth}")
    );

    let disk = written();
    disk.tamper(family, b"not there", Some(vec![0xff; 5]))
        .unwrap();
    assert_eq!(
        refused(&disk).finding(),
        "leaf 4294967295 does not fit a tree of depth 25"
    );

    let disk = written();
    disk.tamper(family, b"not there", Some(vec![0, 1])).unwrap();
    assert_eq!(
        refused(&disk).finding(),
        "a stored row has 2 bytes, too few for its index"
    );
}

#[test]
fn rows_of_a_table_outside_the_list_are_refused() {
    let disk = written();
    disk.tamper(Family::Table(TableId(77)), b"k", Some(vec![0; 5]))
        .unwrap();
    let fault = refused(&disk);
    assert_eq!(
        fault.to_string(),
        "table 77: the database has rows of it, but this program knows no such table; start the version of the program \
         that wrote this database, or restore from a snapshot"
    );
}

#[test]
fn a_broken_head_format_or_meta_row_is_refused() {
    let head = b"store/head";
    let disk = written();
    disk.tamper(Family::Meta, head, Some(vec![1, 2, 3]))
        .unwrap();
    assert_eq!(refused(&disk).place(), "stored head");

    // An app hash that does not follow from the table roots.
    let disk = written();
    let mut bytes = disk.rows(Family::Meta).unwrap()[&head[..]].clone();
    bytes[8] ^= 1;
    disk.tamper(Family::Meta, head, Some(bytes)).unwrap();
    assert_eq!(refused(&disk).place(), "app hash");

    // Without its head the database looks new, but it has rows.
    let disk = written();
    disk.tamper(Family::Meta, head, None).unwrap();
    assert_eq!(refused(&disk).place(), "table 1 \"accounts\"");

    let disk = written();
    disk.tamper(Family::Meta, b"store/format", Some(vec![9]))
        .unwrap();
    assert_eq!(
        refused(&disk).finding(),
        "its format is 09, but this program reads 01"
    );

    let disk = written();
    disk.tamper(Family::Meta, b"other", Some(vec![9])).unwrap();
    assert_eq!(refused(&disk).place(), "meta rows");
}

#[test]
fn broken_reverses_are_refused() {
    let reverses = written().rows(Family::Reverse).unwrap();
    let heights: Vec<&[u8]> = reverses.keys().map(Vec::as_slice).collect();
    let expected: Vec<[u8; 8]> = (3u64..=6).map(u64::to_be_bytes).collect();
    assert_eq!(heights, expected);

    let disk = written();
    disk.tamper(Family::Reverse, heights[2], None).unwrap();
    assert_eq!(
        refused(&disk).finding(),
        "there is one under 0000000000000004, but 5 is due"
    );

    let disk = written();
    disk.tamper(Family::Reverse, heights[1], Some(vec![1]))
        .unwrap();
    assert_eq!(refused(&disk).place(), "stored reverse of height 4");

    // After height, app hash, count of tables and the first id stands the first depth.
    let disk = written();
    let mut bytes = reverses[heights[3]].clone();
    bytes[8 + 32 + 4 + 1] = 200;
    disk.tamper(Family::Reverse, heights[3], Some(bytes))
        .unwrap();
    assert_eq!(
        refused(&disk).finding(),
        "its depth at height 5 is stored as 200, but it is 7 above, and depths only grow"
    );

    // The last byte of this kind is the end of a value in the last table that the block changed.
    let disk = written();
    let mut bytes = reverses[heights[3]].clone();
    let (at, _) = bytes
        .windows(3)
        .enumerate()
        .rfind(|(_, window)| window[2] == PARAMS.0)
        .unwrap();
    bytes[at] ^= 1;
    disk.tamper(Family::Reverse, heights[3], Some(bytes))
        .unwrap();
    let fault = refused(&disk);
    assert_eq!(fault.place(), "table 200 \"params\"");
    assert!(
        fault
            .finding()
            .starts_with("its root at height 5 rebuilt from the stored reverses is "),
        "{fault}"
    );
}

#[test]
fn an_untouched_database_opens() {
    let disk = written();
    assert_eq!(open(&disk).unwrap().height(), 6);
    let mut rows = 0;
    MemoryBackend::new(&disk)
        .scan(Family::Table(ACCOUNTS), &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(rows > 30);
}
