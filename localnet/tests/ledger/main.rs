//! The ledger as a process, and the bridge on it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's own functions may stop it"
)]

mod bridge;
mod process;
mod support;
