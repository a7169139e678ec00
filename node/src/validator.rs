//! What this validator adds to its votes: prices, what it sees of Solana, settlement signatures, beacon links.
//!
//! Everything slow happens beforehand, in [`Report::refresh`] and in the readers: a vote extension is put together from
//! memory. Each part is present or not; a source that fails leaves out its part only, never a guess.

mod beacon;
mod prices;
mod report;
#[cfg(test)]
mod tests;

pub use beacon::{BEACON_LINKS, BeaconChain, BeaconError};
pub use prices::{PriceReader, parse_price};
pub use report::{Identity, Report};
