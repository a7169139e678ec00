//! An overlay reads as a map would, reverts as if nothing had been, and never touches its snapshot.

use std::{collections::BTreeMap, ops::ControlFlow};

use io_storage::{Mark, Overlay, Snapshot, TableId, backend::Disk};
use proptest::prelude::*;

use crate::model::{ACCOUNTS, Block, ORDERS, any_key, any_write, open, rows_of, run};

type Map = BTreeMap<(TableId, Vec<u8>), Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Write(TableId, Vec<u8>, Option<Vec<u8>>),
    Mark,
    Revert(prop::sample::Index),
    Scan(TableId, Vec<u8>, Option<Vec<u8>>, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let table = prop::sample::select(vec![ACCOUNTS, ORDERS]);
    // A few rows are written again and again, before and after marks.
    let (again, few) = (table.clone(), 0u8..4);
    let value = prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 1..4));
    prop_oneof![
        6 => (again, few, value).prop_map(|(table, key, value)| Step::Write(table, vec![key], value)),
        2 => any_write().prop_map(|(table, key, value)| Step::Write(table, key, value)),
        1 => Just(Step::Mark),
        1 => any::<prop::sample::Index>().prop_map(Step::Revert),
        2 => (table, any_key(), prop::option::of(any_key()), 1usize..50)
            .prop_map(|(table, from, to, rows)| Step::Scan(table, from, to, rows)),
    ]
}

/// The first `most` rows of a scan.
fn scanned(
    snapshot: &dyn Snapshot,
    table: TableId,
    from: &[u8],
    to: Option<&[u8]>,
    most: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    snapshot
        .scan(table, from, to, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            if rows.len() == most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    rows
}

fn expected(
    map: &Map,
    table: TableId,
    from: &[u8],
    to: Option<&[u8]>,
    most: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    map.iter()
        .filter(|((id, key), _)| {
            *id == table && key.as_slice() >= from && to.is_none_or(|to| key.as_slice() < to)
        })
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .take(most)
        .collect()
}

fn play(overlay: &mut Overlay<'_>, map: &mut Map, steps: Vec<Step>) {
    let mut marks: Vec<(Mark, Map)> = Vec::new();
    for step in steps {
        match step {
            Step::Write(table, key, Some(value)) => {
                overlay.put(table, &key, value.clone());
                map.insert((table, key), value);
            }
            Step::Write(table, key, None) => {
                overlay.delete(table, &key);
                map.remove(&(table, key));
            }
            Step::Mark => marks.push((overlay.mark(), map.clone())),
            Step::Revert(index) => {
                if !marks.is_empty() {
                    marks.truncate(index.index(marks.len()) + 1);
                    let (mark, then) = marks.last().unwrap();
                    overlay.revert(*mark);
                    map.clone_from(then);
                }
            }
            Step::Scan(table, from, to, most) => assert_eq!(
                scanned(overlay, table, &from, to.as_deref(), most),
                expected(map, table, &from, to.as_deref(), most)
            ),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_overlay_reads_as_a_map_and_its_snapshot_stays(
        base in prop::collection::vec(any_write(), 0..120),
        steps in prop::collection::vec(any_step(), 0..120),
    ) {
        let store = open(&Disk::default()).unwrap();
        run(&store, &base, 1).unwrap();
        let before = rows_of(&store);
        let app_hash = store.app_hash();
        let old: Map = before
            .iter()
            .flat_map(|(table, rows)| {
                rows.iter().map(|(key, (_, value))| ((*table, key.clone()), value.clone()))
            })
            .collect();
        let mut map = old.clone();
        let view = store.snapshot();
        let mut overlay = Overlay::new(&view);
        play(&mut overlay, &mut map, steps);
        for table in [ACCOUNTS, ORDERS] {
            prop_assert_eq!(
                scanned(&overlay, table, &[], None, usize::MAX),
                expected(&map, table, &[], None, usize::MAX)
            );
        }
        for (table, key) in old.keys().chain(map.keys()) {
            let value = overlay.get(*table, key).unwrap();
            prop_assert_eq!(value.as_deref(), map.get(&(*table, key.clone())).map(Vec::as_slice));
            let value = overlay.old(*table, key).unwrap();
            prop_assert_eq!(value.as_deref(), old.get(&(*table, key.clone())).map(Vec::as_slice));
        }
        for (table, key, value) in overlay.writes() {
            prop_assert_eq!(
                value.map(|value| value.to_vec()),
                map.get(&(table, key.to_vec())).cloned()
            );
        }
        // The write set leads from the old map to the new one, and holds no row that stays as it was.
        let write_set = overlay.into_write_set().unwrap();
        let mut led = old.clone();
        for ((table, key), change) in &write_set.changes {
            let place = (*table, key.clone());
            prop_assert_eq!(change.old.as_deref(), old.get(&place).map(Vec::as_slice));
            prop_assert_ne!(&change.old, &change.new);
            match &change.new {
                Some(value) => led.insert(place, value.to_vec()),
                None => led.remove(&place),
            };
        }
        prop_assert_eq!(&led, &map);
        let mut again = Overlay::new(&view);
        again.apply(&write_set);
        prop_assert_eq!(again.into_write_set().unwrap(), write_set);
        drop(view);
        prop_assert_eq!(rows_of(&store), before);
        prop_assert_eq!(store.app_hash(), app_hash);
    }
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let store = open(&Disk::default()).unwrap();
    let block: Block = vec![(ACCOUNTS, vec![5], Some(vec![1]))];
    run(&store, &block, 1).unwrap();
    let view = store.snapshot();
    let mut overlay = Overlay::new(&view);
    overlay.put(ACCOUNTS, &[6], vec![1]);
    for (from, to) in [([9], [1]), ([5], [5])] {
        assert_eq!(scanned(&overlay, ACCOUNTS, &from, Some(&to), 9), []);
        assert_eq!(scanned(&view, ACCOUNTS, &from, Some(&to), 9), []);
    }
}

#[test]
fn reading_a_row_shares_its_bytes() {
    let store = open(&Disk::default()).unwrap();
    run(&store, &vec![(ACCOUNTS, vec![5], Some(vec![1; 100]))], 1).unwrap();
    let view = store.snapshot();
    let overlay = Overlay::new(&view);
    let first = overlay.get(ACCOUNTS, &[5]).unwrap().unwrap();
    let second = overlay.get(ACCOUNTS, &[5]).unwrap().unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second));
}
