//! Nomination: every check of a device when an epoch opens.

use io_state_machine::tables;
use io_types::row::{HoldPurpose, NominationCheck};
use io_types::{Asset, BookingId, ChainTime, DeviceId, HoldId};

use crate::rewards::{HOUR, booking, epoch, hours, result};
use crate::support::{Chain, GENESIS_MS, device_spec, key, ready_device};

#[test]
fn each_refused_device_has_the_checks_that_it_failed() {
    let mut chain = Chain::new();
    let mut spec = device_spec(1, 1, 100_000);
    spec.connectivity = 0;
    ready_device(&mut chain, &key(1), &key(60), spec);
    chain.edit(|state| {
        let mut row = tables::DEVICES.get(state, &DeviceId(1)).unwrap().unwrap();
        row.memory_failures = 4;
        row.memory_failed_at = ChainTime(GENESIS_MS + HOUR);
        row.last_failed = true;
        tables::DEVICES.put(state, &DeviceId(1), &row);
        tables::STAKES.delete(state, &DeviceId(1)).unwrap();
        // The hold that the stake named goes with it.
        let holds = tables::HOLDS.list(state, &HoldId(0), None, 100).unwrap();
        for (id, hold) in holds {
            if hold.purpose == HoldPurpose::Stake(DeviceId(1)) {
                tables::HOLDS.delete(state, &id);
                let key = (hold.owner, Asset::Io);
                let mut money = tables::ACCOUNTS.get(state, &key).unwrap().unwrap();
                money.held = money.held.checked_sub(hold.remaining).unwrap();
                tables::ACCOUNTS.put(state, &key, &money);
            }
        }
    });
    chain.step = 30_000;
    chain.run_until(GENESIS_MS + HOUR + 300_000);
    let failed = result(&chain, 1).failed_checks;
    for check in [
        NominationCheck::Connectivity,
        NominationCheck::Stake,
        NominationCheck::Uptime,
        NominationCheck::Challenge,
        NominationCheck::Memory,
    ] {
        assert!(
            failed.contains(&check),
            "{check:?} is missing in {failed:?}"
        );
    }
}

/// What keeps device 1, up through the first hour, from the second, after this was changed shortly before; and when the first
/// hour was closed.
fn checks_after(
    edit: impl FnOnce(&mut io_state_machine::state::State<'_>),
) -> (Vec<NominationCheck>, ChainTime) {
    let mut chain = Chain::new();
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    hours(&mut chain, &links, GENESIS_MS + HOUR - 60_000, false);
    chain.edit(edit);
    let closed = |chain: &Chain| chain.row(&tables::EPOCHS, &epoch(0)).unwrap().closed;
    for _block in 0..20 {
        if !closed(&chain) {
            chain.run(1);
        }
    }
    assert!(closed(&chain));
    let closed_at = chain.row(&tables::CLOCK, &()).unwrap().chain_time;
    let result = result(&chain, 1);
    assert_eq!(result.nominated, result.failed_checks.is_empty());
    (result.failed_checks, closed_at)
}

/// The same, of a change of the device's row.
fn checks_of(edit: impl FnOnce(&mut io_types::row::Device)) -> Vec<NominationCheck> {
    let (failed, _closed_at) = checks_after(|state| {
        let mut row = tables::DEVICES.get(state, &DeviceId(1)).unwrap().unwrap();
        edit(&mut row);
        tables::DEVICES.put(state, &DeviceId(1), &row);
    });
    failed
}

#[test]
fn a_model_without_a_multiplier_earns_nothing() {
    let (failed, _closed_at) = checks_after(|state| {
        let mut catalogue = tables::CATALOGUE.get(state, &()).unwrap().unwrap();
        for model in &mut catalogue.models {
            model.multiplier_milli = 0;
        }
        tables::CATALOGUE.put(state, &(), &catalogue);
    });
    assert_eq!(failed, [NominationCheck::Multiplier]);
    let (failed, _closed_at) = checks_after(|state| {
        let mut catalogue = tables::CATALOGUE.get(state, &()).unwrap().unwrap();
        catalogue.models.clear();
        tables::CATALOGUE.put(state, &(), &catalogue);
    });
    assert!(failed.contains(&NominationCheck::Multiplier), "{failed:?}");
}

#[test]
fn four_memory_failures_cost_twelve_hours() {
    let (none, closed_at) = checks_after(|_state| ());
    assert_eq!(none, []);
    let ago = |ms: u64| ChainTime(closed_at.0 - ms);
    for (failures, failed_at, failed) in [
        (3, ago(0), &[][..]),
        (4, ago(0), &[NominationCheck::Memory]),
        (4, ago(12 * HOUR), &[NominationCheck::Memory]),
        (4, ago(12 * HOUR + 1), &[]),
    ] {
        let found = checks_of(|row| {
            row.memory_failures = failures;
            row.memory_failed_at = failed_at;
        });
        assert_eq!(found, failed, "{failures} failures at {failed_at:?}");
    }
}

#[test]
fn a_pass_ages_unless_the_renter_allows_no_pulse() {
    let (_none, closed_at) = checks_after(|_state| ());
    let age_max = io_types::Params::default().reward.pass_age_max_ms;
    let challenge = [NominationCheck::Challenge];
    let (fresh, stale) = (closed_at.0 - age_max, closed_at.0 - age_max - 1);
    assert_eq!(checks_of(|row| row.passed_at = Some(ChainTime(fresh))), []);
    assert_eq!(
        checks_of(|row| row.passed_at = Some(ChainTime(stale))),
        challenge
    );
    assert_eq!(checks_of(|row| row.passed_at = None), challenge);
    assert_eq!(checks_of(|row| row.last_failed = true), challenge);
    for pulse_ok in [true, false] {
        let (failed, _closed_at) = checks_after(|state| {
            let id = BookingId(1);
            let mut row = tables::DEVICES.get(state, &DeviceId(1)).unwrap().unwrap();
            row.passed_at = Some(ChainTime(stale));
            row.booking = Some(id);
            tables::DEVICES.put(state, &DeviceId(1), &row);
            tables::BOOKINGS.put(state, &id, &booking(pulse_ok));
        });
        assert_eq!(failed, if pulse_ok { &challenge[..] } else { &[] });
    }
}
