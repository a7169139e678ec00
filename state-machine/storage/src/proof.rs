//! Rows proven to outsiders: two ICS-23 existence proofs, row → table root → app hash. No absence is proven.
//!
//! A header at height `h + 1` carries the app hash of height `h`. `docs/proofs.md` says how to check a proof without
//! this crate.

use std::collections::BTreeMap;

use ics23::{
    CommitmentProof, ExistenceProof, HashOp, HostFunctionsManager, InnerOp, InnerSpec, LeafOp,
    LengthOp, ProofSpec, commitment_proof,
};

use crate::{
    Fault, Leaf, TableId, TableSpec,
    hash::{DEPTH_MAX, EMPTY, Hash, INNER, ROW, TABLE, app_levels, empty_at},
    record::TableHead,
};

/// A row under a table root, and the table root under the app hash of a height.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The height whose app hash this proves against. The header of the next height carries it.
    pub height: u64,
    /// Key and value of the row, up to the table root.
    pub row: ExistenceProof,
    /// Name and root of the table, up to the app hash.
    pub table: ExistenceProof,
}

/// Why a row was not proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// No table has this id.
    #[error("there is no table {0}")]
    UnknownTable(TableId),
    /// The table's leaves are pages.
    #[error("rows of table {0} cannot be proven, because its leaves cover pages")]
    NotProvable(&'static str),
    /// The height is not kept.
    #[error("height {asked} cannot be proven, only {lowest} to {highest}")]
    Height {
        /// The height that was asked for.
        asked: u64,
        /// The lowest height that can be proven.
        lowest: u64,
        /// The highest height that can be proven.
        highest: u64,
    },
    /// There was no such row.
    #[error("table {table} has no row {key} at height {height}, and absence cannot be proven")]
    NoRow {
        /// The name of the table.
        table: &'static str,
        /// The key in hexadecimal.
        key: String,
        /// The height.
        height: u64,
    },
    /// The node is broken.
    #[error(transparent)]
    Faulted(#[from] Fault),
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The table is not in the list, or its rows cannot be proven.
    #[error("rows of table {0} cannot be proven")]
    Table(TableId),
    /// The row proof has another shape than ours, or names another table or depth.
    #[error("the proof of the row is not of the form that this chain uses for this table")]
    RowShape,
    /// The table proof has another shape than ours.
    #[error("the proof of the table is not of the form that this chain uses")]
    TableShape,
    /// The row proof does not lead from this row to the table root.
    #[error("the row does not lead to the table root")]
    Row,
    /// The table proof does not lead from the table root to the app hash.
    #[error("the table root does not lead to the app hash")]
    AppHash,
}

impl Proof {
    /// Checks both steps against an app hash from a trusted header; returns the proven value.
    ///
    /// ICS-23 alone would accept other prefixes and depths, so the exact form is checked first.
    ///
    /// # Errors
    /// See [`ProofError`].
    pub fn verify(
        &self,
        specs: &[TableSpec],
        id: TableId,
        key: &[u8],
        app_hash: &Hash,
    ) -> Result<&[u8], ProofError> {
        let Self {
            height: _,
            row,
            table,
        } = self;
        let spec = specs
            .iter()
            .find(|spec| spec.id == id && spec.leaf == Leaf::Row)
            .ok_or(ProofError::Table(id))?;
        if !is_row_shape(row, id) {
            return Err(ProofError::RowShape);
        }
        if !is_path_shape(&table.path)
            || table.leaf.as_ref() != Some(&leaf_op())
            || table.path.len() != usize::from(table_depth(specs.len()))
        {
            return Err(ProofError::TableShape);
        }
        let root = &table.value;
        if !holds(row, &row_proof_spec(), root, key, &row.value) {
            return Err(ProofError::Row);
        }
        let spec_above = table_proof_spec(specs.len());
        if !holds(table, &spec_above, app_hash, spec.name.as_bytes(), root) {
            return Err(ProofError::AppHash);
        }
        Ok(&row.value)
    }

    /// Both steps as ICS-23 messages, the row first.
    pub fn commitments(&self) -> [CommitmentProof; 2] {
        [commitment(&self.row), commitment(&self.table)]
    }
}

/// The ICS-23 spec of the step from a row to its table root: up to 25 inner nodes, then the table root.
pub fn row_proof_spec() -> ProofSpec {
    proof_spec(1, i32::from(DEPTH_MAX).saturating_add(1), 3)
}

/// The ICS-23 spec of the step from a table root to the app hash, in a chain with this many tables.
pub fn table_proof_spec(tables: usize) -> ProofSpec {
    let depth = i32::from(table_depth(tables));
    proof_spec(depth, depth, 1)
}

/// Levels above the table leaves in a chain with this many tables.
pub fn table_depth(tables: usize) -> u8 {
    let bits = tables.next_power_of_two().max(2).trailing_zeros();
    u8::try_from(bits).unwrap_or(u8::MAX)
}

fn proof_spec(min_depth: i32, max_depth: i32, max_prefix_length: i32) -> ProofSpec {
    ProofSpec {
        leaf_spec: Some(leaf_op()),
        inner_spec: Some(InnerSpec {
            child_order: vec![0, 1],
            child_size: 32,
            min_prefix_length: 1,
            max_prefix_length,
            empty_child: EMPTY.to_vec(),
            hash: HashOp::Sha256.into(),
        }),
        max_depth,
        min_depth,
        prehash_key_before_comparison: false,
    }
}

fn leaf_op() -> LeafOp {
    LeafOp {
        hash: HashOp::Sha256.into(),
        prehash_key: HashOp::NoHash.into(),
        prehash_value: HashOp::Sha256.into(),
        length: LengthOp::VarProto.into(),
        prefix: vec![ROW],
    }
}

fn is_row_shape(row: &ExistenceProof, id: TableId) -> bool {
    let Some((top, path)) = row.path.split_last() else {
        return false;
    };
    let Ok(depth) = u8::try_from(path.len()) else {
        return false;
    };
    row.leaf.as_ref() == Some(&leaf_op()) && is_path_shape(path) && *top == table_op(id, depth)
}

/// Whether each step is an inner node with our child on one side and 32 bytes on the other.
fn is_path_shape(path: &[InnerOp]) -> bool {
    path.iter().all(|step| {
        let InnerOp {
            hash,
            prefix,
            suffix,
        } = step;
        *hash == i32::from(HashOp::Sha256)
            && prefix.first() == Some(&INNER)
            && matches!((prefix.len(), suffix.len()), (1, 32) | (33, 0))
    })
}

fn holds(proof: &ExistenceProof, spec: &ProofSpec, root: &[u8], key: &[u8], value: &[u8]) -> bool {
    ics23::verify_membership::<HostFunctionsManager>(
        &commitment(proof),
        spec,
        &root.to_vec(),
        key,
        value,
    )
}

fn commitment(proof: &ExistenceProof) -> CommitmentProof {
    CommitmentProof {
        proof: Some(commitment_proof::Proof::Exist(proof.clone())),
    }
}

pub(crate) fn existence(key: &[u8], value: &[u8], path: Vec<InnerOp>) -> ExistenceProof {
    ExistenceProof {
        key: key.to_vec(),
        value: value.to_vec(),
        leaf: Some(leaf_op()),
        path,
    }
}

/// The steps from a leaf to the table root.
pub(crate) fn row_path(leaf: u32, siblings: &[Hash], id: TableId, depth: u8) -> Vec<InnerOp> {
    let mut path = inner_path(leaf, siblings);
    path.push(table_op(id, depth));
    path
}

/// The steps from the leaf of a table to the app hash.
pub(crate) fn table_path(
    specs: &[TableSpec],
    heads: &BTreeMap<TableId, TableHead>,
    id: TableId,
) -> Vec<InnerOp> {
    let roots = specs.iter().filter_map(|spec| {
        let TableHead { depth: _, root } = heads.get(&spec.id)?;
        Some((spec.name, *root))
    });
    let mut leaf = 0;
    for (position, spec) in (0u32..).zip(specs) {
        if spec.id == id {
            leaf = position;
        }
    }
    let levels = app_levels(roots);
    let siblings: Vec<Hash> = (0u8..table_depth(specs.len()))
        .zip(&levels)
        .map(|(level, nodes)| {
            let twin = (leaf >> level) ^ 1;
            let at = usize::try_from(twin).unwrap_or(usize::MAX);
            nodes.get(at).copied().unwrap_or_else(|| empty_at(level))
        })
        .collect();
    inner_path(leaf, &siblings)
}

fn inner_path(leaf: u32, siblings: &[Hash]) -> Vec<InnerOp> {
    (0u32..)
        .zip(siblings)
        .map(|(level, sibling)| {
            let is_left = (leaf >> level) & 1 == 0;
            let (prefix, suffix) = if is_left {
                (vec![INNER], sibling.to_vec())
            } else {
                ([&[INNER], sibling.as_slice()].concat(), Vec::new())
            };
            InnerOp {
                hash: HashOp::Sha256.into(),
                prefix,
                suffix,
            }
        })
        .collect()
}

fn table_op(id: TableId, depth: u8) -> InnerOp {
    InnerOp {
        hash: HashOp::Sha256.into(),
        prefix: vec![TABLE, id.0, depth],
        suffix: Vec::new(),
    }
}
