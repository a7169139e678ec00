//! Uptime: chains, links, late windows, neutral slots, Down.

use io_state_machine::tables;
use io_types::action::{Heartbeats, RegisterUptimeChain};
use io_types::row::DeviceState;
use io_types::{Action, ChainTime, DeviceId, Hash, Slot};

use crate::support::{Chain, Links, device_spec, key, ready_device};

const DEVICE: DeviceId = DeviceId(1);

fn beat(slot: Slot, link: Hash) -> Action {
    Action::Heartbeats(Heartbeats {
        slot,
        entries: vec![(DEVICE, link)],
    })
}

/// A chain with one ready device; blocks every 20 s, an epoch of an hour.
fn world() -> (Chain, Links) {
    let mut chain = Chain::new();
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    chain.step = 20_000;
    (chain, links)
}

fn slot(chain: &Chain) -> Slot {
    ChainTime(chain.now).slot()
}

fn bits(chain: &Chain) -> u64 {
    chain
        .value(&tables::UPTIME, &DEVICE)
        .unwrap()
        .epochs
        .iter()
        .fold(0, |all, (_epoch, bits)| all | bits)
}

#[test]
fn links_set_the_bits_of_their_slots_and_skipped_slots_stay_missed() {
    let (mut chain, links) = world();
    chain.run_until(links.first.start().0 + 1000);
    let first = slot(&chain);
    chain.must(&key(60), beat(first, links.link(first)));
    chain.run_until(first.plus(3).start().0);
    let third = slot(&chain);
    chain.must(&key(60), beat(third, links.link(third)));
    assert_eq!(
        bits(&chain),
        (1 << first.index_in_epoch()) | (1 << third.index_in_epoch())
    );
}

#[test]
fn links_are_refused_by_rule() {
    let (mut chain, links) = world();
    chain.run_until(links.first.start().0 + 1000);
    let now = slot(&chain);
    chain.refused(&key(60), beat(now.plus(1), links.link(now.plus(1))), 505);
    chain.refused(&key(60), beat(Slot(now.0 - 5), Hash::ZERO), 505);
    chain.refused(&key(60), beat(now, Hash([1; 32])), 504);
    chain.refused(&key(61), beat(now, links.link(now)), 503);
    let two = Heartbeats {
        slot: now,
        entries: vec![(DEVICE, links.link(now)), (DeviceId(2), Hash::ZERO)],
    };
    chain.refused(&key(60), Action::Heartbeats(two), 506);
    let empty = chain.sign(
        &key(60),
        vec![Action::Heartbeats(Heartbeats {
            slot: now,
            entries: Vec::new(),
        })],
    );
    assert_eq!(
        chain
            .machine
            .check_tx(&empty, false)
            .unwrap()
            .unwrap_err()
            .code(),
        507
    );
    chain.must(&key(60), beat(now, links.link(now)));
    chain.refused(&key(60), beat(now, links.link(now)), 504);
}

#[test]
fn a_carriers_batch_needs_half_of_its_entries_new_and_skips_the_rest() {
    let (mut chain, links) = world();
    chain.run_until(links.first.start().0 + 1000);
    let now = slot(&chain);
    let entry = (DEVICE, links.link(now));
    let stale = (DeviceId(7), Hash::ZERO);
    let batch = |entries: Vec<_>| Action::Heartbeats(Heartbeats { slot: now, entries });
    chain.refused(&key(40), batch(vec![entry, stale, stale]), 504);
    chain.must(&key(40), batch(vec![entry, stale]));
    assert_ne!(bits(&chain), 0);
}

#[test]
fn a_device_that_misses_more_than_three_slots_is_down_until_it_shows_up() {
    let (mut chain, links) = world();
    chain.run_until(links.first.start().0 + 1000);
    let first = slot(&chain);
    chain.must(&key(60), beat(first, links.link(first)));
    chain.run_until(first.plus(5).start().0 - 20_000);
    assert_eq!(chain.device(1).state, DeviceState::Ready);
    chain.run_until(first.plus(6).start().0 + 20_000);
    assert_eq!(chain.device(1).state, DeviceState::Down);
    let now = slot(&chain);
    chain.must(&key(60), beat(now, links.link(now)));
    assert_eq!(chain.device(1).state, DeviceState::Ready);
}

#[test]
fn slots_without_a_block_are_neutral() {
    let (mut chain, links) = world();
    chain.run_until(links.first.start().0 + 1000);
    let first = slot(&chain);
    chain.must(&key(60), beat(first, links.link(first)));
    // The network stands still for 40 minutes: nobody could show up.
    chain.step = 40 * 60_000;
    chain.run(1);
    chain.step = 20_000;
    let now = slot(&chain);
    chain.must(&key(60), beat(now, links.link(now)));
    chain.run(9);
    assert_eq!(chain.device(1).state, DeviceState::Ready);
    let epoch = chain.row(&tables::EPOCHS, &first.epoch()).unwrap();
    assert!(
        epoch.neutral.count_ones() >= 37,
        "{} neutral slots",
        epoch.neutral.count_ones()
    );
}

#[test]
fn hash_chains_are_refused_by_rule() {
    let (mut chain, links) = world();
    let register = |first_slot: Slot, slots: u16| {
        Action::RegisterUptimeChain(RegisterUptimeChain {
            device: DEVICE,
            anchor: Hash([5; 32]),
            first_slot,
            slots,
        })
    };
    let now = slot(&chain);
    chain.refused(&key(1), register(now.plus(2), 10), 503);
    chain.refused(&key(60), register(now.plus(2), 1441), 502);
    chain.refused(&key(60), register(Slot(now.0 - 5), 10), 502);
    chain.refused(&key(60), register(now.plus(2000), 10), 502);
    chain.refused(&key(60), register(now.plus(2), 10), 116);
    let none = chain.sign(&key(60), vec![register(now, 0)]);
    assert_eq!(
        chain
            .machine
            .check_tx(&none, false)
            .unwrap()
            .unwrap_err()
            .code(),
        502
    );
    // A device that has lost its chain registers a new one.
    chain.run_until(links.first.plus(8).start().0);
    let now = slot(&chain);
    chain.must(&key(60), register(now.next(), 10));
}

#[test]
fn a_device_without_a_chain_has_no_links() {
    let mut chain = Chain::new();
    let spec = device_spec(1, 1, 100_000);
    let device_key = crate::support::account(&key(60));
    chain.must(
        &key(1),
        Action::RegisterDevice(io_types::action::RegisterDevice {
            spec,
            device_key,
            consent: io_types::action::consent(
                &key(60),
                crate::support::CHAIN,
                &crate::support::account(&key(1)),
            ),
            client_id: 1,
        }),
    );
    let now = slot(&chain);
    chain.refused(&key(60), beat(now, Hash::ZERO), 501);
}

#[test]
fn the_clock_keeps_block_time_and_chain_time() {
    // An epoch of this network is a minute.
    let mut chain = Chain::with(|genesis| genesis.epoch_seconds = 60);
    let genesis = crate::support::GENESIS_MS;
    let clock = |chain: &Chain| {
        let clock = chain.row(&tables::CLOCK, &()).unwrap();
        (clock.block_time.0 - genesis, clock.chain_time.0 - genesis)
    };
    assert_eq!(clock(&chain), (1000, 60_000));
    chain.run(2);
    assert_eq!(clock(&chain), (3000, 180_000));
    // Slots that were metered are forgotten.
    chain.run(30);
    let row = chain.row(&tables::CLOCK, &()).unwrap();
    let seen = row.seen_slots.len();
    assert!((1..10).contains(&seen), "{seen} slots of 33 are kept");
}
