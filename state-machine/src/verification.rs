//! The chain's side of the challenge: beacon, triggers, draw, stages, tally, fraud proofs.
//!
//! Owns tables `challenges`, `verifiers`, `beacon` (genesis writes their first rows) and the beacon link of `validators`.
//!
//! The life of a challenge. Each stage ends at its deadline at the latest, sooner when everybody has done his part.
//!
//! | stage | waits for | then |
//! |---|---|---|
//! | `AwaitingBeacon` | the close of the first window that begins after the trigger | verifiers are drawn: `Nonces` |
//! | `Nonces` | `CommitNonce` of all drawn, or of two thirds by the deadline | `Answer`; fewer: drawn again |
//! | `Answer` | `CommitAnswer` of the device key | `Verdicts`, with the answer or without one |
//! | `Verdicts` | `CommitVerdict` of those with a nonce | `Reveals`; fewer than two thirds: drawn again |
//! | `Reveals` | `RevealNonce` and `RevealVerdict` | the tally: decided, or drawn again |
//! | `Decided` | `ReportFraud`, for `dispute_blocks` | the row is kept for a while, then dropped |
//!
//! - INV-40: a device has at most one challenge that is not decided, and its row names it.
//! - INV-41: two thirds are always of those drawn, never of those who came.

mod action;
pub mod beacon;
mod draw;
mod effect;
mod fraud;
mod index;
mod penalty;
mod stage;
mod tally;
mod terms;
#[cfg(test)]
mod tests;
mod trigger;

use std::ops::ControlFlow;

use io_storage::Fault;
use io_types::row::{ChallengeStage, VerifierRow};
use io_types::{AccountId, Height};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::extension::Attested;
use crate::state::State;
use crate::tables::{CHALLENGES, VERIFIERS};

pub use index::Index;
pub use tally::two_thirds;
pub use trigger::trigger;

/// Decided challenges are kept that many blocks after the time for fraud proofs, so that people can look at them.
const KEEP_BLOCKS: u64 = 20_000;
/// Rows of old challenges that one block drops at most.
const DROP_PER_BLOCK_MAX: usize = 1000;

/// The end of a block, in this order: beacon, stages whose deadline is here, triggers by time, old rows.
pub fn end_block(
    state: &mut State<'_>,
    block: &BlockContext,
    derived: &Derived,
    attested: &Attested,
) -> Result<(), Fault> {
    let index = &derived.verification;
    beacon::update(state, block, attested)?;
    for id in index.due_by(block.height) {
        let Some(challenge) = CHALLENGES.get(state, &id)? else {
            continue;
        };
        // The index shows the state before this block: a transaction may have moved the challenge on.
        if challenge.stage != ChallengeStage::Decided && challenge.deadline <= block.height {
            stage::deadline(state, block, challenge)?;
        }
    }
    trigger::by_time(state, block, index)?;
    let over = Height(block.height.0.saturating_sub(KEEP_BLOCKS));
    for id in index.decided_before(over, DROP_PER_BLOCK_MAX) {
        CHALLENGES.delete(state, &id);
    }
    Ok(())
}

/// All verifiers, ascending by account.
fn verifiers(state: &State<'_>) -> Result<Vec<VerifierRow>, Fault> {
    let mut rows = Vec::new();
    VERIFIERS.scan(state, &AccountId([0; 32]), None, &mut |_account, row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}
