//! `initialize` and `stage_set`.

use io_settlement::Error;
use io_settlement::account::LastSettle;
use io_settlement::deposit::{CAPACITY_MIN, queue_len};
use io_settlement::emission::{Schedule, TimeParams};
use io_settlement::instruction::{FLAG_IO_FREEZE, FLAG_USDC_FREEZE, Initialize, StageHead};
use io_settlement::members::{Member, MemberSet, POWER_MAX, members_len, set_hash};
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::calls::{stage, stage_piece};
use crate::tokens::{self, Authority};
use crate::world::{Plan, SCHEDULE_START, World, member_set, time_params};

#[test]
fn the_bridge_is_bound_to_what_it_was_given() {
    let world = World::started();
    let bridge = world.state();
    assert_eq!(bridge.config.mints, world.mints.map(|key| key.to_bytes()));
    assert_eq!(bridge.config.vaults, world.vaults.map(|key| key.to_bytes()));
    assert_eq!(bridge.config.stake_vault, world.stake_vault.to_bytes());
    assert_eq!(bridge.config.queue, world.queue.to_bytes());
    assert_eq!(bridge.config.time, time_params());
    let given = World::initialize_data();
    assert_ne!(given.cluster_genesis, [0; 32]);
    assert_eq!(bridge.config.cluster_genesis, given.cluster_genesis);
    assert_ne!(given.deposit_min[0], given.deposit_min[1]);
    assert_eq!(bridge.config.deposit_min, given.deposit_min);
    assert_eq!(
        (
            bridge.state.set_epoch,
            bridge.state.set_hash,
            bridge.state.set_power
        ),
        (1, world.set.hash(), 40)
    );
    assert_eq!(bridge.state.deposit_hash, bridge.state.freed_hash);
    assert_eq!(
        bridge.last,
        LastSettle {
            set_epoch: 1,
            ..LastSettle::NONE
        }
    );
}

#[test]
fn every_wrong_account_is_refused() {
    let mut world = World::prepared(&Plan::default());
    let call = world.initialize();
    world.refused_without_privileges(&call);
    let stranger = world.key();
    world
        .svm
        .airdrop(&stranger.pubkey(), 10_000_000_000)
        .unwrap();
    let (_, io_account) = world.user(io_settlement::Asset::Io, 10);
    let [io_mint, usdc_mint] = world.mints;
    let usdc_vault = world.vaults[1];
    let io_vault = world.vaults[0];
    let other = stranger.pubkey();
    let wrong = [
        ("bridge", other, Error::WrongBridge),
        ("members", other, Error::WrongMembers),
        ("members", world.queue, Error::WrongMembers),
        ("queue", other, Error::WrongQueue),
        ("queue", world.members, Error::QueueTooSmall),
        ("IO mint", other, Error::WrongMint),
        ("IO mint", io_vault, Error::WrongMint),
        ("IO mint", usdc_mint, Error::Decimals),
        ("USDC mint", other, Error::WrongMint),
        ("USDC mint", io_mint, Error::Decimals),
        ("IO vault", other, Error::VaultNotClean),
        ("IO vault", io_account, Error::VaultNotClean),
        ("IO vault", usdc_vault, Error::WrongMint),
        ("USDC vault", io_vault, Error::WrongMint),
        ("stake vault", usdc_vault, Error::WrongMint),
        ("stake vault", io_vault, Error::VaultNotClean),
        ("program", tokens::token(), Error::WrongProgram),
        ("program data", world.program, Error::WrongProgramData),
        ("system program", tokens::token(), Error::WrongSystemProgram),
    ];
    for (role, key, rule) in wrong {
        world.refused(&call.with(role, key), rule);
    }
    let mut by_stranger = call.with("upgrade authority", other);
    by_stranger.signers = vec![stranger];
    world.refused(&by_stranger, Error::NotUpgradeAuthority);
    world.done(&[call]);
}

#[test]
fn a_program_without_upgrade_authority_cannot_be_initialized() {
    let mut world = World::prepared(&Plan::default());
    world.set_upgrade_authority(None);
    let call = world.initialize();
    world.refused(&call, Error::NotUpgradeAuthority);
}

#[test]
fn the_bridge_is_made_once() {
    let mut world = World::started();
    let call = world.initialize();
    world.refused(&call, Error::AlreadyInitialized);
}

#[test]
fn a_freeze_authority_needs_its_flag() {
    for (io_freeze, usdc_freeze, flags) in [
        (true, false, FLAG_IO_FREEZE),
        (false, true, FLAG_USDC_FREEZE),
    ] {
        let mut world = World::prepared(&Plan {
            io_freeze,
            usdc_freeze,
            ..Plan::default()
        });
        let call = world.initialize();
        world.refused(&call, Error::FreezeAuthority);
        let other = (FLAG_IO_FREEZE | FLAG_USDC_FREEZE) ^ flags;
        let call = world.initialize_with(Initialize {
            flags: other,
            ..World::initialize_data()
        });
        world.refused(&call, Error::FreezeAuthority);
        let call = world.initialize_with(Initialize {
            flags,
            ..World::initialize_data()
        });
        world.done(&[call]);
    }
}

