//! Fraud proofs: a card that computes one element of every step wrongly, and what becomes of it.

use io_challenge::{
    Draw, Element, Engine, FraudProof, HostEngine, Kernels, Requantiser, Seed, SeedMatrix,
    multiply_rows,
};
use io_types::SystemAccount;
use io_types::action::ReportFraud;
use io_types::row::{HoldPurpose, Outcome, Stake};

use super::super::terms;
use super::*;
use crate::ledger;
use crate::tables::{BRIDGE, STAKES, VERIFIERS};

const WRONG: Element = Element {
    step: 4,
    row: 3,
    column: 7,
};

/// Scalar kernels that get one element of each step wrong.
struct Faulty;

impl Kernels for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn expand(&self, seed: &Seed, matrix: SeedMatrix, out: &mut [u8]) {
        seed.expand(matrix, 0, out);
    }

    fn multiply(
        &self,
        size: usize,
        requantiser: &Requantiser,
        newer: &[u8],
        older: &[u8],
        out: &mut [u8],
    ) {
        multiply_rows(size, requantiser, newer, older, out);
        out[3 * size + 7] ^= 1;
    }
}

fn engine(kernels: impl Kernels, chain: &Chain, drawn: &[AccountId]) -> (CommitAnswer, Vec<u8>) {
    let block = chain.block();
    let params = terms::params_of(block.class(CLASS).unwrap());
    let mut challenge = chain.challenge();
    let mut answer = answer(drawn);
    challenge.nonces_used = answer.nonces.clone();
    let seed = terms::seed_of(&challenge, &params, &OWNER, 0).unwrap();
    let mut engine = HostEngine::new(kernels);
    let run = engine.run(&params, &seed).unwrap();
    answer.processors = vec![ProcessorAnswer {
        root_a: Hash(run.root_a),
        root_b: Hash(run.root_b),
    }];
    let opened = engine
        .open(&Draw {
            elements: vec![WRONG],
            walks: Vec::new(),
        })
        .unwrap();
    let opening = opened.elements.into_iter().next().unwrap();
    let proof = FraudProof::of_element(&opened.lists, WRONG, opening)
        .encode(&params)
        .unwrap();
    (answer, proof)
}

fn stake_device(chain: &mut Chain, amount: u64) {
    let amount = Amount::new(amount);
    let hold = ledger::hold(
        &mut chain.state,
        OWNER,
        Asset::Io,
        amount,
        HoldPurpose::Stake(DEVICE),
    )
    .unwrap();
    STAKES
        .put(
            &mut chain.state,
            &DEVICE,
            &Stake {
                staker: OWNER,
                amount,
                hold,
                exit: None,
            },
        )
        .unwrap();
    crate::stake::count(&mut chain.state, amount, Amount::ZERO).unwrap();
}

fn io(chain: &Chain, holder: impl Into<io_types::Holder>) -> u64 {
    ledger::available(&chain.state, holder, Asset::Io)
        .unwrap()
        .get()
}

/// A chain whose device answered with `kernels`; the bytes of a proof about the element in question.
fn answered(kernels: impl Kernels) -> (Chain, Vec<AccountId>, Vec<u8>) {
    let mut chain = Chain::with_verifiers(5);
    stake_device(&mut chain, 1_000_000_000_000);
    ledger::transfer(
        &mut chain.state,
        REPORTER,
        SystemAccount::DutyFund,
        Asset::Io,
        Amount::new(1 << 40),
    )
    .unwrap();
    chain.draw();
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn);
    let (answer, proof) = engine(kernels, &chain, &drawn);
    chain.act(WORKER, &answer).unwrap();
    (chain, drawn, proof)
}

fn report(proof: &[u8]) -> ReportFraud {
    ReportFraud {
        challenge: ChallengeId(1),
        processor: 0,
        proof: proof.to_vec(),
    }
}

#[test]
fn a_proven_false_answer_fails_the_device_slashes_it_and_pays_the_reporter() {
    let (mut chain, _drawn, proof) = answered(Faulty);
    chain.edit(|device| device.state = DeviceState::Ready);
    let (before, staked) = (
        io(&chain, REPORTER),
        BRIDGE
            .expect(&chain.state, &(), "test")
            .unwrap()
            .staked
            .get(),
    );
    chain.act(REPORTER, &report(&proof)).unwrap();
    let params = chain.block().params.verification.clone();
    assert_eq!(chain.challenge().outcome, Some(Outcome::Failed));
    assert_eq!(chain.challenge().fraud_reporter, Some(REPORTER));
    assert_eq!(
        io(&chain, SystemAccount::SlashCustody),
        100_000_000_000,
        "a tenth of the stake"
    );
    assert_eq!(
        STAKES
            .expect(&chain.state, &DEVICE, "test")
            .unwrap()
            .amount
            .get(),
        900_000_000_000
    );
    assert_eq!(io(&chain, REPORTER) - before, params.fraud_fee.get());
    let staked_now = BRIDGE
        .expect(&chain.state, &(), "test")
        .unwrap()
        .staked
        .get();
    assert_eq!(staked - staked_now, 100_000_000_000);
    let device = chain.device();
    assert_eq!(
        (device.state, device.reputation, device.class),
        (DeviceState::Probation, 2500, None)
    );
    assert!(device.last_failed && device.challenge.is_none());
}

