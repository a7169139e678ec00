//! One test for each rule; `act` asserts that nothing changed.

use io_types::action::{ReportFraud, RequestChallenge};

use super::*;

fn code(result: Result<(), Rejection>) -> u32 {
    result.map_or_else(|rejection| rejection.code(), |()| 0)
}

fn commit_nonce(id: u64) -> CommitNonce {
    CommitNonce {
        challenge: ChallengeId(id),
        commitment: Hash([5; 32]),
    }
}

#[test]
fn a_challenge_that_does_not_exist_is_801() {
    let mut chain = Chain::with_verifiers(5);
    let unknown = Rejection::UnknownChallenge {
        challenge: ChallengeId(9),
    };
    assert_eq!(chain.act(verifier(1), &commit_nonce(9)), Err(unknown));
    assert_eq!(
        code(chain.act(
            WORKER,
            &CommitAnswer {
                challenge: ChallengeId(9),
                ..answer(&[])
            }
        )),
        801
    );
    let report = ReportFraud {
        challenge: ChallengeId(9),
        processor: 0,
        proof: vec![1],
    };
    assert_eq!(code(chain.act(REPORTER, &report)), 801);
}

#[test]
fn a_step_out_of_its_stage_is_802() {
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    let [first, rest @ ..] = drawn.as_slice() else {
        panic!("five are drawn")
    };
    assert_eq!(
        code(chain.act(
            *first,
            &CommitVerdict {
                challenge: ChallengeId(1),
                commitment: Hash::ZERO
            }
        )),
        802
    );
    assert_eq!(
        code(chain.act(*first, &reveal_verdict(*first, &says(Verdict::Pass)))),
        802
    );
    assert_eq!(code(chain.act(*first, &reveal_nonce(*first))), 802);
    assert_eq!(code(chain.act(WORKER, &answer(&drawn))), 802);
    let report = ReportFraud {
        challenge: ChallengeId(1),
        processor: 0,
        proof: vec![1],
    };
    assert_eq!(code(chain.act(REPORTER, &report)), 802, "no answer stands");
    // One without a nonce has measured nothing, so its verdict is not taken.
    chain.commit_nonces(rest);
    chain.skip_to_deadline();
    chain.answer(rest);
    assert_eq!(
        code(chain.act(
            *first,
            &CommitVerdict {
                challenge: ChallengeId(1),
                commitment: Hash::ZERO
            }
        )),
        802
    );
    assert_eq!(code(chain.act(rest[0], &commit_nonce(1))), 802);
}

#[test]
fn a_verifier_that_was_not_drawn_is_803() {
    let mut chain = Chain::with_verifiers(9);
    chain.draw();
    let other = (1..=9)
        .map(verifier)
        .find(|account| !chain.drawn().contains(account))
        .unwrap();
    let not_drawn = Rejection::NotDrawn {
        challenge: ChallengeId(1),
        verifier: other,
    };
    assert_eq!(chain.act(other, &commit_nonce(1)), Err(not_drawn));
}

#[test]
fn a_second_commitment_or_reveal_is_804() {
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    let first = drawn[0];
    chain.commit_nonces(&drawn[..1]);
    let again = Rejection::AlreadyCommitted {
        challenge: ChallengeId(1),
    };
    assert_eq!(chain.act(first, &commit_nonce(1)), Err(again.clone()));
    chain.commit_nonces(&drawn[1..]);
    chain.answer(&drawn);
    chain.act(first, &reveal_nonce(first)).unwrap();
    assert_eq!(chain.act(first, &reveal_nonce(first)), Err(again.clone()));
    let pass = says(Verdict::Pass);
    chain.commit_verdicts(&drawn[..1], &pass);
    let commit = CommitVerdict {
        challenge: ChallengeId(1),
        commitment: Hash([9; 32]),
    };
    assert_eq!(chain.act(first, &commit), Err(again.clone()));
    chain.commit_verdicts(&drawn[1..], &pass);
    chain.act(first, &reveal_verdict(first, &pass)).unwrap();
    assert_eq!(chain.act(first, &reveal_verdict(first, &pass)), Err(again));
}

