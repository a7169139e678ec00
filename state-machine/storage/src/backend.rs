//! The durable store: families of ordered rows, written in atomic batches. It knows nothing of trees.

use std::{fmt::Debug, ops::ControlFlow};

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
pub struct Write {
    /// Where.
    pub family: Family,
    /// Which row.
    pub key: Vec<u8>,
    /// Its value from now on; none removes it.
    pub value: Option<Vec<u8>>,
}

/// Writes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The writes; a later one wins.
    pub writes: Vec<Write>,
}

impl Batch {
    /// Adds a write.
    pub fn set(&mut self, family: Family, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.writes.push(Write { family, key, value });
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
    fn write(&mut self, batch: Batch) -> Result<(), Fault>;
}
