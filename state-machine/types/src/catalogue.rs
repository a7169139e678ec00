//! The governed catalogue of hardware models and of challenge classes.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::amount::MicroUsd;

/// A model of the catalogue.
#[derive(
    Clone,
    Copy,
    Debug,
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
pub struct ModelId(pub u16);

/// A challenge class: cards that cannot be told apart by the challenge.
#[derive(
    Clone,
    Copy,
    Debug,
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
pub struct ClassId(pub u16);

/// ISO 3166 alpha-2, two capital letters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct CountryCode(pub [u8; 2]);

impl CountryCode {
    /// Whether it is two capital letters.
    pub fn is_valid(self) -> bool {
        self.0.iter().all(u8::is_ascii_uppercase)
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl FromStr for CountryCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        <[u8; 2]>::try_from(text.as_bytes())
            .ok()
            .map(Self)
            .filter(|code| code.is_valid())
            .ok_or_else(|| format!("{text:?} is no country code: use two capital letters, as DE"))
    }
}

impl Serialize for CountryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Which share of the hour a model's devices take part in.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// Data-centre cards.
    Enterprise,
    /// Everything else.
    Community,
}

/// One hardware model.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its number.
    pub id: ModelId,
    /// As people write it: "H100 SXM".
    pub name: String,
    /// The class that a challenge must grant for this model's terms to hold.
    pub class: ClassId,
    /// Hardware multiplier M in thousandths; 0 earns nothing.
    pub multiplier_milli: u32,
    /// Enterprise or community.
    pub pool: Pool,
    /// Lowest ask, micro-USD per processor-hour.
    pub price_floor: MicroUsd,
    /// Highest ask, micro-USD per processor-hour.
    pub price_ceiling: MicroUsd,
    /// Memory of one processor, MiB.
    pub vram_mib: u32,
    /// Fields (by name) whose figure has no source.
    pub placeholder: Vec<String>,
}

/// One class: sizes of its challenge and the times to meet.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its number.
    pub id: ClassId,
    /// As people write it.
    pub name: String,
    /// Rank among classes: the higher, the better; the best whose bounds hold is granted.
    pub rank: u16,
    /// Matrix size N.
    pub n: u32,
    /// Matrices kept in memory, K.
    pub k: u32,
    /// Steps in all, M ≥ K; M = K is a pulse.
    pub m: u32,
    /// Walkers W.
    pub w: u32,
    /// Reads of one walker, R, a multiple of 64.
    pub r: u32,
    /// Reference time of phase A, milliseconds.
    pub phase_a_ref_ms: u32,
    /// Reference time of phase B, milliseconds.
    pub phase_b_ref_ms: u32,
    /// The least time that the class can need in phase A, milliseconds; 0: no lower bound.
    pub phase_a_min_ms: u32,
    /// Deadline of the device's commit, blocks after the draw's nonces are due.
    pub answer_blocks: u32,
}

/// All models and classes, each ascending by number.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Classes.
    pub classes: Vec<Class>,
    /// Models.
    pub models: Vec<Model>,
}
