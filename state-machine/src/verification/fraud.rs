//! A wrong element or walker step, proven to the chain itself.

use io_challenge::{FraudProof, check_fraud_proof};
use io_storage::Fault;
use io_types::action::{ReportFraud, Verdict};
use io_types::event::Reason;
use io_types::row::{Challenge, ChallengeStage, Device, Outcome};
use io_types::{AccountId, Amount, Asset, Event, Rejection, SystemAccount};

use crate::context::BlockContext;
use crate::device;
use crate::dispatch::Execute;
use crate::error::{ActionError, broken, must};
use crate::ledger;
use crate::stake;
use crate::state::State;
use crate::tables::CHALLENGES;

use super::penalty::{self, Missed};
use super::{action, effect, stage, terms};

impl Execute for ReportFraud {
    /// Rules: 808 for a proof that is longer than any.
    fn check_stateless(&self) -> Result<(), Rejection> {
        if self.proof.len() > io_challenge::FRAUD_PROOF_BYTES_MAX {
            let why = format!(
                "it has {} bytes, at most {} are taken",
                self.proof.len(),
                io_challenge::FRAUD_PROOF_BYTES_MAX
            );
            return Err(Rejection::ProofRefused { why });
        }
        Ok(())
    }

    /// Rules in order: 801, 802, 810, 809, 201 for the bond, 808.
    ///
    /// The proof is judged in this same step, so the bond must be there and is never moved: ADR 0071.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self {
            challenge: id,
            processor,
            proof,
        } = self;
        let mut challenge = action::read(state, *id)?;
        if challenge.answers.is_empty() {
            return Err(action::wrong_stage(&challenge, ", and no answer stands"));
        }
        if challenge.fraud_reporter.is_some() {
            return Err(Rejection::FraudAlreadyProven { challenge: *id }.into());
        }
        if challenge.stage == ChallengeStage::Decided && challenge.deadline < block.height {
            return Err(Rejection::DisputeOver { challenge: *id }.into());
        }
        let device = device::read(state, challenge.device)?;
        let (need, available) = (
            block.params.verification.fraud_bond,
            ledger::available(state, signer, Asset::Io)?,
        );
        if available < need {
            return Err(Rejection::InsufficientFunds {
                asset: Asset::Io,
                need,
                available,
            }
            .into());
        }
        prove(block, &challenge, &device, *processor, proof)
            .map_err(|why| Rejection::ProofRefused { why })?;
        challenge.fraud_reporter = Some(signer);
        Ok(convict(state, block, challenge, device, signer)?)
    }
}

/// Runs the proof against the committed roots.
fn prove(
    block: &BlockContext,
    challenge: &Challenge,
    device: &Device,
    processor: u16,
    proof: &[u8],
) -> Result<(), String> {
    let class = block
        .class(challenge.class)
        .ok_or("the class of the challenge is not in the catalogue")?;
    let answer = challenge
        .answers
        .get(usize::from(processor))
        .ok_or_else(|| {
            format!(
                "processor {processor} is not one of the {} that answered",
                challenge.answers.len()
            )
        })?;
    let params = terms::params_of(class);
    let seed = terms::seed_of(challenge, &params, &device.owner, processor)?;
    let proof = FraudProof::decode(&params, proof).map_err(|error| error.to_string())?;
    check_fraud_proof(&params, &seed, &terms::roots_of(answer), &proof)
        .map(|_fraud| ())
        .map_err(|error| error.to_string())
}

/// The answer is proven false: the device fails, its stake is slashed, the reporter is paid, and those who had said pass pay.
fn convict(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: Challenge,
    mut device: Device,
    reporter: AccountId,
) -> Result<(), Fault> {
    state.emit(Event::FraudProven {
        challenge: challenge.id,
        device: device.id,
        reporter,
    });
    let share = block.params.verification.fraud_slash;
    let slashed = stake::slash(state, device.id, share, SystemAccount::SlashCustody)?;
    pay(state, block, reporter, slashed)?;
    for drawn in &challenge.verifiers {
        if drawn
            .verdict
            .as_ref()
            .is_some_and(|body| body.verdict == Verdict::Pass)
        {
            penalty::charge(state, block, challenge.id, drawn.account, Missed::Truth)?;
        }
    }
    if challenge.stage == ChallengeStage::Decided {
        let mut challenge = challenge;
        let failed_before = challenge.outcome == Some(Outcome::Failed);
        challenge.outcome = Some(Outcome::Failed);
        CHALLENGES.put(state, &challenge.id, &challenge);
        device.class = None;
        device.passed_at = None;
        if !failed_before {
            effect::fail(state, block, &mut device, Reason::Fraud);
            crate::reward::forfeit(state, &block.params.reward, block.now, device.id)?;
        }
        device::write(state, &device);
        return Ok(());
    }
    device.class = None;
    device.passed_at = None;
    device::write(state, &device);
    stage::decide(state, block, challenge, Outcome::Failed)
}

/// The fixed fee, at most half of what was slashed, out of the duty fund as far as it has money.
fn pay(
    state: &mut State<'_>,
    block: &BlockContext,
    reporter: AccountId,
    slashed: Amount,
) -> Result<(), Fault> {
    let half = slashed
        .mul_div_floor(1, 2)
        .ok_or_else(|| broken("verification", "half of an amount does not fit"))?;
    let available = ledger::available(state, SystemAccount::DutyFund, Asset::Io)?;
    let fee = block.params.verification.fraud_fee.min(half).min(available);
    must(
        "verification: fraud fee",
        ledger::transfer(state, SystemAccount::DutyFund, reporter, Asset::Io, fee),
    )
}
