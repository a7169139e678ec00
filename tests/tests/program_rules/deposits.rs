//! `deposit`.

use io_settlement::deposit::{CAPACITY_MIN, QUEUE_FEE, Queue};
use io_settlement::{Asset, Error};
use solana_signer::Signer;

use crate::tokens;
use crate::world::{Plan, World};

#[test]
fn every_wrong_account_is_refused() {
    let mut world = World::started();
    let (user, source) = world.user(Asset::Io, 10_000);
    let call = world.deposit(Asset::Io, &user, source, 5000, [1; 32]);
    world.refused_without_privileges(&call);
    let (_, usdc) = world.user(Asset::Usdc, 10_000);
    let (_, of_another) = world.user(Asset::Io, 10_000);
    let (usdc_vault, stake_vault, members) = (world.vaults[1], world.stake_vault, world.members);
    let queue_like = world.program_account(1000);
    let wrong = [
        ("vault", usdc_vault, Error::WrongVault),
        ("vault", stake_vault, Error::WrongVault),
        ("vault", source, Error::WrongVault),
        ("bridge", members, Error::WrongBridge),
        ("bridge", queue_like, Error::WrongBridge),
        ("bridge", user.pubkey(), Error::WrongBridge),
        ("queue", queue_like, Error::WrongQueue),
        ("token program", tokens::system(), Error::WrongTokenProgram),
        ("system program", tokens::token(), Error::WrongSystemProgram),
    ];
    for (role, key, rule) in wrong {
        world.refused(&call.with(role, key), rule);
    }
    // SPL Token's own refusals: another mint, another owner, the vault itself.
    world.fails(&call.with("source", usdc), "InstructionError(0, Custom(3))");
    world.fails(
        &call.with("source", of_another),
        "InstructionError(0, Custom(4))",
    );
    let vault = world.vaults[0];
    world.fund(Asset::Io, vault, 10_000);
    world.fails(
        &call.with("source", vault),
        "InstructionError(0, Custom(4))",
    );
    world.done(&[call]);
}

#[test]
fn an_account_that_only_looks_like_a_bridge_is_refused() {
    let mut world = World::started();
    let (user, source) = world.user(Asset::Io, 10_000);
    // The right bytes, but of another owner.
    let fake = world.key().pubkey();
    let mut account = world.svm.get_account(&world.bridge).unwrap();
    account.owner = tokens::system();
    world.svm.set_account(fake, account).unwrap();
    let call = world
        .deposit(Asset::Io, &user, source, 5000, [1; 32])
        .with("bridge", fake);
    world.refused(&call, Error::WrongBridge);
}

#[test]
fn amounts_below_the_minimum_or_above_the_balance_are_refused() {
    let mut world = World::started();
    let (user, source) = world.user(Asset::Io, 10_000);
    for amount in [0, 999] {
        let call = world.deposit(Asset::Io, &user, source, amount, [1; 32]);
        world.refused(&call, Error::DepositBelowMinimum);
    }
    let call = world.deposit(Asset::Io, &user, source, 10_001, [1; 32]);
    world.fails(&call, "InstructionError(0, Custom(1))");
    let call = world.deposit(Asset::Io, &user, source, u64::MAX, [1; 32]);
    world.fails(&call, "InstructionError(0, Custom(1))");
    let mut other = world.deposit(Asset::Io, &user, source, 1000, [1; 32]);
    other.data[1] = 2;
    world.refused(&other, Error::UnknownAsset);
    other.data.truncate(20);
    other.data[1] = 0;
    world.refused(&other, Error::Truncated);
    let call = world.deposit(Asset::Io, &user, source, 1000, [1; 32]);
    world.done(&[call]);
}

#[test]
fn what_arrived_is_credited_and_not_what_lay_there() {
    let mut world = World::started();
    let (user, source) = world.user(Asset::Io, 10_000);
    world.fund(Asset::Io, world.vaults[0], 777);
    let call = world.deposit(Asset::Io, &user, source, 5000, [1; 32]);
    world.done(&[call]);
    assert_eq!(world.balance(world.vaults[0]), 5777);
    assert_eq!(world.state().state.counters.deposited, [5000, 0]);
    let account = world.svm.get_account(&world.queue).unwrap();
    assert_eq!(
        Queue::new(&account.data)
            .unwrap()
            .slot(1)
            .unwrap()
            .record
            .amount,
        5000
    );
}

