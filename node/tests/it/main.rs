//! `io-node` as people run it: the program itself, with real CometBFT beside it.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panic"
)]

mod four_nodes;
mod network;
mod verbs;
