//! The beacon: one link of each validator in a window, and the next one only.

use super::*;
use crate::tables::VALIDATORS;
use crate::verification::beacon::{current, first_close_after, window_of};

fn value(chain: &Chain) -> Hash {
    current(&chain.state).unwrap().value
}

fn until_close(chain: &mut Chain) {
    while window_of(Height(chain.height + 1), 5) == window_of(Height(chain.height), 5) {
        chain.end();
    }
}

#[test]
fn the_first_window_after_a_trigger_is_never_the_one_that_runs() {
    let cases = [(0, 9), (1, 9), (4, 9), (5, 14), (9, 14), (10, 19)];
    for (trigger, close) in cases {
        assert_eq!(
            first_close_after(Height(trigger), 5),
            Height(close),
            "triggered at {trigger}"
        );
    }
}

#[test]
fn a_link_counts_once_and_only_if_it_is_the_next() {
    let mut chain = Chain::with_verifiers(1);
    chain.end_with(&votes(&[(1, link(1, 2)), (2, link(2, 1))]));
    let links = current(&chain.state).unwrap().links;
    assert_eq!(
        links,
        [(validator(2), link(2, 1))],
        "link 2 before link 1 proves nothing"
    );
    chain.end_with(&votes(&[(1, link(1, 1)), (2, link(2, 2))]));
    let links = current(&chain.state).unwrap().links;
    assert_eq!(
        links,
        [(validator(1), link(1, 1)), (validator(2), link(2, 1))],
        "one link of each in a window"
    );
    let row = VALIDATORS
        .expect(&chain.state, &validator(2), "test")
        .unwrap();
    assert_eq!(row.beacon_link, link(2, 1));
}

#[test]
fn the_value_follows_from_the_value_before_and_every_link() {
    let run = |links: &[(u8, Hash)]| {
        let mut chain = Chain::with_verifiers(1);
        chain.end_with(&votes(links));
        until_close(&mut chain);
        let before = value(&chain);
        chain.end();
        assert_ne!(value(&chain), before);
        value(&chain)
    };
    let all = [(1, link(1, 1)), (2, link(2, 1)), (3, link(3, 1))];
    assert_eq!(
        run(&all),
        run(&[all[2], all[0], all[1]]),
        "in order of validator, whoever came first"
    );
    assert_ne!(run(&all), run(&all[..2]));
    assert_ne!(run(&all), run(&[]));
}

#[test]
fn withheld_links_are_counted_by_name() {
    let mut chain = Chain::with_verifiers(1);
    chain.end_with(&votes(&[(2, link(2, 1))]));
    until_close(&mut chain);
    chain.events();
    chain.end();
    let withheld = vec![validator(1), validator(3)];
    assert_eq!(current(&chain.state).unwrap().withheld, withheld);
    assert!(chain.events().contains(&Event::BeaconWithheld {
        window: 0,
        validators: withheld
    }));
    assert!(current(&chain.state).unwrap().links.is_empty());
}

#[test]
fn the_draw_depends_on_the_beacon_and_on_nothing_that_the_device_chooses() {
    let draw = |links: &[(u8, Hash)]| {
        let mut chain = Chain::with_verifiers(40);
        chain.end();
        chain.end_with(&votes(links));
        chain.draw();
        chain.drawn()
    };
    let one = draw(&[(1, link(1, 1))]);
    assert_eq!(one, draw(&[(1, link(1, 1))]));
    assert_ne!(one, draw(&[(2, link(2, 1))]));
}

#[test]
fn stake_is_the_weight_of_the_draw() {
    let mut spec = spec(20);
    spec.params.verification.quorum = 1;
    spec.params.verification.task_bond = Amount::new(1);
    for row in &mut spec.verifiers[1..] {
        row.stake = Amount::new(1 << 34);
    }
    // Verifier 1 has 32 of 51 parts of all stake.
    let mut chain = Chain::new(&spec);
    let mut first = 0;
    for round in 0..60_u64 {
        chain.edit(|device| {
            device.challenge = None;
            device.challenge_due = ChainTime(0);
        });
        chain.end();
        let id = chain.device().challenge.unwrap();
        assert_eq!(id, ChallengeId(round + 1));
        for _ in 0..10 {
            chain.end();
        }
        let drawn = CHALLENGES
            .expect(&chain.state, &id, "test")
            .unwrap()
            .verifiers;
        first += u32::from(drawn.iter().any(|drawn| drawn.account == verifier(1)));
    }
    assert!((25..=50).contains(&first), "{first} of 60, 38 expected");
}
