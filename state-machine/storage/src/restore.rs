//! A store from the rows of a snapshot. Nothing is written before every root, and so the app hash, is the trusted one.

use std::collections::BTreeMap;

use crate::{
    Fault, Store, TableId, TableSpec,
    backend::{Backend, Batch, Family},
    hash::Hash,
    key::{Key, hex},
    record::{self, FORMAT, FORMAT_NOW, HEAD, Head, RESTORING, TableHead},
    rows::{Row, Table, place},
    table::check_specs,
};

/// Rows of one write while a snapshot is stored.
const BATCH_ROWS: usize = 10_000;

/// What a snapshot must turn out to be. Height and app hash come from a trusted header, depths from the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreTarget {
    /// The height of the snapshot.
    pub height: u64,
    /// The app hash of that height, which the header of the next height carries.
    pub app_hash: Hash,
    /// The depth of each table's tree. The app hash covers it.
    pub depths: BTreeMap<TableId, u8>,
}

/// One row of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its table.
    pub table: TableId,
    /// Its index in the table.
    pub index: u32,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Why a snapshot was not restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The snapshot is not the state of the trusted header: take one from another peer. Nothing was written.
    #[error("the snapshot is refused: {0}")]
    Refused(String),
    /// This node cannot store it.
    #[error(transparent)]
    Faulted(#[from] Fault),
}

impl Store {
    /// Fills an empty backend with the rows of a snapshot, in any order, and opens it. Earlier heights than the snapshot's
    /// cannot be proven. If the process ends on the way, opening the backend is a fault that says so.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn restore(
        specs: &'static [TableSpec],
        mut backend: Box<dyn Backend>,
        target: &RestoreTarget,
        rows: impl IntoIterator<Item = SnapshotRow>,
    ) -> Result<Self, RestoreError> {
        check_specs(specs)?;
        check_empty(backend.as_ref())?;
        let mut sorted = sort(specs, rows)?;
        let head = check(specs, target, &sorted)?;

        let mut first = Batch::default();
        first.set(Family::Meta, FORMAT.to_vec(), Some(FORMAT_NOW.to_vec()));
        first.set(Family::Meta, RESTORING.to_vec(), Some(Vec::new()));
        backend.write(first)?;
        for (table, rows) in std::mem::take(&mut sorted) {
            for rows in rows.chunks(BATCH_ROWS) {
                let mut batch = Batch::default();
                for (key, row) in rows {
                    record::batch_row(&mut batch, table, key, Some(row));
                }
                backend.write(batch)?;
            }
        }
        let mut last = Batch::default();
        last.set(Family::Meta, RESTORING.to_vec(), None);
        last.set(Family::Meta, HEAD.to_vec(), Some(head.encode()?));
        backend.write(last)?;
        Ok(Self::open(specs, backend)?)
    }
}

type Sorted = BTreeMap<TableId, Vec<(Key, Row)>>;

fn check_empty(backend: &dyn Backend) -> Result<(), Fault> {
    for family in backend.families()? {
        let mut is_empty = true;
        backend.scan(family, &mut |_, _| {
            is_empty = false;
            std::ops::ControlFlow::Break(())
        })?;
        if !is_empty {
            return Err(Fault::new(
                "restore",
                format!("the database has rows already, in {family:?}"),
                "remove the data folder, then restore again",
            ));
        }
    }
    Ok(())
}

fn sort(
    specs: &[TableSpec],
    rows: impl IntoIterator<Item = SnapshotRow>,
) -> Result<Sorted, RestoreError> {
    let mut sorted: Sorted = specs.iter().map(|spec| (spec.id, Vec::new())).collect();
    for row in rows {
        let SnapshotRow {
            table,
            index,
            key,
            value,
        } = row;
        let Some(rows) = sorted.get_mut(&table) else {
            let reason =
                format!("there is a row of table {table}, which is not in the list of tables");
            return Err(RestoreError::Refused(reason));
        };
        let value = value.into();
        rows.push((Key::new(&key), Row { value, index }));
    }
    for (table, rows) in &mut sorted {
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        let twice = rows.windows(2).find_map(|pair| match pair {
            [(one, _), (other, _)] if one == other => Some(one),
            _ => None,
        });
        if let Some(key) = twice {
            let reason = format!("table {table} has the row {} twice", hex(key.as_slice()));
            return Err(RestoreError::Refused(reason));
        }
    }
    Ok(sorted)
}

/// Builds every tree and compares the app hash over them with the trusted one.
fn check(
    specs: &'static [TableSpec],
    target: &RestoreTarget,
    sorted: &Sorted,
) -> Result<Head, RestoreError> {
    let RestoreTarget {
        height,
        app_hash,
        depths,
    } = target;
    if *height == 0 {
        return Err(RestoreError::Refused("its height is 0".to_owned()));
    }
    let mut heads = BTreeMap::new();
    for spec in specs {
        let depth = depths
            .get(&spec.id)
            .copied()
            .ok_or_else(|| RestoreError::Refused(format!("it has no depth for {}", place(spec))))?;
        let rows = sorted.get(&spec.id).cloned().unwrap_or_default();
        // A contradiction here is the peer's, not this node's.
        let table = Table::build(spec, depth, rows).map_err(|fault| {
            RestoreError::Refused(format!("{}: {}", fault.place(), fault.finding()))
        })?;
        let root = table.root();
        heads.insert(spec.id, TableHead { depth, root });
    }
    let head = Head::over(*height, specs, heads);
    if head.app_hash != *app_hash {
        return Err(RestoreError::Refused(format!(
            "its app hash is {}, but the header of height {} has {}",
            hex(&head.app_hash),
            height.saturating_add(1),
            hex(app_hash)
        )));
    }
    Ok(head)
}
