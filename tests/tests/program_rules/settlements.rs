//! `settle`.

use io_settlement::account::{Counters, Signatures};
use io_settlement::batch::{Payout, SettleBody, chain_id_hash};
use io_settlement::deposit::Queue;
use io_settlement::{Asset, Error};
use solana_pubkey::Pubkey;
use solana_signer::Signer;

use crate::calls::{Call, Payouts, stage};
use crate::tokens;
use crate::world::{GENESIS_TIME, Plan, World, member_set, time_params};

const HOUR: u64 = 3600;

/// A world with this much IO deposited.
fn funded(amount: u64) -> World {
    let mut world = World::started();
    let (user, source) = world.user(Asset::Io, amount);
    let call = world.deposit(Asset::Io, &user, source, amount, user.pubkey().to_bytes());
    world.done(&[call]);
    world
}

fn counters(world: &World) -> Counters {
    world.state().state.counters
}

/// A batch that a quorum signed and that must be refused by the rule.
fn refused_though_signed(world: &mut World, body: &SettleBody, rule: Error) {
    world.signed_by_all(body);
    let call = world.settle(body);
    world.refused(&call, rule);
}

#[test]
fn every_wrong_account_is_refused() {
    let mut world = funded(5000);
    let body = world.batch();
    world.signed_by_all(&body);
    let call = world.settle(&body);
    world.refused_without_privileges(&call);
    let other = SettleBody { number: 9, ..body };
    world.signed_by_all(&other);
    let of_other = world.signatures_address(1, &other.hash());
    let queue_like = world.program_account(600_000);
    let stranger = world.key().pubkey();
    let (_, io_account) = world.user(Asset::Io, 10);
    let ([io_mint, usdc_mint], [io_vault, usdc_vault]) = (world.mints, world.vaults);
    let (stake_vault, members) = (world.stake_vault, world.members);
    let wrong = [
        ("bridge", members, Error::WrongBridge),
        ("bridge", stranger, Error::WrongBridge),
        ("signatures", of_other, Error::WrongSignatures),
        ("signatures", members, Error::WrongSignatures),
        ("signatures", stranger, Error::WrongSignatures),
        ("queue", queue_like, Error::WrongQueue),
        ("IO mint", usdc_mint, Error::WrongMint),
        ("IO vault", usdc_vault, Error::WrongVault),
        ("IO vault", io_account, Error::WrongVault),
        ("IO vault", stake_vault, Error::WrongVault),
        ("stake vault", io_vault, Error::WrongStakeVault),
        ("stake vault", io_account, Error::WrongStakeVault),
        ("USDC vault", io_vault, Error::WrongVault),
        ("token program", tokens::system(), Error::WrongTokenProgram),
    ];
    for (role, key, rule) in wrong {
        world.refused(&call.with(role, key), rule);
    }
    assert_ne!(io_mint, usdc_mint);
    world.done(&[call]);
}

#[test]
fn signatures_of_another_kind_or_set_do_not_count() {
    let mut world = funded(5000);
    let body = world.batch();
    world.signed_by_all(&body);
    let address = world.signatures_address(1, &body.hash());
    let whole = world.svm.get_account(&address).unwrap();
    let found = Signatures::read(&whole.data).unwrap();
    let call = world.settle(&body);
    for other in [
        Signatures { kind: 2, ..found },
        Signatures {
            set_epoch: 2,
            ..found
        },
    ] {
        let mut account = whole.clone();
        account.data = other.to_bytes().to_vec();
        world.svm.set_account(address, account).unwrap();
        world.refused(&call, Error::WrongSignatures);
    }
    world.svm.set_account(address, whole).unwrap();
    world.done(&[call]);
}

#[test]
fn a_batch_for_another_place_is_refused() {
    let mut world = funded(5000);
    let body = world.batch();
    let others = [
        (
            SettleBody {
                cluster_genesis: [1; 32],
                ..body
            },
            Error::OtherCluster,
        ),
        (
            SettleBody {
                program_id: [1; 32],
                ..body
            },
            Error::OtherProgram,
        ),
        (
            SettleBody {
                chain_id: chain_id_hash("io-test-2"),
                ..body
            },
            Error::OtherChain,
        ),
        (SettleBody { number: 0, ..body }, Error::OldNumber),
    ];
    for (other, rule) in others {
        refused_though_signed(&mut world, &other, rule);
    }
    for set_epoch in [0, 2] {
        let other = SettleBody { set_epoch, ..body };
        world.signed_by_all(&other);
        // Its signatures are filed under the set that gave them.
        let address = world.signatures_address(1, &other.hash());
        let call = world.settle(&other).with("signatures", address);
        world.refused(&call, Error::OtherSetEpoch);
    }
    world.settled(&body);
}