#[test]
fn mints_must_be_io_and_usdc_under_the_bridges_authority() {
    let mut world = World::prepared(&Plan {
        io_decimals: 9,
        ..Plan::default()
    });
    let call = world.initialize();
    world.refused(&call, Error::Decimals);

    let mut world = World::prepared(&Plan::default());
    let foreign = world.mint(8, None);
    let call = world.initialize().with("IO mint", foreign);
    world.refused(&call, Error::MintAuthority);
}

#[test]
fn a_mint_that_nobody_initialized_is_refused() {
    let mut world = World::prepared(&Plan::default());
    let call = world.initialize();
    for mint in world.mints {
        let clean = world.svm.get_account(&mint).unwrap();
        let mut touched = clean.clone();
        // SPL Token keeps the flag behind authority, supply and decimals.
        assert_eq!(std::mem::replace(&mut touched.data[45], 0), 1);
        world.svm.set_account(mint, touched).unwrap();
        world.refused(&call, Error::WrongMint);
        world.svm.set_account(mint, clean).unwrap();
    }
    world.done(&[call]);
}

#[test]
fn vaults_that_somebody_else_can_touch_are_refused() {
    let mut world = World::prepared(&Plan::default());
    let owner = world.key();
    let vault = world.token_account(world.mints[0], owner.pubkey());
    // A close authority stays when the owner changes; SPL Token clears a delegate then.
    let steps = [
        tokens::approve(vault, tokens::system(), owner.pubkey(), 5),
        tokens::set_authority(
            vault,
            owner.pubkey(),
            Authority::CloseAccount,
            owner.pubkey(),
        ),
        tokens::set_authority(vault, owner.pubkey(), Authority::AccountOwner, world.bridge),
    ];
    world.send(&steps, &[&owner]).unwrap();
    let call = world.initialize().with("stake vault", vault);
    world.refused(&call, Error::VaultNotClean);

    // Close authority, delegate, state: each alone, written into a clean vault.
    let clean = world.svm.get_account(&world.stake_vault).unwrap();
    for (offset, byte) in [(129, 1), (72, 1), (108, 0), (108, 2)] {
        let mut touched = clean.clone();
        touched.data[offset] = byte;
        world.svm.set_account(world.stake_vault, touched).unwrap();
        let call = world.initialize();
        world.refused(&call, Error::VaultNotClean);
    }
    world.svm.set_account(world.stake_vault, clean).unwrap();
    let call = world.initialize();
    world.done(&[call]);
}

#[test]
fn what_the_genesis_puts_on_chain_must_lie_in_the_vaults() {
    let mut world = World::prepared(&Plan {
        in_vaults: [500, 0],
        ..Plan::default()
    });
    for on_chain in [[501, 0], [500, 1]] {
        let call = world.initialize_with(Initialize {
            on_chain,
            ..World::initialize_data()
        });
        world.refused(&call, Error::VaultShort);
    }
    // Both IO vaults count together.
    world.fund(io_settlement::Asset::Io, world.stake_vault, 20);
    let call = world.initialize_with(Initialize {
        on_chain: [520, 0],
        ..World::initialize_data()
    });
    world.done(&[call]);
}

#[test]
fn times_schedules_and_flags_that_cannot_be_are_refused() {
    let mut world = World::prepared(&Plan::default());
    let time = time_params();
    let bad = [
        (
            TimeParams {
                epoch_seconds: 0,
                ..time
            },
            Error::BadTime,
        ),
        (
            TimeParams {
                chain_start: SCHEDULE_START + 1,
                ..time
            },
            Error::BadTime,
        ),
        (
            TimeParams {
                schedule_start: SCHEDULE_START + 86_400,
                ..time
            },
            Error::BadTime,
        ),
        (
            TimeParams {
                emitted_before: 1,
                ..time
            },
            Error::EmittedBefore,
        ),
        (
            TimeParams {
                chain_start: SCHEDULE_START + 3600,
                ..time
            },
            Error::EmittedBefore,
        ),
        (
            TimeParams {
                schedule: Schedule::Halving {
                    first_month: 1,
                    period_months: 0,
                    max: 1,
                },
                ..time
            },
            Error::BadSchedule,
        ),
    ];
    for (time, rule) in bad {
        let call = world.initialize_with(Initialize {
            time,
            ..World::initialize_data()
        });
        world.refused(&call, rule);
    }
    let call = world.initialize_with(Initialize {
        flags: 4,
        ..World::initialize_data()
    });
    world.refused(&call, Error::UnknownFlag);
    let mut unknown = world.initialize();
    unknown.data[0] = 99;
    world.refused(&unknown, Error::UnknownInstruction);
    unknown.data[0] = 2;
    unknown.data.push(0);
    world.refused(&unknown, Error::TrailingBytes);
}

