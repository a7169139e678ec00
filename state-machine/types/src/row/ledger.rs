//! Rows of the ledger.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::asset::{Asset, Holder};
use crate::id::{BookingId, DeviceId, OrderId};

/// One holder's money of one asset. Table `accounts`, key: holder, asset.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub struct AccountRow {
    /// All that the holder owns, held money included. Negative only for `outside`.
    #[serde(with = "i128_text")]
    pub balance: i128,
    /// The part of it that holds reserve.
    pub held: Amount,
}

/// One lane's last used sequence. Table `lanes`, key: account, lane.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub struct LaneRow {
    /// The last sequence used.
    pub sequence: u64,
}

/// What ends a hold.
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
pub enum HoldPurpose {
    /// An open order.
    Order(OrderId),
    /// One device's part of a booking.
    Part(BookingId, DeviceId),
    /// The fees of a booking.
    BookingFees(BookingId),
    /// A device's stake.
    Stake(DeviceId),
    /// A verifier's stake, which also stands for its task bonds.
    Verifier(crate::id::AccountId),
    /// The bond of a fraud report.
    Report(crate::id::ChallengeId),
}

/// Money reserved inside the ledger. Table `holds`, key: hold id.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct Hold {
    /// Whose money.
    pub owner: Holder,
    /// Which asset.
    pub asset: Asset,
    /// What is still reserved.
    pub remaining: Amount,
    /// The row that ends it.
    pub purpose: HoldPurpose,
}

/// Running totals of one asset since genesis. Table `totals`, key: asset.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub struct AssetTotals {
    /// Put on this chain by genesis.
    pub genesis: Amount,
    /// Deposits credited.
    pub deposited: Amount,
    /// Moved to payouts by withdrawals.
    pub withdrawn: Amount,
    /// Claimed on Solana, by the last applied `LastSettle`.
    pub claimed: Amount,
    /// Emitted by the schedule.
    pub emitted: Amount,
    /// Minted again from what was burned for credits.
    pub reminted: Amount,
    /// Burned, without credit burns.
    pub burned: Amount,
    /// Burned for credits (IO), or cancelled (credits).
    pub credit_burned: Amount,
    /// Credits issued.
    pub issued: Amount,
}

mod i128_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<i128, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
