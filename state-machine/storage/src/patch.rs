//! What a block will make true, worked out but not yet done.

use std::{collections::BTreeMap, fmt};

use crate::{TableId, hash::Hash, key::hex, record::TableHead, rows::TablePatch};

/// A staged block: its rows with their indices, the nodes that change, and the app hash. Nothing has changed yet; dropping
/// it leaves no trace.
#[derive(Clone)]
pub struct Patch {
    pub(crate) base_height: u64,
    pub(crate) base_app_hash: Hash,
    pub(crate) tables: BTreeMap<TableId, TablePatch>,
    /// Every table after the block.
    pub(crate) heads: BTreeMap<TableId, TableHead>,
    pub(crate) app_hash: Hash,
    /// Meta rows to write with the block, by key; none removes.
    pub(crate) meta: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Patch of {} rows over height {} to {}",
            self.rows(),
            self.base_height,
            hex(&self.app_hash)
        )
    }
}

impl Patch {
    /// The app hash after the block.
    pub fn app_hash(&self) -> Hash {
        self.app_hash
    }

    /// Each table's depth and root after the block: where two nodes differ, this says in which table.
    pub fn tables(&self) -> &BTreeMap<TableId, TableHead> {
        &self.heads
    }

    /// How many rows change.
    pub fn rows(&self) -> usize {
        self.tables
            .values()
            .map(|patch| patch.rows.len())
            .fold(0, usize::saturating_add)
    }

    /// Writes a meta row in the same atomic batch as the block; none removes it.
    pub fn set_meta(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        self.meta.insert(key.to_vec(), value);
    }
}
