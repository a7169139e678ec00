//! Crashes at every write: what is reopened is the last block that is durable, and the chain goes on from there.

use io_storage::backend::{Crash, Disk, FaultyBackend};

use crate::model::{Model, fixed_blocks, open, open_on, rows_of, run};

const BLOCKS: u8 = 8;

/// The model at every height from 0.
fn models() -> Vec<Model> {
    let mut models = vec![Model::default()];
    for block in fixed_blocks(BLOCKS) {
        let mut model = models.last().unwrap().clone();
        model.apply(&block);
        models.push(model);
    }
    // Height 0 has its tables too, but no rows in them.
    let tables = models[1].tables.keys().map(|id| (*id, <_>::default()));
    models[0].tables = tables.collect();
    models
}

#[test]
fn a_crash_at_any_write_leaves_the_last_durable_block() {
    let models = models();
    let blocks = fixed_blocks(BLOCKS);
    for crash in [Crash::Lost, Crash::Unacknowledged] {
        for crash_at in 0..u64::from(BLOCKS) {
            let disk = Disk::default();
            let store = open_on(FaultyBackend::new(&disk, crash_at, crash));
            let mut acknowledged = 0;
            for (height, block) in (1..).zip(&blocks) {
                match run(&store, block, height) {
                    Ok(_) => acknowledged = height,
                    Err(fault) => {
                        assert_eq!(fault.place(), "faulty store");
                        break;
                    }
                }
            }
            assert_eq!(acknowledged, crash_at);
            // Memory still shows the last acknowledged block, and nothing more can be committed.
            assert_eq!(store.height(), acknowledged);
            let index = usize::try_from(acknowledged).unwrap();
            let refused = run(&store, &blocks[index], acknowledged + 1).unwrap_err();
            assert_eq!(
                refused.finding(),
                "an earlier write failed (faulty store: it crashed as planned; reopen over the same disk), so what is on \
                 disk is not known"
            );
            drop(store);

            let reopened = open(&disk).unwrap();
            let durable = match crash {
                Crash::Lost => acknowledged,
                Crash::Unacknowledged => acknowledged + 1,
            };
            assert_eq!(reopened.height(), durable);
            let model = &models[usize::try_from(durable).unwrap()];
            assert_eq!(reopened.app_hash(), model.app_hash());
            assert_eq!(rows_of(&reopened), model.tables);
            for (height, block) in (1..).zip(&blocks).skip(usize::try_from(durable).unwrap()) {
                run(&reopened, block, height).unwrap();
            }
            assert_eq!(reopened.app_hash(), models.last().unwrap().app_hash());
        }
    }
}

#[test]
fn a_crash_in_a_rollback_leaves_one_of_the_two_heights() {
    let models = models();
    for crash in [Crash::Lost, Crash::Unacknowledged] {
        let disk = Disk::default();
        let store = open_on(FaultyBackend::new(&disk, u64::from(BLOCKS), crash));
        for (height, block) in (1..).zip(fixed_blocks(BLOCKS)) {
            run(&store, &block, height).unwrap();
        }
        assert_eq!(store.rollback().unwrap_err().place(), "faulty store");
        drop(store);
        let reopened = open(&disk).unwrap();
        let height = match crash {
            Crash::Lost => BLOCKS,
            Crash::Unacknowledged => BLOCKS - 1,
        };
        assert_eq!(reopened.height(), u64::from(height));
        assert_eq!(reopened.app_hash(), models[usize::from(height)].app_hash());
    }
}

#[test]
fn a_meta_row_written_with_a_block_shares_its_fate() {
    for (crash, expected) in [
        (Crash::Lost, None),
        (Crash::Unacknowledged, Some(b"1".to_vec())),
    ] {
        let disk = Disk::default();
        let store = open_on(FaultyBackend::new(&disk, 1, crash));
        store.set_meta(b"chain-id", Some(b"io-1".to_vec())).unwrap();
        let mut patch = store.stage(<_>::default()).unwrap();
        patch.set_meta(b"last", Some(b"1".to_vec()));
        assert_eq!(store.commit(patch, 1).unwrap_err().place(), "faulty store");
        assert_eq!(store.meta(b"last"), None);
        drop(store);
        let reopened = open(&disk).unwrap();
        assert_eq!(reopened.meta(b"chain-id"), Some(b"io-1".to_vec()));
        assert_eq!(reopened.meta(b"last"), expected);
        reopened.set_meta(b"chain-id", None).unwrap();
        assert_eq!(open(&disk).unwrap().meta(b"chain-id"), None);
    }
}
