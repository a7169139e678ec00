//! What the store keeps beside the rows, and the bytes it keeps it as.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    Fault, TableId, TableSpec,
    backend::Batch,
    hash::{Hash, app_hash, table_root},
    key::Key,
    rows::{Replaced, Row},
};

/// Where the store's own records stand in the meta family; the node's rows stand under [`NODE_META`].
pub(crate) const HEAD: &[u8] = b"store/head";
pub(crate) const FORMAT: &[u8] = b"store/format";
pub(crate) const RESTORING: &[u8] = b"store/restoring";
pub(crate) const NODE_META: &[u8] = b"node/";

/// The layout of the families. A database of another format is refused.
pub(crate) const FORMAT_NOW: [u8; 1] = [1];

/// Depth and root of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TableHead {
    /// Levels above the leaves.
    pub depth: u8,
    /// The table root.
    pub root: Hash,
}

/// What a commit made true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The height of the last commit; 0 before the first.
    pub height: u64,
    /// The root over the tables.
    pub app_hash: Hash,
    /// Each table, by id.
    pub tables: BTreeMap<TableId, TableHead>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct HeadRecord {
    height: u64,
    app_hash: Hash,
    tables: Vec<(u8, TableHead)>,
}

impl Head {
    /// The head over these tables.
    pub(crate) fn over(
        height: u64,
        specs: &[TableSpec],
        tables: BTreeMap<TableId, TableHead>,
    ) -> Self {
        let roots = specs.iter().filter_map(|spec| {
            let TableHead { depth: _, root } = tables.get(&spec.id)?;
            Some((spec.name, *root))
        });
        Self {
            height,
            app_hash: app_hash(roots),
            tables,
        }
    }

    /// The head before the first block: every table is empty.
    pub(crate) fn empty(specs: &[TableSpec]) -> Self {
        let tables = specs
            .iter()
            .map(|spec| {
                let root = table_root(spec.id, 0, &crate::hash::EMPTY);
                (spec.id, TableHead { depth: 0, root })
            })
            .collect();
        Self::over(0, specs, tables)
    }

    fn to_record(&self) -> HeadRecord {
        HeadRecord {
            height: self.height,
            app_hash: self.app_hash,
            tables: self.tables.iter().map(|(id, head)| (id.0, *head)).collect(),
        }
    }

    fn from_record(record: HeadRecord) -> Self {
        let HeadRecord {
            height,
            app_hash,
            tables,
        } = record;
        Self {
            height,
            app_hash,
            tables: tables
                .into_iter()
                .map(|(id, head)| (TableId(id), head))
                .collect(),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Fault> {
        encode(&self.to_record())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        decode("stored head", bytes).map(Self::from_record)
    }
}

/// How to undo one block: the head before it, and every row it changed as it was.
#[derive(Debug, Clone)]
pub(crate) struct Reverse {
    pub(crate) before: Head,
    pub(crate) tables: BTreeMap<TableId, Vec<(Key, Option<Row>)>>,
}

/// A row that a block replaced: its key, its index and value if it was there.
type OldRow = (Vec<u8>, Option<(u32, Vec<u8>)>);

#[derive(BorshDeserialize)]
struct ReverseRecord {
    before: HeadRecord,
    tables: Vec<(u8, Vec<OldRow>)>,
}

/// The same, borrowed, to be encoded.
#[derive(BorshSerialize)]
struct ReverseView<'r> {
    before: HeadRecord,
    tables: Vec<(u8, Vec<OldRowView<'r>>)>,
}

type OldRowView<'r> = (&'r [u8], Option<(u32, &'r [u8])>);

impl Reverse {
    pub(crate) fn decode(height: u64, bytes: &[u8]) -> Result<Self, Fault> {
        let ReverseRecord { before, tables } =
            decode(&format!("stored reverse of height {height}"), bytes)?;
        let row = |(index, value): (u32, Vec<u8>)| Row {
            value: value.into(),
            index,
        };
        Ok(Self {
            before: Head::from_record(before),
            tables: tables
                .into_iter()
                .map(|(id, rows)| {
                    let rows = rows
                        .into_iter()
                        .map(|(key, old)| (Key::new(&key), old.map(row)))
                        .collect();
                    (TableId(id), rows)
                })
                .collect(),
        })
    }
}

/// Encodes the reverse of a block from the head before it and the rows it changed.
pub(crate) fn encode_reverse<'r>(
    before: &Head,
    tables: impl Iterator<Item = (TableId, Vec<(&'r Key, Option<&'r Row>)>)>,
) -> Result<Vec<u8>, Fault> {
    let record = ReverseView {
        before: before.to_record(),
        tables: tables
            .map(|(id, rows)| {
                let rows = rows
                    .into_iter()
                    .map(|(key, old)| {
                        let old = old.map(|row| (row.index, row.value.as_ref()));
                        (key.as_slice(), old)
                    })
                    .collect();
                (id.0, rows)
            })
            .collect(),
    };
    encode(&record)
}

/// Adds a row, or its removal, to a batch.
pub(crate) fn batch_row<'r>(
    batch: &mut Batch<'r>,
    table: TableId,
    key: &'r Key,
    row: Option<&'r Row>,
) {
    let row = row.map(|row| (row.index, row.value.as_ref()));
    batch.set_row(table, key.as_slice(), row);
}

/// Reads a stored row.
pub(crate) fn decode_row(place: &str, bytes: &[u8]) -> Result<Row, Fault> {
    let Some((index, value)) = bytes.split_first_chunk::<4>() else {
        return Err(Fault::corrupt(
            place,
            format!(
                "a stored row has {} bytes, too few for its index",
                bytes.len()
            ),
        ));
    };
    Ok(Row {
        value: value.into(),
        index: u32::from_be_bytes(*index),
    })
}

/// One block below the head: what it replaced, kept so that proofs of earlier heights can be given.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) before: Head,
    pub(crate) tables: BTreeMap<TableId, Replaced>,
}

fn encode(record: &impl BorshSerialize) -> Result<Vec<u8>, Fault> {
    let bug = |error: borsh::io::Error| Fault::bug("encoding a store record", error.to_string());
    // Measured first: a reverse has tens of megabytes, and a list that grows stands in memory twice.
    let mut bytes = Vec::with_capacity(borsh::object_length(record).map_err(bug)?);
    record.serialize(&mut bytes).map_err(bug)?;
    Ok(bytes)
}

fn decode<R: BorshDeserialize>(place: &str, bytes: &[u8]) -> Result<R, Fault> {
    borsh::from_slice(bytes)
        .map_err(|error| Fault::corrupt(place, format!("it cannot be decoded: {error}")))
}
