//! Products of 64-bit numbers. The compiler's own checked product uses 128 bits, which the program's target does not have.

const LOW: u64 = 0xffff_ffff;

/// The product; none if it does not fit. Made of the products of 32-bit halves, none of which can wrap.
pub const fn checked(first: u64, second: u64) -> Option<u64> {
    let (first_high, second_high) = (first >> 32, second >> 32);
    if first_high != 0 && second_high != 0 {
        return None;
    }
    let (first_low, second_low) = (first & LOW, second & LOW);
    // One of the two is zero.
    let middle = first_high.wrapping_mul(second_low) | first_low.wrapping_mul(second_high);
    if middle > LOW {
        return None;
    }
    (middle << 32).checked_add(first_low.wrapping_mul(second_low))
}

/// The product, or the highest number if it does not fit.
pub const fn saturating(first: u64, second: u64) -> u64 {
    match checked(first, second) {
        Some(product) => product,
        None => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::{checked, saturating};

    #[test]
    fn products_agree_with_the_compilers() {
        let edges = [
            0,
            1,
            2,
            3,
            744,
            0xffff_ffff,
            0x1_0000_0000,
            0x5555_5555_5555_5555,
            0x7fff_ffff_ffff_ffff,
            u64::MAX - 1,
            u64::MAX,
        ];
        for first in edges {
            for second in edges {
                assert_eq!(checked(first, second), first.checked_mul(second));
                assert_eq!(saturating(first, second), first.saturating_mul(second));
            }
        }
    }
}
