//! All rows and trees at one height, with what the last blocks replaced.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    Fault, Leaf, Patch, Proof, ProveError, TableId, TableSpec, WriteSet,
    hash::Hash,
    key::{Key, hex},
    proof,
    record::{Head, Layer, Reverse, TableHead},
    rows::{Replaced, Row, RowChange, Table, TablePatch, leaf_of, place},
    tree::{Nodes, siblings},
};

/// How many heights can be proven: the head and those right below it.
pub const PROOF_HEIGHTS: u64 = 4;

/// How many reverses are kept. One more than proofs need, so that a rollback leaves all heights provable.
pub(crate) const LAYERS: usize = 4;

/// All rows and trees at one height.
pub(crate) struct Version {
    pub(crate) specs: &'static [TableSpec],
    pub(crate) tables: BTreeMap<TableId, Table>,
    pub(crate) head: Head,
    /// What each of the last blocks replaced, the newest at the back.
    pub(crate) layers: VecDeque<Layer>,
}

impl Version {
    /// A table by its id.
    ///
    /// # Errors
    /// A fault if it is not in the list of tables.
    pub(crate) fn table(&self, id: TableId) -> Result<&Table, Fault> {
        self.tables.get(&id).ok_or_else(|| unknown_table(id))
    }

    /// Plans one block. Changes nothing.
    ///
    /// # Errors
    /// A fault if a row belongs to no table, or a change does not start from these rows.
    pub(crate) fn stage(&self, write_set: &WriteSet) -> Result<Patch, Fault> {
        if let Some((id, _)) =
            (write_set.changes.keys()).find(|(id, _)| !self.tables.contains_key(id))
        {
            return Err(unknown_table(*id));
        }
        let mut heads = self.head.tables.clone();
        let mut tables = BTreeMap::new();
        for (id, table) in &self.tables {
            let changes = write_set.table(*id);
            if changes.clone().next().is_none() {
                continue;
            }
            let patch = table.stage(changes)?;
            let head = TableHead {
                depth: patch.depth,
                root: patch.root,
            };
            heads.insert(*id, head);
            tables.insert(*id, patch);
        }
        let Head {
            height: _,
            app_hash,
            tables: heads,
        } = Head::over(0, self.specs, heads);
        Ok(Patch {
            base_height: self.head.height,
            base_app_hash: self.head.app_hash,
            tables,
            heads,
            app_hash,
            meta: BTreeMap::new(),
        })
    }

    /// Makes a patch true at `height`. Returns layers that are kept no more, for the caller to free outside of any lock.
    pub(crate) fn apply(&mut self, patch: Patch, height: u64) -> Vec<Layer> {
        let Patch {
            base_height: _,
            base_app_hash: _,
            tables,
            heads,
            app_hash,
            meta: _,
        } = patch;
        let replaced = self.apply_tables(tables);
        let head = Head {
            height,
            app_hash,
            tables: heads,
        };
        self.layers.push_back(Layer {
            before: std::mem::replace(&mut self.head, head),
            tables: replaced,
        });
        let excess = self.layers.len().saturating_sub(LAYERS);
        self.layers.drain(..excess).collect()
    }

    fn apply_tables(
        &mut self,
        patches: BTreeMap<TableId, TablePatch>,
    ) -> BTreeMap<TableId, Replaced> {
        let mut replaced = BTreeMap::new();
        for (id, patch) in patches {
            if let Some(table) = self.tables.get_mut(&id) {
                replaced.insert(id, table.apply(patch));
            }
        }
        replaced
    }

    /// Rebuilds the layers of the last blocks from their reverses, the newest at the back: goes down block by block,
    /// compares each root with the stored one, and comes back up.
    ///
    /// # Errors
    /// A fault that names the table whose earlier root cannot be rebuilt.
    pub(crate) fn rebuild_layers(&mut self, reverses: Vec<Reverse>) -> Result<(), Fault> {
        let mut redo = Vec::new();
        for Reverse { before, tables } in reverses.into_iter().rev() {
            let mut patches = BTreeMap::new();
            for (id, rows) in tables {
                let table = self.table(id)?;
                let TableHead { depth, root: _ } = head_of(&before, id)?;
                if depth > table.tree().depth() {
                    return Err(Fault::corrupt(
                        place(table.spec()),
                        format!(
                            "its depth at height {} is stored as {depth}, but it is {} above, and depths only grow",
                            before.height,
                            table.tree().depth()
                        ),
                    ));
                }
                patches.insert(id, table.plan(depth, self.changes(id, rows)));
            }
            let replaced = self.apply_tables(patches);
            self.check_roots(&before, "rebuilt from the stored reverses")?;
            let after = std::mem::replace(&mut self.head, before);
            redo.push((after, replaced));
        }
        for (after, replaced) in redo.into_iter().rev() {
            let mut patches = BTreeMap::new();
            for (id, Replaced { rows, nodes }) in replaced {
                let TableHead { depth, root } = head_of(&after, id)?;
                let rows = self.changes(id, rows);
                let patch = TablePatch {
                    rows,
                    depth,
                    nodes,
                    root,
                };
                patches.insert(id, patch);
            }
            let tables = self.apply_tables(patches);
            self.layers.push_back(Layer {
                before: std::mem::replace(&mut self.head, after),
                tables,
            });
        }
        self.check_roots(
            &self.head,
            "after its last blocks were undone and done again",
        )
    }

