//! Stake: minimum, cooldown, what is above the minimum.

use io_state_machine::tables;
use io_types::action::{
    AddStake, RegisterDevice, RetireDevice, UnstakeDevice, WithdrawStake, consent,
};
use io_types::{Action, Amount, DeviceId};

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
    assert_eq!(
        chain
            .machine
            .check_tx(&zero, false)
            .unwrap()
            .unwrap_err()
            .code(),
        202
    );
    chain.must(
        &key(1),
        Action::RetireDevice(RetireDevice { device: DEVICE }),
    );
    chain.refused(&key(1), add(1), 406);
}
