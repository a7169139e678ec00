//! Reading and writing on top of a snapshot. The snapshot is never changed; dropping an overlay leaves no trace.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    iter::Peekable,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use crate::{Change, Fault, Snapshot, TableId, Value, Visit, WriteSet, key::Key};

/// A point to which an overlay can return. Valid until a revert to an earlier mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// What the overlay holds for a row that was written.
#[derive(Debug, Clone)]
struct Written {
    /// None: the row is removed.
    value: Option<Value>,
    /// Where the journal has what was held before this row was first written after the last mark.
    undo: usize,
}

/// How to undo the writes of a row since a mark: what the overlay held for it before, if anything.
struct Undo {
    table: TableId,
    key: Key,
    before: Option<Written>,
}

type Writes = BTreeMap<Key, Written>;

/// Writes kept in memory over a snapshot that they read through to.
///
/// A transaction takes a [`mark`](Self::mark), writes, and on a rejection [`revert`](Self::revert)s to it.
pub struct Overlay<'s> {
    snapshot: &'s dyn Snapshot,
    writes: BTreeMap<TableId, Writes>,
    journal: Vec<Undo>,
    /// The last mark that can still be returned to. A row that was written since then needs no further entry in the journal;
    /// otherwise the journal would keep every value between two marks.
    last: Mark,
}

impl fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("writes", &self.writes)
            .field("journal", &self.journal.len())
            .finish_non_exhaustive()
    }
}

impl<'s> Overlay<'s> {
    /// An overlay without writes.
    pub fn new(snapshot: &'s dyn Snapshot) -> Self {
        Self {
            snapshot,
            writes: BTreeMap::new(),
            journal: Vec::new(),
            last: Mark(0),
        }
    }

    /// The value of a row as written here, or else as in the snapshot.
    ///
    /// # Errors
    /// The fault of the snapshot.
    pub fn get(&self, table: TableId, key: &[u8]) -> Result<Option<Value>, Fault> {
        match self.writes.get(&table).and_then(|rows| rows.get(key)) {
            Some(written) => Ok(written.value.clone()),
            None => self.snapshot.get(table, key),
        }
    }

    /// The value of a row before any write here.
    ///
    /// # Errors
    /// The fault of the snapshot.
    pub fn old(&self, table: TableId, key: &[u8]) -> Result<Option<Value>, Fault> {
        self.snapshot.get(table, key)
    }

    /// Creates or replaces a row.
    pub fn put(&mut self, table: TableId, key: &[u8], value: Vec<u8>) {
        self.write(table, key, Some(Arc::from(value)));
    }

    /// Removes a row; nothing happens if there is none.
    pub fn delete(&mut self, table: TableId, key: &[u8]) {
        self.write(table, key, None);
    }

    fn write(&mut self, table: TableId, key: &[u8], value: Option<Value>) {
        let rows = self.writes.entry(table).or_default();
        let undo = self.journal.len();
        let before = match rows.get_mut(key) {
            Some(written) if written.undo >= self.last.0 => {
                written.value = value;
                return;
            }
            Some(written) => Some(std::mem::replace(written, Written { value, undo })),
            None => rows.insert(Key::new(key), Written { value, undo }),
        };
        let key = Key::new(key);
        self.journal.push(Undo { table, key, before });
    }

    /// Writes every change of a write set, for one that was made over the same snapshot (genesis under the first block).
    pub fn apply(&mut self, write_set: &WriteSet) {
        for ((table, key), change) in &write_set.changes {
            self.write(*table, key, change.new.clone());
        }
    }

    /// Visits the rows with `from <= key < to` as [`Snapshot::scan`] does, with the writes of this overlay merged in.
    ///
    /// # Errors
    /// The fault of the snapshot.
    pub fn scan(
        &self,
        table: TableId,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let Some(rows) = self.writes.get(&table) else {
            return self.snapshot.scan(table, from, to, visit);
        };
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        let mut merge = Merge {
            written: rows
                .range::<[u8], _>((Bound::Included(from), end))
                .peekable(),
            visit,
            broken: false,
        };
        self.snapshot
            .scan(table, from, to, &mut |key, value| merge.row(key, value))?;
        merge.rest();
        Ok(())
    }

    /// A point to return to.
    pub fn mark(&mut self) -> Mark {
        self.last = Mark(self.journal.len());
        self.last
    }

    /// Undoes every write since `mark`.
    pub fn revert(&mut self, mark: Mark) {
        self.last = self.last.min(mark);
        while self.journal.len() > mark.0 {
            let Some(Undo { table, key, before }) = self.journal.pop() else {
                return;
            };
            let rows = self.writes.entry(table).or_default();
            match before {
                Some(written) => {
                    rows.insert(key, written);
                }
                None => {
                    rows.remove(&key);
                }
            }
        }
    }