    fn changes(&self, id: TableId, rows: Vec<(Key, Option<Row>)>) -> Vec<RowChange> {
        let table = self.tables.get(&id);
        rows.into_iter()
            .map(|(key, new)| {
                let old = table.and_then(|table| table.rows().get(&key)).cloned();
                RowChange { key, old, new }
            })
            .collect()
    }

    /// Compares every table root, and the app hash over them, with a head.
    ///
    /// # Errors
    /// A fault that names the first table that differs.
    pub(crate) fn check_roots(&self, head: &Head, how: &str) -> Result<(), Fault> {
        for (id, table) in &self.tables {
            let TableHead { depth: _, root } = head_of(head, *id)?;
            if table.root() != root {
                return Err(Fault::corrupt(
                    place(table.spec()),
                    format!(
                        "its root at height {} {how} is {}, but {} was committed",
                        head.height,
                        hex(&table.root()),
                        hex(&root)
                    ),
                ));
            }
        }
        let over = Head::over(head.height, self.specs, head.tables.clone());
        if over.app_hash != head.app_hash {
            return Err(Fault::corrupt(
                "app hash",
                format!(
                    "over the tables of height {} it is {}, but {} was committed",
                    head.height,
                    hex(&over.app_hash),
                    hex(&head.app_hash)
                ),
            ));
        }
        Ok(())
    }

    /// Proves a row at one of the last heights.
    ///
    /// # Errors
    /// See [`ProveError`].
    pub(crate) fn prove(&self, id: TableId, key: &[u8], height: u64) -> Result<Proof, ProveError> {
        let table = self.tables.get(&id).ok_or(ProveError::UnknownTable(id))?;
        let spec = table.spec();
        if spec.leaf != Leaf::Row {
            return Err(ProveError::NotProvable(spec.name));
        }
        let past = self.past(height)?;
        let row = past.row(table, key).ok_or_else(|| ProveError::NoRow {
            table: spec.name,
            key: hex(key),
            height,
        })?;
        let TableHead { depth, root } = head_of(past.head, id)?;
        let nodes = PastNodes { past: &past, table };
        let leaf = leaf_of(spec.leaf, row.index);
        let path = proof::row_path(leaf, &siblings(&nodes, depth, leaf), spec.id, depth);
        Ok(Proof {
            height,
            row: proof::existence(key, &row.value, path),
            table: proof::existence(
                spec.name.as_bytes(),
                &root,
                proof::table_path(self.specs, &past.head.tables, id),
            ),
        })
    }

    /// The rows and nodes as they were at a height.
    fn past(&self, height: u64) -> Result<Past<'_>, ProveError> {
        let highest = self.head.height;
        let lowest = self
            .layers
            .iter()
            .map(|layer| layer.before.height)
            .find(|before| *before > 0 && before.saturating_add(PROOF_HEIGHTS) > highest)
            .unwrap_or(highest);
        if height == highest {
            let (head, layers) = (&self.head, Vec::new());
            return Ok(Past { head, layers });
        }
        let mut layers = (self.layers.iter()).skip_while(|layer| layer.before.height < height);
        match layers.clone().next() {
            Some(layer) if layer.before.height == height && height >= lowest => Ok(Past {
                head: &layer.before,
                layers: layers.by_ref().collect(),
            }),
            Some(_) | None => Err(ProveError::Height {
                asked: height,
                lowest,
                highest,
            }),
        }
    }
}

/// A fault for a table that is not in the list.
pub(crate) fn unknown_table(id: TableId) -> Fault {
    Fault::bug(
        format!("table {id}"),
        "there is a row of it, but it is not in the list of tables",
    )
}

fn head_of(head: &Head, id: TableId) -> Result<TableHead, Fault> {
    head.tables.get(&id).copied().ok_or_else(|| {
        Fault::corrupt(
            format!("table {id}"),
            format!("the head of height {} lacks it", head.height),
        )
    })
}

/// Rows and nodes at a height: what the blocks above it replaced, the oldest first, over what stands now.
struct Past<'v> {
    head: &'v Head,
    layers: Vec<&'v Layer>,
}

impl Past<'_> {
    fn row(&self, table: &Table, key: &[u8]) -> Option<Row> {
        for layer in &self.layers {
            let Some(Replaced { rows, nodes: _ }) = layer.tables.get(&table.spec().id) else {
                continue;
            };
            if let Ok(at) = rows.binary_search_by(|(row, _)| row.as_slice().cmp(key)) {
                return rows.get(at).and_then(|(_, old)| old.clone());
            }
        }
        table.rows().get(key).cloned()
    }
}

struct PastNodes<'p> {
    past: &'p Past<'p>,
    table: &'p Table,
}

impl Nodes for PastNodes<'_> {
    fn node(&self, level: u8, position: u32) -> Hash {
        for layer in &self.past.layers {
            let nodes = layer
                .tables
                .get(&self.table.spec().id)
                .and_then(|Replaced { rows: _, nodes }| nodes.get(usize::from(level)));
            let Some(nodes) = nodes else { continue };
            if let Ok(at) = nodes.binary_search_by_key(&position, |(position, _)| *position)
                && let Some((_, hash)) = nodes.get(at)
            {
                return *hash;
            }
        }
        self.table.tree().node(level, position)
    }
}