#[test]
fn two_thirds_of_the_power_are_too_little_and_a_unit_more_is_enough() {
    let mut world = World::with(&Plan {
        powers: vec![1, 66, 133],
        ..Plan::default()
    });
    let powers: Vec<u64> = world
        .set
        .members()
        .iter()
        .map(|member| member.power)
        .collect();
    let of = |power: u64| {
        u8::try_from(powers.iter().position(|found| *found == power).unwrap()).unwrap()
    };
    let body = world.batch();
    let settle = world.settle(&body);
    world.refused(&settle, Error::WrongSignatures);
    // 133 of 200 is below two thirds, 134 is above.
    let call = world.post(&body, &[of(133)]);
    world.done(&[call]);
    world.refused(&settle, Error::TooLittlePower);
    let call = world.post(&body, &[of(133)]);
    world.done(&[call]);
    world.refused(&settle, Error::TooLittlePower);
    let call = world.post(&body, &[of(1)]);
    world.done(&[call]);
    world.done(&[settle]);

    let mut world = World::with(&Plan {
        powers: vec![1, 1, 1],
        ..Plan::default()
    });
    let body = world.batch();
    let call = world.post(&body, &[0, 2]);
    world.done(&[call]);
    let settle = world.settle(&body);
    world.refused(&settle, Error::TooLittlePower);
}

#[test]
fn a_changed_batch_has_no_signatures() {
    let mut world = funded(5000);
    let body = world.batch();
    world.signed_by_all(&body);
    let address = world.signatures_address(1, &body.hash());
    let changes: [fn(&mut SettleBody); 8] = [
        |body| body.number += 1,
        |body| body.height += 1,
        |body| body.epoch += 1,
        |body| body.payouts[0].total += 1,
        |body| body.payouts[1].root[31] ^= 1,
        |body| body.emitted += 1,
        |body| body.stake_target += 1,
        |body| body.next_set[0] ^= 1,
    ];
    for change in changes {
        let mut other = body;
        change(&mut other);
        let call = world.settle(&other).with("signatures", address);
        world.refused(&call, Error::WrongSignatures);
    }
    let mut short = world.settle(&body);
    short.data.pop();
    world.refused(&short, Error::Truncated);
    let mut long = world.settle(&body);
    long.data.push(0);
    world.refused(&long, Error::TrailingBytes);
}

#[test]
fn a_batch_settles_once_and_older_ones_never_after() {
    let mut world = funded(50_000);
    let first = SettleBody {
        number: 1,
        ..world.batch()
    };
    let third = SettleBody {
        number: 3,
        stake_target: 300,
        ..world.batch()
    };
    let seventh = SettleBody {
        number: 7,
        stake_target: 700,
        ..world.batch()
    };
    for body in [first, third, seventh] {
        world.signed_by_all(&body);
    }
    // A gap: the first is never settled, the third contains it.
    let call = world.settle(&third);
    world.done(std::slice::from_ref(&call));
    assert_eq!(counters(&world).staked, 300);
    world.refused(&call, Error::OldNumber);
    let call = world.settle(&first);
    world.refused(&call, Error::OldNumber);
    let call = world.settle(&seventh);
    world.done(std::slice::from_ref(&call));
    assert_eq!(counters(&world).staked, 700);
    world.refused(&call, Error::OldNumber);
    assert_eq!(world.state().last.number, 7);
}

#[test]
fn a_batch_that_saw_other_deposits_is_refused() {
    let mut world = funded(5000);
    let (user, source) = world.user(Asset::Io, 10_000);
    for _ in 0..3 {
        let call = world.deposit(Asset::Io, &user, source, 2000, [1; 32]);
        world.done(&[call]);
    }
    let account = world.svm.get_account(&world.queue).unwrap();
    let rolling: Vec<[u8; 32]> = (1..=4)
        .map(|n| Queue::new(&account.data).unwrap().slot(n).unwrap().rolling)
        .collect();
    let body = world.batch();
    let with = |deposit_number, deposit_hash| SettleBody {
        deposit_number,
        deposit_hash,
        ..body
    };
    let false_ones = [
        (with(4, [9; 32]), Error::DepositHash),
        (with(4, rolling[2]), Error::DepositHash),
        (with(3, rolling[3]), Error::DepositHash),
        (with(0, rolling[0]), Error::DepositHash),
        (with(5, rolling[3]), Error::DepositNumber),
        (with(u64::MAX, [0; 32]), Error::DepositNumber),
    ];
    for (other, rule) in false_ones {
        refused_though_signed(&mut world, &other, rule);
    }
    // Nothing credited yet: the pair before any deposit.
    let start = world.state().state.freed_hash;
    let none = with(0, start);
    world.settled(&none);
    let two = SettleBody {
        number: 2,
        ..with(2, rolling[1])
    };
    world.settled(&two);
    // Never a lower number again; the pair last freed still stands.
    let lower = SettleBody {
        number: 3,
        ..with(1, rolling[0])
    };
    refused_though_signed(&mut world, &lower, Error::DepositNumber);
    let falsely_freed = SettleBody {
        number: 3,
        ..with(2, rolling[3])
    };
    refused_though_signed(&mut world, &falsely_freed, Error::DepositHash);
    let same = SettleBody {
        number: 3,
        ..with(2, rolling[1])
    };
    world.settled(&same);
    let all = SettleBody {
        number: 4,
        ..with(4, rolling[3])
    };
    world.settled(&all);
    assert_eq!(
        (
            world.state().state.freed_number,
            world.state().state.freed_hash
        ),
        (4, rolling[3])
    );
}

