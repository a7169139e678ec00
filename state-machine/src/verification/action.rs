//! What the parties of a challenge say: nonces, answers, verdicts.
//!
//! Every duty is checked in full in `CheckTx` already: [`Execute::check_duty`] asks the same questions as `execute`.

use io_types::action::{
    CommitAnswer, CommitNonce, CommitVerdict, RequestChallenge, RevealNonce, RevealVerdict,
};
use io_types::row::{Challenge, ChallengeStage, ChallengeTrigger, DeviceState, DrawnVerifier};
use io_types::{AccountId, ChallengeId, Event, Rejection};

use crate::context::BlockContext;
use crate::device;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::state::State;
use crate::tables::CHALLENGES;

use super::tally::two_thirds;
use super::{stage, trigger};

/// Rules: 801.
pub(super) fn read(state: &State<'_>, id: ChallengeId) -> Result<Challenge, ActionError> {
    CHALLENGES
        .get(state, &id)?
        .ok_or_else(|| Rejection::UnknownChallenge { challenge: id }.into())
}

pub(super) fn wrong_stage(challenge: &Challenge, why: &str) -> ActionError {
    let stage = format!("{:?}{why}", challenge.stage);
    Rejection::WrongStage {
        challenge: challenge.id,
        stage,
    }
    .into()
}

/// Rules: 803, 802.
fn place_of(
    challenge: &Challenge,
    verifier: AccountId,
    stages: &[ChallengeStage],
) -> Result<usize, ActionError> {
    let place = challenge
        .verifiers
        .iter()
        .position(|drawn| drawn.account == verifier)
        .ok_or(Rejection::NotDrawn {
            challenge: challenge.id,
            verifier,
        })?;
    if !stages.contains(&challenge.stage) {
        return Err(wrong_stage(challenge, ""));
    }
    Ok(place)
}

/// Rules: 804 if there is one already.
fn unset<T>(challenge: &Challenge, slot: Option<&T>) -> Result<(), ActionError> {
    match slot {
        Some(_before) => Err(Rejection::AlreadyCommitted {
            challenge: challenge.id,
        }
        .into()),
        None => Ok(()),
    }
}

/// A checked step of a verifier: the challenge, and which of its verifiers.
struct Step {
    challenge: Challenge,
    place: usize,
}

impl Step {
    /// Rules: 801, 803, 802.
    fn of(
        state: &State<'_>,
        id: ChallengeId,
        verifier: AccountId,
        stages: &[ChallengeStage],
    ) -> Result<Self, ActionError> {
        let challenge = read(state, id)?;
        let place = place_of(&challenge, verifier, stages)?;
        Ok(Self { challenge, place })
    }

    fn drawn(&self) -> Option<&DrawnVerifier> {
        self.challenge.verifiers.get(self.place)
    }

    /// Writes the verifier's part and moves on if it was the last.
    fn write(
        mut self,
        block: &BlockContext,
        state: &mut State<'_>,
        change: impl FnOnce(&mut DrawnVerifier),
    ) -> Result<(), ActionError> {
        if let Some(drawn) = self.challenge.verifiers.get_mut(self.place) {
            change(drawn);
        }
        Ok(stage::advance(state, block, self.challenge)?)
    }
}

fn check_commit_nonce(
    action: &CommitNonce,
    signer: AccountId,
    state: &State<'_>,
) -> Result<Step, ActionError> {
    let step = Step::of(state, action.challenge, signer, &[ChallengeStage::Nonces])?;
    unset(
        &step.challenge,
        step.drawn()
            .and_then(|drawn| drawn.nonce_commitment.as_ref()),
    )?;
    Ok(step)
}

impl Execute for CommitNonce {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    fn check_duty(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        check_commit_nonce(self, signer, state).map(|_step| ())
    }

    /// Rules in order: 801, 803, 802, 804.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let step = check_commit_nonce(self, signer, state)?;
        step.write(block, state, |drawn| {
            drawn.nonce_commitment = Some(self.commitment);
        })
    }
}

fn check_answer(
    action: &CommitAnswer,
    signer: AccountId,
    state: &State<'_>,
) -> Result<Challenge, ActionError> {
    let CommitAnswer {
        challenge: id,
        nonces,
        processors,
    } = action;
    let challenge = read(state, *id)?;
    let device = device::read(state, challenge.device)?;
    if device.device_key != signer {
        return Err(Rejection::NotDeviceKey { device: device.id }.into());
    }
    if challenge.stage != ChallengeStage::Answer {
        return Err(wrong_stage(&challenge, ""));
    }
    let need = two_thirds(challenge.verifiers.len());
    if nonces.len() < need {
        return Err(Rejection::TooFewNonces {
            challenge: *id,
            got: nonces.len(),
            need,
        }
        .into());
    }
    let ascending = nonces
        .windows(2)
        .all(|pair| matches!(pair, [before, after] if before.0 < after.0));
    let committed = |account: &AccountId| {
        challenge
            .verifiers
            .iter()
            .any(|drawn| drawn.account == *account && drawn.nonce_commitment.is_some())
    };
    if !ascending || !nonces.iter().all(|(account, _nonce)| committed(account)) {
        return Err(Rejection::BadNonces { challenge: *id }.into());
    }
    if processors.len() != usize::from(device.spec.quantity) {
        let (got, want) = (processors.len(), device.spec.quantity);
        return Err(Rejection::WrongProcessors {
            challenge: *id,
            got,
            want,
        }
        .into());
    }
    Ok(challenge)
}

