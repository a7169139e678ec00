//! The durable store: families of ordered rows, written in atomic batches. It knows nothing of trees.

use std::{borrow::Cow, fmt::Debug, ops::ControlFlow};

use crate::{Fault, TableId};

mod faulty;
mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;

pub use faulty::{Crash, FaultyBackend};
pub use memory::{Disk, MemoryBackend};
#[cfg(feature = "rocksdb")]
pub use rocks::RocksBackend;

/// A family of rows with its own key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Small records beside the tables.
    Meta,
    /// How to undo the last blocks, by height.
    Reverse,
    /// The rows of a table.
    Table(TableId),
}

/// One write of a batch: the value to set, or none to remove the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write<'b> {
    /// Where.
    pub family: Family,
    /// Which row.
    pub key: Cow<'b, [u8]>,
    /// Its value from now on; none removes it.
    pub value: Option<Stored<'b>>,
}

/// A value as it is stored: rows of tables have their index in front. A block can change a hundred thousand rows, so they
/// are borrowed until the backend has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<'b> {
    index: Option<[u8; 4]>,
    value: Cow<'b, [u8]>,
}

impl Stored<'_> {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        let index = self.index.map_or(0, |index| index.len());
        index.saturating_add(self.value.len())
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes in one piece. Those of a row are put together in `scratch`.
    pub fn bytes<'s>(&'s self, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        let Some(index) = self.index else {
            return &self.value;
        };
        scratch.clear();
        scratch.extend_from_slice(&index);
        scratch.extend_from_slice(&self.value);
        scratch
    }
}

/// Writes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch<'b> {
    /// The writes; a later one wins.
    pub writes: Vec<Write<'b>>,
}

impl<'b> Batch<'b> {
    /// Adds a write.
    pub fn set(&mut self, family: Family, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.writes.push(Write {
            family,
            key: key.into(),
            value: value.map(|value| Stored {
                index: None,
                value: value.into(),
            }),
        });
    }

    /// Adds a row of a table, or its removal. A stored row is its index (u32, big endian), then its value.
    pub fn set_row(&mut self, table: TableId, key: &'b [u8], row: Option<(u32, &'b [u8])>) {
        self.writes.push(Write {
            family: Family::Table(table),
            key: key.into(),
            value: row.map(|(index, value)| Stored {
                index: Some(index.to_be_bytes()),
                value: value.into(),
            }),
        });
    }
}

/// What [`Backend::scan`] calls for each row.
pub type VisitBytes<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// A durable store.
pub trait Backend: Debug + Send {
    /// Every family that holds rows, or could.
    ///
    /// # Errors
    /// A fault if it cannot be read.
    fn families(&self) -> Result<Vec<Family>, Fault>;

    /// Visits the rows of a family in key order until `visit` breaks.
    ///
    /// # Errors
    /// A fault if it cannot be read, or a checksum is wrong.
    fn scan(&self, family: Family, visit: &mut VisitBytes<'_>) -> Result<(), Fault>;

    /// Writes a batch atomically. When this returns, the batch survives a power cut.
    ///
    /// # Errors
    /// A fault if it may not be durable. Whether it is, only reopening tells.
    fn write(&mut self, batch: Batch<'_>) -> Result<(), Fault>;
}