#[test]
fn nothing_is_minted_beyond_the_schedule_on_solanas_clock() {
    let mut world = World::started();
    let supply = world.io_supply();
    let time = time_params();
    let mut body = world.batch();
    body.emitted = u64::MAX;
    // Not an hour has passed.
    world.set_time(GENESIS_TIME + HOUR - 1);
    world.settled(&body);
    assert_eq!((counters(&world).minted, world.io_supply()), (0, supply));
    // One hour.
    world.set_time(GENESIS_TIME + HOUR);
    body.number = 2;
    world.settled(&body);
    let hour = 333_333_333_333_333 / 744;
    assert_eq!(
        (counters(&world).minted, world.io_supply()),
        (hour, supply + hour)
    );
    assert_eq!(world.balance(world.vaults[0]), hour);
    // Three months and five hours, in one step.
    let later = GENESIS_TIME + (31 + 31 + 30) * 24 * HOUR + 5 * HOUR;
    world.set_time(later);
    body.number = 3;
    world.settled(&body);
    assert_eq!(counters(&world).minted, time.ceiling(later));
    let fourth = 323_285_222_452_289 * 5 / 744;
    assert_eq!(
        time.ceiling(later),
        333_333_333_333_333 + 329_949_733_000_000 + 326_600_478_920_313 + fourth
    );
    // A century: the maximum and no more.
    world.set_time(GENESIS_TIME + 100 * 366 * 24 * HOUR);
    body.number = 4;
    world.settled(&body);
    assert_eq!(counters(&world).minted, 30_000_000_000_000_000);
    body.number = 5;
    world.settled(&body);
    assert_eq!(world.io_supply(), supply + 30_000_000_000_000_000);
}

#[test]
fn a_total_that_falls_mints_and_burns_nothing() {
    let mut world = funded(5_000_000);
    world.set_time(GENESIS_TIME + 10 * HOUR);
    let body = SettleBody {
        emitted: 1000,
        burned: 300,
        ..world.batch()
    };
    world.settled(&body);
    let before = (counters(&world), world.io_supply());
    let lower = SettleBody {
        number: 2,
        emitted: 500,
        burned: 100,
        ..body
    };
    world.settled(&lower);
    assert_eq!((counters(&world), world.io_supply()), before);
    // The chain catches up from where it stood.
    let higher = SettleBody {
        number: 3,
        emitted: 1100,
        burned: 350,
        ..body
    };
    world.settled(&higher);
    assert_eq!(
        (counters(&world).minted, counters(&world).burned),
        (1100, 350)
    );
}

#[test]
fn what_is_minted_again_was_burned_for_credits_before() {
    let mut world = funded(5_000_000);
    world.set_time(GENESIS_TIME + 10 * HOUR);
    let supply = world.io_supply();
    let body = SettleBody {
        reminted: 400,
        credit_burned: 1000,
        ..world.batch()
    };
    world.settled(&body);
    // The burn came after the minting of the same batch.
    assert_eq!(
        (counters(&world).minted, counters(&world).credit_burned),
        (0, 1000)
    );
    let again = SettleBody { number: 2, ..body };
    world.settled(&again);
    assert_eq!(counters(&world).minted, 400);
    let more = SettleBody {
        number: 3,
        reminted: 5000,
        ..body
    };
    world.settled(&more);
    assert_eq!(counters(&world).minted, 1000);
    assert_eq!(world.io_supply(), supply);
}

