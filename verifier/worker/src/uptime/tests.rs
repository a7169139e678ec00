#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failed test"
)]

use io_types::row::UptimeChain;
use io_types::time::TimeScale;
use io_types::{BlockTime, ChainTime, Epoch, Height};

use super::*;

const DEVICE: DeviceId = DeviceId(3);

fn status(slot: u64) -> Status {
    Status {
        chain_id: "test".to_owned(),
        version: String::new(),
        min_client_version: String::new(),
        height: Height(1),
        app_hash: Hash::ZERO,
        block_time: BlockTime(0),
        chain_time: ChainTime(slot * 60_000),
        epoch: Epoch(0),
        slot: Slot(slot),
        scale: TimeScale {
            genesis_time: BlockTime(0),
            chain_start: ChainTime(0),
            epoch_seconds: 3600,
        },
        catching_up: false,
        moniker: String::new(),
        notes: Vec::new(),
    }
}

fn params() -> UptimeParams {
    UptimeParams {
        late_slots: 10,
        chain_slots_max: 100,
        ..UptimeParams::default()
    }
}

/// What the chain does with a registration and links.
fn take(row: &mut Option<UptimeChain>, actions: &[Action]) -> (usize, usize) {
    let (mut links, mut chains) = (0, 0);
    for action in actions {
        if let Action::RegisterUptimeChain(chain) = action {
            chains += 1;
            *row = Some(UptimeChain {
                link: chain.anchor,
                link_slot: Slot(chain.first_slot.0 - 1),
                last_slot: Slot(chain.first_slot.0 + u64::from(chain.slots) - 1),
                epochs: UptimeChain::NO_EPOCHS,
                full_epochs: 0,
                full_unraised: 0,
                expected_from: chain.first_slot,
                missed: 0,
                counted_down: false,
            });
        } else if let Action::Heartbeats(beat) = action {
            let held = row.as_mut().unwrap();
            let [(device, link)] = beat.entries.as_slice() else {
                panic!("one entry")
            };
            assert_eq!(*device, DEVICE);
            let mut walked = *link;
            for _slot in held.link_slot.0..beat.slot.0 {
                walked = sha256(&walked.0);
            }
            assert_eq!(walked, held.link, "the link of slot {}", beat.slot);
            (held.link, held.link_slot) = (*link, beat.slot);
            links += 1;
        }
    }
    (links, chains)
}

#[test]
fn every_link_hashes_to_the_one_before_down_to_the_anchor() {
    let chain = SeededChain::random(DEVICE, Slot(50), 10);
    let anchor = chain.registration().unwrap().anchor;
    assert_eq!(sha256(&chain.link(Slot(50)).unwrap().0), anchor);
    for slot in 50..59 {
        assert_eq!(
            sha256(&chain.link(Slot(slot + 1)).unwrap().0),
            chain.link(Slot(slot)).unwrap()
        );
    }
    assert_eq!(chain.link(Slot(59)), Some(chain.seed));
    assert_eq!(chain.link(Slot(60)), None);
    assert_eq!(chain.link(Slot(48)), None);
}

#[test]
fn a_new_worker_registers_and_then_reveals_each_slot() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let mut uptime = Uptime::open(&home, DEVICE).unwrap();
    let mut row = None;
    let first = uptime.due(&home, &status(1000), &params(), None).unwrap();
    assert_eq!(take(&mut row, &first), (0, 1));
    for slot in 1000..1050 {
        let due = uptime
            .due(&home, &status(slot), &params(), row.as_ref())
            .unwrap();
        assert_eq!(take(&mut row, &due), (1, 0), "slot {slot}");
        let again = uptime
            .due(&home, &status(slot), &params(), row.as_ref())
            .unwrap();
        assert_eq!(again, [], "nothing twice once it is in a block");
    }
}

#[test]
fn a_restart_goes_on_with_the_same_chain_and_catches_up_what_is_still_taken() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let mut row = None;
    let mut uptime = Uptime::open(&home, DEVICE).unwrap();
    take(
        &mut row,
        &uptime.due(&home, &status(1000), &params(), None).unwrap(),
    );
    let due = uptime
        .due(&home, &status(1000), &params(), row.as_ref())
        .unwrap();
    take(&mut row, &due);
    let mut uptime = Uptime::open(&home, DEVICE).unwrap();
    let due = uptime
        .due(&home, &status(1006), &params(), row.as_ref())
        .unwrap();
    assert_eq!(take(&mut row, &due), (6, 0));
    let mut uptime = Uptime::open(&home, DEVICE).unwrap();
    let due = uptime
        .due(&home, &status(1040), &params(), row.as_ref())
        .unwrap();
    assert_eq!(
        take(&mut row, &due),
        (9, 0),
        "slots 1032 to 1040: older ones may close before the block"
    );
}

#[test]
fn a_chain_is_followed_by_another_before_its_end_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let mut uptime = Uptime::open(&home, DEVICE).unwrap();
    let mut row = None;
    take(
        &mut row,
        &uptime.due(&home, &status(1000), &params(), None).unwrap(),
    );
    let mut chains = 0;
    for slot in 1000..1500 {
        let due = uptime
            .due(&home, &status(slot), &params(), row.as_ref())
            .unwrap();
        let (links, registered) = take(&mut row, &due);
        assert_eq!(links, 1, "slot {slot} is up");
        chains += registered;
    }
    assert!(
        (5..=7).contains(&chains),
        "{chains} chains of 100 slots for 500"
    );
}

#[test]
fn a_lost_seed_or_a_long_silence_begins_a_new_chain() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let mut uptime = Uptime::open(&home, DEVICE).unwrap();
    let mut row = None;
    take(
        &mut row,
        &uptime.due(&home, &status(1000), &params(), None).unwrap(),
    );
    let due = uptime
        .due(&home, &status(1000), &params(), row.as_ref())
        .unwrap();
    take(&mut row, &due);
    let other = tempfile::tempdir().unwrap();
    let lost = Home::open(other.path()).unwrap();
    let mut fresh = Uptime::open(&lost, DEVICE).unwrap();
    let due = fresh
        .due(&lost, &status(1003), &params(), row.as_ref())
        .unwrap();
    assert_eq!(take(&mut row.clone(), &due), (0, 1));
    let due = uptime
        .due(&home, &status(1062), &params(), row.as_ref())
        .unwrap();
    assert_eq!(
        take(&mut row.clone(), &due),
        (0, 1),
        "a link may skip 60 slots, not 61"
    );
}

#[test]
fn the_seed_is_on_disk_before_its_chain_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let mut uptime = Uptime::open(&home, DEVICE).unwrap();
    let mut row = None;
    take(
        &mut row,
        &uptime.due(&home, &status(7), &params(), None).unwrap(),
    );
    let again = Uptime::open(&home, DEVICE).unwrap();
    assert!(
        again
            .chains
            .chains
            .iter()
            .any(|chain| chain.is(row.as_ref().unwrap()))
    );
    let others = Uptime::open(&home, DeviceId(9)).unwrap();
    assert!(
        others.chains.chains.is_empty(),
        "a seed of another device is not used"
    );
}
