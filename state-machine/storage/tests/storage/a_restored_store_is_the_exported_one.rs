//! A snapshot restores to the same app hash and goes on as the original; a wrong one writes nothing.

use io_storage::{
    RestoreError, RestoreTarget, SnapshotRow, Store, TableId,
    backend::{Crash, Disk, Family, FaultyBackend, MemoryBackend},
};

use crate::model::{ACCOUNTS, SPECS, fixed_blocks, open, rows_of, run};

/// A store of six blocks, and its snapshot.
fn exported() -> (Store, RestoreTarget, Vec<SnapshotRow>) {
    let store = open(&Disk::default()).unwrap();
    for (height, block) in (1..).zip(fixed_blocks(6)) {
        run(&store, &block, height).unwrap();
    }
    let head = store.snapshot().head().clone();
    let target = RestoreTarget {
        height: head.height,
        app_hash: head.app_hash,
        depths: (head.tables.iter())
            .map(|(id, table)| (*id, table.depth))
            .collect(),
    };
    let rows = rows_of(&store)
        .into_iter()
        .flat_map(|(table, rows)| {
            rows.into_iter()
                .map(move |(key, (index, value))| SnapshotRow {
                    table,
                    index: u32::try_from(index).unwrap(),
                    key,
                    value,
                })
        })
        .rev()
        .collect();
    (store, target, rows)
}

fn restore(
    disk: &Disk,
    target: &RestoreTarget,
    rows: Vec<SnapshotRow>,
) -> Result<Store, RestoreError> {
    Store::restore(&SPECS, Box::new(MemoryBackend::new(disk)), target, rows)
}

#[test]
fn a_restored_store_goes_on_as_the_original() {
    let (store, target, rows) = exported();
    let disk = Disk::default();
    let restored = restore(&disk, &target, rows).unwrap();
    assert_eq!(rows_of(&restored), rows_of(&store));
    let next = &fixed_blocks(7)[6];
    let app_hash = run(&store, next, 7).unwrap();
    assert_eq!(run(&restored, next, 7).unwrap(), app_hash);
    assert_eq!(open(&disk).unwrap().app_hash(), app_hash);
    // Blocks before the snapshot are not known here, the one after it is.
    assert_eq!(restored.rollback().unwrap(), 6);
    assert_eq!(restored.rollback().unwrap_err().place(), "rollback");
}

#[test]
fn a_wrong_snapshot_is_refused_and_nothing_is_written() {
    let (_, target, rows) = exported();
    let disk = Disk::default();
    let refused = |target: &RestoreTarget, rows: Vec<SnapshotRow>| {
        let error = restore(&disk, target, rows).unwrap_err();
        assert_eq!(disk.rows(Family::Meta).unwrap().len(), 0);
        match error {
            RestoreError::Refused(reason) => reason,
            RestoreError::Faulted(fault) => fault.to_string(),
        }
    };
    let app_hash_differs = |reason: &str| reason.starts_with("its app hash is ");

    let mut changed = rows.clone();
    changed[0].value[0] ^= 1;
    assert!(app_hash_differs(&refused(&target, changed)));
    let mut fewer = rows.clone();
    fewer.pop();
    assert!(app_hash_differs(&refused(&target, fewer)));
    let mut swapped = rows.clone();
    let index = swapped[0].index;
    swapped[0].index = swapped[1].index;
    swapped[1].index = index;
    assert!(app_hash_differs(&refused(&target, swapped)));
    let mut deeper = target.clone();
    *deeper.depths.get_mut(&ACCOUNTS).unwrap() += 1;
    assert!(app_hash_differs(&refused(&deeper, rows.clone())));

    let mut twice = rows.clone();
    twice.push(rows[0].clone());
    assert_eq!(
        refused(&target, twice),
        format!("table 200 has the row {} twice", hex::encode(&rows[0].key))
    );
    let mut same_index = rows.clone();
    same_index[0].index = same_index[1].index;
    assert_eq!(
        refused(&target, same_index),
        format!(
            "table 200 \"params\": two rows have the index {}",
            rows[1].index
        )
    );
    let mut outside = rows.clone();
    outside[0].table = TableId(5);
    assert_eq!(
        refused(&target, outside),
        "there is a row of table 5, which is not in the list of tables"
    );
    let mut undeep = target.clone();
    undeep.depths.remove(&ACCOUNTS);
    assert_eq!(
        refused(&undeep, rows.clone()),
        "it has no depth for table 1 \"accounts\""
    );
    let mut huge = target.clone();
    huge.depths.insert(ACCOUNTS, 200);
    assert_eq!(
        refused(&huge, rows.clone()),
        "table 1 \"accounts\": the depth is 200, above 25"
    );
    let mut zero = target.clone();
    zero.height = 0;
    assert_eq!(refused(&zero, rows), "its height is 0");
}

#[test]
fn a_store_with_rows_is_not_restored_over() {
    let (_, target, rows) = exported();
    let disk = Disk::default();
    run(&open(&disk).unwrap(), &fixed_blocks(1)[0], 1).unwrap();
    let error = restore(&disk, &target, rows).unwrap_err();
    assert_eq!(
        error.to_string(),
        "restore: the database has rows already, in Meta; remove the data folder, then restore again"
    );
    assert_eq!(open(&disk).unwrap().height(), 1);
}

#[test]
fn an_interrupted_restore_is_known_as_one() {
    let (_, target, rows) = exported();
    // One write that begins, one for each table, one that ends.
    let writes = 2 + SPECS.len() as u64;
    for crash in [Crash::Lost, Crash::Unacknowledged] {
        for crash_at in 0..writes {
            let disk = Disk::default();
            let backend = Box::new(FaultyBackend::new(&disk, crash_at, crash));
            let error = Store::restore(&SPECS, backend, &target, rows.clone()).unwrap_err();
            assert!(
                matches!(&error, RestoreError::Faulted(fault) if fault.place() == "faulty store")
            );
            let durable = crash_at + u64::from(crash == Crash::Unacknowledged);
            match open(&disk) {
                Ok(store) if durable == 0 => assert_eq!(store.height(), 0),
                Ok(store) => {
                    assert_eq!(durable, writes);
                    assert_eq!(store.app_hash(), target.app_hash);
                }
                Err(fault) => {
                    assert!(durable > 0 && durable < writes);
                    assert_eq!(
                        fault.to_string(),
                        "database: a restore from a snapshot was interrupted; remove the data folder and restore again"
                    );
                }
            }
        }
    }
}
