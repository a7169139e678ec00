//! Rewards: nomination, re-test, accrual, collection, the split of fees.

use io_settlement::emission::Schedule;
use io_settlement::payout::Tree;
use io_state_machine::{ledger, reward, tables};
use io_types::action::Collect;
use io_types::catalogue::Pool;
use io_types::codec::hash_of;
use io_types::row::{Accrual, Booking, BookingState, ClosingPass, NominationCheck, RewardState};
use io_types::{
    Action, Amount, Asset, BasisPoints, BookingId, ChainTime, DeviceId, Epoch, Event, Height,
    HoldId, OrderId, SystemAccount,
};

use crate::support::{
    Chain, FEE, GENESIS_MS, Links, SCHEDULE_MS, account, device_spec, key, ready_device,
};

const HOUR: u64 = 3_600_000;

/// Blocks every 30 s until `end`; device 1 shows up in every slot unless `absent`.
fn hours(chain: &mut Chain, links: &Links, end: u64, absent: bool) {
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

fn epoch(number: u64) -> Epoch {
    Epoch(ChainTime(GENESIS_MS).epoch().0 + number)
}

fn pot(number: u64) -> u64 {
    Schedule::Table.pot(SCHEDULE_MS / 1000, GENESIS_MS / 1000 + number * 3600)
}

/// One enterprise device that was up through the first epoch and is nominated in the second.
fn world() -> (Chain, Links) {
    let mut chain = Chain::new();
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    hours(&mut chain, &links, GENESIS_MS + HOUR + 300_000, false);
    (chain, links)
}

fn result(chain: &Chain, number: u64) -> io_types::row::DeviceResult {
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
            if hold.purpose == io_types::row::HoldPurpose::Stake(DeviceId(1)) {
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

#[test]
fn the_epochs_fees_are_split_into_duty_burn_and_treasury() {
    let (chain, _links) = world();
    let row = chain.row(&tables::EPOCHS, &epoch(0)).unwrap();
    let fees = row.fees[0].get();
    assert!(fees >= 2 * FEE, "{fees}");
    let duty = fees / 10;
    let burn = (fees - duty).div_ceil(2);
    let money = |account| chain.money(account, Asset::Io).balance;
    assert_eq!(money(SystemAccount::DutyFund), i128::from(duty));
    assert_eq!(row.burned[0].get(), burn);
    assert_eq!(
        money(SystemAccount::Treasury),
        i128::from(fees - duty - burn)
    );
    assert_eq!(
        chain.row(&tables::TOTALS, &Asset::Io).unwrap().burned.get(),
        burn
    );
}

#[test]
fn a_block_that_crosses_many_epochs_closes_them_in_order_at_most_24_at_a_time() {
    let mut chain = Chain::new();
    chain.step = 30 * HOUR;
    chain.run(1);
    let closed = |chain: &Chain, number| {
        chain
            .row(&tables::EPOCHS, &epoch(number))
            .is_some_and(|row| row.closed)
    };
    assert!(closed(&chain, 23) && !closed(&chain, 24));
    assert_eq!(
        chain.row(&tables::BRIDGE, &()).unwrap().newest_batch.0,
        0,
        "the batch waits for the backlog"
    );
    chain.step = 120_000;
    chain.run(1);
    assert!(closed(&chain, 29));
    assert_eq!(chain.row(&tables::BRIDGE, &()).unwrap().newest_batch.0, 1);
    let minted = chain
        .row(&tables::TOTALS, &Asset::Io)
        .unwrap()
        .emitted
        .get();
    assert_eq!(minted, (0..30).map(pot).sum::<u64>());
}

/// Three devices, one of them up, through two epochs; each close worked off at `close_devices_max` devices in a block.
fn closed_at(close_devices_max: u32) -> (Chain, usize) {
    let mut chain =
        Chain::with(|genesis| genesis.params.reward.close_devices_max = close_devices_max);
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    for (owner, worker) in [(2, 61), (3, 62)] {
        ready_device(
            &mut chain,
            &key(owner),
            &key(worker),
            device_spec(2, 1, 100_000),
        );
    }
    hours(&mut chain, &links, GENESIS_MS + 2 * HOUR + 30_000, false);
    let mut blocks_closing = 0;
    for _block in 0..20 {
        chain.run(1);
        blocks_closing += usize::from(chain.row(&tables::CLOSING, &()).is_some());
        assert_pool_is_accruals(&chain);
    }
    (chain, blocks_closing)
}

/// INV-22.
fn assert_pool_is_accruals(chain: &Chain) {
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

#[test]
fn an_epoch_closed_over_many_blocks_gives_what_one_closed_in_a_block_gives() {
    let (at_once, none) = closed_at(4_000);
    let (slowly, some) = closed_at(1);
    assert_eq!(none, 0, "closed in the block that ended it");
    assert!(some >= 5, "three devices, two passes: {some} blocks");
    let closed = |chain: &Chain| chain.row(&tables::EPOCHS, &epoch(1)).unwrap();
    assert!(closed(&slowly).closed && closed(&slowly).succeeded == 1);
    assert_eq!(closed(&slowly), closed(&at_once));
    for number in 0..=2 {
        for device in 1..=3 {
            let key = (DeviceId(device), epoch(number));
            let result = |chain: &Chain| chain.value(&tables::DEVICE_RESULTS, &key);
            assert_eq!(result(&slowly), result(&at_once), "{number}, {device}");
        }
    }
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

fn collect_through(number: u64) -> Action {
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

#[test]
fn the_safety_module_gets_its_share_of_every_pot() {
    let share = BasisPoints(700);
    let mut chain = Chain::with(|genesis| genesis.params.reward.safety = share);
    chain.step = HOUR / 2;
    chain.run_until(GENESIS_MS + 2 * HOUR + HOUR / 4);
    let safety = |number| pot(number) * 7 / 100;
    let row = chain.row(&tables::EPOCHS, &epoch(0)).unwrap();
    assert_eq!(
        (row.safety.get(), row.to_vault.get()),
        (safety(0), pot(0) - safety(0))
    );
    let has = |of| chain.money(of, Asset::Io).balance;
    assert_eq!(
        has(SystemAccount::SafetyModule),
        i128::from(safety(0) + safety(1))
    );
    assert_eq!(has(SystemAccount::RewardPool), 0);
}

#[test]
fn a_pot_is_split_rounding_down_and_by_at_least_the_least_sums() {
    let rule = reward::SplitRule {
        safety: BasisPoints(1),
        enterprise: BasisPoints(5_000),
        base_min_enterprise: 10,
        base_min_community: 7,
    };
    let pots = reward::pots(Amount::new(9_999), &rule, (3, 2)).unwrap();
    assert_eq!(pots.safety, Amount::ZERO, "less than one");
    assert_eq!(pots.enterprise, (Amount::new(4_999), 10));
    assert_eq!(pots.community, (Amount::new(5_000), 7));
    let more = reward::pots(Amount::new(9_999), &rule, (11, 8)).unwrap();
    assert_eq!((more.enterprise.1, more.community.1), (11, 8));
    assert_eq!(pots.reward(Pool::Enterprise, 3), Some(Amount::new(1_499)));
    let nobody = reward::Pots {
        enterprise: (Amount::new(5), 0),
        ..pots
    };
    assert_eq!(nobody.reward(Pool::Enterprise, 0), Some(Amount::ZERO));
    let devices = [(Pool::Enterprise, 10), (Pool::Community, 7)]
        .map(|(pool, base)| reward::Share { pool, base });
    let split = reward::split(Amount::new(9_999), &rule, &devices).unwrap();
    assert_eq!(split.rewards, [Amount::new(4_999), Amount::new(5_000)]);
    assert_eq!(split.to_vault, Amount::ZERO);
}

/// The bits of so many slots of an epoch, from its first one on.
fn first_slots(up: u32) -> u64 {
    (1 << up) - 1
}

#[test]
fn a_device_succeeds_with_just_the_slots_that_it_needs() {
    let needed = 57;
    for up in [needed, needed - 1] {
        let (mut chain, links) = world();
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
        let chain_of = chain.value(&tables::UPTIME, &DeviceId(1)).unwrap();
        assert_eq!(chain_of.full_epochs, if succeeded { 6 } else { 0 });
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

#[test]
fn fees_of_every_asset_are_split_and_dollars_burn_as_io_later() {
    let mut chain = Chain::new();
    // What a tenth and a half of it leave over is told apart from a whole number.
    let fees = [(Asset::Usdc, 1_000_005_u64), (Asset::Credit, 2_007)];
    chain.edit(|state| {
        let mut row = tables::EPOCHS.get(state, &epoch(0)).unwrap().unwrap();
        for ((asset, fees), place) in fees.into_iter().zip([1, 2]) {
            let revenue = SystemAccount::Revenue;
            let amount = Amount::new(fees);
            ledger::enter(state, revenue, asset, amount, ledger::Entry::Deposit).unwrap();
            row.fees[place] = amount;
        }
        tables::EPOCHS.put(state, &epoch(0), &row);
    });
    chain.step = HOUR / 2;
    chain.run_until(GENESIS_MS + HOUR + 300_000);
    let row = chain.row(&tables::EPOCHS, &epoch(0)).unwrap();
    assert!(row.closed);
    let has = |of, asset| chain.money(of, asset).balance;
    for (asset, fees) in fees {
        let duty = fees / 10;
        let burn = (fees - duty).div_ceil(2);
        assert_eq!(has(SystemAccount::DutyFund, asset), i128::from(duty));
        assert_eq!(
            has(SystemAccount::Treasury, asset),
            i128::from(fees - duty - burn)
        );
        assert_eq!(has(SystemAccount::Revenue, asset), 0);
        let (pending, burned) = match asset {
            Asset::Usdc => (burn, 0),
            Asset::Io | Asset::Credit => (0, burn),
        };
        assert_eq!(has(SystemAccount::BurnPending, asset), i128::from(pending));
        let totals = chain.row(&tables::TOTALS, &asset).unwrap();
        assert_eq!(totals.burned.get(), burned);
        let place = if asset == Asset::Usdc { 1 } else { 2 };
        assert_eq!(row.burned[place].get(), burned);
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
    while !chain.row(&tables::EPOCHS, &epoch(0)).unwrap().closed {
        chain.run(1);
    }
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

/// A booking of nothing.
fn booking(pulse_ok: bool) -> Booking {
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

#[test]
fn a_device_that_fails_while_its_epoch_is_closed_gets_nothing() {
    let mut chain = Chain::with(|genesis| genesis.params.reward.close_devices_max = 1);
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    ready_device(&mut chain, &key(2), &key(61), device_spec(2, 1, 100_000));
    hours(&mut chain, &links, GENESIS_MS + 2 * HOUR, false);
    let paying = |chain: &Chain| {
        let row = chain.row(&tables::CLOSING, &());
        row.is_some_and(|row| row.epoch == epoch(1) && row.pass == ClosingPass::Pay)
    };
    for _block in 0..20 {
        if paying(&chain) {
            break;
        }
        chain.run(1);
    }
    assert!(paying(&chain));
    assert!(result(&chain, 1).succeeded, "in the first pass");
    chain.edit(|state| {
        let mut row = tables::DEVICES.get(state, &DeviceId(1)).unwrap().unwrap();
        row.last_failed = true;
        tables::DEVICES.put(state, &DeviceId(1), &row);
    });
    chain.run(5);
    let result = result(&chain, 1);
    assert!(!result.succeeded);
    assert_eq!(result.failed_checks, [NominationCheck::RetestChallenge]);
    assert_eq!(result.reward, Amount::ZERO);
    let row = chain.row(&tables::EPOCHS, &epoch(1)).unwrap();
    assert!(row.closed);
    assert_eq!((row.succeeded, row.rewarded.get()), (0, 0));
    assert_eq!(row.to_vault.get(), pot(1));
    assert_pool_is_accruals(&chain);
}

/// Blocks of nothing until the epoch is closed, with what they did by themselves.
fn close(chain: &mut Chain, number: u64) -> Vec<Event> {
    let mut events = Vec::new();
    while !chain
        .row(&tables::EPOCHS, &epoch(number))
        .is_some_and(|row| row.closed)
    {
        events.extend(chain.block(Vec::new()).events);
    }
    events
}

#[test]
fn what_an_epoch_gave_is_told_in_events() {
    let (mut chain, links) = world();
    hours(&mut chain, &links, GENESIS_MS + 2 * HOUR - 120_000, false);
    // Its fee is what burns.
    chain.refused(&key(2), collect_through(100), 601);
    let events = close(&mut chain, 1);
    let row = chain.row(&tables::EPOCHS, &epoch(1)).unwrap();
    assert_ne!(row.burned[0], Amount::ZERO);
    let next = chain.row(&tables::EPOCHS, &epoch(2)).unwrap();
    assert_eq!((row.succeeded, next.nominated), (1, 1));
    for event in [
        Event::Rewarded {
            epoch: epoch(1),
            device: DeviceId(1),
            account: account(&key(1)),
            amount: Amount::new(pot(1) * 95 / 100),
        },
        Event::Burned {
            asset: Asset::Io,
            amount: row.burned[0],
        },
        Event::EpochClosed {
            epoch: epoch(1),
            pot: row.pot,
            rewarded: row.rewarded,
            succeeded: 1,
            to_vault: row.to_vault,
        },
        Event::EpochOpened {
            epoch: epoch(2),
            nominated: 1,
        },
    ] {
        let times = events.iter().filter(|seen| **seen == event).count();
        assert_eq!(times, 1, "{event:?} in {events:?}");
    }
}

#[test]
fn the_root_of_an_epoch_is_over_the_results_of_all_its_devices() {
    let (chain, _blocks) = closed_at(1);
    let leaf = |device| {
        let key = (DeviceId(device), epoch(1));
        let row = chain.value(&tables::DEVICE_RESULTS, &key).unwrap();
        hash_of(
            b"io-chain/device-result/v1\0",
            &(DeviceId(device), &row.result),
        )
        .0
    };
    let tree = Tree::new((1..=3).map(leaf).collect());
    let row = chain.row(&tables::EPOCHS, &epoch(1)).unwrap();
    assert_eq!(row.results_root.0, tree.root());
}

#[test]
fn a_share_below_one_base_unit_is_no_reward() {
    let mut chain = Chain::with(|genesis| {
        genesis.params.reward.base_min_enterprise = u64::MAX;
    });
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    hours(&mut chain, &links, GENESIS_MS + 2 * HOUR - 120_000, false);
    let events = close(&mut chain, 1);
    let row = chain.value(&tables::DEVICE_RESULTS, &(DeviceId(1), epoch(1)));
    let row = row.unwrap();
    assert!(row.result.succeeded);
    assert_eq!(
        (row.result.reward, row.reward),
        (Amount::ZERO, RewardState::Gone)
    );
    let rewarded = |event: &Event| matches!(event, Event::Rewarded { .. });
    assert!(!events.iter().any(rewarded), "{events:?}");
}

#[test]
fn an_epoch_ends_only_when_the_one_before_is_closed() {
    let mut chain = Chain::with(|genesis| genesis.params.reward.close_devices_max = 1);
    for number in 1..=3 {
        let spec = device_spec(1, 1, 100_000);
        ready_device(&mut chain, &key(number), &key(60 + number), spec);
    }
    // Six blocks for each close, an hour and a half for four of them.
    chain.step = HOUR * 3 / 8;
    chain.run(24);
    let closed = |chain: &Chain| {
        let row = |number| chain.row(&tables::EPOCHS, &epoch(number));
        (0..9)
            .take_while(|number| row(*number).is_some_and(|row| row.closed))
            .count()
    };
    let behind = closed(&chain);
    assert!((2..=5).contains(&behind), "{behind} closes in 24 blocks");
    chain.step = 1_000;
    chain.run(60);
    assert_eq!(closed(&chain), 9);
}

/// A chain with so many devices of one owner, all but the first written as copies of it.
fn many(devices: u64) -> Chain {
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
fn every_device_is_in_the_close_however_many_there_are() {
    let devices = 130;
    let mut chain = many(devices);
    chain.step = HOUR / 2;
    close(&mut chain, 0);
    let leaf = |device| {
        let key = (DeviceId(device), epoch(0));
        let row = chain.value(&tables::DEVICE_RESULTS, &key).unwrap();
        hash_of(
            b"io-chain/device-result/v1\0",
            &(DeviceId(device), &row.result),
        )
        .0
    };
    let tree = Tree::new((1..=devices).map(leaf).collect());
    let row = chain.row(&tables::EPOCHS, &epoch(0)).unwrap();
    assert_eq!(row.results_root.0, tree.root());
}

#[test]
fn one_collect_takes_ten_thousand_rewards_to_the_end_of_a_device() {
    let (devices, hours) = (250_u64, 48_u64);
    let mut chain = many(devices);
    chain.edit(|state| {
        for device in 1..=devices {
            for hour in 1..=hours {
                let key = (DeviceId(device), Epoch(epoch(0).0 - hour));
                let mut row = io_types::row::ResultRow::default();
                row.result.reward = Amount::new(1_000 + device);
                row.reward = RewardState::Accrued;
                tables::DEVICE_RESULTS.put(state, &key, &row).unwrap();
            }
        }
        let sum = (1..=devices).map(|device| (1_000 + device) * hours).sum();
        let (pool, supply) = (SystemAccount::RewardPool, ledger::Supply::Emission);
        ledger::mint(state, pool, Asset::Io, Amount::new(sum), supply).unwrap();
    });
    let of = |devices: std::ops::RangeInclusive<u64>| -> u64 {
        devices.map(|device| (1_000 + device) * hours).sum()
    };
    // The first 209 devices have ten thousand rewards and a few.
    let last = 10_000_u64.div_ceil(hours);
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
