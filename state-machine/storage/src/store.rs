//! The store: one published version of all rows and trees in memory, over a durable backend.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use crate::{
    Fault, Patch, Proof, ProveError, Reader, TableId, TableSpec, View, WriteSet,
    backend::{Backend, Batch, Family},
    hash::Hash,
    open,
    record::{self, FORMAT, FORMAT_NOW, HEAD, Head, NODE_META},
    rows::RowChange,
    version::{LAYERS, Version},
    view::torn,
};

/// Meta rows of the node, by key.
pub(crate) type Meta = BTreeMap<Vec<u8>, Vec<u8>>;

/// The rows of the chain. One thread stages and commits; any thread may read through [`Store::reader`].
pub struct Store {
    published: Arc<RwLock<Version>>,
    durable: Mutex<Durable>,
    meta: RwLock<Meta>,
}

struct Durable {
    backend: Box<dyn Backend>,
    /// The fault of an earlier write. What is on disk since then is known only to who reopens it.
    broken: Option<Fault>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store at ")?;
        self.snapshot().fmt(f)
    }
}

impl Durable {
    fn write(&mut self, batch: Batch<'_>) -> Result<(), Fault> {
        self.backend.write(batch).inspect_err(|fault| {
            self.broken = Some(fault.clone());
        })
    }
}

impl Store {
    /// Opens a store: loads every row, rebuilds every tree and compares every root with the committed one.
    ///
    /// # Errors
    /// A fault that names the table and says what to do, if the tables are listed wrongly, the backend cannot be read, a
    /// row belongs to no table, or a root differs.
    pub fn open(specs: &'static [TableSpec], backend: Box<dyn Backend>) -> Result<Self, Fault> {
        let (version, meta) = open::load(specs, backend.as_ref())?;
        Ok(Self {
            published: Arc::new(RwLock::new(version)),
            durable: Mutex::new(Durable {
                backend,
                broken: None,
            }),
            meta: RwLock::new(meta),
        })
    }

    /// The height of the last commit; 0 before the first.
    pub fn height(&self) -> u64 {
        self.snapshot().height()
    }

    /// The app hash of the last commit; before the first, that of empty tables.
    pub fn app_hash(&self) -> Hash {
        self.snapshot().app_hash()
    }

    /// The published version. A commit waits until every view of it is dropped.
    pub fn snapshot(&self) -> View<'_> {
        View::of(&self.published)
    }

    /// A handle for other threads that can only read.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.published))
    }

    /// Works out what a block makes true: indices, nodes and app hash. Changes nothing.
    ///
    /// # Errors
    /// A fault if a row belongs to no table, cannot be stored, or was read from another version.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a write set is staged once; who needs it afterwards clones it"
    )]
    pub fn stage(&self, write_set: WriteSet) -> Result<Patch, Fault> {
        self.snapshot().stage(&write_set)
    }

    /// Makes a staged block durable in one synced atomic batch, then publishes it. No view may be alive in this thread.
    ///
    /// # Errors
    /// A fault if the patch was staged on another version, the height is not the next one, or the batch may not be
    /// durable. After that only reopening tells what is true, so every further commit is refused.
    pub fn commit(&self, patch: Patch, height: u64) -> Result<(), Fault> {
        let mut durable = self.durable()?;
        let batch = commit_batch(&self.snapshot(), &patch, height)?;
        durable.write(batch)?;
        self.publish_meta(&patch.meta);
        let unkept = {
            let mut version = self.published.write().map_err(|_poisoned| torn())?;
            version.apply(patch, height)
        };
        // Freeing thousands of nodes takes time that no reader should wait for.
        drop(unkept);
        Ok(())
    }

    /// Proves a row at one of the last [`PROOF_HEIGHTS`](crate::PROOF_HEIGHTS) heights.
    ///
    /// # Errors
    /// See [`ProveError`].
    pub fn prove(&self, table: TableId, key: &[u8], height: u64) -> Result<Proof, ProveError> {
        self.snapshot().prove(table, key, height)
    }

    /// Undoes the last committed block, durably, and loads everything again. Returns the height after it. For an operator,
    /// while the node stands still. Meta rows stay.
    ///
    /// # Errors
    /// A fault if the reverse of the last block is not stored, or the outcome is not the height before.
    pub fn rollback(&self) -> Result<u64, Fault> {
        let mut durable = self.durable()?;
        {
            let view = self.snapshot();
            durable.write(rollback_batch(&view)?)?;
        }
        let specs = self.snapshot().version()?.specs;
        let (version, _meta) = open::load(specs, durable.backend.as_ref())?;
        let height = version.head.height;
        *self.published.write().map_err(|_poisoned| torn())? = version;
        Ok(height)
    }

    /// A meta row: a small value beside the tables, outside the app hash, such as the chain id.
    pub fn meta(&self, key: &[u8]) -> Option<Vec<u8>> {
        let meta = self.meta.read().unwrap_or_else(PoisonError::into_inner);
        meta.get(key).cloned()
    }

    /// Writes a meta row durably now; none removes it. To write one together with a block see [`Patch::set_meta`].
    ///
    /// # Errors
    /// A fault if it may not be durable.
    pub fn set_meta(&self, key: &[u8], value: Option<Vec<u8>>) -> Result<(), Fault> {
        let mut durable = self.durable()?;
        let rows = BTreeMap::from([(key.to_vec(), value)]);
        let mut batch = Batch::default();
        batch_format(&mut batch);
        batch_meta(&mut batch, &rows);
        durable.write(batch)?;
        self.publish_meta(&rows);
        Ok(())
    }

    fn durable(&self) -> Result<MutexGuard<'_, Durable>, Fault> {
        let durable = self.durable.lock().map_err(|_poisoned| torn())?;
        match &durable.broken {
            None => Ok(durable),
            Some(fault) => Err(Fault::new(
                "store",
                format!("an earlier write failed ({fault}), so what is on disk is not known"),
                "restart the node: it opens the last state that is durable",
            )),
        }
    }

    fn publish_meta(&self, rows: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
        let mut meta = self.meta.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in rows {
            match value {
                Some(value) => meta.insert(key.clone(), value.clone()),
                None => meta.remove(key),
            };
        }
    }
}

