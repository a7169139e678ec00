use std::collections::BTreeMap;

use io_storage::{Store, backend::MemoryBackend};
use io_types::row::OldRewards;
use io_types::{Amount, ChainTime};
use proptest::prelude::*;

use super::*;
use crate::tables::{DEVICE_RESULTS, OLD_REWARDS, SPECS, UPTIME};

fn row(amount: u64) -> OldRewards {
    OldRewards {
        through: ChainTime(0).epoch(),
        ready: Amount::new(amount),
        withheld: Amount::ZERO,
    }
}

/// Values that differ in length.
fn text(length: u8) -> String {
    "x".repeat(usize::from(length))
}

/// A table of texts under the number of one that exists.
const TEXTS: Paged<DeviceId, String> = Paged::new(24);

fn store() -> Store {
    Store::open(SPECS, Box::new(MemoryBackend::default())).unwrap()
}

proptest! {
    #[test]
    fn it_holds_what_a_map_holds(
        steps in prop::collection::vec((0..200_u64, prop::option::of(0..200_u8)), 1..200),
        commit_at in 0..200_usize,
    ) {
        let store = store();
        let mut model: BTreeMap<DeviceId, String> = BTreeMap::new();
        let (first, second) = steps.split_at(commit_at.min(steps.len()));
        for (height, steps) in (1..).zip([first, second]) {
            let before = model.clone();
            let (patch, changes) = {
                let view = store.snapshot();
                let mut state = State::new(&view);
                for (id, length) in steps {
                    let id = DeviceId(*id);
                    if let Some(length) = length {
                        TEXTS.put(&mut state, &id, &text(*length)).unwrap();
                        model.insert(id, text(*length));
                    } else {
                        TEXTS.delete(&mut state, &id).unwrap();
                        model.remove(&id);
                    }
                    prop_assert_eq!(TEXTS.get(&state, &id).unwrap(), model.get(&id).cloned());
                }
                let differs: Vec<DeviceId> = (0..200)
                    .map(DeviceId)
                    .filter(|id| before.get(id) != model.get(id))
                    .collect();
                prop_assert_eq!(TEXTS.written(&state).unwrap(), differs.clone());
                let changes = state.into_write_set().unwrap();
                prop_assert_eq!(TEXTS.changed(&changes).unwrap(), differs);
                (view.stage(&changes).unwrap(), changes)
            };
            store.commit(patch, height).unwrap();
            TEXTS
                .changed_rows(&changes, &mut |first, _old, new| {
                    let present = model.range(first..=DeviceId(first.0 | 63));
                    let bits = present.fold(0, |bits, (id, _text)| bits | 1 << (id.0 % 64));
                    assert_eq!(new.present(), bits);
                    Ok(())
                })
                .unwrap();
        }
        let view = store.snapshot();
        let mut found = BTreeMap::new();
        TEXTS.visit(&view, None, &mut |id, text| {
            found.insert(id, text);
            ControlFlow::Continue(())
        }).unwrap();
        prop_assert_eq!(&found, &model);
        let rows: std::collections::BTreeSet<u64> = model.keys().map(|id| id.0 >> 6).collect();
        prop_assert_eq!(view.len(TEXTS.id).unwrap(), rows.len(), "a row without values is not there");
    }
}

#[test]
fn a_column_is_one_device_in_all_epochs_and_pages_are_all_of_them() {
    let store = store();
    let view = store.snapshot();
    let mut state = State::new(&view);
    let result = io_types::row::ResultRow::default();
    for (device, epoch) in [(1, 5), (1, 7), (2, 5), (64, 5), (65, 6), (1, 6)] {
        let key = (DeviceId(device), Epoch(epoch));
        DEVICE_RESULTS.put(&mut state, &key, &result).unwrap();
    }
    let from = (DeviceId(1), Epoch(0));
    let column = |to: u64| -> Vec<u64> {
        DEVICE_RESULTS
            .column(state.overlay(), &from, &(DeviceId(1), Epoch(to)))
            .unwrap()
            .into_iter()
            .map(|((device, epoch), _row)| {
                assert_eq!(device, DeviceId(1));
                epoch.0
            })
            .collect()
    };
    assert_eq!(column(6), [5, 6]);
    assert_eq!(column(u64::MAX), [5, 6, 7]);
    let pages = DEVICE_RESULTS
        .pages(state.overlay(), &from, &(DeviceId(3), Epoch(5)))
        .unwrap();
    assert_eq!(pages.len(), 1);
    assert_eq!(pages[0].0, (DeviceId(0), Epoch(5)));
    assert_eq!(pages[0].1.places().collect::<Vec<u8>>(), [1, 2]);
}

#[test]
fn a_row_that_is_not_one_is_a_fault_that_names_the_table() {
    let store = store();
    let view = store.snapshot();
    let good = {
        let mut state = State::new(&view);
        OLD_REWARDS.put(&mut state, &DeviceId(3), &row(7)).unwrap();
        OLD_REWARDS.put(&mut state, &DeviceId(9), &row(8)).unwrap();
        state
            .overlay()
            .get(OLD_REWARDS.id, &DeviceId(3).row())
            .unwrap()
            .unwrap()
            .to_vec()
    };
    assert_eq!(good.len(), 8 + 2 + 2 * 24);
    let broken = |bytes: &[u8]| -> (String, String) {
        let mut state = State::new(&view);
        let row = DeviceId(3).row();
        state
            .overlay_mut()
            .put(OLD_REWARDS.id, &row, bytes.to_vec());
        let of_page = OLD_REWARDS.page(&state, &DeviceId(3));
        let fault = of_page
            .and_then(|page| page.get(9))
            .expect_err("a broken row");
        (fault.place().to_owned(), fault.finding().to_owned())
    };
    let table = "table 24".to_owned();
    let cut = "a row of 64 is cut off".to_owned();
    assert_eq!(broken(&good[..7]), (table.clone(), cut.clone()));
    assert_eq!(broken(&good[..9]), (table.clone(), cut));
    let sum = "the lengths of a row of 64 do not add up".to_owned();
    assert_eq!(broken(&good[..40]), (table.clone(), sum.clone()));
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(broken(&longer), (table.clone(), sum));
    let mut shifted = good;
    shifted[8..10].copy_from_slice(&[25, 23]);
    let (place, finding) = broken(&shifted);
    assert_eq!(place, table);
    assert!(finding.starts_with("a value does not decode"), "{finding}");
}

#[test]
fn a_key_is_that_of_its_row() {
    let row = DeviceId(130).row();
    assert_eq!(row, 128_u64.to_be_bytes());
    assert_eq!(DeviceId::at(&row, 2), Some(DeviceId(130)));
    assert_eq!(DeviceId::at(&130_u64.to_be_bytes(), 2), None);
    let key = (DeviceId(130), Epoch(9));
    assert_eq!(<(DeviceId, Epoch)>::at(&key.row(), key.place()), Some(key));
    assert_eq!(<(DeviceId, Epoch)>::at(&key.row()[..15], 2), None);
    assert_eq!(UPTIME.id, TableId(22));
}
