//! The matrix product around a tile: packing, blocking for the caches, and the threads.

use io_challenge::Requantiser;
use rayon::prelude::*;

use crate::BLOCK_ROWS;

/// The innermost part of a product: `ROWS` rows by `COLUMNS` columns of the result over all of the depth.
///
/// Rows are packed as words of `DEPTH` values; a step of a packed panel holds one word of each row.
pub(crate) trait Tile<const ROWS: usize, const COLUMNS: usize>: Sync {
    /// Values in a word.
    const DEPTH: usize;
    /// What packing adds to every value of the older matrix.
    const SHIFT: i32;

    /// A word of the newer matrix from `DEPTH` bytes.
    fn left(bytes: &[u8]) -> u32;

    /// A word of the older matrix from `DEPTH` bytes.
    fn right(bytes: &[u8]) -> u32;

    /// Adds the products over some steps to the sums of a tile.
    fn add(
        &self,
        left: &[[u32; ROWS]],
        right: &[[u32; COLUMNS]],
        sums: &mut [[u32; COLUMNS]; ROWS],
    );
}

/// Values of each row that are multiplied at a time: a block of the older matrix's tile stays in the first cache while
/// all rows of the task meet it.
const BLOCK_DEPTH: usize = 1024;

/// Interleaves the words of `LANES` rows. Works on 64 bytes of each row at a time, which stay in the first cache.
fn pack<const LANES: usize>(
    rows: &[u8],
    size: usize,
    depth: usize,
    word: impl Fn(&[u8]) -> u32,
    panel: &mut [[u32; LANES]],
) {
    let block_steps = 64 / depth;
    for (block, steps) in panel.chunks_mut(block_steps).enumerate() {
        for (lane, row) in rows.chunks_exact(size).enumerate() {
            let bytes = &row[block * 64..block * 64 + steps.len() * depth];
            for (step, bytes) in steps.iter_mut().zip(bytes.chunks_exact(depth)) {
                step[lane] = word(bytes);
            }
        }
    }
}

/// `out = f(newer · olderᵀ)` on all threads. `packed` keeps its memory between calls.
pub(crate) fn multiply<T, const ROWS: usize, const COLUMNS: usize>(
    tile: &T,
    size: usize,
    requantiser: Requantiser,
    (newer, older, out): (&[u8], &[u8], &mut [u8]),
    packed: &mut Vec<u32>,
) where
    T: Tile<ROWS, COLUMNS>,
{
    let steps = size / T::DEPTH;
    packed.resize(size * steps, 0);
    let (columns, _) = packed.as_chunks_mut::<COLUMNS>();
    columns
        .par_chunks_mut(steps)
        .zip(older.par_chunks(COLUMNS * size))
        .for_each(|(panel, rows)| {
            pack(rows, size, T::DEPTH, T::right, panel);
        });
    let columns: &[[u32; COLUMNS]] = columns;

    let block = BLOCK_ROWS * size;
    out.par_chunks_mut(block)
        .zip(newer.par_chunks(block))
        .for_each(|(out, newer)| {
            let mut left = vec![[0; ROWS]; BLOCK_ROWS / ROWS * steps];
            let mut kappas = [[0; ROWS]; BLOCK_ROWS];
            let panels = left
                .chunks_mut(steps)
                .zip(newer.chunks_exact(ROWS * size))
                .zip(&mut kappas);
            for ((panel, rows), kappas) in panels {
                pack(rows, size, T::DEPTH, T::left, panel);
                for (kappa, row) in kappas.iter_mut().zip(rows.chunks_exact(size)) {
                    *kappa = corrected(requantiser.kappa, T::SHIFT, row);
                }
            }
            let block_steps = BLOCK_DEPTH / T::DEPTH;
            let mut sums = [[[0; COLUMNS]; ROWS]; BLOCK_ROWS];
            let sums = &mut sums[..BLOCK_ROWS / ROWS];
            for (tile_index, right) in columns.chunks_exact(steps).enumerate() {
                sums.fill([[0; COLUMNS]; ROWS]);
                for (block, right) in right.chunks(block_steps).enumerate() {
                    let first = block * block_steps;
                    for (left, sums) in left.chunks_exact(steps).zip(sums.iter_mut()) {
                        tile.add(&left[first..first + right.len()], right, sums);
                    }
                }
                let column = tile_index * COLUMNS;
                let rows = sums.as_flattened().iter().zip(kappas.as_flattened());
                for ((sums, kappa), row) in rows.zip(out.chunks_exact_mut(size)) {
                    let bytes = &mut row[column..column + COLUMNS];
                    for (byte, sum) in bytes.iter_mut().zip(sums) {
                        *byte = (sum.wrapping_add(*kappa).wrapping_mul(requantiser.odd))
                            .to_le_bytes()[3];
                    }
                }
            }
        });
}

/// Takes back what the shift of the older matrix has added to the sums of a row: the shift times the row's own sum.
fn corrected(kappa: u32, shift: i32, row: &[u8]) -> u32 {
    if shift == 0 {
        return kappa;
    }
    let sum = row.iter().fold(0_i32, |sum, byte| {
        sum.wrapping_add(i32::from(byte.cast_signed()))
    });
    kappa.wrapping_sub(sum.wrapping_mul(shift).cast_unsigned())
}
