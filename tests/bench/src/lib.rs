//! The benchmarks: groups of lines, each a ratio measured in one run beside the limit it is held against.
//!
//! A group is one file with one `pub fn lines(setup: &Setup) -> anyhow::Result<Vec<Line>>`, and one entry of [`GROUPS`].
//! Its bars and limits stand in it, beside the measurement.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::integer_division,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a benchmark measures time in floats and prints it"
)]

pub mod chains;
pub mod counted;
pub mod end_to_end;
pub mod epoch;
pub mod heartbeats;
pub mod line;
pub mod matching;
pub mod memory;
pub mod network;
pub mod noop;
pub mod opening;
pub mod payouts;
pub mod program;
pub mod setup;
pub mod table;
pub mod transfers;
pub mod world;

use crate::line::Line;
use crate::setup::Setup;

/// Measures one group of lines, from nothing.
pub type Measure = fn(&Setup) -> anyhow::Result<Vec<Line>>;

/// Every group by name, in the order of the table. The names of its lines begin with it.
pub const GROUPS: &[(&str, Measure)] = &[
    ("matching", matching::lines),
    ("heartbeats", heartbeats::lines),
    ("epoch", epoch::lines),
    ("memory", memory::lines),
    ("transfers", transfers::lines),
    ("payouts", payouts::lines),
    ("opening", opening::lines),
    ("program", program::lines),
    ("network/transfers", end_to_end::transfers),
    ("network/orders", end_to_end::orders),
];
