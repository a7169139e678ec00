//! A second, slow store that shares no code with the first: indices and hashes written down once more from the design.

use std::collections::{BTreeMap, BTreeSet};

use io_storage::{
    Fault, Leaf, Overlay, Store, TableId, TableSpec,
    backend::{Backend, Disk, MemoryBackend},
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

pub(crate) const ACCOUNTS: TableId = TableId(1);
pub(crate) const ORDERS: TableId = TableId(2);
pub(crate) const DEVICES: TableId = TableId(7);
pub(crate) const SLOTS: TableId = TableId(9);
pub(crate) const PARAMS: TableId = TableId(200);

pub(crate) static SPECS: [TableSpec; 5] = [
    spec(ACCOUNTS, "accounts", Leaf::Row),
    spec(ORDERS, "orders", Leaf::Page),
    spec(DEVICES, "devices", Leaf::Row),
    spec(SLOTS, "slots", Leaf::Page),
    spec(PARAMS, "params", Leaf::Row),
];

const fn spec(id: TableId, name: &'static str, leaf: Leaf) -> TableSpec {
    TableSpec { id, name, leaf }
}

/// What one block does: put (value) or delete (none), in this order.
pub(crate) type Block = Vec<(TableId, Vec<u8>, Option<Vec<u8>>)>;

/// Rows as index and value, by key.
pub(crate) type Rows = BTreeMap<Vec<u8>, (usize, Vec<u8>)>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) tables: BTreeMap<TableId, Rows>,
    depths: BTreeMap<TableId, u32>,
}

impl Model {
    pub(crate) fn apply(&mut self, block: &Block) {
        for spec in &SPECS {
            let rows = self.tables.entry(spec.id).or_default();
            let last: BTreeMap<&Vec<u8>, &Option<Vec<u8>>> = block
                .iter()
                .filter(|(id, _, _)| *id == spec.id)
                .map(|(_, key, value)| (key, value))
                .collect();
            for (key, value) in &last {
                match (value, rows.get_mut(*key)) {
                    (None, _) => drop(rows.remove(*key)),
                    (Some(value), Some(row)) => row.1.clone_from(value),
                    (Some(_), None) => {}
                }
            }
            for (key, value) in last {
                if let (Some(value), false) = (value, rows.contains_key(key)) {
                    let used: BTreeSet<usize> = rows.values().map(|row| row.0).collect();
                    let index = (0..=used.len())
                        .find(|index| !used.contains(index))
                        .unwrap();
                    rows.insert(key.clone(), (index, value.clone()));
                }
            }
            let leaves = rows.values().map(|row| leaf_of(spec, row.0) + 1).max();
            let depth = self.depths.entry(spec.id).or_default();
            while 1 << *depth < leaves.unwrap_or(0) {
                *depth += 1;
            }
        }
    }

    pub(crate) fn app_hash(&self) -> [u8; 32] {
        let leaves: BTreeMap<usize, [u8; 32]> = SPECS
            .iter()
            .map(|spec| row_leaf(spec.name.as_bytes(), &self.table_root(spec)))
            .enumerate()
            .collect();
        node(&leaves, 3, 0)
    }

    fn table_root(&self, spec: &TableSpec) -> [u8; 32] {
        let none = Rows::new();
        let rows = self.tables.get(&spec.id).unwrap_or(&none);
        let by_index: BTreeMap<usize, (&[u8], &[u8])> = rows
            .iter()
            .map(|(key, (index, value))| (*index, (key.as_slice(), value.as_slice())))
            .collect();
        let mut leaves = BTreeMap::new();
        for (index, (key, value)) in &by_index {
            let leaf = leaf_of(spec, *index);
            match spec.leaf {
                Leaf::Row => drop(leaves.insert(leaf, row_leaf(key, value))),
                Leaf::Page => {
                    leaves
                        .entry(leaf)
                        .or_insert_with(|| page_leaf(leaf, &by_index));
                }
            }
        }
        let depth = self.depths.get(&spec.id).copied().unwrap_or(0);
        let root = node(&leaves, depth, 0);
        sha(&[&[3, spec.id.0, u8::try_from(depth).unwrap()], &root])
    }
}

fn leaf_of(spec: &TableSpec, index: usize) -> usize {
    match spec.leaf {
        Leaf::Row => index,
        Leaf::Page => index / 64,
    }
}

