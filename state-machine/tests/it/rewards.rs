//! Rewards: re-test, accrual, collection.

use io_settlement::emission::Schedule;
use io_state_machine::{ledger, reward, tables};
use io_types::action::Collect;
use io_types::row::{Accrual, Booking, BookingState, NominationCheck, RewardState};
use io_types::{
    Action, Amount, Asset, BasisPoints, BookingId, ChainTime, DeviceId, Epoch, Event, Height,
    HoldId, OrderId, SystemAccount,
};

use crate::support::{
    Chain, FEE, GENESIS_MS, Links, SCHEDULE_MS, account, device_spec, key, ready_device,
};

pub(crate) const HOUR: u64 = 3_600_000;

/// Blocks every 30 s until `end`; device 1 shows up in every slot unless `absent`.
pub(crate) fn hours(chain: &mut Chain, links: &Links, end: u64, absent: bool) {
    chain.step = 30_000;
    let mut last = None;
    while chain.now < end {
        let slot = ChainTime(chain.now).slot();
        if !absent && last != Some(slot) && slot >= links.first {
            chain.beat(&key(60), 1, links);
            last = Some(slot);
        } else {
            chain.run(1);
        }
    }
}

pub(crate) fn epoch(number: u64) -> Epoch {
    Epoch(ChainTime(GENESIS_MS).epoch().0 + number)
}

pub(crate) fn pot(number: u64) -> u64 {
    Schedule::Table.pot(SCHEDULE_MS / 1000, GENESIS_MS / 1000 + number * 3600)
}

/// One enterprise device that was up through the first epoch and is nominated in the second.
pub(crate) fn world() -> (Chain, Links) {
    let mut chain = Chain::new();
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    hours(&mut chain, &links, GENESIS_MS + HOUR + 300_000, false);
    (chain, links)
}

pub(crate) fn result(chain: &Chain, number: u64) -> io_types::row::DeviceResult {
    chain
        .value(&tables::DEVICE_RESULTS, &(DeviceId(1), epoch(number)))
        .unwrap()
        .result
}

#[test]
fn an_epoch_without_nominated_devices_gives_its_pot_to_the_vault() {
    let (chain, _links) = world();
    let row = chain.row(&tables::EPOCHS, &epoch(0)).unwrap();
    assert!(row.closed);
    assert_eq!(
        (row.pot.get(), row.to_vault.get(), row.rewarded.get()),
        (pot(0), pot(0), 0)
    );
    assert_eq!(
        chain.money(SystemAccount::RewardVault, Asset::Io).balance,
        i128::from(pot(0))
    );
    assert_eq!(result(&chain, 1).failed_checks, []);
    assert!(result(&chain, 1).nominated);
}

#[test]
fn a_nominated_device_that_stays_up_takes_its_pool_and_collects_after_a_day() {
    let (mut chain, links) = world();
    hours(&mut chain, &links, GENESIS_MS + 2 * HOUR + 300_000, false);
    let row = chain.row(&tables::EPOCHS, &epoch(1)).unwrap();
    let given = pot(1) * 95 / 100;
    assert_eq!(
        (row.nominated, row.succeeded, row.rewarded.get()),
        (1, 1, given)
    );
    assert_eq!(row.to_vault.get(), pot(1) - given);
    assert_eq!(result(&chain, 1).slots_up, 60);
    assert_eq!(
        chain.money(SystemAccount::RewardPool, Asset::Io).balance,
        i128::from(given)
    );
    let collect = Action::Collect(Collect {
        through: epoch(100),
    });
    chain.refused(&key(1), collect.clone(), 601);
    chain.step = HOUR / 2;
    chain.run_until(GENESIS_MS + 26 * HOUR);
    let before = chain.free_io(&key(1));
    chain.must(&key(1), collect.clone());
    assert_eq!(chain.free_io(&key(1)) - before, given - FEE);
    chain.refused(&key(1), collect, 601);
    chain.refused(
        &key(2),
        Action::Collect(Collect {
            through: epoch(100),
        }),
        601,
    );
}

