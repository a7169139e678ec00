//! Conversions that the lints ask to be written out.

/// A length or position as an index; a value beyond the address space becomes one that no slice has.
pub(crate) fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The low half of a word.
pub(crate) fn low32(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX)
}

/// Scales a uniform word to `0..bound`: the high half of their product.
pub(crate) fn scale(random: u64, bound: u64) -> u64 {
    let product = u128::from(random).wrapping_mul(u128::from(bound));
    u64::try_from(product >> 64).unwrap_or(u64::MAX)
}

/// Levels of a binary tree over `count` leaves: the smallest `d` with `2^d >= count`.
pub(crate) fn depth(count: u64) -> u32 {
    count.max(1).next_power_of_two().trailing_zeros()
}
