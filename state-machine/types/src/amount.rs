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
