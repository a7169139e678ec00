//! What the revealed verdicts decide together.

use io_types::Amount;
use io_types::action::{Verdict, VerdictBody};
use io_types::class::class_shown;
use io_types::row::{Challenge, DrawnVerifier, Outcome};

use crate::context::BlockContext;

/// ⌈2q/3⌉: how many of `drawn` decide.
pub fn two_thirds(drawn: usize) -> usize {
    drawn.saturating_mul(2).div_ceil(3)
}

/// What a tally says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Two thirds of those drawn agree.
    Decided {
        /// On what.
        outcome: Outcome,
        /// Medians of phases A and B, milliseconds, of those that said pass.
        times_ms: Option<(u32, u32)>,
    },
    /// They do not.
    Open,
}

/// Counts the verdicts of those drawn.
pub(super) fn count(block: &BlockContext, challenge: &Challenge) -> Count {
    let need = two_thirds(challenge.verifiers.len());
    if contradicted(challenge).saturating_mul(3) > challenge.verifiers.len() {
        return Count::Decided {
            outcome: Outcome::Failed,
            times_ms: None,
        };
    }
    let of = |kinds: &[Verdict]| {
        let said = |drawn: &&DrawnVerifier| {
            drawn
                .verdict
                .as_ref()
                .is_some_and(|body| kinds.contains(&body.verdict))
        };
        challenge.verifiers.iter().filter(said).count()
    };
    if challenge.answers.is_empty() {
        return count_silence(need, of);
    }
    if of(&[Verdict::Pass]) >= need {
        let times_ms = medians(&challenge.verifiers);
        return Count::Decided {
            outcome: granted(block, challenge, times_ms),
            times_ms,
        };
    }
    if of(&[Verdict::WrongAnswer, Verdict::NoOpenings, Verdict::TooSlow]) >= need {
        return Count::Decided {
            outcome: Outcome::Failed,
            times_ms: None,
        };
    }
    if of(&[Verdict::Unreachable, Verdict::Busy]) >= need {
        return Count::Decided {
            outcome: Outcome::Excused,
            times_ms: None,
        };
    }
    Count::Open
}

/// No answer came. It is the device's doing if two thirds have sent their nonces or were never dialled.
fn count_silence(need: usize, of: impl Fn(&[Verdict]) -> usize) -> Count {
    let outcome = if of(&[Verdict::TooSlow, Verdict::Unreachable]) >= need {
        Outcome::NoAnswer
    } else if of(&[Verdict::Busy]) >= need {
        Outcome::Excused
    } else {
        return Count::Open;
    };
    Count::Decided {
        outcome,
        times_ms: None,
    }
}

/// Whether the failure says that the memory was not there: openings did not come, or phase B alone was too slow.
pub(super) fn is_memory_failure(block: &BlockContext, challenge: &Challenge) -> bool {
    let said = |drawn: &&DrawnVerifier| {
        drawn
            .verdict
            .as_ref()
            .is_some_and(|body| body.verdict == Verdict::NoOpenings)
    };
    if challenge.verifiers.iter().filter(said).count() >= two_thirds(challenge.verifiers.len()) {
        return true;
    }
    let (Some((phase_a_ms, _)), Some(run)) = (challenge.times_ms, block.class(challenge.class))
    else {
        return false;
    };
    // With the reference of phase B in place of the measured time a class would have been granted.
    class_shown(
        &block.catalogue,
        &block.params.verification,
        run,
        (phase_a_ms, 0),
    )
    .is_some()
}

/// Verifiers whose revealed first nonce is not the one that the answer used. The chain cannot know who of the two is wrong,
/// so one verifier alone decides nothing.
fn contradicted(challenge: &Challenge) -> usize {
    let other = |drawn: &&DrawnVerifier| {
        let used = challenge
            .nonces_used
            .iter()
            .find(|(account, _nonce)| *account == drawn.account);
        match (used, drawn.nonces) {
            (Some((_account, used)), Some((first, _second))) => *used != first,
            (None, _) | (_, None) => false,
        }
    };
    challenge.verifiers.iter().filter(other).count()
}

fn granted(block: &BlockContext, challenge: &Challenge, times_ms: Option<(u32, u32)>) -> Outcome {
    let shown = times_ms
        .zip(block.class(challenge.class))
        .and_then(|(times_ms, run)| {
            class_shown(&block.catalogue, &block.params.verification, run, times_ms)
        });
    shown.map_or(Outcome::Failed, Outcome::Passed)
}

/// Stake-weighted medians of both phases over those that said pass.
fn medians(verifiers: &[DrawnVerifier]) -> Option<(u32, u32)> {
    let passes = || {
        verifiers.iter().filter_map(|drawn| {
            let body = drawn
                .verdict
                .as_ref()
                .filter(|body| body.verdict == Verdict::Pass)?;
            Some((body, drawn.stake))
        })
    };
    let of = |time: fn(&VerdictBody) -> u32| {
        median(passes().map(|(body, stake)| (time(body), stake)).collect())
    };
    Some((of(|body| body.phase_a_ms)?, of(|body| body.phase_b_ms)?))
}

/// The first value at which half of the weight is reached.
fn median(mut values: Vec<(u32, Amount)>) -> Option<u32> {
    values.sort_unstable();
    let weight = |amount: &Amount| u128::from(amount.get());
    let total = values.iter().fold(0_u128, |sum, (_value, stake)| {
        sum.saturating_add(weight(stake))
    });
    let mut passed = 0_u128;
    values.iter().find_map(|(value, stake)| {
        passed = passed.saturating_add(weight(stake));
        (passed.saturating_mul(2) >= total).then_some(*value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thirds_are_of_those_drawn() {
        let cases = [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5)];
        for (drawn, need) in cases {
            assert_eq!(two_thirds(drawn), need, "{drawn} drawn");
        }
    }

    #[test]
    fn the_median_goes_by_stake_and_not_by_heads() {
        let stake = Amount::new;
        assert_eq!(
            median(vec![(10, stake(1)), (20, stake(1)), (30, stake(1))]),
            Some(20)
        );
        assert_eq!(
            median(vec![(10, stake(1)), (20, stake(1)), (30, stake(9))]),
            Some(30)
        );
        assert_eq!(median(vec![(30, stake(5)), (10, stake(5))]), Some(10));
        assert_eq!(median(vec![]), None);
    }
}
