//! Actions on orders and bookings.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::amount::MicroUsd;
use crate::asset::Asset;
use crate::catalogue::{CountryCode, ModelId};
use crate::id::{BookingId, DeviceId, OrderId};

/// How the devices of one order may be spread.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Any devices.
    Any,
    /// All of one supplier.
    OneSupplier,
    /// All in one country.
    OneCountry,
}

/// Asks for processors. The highest cost with fees is held when it enters.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// Models accepted, 1..=16, each once, ascending.
    pub models: Vec<ModelId>,
    /// Processors wanted in all, 1..=65 535.
    pub quantity: u16,
    /// Hours, 1..=8760.
    pub hours: u16,
    /// Highest price for each device, micro-USD per processor-hour.
    pub price_max: MicroUsd,
    /// In which asset the renter pays.
    pub asset: Asset,
    /// Countries accepted, ascending, each once, at most 64; empty means any.
    pub countries: Vec<CountryCode>,
    /// Least connectivity tier.
    pub connectivity_min: u8,
    /// Least reputation, 0..=10 000.
    pub reputation_min: u16,
    /// Least compliance tier, 0..=3.
    pub compliance_min: u8,
    /// How the devices may be spread.
    pub spread: Spread,
    /// Blocks that the order stays open, 1..=parameter.
    pub open_blocks: u32,
    /// Whether the device may be challenged while hired.
    pub pulse_ok: bool,
    /// The renter's own number; the same number again is refused.
    pub client_id: u64,
}

/// Takes back an open order; its hold returns.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CancelOrder {
    /// Which order.
    pub order: OrderId,
}

/// Connection details of one device of a booking, sealed to the renter's key. Signed by the device key or the owner.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Deliver {
    /// Which booking.
    pub booking: BookingId,
    /// Which device of it.
    pub device: DeviceId,
    /// Sealed box (X25519 of the renter's account key), at most 1024 bytes.
    #[serde(with = "crate::id::hex_bytes")]
    pub sealed: Vec<u8>,
}

/// The renter says once, soon after delivery, that nothing usable came: all but the reservation fee returns.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct NotDelivered {
    /// Which booking.
    pub booking: BookingId,
}

/// The renter ends a booking early.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EndBooking {
    /// Which booking.
    pub booking: BookingId,
}
