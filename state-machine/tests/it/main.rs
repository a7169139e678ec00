//! Whole chains through the machine and a mock consensus: one process, no ports, no sleeps, no clock.
//!
//! [`support`] drives four validators that sign real extensions; each other module is about one component.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    reason = "a test that meets the unexpected must fail at once"
)]

mod admission;
mod attested;
mod closes;
mod conservation;
mod devices;
mod holds;
mod ledger;
mod market;
mod nominations;
mod replay;
mod rewards;
mod settlement;
mod stakes;
mod support;
mod uptime;
mod vectors;
