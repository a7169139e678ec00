//! The dense Merkle tree of one table, in memory. Leaf `i` of level 0 belongs to row or page `i`; node `i` of a level stands
//! over nodes `2i` and `2i + 1` of the level below. Nodes that were never set are roots of empty trees.

use crate::{
    Fault,
    hash::{DEPTH_MAX, Hash, empty_at, inner},
};

/// Reads nodes, now or as they were at some height.
pub(crate) trait Nodes {
    fn node(&self, level: u8, position: u32) -> Hash;
}

/// Nodes by level from the leaves up, in order of position.
pub(crate) type Levels = Vec<Vec<(u32, Hash)>>;

/// All nodes of a tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    depth: u8,
    levels: Vec<Vec<Hash>>,
}

impl Nodes for Tree {
    fn node(&self, level: u8, position: u32) -> Hash {
        self.levels
            .get(usize::from(level))
            .and_then(|nodes| nodes.get(place(position)))
            .copied()
            .unwrap_or_else(|| empty_at(level))
    }
}

impl Tree {
    /// The tree over all leaves, which must fit the depth.
    pub(crate) fn build(depth: u8, leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        for level in 0..depth {
            let Some(below) = levels.last() else { break };
            let above = below
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => inner(left, right),
                    [left] => inner(left, &empty_at(level)),
                    _ => empty_at(level),
                })
                .collect();
            levels.push(above);
        }
        Self { depth, levels }
    }

    pub(crate) fn depth(&self) -> u8 {
        self.depth
    }

    pub(crate) fn root(&self) -> Hash {
        self.node(self.depth, 0)
    }

    /// The nodes that change when these leaves (in order of position, each once) are set and the depth becomes `depth`.
    /// Works level by level, so each node is hashed once. Changes nothing.
    ///
    /// A tree that grows gets all its new first nodes this way: the lowest free indices are given, so leaf `2^(k-1)` is
    /// created in the block in which level `k` comes to be, and it lies under that level's first node.
    pub(crate) fn plan(&self, depth: u8, mut leaves: Vec<(u32, Hash)>) -> Levels {
        // A smaller depth happens only when a block is undone: the leaves beyond it are empty in both trees.
        let capacity = 1u64.checked_shl(u32::from(depth)).unwrap_or(u64::MAX);
        leaves.retain(|(position, _)| u64::from(*position) < capacity);
        let mut levels = vec![leaves];
        for level in 0..depth {
            let Some(below) = levels.last() else { break };
            let mut above: Vec<(u32, Hash)> = Vec::with_capacity(below.len());
            let mut changed = below.iter().peekable();
            while let Some((position, hash)) = changed.next() {
                let twin = position ^ 1;
                let twin_hash = match changed.next_if(|(next, _)| *next == twin) {
                    Some((_, twin_hash)) => *twin_hash,
                    None => self.node(level, twin),
                };
                let node = if position & 1 == 0 {
                    inner(hash, &twin_hash)
                } else {
                    inner(&twin_hash, hash)
                };
                above.push((position >> 1, node));
            }
            levels.push(above);
        }
        levels
    }

    /// The root after a plan.
    pub(crate) fn root_after(&self, depth: u8, plan: &Levels) -> Hash {
        plan.get(usize::from(depth))
            .and_then(|top| top.first())
            .map_or_else(|| self.node(depth, 0), |(_, hash)| *hash)
    }

    /// Sets the nodes of a plan and the depth; returns the nodes that they replace.
    pub(crate) fn apply(&mut self, depth: u8, plan: Levels) -> Levels {
        self.depth = depth;
        let mut replaced = Levels::with_capacity(plan.len());
        for (level, changes) in (0u8..).zip(plan) {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(nodes) = self.levels.get_mut(usize::from(level)) else {
                break;
            };
            let empty = empty_at(level);
            let mut before = Vec::with_capacity(changes.len());
            for (position, hash) in changes {
                let at = place(position);
                if nodes.len() <= at {
                    nodes.resize(at.saturating_add(1), empty);
                }
                if let Some(node) = nodes.get_mut(at) {
                    before.push((position, std::mem::replace(node, hash)));
                }
            }
            replaced.push(before);
        }
        replaced
    }
}

/// The siblings of a leaf from the bottom up.
pub(crate) fn siblings(nodes: &impl Nodes, depth: u8, leaf: u32) -> Vec<Hash> {
    let mut position = leaf;
    let mut path = Vec::with_capacity(usize::from(depth));
    for level in 0..depth {
        path.push(nodes.node(level, position ^ 1));
        position >>= 1;
    }
    path
}

/// The lowest depth with room for this leaf.
///
/// # Errors
/// A fault naming the table at `table` if no tree is that deep.
pub(crate) fn depth_for(table: &str, leaf: u32) -> Result<u8, Fault> {
    let bits = leaf.checked_ilog2().map_or(0, |log| log.saturating_add(1));
    u8::try_from(bits)
        .ok()
        .filter(|depth| *depth <= DEPTH_MAX)
        .ok_or_else(|| {
            Fault::new(
                table,
                format!("leaf {leaf} does not fit a tree of depth {DEPTH_MAX}"),
                "the table is full: rows must be removed by an upgrade before the chain can go on",
            )
        })
}

fn place(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
