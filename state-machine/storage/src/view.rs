//! Reading the published version.

use std::{
    fmt,
    ops::{Bound, ControlFlow},
    sync::{Arc, RwLock, RwLockReadGuard},
};

use crate::{
    Fault, Patch, Proof, ProveError, Snapshot, TableId, Value, Visit, WriteSet, hash::Hash,
    key::hex, record::Head, rows::Row, version::Version,
};

/// What [`View::export`] calls for each row with its index; `Break` ends the export.
pub type VisitIndexed<'v> = dyn FnMut(u32, &[u8], &Value) -> ControlFlow<()> + 'v;

/// Reads the published version from any thread.
#[derive(Clone)]
pub struct Reader(pub(crate) Arc<RwLock<Version>>);

impl Reader {
    /// The published version. A commit waits until it is dropped: keep it for milliseconds, and page long scans.
    pub fn snapshot(&self) -> View<'_> {
        View::of(&self.0)
    }
}

/// The published version, which cannot change while this lives. Do not take a second view in the same thread while one is
/// alive: a commit that waits between the two would block both for ever.
pub struct View<'s> {
    version: RwLockReadGuard<'s, Version>,
    is_torn: bool,
}

impl<'s> View<'s> {
    pub(crate) fn of(published: &'s RwLock<Version>) -> Self {
        match published.read() {
            Ok(version) => Self {
                version,
                is_torn: false,
            },
            Err(poisoned) => Self {
                version: poisoned.into_inner(),
                is_torn: true,
            },
        }
    }

    pub(crate) fn version(&self) -> Result<&Version, Fault> {
        if self.is_torn {
            return Err(torn());
        }
        Ok(&self.version)
    }

    /// The height of this version; 0 before the first commit.
    pub fn height(&self) -> u64 {
        self.version.head.height
    }

    /// The app hash of this version.
    pub fn app_hash(&self) -> Hash {
        self.version.head.app_hash
    }

    /// Height, app hash, and depth and root of each table.
    pub fn head(&self) -> &Head {
        &self.version.head
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// A fault if the table is not in the list of tables.
    pub fn len(&self, table: TableId) -> Result<usize, Fault> {
        Ok(self.version()?.table(table)?.rows().len())
    }

    /// As [`Store::stage`](crate::Store::stage).
    ///
    /// # Errors
    /// As [`Store::stage`](crate::Store::stage).
    pub fn stage(&self, write_set: &WriteSet) -> Result<Patch, Fault> {
        self.version()?.stage(write_set)
    }

    /// As [`Store::prove`](crate::Store::prove).
    ///
    /// # Errors
    /// See [`ProveError`].
    pub fn prove(&self, table: TableId, key: &[u8], height: u64) -> Result<Proof, ProveError> {
        self.version()?.prove(table, key, height)
    }

    /// Visits the rows from `from` on with their indices, in key order, until `visit` breaks. Rows, indices and the depths
    /// in [`head`](Self::head) are all that a table is. Collect the shared values, drop the view, then encode: a commit
    /// waits for the view.
    ///
    /// # Errors
    /// A fault if the table is not in the list of tables.
    pub fn export(
        &self,
        table: TableId,
        from: &[u8],
        visit: &mut VisitIndexed<'_>,
    ) -> Result<(), Fault> {
        let rows = self.version()?.table(table)?.rows();
        for (key, Row { value, index }) in
            rows.range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
        {
            if visit(*index, key.as_slice(), value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Snapshot for View<'_> {
    fn get(&self, table: TableId, key: &[u8]) -> Result<Option<Value>, Fault> {
        let row = self.version()?.table(table)?.rows().get(key);
        Ok(row.map(|row| Arc::clone(&row.value)))
    }

    fn scan(
        &self,
        table: TableId,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        let rows = self.version()?.table(table)?.rows();
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        for (key, row) in rows.range::<[u8], _>((Bound::Included(from), end)) {
            if visit(key.as_slice(), &row.value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader at ")?;
        self.snapshot().fmt(f)
    }
}

/// The height and the app hash, never the rows: there may be millions.
impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "height {} ({})", self.height(), hex(&self.app_hash()))
    }
}

/// A fault for memory that no one may read any more.
pub(crate) fn torn() -> Fault {
    Fault::bug(
        "store",
        "a thread panicked while it published a block, so memory is half old and half new",
    )
}
