//! Whole networks: real CometBFT, our real programs, a real ledger of Solana; kills, faults, and the README's sessions.
//!
//! Each test has a localnet of its own, with its own folder and ports, so that they run side by side; most of their time they wait for
//! blocks and epochs. `./dev test` runs as many at a time as suits that.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

mod byzantine;
mod chain;
mod console;
mod engine;
mod faults;
mod kills;
mod localnet;
mod money;
mod outage;
mod trust;