#[test]
fn a_full_queue_refuses_and_a_settlement_frees_it() {
    let mut world = World::started();
    let (user, source) = world.user(Asset::Io, 1000 * (CAPACITY_MIN + 10));
    let call = world.deposit(Asset::Io, &user, source, 1000, [1; 32]);
    let half = CAPACITY_MIN / 2;
    for _ in 0..half {
        world.done(std::slice::from_ref(&call));
    }
    // Half full: the fee begins, and doubles with each sixteenth.
    let before = world.svm.get_balance(&world.bridge).unwrap();
    world.done(std::slice::from_ref(&call));
    assert_eq!(
        world.svm.get_balance(&world.bridge).unwrap() - before,
        QUEUE_FEE
    );
    for _ in 1..half {
        world.done(std::slice::from_ref(&call));
    }
    let fees = (0..8).map(|step| QUEUE_FEE << step).sum::<u64>() * (CAPACITY_MIN / 16);
    assert_eq!(world.svm.get_balance(&world.bridge).unwrap() - before, fees);
    assert_eq!(world.state().state.deposit_number, CAPACITY_MIN);
    world.refused(&call, Error::QueueFull);

    // A batch that credits three makes room for three.
    let account = world.svm.get_account(&world.queue).unwrap();
    let third = Queue::new(&account.data).unwrap().slot(3).unwrap();
    let mut body = world.batch();
    (body.deposit_number, body.deposit_hash) = (3, third.rolling);
    world.settled(&body);
    for _ in 0..3 {
        world.done(std::slice::from_ref(&call));
    }
    world.refused(&call, Error::QueueFull);
    let account = world.svm.get_account(&world.queue).unwrap();
    let queue = Queue::new(&account.data).unwrap();
    assert_eq!(queue.slot(3), None);
    assert_eq!(
        queue.slot(CAPACITY_MIN + 3).map(|slot| slot.record.n),
        Some(CAPACITY_MIN + 3)
    );

    let body = world.batch();
    world.settled(&body);
    let before = world.svm.get_balance(&world.bridge).unwrap();
    world.done(&[call]);
    assert_eq!(
        world.svm.get_balance(&world.bridge).unwrap(),
        before,
        "an empty queue costs no fee"
    );
}

#[test]
fn a_depositor_without_sol_cannot_pay_the_fee_of_a_filling_queue() {
    let mut world = World::started();
    // The bridge says that the queue is seven eighths full.
    let mut account = world.svm.get_account(&world.bridge).unwrap();
    let mut bridge = world.state();
    bridge.state.deposit_number = CAPACITY_MIN * 7 / 8;
    account.data = bridge.to_bytes().to_vec();
    world.svm.set_account(world.bridge, account).unwrap();
    let (rich, _) = world.user(Asset::Io, 0);
    let poor = world.key();
    let source = world.token_account(world.mints[0], poor.pubkey());
    world.fund(Asset::Io, source, 5000);
    let call = world.deposit(Asset::Io, &poor, source, 5000, rich.pubkey().to_bytes());
    // The system program's refusal: not enough lamports.
    world.fails(&call, "InstructionError(0, Custom(1))");
}

#[test]
fn a_minimum_of_zero_takes_no_empty_deposit() {
    let mut world = World::prepared(&Plan::default());
    let mut data = World::initialize_data();
    data.deposit_min = [0, 0];
    let call = world.initialize_with(data);
    world.done(&[call]);
    let (user, source) = world.user(Asset::Io, 10_000);
    let none = world.deposit(Asset::Io, &user, source, 0, [1; 32]);
    world.refused(&none, Error::DepositBelowMinimum);
    let one = world.deposit(Asset::Io, &user, source, 1, [1; 32]);
    world.done(&[one]);
    assert_eq!(world.state().state.deposit_number, 1);
}
