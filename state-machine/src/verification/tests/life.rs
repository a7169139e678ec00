//! Whole challenges: passed, failed, not answered, excused, drawn again.

use io_types::SystemAccount;
use io_types::row::{ChallengeStage as Stage, Outcome, RewardState, VerifierRow};

use super::*;
use crate::ledger;
use crate::tables::VERIFIERS;

fn row(chain: &Chain, account: AccountId) -> VerifierRow {
    VERIFIERS.expect(&chain.state, &account, "test").unwrap()
}

fn treasury(chain: &Chain) -> u64 {
    ledger::available(&chain.state, SystemAccount::Treasury, Asset::Io)
        .unwrap()
        .get()
}

fn has(events: &[Event], wanted: impl Fn(&Event) -> bool) -> bool {
    events.iter().any(wanted)
}

#[test]
fn a_device_that_passes_is_ready_with_its_class() {
    let mut chain = Chain::with_verifiers(5);
    chain.whole(&says(Verdict::Pass));
    let device = chain.device();
    assert_eq!(device.state, DeviceState::Ready);
    assert_eq!(device.class, Some(CLASS));
    assert_eq!(device.passed_at, Some(chain.block().now));
    assert!(!device.last_failed);
    assert_eq!(device.challenge, None);
    assert_eq!(device.reputation, 5000);
    let interval = chain.block().params.verification.interval_max_ms;
    assert_eq!(device.challenge_due, chain.block().now.plus_ms(interval));
    let challenge = chain.challenge();
    assert_eq!(challenge.outcome, Some(Outcome::Passed(CLASS)));
    assert_eq!(challenge.times_ms, Some((2000, 1000)));
    assert_eq!(challenge.decided_at, Some(chain.block().now));
    let events = chain.events();
    assert!(has(
        &events,
        |event| matches!(event, Event::ClassGranted { class, .. } if *class == CLASS)
    ));
    assert!(has(&events, |event| matches!(
        event,
        Event::ChallengeBegun { .. }
    )));
    assert!(has(&events, |event| matches!(
        event,
        Event::DeviceStateChanged {
            to: DeviceState::Ready,
            ..
        }
    )));
    assert!(!has(&events, |event| matches!(
        event,
        Event::VerifierPenalised { .. }
    )));
    assert_eq!(treasury(&chain), 0);
}

#[test]
fn the_stages_follow_each_other_and_name_their_deadlines() {
    let mut chain = Chain::with_verifiers(5);
    chain.end();
    let waiting = chain.challenge();
    assert_eq!(
        (waiting.stage, waiting.triggered),
        (Stage::AwaitingBeacon, Height(1))
    );
    assert_eq!(
        waiting.deadline,
        Height(9),
        "windows are blocks 0 to 4, 5 to 9: the first that begins after block 1 ends with 9"
    );
    assert_eq!(chain.device().challenge, Some(ChallengeId(1)));
    chain.draw();
    assert_eq!(chain.height, 10);
    assert_eq!(chain.challenge().stage, Stage::Nonces);
    assert_eq!(chain.challenge().deadline, Height(14));
    assert_ne!(chain.challenge().beacon, Hash::ZERO);
    let drawn = chain.drawn();
    assert_eq!(drawn.len(), 5);
    assert!(
        drawn.windows(2).all(|pair| pair[0] < pair[1]),
        "ascending by key"
    );
    chain.commit_nonces(&drawn[..4]);
    assert_eq!(chain.challenge().stage, Stage::Nonces);
    chain.commit_nonces(&drawn[4..]);
    assert_eq!(
        (chain.challenge().stage, chain.challenge().deadline),
        (Stage::Answer, Height(30))
    );
    chain.end();
    chain.answer(&drawn);
    let answered = chain.challenge();
    assert_eq!(
        (answered.stage, answered.deadline, answered.answered),
        (Stage::Verdicts, Height(51), Some(Height(11)))
    );
    assert_eq!(answered.nonces_used.len(), 5);
    chain.commit_verdicts(&drawn, &says(Verdict::Pass));
    assert_eq!(
        (chain.challenge().stage, chain.challenge().deadline),
        (Stage::Reveals, Height(16))
    );
    chain.reveal(&drawn, &says(Verdict::Pass));
    assert_eq!(
        (chain.challenge().stage, chain.challenge().deadline),
        (Stage::Decided, Height(111))
    );
}

