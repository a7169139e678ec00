//! Rolling back gives exactly the state before the block, on disk and in memory.

use io_storage::backend::Disk;
use proptest::prelude::*;

use crate::model::{Model, any_blocks, fixed_blocks, open, rows_of, run};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rolling_back_and_going_on_is_as_if_it_had_never_been(blocks in any_blocks(3..7, 100)) {
        let disk = Disk::default();
        let store = open(&disk).unwrap();
        let mut models = vec![Model::default()];
        for (height, block) in (1..).zip(&blocks) {
            let mut model = models.last().unwrap().clone();
            model.apply(block);
            run(&store, block, height).unwrap();
            models.push(model);
        }
        let mut height = blocks.len();
        for _ in 0..blocks.len().min(4) {
            height -= 1;
            prop_assert_eq!(store.rollback().unwrap(), height as u64);
            prop_assert_eq!(store.app_hash(), if height == 0 {
                open(&Disk::default()).unwrap().app_hash()
            } else {
                models[height].app_hash()
            });
            if height > 0 {
                prop_assert_eq!(&rows_of(&store), &models[height].tables);
            }
        }
        let reopened = open(&disk).unwrap();
        prop_assert_eq!(reopened.app_hash(), store.app_hash());
        for (above, block) in (1..).zip(&blocks).skip(height) {
            run(&reopened, block, above).unwrap();
        }
        prop_assert_eq!(reopened.app_hash(), models.last().unwrap().app_hash());
    }
}

#[test]
fn only_kept_blocks_can_be_rolled_back() {
    let store = open(&Disk::default()).unwrap();
    for (height, block) in (1..).zip(fixed_blocks(6)) {
        run(&store, &block, height).unwrap();
    }
    for height in [5, 4, 3, 2] {
        assert_eq!(store.rollback().unwrap(), height);
    }
    let fault = store.rollback().unwrap_err();
    assert_eq!(
        fault.to_string(),
        "rollback: no block below height 2 is stored; restore from a snapshot of an earlier height"
    );
    assert_eq!(store.height(), 2);
}
