//! Stake: minimum, cooldown, what is above the minimum.

use io_state_machine::context::BlockContext;
use io_state_machine::dispatch::Execute as _;
use io_state_machine::error::ActionError;
use io_state_machine::ledger::conservation::check_block;
use io_state_machine::state::State;
use io_state_machine::{stake, tables};
use io_types::action::{
    AddStake, RegisterDevice, RetireDevice, UnstakeDevice, WithdrawStake, consent,
};
use io_types::catalogue::{Catalogue, ClassId, Model, ModelId, Pool};
use io_types::params::StakeParams;
use io_types::{
    Action, Amount, Asset, BasisPoints, BlockTime, ChainTime, DeviceId, Event, Hash, Height,
    MicroUsd, SystemAccount,
};

use crate::support::{CHAIN, Chain, FEE, IO, account, device_spec, key, order, ready_device};

const DEVICE: DeviceId = DeviceId(1);

fn add(io: u64) -> Action {
    Action::AddStake(AddStake {
        device: DEVICE,
        amount: Amount::new(io * IO),
    })
}

fn take(io: u64) -> Action {
    Action::WithdrawStake(WithdrawStake {
        device: DEVICE,
        amount: Amount::new(io * IO),
    })
}

fn unstake() -> Action {
    Action::UnstakeDevice(UnstakeDevice { device: DEVICE })
}

fn registered() -> Chain {
    let mut chain = Chain::new();
    let spec = device_spec(1, 1, 100_000);
    chain.must(
        &key(1),
        Action::RegisterDevice(RegisterDevice {
            spec,
            device_key: account(&key(60)),
            consent: consent(&key(60), CHAIN, &account(&key(1))),
            client_id: 1,
        }),
    );
    chain
}

fn staked(chain: &Chain) -> u64 {
    chain.row(&tables::BRIDGE, &()).unwrap().staked.get()
}

#[test]
fn the_owner_stakes_first_and_then_only_the_staker() {
    let mut chain = registered();
    let genesis = staked(&chain);
    chain.refused(&key(2), add(1), 702);
    chain.refused(
        &key(1),
        Action::AddStake(AddStake {
            device: DeviceId(9),
            amount: Amount::new(1),
        }),
        401,
    );
    chain.refused(&key(1), unstake(), 704);
    chain.refused(&key(1), add(2_000_000), 201);
    chain.must(&key(1), add(2500));
    chain.refused(&key(2), add(1), 701);
    assert_eq!(staked(&chain), genesis + 2500 * IO);
    // Minimum: 200 IO × M 10 × Q 1.
    chain.refused(&key(1), take(501), 705);
    chain.must(&key(1), take(500));
    assert_eq!(staked(&chain), genesis + 2000 * IO);
    assert_eq!(chain.free_io(&key(1)), (1_000_000 - 2000) * IO - 7 * FEE);
}

#[test]
fn unstaking_cools_down_for_14_days_and_is_irreversible() {
    let mut chain = registered();
    chain.must(&key(1), add(2500));
    chain.must(&key(1), unstake());
    let begun = chain.now;
    chain.refused(&key(1), add(1), 703);
    chain.refused(&key(1), unstake(), 703);
    chain.refused(&key(1), take(2500), 703);
    chain.step = 3_600_000;
    chain.run_until(begun + 13 * 86_400_000);
    chain.refused(&key(1), take(2500), 703);
    chain.run_until(begun + 14 * 86_400_000);
    chain.must(&key(1), take(2500));
    assert_eq!(chain.value(&tables::STAKES, &DEVICE), None);
}

#[test]
fn a_hired_devices_stake_stays() {
    let mut chain = Chain::new();
    ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 100_000));
    chain.must(&key(2), Action::PlaceOrder(order(1, 1, 1)));
    chain.refused(&key(1), unstake(), 706);
}

