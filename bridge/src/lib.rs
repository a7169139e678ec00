//! What nodes read from Solana, and the relayer that carries settlements there.
//!
//! | module | holds | used by |
//! |---|---|---|
//! | [`reader`] | [`Reader`]: deposits and `LastSettle` as two or more endpoints agree on them | every validator |
//! | [`signer`] | [`SettlementSigner`]: signs batches, never two for one number | every validator |
//! | [`relayer`] | posts signatures, settles, claims, initializes | `io-relayer` |
//! | [`failpoint`] | places where a test may kill the process | tests |
//!
//! Nothing here decides what is true on the chain: readers report, more than two thirds of them decide.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "not consensus: foreign enums grow"
)]

pub mod failpoint;
pub mod reader;
pub mod relayer;
pub mod signer;

pub use reader::{Reader, ReaderConfig, ReaderStatus, Supply, Watermark};
pub use signer::{SettlementSigner, SignerError};
