//! Incremental trees equal the model's, and equal trees rebuilt from the rows.

use io_storage::{Change, Head, Leaf, Overlay, Store, TableId, TableSpec, WriteSet, backend::Disk};
use proptest::prelude::*;

use crate::model::{
    ACCOUNTS, Block, DEVICES, Model, ORDERS, SPECS, any_blocks, fixed_blocks, open, rows_of, run,
};

fn head_of(store: &Store) -> Head {
    store.snapshot().head().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_store_the_model_and_a_rebuild_agree(blocks in any_blocks(1..9, 250)) {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        let mut model = Model::default();
        for (height, block) in (1..).zip(&blocks) {
            model.apply(block);
            let app_hash = run(&store, block, height).unwrap();
            prop_assert_eq!(app_hash, model.app_hash());
            prop_assert_eq!(&rows_of(&store), &model.tables);
        }
        let rebuilt = open(&disk).unwrap();
        prop_assert_eq!(rebuilt.app_hash(), model.app_hash());
        prop_assert_eq!(head_of(&rebuilt), head_of(&store));
        prop_assert_eq!(&rows_of(&rebuilt), &model.tables);
        // The rebuilt store goes on exactly as the other one: its free indices are the same.
        let next = blocks.first().unwrap();
        let height = store.height() + 1;
        prop_assert_eq!(run(&rebuilt, next, height).unwrap(), run(&store, next, height).unwrap());
    }

    #[test]
    fn staging_changes_nothing(blocks in any_blocks(2..3, 100)) {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        run(&store, &blocks[0], 1).unwrap();
        let (rows, head) = (rows_of(&store), head_of(&store));
        let view = store.snapshot();
        let mut overlay = Overlay::new(&view);
        for (table, key, value) in &blocks[1] {
            overlay.put(*table, key, value.clone().unwrap_or_else(|| vec![1]));
        }
        let write_set = overlay.into_write_set().unwrap();
        let first = view.stage(&write_set).unwrap().app_hash();
        prop_assert_eq!(view.stage(&write_set).unwrap().app_hash(), first);
        drop(view);
        prop_assert_eq!(rows_of(&store), rows);
        prop_assert_eq!(head_of(&store), head);
    }
}

#[test]
fn the_app_hash_of_a_fixed_chain_is_pinned() {
    let store = open(&Disk::default()).unwrap();
    let empty = hex::encode(store.app_hash());
    let mut last = [0; 32];
    for (height, block) in (1..).zip(fixed_blocks(8)) {
        last = run(&store, &block, height).unwrap();
    }
    assert_eq!(
        [empty.as_str(), hex::encode(last).as_str()],
        [
            "fc5a2936f14bd415c295f1e034b7c9cdc2ecedc3e6348d15aa63a646f687fb92",
            "6ca743fdc6a3498fada212062c35c7e8fbbe5a4146de3cd98e5649ea9ffc1401",
        ]
    );
}

#[test]
fn an_index_freed_in_a_block_is_given_again_in_the_same_block() {
    let store = open(&Disk::default()).unwrap();
    let put = |key: u8| (ACCOUNTS, vec![key], Some(vec![key]));
    run(&store, &vec![put(10), put(20), put(30)], 1).unwrap();
    // 20 leaves index 1; 5 and 25 are created in key order; 40 is born and gone.
    let block: Block = vec![
        put(40),
        put(25),
        put(5),
        (ACCOUNTS, vec![20], None),
        (ACCOUNTS, vec![40], None),
    ];
    run(&store, &block, 2).unwrap();
    let indices: Vec<(u8, usize)> = rows_of(&store)[&ACCOUNTS]
        .iter()
        .map(|(key, (index, _))| (key[0], *index))
        .collect();
    assert_eq!(indices, [(5, 1), (10, 0), (25, 3), (30, 2)]);
}

#[test]
fn depth_only_grows_and_is_under_the_root() {
    let store = open(&Disk::default()).unwrap();
    let depth = |store: &Store| store.snapshot().head().tables[&DEVICES].depth;
    let empty = store.app_hash();
    assert_eq!(depth(&store), 0);
    let all: Block = (0..5).map(|n| (DEVICES, vec![n], Some(vec![1]))).collect();
    run(&store, &all, 1).unwrap();
    assert_eq!(depth(&store), 3);
    let none: Block = (0..5).map(|n| (DEVICES, vec![n], None)).collect();
    let emptied = run(&store, &none, 2).unwrap();
    assert_eq!(depth(&store), 3);
    assert_ne!(emptied, empty);
}

