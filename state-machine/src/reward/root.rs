//! The Merkle root over an epoch's results, leaf by leaf: a block adds its devices and keeps what the next one needs.

use io_settlement::payout::{EMPTY, inner};
use io_types::Hash;

/// Adds a leaf. `peaks` holds, for each height, the root of a full subtree that waits for its right neighbour.
pub(super) fn add(peaks: &mut Vec<Option<Hash>>, leaf: Hash) {
    let mut node = leaf;
    for peak in peaks.iter_mut() {
        let Some(left) = peak.take() else {
            *peak = Some(node);
            return;
        };
        node = Hash(inner(&left.0, &node.0));
    }
    peaks.push(Some(node));
}

/// The root over all leaves so far: that of [`io_settlement::payout::Tree`].
pub(super) fn root(peaks: &[Option<Hash>]) -> Hash {
    let Some((top, below)) = peaks.split_last() else {
        return Hash(EMPTY);
    };
    let mut right: Option<[u8; 32]> = None;
    for peak in below {
        right = match (peak, right) {
            (Some(left), right) => Some(inner(&left.0, &right.unwrap_or(EMPTY))),
            (None, Some(node)) => Some(inner(&node, &EMPTY)),
            (None, None) => None,
        };
    }
    match (top, right) {
        (Some(left), Some(right)) => Hash(inner(&left.0, &right)),
        (Some(only), None) => *only,
        (None, _never) => Hash(EMPTY),
    }
}

#[cfg(test)]
mod tests {
    use io_settlement::payout::Tree;

    use super::*;

    #[test]
    fn leaf_by_leaf_the_root_is_that_of_the_whole_tree() {
        let mut peaks = Vec::new();
        let mut leaves = Vec::new();
        assert_eq!(root(&peaks), Hash(Tree::new(Vec::new()).root()));
        for number in 1..=130_u8 {
            leaves.push([number; 32]);
            add(&mut peaks, Hash([number; 32]));
            assert_eq!(root(&peaks).0, Tree::new(leaves.clone()).root(), "{number}");
        }
    }
}
