//! Two clocks that do not mix: block time (the engine's) and chain time (stretched so that an epoch is an hour).

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Milliseconds of chain time in a slot (one minute).
pub const SLOT_MS: u64 = 60_000;
/// Milliseconds of chain time in an epoch (one hour).
pub const EPOCH_MS: u64 = 3_600_000;
/// Slots in an epoch.
pub const SLOTS_PER_EPOCH: u64 = 60;
/// Milliseconds of chain time in a day.
pub const DAY_MS: u64 = 86_400_000;

macro_rules! number {
    ($(#[doc = $doc:literal] $name:ident),* $(,)?) => {$(
        #[doc = $doc]
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

number! {
    /// Block time: milliseconds since 1970-01-01 UTC, as the engine's header says.
    BlockTime,
    /// Chain time: milliseconds since 1970-01-01 UTC on the chain's own clock.
    ChainTime,
    /// One hour of chain time: hours since 1970-01-01 UTC.
    Epoch,
    /// One minute of chain time: minutes since 1970-01-01 UTC.
    Slot,
}

impl ChainTime {
    /// The epoch that holds this instant.
    pub fn epoch(self) -> Epoch {
        Epoch(self.0.div_euclid(EPOCH_MS))
    }

    /// The slot that holds this instant.
    pub fn slot(self) -> Slot {
        Slot(self.0.div_euclid(SLOT_MS))
    }

    /// The instant that many milliseconds later (capped).
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since an earlier instant; zero if it is later.
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Epoch {
    /// Its first instant.
    pub fn start(self) -> ChainTime {
        ChainTime(self.0.saturating_mul(EPOCH_MS))
    }

    /// Its first slot.
    pub fn first_slot(self) -> Slot {
        Slot(self.0.saturating_mul(SLOTS_PER_EPOCH))
    }

    /// The epoch after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Slot {
    /// Its first instant.
    pub fn start(self) -> ChainTime {
        ChainTime(self.0.saturating_mul(SLOT_MS))
    }

    /// The epoch it belongs to.
    pub fn epoch(self) -> Epoch {
        Epoch(self.0.div_euclid(SLOTS_PER_EPOCH))
    }

    /// Its place in its epoch, 0..60.
    pub fn index_in_epoch(self) -> u64 {
        self.0.rem_euclid(SLOTS_PER_EPOCH)
    }

    /// The slot that many later (capped).
    #[must_use]
    pub fn plus(self, slots: u64) -> Self {
        Self(self.0.saturating_add(slots))
    }

    /// The slot after.
    #[must_use]
    pub fn next(self) -> Self {
        self.plus(1)
    }
}

/// How block time becomes chain time: τ = chain_start + (t − genesis_time)·3600/epoch_seconds, rounded down.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct TimeScale {
    /// Block time of genesis, milliseconds.
    pub genesis_time: BlockTime,
    /// Chain time of genesis, milliseconds: a full hour.
    pub chain_start: ChainTime,
    /// Seconds of block time in an epoch: 3600 on a real network.
    pub epoch_seconds: u32,
}

impl TimeScale {
    /// Chain time at a block time; before genesis it stands still.
    pub fn chain_time(&self, time: BlockTime) -> ChainTime {
        let passed = time.0.saturating_sub(self.genesis_time.0);
        let stretched =
            crate::amount::mul_div_floor(passed, 3600, u64::from(self.epoch_seconds.max(1)));
        ChainTime(
            self.chain_start
                .0
                .saturating_add(stretched.unwrap_or(u64::MAX)),
        )
    }

    /// The first block time at which chain time reaches `time`.
    pub fn block_time(&self, time: ChainTime) -> BlockTime {
        let passed = time.0.saturating_sub(self.chain_start.0);
        let shrunk = crate::amount::mul_div_ceil(passed, u64::from(self.epoch_seconds), 3600);
        BlockTime(
            self.genesis_time
                .0
                .saturating_add(shrunk.unwrap_or(u64::MAX)),
        )
    }
}