#[test]
fn a_queue_must_be_large_whole_and_fresh() {
    let mut world = World::prepared(&Plan {
        queue_bytes: queue_len(CAPACITY_MIN).unwrap() - 1,
        ..Plan::default()
    });
    let call = world.initialize();
    world.refused(&call, Error::QueueTooSmall);

    let mut world = World::prepared(&Plan {
        queue_bytes: queue_len(CAPACITY_MIN).unwrap() + 1,
        ..Plan::default()
    });
    let call = world.initialize();
    world.refused(&call, Error::WrongQueue);

    let mut world = World::prepared(&Plan::default());
    let mut used = world.svm.get_account(&world.queue).unwrap();
    used.data[0] = 2;
    world.svm.set_account(world.queue, used).unwrap();
    let call = world.initialize();
    world.refused(&call, Error::NotFresh);
}

/// A fresh members account for a set.
fn members_account(world: &mut World, count: u16) -> Keypair {
    let account = world.key();
    let owner = world.program;
    world.create(&account, members_len(count), owner, &[]);
    account
}

#[test]
fn a_set_is_staged_in_pieces_and_then_sealed() {
    let mut world = World::prepared(&Plan::default());
    let (set, _) = member_set(1, &[1; 50], 3);
    let account = members_account(&mut world, 50);
    let pieces = stage(&account, &set);
    assert_eq!(pieces.len(), 3);
    // The second before the first.
    world.refused(&pieces[1], Error::MembersPiece);
    world.done(&pieces[..1]);
    // The first once more.
    world.refused(&pieces[0], Error::MembersPiece);
    let call = world.initialize().with("members", account.pubkey());
    world.refused(&call, Error::MembersNotSealed);
    world.done(&pieces[1..]);
    world.refused(&pieces[2], Error::MembersSealed);
    world.done(&[call]);
    assert_eq!(world.state().state.set_power, 50);
}

fn head(set_epoch: u64, count: u16, bytes: &[u8]) -> StageHead {
    StageHead {
        set_epoch,
        count,
        hash: set_hash(set_epoch, count, bytes),
        first: 0,
    }
}

fn encoded(members: &[(u8, u64)]) -> Vec<u8> {
    members
        .iter()
        .flat_map(|(key, power)| {
            Member {
                key: [*key; 32],
                power: *power,
            }
            .to_bytes()
        })
        .collect()
}

#[test]
fn sets_that_break_a_rule_are_refused() {
    let mut world = World::prepared(&Plan::default());
    let account = members_account(&mut world, 2);
    let good = encoded(&[(1, 5), (2, 6)]);
    let cases = [
        (encoded(&[(1, 5), (1, 6)]), Error::MemberOrder),
        (encoded(&[(2, 5), (1, 6)]), Error::MemberOrder),
        (encoded(&[(1, 5), (2, 0)]), Error::ZeroPower),
        (encoded(&[(1, POWER_MAX), (2, 1)]), Error::PowerOverflow),
        (encoded(&[(1, 5), (2, 6), (3, 7)]), Error::MembersPiece),
        (good[..79].to_vec(), Error::Truncated),
    ];
    for (bytes, rule) in cases {
        world.refused(&stage_piece(&account, head(1, 2, &bytes), &bytes), rule);
    }
    world.refused(
        &stage_piece(&account, head(0, 2, &good), &good),
        Error::MemberCount,
    );
    world.refused(
        &stage_piece(&account, head(1, 0, &[]), &[]),
        Error::MemberCount,
    );
    world.refused(
        &stage_piece(&account, head(1, 129, &good), &good),
        Error::MemberCount,
    );
    world.refused(
        &stage_piece(&account, head(1, 3, &good), &good),
        Error::WrongMembers,
    );
    let other = StageHead {
        hash: [9; 32],
        ..head(1, 2, &good)
    };
    world.refused(&stage_piece(&account, other, &good), Error::MembersHash);

    let call = stage_piece(&account, head(1, 2, &good), &good);
    world.refused_without_privileges(&call);
    let foreign = world.key();
    world.create(&foreign, members_len(2), tokens::token(), &[]);
    world.refused(
        &stage_piece(&foreign, head(1, 2, &good), &good),
        Error::WrongMembers,
    );
    world.done(&[call]);
}

#[test]
fn keys_ascend_across_pieces() {
    let mut world = World::prepared(&Plan::default());
    let account = members_account(&mut world, 2);
    let bytes = encoded(&[(5, 1), (4, 1)]);
    let whole = head(1, 2, &bytes);
    world.done(&[stage_piece(&account, whole, &bytes[..40])]);
    world.refused(
        &stage_piece(&account, StageHead { first: 1, ..whole }, &bytes[40..]),
        Error::MemberOrder,
    );
    // Another set cannot go on where this one began.
    let better = encoded(&[(5, 1), (6, 1)]);
    let other = StageHead {
        first: 1,
        ..head(1, 2, &better)
    };
    world.refused(
        &stage_piece(&account, other, &better[40..]),
        Error::MembersPiece,
    );
}

#[test]
fn a_set_of_the_most_members_works() {
    let powers: Vec<u64> = (1..=128).collect();
    let world = World::with(&Plan {
        powers,
        ..Plan::default()
    });
    assert_eq!(world.state().state.set_power, 128 * 129 / 2);
    assert_eq!(MemberSet::count(&world.set), 128);
}