fn sha(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

/// Protobuf varint; lengths here are below 2^14.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let len = u8::try_from(bytes.len() % 128).unwrap();
    let mut prefixed = match u8::try_from(bytes.len() / 128).unwrap() {
        0 => vec![len],
        high => vec![len | 128, high],
    };
    prefixed.extend(bytes);
    prefixed
}

fn row_leaf(key: &[u8], value: &[u8]) -> [u8; 32] {
    sha(&[&[0], &prefixed(key), &[32], &sha(&[value])])
}

fn page_leaf(page: usize, rows: &BTreeMap<usize, (&[u8], &[u8])>) -> [u8; 32] {
    let mut bytes = vec![2];
    bytes.extend(u32::try_from(page).unwrap().to_be_bytes());
    for (index, (key, value)) in rows.range(page * 64..page * 64 + 64) {
        bytes.push(u8::try_from(index % 64).unwrap());
        bytes.extend(prefixed(key));
        bytes.extend(prefixed(value));
    }
    sha(&[&bytes])
}

fn node(leaves: &BTreeMap<usize, [u8; 32]>, level: u32, position: usize) -> [u8; 32] {
    match level.checked_sub(1) {
        None => leaves.get(&position).copied().unwrap_or([0; 32]),
        Some(below) => sha(&[
            &[1],
            &node(leaves, below, position * 2),
            &node(leaves, below, position * 2 + 1),
        ]),
    }
}

/// A store in memory over `disk`.
pub(crate) fn open(disk: &Disk) -> Result<Store, Fault> {
    Store::open(&SPECS, Box::new(MemoryBackend::new(disk)))
}

/// A store over any backend.
pub(crate) fn open_on(backend: impl Backend + 'static) -> Store {
    Store::open(&SPECS, Box::new(backend)).unwrap()
}

/// Runs one block through the store; returns its app hash.
pub(crate) fn run(store: &Store, block: &Block, height: u64) -> Result<[u8; 32], Fault> {
    let patch = {
        let view = store.snapshot();
        let mut overlay = Overlay::new(&view);
        for (table, key, value) in block {
            match value {
                Some(value) => overlay.put(*table, key, value.clone()),
                None => overlay.delete(*table, key),
            }
        }
        view.stage(&overlay.into_write_set()?)?
    };
    let app_hash = patch.app_hash();
    store.commit(patch, height)?;
    assert_eq!(store.app_hash(), app_hash);
    Ok(app_hash)
}

/// Every row of the store, with its index.
pub(crate) fn rows_of(store: &Store) -> BTreeMap<TableId, Rows> {
    let view = store.snapshot();
    let mut tables = BTreeMap::new();
    for spec in &SPECS {
        let mut rows = Rows::new();
        view.export(spec.id, &[], &mut |index, key, value| {
            let index = usize::try_from(index).unwrap();
            rows.insert(key.to_vec(), (index, value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        tables.insert(spec.id, rows);
    }
    tables
}

/// Keys that collide often, share prefixes, and are sometimes long.
pub(crate) fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0u16..400).prop_map(|key| key.to_be_bytes().to_vec()),
        2 => prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255)], 1..4),
        1 => (0u8..8, 30usize..300).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// A put of a non-empty value, or a deletion.
pub(crate) fn any_write() -> impl Strategy<Value = (TableId, Vec<u8>, Option<Vec<u8>>)> {
    let table = prop::sample::select(SPECS.map(|spec| spec.id).to_vec());
    let value = prop::collection::vec(any::<u8>(), 1..4);
    (table, any_key(), prop::option::weighted(0.7, value))
}

pub(crate) fn any_blocks(
    blocks: std::ops::Range<usize>,
    writes: usize,
) -> impl Strategy<Value = Vec<Block>> {
    prop::collection::vec(prop::collection::vec(any_write(), 0..writes), blocks)
}

/// A fixed chain of blocks with creations, changes, deletions and reuse, for tests that need one.
pub(crate) fn fixed_blocks(blocks: u8) -> Vec<Block> {
    (0..blocks)
        .map(|block| {
            let mut writes = Block::new();
            for table in SPECS.map(|spec| spec.id) {
                for n in 0..30u8 {
                    let key = n.wrapping_mul(block.wrapping_add(7)) % 150;
                    let value = (n % 4 != 3).then(|| vec![block, n, table.0]);
                    writes.push((table, vec![key], value));
                }
            }
            writes
        })
        .collect()
}
