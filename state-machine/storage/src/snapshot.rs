//! Reading rows.

use std::ops::ControlFlow;

use crate::{Fault, TableId, Value};

/// What [`Snapshot::scan`] calls for each row; `Break` ends the scan.
pub type Visit<'v> = dyn FnMut(&[u8], &Value) -> ControlFlow<()> + 'v;

/// Rows as they stand at one moment. All reads see the same moment.
pub trait Snapshot {
    /// The value of a row, if there is one.
    ///
    /// # Errors
    /// A fault if the table is not in the list of tables.
    fn get(&self, table: TableId, key: &[u8]) -> Result<Option<Value>, Fault>;

    /// Visits the rows with `from <= key < to` (to the end without `to`) in key order until `visit` breaks.
    ///
    /// # Errors
    /// A fault if the table is not in the list of tables.
    fn scan(
        &self,
        table: TableId,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault>;
}