#[test]
fn a_block_that_changes_nothing_keeps_the_app_hash() {
    let store = open(&Disk::default()).unwrap();
    let block: Block = vec![(ORDERS, vec![1], Some(vec![2]))];
    let app_hash = run(&store, &block, 7).unwrap();
    assert_eq!(run(&store, &block, 8).unwrap(), app_hash);
    assert_eq!(run(&store, &Block::new(), 9).unwrap(), app_hash);
    assert_eq!(store.height(), 9);
}

#[test]
fn a_row_of_an_unknown_table_is_refused() {
    let store = open(&Disk::default()).unwrap();
    let before = store.app_hash();
    let view = store.snapshot();
    assert_eq!(
        Overlay::new(&view)
            .get(TableId(3), b"k")
            .unwrap_err()
            .place(),
        "table 3"
    );
    let change = Change {
        old: None,
        new: Some(vec![1].into()),
    };
    let write_set = WriteSet {
        changes: [((TableId(3), vec![1]), change)].into(),
    };
    let fault = view.stage(&write_set).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "table 3: there is a row of it, but it is not in the list of tables; this is a bug: keep the data folder and the \
         log, and report it"
    );
    drop(view);
    assert_eq!(store.app_hash(), before);
}

#[test]
fn rows_that_cannot_be_stored_are_refused() {
    let store = open(&Disk::default()).unwrap();
    let refused = |table, key: &[u8], value: &[u8]| {
        let view = store.snapshot();
        let mut overlay = Overlay::new(&view);
        overlay.put(table, key, value.to_vec());
        let fault = view.stage(&overlay.into_write_set().unwrap()).unwrap_err();
        (fault.place().to_owned(), fault.finding().to_owned())
    };
    assert_eq!(
        refused(ACCOUNTS, &[0xab], b""),
        (
            "table 1 \"accounts\"".to_owned(),
            "row ab: the value is empty, so it could not be proven".to_owned()
        )
    );
    assert_eq!(
        refused(ORDERS, b"", b"v"),
        (
            "table 2 \"orders\"".to_owned(),
            "row : the key is empty".to_owned()
        )
    );
    // A page can hold an empty value.
    run(&store, &vec![(ORDERS, vec![1], Some(Vec::new()))], 1).unwrap();
}

#[test]
fn a_block_staged_on_another_version_is_refused() {
    let store = open(&Disk::default()).unwrap();
    let block: Block = vec![(ACCOUNTS, vec![1], Some(vec![1]))];
    let view = store.snapshot();
    let mut overlay = Overlay::new(&view);
    overlay.put(ACCOUNTS, &[1], vec![2]);
    let write_set = overlay.into_write_set().unwrap();
    let stale = view.stage(&write_set).unwrap();
    drop(view);
    run(&store, &block, 1).unwrap();
    assert_eq!(
        store.commit(stale, 2).unwrap_err().finding(),
        "the block was staged on height 0, but the head is 1"
    );
    assert_eq!(
        store.stage(write_set).unwrap_err().finding(),
        "row 01: the write set was made over other rows than these"
    );
    let next = store.stage(WriteSet::default()).unwrap();
    assert_eq!(
        store.commit(next, 3).unwrap_err().finding(),
        "height 3 does not follow height 1"
    );
    assert_eq!(store.height(), 1);
}

#[test]
fn a_wrong_list_of_tables_is_refused() {
    static DESCENDING: [TableSpec; 2] = [
        TableSpec {
            id: TableId(2),
            name: "b",
            leaf: Leaf::Row,
        },
        TableSpec {
            id: TableId(2),
            name: "a",
            leaf: Leaf::Row,
        },
    ];
    static TWICE: [TableSpec; 2] = [
        TableSpec {
            id: TableId(1),
            name: "a",
            leaf: Leaf::Row,
        },
        TableSpec {
            id: TableId(2),
            name: "a",
            leaf: Leaf::Row,
        },
    ];
    let finding = |specs: &'static [TableSpec]| {
        let backend = io_storage::backend::MemoryBackend::default();
        let fault = Store::open(specs, Box::new(backend)).unwrap_err();
        fault.finding().to_owned()
    };
    assert_eq!(finding(&[]), "it is empty");
    assert_eq!(finding(&DESCENDING), "its id is not above the id before it");
    assert_eq!(finding(&TWICE), "its name is used twice");
    assert_eq!(SPECS.len(), 5);
}
