//! One table in memory: its rows in key order, the indices they have, and its tree.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Change, Fault, Leaf, TableSpec, Value,
    hash::{DEPTH_MAX, EMPTY, Hash, page_leaf, row_leaf, table_root},
    indices::Indices,
    key::{Key, hex},
    tree::{Levels, Tree, depth_for},
};

/// Rows of one page.
pub(crate) const PAGE_ROWS: u32 = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 6;

/// A row as it stands: its value and its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) value: Value,
    pub(crate) index: u32,
}

/// One changed row, with indices.
#[derive(Debug, Clone)]
pub(crate) struct RowChange {
    pub(crate) key: Key,
    pub(crate) old: Option<Row>,
    pub(crate) new: Option<Row>,
}

impl RowChange {
    /// The index that has no row of this key any more.
    fn left(&self) -> Option<u32> {
        let old = self.old.as_ref()?.index;
        let stays = self.new.as_ref().is_some_and(|new| new.index == old);
        (!stays).then_some(old)
    }
}

/// What a block changes in one table.
#[derive(Debug, Clone)]
pub(crate) struct TablePatch {
    pub(crate) rows: Vec<RowChange>,
    pub(crate) depth: u8,
    pub(crate) nodes: Levels,
    /// The table root after the block.
    pub(crate) root: Hash,
}

/// What a block replaced in one table: rows in key order, nodes by level.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replaced {
    pub(crate) rows: Vec<(Key, Option<Row>)>,
    pub(crate) nodes: Levels,
}

/// Key and value of the row at an index.
type Slot<'r> = (&'r [u8], &'r [u8]);

/// One table in memory.
#[derive(Debug)]
pub(crate) struct Table {
    spec: &'static TableSpec,
    rows: BTreeMap<Key, Row>,
    /// Keys and values by index; only for tables whose leaves are pages.
    slots: Vec<Option<(Key, Value)>>,
    indices: Indices,
    tree: Tree,
}

impl Table {
    /// A table from its rows in key order and the depth of its tree.
    ///
    /// # Errors
    /// A fault that names the table if the indices contradict each other or the depth.
    pub(crate) fn build(
        spec: &'static TableSpec,
        depth: u8,
        rows: Vec<(Key, Row)>,
    ) -> Result<Self, Fault> {
        let place = place(spec);
        let used: Vec<u32> = rows.iter().map(|(_, row)| row.index).collect();
        if let Some(index) = used.iter().max() {
            let needed = depth_for(&place, leaf_of(spec.leaf, *index))?;
            if needed > depth {
                let finding = format!("a row has the index {index}, but the depth is {depth}");
                return Err(Fault::corrupt(place, finding));
            }
        }
        if depth > DEPTH_MAX {
            let finding = format!("the depth is {depth}, above {DEPTH_MAX}");
            return Err(Fault::corrupt(place, finding));
        }
        let indices = Indices::from_used(&place, used)?;
        let mut table = Self {
            spec,
            rows: BTreeMap::new(),
            slots: Vec::new(),
            indices,
            tree: Tree::default(),
        };
        let leaves = match spec.leaf {
            Leaf::Row => row_leaves(&rows),
            Leaf::Page => {
                for (key, row) in &rows {
                    set_slot(
                        &mut table.slots,
                        row.index,
                        Some((key.clone(), row.value.clone())),
                    );
                }
                table.page_leaves()
            }
        };
        table.tree = Tree::build(depth, leaves);
        table.rows = rows.into_iter().collect();
        Ok(table)
    }

    pub(crate) fn spec(&self) -> &'static TableSpec {
        self.spec
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn rows(&self) -> &BTreeMap<Key, Row> {
        &self.rows
    }

    /// The table root now.
    pub(crate) fn root(&self) -> Hash {
        table_root(self.spec.id, self.tree.depth(), &self.tree.root())
    }