/// The key of a reverse: its height, big endian.
pub(crate) fn reverse_key(height: u64) -> Vec<u8> {
    height.to_be_bytes().to_vec()
}

fn batch_format(batch: &mut Batch<'_>) {
    batch.set(Family::Meta, FORMAT.to_vec(), Some(FORMAT_NOW.to_vec()));
}

fn batch_meta(batch: &mut Batch<'_>, rows: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
    for (key, value) in rows {
        batch.set(Family::Meta, [NODE_META, key].concat(), value.clone());
    }
}

/// Everything that one commit writes: rows, meta rows, head, the reverse of this block, less the reverse kept no more.
fn commit_batch<'p>(view: &View<'_>, patch: &'p Patch, height: u64) -> Result<Batch<'p>, Fault> {
    let before = &view.version()?.head;
    if (patch.base_height, patch.base_app_hash) != (before.height, before.app_hash) {
        return Err(Fault::bug(
            "commit",
            format!(
                "the block was staged on height {}, but the head is {}",
                patch.base_height, before.height
            ),
        ));
    }
    let is_next = before.height == 0 || before.height.checked_add(1) == Some(height);
    if !is_next || height == 0 {
        let finding = format!("height {height} does not follow height {}", before.height);
        return Err(Fault::bug("commit", finding));
    }
    let mut batch = Batch::default();
    for (id, table) in &patch.tables {
        for RowChange { key, old: _, new } in &table.rows {
            record::batch_row(&mut batch, *id, key, new.as_ref());
        }
    }
    let replaced = patch.tables.iter().map(|(id, table)| {
        let rows = table.rows.iter();
        (
            *id,
            rows.map(|change| (&change.key, change.old.as_ref()))
                .collect(),
        )
    });
    let reverse = record::encode_reverse(before, replaced)?;
    batch.set(Family::Reverse, reverse_key(height), Some(reverse));
    let kept = u64::try_from(LAYERS).unwrap_or(u64::MAX);
    if let Some(unkept) = height.checked_sub(kept) {
        batch.set(Family::Reverse, reverse_key(unkept), None);
    }
    let head = Head {
        height,
        app_hash: patch.app_hash,
        tables: patch.heads.clone(),
    };
    batch_format(&mut batch);
    batch_meta(&mut batch, &patch.meta);
    batch.set(Family::Meta, HEAD.to_vec(), Some(head.encode()?));
    Ok(batch)
}

/// Everything that undoing the last block writes.
fn rollback_batch<'v>(view: &'v View<'_>) -> Result<Batch<'v>, Fault> {
    let version = view.version()?;
    let height = version.head.height;
    let Some(layer) = version.layers.back() else {
        return Err(Fault::new(
            "rollback",
            format!("no block below height {height} is stored"),
            "restore from a snapshot of an earlier height",
        ));
    };
    let mut batch = Batch::default();
    for (id, replaced) in &layer.tables {
        for (key, old) in &replaced.rows {
            record::batch_row(&mut batch, *id, key, old.as_ref());
        }
    }
    batch.set(Family::Reverse, reverse_key(height), None);
    let head = match layer.before.height {
        0 => None,
        _ => Some(layer.before.encode()?),
    };
    batch.set(Family::Meta, HEAD.to_vec(), head);
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::{Leaf, Snapshot, backend::MemoryBackend};

    static SPECS: [TableSpec; 1] = [TableSpec {
        id: TableId(1),
        name: "rows",
        leaf: Leaf::Row,
    }];

    #[test]
    fn memory_that_is_half_published_is_read_by_no_one() {
        let store = Store::open(&SPECS, Box::new(MemoryBackend::default())).unwrap();
        let patch = store.stage(WriteSet::default()).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _version = store.published.write().unwrap();
            panic!("in the middle of publishing");
        }));
        assert!(panicked.is_err());
        let view = store.snapshot();
        assert_eq!(view.get(TableId(1), b"k"), Err(torn()));
        assert_eq!(
            view.prove(TableId(1), b"k", 0),
            Err(ProveError::Faulted(torn()))
        );
        drop(view);
        assert_eq!(store.stage(WriteSet::default()).unwrap_err(), torn());
        assert_eq!(store.commit(patch, 1), Err(torn()));
    }
}
