//! The suite on the cards of this machine. `emulated_driver.rs` runs it on a driver without a card.

#[path = "support/skip.rs"]
mod skip;
#[path = "support/suite.rs"]
mod suite;
