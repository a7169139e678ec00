//! From one stage to the next: at a deadline, or as soon as everybody has done his part.

use io_storage::Fault;
use io_types::row::{Challenge, ChallengeStage, DrawnVerifier, Outcome};
use io_types::{Event, Hash, Height};

use crate::context::BlockContext;
use crate::device;
use crate::error::broken;
use crate::state::State;
use crate::tables::CHALLENGES;

use super::penalty::{self, Missed};
use super::tally::{self, Count, two_thirds};
use super::{beacon, draw, effect};

/// The deadline of the present stage is here.
pub(super) fn deadline(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: Challenge,
) -> Result<(), Fault> {
    match challenge.stage {
        ChallengeStage::AwaitingBeacon => begin_nonces(state, block, challenge),
        ChallengeStage::Nonces => nonces_over(state, block, challenge),
        ChallengeStage::Answer => {
            // Whether the device had its nonces in time only the verifiers know.
            begin_judging(state, block, challenge);
            Ok(())
        }
        ChallengeStage::Verdicts => verdicts_over(state, block, challenge),
        ChallengeStage::Reveals => reveals_over(state, block, challenge),
        ChallengeStage::Decided => Ok(()),
    }
}

/// Writes a challenge after one party did its part, and moves on if it was the last.
pub(super) fn advance(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: Challenge,
) -> Result<(), Fault> {
    let all = |done: fn(&DrawnVerifier) -> bool| challenge.verifiers.iter().all(done);
    match challenge.stage {
        ChallengeStage::Nonces if all(|drawn| drawn.nonce_commitment.is_some()) => {
            begin_answer(state, block, challenge)
        }
        ChallengeStage::Verdicts
            if all(|drawn| {
                drawn.nonce_commitment.is_none() || drawn.verdict_commitment.is_some()
            }) =>
        {
            begin_reveals(state, block, challenge);
            Ok(())
        }
        ChallengeStage::Reveals if all(has_revealed) => tally_up(state, block, challenge),
        ChallengeStage::AwaitingBeacon
        | ChallengeStage::Nonces
        | ChallengeStage::Answer
        | ChallengeStage::Verdicts
        | ChallengeStage::Reveals
        | ChallengeStage::Decided => {
            CHALLENGES.put(state, &challenge.id, &challenge);
            Ok(())
        }
    }
}

fn has_revealed(drawn: &DrawnVerifier) -> bool {
    (drawn.nonce_commitment.is_none() || drawn.nonces.is_some())
        && (drawn.verdict_commitment.is_none() || drawn.verdict.is_some())
}

fn enter(
    state: &mut State<'_>,
    block: &BlockContext,
    mut challenge: Challenge,
    stage: ChallengeStage,
    blocks: u64,
) -> Challenge {
    challenge.stage = stage;
    challenge.deadline = Height(block.height.0.saturating_add(blocks));
    CHALLENGES.put(state, &challenge.id, &challenge);
    challenge
}

/// The window is over: draws the verifiers.
fn begin_nonces(
    state: &mut State<'_>,
    block: &BlockContext,
    mut challenge: Challenge,
) -> Result<(), Fault> {
    challenge.beacon = beacon::current(state)?.value;
    let device = device::read(state, challenge.device)?;
    challenge.verifiers = draw::quorum(state, block, &challenge, &device)?;
    if challenge.verifiers.is_empty() {
        return no_decision(state, block, challenge);
    }
    let challenge = enter(
        state,
        block,
        challenge,
        ChallengeStage::Nonces,
        block.params.verification.nonce_blocks,
    );
    state.emit(Event::ChallengeDrawn {
        challenge: challenge.id,
        device: challenge.device,
        verifiers: challenge
            .verifiers
            .iter()
            .map(|drawn| drawn.account)
            .collect(),
        deadline: challenge.deadline,
    });
    Ok(())
}

fn nonces_over(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: Challenge,
) -> Result<(), Fault> {
    for drawn in challenge
        .verifiers
        .iter()
        .filter(|drawn| drawn.nonce_commitment.is_none())
    {
        penalty::charge(state, block, challenge.id, drawn.account, Missed::Part)?;
    }
    let committed = challenge
        .verifiers
        .iter()
        .filter(|drawn| drawn.nonce_commitment.is_some())
        .count();
    if committed < two_thirds(challenge.verifiers.len()) {
        return no_decision(state, block, challenge);
    }
    begin_answer(state, block, challenge)
}

