//! What one block changed.

use std::collections::BTreeMap;

use crate::{TableId, Value};

/// One changed row: what it was and what it becomes. Never the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The value before the block; none if the row was not there.
    pub old: Option<Value>,
    /// The value after the block; none if the row is gone.
    pub new: Option<Value>,
}

/// Every row that a block changed, in order of table and key. A row that ends as it began is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSet {
    /// The changes by table and key.
    pub changes: BTreeMap<(TableId, Vec<u8>), Change>,
}

impl WriteSet {
    /// The changes of one table, in key order.
    pub fn table(&self, table: TableId) -> impl Iterator<Item = (&[u8], &Change)> + Clone {
        self.changes
            .range((table, Vec::new())..)
            .take_while(move |((id, _), _)| *id == table)
            .map(|((_, key), change)| (key.as_slice(), change))
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many rows changed.
    pub fn len(&self) -> usize {
        self.changes.len()
    }
}