#[test]
fn a_pass_that_is_proven_false_is_taken_back_and_costs_those_who_said_it() {
    let (mut chain, drawn, proof) = answered(Faulty);
    let pass = says(Verdict::Pass);
    chain.commit_verdicts(&drawn, &pass);
    chain.reveal(&drawn, &pass);
    assert_eq!(chain.challenge().outcome, Some(Outcome::Passed(CLASS)));
    assert_eq!(chain.device().state, DeviceState::Ready);
    chain.act(REPORTER, &report(&proof)).unwrap();
    assert_eq!(chain.challenge().outcome, Some(Outcome::Failed));
    let device = chain.device();
    assert_eq!(
        (device.state, device.reason),
        (DeviceState::Probation, Reason::Fraud)
    );
    assert_eq!(
        (device.class, device.passed_at, device.last_failed),
        (None, None, true)
    );
    let bond = chain.block().params.verification.task_bond;
    for account in drawn {
        assert_eq!(
            VERIFIERS
                .expect(&chain.state, &account, "test")
                .unwrap()
                .lost,
            bond
        );
    }
    assert_eq!(
        io(&chain, SystemAccount::SlashCustody),
        100_000_000_000 + 5 * bond.get()
    );
}

#[test]
fn the_fee_is_at_most_half_of_the_slash_and_what_the_duty_fund_has() {
    let (mut chain, _drawn, proof) = answered(Faulty);
    let mut stake = STAKES.expect(&chain.state, &DEVICE, "test").unwrap();
    ledger::release(&mut chain.state, stake.hold, Amount::new(999_999_000_000)).unwrap();
    stake.amount = Amount::new(1_000_000);
    STAKES.put(&mut chain.state, &DEVICE, &stake).unwrap();
    let before = io(&chain, REPORTER);
    chain.act(REPORTER, &report(&proof)).unwrap();
    assert_eq!(io(&chain, REPORTER) - before, 50_000);
}

#[test]
fn a_proof_against_a_right_answer_or_of_garbage_is_808() {
    let (mut chain, _drawn, proof) = answered(io_challenge::Scalar);
    let refused = |result: Result<(), Rejection>| result.unwrap_err().code();
    assert_eq!(refused(chain.act(REPORTER, &report(&proof))), 808);
    assert_eq!(refused(chain.act(REPORTER, &report(&[]))), 808);
    assert_eq!(refused(chain.act(REPORTER, &report(&[0xff; 100]))), 808);
    let too_long = vec![0; io_challenge::FRAUD_PROOF_BYTES_MAX + 1];
    assert_eq!(refused(chain.act(REPORTER, &report(&too_long))), 808);
    let other = ReportFraud {
        processor: 1,
        ..report(&proof)
    };
    assert_eq!(refused(chain.act(REPORTER, &other)), 808);
    let mut bent = proof;
    bent[200] ^= 1;
    assert_eq!(
        refused(chain.act(REPORTER, &report(&bent))),
        808,
        "a changed byte leads to no root"
    );
}

#[test]
fn a_report_without_the_bond_is_201() {
    let (mut chain, _drawn, proof) = answered(Faulty);
    let poor = AccountId([55; 32]);
    let need = chain.block().params.verification.fraud_bond;
    let expected = Rejection::InsufficientFunds {
        asset: Asset::Io,
        need,
        available: Amount::ZERO,
    };
    assert_eq!(chain.act(poor, &report(&proof)), Err(expected));
}

#[test]
fn a_report_after_the_disputes_is_809() {
    let (mut chain, drawn, proof) = answered(Faulty);
    let pass = says(Verdict::Pass);
    chain.commit_verdicts(&drawn, &pass);
    chain.reveal(&drawn, &pass);
    chain.height = chain.challenge().deadline.0 + 1;
    let over = Rejection::DisputeOver {
        challenge: ChallengeId(1),
    };
    assert_eq!(chain.act(REPORTER, &report(&proof)), Err(over));
    chain.height -= 1;
    chain.act(REPORTER, &report(&proof)).unwrap();
}

#[test]
fn a_second_report_is_810() {
    let (mut chain, _drawn, proof) = answered(Faulty);
    chain.act(REPORTER, &report(&proof)).unwrap();
    let proven = Rejection::FraudAlreadyProven {
        challenge: ChallengeId(1),
    };
    assert_eq!(chain.act(REPORTER, &report(&proof)), Err(proven));
}
