//! BLAKE3's own tree as the Merkle tree of a matrix or of a table of states.
//!
//! Both have a power-of-two number of chunks, at least two, so the tree is complete: a span of `2^d` chunks that
//! starts at a multiple of its length is a subtree, and the path to the root has one value for each level above it.

use alloc::vec::Vec;

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::num::to_usize;
use crate::{CHUNK_BYTES, Digest};

/// The chaining value of an aligned span inside a longer input. `offset` must be a multiple of the span's length,
/// which must be a power of two of at least a chunk.
#[must_use]
pub fn subtree(offset: u64, bytes: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// Climbs from the value at `index` of its level to the root.
pub(crate) fn fold(value: Digest, index: u64, path: &[Digest]) -> Digest {
    let mut value = value;
    let mut index = index;
    let mut rest = path;
    while let Some((sibling, above)) = rest.split_first() {
        let (left, right) = if index & 1 == 0 {
            (&value, sibling)
        } else {
            (sibling, &value)
        };
        value = if above.is_empty() {
            *merge_subtrees_root(left, right, Mode::Hash).as_bytes()
        } else {
            merge_subtrees_non_root(left, right, Mode::Hash)
        };
        index >>= 1;
        rest = above;
    }
    value
}

/// All levels of a tree, from its leaves to the two values below the root. Holds twice the leaves.
#[derive(Clone, Debug)]
pub struct Tree {
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over the chunks of `bytes`, which begin at `offset` of the whole input.
    #[must_use]
    pub fn of(offset: u64, bytes: &[u8]) -> Self {
        let mut position = offset;
        let step = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX);
        let mut leaves = Vec::with_capacity(bytes.len().div_ceil(CHUNK_BYTES));
        for chunk in bytes.chunks(CHUNK_BYTES) {
            leaves.push(subtree(position, chunk));
            position = position.saturating_add(step);
        }
        Self::from_leaves(leaves)
    }

    /// The tree over given leaves: equal spans of a power-of-two number.
    #[must_use]
    pub fn from_leaves(leaves: Vec<Digest>) -> Self {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 2 {
            let (pairs, _) = level.as_chunks::<2>();
            let above = pairs
                .iter()
                .map(|[left, right]| merge_subtrees_non_root(left, right, Mode::Hash))
                .collect();
            levels.push(level);
            level = above;
        }
        if level.len() == 2 {
            levels.push(level);
        }
        Self { levels }
    }

    /// The digest of the whole input; `None` for a tree of one leaf, which is never a whole input here.
    #[must_use]
    pub fn root(&self) -> Option<Digest> {
        match self.levels.last().map(Vec::as_slice) {
            Some([left, right]) => Some(*merge_subtrees_root(left, right, Mode::Hash).as_bytes()),
            Some(_) | None => None,
        }
    }

    /// The siblings on the way up from the node at `index` of `level` (0 = leaves).
    #[must_use]
    pub fn path(&self, level: u32, index: u64) -> Vec<Digest> {
        let mut index = index;
        let mut path = Vec::new();
        for nodes in self.levels.iter().skip(to_usize(u64::from(level))) {
            path.extend(nodes.get(to_usize(index ^ 1)).copied());
            index >>= 1;
        }
        path
    }
}
