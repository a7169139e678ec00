//! The Solana program's rules, on the real program and the real SPL Token in a runtime inside this process.
//!
//! Every refusal asserts its exact code and that no account changed.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::integer_division,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

mod claims;
mod deposits;
mod initialization;
mod road;
mod settlements;
mod signing;

use io_tests::program::{calls, tokens, world};
