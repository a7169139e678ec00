//! The tree of cumulative payouts of one asset.
//!
//! A leaf's index is the order of the account's first withdrawal. A level with an odd number of nodes is completed by 32 zero bytes,
//! a single leaf is its own root, and the root of no leaf is zero, against which no proof is ever valid.

use crate::{Asset, Bytes32, sha256};

/// What stands for a node that is not there.
pub const EMPTY: Bytes32 = [0; 32];

/// The longest proof: a tree has at most 2^40 leaves.
pub const DEPTH_MAX: usize = 40;

/// Digest of a leaf. `cumulative` is all that was ever paid out to the account, base units.
pub fn leaf(chain_id: &Bytes32, asset: Asset, account: &Bytes32, cumulative: u64) -> Bytes32 {
    sha256(&[
        &[0],
        chain_id,
        &[asset.byte()],
        account,
        &cumulative.to_le_bytes(),
    ])
}

/// Digest of an inner node.
pub fn inner(left: &Bytes32, right: &Bytes32) -> Bytes32 {
    sha256(&[&[1], left, right])
}

/// The root that a leaf and its siblings from the bottom up lead to; none if the index has more bits than the proof has siblings.
pub fn root_of(leaf: Bytes32, index: u64, proof: &[Bytes32]) -> Option<Bytes32> {
    let mut node = leaf;
    let mut position = index;
    for sibling in proof {
        node = if position & 1 == 0 {
            inner(&node, sibling)
        } else {
            inner(sibling, &node)
        };
        position >>= 1;
    }
    (position == 0 && proof.len() <= DEPTH_MAX).then_some(node)
}

/// Whether the proof leads from the leaf to `root`. Never, if `root` is zero.
pub fn verify(root: &Bytes32, leaf: Bytes32, index: u64, proof: &[Bytes32]) -> bool {
    *root != EMPTY && root_of(leaf, index, proof).is_some_and(|found| found == *root)
}

/// A whole tree, on the side that makes proofs.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug)]
pub struct Tree {
    /// From the leaves to the root.
    levels: alloc::vec::Vec<alloc::vec::Vec<Bytes32>>,
}

#[cfg(feature = "alloc")]
impl Tree {
    /// Builds the tree over leaf digests in index order.
    pub fn new(leaves: alloc::vec::Vec<Bytes32>) -> Self {
        let mut levels = alloc::vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => inner(left, right),
                [left] => inner(left, &EMPTY),
                _ => EMPTY,
            });
            let above = above.collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// The root; zero for no leaf.
    pub fn root(&self) -> Bytes32 {
        self.levels
            .last()
            .and_then(|level| level.first())
            .copied()
            .unwrap_or(EMPTY)
    }

    /// The siblings of leaf `index` from the bottom up; none if there is no such leaf.
    pub fn proof(&self, index: u64) -> Option<alloc::vec::Vec<Bytes32>> {
        let mut position = usize::try_from(index).ok()?;
        self.levels.first()?.get(position)?;
        let below_root = self.levels.len().checked_sub(1)?;
        let mut proof = alloc::vec::Vec::with_capacity(below_root);
        for level in self.levels.iter().take(below_root) {
            proof.push(level.get(position ^ 1).copied().unwrap_or(EMPTY));
            position >>= 1;
        }
        Some(proof)
    }
}