#[test]
fn a_failed_challenge_costs_half_of_the_reputation_and_the_market() {
    for verdict in [Verdict::WrongAnswer, Verdict::NoOpenings, Verdict::TooSlow] {
        let mut chain = Chain::with_verifiers(5);
        chain.edit(|device| device.state = DeviceState::Ready);
        chain.whole(&says(verdict));
        let device = chain.device();
        assert_eq!(chain.challenge().outcome, Some(Outcome::Failed));
        assert_eq!(device.state, DeviceState::Probation);
        assert_eq!(device.reason, Reason::FailedChallenge);
        assert_eq!(device.reputation, 2500);
        assert!(device.last_failed);
        assert_eq!(
            device.memory_failures,
            u32::from(verdict == Verdict::NoOpenings)
        );
    }
}

#[test]
fn right_answers_at_no_class_s_times_fail() {
    let mut chain = Chain::with_verifiers(5);
    let slow = VerdictBody {
        phase_a_ms: 9000,
        ..says(Verdict::Pass)
    };
    chain.whole(&slow);
    assert_eq!(chain.challenge().outcome, Some(Outcome::Failed));
    assert_eq!(chain.device().memory_failures, 0);
    let mut chain = Chain::with_verifiers(5);
    let slow_reads = VerdictBody {
        phase_b_ms: 9000,
        ..says(Verdict::Pass)
    };
    chain.whole(&slow_reads);
    assert_eq!(chain.challenge().outcome, Some(Outcome::Failed));
    assert_eq!(
        chain.device().memory_failures,
        1,
        "phase B alone was too slow"
    );
}

#[test]
fn a_busy_or_unreachable_device_is_excused() {
    for verdict in [Verdict::Busy, Verdict::Unreachable] {
        let mut chain = Chain::with_verifiers(5);
        chain.edit(|device| device.state = DeviceState::Ready);
        chain.whole(&says(verdict));
        assert_eq!(chain.challenge().outcome, Some(Outcome::Excused));
        let device = chain.device();
        assert_eq!(
            (device.state, device.reputation, device.last_failed),
            (DeviceState::Ready, 5000, false)
        );
    }
}

/// Nonces are committed and no answer comes; then everybody says the same.
fn silence(verdict: Verdict) -> Chain {
    let mut chain = Chain::with_verifiers(5);
    chain.edit(|device| device.state = DeviceState::Ready);
    chain.draw();
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn);
    chain.skip_to_deadline();
    assert_eq!(chain.challenge().stage, Stage::Verdicts);
    assert_eq!(chain.challenge().answered, None);
    let refused = chain.act(WORKER, &answer(&drawn));
    assert_eq!(refused.unwrap_err().code(), 802, "too late");
    chain.commit_verdicts(&drawn, &says(verdict));
    chain.reveal(&drawn, &says(verdict));
    chain
}

#[test]
fn a_device_that_does_not_answer_earns_nothing_until_a_pass() {
    for verdict in [Verdict::TooSlow, Verdict::Unreachable] {
        let chain = silence(verdict);
        assert_eq!(chain.challenge().outcome, Some(Outcome::NoAnswer));
        let device = chain.device();
        assert!(device.last_failed);
        assert_eq!(
            (device.state, device.reason),
            (DeviceState::Probation, Reason::NoAnswer)
        );
        assert_eq!(device.reputation, 5000);
        assert_eq!(treasury(&chain), 0, "the verifiers did their part");
    }
}

