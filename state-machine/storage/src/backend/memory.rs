//! A store in memory, for tests, simulations and benchmarks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{Backend, Batch, Family, VisitBytes, Write};
use crate::Fault;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a memory store has made durable. Clones share it, so it outlives the store that wrote it, as a disk outlives a
/// process.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<BTreeMap<Family, Rows>>>);

impl Disk {
    /// Changes one stored value behind the store's back, as a bad disk does; none removes the row.
    ///
    /// # Errors
    /// A fault if a thread panicked while it wrote.
    pub fn tamper(&self, family: Family, key: &[u8], value: Option<Vec<u8>>) -> Result<(), Fault> {
        let mut batch = Batch::default();
        batch.set(family, key.to_vec(), value);
        self.write(batch)
    }

    /// Every row of a family.
    ///
    /// # Errors
    /// A fault if a thread panicked while it wrote.
    pub fn rows(&self, family: Family) -> Result<Rows, Fault> {
        self.with(|families| families.get(&family).cloned().unwrap_or_default())
    }

    pub(super) fn write(&self, batch: Batch<'_>) -> Result<(), Fault> {
        self.with(|families| {
            for Write { family, key, value } in batch.writes {
                let rows = families.entry(family).or_default();
                match value {
                    Some(value) => {
                        rows.insert(key.into_owned(), value.bytes(&mut Vec::new()).to_vec())
                    }
                    None => rows.remove(key.as_ref()),
                };
            }
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<Family, Rows>) -> T) -> Result<T, Fault> {
        match self.0.lock() {
            Ok(mut families) => Ok(act(&mut families)),
            Err(_poisoned) => Err(Fault::bug(
                "memory store",
                "a thread panicked while it wrote",
            )),
        }
    }
}

/// A store that keeps its rows in a [`Disk`] in memory.
#[derive(Debug, Default)]
pub struct MemoryBackend(Disk);

impl MemoryBackend {
    /// A store over what is on `disk`.
    pub fn new(disk: &Disk) -> Self {
        Self(disk.clone())
    }
}

impl Backend for MemoryBackend {
    fn families(&self) -> Result<Vec<Family>, Fault> {
        self.0.with(|families| families.keys().copied().collect())
    }

    fn scan(&self, family: Family, visit: &mut VisitBytes<'_>) -> Result<(), Fault> {
        for (key, value) in self.0.rows(family)? {
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&mut self, batch: Batch<'_>) -> Result<(), Fault> {
        self.0.write(batch)
    }
}