#[test]
fn a_nominated_device_that_goes_silent_fails_the_retest() {
    let (mut chain, links) = world();
    hours(&mut chain, &links, GENESIS_MS + 2 * HOUR + 300_000, true);
    let result = result(&chain, 1);
    assert!(result.nominated && !result.succeeded);
    assert_eq!(result.failed_checks, [NominationCheck::RetestUptime]);
    let row = chain.row(&tables::EPOCHS, &epoch(1)).unwrap();
    assert_eq!((row.rewarded, row.to_vault.get()), (Amount::ZERO, pot(1)));
    // It was down, so the next epoch does not nominate it.
    assert!(
        self::result(&chain, 2)
            .failed_checks
            .contains(&NominationCheck::State)
    );
    assert!(
        self::result(&chain, 2)
            .failed_checks
            .contains(&NominationCheck::Uptime)
    );
}

/// INV-22.
pub(crate) fn assert_pool_is_accruals(chain: &Chain) {
    let mut sum = 0;
    let view = chain.machine.store().snapshot();
    tables::DEVICE_RESULTS
        .visit(&view, None, &mut |_key, row| {
            if row.reward != RewardState::Gone {
                sum += i128::from(row.result.reward.get());
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    tables::OLD_REWARDS
        .visit(&view, None, &mut |_key, row| {
            sum += i128::from(row.ready.get()) + i128::from(row.withheld.get());
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let pool = (SystemAccount::RewardPool.into(), Asset::Io);
    let pool = tables::ACCOUNTS.read(&view, &pool).unwrap();
    assert_eq!(pool.unwrap_or_default().balance, sum);
}

/// A device that was rewarded for epochs 1 to 3, of which results 1 and 2 are gone: they are kept for one epoch.
fn aged() -> (Chain, u64, u64) {
    let mut chain = Chain::with(|genesis| {
        genesis.params.reward.collect_after_ms = 0;
        genesis.params.reward.results_keep_epochs = 1;
    });
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    hours(&mut chain, &links, GENESIS_MS + 4 * HOUR + 300_000, false);
    let row = |number| chain.value(&tables::DEVICE_RESULTS, &(DeviceId(1), epoch(number)));
    assert_eq!((row(1), row(2)), (None, None));
    let old = (1..=2).map(|number| pot(number) * 95 / 100).sum();
    let newest = row(3).unwrap().result.reward.get();
    assert_eq!(newest, pot(3) * 95 / 100);
    assert_pool_is_accruals(&chain);
    (chain, old, newest)
}

pub(crate) fn collect_through(number: u64) -> Action {
    Action::Collect(Collect {
        through: epoch(number),
    })
}

fn old_rewards(chain: &Chain) -> Option<(u64, u64)> {
    let row = chain.value(&tables::OLD_REWARDS, &DeviceId(1))?;
    assert_eq!(row.through, epoch(2));
    Some((row.ready.get(), row.withheld.get()))
}

#[test]
fn rewards_outlive_the_results_that_they_are_for() {
    let (mut chain, old, newest) = aged();
    assert_eq!(old_rewards(&chain), Some((old, 0)));
    let view = chain.machine.store().snapshot();
    let listed = chain.machine.accruals(&view, account(&key(1)), 10).unwrap();
    drop(view);
    let sums: Vec<(Epoch, u64)> = listed
        .iter()
        .map(|(epoch, _device, accrual)| (*epoch, accrual.amount.get()))
        .collect();
    assert_eq!(sums, [(epoch(2), old), (epoch(3), newest)]);
    chain.refused(&key(1), collect_through(1), 601);
    let before = chain.free_io(&key(1));
    chain.must(&key(1), collect_through(2));
    assert_eq!(chain.free_io(&key(1)) - before, old - FEE);
    assert_eq!(old_rewards(&chain), None);
    chain.must(&key(1), collect_through(100));
    assert_eq!(chain.free_io(&key(1)) - before, old + newest - 2 * FEE);
    chain.refused(&key(1), collect_through(100), 601);
    assert_pool_is_accruals(&chain);
}

#[test]
fn what_was_withheld_stays_so_when_its_result_goes() {
    for released in [true, false] {
        let (mut chain, old, newest) = aged();
        chain.edit(|state| {
            let mut row = tables::OLD_REWARDS
                .expect(state, &DeviceId(1), "it has some")
                .unwrap();
            (row.withheld, row.ready) = (row.ready, Amount::ZERO);
            tables::OLD_REWARDS.put(state, &DeviceId(1), &row).unwrap();
            let key = (DeviceId(1), epoch(3));
            let mut row = tables::DEVICE_RESULTS.get(state, &key).unwrap().unwrap();
            row.reward = RewardState::Withheld;
            tables::DEVICE_RESULTS.put(state, &key, &row).unwrap();
        });
        chain.refused(&key(1), collect_through(100), 601);
        // Two hours later the result of epoch 3 is gone as well.
        chain.step = HOUR / 4;
        chain.run_until(GENESIS_MS + 6 * HOUR + HOUR / 2);
        let row = chain
            .value(&tables::OLD_REWARDS, &DeviceId(1))
            .expect("it has some");
        assert_eq!(row.through, epoch(3));
        assert_eq!((row.ready.get(), row.withheld.get()), (0, old + newest));
        let view = chain.machine.store().snapshot();
        let listed = chain.machine.accruals(&view, account(&key(1)), 10).unwrap();
        drop(view);
        let waits = Accrual {
            amount: Amount::new(old + newest),
            collectable_at: reward::WITHHELD,
        };
        assert_eq!(listed, [(epoch(3), DeviceId(1), waits)]);
        chain.refused(&key(1), collect_through(100), 601);
        let vault = chain.money(SystemAccount::RewardVault, Asset::Io).balance;
        let params = chain.row(&tables::PARAMS, &()).unwrap().reward;
        if released {
            chain.edit(|state| reward::release(state, DeviceId(1)).unwrap());
            let before = chain.free_io(&key(1));
            chain.must(&key(1), collect_through(100));
            assert_eq!(chain.free_io(&key(1)) - before, old + newest - FEE);
        } else {
            let at = ChainTime(chain.now);
            chain.edit(|state| reward::forfeit(state, &params, at, DeviceId(1)).unwrap());
            let vault_after = chain.money(SystemAccount::RewardVault, Asset::Io).balance;
            assert_eq!(vault_after - vault, i128::from(old + newest));
            chain.refused(&key(1), collect_through(100), 601);
        }
        assert_eq!(chain.value(&tables::OLD_REWARDS, &DeviceId(1)), None);
        assert_pool_is_accruals(&chain);
    }
}

#[test]
fn a_failure_takes_what_cannot_be_collected_yet_and_leaves_the_rest() {
    let (mut chain, old, newest) = aged();
    let params = chain.row(&tables::PARAMS, &()).unwrap().reward;
    let vault = |chain: &Chain| chain.money(SystemAccount::RewardVault, Asset::Io).balance;
    let before = vault(&chain);
    // What can be collected at that very moment is not lost.
    let at = epoch(4).start();
    chain.edit(|state| reward::forfeit(state, &params, at, DeviceId(1)).unwrap());
    assert_eq!(vault(&chain), before);
    // Just before epoch 3 can be collected.
    let at = ChainTime(epoch(4).start().0 - 1);
    chain.edit(|state| reward::forfeit(state, &params, at, DeviceId(1)).unwrap());
    assert_eq!(vault(&chain) - before, i128::from(newest));
    assert_eq!(old_rewards(&chain), Some((old, 0)));
    let free = chain.free_io(&key(1));
    chain.must(&key(1), collect_through(100));
    assert_eq!(chain.free_io(&key(1)) - free, old - FEE);
}

#[test]
fn reputation_rises_once_a_day_for_each_full_hour() {
    let mut chain = Chain::new();
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    let reputation = |chain: &Chain| {
        chain
            .row(&tables::DEVICES, &DeviceId(1))
            .unwrap()
            .reputation
    };
    let start = reputation(&chain);
    hours(&mut chain, &links, GENESIS_MS + 4 * HOUR + 300_000, false);
    hours(&mut chain, &links, GENESIS_MS + 6 * HOUR + 300_000, true);
    let unraised = |chain: &Chain| {
        let row = chain.value(&tables::UPTIME, &DeviceId(1)).unwrap();
        row.full_unraised
    };
    // Its turn is the epoch whose number and its own are a multiple of 24.
    let turn = (0..24).find(|number| (epoch(*number).0 + 1).is_multiple_of(24));
    let turn = turn.unwrap();
    assert!(turn > 6, "the world ends before its turn");
    assert_eq!((unraised(&chain), reputation(&chain)), (4, start));
    chain.step = HOUR / 4;
    chain.run_until(GENESIS_MS + turn * HOUR + HOUR / 2);
    assert_eq!((unraised(&chain), reputation(&chain)), (4, start));
    chain.run_until(GENESIS_MS + (turn + 1) * HOUR + HOUR / 2);
    let raised = (0..4).fold(start, |now, _hour| now + (10_000 - now).div_ceil(1024));
    assert_eq!((unraised(&chain), reputation(&chain)), (0, raised));
}

#[test]
fn owners_collect_what_their_own_devices_earned_and_nobody_elses() {
    let mut chain = Chain::with(|genesis| genesis.params.reward.collect_after_ms = 0);
    for (owner, worker) in [(1, 60), (2, 61), (1, 62), (3, 63)] {
        ready_device(
            &mut chain,
            &key(owner),
            &key(worker),
            device_spec(1, 1, 100_000),
        );
    }
    chain.step = HOUR / 2;
    chain.run_until(GENESIS_MS + 3 * HOUR);
    // All in one row of 64; the last device earned nothing.
    let earned = [(1, 5_000), (2, 70_000), (3, 900_000)];
    chain.edit(|state| {
        for (device, amount) in earned {
            let key = (DeviceId(device), epoch(1));
            let mut row = tables::DEVICE_RESULTS.get(state, &key).unwrap().unwrap();
            row.result.reward = Amount::new(amount);
            row.reward = RewardState::Accrued;
            tables::DEVICE_RESULTS.put(state, &key, &row).unwrap();
            let (pool, supply) = (SystemAccount::RewardPool, ledger::Supply::Emission);
            ledger::mint(state, pool, Asset::Io, Amount::new(amount), supply).unwrap();
        }
    });
    assert_pool_is_accruals(&chain);
    for (owner, sum) in [(1, 905_000), (2, 70_000)] {
        let before = chain.free_io(&key(owner));
        chain.must(&key(owner), collect_through(1));
        assert_eq!(chain.free_io(&key(owner)) + FEE - before, sum);
        assert_pool_is_accruals(&chain);
        chain.refused(&key(owner), collect_through(1), 601);
    }
    chain.refused(&key(3), collect_through(1), 601);
}

/// The bits of so many slots of an epoch, from its first one on.
fn first_slots(up: u32) -> u64 {
    (1 << up) - 1
}

#[test]
fn a_device_succeeds_with_just_the_slots_that_it_needs() {
    // 94.5 % of 60 slots are 56.7.
    let needed = 57;
    for up in [needed, needed - 1] {
        let mut chain =
            Chain::with(|genesis| genesis.params.reward.uptime_share = BasisPoints(9_450));
        let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
        hours(&mut chain, &links, GENESIS_MS + 2 * HOUR - 120_000, false);
        chain.edit(|state| {
            let mut row = tables::UPTIME.get(state, &DeviceId(1)).unwrap().unwrap();
            assert_eq!(row.epochs[2].0, epoch(1));
            row.epochs[2].1 = first_slots(up);
            row.full_epochs = 5;
            tables::UPTIME.put(state, &DeviceId(1), &row).unwrap();
        });
        hours(&mut chain, &links, GENESIS_MS + 2 * HOUR + 120_000, true);
        let row = chain.row(&tables::EPOCHS, &epoch(1)).unwrap();
        assert!(row.closed);
        assert_eq!(row.counted_slots, 60);
        let (result, succeeded) = (result(&chain, 1), up == needed);
        assert_eq!(u32::from(result.slots_up), up);
        assert_eq!(result.succeeded, succeeded);
        let failed: &[NominationCheck] = if succeeded {
            &[]
        } else {
            &[NominationCheck::RetestUptime]
        };
        assert_eq!(result.failed_checks, failed);
        let uptime = chain.value(&tables::UPTIME, &DeviceId(1)).unwrap();
        assert_eq!(uptime.full_epochs, if succeeded { 6 } else { 0 });
    }
}

#[test]
fn the_bits_of_closed_epochs_go() {
    let (chain, _links) = world();
    let row = chain.value(&tables::UPTIME, &DeviceId(1)).unwrap();
    assert!(chain.row(&tables::EPOCHS, &epoch(0)).unwrap().closed);
    let none = (Epoch(0), 0);
    let [oldest, middle, (newest, bits)] = row.epochs;
    assert_eq!((oldest, middle, newest), (none, none, epoch(1)));
    assert_ne!(bits, 0);
}

#[test]
fn a_device_that_fails_leaves_its_part_of_the_pool_to_the_others() {
    let (mut chain, links) = world();
    ready_device(&mut chain, &key(2), &key(61), device_spec(1, 1, 100_000));
    hours(&mut chain, &links, GENESIS_MS + 2 * HOUR - 120_000, false);
    chain.edit(|state| {
        // Up all the time and nominated, but its last challenge was failed.
        let mut row = tables::UPTIME.get(state, &DeviceId(2)).unwrap().unwrap();
        row.epochs[2] = (epoch(1), first_slots(60));
        tables::UPTIME.put(state, &DeviceId(2), &row).unwrap();
        let key = (DeviceId(2), epoch(1));
        let mut row = tables::DEVICE_RESULTS
            .get(state, &key)
            .unwrap()
            .unwrap_or_default();
        row.result.nominated = true;
        row.result.failed_checks.clear();
        tables::DEVICE_RESULTS.put(state, &key, &row).unwrap();
        let mut row = tables::DEVICES.get(state, &DeviceId(2)).unwrap().unwrap();
        row.last_failed = true;
        tables::DEVICES.put(state, &DeviceId(2), &row);
    });
    hours(&mut chain, &links, GENESIS_MS + 2 * HOUR + 120_000, false);
    let of = |device| {
        let row = chain.value(&tables::DEVICE_RESULTS, &(DeviceId(device), epoch(1)));
        row.unwrap().result
    };
    let failed = of(2);
    assert_eq!(failed.slots_up, 60);
    assert_eq!(failed.failed_checks, [NominationCheck::RetestChallenge]);
    assert!(!failed.succeeded && failed.base > 0);
    assert_eq!(failed.reward, Amount::ZERO);
    assert_eq!(of(1).reward.get(), pot(1) * 95 / 100);
    let row = chain.row(&tables::EPOCHS, &epoch(1)).unwrap();
    assert_eq!((row.succeeded, row.rewarded), (1, of(1).reward));
}

/// A booking of nothing.
pub(crate) fn booking(pulse_ok: bool) -> Booking {
    Booking {
        id: BookingId(1),
        order: OrderId(1),
        renter: account(&key(2)),
        asset: Asset::Io,
        hours: 1,
        price: 0,
        total: Amount::ZERO,
        fees: Amount::ZERO,
        fee_hold: HoldId(0),
        reservation: Amount::ZERO,
        fees_earned: Amount::ZERO,
        state: BookingState::Serving,
        parts: Vec::new(),
        matched_at: ChainTime(GENESIS_MS),
        deliver_by: ChainTime(GENESIS_MS),
        height: Height(1),
        pulse_ok,
    }
}

#[test]
fn a_reward_waits_for_the_pulse_of_a_hired_device_whose_renter_allows_none() {
    for (pulse_ok, state) in [(true, RewardState::Accrued), (false, RewardState::Withheld)] {
        let (mut chain, links) = world();
        hours(&mut chain, &links, GENESIS_MS + 2 * HOUR - 120_000, false);
        chain.edit(|state| {
            let mut row = tables::DEVICES.get(state, &DeviceId(1)).unwrap().unwrap();
            row.booking = Some(BookingId(1));
            tables::DEVICES.put(state, &DeviceId(1), &row);
            tables::BOOKINGS.put(state, &BookingId(1), &booking(pulse_ok));
        });
        hours(&mut chain, &links, GENESIS_MS + 2 * HOUR + 120_000, false);
        let row = chain.value(&tables::DEVICE_RESULTS, &(DeviceId(1), epoch(1)));
        let row = row.unwrap();
        assert_eq!(row.result.reward.get(), pot(1) * 95 / 100);
        assert_eq!(row.reward, state, "pulse_ok: {pulse_ok}");
    }
}

#[test]
fn a_result_stays_until_its_reward_can_be_collected() {
    let mut chain = Chain::with(|genesis| {
        genesis.params.reward.collect_after_ms = 2 * HOUR;
        genesis.params.reward.results_keep_epochs = 1;
    });
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    hours(&mut chain, &links, GENESIS_MS + 4 * HOUR + 300_000, false);
    let has = |chain: &Chain, number| {
        let key = (DeviceId(1), epoch(number));
        chain.value(&tables::DEVICE_RESULTS, &key).is_some()
    };
    // The close of epoch 3 drops what is three epochs old: epoch 1 cannot be collected before epoch 4.
    assert_eq!(
        [0, 1, 2, 3].map(|number| has(&chain, number)),
        [false, true, true, true]
    );
    assert_eq!(old_rewards(&chain), None);
    chain.step = 30_000;
    chain.run_until(GENESIS_MS + 5 * HOUR + 300_000);
    assert!(!has(&chain, 1) && has(&chain, 2));
}

/// A chain with so many devices of one owner, all but the first written as copies of it.
pub(crate) fn many(devices: u64) -> Chain {
    let mut chain = Chain::with(|genesis| genesis.params.reward.collect_after_ms = 0);
    ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    chain.edit(|state| {
        let first = tables::DEVICES.get(state, &DeviceId(1)).unwrap().unwrap();
        for id in 2..=devices {
            let row = io_types::row::Device {
                id: DeviceId(id),
                ..first.clone()
            };
            tables::DEVICES.put(state, &DeviceId(id), &row);
        }
        let mut counters = tables::COUNTERS.get(state, &()).unwrap().unwrap();
        counters.device = devices;
        tables::COUNTERS.put(state, &(), &counters);
    });
    chain
}

#[test]
fn one_collect_takes_ten_thousand_rewards_to_the_end_of_a_device() {
    let (devices, epochs) = (250_u64, 48_u64);
    let mut chain = many(devices);
    chain.edit(|state| {
        for device in 1..=devices {
            for hour in 1..=epochs {
                let key = (DeviceId(device), Epoch(epoch(0).0 - hour));
                let mut row = io_types::row::ResultRow::default();
                row.result.reward = Amount::new(1_000 + device);
                row.reward = RewardState::Accrued;
                tables::DEVICE_RESULTS.put(state, &key, &row).unwrap();
            }
        }
        let sum = (1..=devices).map(|device| (1_000 + device) * epochs).sum();
        let (pool, supply) = (SystemAccount::RewardPool, ledger::Supply::Emission);
        ledger::mint(state, pool, Asset::Io, Amount::new(sum), supply).unwrap();
    });
    let of = |devices: std::ops::RangeInclusive<u64>| -> u64 {
        devices.map(|device| (1_000 + device) * epochs).sum()
    };
    // The first 209 devices have ten thousand rewards and a few.
    let last = 10_000_u64.div_ceil(epochs);
    for sum in [of(1..=last), of(last + 1..=devices)] {
        let events = chain.must(&key(1), collect_through(100));
        let collected = Event::Collected {
            account: account(&key(1)),
            amount: Amount::new(sum),
        };
        assert!(events.contains(&collected), "{collected:?} in {events:?}");
    }
    chain.refused(&key(1), collect_through(100), 601);
    assert_pool_is_accruals(&chain);
}
