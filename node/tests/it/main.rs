//! `io-node` as people run it: the program itself, with real CometBFT beside it.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panic"
)]

mod crashes;
mod disk;
mod four_nodes;
mod network;
mod verbs;
