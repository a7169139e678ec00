//! The nouns of io-chain. No I/O, no async, no clock.
//!
//! In reading order:
//! - [`amount`], [`asset`], [`id`], [`time`]: money, names, clocks
//! - [`catalogue`], [`params`], [`genesis`]: what a network is made of; [`class`]: which class a run has shown
//! - [`action`], [`transaction`], [`codec`]: what people sign, and its one encoding
//! - [`rejection`], [`event`]: what came of it
//! - [`row`]: what the state holds
//! - [`extension`], [`consensus`]: what validators and the engine add
//! - [`stream`]: what worker and verifier tell each other

pub mod action;
pub mod amount;
pub mod api;
pub mod asset;
pub mod catalogue;
pub mod class;
pub mod codec;
pub mod consensus;
pub mod event;
pub mod extension;
pub mod genesis;
pub mod id;
pub mod params;
pub mod rejection;
pub mod row;
pub mod stream;
pub mod time;
pub mod transaction;

pub use action::Action;
pub use amount::{Amount, BasisPoints, MicroUsd};
pub use asset::{Asset, Holder, SystemAccount};
pub use event::{Event, Reason};
pub use id::{
    AccountId, BatchNumber, BookingId, ChallengeId, DeviceId, Hash, Height, HoldId, OrderId,
    Signature, ValidatorAddress,
};
pub use params::Params;
pub use rejection::Rejection;
pub use time::{BlockTime, ChainTime, Epoch, Slot, TimeScale};
pub use transaction::{Transaction, TransactionBody};
