//! When a device is challenged.

use io_storage::Overlay;

use super::*;
use crate::tables::COUNTERS;

fn count_devices(chain: &mut Chain, devices: u64) {
    let mut counters = COUNTERS.get(&chain.state, &()).unwrap().unwrap_or_default();
    counters.device = devices;
    COUNTERS.put(&mut chain.state, &(), &counters);
}

fn triggers(events: &[Event]) -> Vec<(DeviceId, ChallengeTrigger)> {
    let of = |event: &Event| {
        if let Event::ChallengeTriggered {
            device, trigger, ..
        } = event
        {
            return Some((*device, *trigger));
        }
        None
    };
    events.iter().filter_map(of).collect()
}

#[test]
fn a_new_device_is_challenged_once_a_worker_is_there() {
    let mut chain = Chain::with_verifiers(5);
    UPTIME.delete(&mut chain.state, &DEVICE).unwrap();
    chain.index = Index::rebuild(chain.state.overlay()).unwrap();
    let block = chain.block();
    let mut device = chain.device();
    trigger(
        &mut chain.state,
        &block,
        &mut device,
        ChallengeTrigger::Onboarding,
    )
    .unwrap();
    assert_eq!(device.challenge, None, "nobody could answer");
    chain.end();
    assert_eq!(triggers(&chain.events()), []);
    chain.register_uptime(DEVICE);
    chain.end();
    assert_eq!(
        triggers(&chain.events()),
        [(DEVICE, ChallengeTrigger::Onboarding)]
    );
    chain.end();
    assert_eq!(triggers(&chain.events()), [], "one at a time");
}

#[test]
fn the_end_of_a_booking_is_a_trigger_of_its_own() {
    let mut chain = Chain::with_verifiers(5);
    let block = chain.block();
    let mut device = Device {
        state: DeviceState::Ready,
        ..chain.device()
    };
    trigger(
        &mut chain.state,
        &block,
        &mut device,
        ChallengeTrigger::BookingEnd,
    )
    .unwrap();
    assert_eq!(device.challenge, Some(ChallengeId(1)));
    assert_eq!(
        triggers(&chain.events()),
        [(DEVICE, ChallengeTrigger::BookingEnd)]
    );
    trigger(
        &mut chain.state,
        &block,
        &mut device,
        ChallengeTrigger::BookingEnd,
    )
    .unwrap();
    assert_eq!(
        device.challenge,
        Some(ChallengeId(1)),
        "it is under challenge already"
    );
}

#[test]
fn a_device_is_challenged_when_it_went_too_long_without() {
    let mut chain = Chain::with_verifiers(5);
    let due = chain.block().now.plus_ms(5000);
    chain.edit(|device| {
        device.state = DeviceState::Ready;
        device.challenge_due = due;
    });
    for _ in 0..5 {
        chain.end();
    }
    assert_eq!(triggers(&chain.events()), []);
    chain.end();
    assert_eq!(
        triggers(&chain.events()),
        [(DEVICE, ChallengeTrigger::Time)]
    );
}

#[test]
fn only_devices_that_wait_for_work_or_a_pass_are_challenged_by_time() {
    let cases = [
        (DeviceState::Onboarding, true),
        (DeviceState::Ready, true),
        (DeviceState::Probation, true),
        (DeviceState::Hired, false),
        (DeviceState::Paused, false),
        (DeviceState::Down, false),
        (DeviceState::Blocked, false),
        (DeviceState::Retired, false),
    ];
    for (state, expected) in cases {
        let mut chain = Chain::with_verifiers(5);
        chain.edit(|device| device.state = state);
        chain.end();
        assert_eq!(chain.device().challenge.is_some(), expected, "{state:?}");
    }
}

#[test]
fn a_model_without_a_challenge_may_be_hired_unproven() {
    let mut spec = spec(5);
    spec.catalogue.models[0].class = ClassId(77);
    let mut chain = Chain::new(&spec);
    chain.end();
    let device = chain.device();
    assert_eq!(
        (device.state, device.class, device.challenge),
        (DeviceState::Ready, None, None)
    );
}

