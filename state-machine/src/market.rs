//! The market: orders, matching, bookings, metering.
//!
//! Owns tables `orders`, `open_orders`, `bookings`. Matching is a pure function of state: the book as it stood at the
//! start of the block plus this block's orders; asks count as of the start of the block, states and stakes as of its end.
//!
//! - INV-31: an open order has a hold of the highest cost with fees; a matched, cancelled or expired one has none.
//! - INV-32: what a booking took is what was paid to suppliers, to fees and to the treasury, plus what went back.

mod action;
mod block;
mod book;
mod booking;
mod index;
mod matching;
mod report;
mod shelf;
pub mod terms;
#[cfg(test)]
mod tests;

pub use block::{expire, meter_slot};
pub use index::Index;
pub use matching::match_orders;
pub use report::quote;
