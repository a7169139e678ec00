//! What a verifier loses that does not do its part.

use io_storage::Fault;
use io_types::event::Reason;
use io_types::{AccountId, Amount, ChallengeId, Event, SystemAccount};

use crate::context::BlockContext;
use crate::ledger;
use crate::stake;
use crate::state::State;
use crate::tables::VERIFIERS;

/// What was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// It did not come: the small fee, to the treasury.
    Part,
    /// It committed and did not reveal: its task bond, to the treasury.
    Reveal,
    /// It said pass to an answer that was proven false: its task bond, to slash custody.
    Truth,
}

/// Takes the penalty out of the verifier's stake. One that cannot cover a task bond any more is not drawn again.
pub(super) fn charge(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: ChallengeId,
    verifier: AccountId,
    missed: Missed,
) -> Result<(), Fault> {
    let params = &block.params.verification;
    let (asked, to) = match missed {
        Missed::Part => (params.no_show_fee, SystemAccount::Treasury),
        Missed::Reveal => (params.task_bond, SystemAccount::Treasury),
        Missed::Truth => (params.task_bond, SystemAccount::SlashCustody),
    };
    let mut row = VERIFIERS.expect(
        state,
        &verifier,
        "drawn verifiers are rows, and rows of verifiers are never removed",
    )?;
    let amount = asked.min(row.stake);
    if !amount.is_zero() {
        ledger::post(state, row.hold, to, amount)?;
        stake::count(state, Amount::ZERO, amount)?;
    }
    row.stake = row.stake.saturating_sub(amount);
    row.lost = row
        .lost
        .checked_add(amount)
        .unwrap_or(Amount::new(u64::MAX));
    row.missed = row.missed.saturating_add(1);
    row.active = row.active && row.stake >= params.task_bond;
    VERIFIERS.put(state, &verifier, &row);
    state.emit(Event::VerifierPenalised {
        challenge,
        verifier,
        amount,
        reason: Reason::VerifierMissed,
    });
    Ok(())
}