#[test]
fn a_reveal_that_does_not_hash_to_its_commitment_is_805() {
    let mut chain = Chain::with_verifiers(5);
    let drawn = chain.until_reveals(&says(Verdict::Pass));
    let mismatch = Rejection::RevealMismatch {
        challenge: ChallengeId(1),
    };
    let other = RevealNonce {
        second: Hash([9; 32]),
        ..reveal_nonce(drawn[0])
    };
    assert_eq!(chain.act(drawn[0], &other), Err(mismatch.clone()));
    let other = reveal_verdict(drawn[0], &says(Verdict::WrongAnswer));
    assert_eq!(chain.act(drawn[0], &other), Err(mismatch));
}

#[test]
fn an_answer_with_too_few_nonces_is_806() {
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn);
    let few = Rejection::TooFewNonces {
        challenge: ChallengeId(1),
        got: 3,
        need: 4,
    };
    assert_eq!(chain.act(WORKER, &answer(&drawn[..3])), Err(few));
    chain.answer(&drawn[..4]);
}

#[test]
fn an_answer_of_another_number_of_processors_is_807() {
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn);
    let mut two = answer(&drawn);
    two.processors.push(two.processors[0].clone());
    let wrong = Rejection::WrongProcessors {
        challenge: ChallengeId(1),
        got: 2,
        want: 1,
    };
    assert_eq!(chain.act(WORKER, &two), Err(wrong));
}

#[test]
fn nonces_out_of_order_or_of_verifiers_without_a_commitment_are_813() {
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn[..4]);
    chain.skip_to_deadline();
    let bad = Rejection::BadNonces {
        challenge: ChallengeId(1),
    };
    let mut turned = answer(&drawn[..4]);
    turned.nonces.reverse();
    assert_eq!(chain.act(WORKER, &turned), Err(bad.clone()));
    let mut twice = answer(&drawn[..4]);
    twice.nonces[1] = twice.nonces[0];
    assert_eq!(chain.act(WORKER, &twice), Err(bad.clone()));
    assert_eq!(
        chain.act(WORKER, &answer(&drawn)),
        Err(bad),
        "the fifth committed to none"
    );
}

#[test]
fn an_answer_by_another_key_is_503() {
    let mut chain = Chain::with_verifiers(5);
    chain.draw();
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn);
    assert_eq!(
        chain.act(OWNER, &answer(&drawn)),
        Err(Rejection::NotDeviceKey { device: DEVICE })
    );
}

#[test]
fn a_second_challenge_is_811_and_one_in_the_wrong_state_is_812() {
    let mut chain = Chain::with_verifiers(5);
    let request = RequestChallenge { device: DEVICE };
    assert_eq!(code(chain.act(REPORTER, &request)), 402);
    chain.act(OWNER, &request).unwrap();
    assert_eq!(
        chain.act(OWNER, &request),
        Err(Rejection::ChallengeRunning { device: DEVICE })
    );

    let not_allowed = Rejection::ChallengeNotAllowed { device: DEVICE };
    let cases = [
        (DeviceState::Ready, false, false),
        (DeviceState::Ready, true, true),
        (DeviceState::Onboarding, false, true),
        (DeviceState::Probation, true, true),
        (DeviceState::Hired, true, false),
        (DeviceState::Paused, true, false),
        (DeviceState::Down, true, false),
        (DeviceState::Blocked, true, false),
        (DeviceState::Retired, true, false),
    ];
    for (state, last_failed, allowed) in cases {
        chain.edit(|device| {
            device.challenge = None;
            device.state = state;
            device.last_failed = last_failed;
        });
        let expected = if allowed {
            Ok(())
        } else {
            Err(not_allowed.clone())
        };
        assert_eq!(
            chain.act(OWNER, &request),
            expected,
            "{state:?}, failed {last_failed}"
        );
    }
}
