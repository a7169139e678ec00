//! The close of an epoch: pots, roots, events, fees, over one block or many.

use io_settlement::payout::Tree;
use io_state_machine::{ledger, reward, tables};
use io_types::catalogue::Pool;
use io_types::codec::hash_of;
use io_types::row::{ClosingPass, NominationCheck, RewardState};
use io_types::{Amount, Asset, BasisPoints, DeviceId, Event, SystemAccount};

use crate::rewards::{
    HOUR, assert_pool_is_accruals, collect_through, epoch, hours, many, pot, result, world,
};
use crate::support::{Chain, FEE, GENESIS_MS, account, device_spec, key, ready_device};

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

#[test]
fn fees_of_every_asset_are_split_and_dollars_burn_as_io_later() {
    let mut chain = Chain::new();
    // Odd sums, so that rounding down and rounding up differ.
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
    for _block in 0..20 {
        let row = chain.row(&tables::EPOCHS, &epoch(number));
        if row.is_some_and(|row| row.closed) {
            return events;
        }
        events.extend(chain.block(Vec::new()).events);
    }
    panic!("epoch {number} is not closed after 20 blocks");
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
    assert_root_is_over(&chain, 1, 1..=3);
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
    // A block is three eighths of an hour: 24 are nine epochs, and a close takes six.
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

#[test]
fn every_device_is_in_the_close_however_many_there_are() {
    let devices = 130;
    let mut chain = many(devices);
    chain.step = HOUR / 2;
    close(&mut chain, 0);
    assert_root_is_over(&chain, 0, 1..=devices);
}

/// The root of an epoch's results is that of these devices, each with its result.
fn assert_root_is_over(chain: &Chain, number: u64, devices: std::ops::RangeInclusive<u64>) {
    let leaf = |device| {
        let key = (DeviceId(device), epoch(number));
        let row = chain.value(&tables::DEVICE_RESULTS, &key).unwrap();
        let leaf = (DeviceId(device), &row.result);
        hash_of(b"io-chain/device-result/v1\0", &leaf).0
    };
    let tree = Tree::new(devices.map(leaf).collect());
    let row = chain.row(&tables::EPOCHS, &epoch(number)).unwrap();
    assert_eq!(row.results_root.0, tree.root());
}