#[test]
fn silence_is_not_the_device_s_doing_if_its_verifiers_were_down_or_its_card_was_busy() {
    for verdict in [Verdict::VerifierFault, Verdict::Pass, Verdict::WrongAnswer] {
        let chain = silence(verdict);
        assert_eq!(
            chain.challenge().stage,
            Stage::AwaitingBeacon,
            "{verdict:?}"
        );
        assert_eq!(chain.device().state, DeviceState::Ready);
        assert!(!chain.device().last_failed);
    }
    let chain = silence(Verdict::Busy);
    assert_eq!(chain.challenge().outcome, Some(Outcome::Excused));
    assert_eq!(chain.device().state, DeviceState::Ready);
}

#[test]
fn four_of_five_decide_and_the_one_who_stays_away_pays_the_small_fee() {
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    let (lazy, rest) = (drawn[0], &drawn[1..]);
    let stake = row(&chain, lazy).stake.get();
    chain.commit_nonces(rest);
    chain.skip_to_deadline();
    assert_eq!(chain.challenge().stage, Stage::Answer);
    chain.answer(rest);
    chain.commit_verdicts(rest, &says(Verdict::Pass));
    chain.reveal(rest, &says(Verdict::Pass));
    assert_eq!(chain.challenge().outcome, Some(Outcome::Passed(CLASS)));
    let fee = chain.block().params.verification.no_show_fee.get();
    let lost = row(&chain, lazy);
    assert_eq!(
        (lost.stake.get(), lost.lost.get(), lost.missed),
        (stake - fee, fee, 1)
    );
    assert_eq!(treasury(&chain), fee);
    assert_eq!(
        ledger::hold_remaining(&chain.state, lost.hold).unwrap(),
        lost.stake
    );
}

#[test]
fn a_verdict_that_is_not_revealed_costs_the_task_bond() {
    let mut chain = Chain::with_verifiers(5);
    let pass = says(Verdict::Pass);
    let drawn = chain.until_reveals(&pass);
    chain.reveal(&drawn[1..], &pass);
    assert_eq!(chain.challenge().stage, Stage::Reveals);
    chain.skip_to_deadline();
    assert_eq!(chain.challenge().outcome, Some(Outcome::Passed(CLASS)));
    let bond = chain.block().params.verification.task_bond;
    assert_eq!(row(&chain, drawn[0]).lost, bond);
    assert_eq!(treasury(&chain), bond.get());
}

#[test]
fn a_nonce_that_is_not_revealed_costs_the_task_bond_once() {
    let mut chain = Chain::with_verifiers(5);
    let pass = says(Verdict::Pass);
    let drawn = chain.until_reveals(&pass);
    chain.reveal(&drawn[1..], &pass);
    chain
        .act(drawn[0], &reveal_verdict(drawn[0], &pass))
        .unwrap();
    chain.skip_to_deadline();
    assert_eq!(
        row(&chain, drawn[0]).lost,
        chain.block().params.verification.task_bond
    );
    assert_eq!(row(&chain, drawn[0]).missed, 1);
}

#[test]
fn a_verifier_that_cannot_cover_a_task_bond_any_more_is_not_drawn_again() {
    let mut spec = spec(5);
    spec.params.verification.task_bond = spec.verifiers[0].stake;
    let mut chain = Chain::new(&spec);
    let pass = says(Verdict::Pass);
    let drawn = chain.until_reveals(&pass);
    chain.reveal(&drawn[1..], &pass);
    chain.skip_to_deadline();
    let lost = row(&chain, drawn[0]);
    assert!(!lost.active);
    assert_eq!(lost.stake, Amount::ZERO);
    chain.edit(|device| device.challenge_due = ChainTime(0));
    chain.end();
    let id = chain.device().challenge.unwrap();
    for _ in 0..10 {
        chain.end();
    }
    let again = CHALLENGES.expect(&chain.state, &id, "test").unwrap();
    assert_eq!(again.verifiers.len(), 4);
    assert!(
        again
            .verifiers
            .iter()
            .all(|other| other.account != drawn[0])
    );
}

