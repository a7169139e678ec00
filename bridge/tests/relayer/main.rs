//! The relayer against the real program in a Solana runtime, and a node that serves batches signed by four members.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::integer_division,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

mod chain;
mod kills;
mod ledger;
mod scenes;