impl Execute for CommitAnswer {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    fn check_duty(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        check_answer(self, signer, state).map(|_challenge| ())
    }

    /// Rules in order: 801, 503, 802, 806, 813, 807.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let mut challenge = check_answer(self, signer, state)?;
        challenge.nonces_used.clone_from(&self.nonces);
        challenge.answers.clone_from(&self.processors);
        stage::begin_verdicts(state, block, challenge);
        Ok(())
    }
}

fn check_reveal_nonce(
    action: &RevealNonce,
    signer: AccountId,
    state: &State<'_>,
) -> Result<Step, ActionError> {
    let RevealNonce {
        challenge: id,
        first,
        second,
    } = action;
    let step = Step::of(
        state,
        *id,
        signer,
        &[ChallengeStage::Verdicts, ChallengeStage::Reveals],
    )?;
    unset(
        &step.challenge,
        step.drawn().and_then(|drawn| drawn.nonces.as_ref()),
    )?;
    let revealed = io_types::stream::nonce_commitment(*id, &signer, first, second);
    if step.drawn().and_then(|drawn| drawn.nonce_commitment) != Some(revealed) {
        return Err(Rejection::RevealMismatch { challenge: *id }.into());
    }
    Ok(step)
}

impl Execute for RevealNonce {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    fn check_duty(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        check_reveal_nonce(self, signer, state).map(|_step| ())
    }

    /// Rules in order: 801, 803, 802, 804, 805.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let step = check_reveal_nonce(self, signer, state)?;
        step.write(block, state, |drawn| {
            drawn.nonces = Some((self.first, self.second));
        })
    }
}

fn check_commit_verdict(
    action: &CommitVerdict,
    signer: AccountId,
    state: &State<'_>,
) -> Result<Step, ActionError> {
    let step = Step::of(state, action.challenge, signer, &[ChallengeStage::Verdicts])?;
    if step
        .drawn()
        .is_some_and(|drawn| drawn.nonce_commitment.is_none())
    {
        return Err(wrong_stage(
            &step.challenge,
            ", and this verifier committed to no nonce",
        ));
    }
    unset(
        &step.challenge,
        step.drawn()
            .and_then(|drawn| drawn.verdict_commitment.as_ref()),
    )?;
    Ok(step)
}

impl Execute for CommitVerdict {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    fn check_duty(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        check_commit_verdict(self, signer, state).map(|_step| ())
    }

    /// Rules in order: 801, 803, 802, 804.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let step = check_commit_verdict(self, signer, state)?;
        step.write(block, state, |drawn| {
            drawn.verdict_commitment = Some(self.commitment);
        })
    }
}

fn check_reveal_verdict(
    action: &RevealVerdict,
    signer: AccountId,
    state: &State<'_>,
) -> Result<Step, ActionError> {
    let RevealVerdict {
        challenge: id,
        salt,
        body,
    } = action;
    let step = Step::of(state, *id, signer, &[ChallengeStage::Reveals])?;
    unset(
        &step.challenge,
        step.drawn().and_then(|drawn| drawn.verdict.as_ref()),
    )?;
    let revealed = body.commitment(&signer, step.challenge.device, *id, salt);
    if step.drawn().and_then(|drawn| drawn.verdict_commitment) != Some(revealed) {
        return Err(Rejection::RevealMismatch { challenge: *id }.into());
    }
    Ok(step)
}

impl Execute for RevealVerdict {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    fn check_duty(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        check_reveal_verdict(self, signer, state).map(|_step| ())
    }

    /// Rules in order: 801, 803, 802, 804, 805.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let step = check_reveal_verdict(self, signer, state)?;
        state.emit(Event::VerdictRevealed {
            challenge: self.challenge,
            verifier: signer,
            body: self.body.clone(),
        });
        step.write(block, state, |drawn| {
            drawn.verdict = Some(self.body.clone());
        })
    }
}

impl Execute for RequestChallenge {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 401, 402, 811, 812.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let id = self.device;
        let mut device = device::owned(state, id, signer)?;
        if device.challenge.is_some() {
            return Err(Rejection::ChallengeRunning { device: id }.into());
        }
        let allowed = match device.state {
            DeviceState::Onboarding | DeviceState::Probation => true,
            DeviceState::Ready => device.last_failed,
            DeviceState::Hired
            | DeviceState::Paused
            | DeviceState::Down
            | DeviceState::Blocked
            | DeviceState::Retired => false,
        };
        if !allowed
            || trigger::begin(state, block, &mut device, ChallengeTrigger::Request)?.is_none()
        {
            return Err(Rejection::ChallengeNotAllowed { device: id }.into());
        }
        device::write(state, &device);
        Ok(())
    }
}
