//! Settlement with Solana, seen from the chain: deposits credited, withdrawals, batches frozen and signed, `LastSettle`.
//!
//! Owns tables `bridge`, `settlements`, `payouts`, `suspense`. Everything in a batch is a running total since genesis, so a
//! lost batch is contained in the next. What comes from Solana is applied only when more than two thirds of the power attest
//! its hash, and crediting is total: no record can fail.

mod action;
mod attest;
mod freeze;

use io_storage::Fault;
use io_types::BatchNumber;
use io_types::row::BridgeState;

use crate::state::State;
use crate::tables::BRIDGE;

pub use attest::{attest, supply};
pub use freeze::{Frozen, freeze};

/// The bridge's row.
pub fn bridge(state: &State<'_>) -> Result<BridgeState, Fault> {
    BRIDGE.expect(state, &(), "genesis writes it")
}

/// The first batch whose signatures are still collected.
pub fn first_open(state: &State<'_>) -> Result<BatchNumber, Fault> {
    let bridge = bridge(state)?;
    let settled = bridge
        .last_settle
        .map_or(0, |last| last.number.0)
        .saturating_add(1);
    let open = crate::tables::PARAMS
        .expect(state, &(), "genesis writes it")?
        .settlement
        .open_batches;
    Ok(BatchNumber(settled.max(
        bridge.newest_batch.0.saturating_add(1).saturating_sub(open),
    )))
}