#[test]
fn zero_stays_out_and_a_retired_device_takes_no_stake() {
    let mut chain = registered();
    let zero = chain.sign(&key(1), vec![add(0)]);
    let nothing = chain.sign(&key(1), vec![take(0)]);
    for bytes in [zero, nothing] {
        let answer = chain.machine.check_tx(&bytes, false).unwrap();
        assert_eq!(answer.unwrap_err().code(), 202);
    }
    chain.must(
        &key(1),
        Action::RetireDevice(RetireDevice { device: DEVICE }),
    );
    chain.refused(&key(1), add(1), 406);
}

#[test]
fn nobody_but_the_staker_unstakes_or_withdraws() {
    let mut chain = registered();
    chain.must(&key(1), add(2500));
    chain.refused(&key(2), unstake(), 701);
    chain.refused(&key(2), take(1), 701);
    chain.must(&key(1), unstake());
    chain.refused(&key(2), take(2500), 701);
}

#[test]
fn stake_grows_and_shrinks_in_row_hold_and_sum_and_is_said() {
    let mut chain = registered();
    let (genesis, staker) = (staked(&chain), account(&key(1)));
    let sees = |chain: &Chain, io: u64| {
        let row = chain.row(&tables::STAKES, &DEVICE).unwrap();
        assert_eq!((row.staker, row.amount.get()), (staker, io * IO));
        assert_eq!(chain.money(staker, Asset::Io).held.get(), io * IO);
        assert_eq!(staked(chain), genesis + io * IO);
    };
    let said = |amount: u64, total: u64| Event::StakeAdded {
        device: DEVICE,
        staker,
        amount: Amount::new(amount * IO),
        total: Amount::new(total * IO),
    };
    assert!(chain.must(&key(1), add(2500)).contains(&said(2500, 2500)));
    sees(&chain, 2500);
    assert!(chain.must(&key(1), add(30)).contains(&said(30, 2530)));
    sees(&chain, 2530);
    let events = chain.must(&key(1), take(529));
    assert!(events.contains(&Event::StakeWithdrawn {
        device: DEVICE,
        staker,
        amount: Amount::new(529 * IO),
    }));
    sees(&chain, 2001);
    chain.refused(&key(1), take(2), 705);
    chain.must(&key(1), take(1));
    sees(&chain, 2000);
    let events = chain.must(&key(1), unstake());
    let exit = chain.row(&tables::STAKES, &DEVICE).unwrap().exit.unwrap();
    assert_eq!(exit.ends, exit.begun.plus_ms(14 * 86_400_000));
    assert!(events.contains(&Event::UnstakeBegun {
        device: DEVICE,
        ends: exit.ends,
    }));
    sees(&chain, 2000);
    let view = chain.machine.store().snapshot();
    let state = State::new(&view);
    let counting = stake::counting(&state, DEVICE).unwrap();
    assert_eq!(counting, Amount::ZERO, "a stake in cooldown");
}

#[test]
fn a_cooldown_ends_with_its_last_millisecond() {
    let mut chain = registered();
    chain.must(&key(1), add(2500));
    chain.must(&key(1), unstake());
    let exit = chain.row(&tables::STAKES, &DEVICE).unwrap().exit.unwrap();
    let view = chain.machine.store().snapshot();
    let mut state = State::new(&view);
    let height = Height(chain.height() + 1);
    let mut block = BlockContext::load(&state, height, BlockTime(chain.now), Hash::ZERO).unwrap();
    let all = WithdrawStake {
        device: DEVICE,
        amount: Amount::new(2500 * IO),
    };
    let mut at = |now| {
        block.now = now;
        all.execute(account(&key(1)), &block, &mut state)
    };
    match at(ChainTime(exit.ends.0 - 1)) {
        Err(ActionError::Rejected(why)) => assert_eq!(why.code(), 703),
        other => panic!("{other:?}"),
    }
    at(exit.ends).unwrap();
    assert_eq!(tables::STAKES.get(&state, &DEVICE).unwrap(), None);
    check_block(&view, &state.into_write_set().unwrap()).unwrap();
}