    /// Gives indices to the changes of one block and hashes what they change. Changes nothing.
    ///
    /// # Errors
    /// A fault if a change does not start from the row that stands here, or cannot be stored.
    pub(crate) fn stage<'c>(
        &self,
        changes: impl Iterator<Item = (&'c [u8], &'c Change)> + Clone,
    ) -> Result<TablePatch, Fault> {
        let mut rows = Vec::with_capacity(changes.clone().count());
        let mut freed = BTreeSet::new();
        for (key, Change { old, new }) in changes {
            let row = self.rows.get(key).cloned();
            self.check(key, row.as_ref(), old.as_ref(), new.as_ref())?;
            if let (Some(row), None) = (&row, new) {
                freed.insert(row.index);
            }
            rows.push(RowChange {
                key: Key::new(key),
                new: new.as_ref().map(|value| Row {
                    value: value.clone(),
                    // A new row's index is given below, once all that are freed are known.
                    index: row.as_ref().map_or(u32::MAX, |row| row.index),
                }),
                old: row,
            });
        }
        let place = place(self.spec);
        let mut lowest = self.indices.lowest(&freed);
        let mut depth = self.tree.depth();
        for RowChange { key: _, old, new } in &mut rows {
            if let (None, Some(row)) = (old, new) {
                row.index = lowest
                    .next()
                    .ok_or_else(|| Fault::bug(place.as_str(), "no index is free"))?;
                depth = depth.max(depth_for(&place, leaf_of(self.spec.leaf, row.index))?);
            }
        }
        Ok(self.plan(depth, rows))
    }

    fn check(
        &self,
        key: &[u8],
        row: Option<&Row>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<(), Fault> {
        let wrong = |finding: &str| {
            Err(Fault::bug(
                place(self.spec),
                format!("row {}: {finding}", hex(key)),
            ))
        };
        if row.map(|row| &row.value) != old {
            return wrong("the write set was made over other rows than these");
        }
        if key.is_empty() {
            return wrong("the key is empty");
        }
        // ICS-23 knows no empty value.
        if self.spec.leaf == Leaf::Row && new.is_some_and(|value| value.is_empty()) {
            return wrong("the value is empty, so it could not be proven");
        }
        Ok(())
    }

    /// Hashes what these changes (in key order, with indices) change. Changes nothing.
    pub(crate) fn plan(&self, depth: u8, rows: Vec<RowChange>) -> TablePatch {
        let leaves = match self.spec.leaf {
            Leaf::Row => changed_row_leaves(&rows),
            Leaf::Page => self.changed_page_leaves(&rows),
        };
        let nodes = self.tree.plan(depth, leaves);
        let root = table_root(self.spec.id, depth, &self.tree.root_after(depth, &nodes));
        TablePatch {
            rows,
            depth,
            nodes,
            root,
        }
    }

    /// Makes a patch true; returns what it replaced.
    pub(crate) fn apply(&mut self, patch: TablePatch) -> Replaced {
        let TablePatch {
            rows,
            depth,
            nodes,
            root: _,
        } = patch;
        // First every index that a row leaves, then every index that a row takes: one may be both.
        for index in rows.iter().filter_map(RowChange::left) {
            self.indices.release(index);
            if self.spec.leaf == Leaf::Page {
                set_slot(&mut self.slots, index, None);
            }
        }
        let mut replaced = Vec::with_capacity(rows.len());
        for RowChange { key, old, new } in rows {
            match new {
                Some(row) => {
                    if old.as_ref().is_none_or(|old| old.index != row.index) {
                        self.indices.occupy(row.index);
                    }
                    if self.spec.leaf == Leaf::Page {
                        let slot = Some((key.clone(), row.value.clone()));
                        set_slot(&mut self.slots, row.index, slot);
                    }
                    self.rows.insert(key.clone(), row);
                }
                None => {
                    self.rows.remove(&key);
                }
            }
            replaced.push((key, old));
        }
        Replaced {
            rows: replaced,
            nodes: self.tree.apply(depth, nodes),
        }
    }

    fn page_leaves(&self) -> Vec<Hash> {
        let page_rows = usize::try_from(PAGE_ROWS).unwrap_or(usize::MAX);
        (0u32..)
            .zip(self.slots.chunks(page_rows))
            .map(|(page, slots)| {
                let rows = (0u8..).zip(slots).filter_map(|(slot, row)| {
                    let (key, value) = row.as_ref()?;
                    Some((slot, key.as_slice(), value.as_ref()))
                });
                page_leaf(page, rows)
            })
            .collect()
    }

    fn slot(&self, index: u32) -> Option<Slot<'_>> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let (key, value) = self.slots.get(at)?.as_ref()?;
        Some((key.as_slice(), value.as_ref()))
    }

    fn changed_page_leaves(&self, rows: &[RowChange]) -> Vec<(u32, Hash)> {
        // The slots that change, by index; none where a row goes.
        let mut slots: BTreeMap<u32, Option<Slot<'_>>> = BTreeMap::new();
        for index in rows.iter().filter_map(RowChange::left) {
            slots.insert(index, None);
        }
        for RowChange { key, old: _, new } in rows {
            if let Some(row) = new {
                slots.insert(row.index, Some((key.as_slice(), row.value.as_ref())));
            }
        }
        let pages: BTreeSet<u32> = slots.keys().map(|index| index >> PAGE_BITS).collect();
        let leaf = |page: u32| {
            let rows = (0u8..).zip(0..PAGE_ROWS).filter_map(|(slot, offset)| {
                let index = (page << PAGE_BITS) | offset;
                let (key, value) = match slots.get(&index) {
                    Some(row) => (*row)?,
                    None => self.slot(index)?,
                };
                Some((slot, key, value))
            });
            page_leaf(page, rows)
        };
        pages.into_iter().map(|page| (page, leaf(page))).collect()
    }
}

