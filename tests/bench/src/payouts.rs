//! The tree of payouts that every settlement is signed over.

use std::collections::BTreeSet;

use io_settlement::payout::{Tree, inner, leaf};
use io_settlement::{Asset, Bytes32};

use crate::line::{Bar, Line, figure};
use crate::setup::{Setup, best};

const CHAIN: Bytes32 = [7; 32];

fn account(number: usize) -> Bytes32 {
    let mut account = [0; 32];
    account[..8].copy_from_slice(
        &(number as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes(),
    );
    account
}

fn leaf_of(number: usize, cumulative: u64) -> Bytes32 {
    leaf(&CHAIN, Asset::Io, &account(number), cumulative)
}

/// A million accounts of which ten thousand are paid: the root, against the hashes of the changed paths alone.
pub fn lines(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let accounts = setup.pick(1_000_000, 1_000);
    let updates = setup.pick(10_000, 10);
    let leaves: Vec<Bytes32> = (0..accounts).map(|number| leaf_of(number, 1)).collect();
    let changed: Vec<usize> = (0..updates).map(|n| n * 7_919 % accounts).collect();
    let hashes = hashes_needed(accounts, &changed);
    setup.say("the tree");
    let took = best(3, || {
        let mut leaves = leaves.clone();
        for number in &changed {
            leaves[*number] = leaf_of(*number, 2);
        }
        Tree::new(leaves).root()
    });
    setup.say("bare hashes");
    let bare = best(5, || {
        let mut node = [1; 32];
        for _hash in 0..hashes {
            node = inner(&node, &node);
        }
        node
    });
    Ok(vec![Line::measured(
        "payouts",
        format!(
            "root of the payout tree of {accounts} accounts after {updates} updates, against the {hashes} hashes of their paths alone, one core"
        ),
        figure(took.as_secs_f64() * 1e3, "ms"),
        figure(bare.as_secs_f64() * 1e3, "ms"),
        Bar::None,
    )])
}

/// How many hashes a new root needs: the changed leaves, and every node above one of them.
fn hashes_needed(leaves: usize, changed: &[usize]) -> usize {
    let mut level: BTreeSet<usize> = changed.iter().copied().collect();
    let (mut width, mut hashes) = (leaves, level.len());
    while width > 1 {
        level = level.iter().map(|place| place / 2).collect();
        width = width.div_ceil(2);
        hashes += level.len();
    }
    hashes
}
