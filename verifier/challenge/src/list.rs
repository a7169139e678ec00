//! Merkle trees over short lists: the digests of all steps (`root_a`) and of all tables of states (`root_b`).
//!
//! A list is padded with zeros to a power of two. A node is the derive-key hash of its two children; the root hashes
//! the list's length and the top node under a context of its own, so that the two roots can never be exchanged.

use alloc::vec::Vec;

use crate::Digest;
use crate::num::{depth, to_usize};

const NODE_CONTEXT: &str = "io-chain challenge 1 list node";

/// Which list a root closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// Digests of the steps of phase A.
    Steps,
    /// Digests of the tables of phase B.
    Tables,
}

impl List {
    fn context(self) -> &'static str {
        match self {
            Self::Steps => "io-chain challenge 1 root a",
            Self::Tables => "io-chain challenge 1 root b",
        }
    }

    fn close(self, count: u32, top: &Digest) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key(self.context());
        hasher.update(&count.to_le_bytes()).update(top);
        *hasher.finalize().as_bytes()
    }

    /// The root over all leaves.
    pub(crate) fn root(self, leaves: &[Digest]) -> Digest {
        let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        let hasher = node_hasher();
        let mut level = padded(leaves);
        while level.len() > 1 {
            level = above(&hasher, &level);
        }
        self.close(count, &level.first().copied().unwrap_or_default())
    }

    /// The root that a leaf and its path lead to.
    pub(crate) fn fold(self, count: u32, leaf: &Digest, index: u32, path: &[Digest]) -> Digest {
        let hasher = node_hasher();
        let mut value = *leaf;
        let mut index = index;
        for sibling in path {
            value = if index & 1 == 0 {
                node(&hasher, &value, sibling)
            } else {
                node(&hasher, sibling, &value)
            };
            index >>= 1;
        }
        self.close(count, &value)
    }
}

/// The siblings on the way up from the leaf at `index`.
pub(crate) fn path(leaves: &[Digest], index: u32) -> Vec<Digest> {
    let hasher = node_hasher();
    let mut level = padded(leaves);
    let mut index = u64::from(index);
    let mut path = Vec::new();
    while level.len() > 1 {
        path.extend(level.get(to_usize(index ^ 1)).copied());
        index >>= 1;
        level = above(&hasher, &level);
    }
    path
}

fn node_hasher() -> blake3::Hasher {
    blake3::Hasher::new_derive_key(NODE_CONTEXT)
}

fn node(hasher: &blake3::Hasher, left: &Digest, right: &Digest) -> Digest {
    *hasher
        .clone()
        .update(left)
        .update(right)
        .finalize()
        .as_bytes()
}

fn padded(leaves: &[Digest]) -> Vec<Digest> {
    let mut level = leaves.to_vec();
    let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
    level.resize(to_usize(1_u64 << depth(count)), [0; 32]);
    level
}

fn above(hasher: &blake3::Hasher, level: &[Digest]) -> Vec<Digest> {
    let (pairs, _) = level.as_chunks::<2>();
    pairs
        .iter()
        .map(|[left, right]| node(hasher, left, right))
        .collect()
}