#[test]
fn a_slash_takes_its_share_rounded_down_and_never_more_than_all() {
    let mut chain = registered();
    let amount = 2500 * IO + 7;
    chain.must(
        &key(1),
        Action::AddStake(AddStake {
            device: DEVICE,
            amount: Amount::new(amount),
        }),
    );
    let view = chain.machine.store().snapshot();
    let mut state = State::new(&view);
    let before = staked(&chain);
    let mut slash = |device, share| {
        let custody = SystemAccount::SlashCustody;
        let taken = stake::slash(&mut state, device, BasisPoints(share), custody).unwrap();
        let row = tables::STAKES.get(&state, &DEVICE).unwrap();
        let bridge = tables::BRIDGE.get(&state, &()).unwrap().unwrap();
        (
            taken.get(),
            row.map(|row| row.amount.get()),
            before - bridge.staked.get(),
        )
    };
    assert_eq!(slash(DeviceId(9), 5000), (0, Some(amount), 0));
    assert_eq!(slash(DEVICE, 0), (0, Some(amount), 0));
    // ⌊amount / 10 000⌋.
    let one = 25_000_000;
    assert_eq!(slash(DEVICE, 1), (one, Some(amount - one), one));
    assert_eq!(slash(DEVICE, 20_000), (amount - one, None, amount));
    let custody = tables::ACCOUNTS.get(&state, &(SystemAccount::SlashCustody.into(), Asset::Io));
    assert_eq!(custody.unwrap().unwrap().balance, i128::from(amount));
    let owner = tables::ACCOUNTS.get(&state, &(account(&key(1)).into(), Asset::Io));
    assert_eq!(owner.unwrap().unwrap().held, Amount::ZERO);
    check_block(&view, &state.into_write_set().unwrap()).unwrap();
}

#[test]
fn the_least_stake_is_by_granted_class_and_at_least_that_of_multiplier_one() {
    let chain = registered();
    let model = |id, class, multiplier_milli| Model {
        id: ModelId(id),
        name: String::new(),
        class: ClassId(class),
        multiplier_milli,
        pool: Pool::Enterprise,
        price_floor: MicroUsd(1),
        price_ceiling: MicroUsd(2),
        vram_mib: 1,
        placeholder: Vec::new(),
    };
    let catalogue = Catalogue {
        classes: Vec::new(),
        models: vec![
            model(1, 1, 10_000),
            model(2, 2, 5000),
            model(3, 2, 3000),
            model(4, 2, 3000),
            model(5, 3, 400),
            model(6, 4, 1234),
        ],
    };
    let least = |per_processor, claims, granted: Option<u16>, quantity| {
        let params = StakeParams {
            per_processor: Amount::new(per_processor),
            ..StakeParams::default()
        };
        let mut device = chain.device(1);
        device.spec.model = ModelId(claims);
        device.spec.quantity = quantity;
        device.class = granted.map(ClassId);
        stake::least(&params, &catalogue, &device).get()
    };
    // Claimed, granted, and the multiplier that holds.
    for (claims, granted, multiplier) in [
        (1, None, 10_000),
        (1, Some(1), 10_000),
        (2, Some(2), 5000),
        (1, Some(2), 3000),
        (77, Some(2), 3000),
        (77, None, 1000),
        (1, Some(9), 1000),
        (5, Some(3), 1000),
    ] {
        let found = least(1000, claims, granted, 1);
        assert_eq!(found, multiplier, "{claims} {granted:?}");
    }
    assert_eq!(least(1000, 2, None, 8), 40_000);
    // Rounded up for one processor, then by their number.
    assert_eq!(least(1, 6, None, 1), 2);
    assert_eq!(least(1, 6, None, 3), 6);
    assert_eq!(least(u64::MAX, 1, None, 1), u64::MAX);
}
