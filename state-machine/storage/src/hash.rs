//! Every hashing formula of the app hash, in one place. All of it is SHA-256.
//!
//! | what | preimage |
//! |---|---|
//! | row leaf | `0 ‖ varint(len key) ‖ key ‖ varint(32) ‖ H(value)` |
//! | inner node | `1 ‖ left ‖ right` |
//! | page leaf | `2 ‖ page (u32, big endian) ‖ for each row in order of index: slot (u8) ‖ varint(len key) ‖ key ‖ varint(len value) ‖ value` |
//! | table root | `3 ‖ table id (u8) ‖ depth (u8) ‖ root of the table's tree` |
//! | table leaf | a row leaf whose key is the table's name and whose value is the table root |
//!
//! A leaf without a row, and a page without rows, is 32 zero bytes. An inner node over two empty children is hashed like
//! any other. The app hash is the root over the table leaves, in order of table id, padded with empty leaves to a power of
//! two of at least two. The first byte separates the kinds, so no preimage of one can be read as another.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::TableId;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// A leaf without a row.
pub const EMPTY: Hash = [0; 32];

/// The most levels a tree may have above its leaves: 33 million leaves, which are 33 million rows or 2 147 million in pages.
pub const DEPTH_MAX: u8 = 25;

/// First byte of a row leaf.
pub const ROW: u8 = 0;
/// First byte of an inner node.
pub const INNER: u8 = 1;
/// First byte of a page leaf.
pub const PAGE: u8 = 2;
/// First byte of a table root.
pub const TABLE: u8 = 3;

/// Roots of empty trees, by depth.
static EMPTY_AT: LazyLock<Vec<Hash>> = LazyLock::new(|| {
    let mut at = vec![EMPTY];
    let mut hash = EMPTY;
    for _ in 0..DEPTH_MAX {
        hash = inner(&hash, &hash);
        at.push(hash);
    }
    at
});

/// The root of an empty tree of this depth.
pub fn empty_at(depth: u8) -> Hash {
    EMPTY_AT
        .get(usize::from(depth))
        .copied()
        .expect("no tree is deeper than DEPTH_MAX: planning a deeper one is a fault")
}

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The leaf of one row.
pub fn row_leaf(key: &[u8], value: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([ROW]);
    update_prefixed(&mut hasher, key);
    update_prefixed(&mut hasher, &sha256(value));
    hasher.finalize().into()
}

/// The node over two nodes.
pub fn inner(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([INNER]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The leaf of one page: its rows as (slot in the page, key, value) in order of slot.
pub fn page_leaf<'r>(page: u32, rows: impl Iterator<Item = (u8, &'r [u8], &'r [u8])>) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([PAGE]);
    hasher.update(page.to_be_bytes());
    let mut is_empty = true;
    for (slot, key, value) in rows {
        is_empty = false;
        hasher.update([slot]);
        update_prefixed(&mut hasher, key);
        update_prefixed(&mut hasher, value);
    }
    if is_empty {
        return EMPTY;
    }
    hasher.finalize().into()
}

/// The root of a table, which fixes its id and its depth.
pub fn table_root(table: TableId, depth: u8, root: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([TABLE, table.0, depth]);
    hasher.update(root);
    hasher.finalize().into()
}

/// The levels of the tree over the list of tables, from its leaves to the app hash.
pub(crate) fn app_levels<'t>(tables: impl Iterator<Item = (&'t str, Hash)>) -> Vec<Vec<Hash>> {
    let leaves: Vec<Hash> = tables
        .map(|(name, root)| row_leaf(name.as_bytes(), &root))
        .collect();
    let mut levels = vec![leaves];
    for depth in 0..DEPTH_MAX {
        let Some(below) = levels.last() else { break };
        if below.len() < 2 && depth > 0 {
            break;
        }
        let above = below
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => inner(left, right),
                [left] => inner(left, &empty_at(depth)),
                _ => empty_at(depth),
            })
            .collect();
        levels.push(above);
    }
    levels
}

/// The app hash over the tables as (name, table root), in order of table id.
pub fn app_hash<'t>(tables: impl Iterator<Item = (&'t str, Hash)>) -> Hash {
    app_levels(tables)
        .last()
        .and_then(|top| top.first())
        .copied()
        .unwrap_or(EMPTY)
}

/// Adds the length of `bytes` as a protobuf varint, then the bytes.
fn update_prefixed(hasher: &mut Sha256, bytes: &[u8]) {
    let mut left = bytes.len();
    let mut varint = [0u8; 10];
    let mut len = 0usize;
    for byte in &mut varint {
        len = len.saturating_add(1);
        let low = u8::try_from(left & 0x7f).unwrap_or(0);
        left >>= 7;
        if left == 0 {
            *byte = low;
            break;
        }
        *byte = low | 0x80;
    }
    hasher.update(varint.get(..len).unwrap_or_default());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formulas once more, written out as one flat preimage.
    fn h(parts: &[&[u8]]) -> Hash {
        sha256(&parts.concat())
    }

    #[test]
    fn each_formula_is_the_written_one() {
        let value_hash = sha256(b"value");
        assert_eq!(
            row_leaf(b"key", b"value"),
            h(&[&[0, 3], b"key", &[32], &value_hash])
        );
        let long = [7u8; 300];
        assert_eq!(
            row_leaf(&long, b"value"),
            h(&[&[0, 0xac, 0x02], &long, &[32], &value_hash])
        );
        assert_eq!(inner(&[1; 32], &[2; 32]), h(&[&[1], &[1; 32], &[2; 32]]));
        assert_eq!(
            page_leaf(
                258,
                [(0u8, &b"a"[..], &b""[..]), (63, &b"bc"[..], &b"d"[..])].into_iter()
            ),
            h(&[
                &[2, 0, 0, 1, 2],
                &[0, 1],
                b"a",
                &[0],
                &[63, 2],
                b"bc",
                &[1],
                b"d"
            ])
        );
        assert_eq!(page_leaf(3, std::iter::empty()), [0; 32]);
        assert_eq!(
            table_root(TableId(9), 20, &[5; 32]),
            h(&[&[3, 9, 20], &[5; 32]])
        );
        assert_eq!(empty_at(2), inner(&empty_at(1), &empty_at(1)));
        assert_eq!(empty_at(1), h(&[&[1], &[0; 64]]));
    }

    #[test]
    fn the_app_hash_covers_every_table_and_pads_to_a_power_of_two() {
        let roots = [("a", [1; 32]), ("b", [2; 32]), ("c", [3; 32])];
        let [a, b, c] = roots.map(|(name, root)| row_leaf(name.as_bytes(), &root));
        assert_eq!(app_hash(roots.into_iter().take(1)), inner(&a, &EMPTY));
        assert_eq!(app_hash(roots.into_iter().take(2)), inner(&a, &b));
        assert_eq!(
            app_hash(roots.into_iter()),
            inner(&inner(&a, &b), &inner(&c, &EMPTY))
        );
    }
}
