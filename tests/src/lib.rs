//! Whole-system tests, and what more than one of them needs; nothing uses this crate.
//!
//! - [`program`]: the checked-in Solana program in a runtime inside this process
//! - [`ledger`]: the same as the other ledger of a simulated chain; [`endpoints`]: what its validators are shown of it
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

pub mod endpoints;
pub mod ledger;
pub mod program;