#[test]
fn no_more_run_at_once_than_the_parameter_allows() {
    let mut spec = spec(5);
    spec.params.verification.running_max = 3;
    let mut chain = Chain::new(&spec);
    for id in 2..=10 {
        let row = device(DeviceId(id), OWNER, AccountId([50; 32]));
        DEVICES.put(&mut chain.state, &DeviceId(id), &row);
        chain.register_uptime(DeviceId(id));
    }
    chain.end();
    assert_eq!(triggers(&chain.events()).len(), 3);
    chain.end();
    assert_eq!(triggers(&chain.events()).len(), 0);
}

#[test]
fn picks_at_random_come_at_the_rate_of_the_interval() {
    let mut spec = spec(5);
    spec.params.verification.interval_ms = 100_000;
    let mut chain = Chain::new(&spec);
    let far = ChainTime(u64::MAX);
    for id in 1..=20 {
        let row = Device {
            state: DeviceState::Ready,
            challenge_due: far,
            ..device(DeviceId(id), OWNER, AccountId([50; 32]))
        };
        DEVICES.put(&mut chain.state, &DeviceId(id), &row);
        chain.register_uptime(DeviceId(id));
    }
    count_devices(&mut chain, 20);
    // 20 devices, one in 100 s each: 0.2 in a block of one second, 100 in 500 blocks.
    let mut picked = Vec::new();
    for _ in 0..500 {
        chain.end();
        for (device, trigger) in triggers(&chain.events()) {
            assert_eq!(trigger, ChallengeTrigger::Time);
            picked.push(device);
            let mut row = DEVICES.expect(&chain.state, &device, "test").unwrap();
            // The challenge itself is none of this test's business.
            let id = row.challenge.take().unwrap();
            CHALLENGES.delete(&mut chain.state, &id);
            DEVICES.put(&mut chain.state, &device, &row);
        }
        chain.index = Index::rebuild(chain.state.overlay()).unwrap();
    }
    assert!(
        (70..=130).contains(&picked.len()),
        "{} picks, 100 expected",
        picked.len()
    );
    picked.sort();
    picked.dedup();
    assert!(picked.len() >= 18, "every device has its turn: {picked:?}");
}

#[test]
fn an_index_that_follows_commits_is_the_one_rebuilt_from_rows() {
    let mut chain = Chain::with_verifiers(5);
    let mut followed = Index::default();
    let before: Overlay<'_> = Overlay::new(&Nothing);
    let mut all = before.into_write_set().unwrap();
    let mut check = |chain: &Chain, followed: &mut Index| {
        // The changes since the last look, as a commit has them.
        let mut now = Overlay::new(&Nothing);
        for (table, key, value) in chain.rows() {
            now.put(table, &key, value);
        }
        let now = now.into_write_set().unwrap();
        let mut step = io_storage::WriteSet::default();
        for key in all.changes.keys().chain(now.changes.keys()) {
            let old = all.changes.get(key).and_then(|change| change.new.clone());
            let new = now.changes.get(key).and_then(|change| change.new.clone());
            if old != new {
                step.changes
                    .insert(key.clone(), io_storage::Change { old, new });
            }
        }
        followed.apply(&step).unwrap();
        assert_eq!(*followed, Index::rebuild(chain.state.overlay()).unwrap());
        all = now;
    };
    check(&chain, &mut followed);
    chain.draw();
    check(&chain, &mut followed);
    let drawn = chain.drawn();
    chain.commit_nonces(&drawn);
    check(&chain, &mut followed);
    chain.answer(&drawn);
    chain.commit_verdicts(&drawn, &says(Verdict::Pass));
    chain.reveal(&drawn, &says(Verdict::Pass));
    check(&chain, &mut followed);
    UPTIME.delete(&mut chain.state, &DEVICE).unwrap();
    check(&chain, &mut followed);
    chain.register_uptime(DEVICE);
    chain.edit(|device| device.state = DeviceState::Paused);
    check(&chain, &mut followed);
}
