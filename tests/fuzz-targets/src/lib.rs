//! Fuzz targets as plain functions of bytes.
//!
//! A target takes any bytes, drives a part of the product with them and panics when a claim about that part does not hold. `tests/fuzz` wraps each
//! target for `cargo fuzz`; the test `replay` runs the corpus and a bounded number of mutations of it. ADR 0097 says why this is so.
//!
//! | target | what the bytes are |
//! |---|---|
//! | [`transaction`] | a transaction: decoding, admission, a block with it |
//! | [`extension`] | vote extensions, injected commits, blocks made of hostile votes |
//! | [`stream`] | frames between worker and verifier, openings, fraud proofs |
//! | [`abci`] | what an engine sends to the node |
//! | [`rpc`] | what Solana's endpoints, CometBFT and nodes answer |
//!
//! [`bytes`] reads input as decisions, [`scene`] is a chain in the middle of its life, [`mutation`] makes inputs of inputs.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::integer_division,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target panics when a claim does not hold: that is its answer"
)]

#[cfg(feature = "network")]
pub mod abci;
pub mod bytes;
pub mod extension;
pub mod mutation;
#[cfg(feature = "network")]
pub mod rpc;
pub mod scene;
pub mod stream;
pub mod transaction;

// What a verifier does with frames, as it is: its crate would bring CUDA along.
#[path = "../../../verifier/src/check.rs"]
pub mod check;
#[path = "../../../verifier/src/record.rs"]
pub mod record;
#[expect(dead_code, reason = "the judge uses all of it, frames need a part")]
#[path = "../../../verifier/src/judge/task.rs"]
mod task;
#[path = "../../../verifier/src/terms.rs"]
pub mod terms;
#[path = "../../../verifier/src/wire.rs"]
pub mod wire;

/// One target: its name, which is also its folder in the corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("transaction", transaction::run),
    ("extension", extension::run),
    ("stream", stream::run),
    #[cfg(feature = "network")]
    ("abci", abci::run),
    #[cfg(feature = "network")]
    ("rpc", rpc::run),
];
