//! The arithmetic of phase A, one row at a time.

use crate::seed::Requantiser;

/// The exact sum of products of two rows of int8. It cannot overflow: at most 32768 products of at most 2^14.
#[must_use]
pub fn dot(left: &[u8], right: &[u8]) -> i32 {
    left.iter().zip(right).fold(0_i32, |sum, (a, b)| {
        sum.wrapping_add(i32::from(a.cast_signed()).wrapping_mul(i32::from(b.cast_signed())))
    })
}

/// Some rows of the next matrix: `out = f(left · rightᵀ)`, where `left` holds as many rows of `size` bytes as `out`
/// and `right` holds all of them.
pub fn multiply_rows(
    size: usize,
    requantiser: &Requantiser,
    left: &[u8],
    right: &[u8],
    out: &mut [u8],
) {
    for (left_row, out_row) in left.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
        for (right_row, byte) in right.chunks_exact(size).zip(out_row) {
            *byte = requantiser.apply(dot(left_row, right_row));
        }
    }
}
