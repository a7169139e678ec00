//! Money: the only type that may hold it, and the only products it has.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Base units of one asset (IO: 10⁻⁸, USDC and credit: 10⁻⁶). It has no operators.
///
/// In JSON an amount is a decimal string, because a u64 does not fit a JavaScript number.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// That many base units.
    pub const fn new(base_units: u64) -> Self {
        Self(base_units)
    }

    /// The base units.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` past `u64::MAX`.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// The difference, or zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The smaller of the two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// ⌊self · by / of⌋, or `None` when `of` is zero or the result does not fit.
    #[must_use]
    pub fn mul_div_floor(self, by: u64, of: u64) -> Option<Self> {
        mul_div_floor(self.0, by, of).map(Self)
    }

    /// ⌈self · by / of⌉, or `None` when `of` is zero or the result does not fit.
    #[must_use]
    pub fn mul_div_ceil(self, by: u64, of: u64) -> Option<Self> {
        mul_div_ceil(self.0, by, of).map(Self)
    }
}

/// ⌊a · b / c⌋ by way of u128, or `None` when `c` is zero or the result does not fit u64.
pub fn mul_div_floor(a: u64, b: u64, c: u64) -> Option<u64> {
    let product = u128::from(a).checked_mul(u128::from(b))?;
    u64::try_from(product.checked_div(u128::from(c))?).ok()
}

/// ⌈a · b / c⌉ by way of u128, or `None` when `c` is zero or the result does not fit u64.
pub fn mul_div_ceil(a: u64, b: u64, c: u64) -> Option<u64> {
    if c == 0 {
        return None;
    }
    let product = u128::from(a).checked_mul(u128::from(b))?;
    u64::try_from(product.div_ceil(u128::from(c))).ok()
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(u64),
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
            Form::Number(number) => Ok(Self(number)),
        }
    }
}

/// Micro-USD (10⁻⁶ USD).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

/// Hundredths of a percent: 10 000 is the whole.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct BasisPoints(pub u16);

impl BasisPoints {
    /// The whole.
    pub const WHOLE: u64 = 10_000;

    /// The share as u64, for products.
    pub fn get(self) -> u64 {
        u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = u64::MAX;

    fn io(base_units: u64) -> Amount {
        Amount::new(base_units)
    }

    #[test]
    fn sums_and_differences_say_what_happens_at_the_edge() {
        for (left, right, sum, rest) in [
            (0, 0, Some(0), Some(0)),
            (5, 3, Some(8), Some(2)),
            (3, 5, Some(8), None),
            (MAX, 0, Some(MAX), Some(MAX)),
            (MAX, 1, None, Some(MAX - 1)),
            (1, MAX, None, None),
        ] {
            let (left, right) = (io(left), io(right));
            assert_eq!(left.checked_add(right), sum.map(io), "{left} + {right}");
            assert_eq!(left.checked_sub(right), rest.map(io), "{left} - {right}");
            let least = rest.map_or(Amount::ZERO, io);
            assert_eq!(left.saturating_sub(right), least, "{left} - {right}");
        }
    }

    #[test]
    fn an_amount_is_what_it_was_made_of() {
        for units in [0, 1, 2, MAX] {
            assert_eq!(io(units).get(), units);
            assert_eq!(io(units).is_zero(), units == 0);
        }
        assert_eq!(Amount::ZERO, io(0));
        assert_eq!(io(3).min(io(7)), io(3));
        assert_eq!(io(7).min(io(3)), io(3));
        assert_eq!(BasisPoints(250).get(), 250);
    }

    #[test]
    fn a_share_is_rounded_in_the_direction_that_it_names() {
        for (of, by, whole, floor, ceil) in [
            (7, 2, 2, Some(7), Some(7)),
            (7, 1, 2, Some(3), Some(4)),
            (1, 1, 3, Some(0), Some(1)),
            (0, 5, 3, Some(0), Some(0)),
            (5, 0, 3, Some(0), Some(0)),
            (5, 5, 0, None, None),
            (0, 0, 0, None, None),
            // The product needs 128 bits, the result does not.
            (MAX, MAX, MAX, Some(MAX), Some(MAX)),
            (
                MAX,
                2,
                3,
                Some(12_297_829_382_473_034_410),
                Some(12_297_829_382_473_034_410),
            ),
            (MAX, 1, 2, Some(MAX >> 1), Some((MAX >> 1) + 1)),
            (MAX, 2, 1, None, None),
            // One more than fits, by its rest only.
            (MAX, 3, 2, None, None),
        ] {
            let what = format!("{of} · {by} / {whole}");
            assert_eq!(mul_div_floor(of, by, whole), floor, "⌊{what}⌋");
            assert_eq!(mul_div_ceil(of, by, whole), ceil, "⌈{what}⌉");
            assert_eq!(io(of).mul_div_floor(by, whole), floor.map(io), "⌊{what}⌋");
            assert_eq!(io(of).mul_div_ceil(by, whole), ceil.map(io), "⌈{what}⌉");
        }
    }

    #[test]
    fn an_amount_is_a_decimal_text_in_json_and_may_be_read_from_a_number() {
        for units in [0, 1, 9_007_199_254_740_993, MAX] {
            let text = serde_json::to_string(&io(units)).unwrap();
            assert_eq!(text, format!("\"{units}\""));
            assert_eq!(serde_json::from_str::<Amount>(&text).unwrap(), io(units));
            let number = units.to_string();
            assert_eq!(serde_json::from_str::<Amount>(&number).unwrap(), io(units));
            assert_eq!(number.parse::<Amount>().unwrap(), io(units));
            assert_eq!(io(units).to_string(), number);
        }
        for wrong in [
            "\"\"",
            "\"-1\"",
            "-1",
            "1.5",
            "\"18446744073709551616\"",
            "null",
        ] {
            assert!(serde_json::from_str::<Amount>(wrong).is_err(), "{wrong}");
        }
    }
}
