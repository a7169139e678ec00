//! Rows of the market.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::action::PlaceOrder;
use crate::amount::{Amount, MicroUsd};
use crate::asset::Asset;
use crate::event::Reason;
use crate::id::{AccountId, BookingId, DeviceId, Height, HoldId, OrderId};
use crate::time::ChainTime;

/// Where an order is in its life.
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
pub enum OrderState {
    /// In the book.
    Open,
    /// Filled by that booking.
    Matched(BookingId),
    /// Taken back by the renter.
    Cancelled,
    /// Not filled in its time.
    Expired,
}

/// One order. Table `orders`, key: order id.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// Who pays.
    pub renter: AccountId,
    /// What is asked for.
    pub ask: PlaceOrder,
    /// Where it is in its life.
    pub state: OrderState,
    /// The height it entered at.
    pub entered: Height,
    /// The last height at which it may match.
    pub open_through: Height,
    /// What is held for it.
    pub hold: HoldId,
    /// Why it is not filled, as of the last try.
    pub report: Option<MatchReport>,
}

/// Why an order did not fill: devices excluded by each predicate, in this order, each device once.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct MatchReport {
    /// The height of the try.
    pub height: Height,
    /// Devices registered and not retired.
    pub devices: u64,
    /// Of another model.
    pub model: u64,
    /// Not Ready, on probation or under challenge.
    pub state: u64,
    /// Stake below the minimum.
    pub stake: u64,
    /// In another country.
    pub country: u64,
    /// Connectivity too low.
    pub connectivity: u64,
    /// Compliance too low.
    pub compliance: u64,
    /// Reputation too low.
    pub reputation: u64,
    /// Ask above the limit, or outside floor and ceiling.
    pub price: u64,
    /// Outside the best group.
    pub spread: u64,
    /// More processors than were missing, or not enough in all.
    pub quantity: u64,
    /// The desk cannot swap.
    pub desk: u64,
    /// No fresh price for an order paid in IO.
    pub no_price: bool,
    /// The lowest price limit (micro-USD per processor-hour) at which it would have filled.
    pub fills_at: Option<MicroUsd>,
}

/// Where a booking is in its life.
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
pub enum BookingState {
    /// Matched; connection details are due.
    AwaitingDelivery,
    /// Counting minutes.
    Serving,
    /// Over; all money is moved.
    Ended,
}

/// How a part ended.
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
pub enum PartEnd {
    /// All its hours were served.
    Completed,
    /// The renter ended it.
    EndedByRenter,
    /// The supplier did not deliver, went down or failed.
    SupplierFailed,
    /// The renter said that nothing usable came.
    NotDelivered,
}

/// One device of a booking and its money.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BookingPart {
    /// Which device.
    pub device: DeviceId,
    /// Its owner, who is paid.
    pub supplier: AccountId,
    /// Its ask at the match, micro-USD per processor-hour.
    pub ask: MicroUsd,
    /// Its processors.
    pub quantity: u16,
    /// This part's share of the price, base units of the booking's asset.
    pub part: Amount,
    /// The hold that reserves it.
    pub hold: HoldId,
    /// In which asset the supplier takes it.
    pub payout_asset: Asset,
    /// When it was delivered; minutes count from there.
    pub delivered_at: Option<ChainTime>,
    /// Minutes served.
    pub served: u32,
    /// Minutes that passed and were not served.
    pub slashed: u32,
    /// Gross paid so far, base units of the booking's asset.
    pub paid: Amount,
    /// When it is next paid.
    pub pay_due: ChainTime,
    /// Set when it is over.
    pub ended: Option<(PartEnd, Reason)>,
    /// Sealed connection details.
    #[serde(with = "crate::id::hex_bytes")]
    pub sealed: Vec<u8>,
}

/// A matched order being served. Table `bookings`, key: booking id.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Booking {
    /// Its number.
    pub id: BookingId,
    /// The order that it fills.
    pub order: OrderId,
    /// Who pays.
    pub renter: AccountId,
    /// In which asset.
    pub asset: Asset,
    /// Hours booked.
    pub hours: u16,
    /// Price at the match, micro-USD per whole IO; 0 if the asset is not IO.
    pub price: u64,
    /// All that was taken, base units: parts and fees.
    pub total: Amount,
    /// Reservation and facilitation fees of the renter, base units.
    pub fees: Amount,
    /// The hold that reserves what is left of the fees.
    pub fee_hold: HoldId,
    /// Of the fees, the reservation alone.
    pub reservation: Amount,
    /// Fees that became revenue so far.
    pub fees_earned: Amount,
    /// Where it is in its life.
    pub state: BookingState,
    /// Its devices.
    pub parts: Vec<BookingPart>,
    /// Chain time of the match.
    pub matched_at: ChainTime,
    /// Delivery is due by then.
    pub deliver_by: ChainTime,
    /// Height of the match.
    pub height: Height,
    /// Whether its devices may be challenged while hired.
    pub pulse_ok: bool,
}