#[test]
fn stake_moves_by_its_target_both_ways() {
    let mut world = funded(10_000);
    for (number, target) in [(1, 4000), (2, 4000), (3, 9000), (4, 1500), (5, 0)] {
        let body = SettleBody {
            number,
            stake_target: target,
            ..world.batch()
        };
        world.settled(&body);
        assert_eq!(counters(&world).staked, target);
        assert_eq!(
            (
                world.balance(world.stake_vault),
                world.balance(world.vaults[0])
            ),
            (target, 10_000 - target)
        );
        assert_eq!(
            (world.state().last.stake_vault, world.state().last.vaults),
            (target, [10_000 - target, 0])
        );
    }
}

#[test]
fn no_more_stake_comes_out_than_lies_there() {
    let mut world = funded(10_000);
    let body = SettleBody {
        stake_target: 9_000,
        ..world.batch()
    };
    world.settled(&body);
    // SPL Token keeps the amount behind mint and owner.
    let mut vault = world.svm.get_account(&world.stake_vault).unwrap();
    vault.data[64..72].copy_from_slice(&2_500_u64.to_le_bytes());
    world.svm.set_account(world.stake_vault, vault).unwrap();
    let body = SettleBody {
        number: 2,
        stake_target: 0,
        ..world.batch()
    };
    world.settled(&body);
    assert_eq!(counters(&world).staked, 6_500);
    let balances = [world.stake_vault, world.vaults[0]].map(|vault| world.balance(vault));
    assert_eq!(balances, [0, 3_500]);
}

#[test]
fn payouts_come_before_burns_and_stake() {
    let mut world = funded(10_000);
    let user = world.key().pubkey();
    let payouts = Payouts::new(Asset::Io, vec![(user, 7000)]);
    let mut body = world.batch();
    payouts.put(&mut body);
    body.burned = 1000;
    body.credit_burned = 1500;
    body.stake_target = 2000;
    world.settled(&body);
    // 3000 are free: 1000 and 1500 burn, 500 are staked, 1500 of stake stay due.
    let done = counters(&world);
    assert_eq!(
        (done.burned, done.credit_burned, done.staked),
        (1000, 1500, 500)
    );
    assert_eq!(world.balance(world.vaults[0]), 7000);
    // More burns find nothing free; the payout can still be made whole.
    let more = SettleBody {
        number: 2,
        burned: 5000,
        ..body
    };
    world.settled(&more);
    assert_eq!(counters(&world), done);
    world.associated(Asset::Io, user);
    let claim = world.claim(&payouts, 0);
    world.done(&[claim]);
    assert_eq!(world.balance(world.vaults[0]), 0);
    // What stayed due is done once there is something.
    world.fund(Asset::Io, world.vaults[0], 10_000);
    let last = SettleBody { number: 3, ..more };
    world.settled(&last);
    let done = counters(&world);
    assert_eq!((done.burned, done.staked), (5000, 2000));
    assert_eq!(world.balance(world.vaults[0]), 10_000 - 4000 - 1500);
}

#[test]
fn burns_of_credits_leave_what_is_owed() {
    let mut world = funded(10_000);
    let user = world.key().pubkey();
    let payouts = Payouts::new(Asset::Io, vec![(user, 7000)]);
    let mut body = world.batch();
    payouts.put(&mut body);
    body.credit_burned = 5000;
    world.settled(&body);
    assert_eq!(counters(&world).credit_burned, 3000);
    assert_eq!(world.balance(world.vaults[0]), 7000);
}

#[test]
fn a_set_in_an_account_of_somebody_else_takes_nothing_over() {
    let mut world = funded(5000);
    let (body, staged, _next) = rotation(&mut world, 2);
    world.signed_by_all(&body);
    let clean = world.svm.get_account(&staged).unwrap();
    let mut foreign = clean.clone();
    foreign.owner = tokens::system();
    world.svm.set_account(staged, foreign).unwrap();
    let call = world.settle_with_set(&body, staged);
    world.refused(&call, Error::WrongNextSet);
    world.svm.set_account(staged, clean).unwrap();
    world.done(&[call]);
}

#[test]
fn stake_that_comes_out_can_be_burned_in_the_same_batch() {
    let mut world = funded(10_000);
    let body = SettleBody {
        stake_target: 10_000,
        ..world.batch()
    };
    world.settled(&body);
    let body = SettleBody {
        number: 2,
        stake_target: 4000,
        burned: 6000,
        ..body
    };
    world.settled(&body);
    let done = counters(&world);
    assert_eq!((done.staked, done.burned), (4000, 6000));
    assert_eq!(
        (
            world.balance(world.vaults[0]),
            world.balance(world.stake_vault)
        ),
        (0, 4000)
    );
}