/// What a fault calls a table.
pub(crate) fn place(spec: &TableSpec) -> String {
    format!("table {} {:?}", spec.id, spec.name)
}

/// The leaf that covers a row index.
pub(crate) fn leaf_of(leaf: Leaf, index: u32) -> u32 {
    match leaf {
        Leaf::Row => index,
        Leaf::Page => index >> PAGE_BITS,
    }
}

fn row_leaves(rows: &[(Key, Row)]) -> Vec<Hash> {
    let mut leaves = Vec::new();
    for (key, row) in rows {
        let at = usize::try_from(row.index).unwrap_or(usize::MAX);
        if leaves.len() <= at {
            leaves.resize(at.saturating_add(1), EMPTY);
        }
        if let Some(leaf) = leaves.get_mut(at) {
            *leaf = row_leaf(key.as_slice(), &row.value);
        }
    }
    leaves
}

/// Leaves in order of index, each once.
fn changed_row_leaves(rows: &[RowChange]) -> Vec<(u32, Hash)> {
    let left = rows.iter().filter_map(RowChange::left);
    let mut leaves: Vec<(u32, Hash)> = Vec::with_capacity(rows.len());
    leaves.extend(left.map(|index| (index, EMPTY)));
    for RowChange { key, old: _, new } in rows {
        if let Some(row) = new {
            leaves.push((row.index, row_leaf(key.as_slice(), &row.value)));
        }
    }
    // The sort is stable: where one row leaves an index that another takes, the leaf of the one that takes it stays.
    leaves.sort_by_key(|(index, _leaf)| *index);
    leaves.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = later.1;
        }
        same
    });
    leaves
}

fn set_slot(slots: &mut Vec<Option<(Key, Value)>>, index: u32, slot: Option<(Key, Value)>) {
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    if slots.len() <= at {
        if slot.is_none() {
            return;
        }
        slots.resize(at.saturating_add(1), None);
    }
    if let Some(place) = slots.get_mut(at) {
        *place = slot;
    }
}