/// Enough nonces are committed: the device may begin.
fn begin_answer(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: Challenge,
) -> Result<(), Fault> {
    let class = block.class(challenge.class).ok_or_else(|| {
        broken(
            "verification",
            format!("challenge {} has an unknown class", challenge.id),
        )
    })?;
    let challenge = enter(
        state,
        block,
        challenge,
        ChallengeStage::Answer,
        u64::from(class.answer_blocks),
    );
    state.emit(Event::ChallengeBegun {
        challenge: challenge.id,
        device: challenge.device,
        deadline: challenge.deadline,
    });
    Ok(())
}

/// The device has answered: openings are checked.
pub(super) fn begin_verdicts(
    state: &mut State<'_>,
    block: &BlockContext,
    mut challenge: Challenge,
) {
    challenge.answered = Some(block.height);
    let challenge = begin_judging(state, block, challenge);
    state.emit(Event::ChallengeAnswered {
        challenge: challenge.id,
        device: challenge.device,
    });
}

fn begin_judging(state: &mut State<'_>, block: &BlockContext, challenge: Challenge) -> Challenge {
    let blocks = block.params.verification.verdict_blocks;
    enter(state, block, challenge, ChallengeStage::Verdicts, blocks)
}

fn verdicts_over(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: Challenge,
) -> Result<(), Fault> {
    let late = |drawn: &&DrawnVerifier| {
        drawn.nonce_commitment.is_some() && drawn.verdict_commitment.is_none()
    };
    for drawn in challenge.verifiers.iter().filter(late) {
        penalty::charge(state, block, challenge.id, drawn.account, Missed::Part)?;
    }
    let committed = challenge
        .verifiers
        .iter()
        .filter(|drawn| drawn.verdict_commitment.is_some())
        .count();
    if committed < two_thirds(challenge.verifiers.len()) {
        return no_decision(state, block, challenge);
    }
    begin_reveals(state, block, challenge);
    Ok(())
}

fn begin_reveals(state: &mut State<'_>, block: &BlockContext, challenge: Challenge) {
    enter(
        state,
        block,
        challenge,
        ChallengeStage::Reveals,
        block.params.verification.reveal_blocks,
    );
}

fn reveals_over(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: Challenge,
) -> Result<(), Fault> {
    for drawn in challenge
        .verifiers
        .iter()
        .filter(|drawn| !has_revealed(drawn))
    {
        penalty::charge(state, block, challenge.id, drawn.account, Missed::Reveal)?;
    }
    tally_up(state, block, challenge)
}

fn tally_up(
    state: &mut State<'_>,
    block: &BlockContext,
    mut challenge: Challenge,
) -> Result<(), Fault> {
    match tally::count(block, &challenge) {
        Count::Decided { outcome, times_ms } => {
            challenge.times_ms = times_ms;
            decide(state, block, challenge, outcome)
        }
        Count::Open => no_decision(state, block, challenge),
    }
}

/// Draws again from a later window, or gives up after as many redraws as the parameter allows.
fn no_decision(
    state: &mut State<'_>,
    block: &BlockContext,
    mut challenge: Challenge,
) -> Result<(), Fault> {
    let params = &block.params.verification;
    if challenge.redraws >= params.redraws_max {
        return decide(state, block, challenge, Outcome::NotPassed);
    }
    let drawn = challenge.verifiers.drain(..).map(|drawn| drawn.account);
    challenge.earlier.extend(drawn);
    challenge.earlier.sort_unstable();
    challenge.earlier.dedup();
    challenge.redraws = challenge.redraws.saturating_add(1);
    challenge.triggered = block.height;
    challenge.beacon = Hash::ZERO;
    challenge.answered = None;
    challenge.nonces_used = Vec::new();
    challenge.answers = Vec::new();
    challenge.stage = ChallengeStage::AwaitingBeacon;
    challenge.deadline = beacon::first_close_after(block.height, params.window_blocks);
    CHALLENGES.put(state, &challenge.id, &challenge);
    Ok(())
}

/// The end of a challenge. Its deadline becomes the last height at which fraud proofs are taken.
pub(super) fn decide(
    state: &mut State<'_>,
    block: &BlockContext,
    mut challenge: Challenge,
    outcome: Outcome,
) -> Result<(), Fault> {
    challenge.outcome = Some(outcome);
    challenge.decided_at = Some(block.now);
    let blocks = block.params.verification.dispute_blocks;
    let challenge = enter(state, block, challenge, ChallengeStage::Decided, blocks);
    state.emit(Event::ChallengeDecided {
        challenge: challenge.id,
        device: challenge.device,
        outcome,
    });
    effect::apply(state, block, &challenge, outcome)
}