/// Puts the set of a rotation into a body and stages it.
fn rotation(
    world: &mut World,
    set_epoch: u64,
) -> (SettleBody, Pubkey, io_settlement::members::MemberSet) {
    let (set, keys) = member_set(set_epoch, &[5, 6, 7], 7);
    let staged = world.staged(&set);
    assert_eq!(keys.len(), 3);
    let body = SettleBody {
        next_set: set.hash(),
        ..world.batch()
    };
    (body, staged, set)
}

#[test]
fn the_named_set_takes_over_and_the_old_one_signs_no_more() {
    let mut world = funded(5000);
    let (body, staged, next) = rotation(&mut world, 2);
    // Without the set the batch settles all the same, and a later one brings it.
    world.settled(&body);
    assert_eq!(world.state().state.set_epoch, 1);
    let body = SettleBody { number: 2, ..body };
    world.signed_by_all(&body);
    let old = SettleBody {
        number: 3,
        ..world.batch()
    };
    world.signed_by_all(&old);
    let call = world.settle_with_set(&body, staged);
    world.done(&[call]);
    let state = world.state();
    assert_eq!(
        (
            state.state.set_epoch,
            state.state.set_hash,
            state.state.set_power
        ),
        (2, next.hash(), 18)
    );
    assert_eq!(state.last.set_epoch, 2);

    // What the old set signed is worth nothing now, and it cannot sign any more.
    let call = world.settle(&old);
    world.refused(&call, Error::OtherSetEpoch);
    let lie = SettleBody {
        set_epoch: 2,
        ..old
    };
    let call = world.post(&lie, &[0]);
    world.refused(&call, Error::WrongMembers);

    let (set, keys) = member_set(2, &[5, 6, 7], 7);
    (world.set, world.keys, world.members) = (set, keys, staged);
    let body = SettleBody {
        number: 4,
        ..world.batch()
    };
    world.settled(&body);
    assert_eq!(world.state().last.number, 4);
}

#[test]
fn a_set_that_the_batch_does_not_name_is_refused() {
    let mut world = funded(5000);
    let (body, staged, _) = rotation(&mut world, 2);
    let (other, _) = member_set(2, &[1, 1], 8);
    let other = world.staged(&other);
    world.signed_by_all(&body);
    let (queue, stranger) = (world.queue, world.key().pubkey());
    for wrong in [other, queue, stranger] {
        let call = world.settle_with_set(&body, wrong);
        world.refused(&call, Error::WrongNextSet);
    }
    // A batch that names none, and one whose set is of another epoch.
    let none = SettleBody {
        number: 2,
        next_set: [0; 32],
        ..body
    };
    world.signed_by_all(&none);
    let call = world.settle_with_set(&none, staged);
    world.refused(&call, Error::WrongNextSet);
    let (late, staged_late, _) = rotation(&mut world, 3);
    let late = SettleBody { number: 3, ..late };
    world.signed_by_all(&late);
    let call = world.settle_with_set(&late, staged_late);
    world.refused(&call, Error::WrongNextSet);
    let call = world.settle_with_set(&body, staged);
    world.done(&[call]);
}

#[test]
fn an_unfinished_set_is_refused() {
    let mut world = funded(5000);
    let (set, _) = member_set(2, &[1; 30], 9);
    let account = world.key();
    let owner = world.program;
    world.create(
        &account,
        io_settlement::members::members_len(30),
        owner,
        &[],
    );
    let pieces = stage(&account, &set);
    world.done(&pieces[..1]);
    let body = SettleBody {
        next_set: set.hash(),
        ..world.batch()
    };
    world.signed_by_all(&body);
    let call: Call = world.settle_with_set(&body, account.pubkey());
    world.refused(&call, Error::WrongNextSet);
    world.done(&pieces[1..]);
    world.done(&[call]);
    assert_eq!(world.state().state.set_power, 30);
}

#[test]
fn totals_of_payouts_are_written_as_the_batch_gives_them() {
    let mut world = funded(5000);
    let mut body = world.batch();
    body.payouts = [
        Payout {
            root: [1; 32],
            total: 11,
        },
        Payout {
            root: [2; 32],
            total: 22,
        },
    ];
    world.settled(&body);
    let state = world.state();
    assert_eq!(state.state.counters.payout_total, [11, 22]);
    assert_eq!(
        (
            state.roots.io[0],
            state.roots.usdc[0],
            state.state.root_next
        ),
        ([1; 32], [2; 32], 1)
    );
    assert_eq!((state.roots.io[1], state.roots.usdc[7]), ([0; 32], [0; 32]));
}