    /// Every row written here and not reverted, in order of table and key; none for a removed row. A row may stand at its
    /// old value.
    pub fn writes(&self) -> impl Iterator<Item = (TableId, &[u8], Option<&Value>)> {
        self.writes.iter().flat_map(|(table, rows)| {
            rows.iter()
                .map(move |(key, written)| (*table, key.as_slice(), written.value.as_ref()))
        })
    }

    /// As [`writes`](Self::writes), of one table.
    pub fn writes_of(&self, table: TableId) -> impl Iterator<Item = (&[u8], Option<&Value>)> {
        self.writes
            .get(&table)
            .into_iter()
            .flatten()
            .map(|(key, written)| (key.as_slice(), written.value.as_ref()))
    }

    /// What changed against the snapshot, with the old values, without the rows that ended as they began.
    ///
    /// # Errors
    /// The fault of the snapshot.
    pub fn into_write_set(self) -> Result<WriteSet, Fault> {
        let Self {
            snapshot,
            writes,
            journal,
            last: _,
        } = self;
        drop(journal);
        // In order, so that the map is built from a list at once.
        let mut changes = Vec::with_capacity(writes.values().map(BTreeMap::len).sum());
        for (table, rows) in writes {
            for (key, written) in rows {
                let old = snapshot.get(table, key.as_slice())?;
                let new = written.value;
                if old != new {
                    changes.push(((table, key.as_slice().to_vec()), Change { old, new }));
                }
            }
        }
        Ok(WriteSet {
            changes: changes.into_iter().collect(),
        })
    }
}

impl Snapshot for Overlay<'_> {
    fn get(&self, table: TableId, key: &[u8]) -> Result<Option<Value>, Fault> {
        Overlay::get(self, table, key)
    }

    fn scan(
        &self,
        table: TableId,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        Overlay::scan(self, table, from, to, visit)
    }
}

/// The merge of the snapshot's rows, which arrive one by one, with the written rows.
struct Merge<'m, 'v> {
    written: Peekable<btree_map::Range<'m, Key, Written>>,
    visit: &'m mut Visit<'v>,
    broken: bool,
}

impl Merge<'_, '_> {
    /// Takes one row of the snapshot.
    fn row(&mut self, key: &[u8], value: &Value) -> ControlFlow<()> {
        while let Some((written_key, written)) = self
            .written
            .next_if(|(written_key, _)| written_key.as_slice() <= key)
        {
            self.show(written_key.as_slice(), written.value.as_ref())?;
            if written_key.as_slice() == key {
                return ControlFlow::Continue(());
            }
        }
        self.show(key, Some(value))
    }

    /// Takes the written rows after the last row of the snapshot.
    fn rest(&mut self) {
        while !self.broken {
            let Some((key, written)) = self.written.next() else {
                return;
            };
            if self.show(key.as_slice(), written.value.as_ref()).is_break() {
                return;
            }
        }
    }

    fn show(&mut self, key: &[u8], value: Option<&Value>) -> ControlFlow<()> {
        let Some(value) = value else {
            return ControlFlow::Continue(());
        };
        let flow = (self.visit)(key, value);
        self.broken = flow.is_break();
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Leaf, Store, TableSpec, backend::MemoryBackend};

    const ROWS: TableId = TableId(1);
    static SPECS: [TableSpec; 1] = [TableSpec {
        id: ROWS,
        name: "rows",
        leaf: Leaf::Row,
    }];

    #[test]
    fn a_row_written_often_keeps_one_value_for_each_mark() {
        let store = Store::open(&SPECS, Box::new(MemoryBackend::default())).unwrap();
        let view = store.snapshot();
        let mut overlay = Overlay::new(&view);
        for value in 0..100 {
            overlay.put(ROWS, b"k", vec![value]);
        }
        assert_eq!(overlay.journal.len(), 1);
        let marks: Vec<Mark> = (0..3)
            .map(|mark| {
                let here = overlay.mark();
                for value in 0..100 {
                    overlay.put(ROWS, b"k", vec![mark, value]);
                }
                here
            })
            .collect();
        assert_eq!(overlay.journal.len(), 4);
        for (mark, value) in marks
            .into_iter()
            .zip([vec![99], vec![0, 99], vec![1, 99]])
            .rev()
        {
            overlay.revert(mark);
            assert_eq!(
                overlay.get(ROWS, b"k").unwrap().as_deref(),
                Some(&value[..])
            );
        }
        // The first mark is the last one now, so one entry is enough again.
        overlay.put(ROWS, b"k", vec![7]);
        overlay.put(ROWS, b"k", vec![8]);
        assert_eq!(overlay.journal.len(), 2);
    }
}