#[test]
fn without_a_decision_others_are_drawn_and_after_three_redraws_nothing_is_decided() {
    let mut chain = Chain::with_verifiers(12);
    chain.edit(|device| {
        device.state = DeviceState::Ready;
        device.passed_at = Some(ChainTime(START));
    });
    chain.draw();
    let first = chain.drawn();
    let mut earlier = first.clone();
    for redraw in 1..=3_u8 {
        chain.skip_to_deadline();
        let challenge = chain.challenge();
        assert_eq!(
            (challenge.stage, challenge.redraws),
            (Stage::AwaitingBeacon, redraw)
        );
        assert_eq!(challenge.earlier, earlier);
        assert!(challenge.verifiers.is_empty() && challenge.beacon == Hash::ZERO);
        chain.draw();
        let drawn = chain.drawn();
        assert_eq!(drawn.len(), 5);
        let again = drawn
            .iter()
            .filter(|account| earlier.contains(account))
            .count();
        let fresh = 12 - earlier.len();
        assert_eq!(
            again,
            5_usize.saturating_sub(fresh),
            "the earlier ones only as far as others do not suffice"
        );
        earlier.extend(drawn);
        earlier.sort();
        earlier.dedup();
    }
    chain.skip_to_deadline();
    assert_eq!(chain.challenge().outcome, Some(Outcome::NotPassed));
    let device = chain.device();
    assert_eq!(
        (device.state, device.reputation, device.last_failed),
        (DeviceState::Ready, 5000, false)
    );
    let half = chain.block().params.reward.pass_age_max_ms.div_euclid(2);
    let decided = chain.challenge().decided_at.unwrap();
    assert_eq!(
        device.passed_at,
        Some(ChainTime((decided.0 - half).min(START))),
        "the old pass lasts half of its age more at most"
    );
}

#[test]
fn three_against_two_of_five_decide_nothing() {
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn);
    chain.answer(&drawn);
    let (pass, fail) = (says(Verdict::Pass), says(Verdict::WrongAnswer));
    chain.commit_verdicts(&drawn[..3], &pass);
    chain.commit_verdicts(&drawn[3..], &fail);
    chain.reveal(&drawn[..3], &pass);
    chain.reveal(&drawn[3..], &fail);
    assert_eq!(
        (chain.challenge().stage, chain.challenge().redraws),
        (Stage::AwaitingBeacon, 1)
    );
    assert_eq!(chain.device().challenge, Some(ChallengeId(1)));
}

#[test]
fn a_verifier_whose_own_machine_failed_says_nothing_of_the_device() {
    let mut chain = Chain::with_verifiers(5);
    chain.whole(&says(Verdict::Pass));
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn);
    chain.answer(&drawn);
    let (pass, fault) = (says(Verdict::Pass), says(Verdict::VerifierFault));
    chain.commit_verdicts(&drawn[..3], &pass);
    chain.commit_verdicts(&drawn[3..], &fault);
    chain.reveal(&drawn[..3], &pass);
    chain.reveal(&drawn[3..], &fault);
    assert_eq!(
        chain.challenge().stage,
        Stage::AwaitingBeacon,
        "three of five are not two thirds of those drawn"
    );
}

#[test]
fn an_answer_over_nonces_that_nobody_sent_fails_and_one_contradiction_alone_decides_nothing() {
    for (wrong, outcome) in [(1, Outcome::Passed(CLASS)), (2, Outcome::Failed)] {
        let mut chain = Chain::with_verifiers(5);
        chain.draw();
        let drawn = chain.drawn();
        chain.commit_nonces(&drawn);
        let mut made_up = answer(&drawn);
        for nonce in &mut made_up.nonces[..wrong] {
            nonce.1 = Hash([0xee; 32]);
        }
        chain.act(WORKER, &made_up).unwrap();
        let pass = says(Verdict::Pass);
        chain.commit_verdicts(&drawn, &pass);
        chain.reveal(&drawn, &pass);
        assert_eq!(
            chain.challenge().outcome,
            Some(outcome),
            "{wrong} of 5 contradict"
        );
    }
}

