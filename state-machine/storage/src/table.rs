//! The tables: a fixed list, part of consensus.

use std::{fmt, sync::Arc};

use crate::Fault;

/// The number of a table. It is part of the table's root and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u8);

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What one leaf of a table's tree covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// One row. Outsiders can have the row proven.
    Row,
    /// A page of 64 rows. Cheaper, but no row can be proven.
    Page,
}

/// One table. Its id, name and kind of leaf are part of the app hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSpec {
    /// The number, under the table's root.
    pub id: TableId,
    /// The name: key of the table in the app hash, name of its column family. Lower case letters, digits, `_` and `-`.
    pub name: &'static str,
    /// What one leaf covers.
    pub leaf: Leaf,
}

/// The bytes of a row. Reading a row shares them; it never copies them.
pub type Value = Arc<[u8]>;

/// Checks a list of tables: not empty, ids rising, names plain and different.
///
/// # Errors
/// A fault that names the table at fault.
pub fn check_specs(specs: &[TableSpec]) -> Result<(), Fault> {
    let wrong = |spec: &TableSpec, what: &str| {
        Err(Fault::bug(
            format!("list of tables: {} {:?}", spec.id, spec.name),
            what,
        ))
    };
    if specs.is_empty() {
        return Err(Fault::bug("list of tables", "it is empty"));
    }
    let mut names = std::collections::BTreeSet::new();
    let mut id_before = None;
    for spec in specs {
        if id_before >= Some(spec.id) {
            return wrong(spec, "its id is not above the id before it");
        }
        id_before = Some(spec.id);
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if spec.name.is_empty() || spec.name.len() > 64 || !spec.name.bytes().all(plain) {
            return wrong(spec, "its name is not 1 to 64 of a-z, 0-9, _ and -");
        }
        if !names.insert(spec.name) {
            return wrong(spec, "its name is used twice");
        }
    }
    Ok(())
}