#[test]
fn verifiers_with_a_share_in_the_device_are_never_drawn() {
    let mut spec = spec(4);
    for account in [OWNER, WORKER] {
        if account == WORKER {
            spec.balances.push(GenesisBalance {
                account,
                asset: Asset::Io,
                amount: Amount::new(1 << 40),
            });
        }
        let stake = Amount::new(1 << 39);
        spec.verifiers.push(GenesisVerifier {
            account,
            url: "ws://127.0.0.1:1".to_owned(),
            stake,
        });
    }
    let mut chain = Chain::new(&spec);
    chain.draw();
    assert_eq!(chain.drawn(), [1, 2, 3, 4].map(verifier));
}

#[test]
fn a_pass_does_not_bring_a_paused_device_back() {
    let mut chain = Chain::with_verifiers(5);
    let drawn = chain.until_reveals(&says(Verdict::Pass));
    chain.edit(|device| device.state = DeviceState::Paused);
    chain.reveal(&drawn, &says(Verdict::Pass));
    assert_eq!(chain.device().state, DeviceState::Paused);
    assert_eq!(chain.device().class, Some(CLASS));
}

#[test]
fn a_decided_challenge_is_dropped_long_after_its_disputes() {
    let mut chain = Chain::with_verifiers(5);
    chain.whole(&says(Verdict::Pass));
    let dispute_end = chain.challenge().deadline;
    chain.height = dispute_end.0 + KEEP_BLOCKS;
    chain.end();
    assert!(CHALLENGES.contains(&chain.state, &ChallengeId(1)).unwrap());
    chain.end();
    assert!(!CHALLENGES.contains(&chain.state, &ChallengeId(1)).unwrap());
}

/// Gives the device a reward that waits for a pulse: as much as the reward pool then holds.
fn withhold(chain: &mut Chain) -> (DeviceId, io_types::Epoch) {
    let key = (DEVICE, io_types::Epoch(1));
    let amount = Amount::new(500);
    let supply = ledger::Supply::Emission;
    ledger::mint(
        &mut chain.state,
        SystemAccount::RewardPool,
        Asset::Io,
        amount,
        supply,
    )
    .unwrap();
    let mut row = io_types::row::ResultRow::default();
    row.result.reward = amount;
    row.reward = RewardState::Withheld;
    crate::tables::DEVICE_RESULTS
        .put(&mut chain.state, &key, &row)
        .unwrap();
    key
}

fn reward_state(chain: &Chain, key: (DeviceId, io_types::Epoch)) -> RewardState {
    let row = crate::tables::DEVICE_RESULTS.get(&chain.state, &key);
    row.unwrap().unwrap().reward
}

fn pool(chain: &Chain, account: SystemAccount) -> u64 {
    ledger::available(&chain.state, account, Asset::Io)
        .unwrap()
        .get()
}

#[test]
fn a_pass_releases_rewards_that_were_withheld() {
    let mut chain = Chain::with_verifiers(5);
    let key = withhold(&mut chain);
    chain.whole(&says(Verdict::Pass));
    assert_eq!(reward_state(&chain, key), RewardState::Accrued);
    let params = chain.block().params.reward.clone();
    let due = crate::reward::accruals(chain.state.overlay(), &params, DEVICE).unwrap();
    let accrual = io_types::row::Accrual {
        amount: Amount::new(500),
        collectable_at: key.1.next().start().plus_ms(params.collect_after_ms),
    };
    assert_eq!(due, [(key.1, accrual)]);
    assert_eq!(pool(&chain, SystemAccount::RewardPool), 500);
}

#[test]
fn a_failure_sends_rewards_that_were_withheld_to_the_vault() {
    let mut chain = Chain::with_verifiers(5);
    let key = withhold(&mut chain);
    let vault = pool(&chain, SystemAccount::RewardVault);
    chain.whole(&says(Verdict::WrongAnswer));
    assert_eq!(reward_state(&chain, key), RewardState::Gone);
    assert_eq!(pool(&chain, SystemAccount::RewardPool), 0);
    assert_eq!(pool(&chain, SystemAccount::RewardVault) - vault, 500);
}
