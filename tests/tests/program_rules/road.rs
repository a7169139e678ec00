//! The whole road, and what it costs.

use std::fs;
use std::path::Path;

use io_settlement::account::{Bridge, Claim, LastSettle, Signatures};
use io_settlement::deposit::{Queue, first_hash, next_hash};
use io_settlement::{Asset, sha256};
use solana_pubkey::Pubkey;

use crate::calls::{Payouts, close_signatures};
use crate::world::{CLUSTER, GENESIS_TIME, PROGRAM, Plan, World, keypair};
use solana_signer::Signer;

const ELF_BYTES_MAX: usize = 60_000;
const SETTLE_UNITS_MAX: u64 = 60_000;
const CLAIM_UNITS_MAX: u64 = 25_000;

#[test]
fn a_deposit_is_settled_and_claimed() {
    let mut world = World::started();
    let (user, source) = world.user(Asset::Io, 5_000_000);
    let account = user.pubkey();
    let deposit = world.deposit(Asset::Io, &user, source, 2_000_000, account.to_bytes());
    world.done(&[deposit]);
    assert_eq!(world.balance(world.vaults[0]), 2_000_000);

    let payouts = Payouts::new(Asset::Io, vec![(account, 700_000)]);
    let mut body = world.batch();
    payouts.put(&mut body);
    body.stake_target = 300_000;
    world.settled(&body);
    let state = world.state();
    assert_eq!(
        state.last,
        LastSettle {
            number: 1,
            batch_hash: body.hash(),
            slot: state.last.slot,
            deposit_number: 1,
            counters: state.state.counters,
            vaults: [1_700_000, 0],
            stake_vault: 300_000,
            set_epoch: 1,
            relayer: [0x77; 32],
        }
    );
    assert_eq!(state.state.counters.deposited, [2_000_000, 0]);
    assert_eq!(state.state.counters.payout_total, [700_000, 0]);
    assert_eq!(
        (state.state.freed_number, state.state.freed_hash),
        (1, state.state.deposit_hash)
    );

    let destination = world.associated(Asset::Io, account);
    let claim = world.claim(&payouts, 0);
    world.done(&[claim]);
    assert_eq!(world.balance(destination), 700_000);
    assert_eq!(world.balance(world.vaults[0]), 1_000_000);
    assert_eq!(world.state().state.counters.claimed, [700_000, 0]);
    let claimed = world
        .svm
        .get_account(&world.claim_address(Asset::Io, account))
        .unwrap();
    assert_eq!(Claim::read(&claimed.data).unwrap().paid, 700_000);
}

#[test]
fn the_queue_holds_what_the_chain_reads() {
    let mut world = World::started();
    let (user, io) = world.user(Asset::Io, 10_000);
    let (_, usdc) = (0, world.token_account(world.mints[1], user.pubkey()));
    world.fund(Asset::Usdc, usdc, 10_000);
    let first = world.deposit(Asset::Io, &user, io, 1500, [7; 32]);
    let second = world.deposit(Asset::Usdc, &user, usdc, 2500, [8; 32]);
    world.done(&[first, second]);

    let account = world.svm.get_account(&world.queue).unwrap();
    let queue = Queue::new(&account.data).unwrap();
    assert_eq!(queue.header().bridge, world.bridge.to_bytes());
    let (one, two) = (queue.slot(1).unwrap(), queue.slot(2).unwrap());
    assert_eq!(
        (one.record.asset, one.record.amount, one.record.account),
        (0, 1500, [7; 32])
    );
    assert_eq!(
        (two.record.asset, two.record.amount, two.record.account),
        (1, 2500, [8; 32])
    );
    assert_eq!(two.record.depositor, user.pubkey().to_bytes());
    let state = world.state();
    let mints = world.mints.map(|mint| mint.to_bytes());
    let start = first_hash(
        &CLUSTER,
        &world.program.to_bytes(),
        &state.config.chain_id,
        &mints,
    );
    assert_eq!(one.rolling, next_hash(&start, &one.record));
    assert_eq!(two.rolling, next_hash(&one.rolling, &two.record));
    assert_eq!(
        (state.state.deposit_number, state.state.deposit_hash),
        (2, two.rolling)
    );
}

#[test]
fn the_program_is_small() {
    println!(
        "program: {} bytes of at most {ELF_BYTES_MAX}",
        PROGRAM.len()
    );
    assert!(PROGRAM.len() < ELF_BYTES_MAX);
}

/// Every file in a folder of the repository, with `/` between names.
fn files(root: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap());
    let found = entries.flat_map(|entry| {
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files(root, &path)
        } else {
            vec![path]
        }
    });
    found.collect()
}

#[test]
fn the_binary_is_the_one_that_the_sources_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = [
        files(&root, "bridge/program/src"),
        files(&root, "bridge/settlement/src"),
    ]
    .concat();
    let manifests = [
        "bridge/program/Cargo.toml",
        "bridge/program/Cargo.lock",
        "bridge/settlement/Cargo.toml",
    ];
    sources.extend(manifests.map(String::from));
    sources.sort_unstable();
    let mut list = String::new();
    for path in &sources {
        let digest = sha256(&[&fs::read(root.join(path)).unwrap()]);
        list = format!("{list}{}  {path}\n", hex::encode(digest));
    }
    let (binary, sources) = (
        hex::encode(sha256(&[PROGRAM])),
        hex::encode(sha256(&[list.as_bytes()])),
    );
    let written = include_str!("../../../bridge/program/settlement.so.sha256");
    let found = format!("{binary}  settlement.so\n{sources}  sources\n");
    assert_eq!(
        written, found,
        "run bridge/program/build and commit what it writes"
    );
}

#[test]
fn a_settlement_with_128_members_and_every_move_is_cheap() {
    let mut world = World::with(&Plan {
        powers: (1..=128).collect(),
        ..Plan::default()
    });
    let (user, source) = world.user(Asset::Io, 5_000_000);
    let deposits: Vec<_> = (0..3)
        .map(|_| world.deposit(Asset::Io, &user, source, 1_000_000, [1; 32]))
        .collect();
    world.done(&deposits);
    world.set_time(GENESIS_TIME + 30 * 3600);
    let mut body = world.batch();
    body.emitted = 1_000_000;
    body.stake_target = 400_000;
    let first = world.settled(&body);

    let mut body = world.batch();
    body.emitted = 2_000_000;
    body.burned = 100_000;
    body.credit_burned = 50_000;
    body.stake_target = 100_000;
    Payouts::new(Asset::Io, vec![(user.pubkey(), 10_000)]).put(&mut body);
    let second = world.settled(&body);
    println!(
        "settle: {first} (mint, stake in) and {second} (mint, stake out, burn) of at most {SETTLE_UNITS_MAX} compute units"
    );
    assert!(first.max(second) <= SETTLE_UNITS_MAX);
    let counters = world.state().state.counters;
    assert_eq!(
        (
            counters.minted,
            counters.burned,
            counters.credit_burned,
            counters.staked
        ),
        (2_000_000, 100_000, 50_000, 100_000)
    );
}

#[test]
fn a_claim_among_a_million_accounts_is_cheap() {
    let mut world = World::started();
    let mut leaves: Vec<_> = (0..1_000_000_u64)
        .map(|number| (address(number), 5))
        .collect();
    let accounts: Vec<Pubkey> = (0..20)
        .map(|number| keypair(1000 + number).pubkey())
        .collect();
    for (place, account) in accounts.iter().enumerate() {
        leaves[place * 50_001] = (*account, 5);
    }
    let payouts = Payouts::new(Asset::Usdc, leaves);
    assert_eq!(payouts.tree.proof(0).unwrap().len(), 20);
    world.fund(Asset::Usdc, world.vaults[1], 1_000_000);
    let mut body = world.batch();
    payouts.put(&mut body);
    world.settled(&body);
    let mut dearest = 0;
    for (place, account) in accounts.iter().enumerate() {
        world.associated(Asset::Usdc, *account);
        let claim = world.claim(&payouts, place * 50_001);
        dearest = dearest.max(world.done(&[claim]));
    }
    println!(
        "claim: {dearest} of at most {CLAIM_UNITS_MAX} compute units, the dearest of {} first claims",
        accounts.len()
    );
    assert!(dearest <= CLAIM_UNITS_MAX);
}

fn address(number: u64) -> Pubkey {
    Pubkey::from(sha256(&[b"account", &number.to_le_bytes()]))
}

#[test]
fn the_other_instructions_are_measured() {
    let mut world = World::prepared(&Plan::default());
    let call = world.initialize();
    let initialize = world.done(&[call]);
    let (user, source) = world.user(Asset::Io, 5_000_000);
    let call = world.deposit(Asset::Io, &user, source, 1_000_000, [1; 32]);
    let deposit = world.done(&[call]);
    let body = world.batch();
    let call = world.post(&body, &[0, 1, 2]);
    let post = world.done(&[call]);
    let call = world.settle(&body);
    world.done(&[call]);
    let signatures = world.signatures_address(1, &body.hash());
    let payer = world.authority.insecure_clone();
    let call = close_signatures(signatures, &payer);
    let close = world.done(&[call]);
    println!(
        "initialize {initialize}, deposit {deposit}, first 3 signatures {post}, close {close} compute units"
    );
    assert!(initialize.max(deposit).max(post).max(close) <= SETTLE_UNITS_MAX);
    assert!(
        world
            .svm
            .get_account(&signatures)
            .is_none_or(|account| account.data.len() != Signatures::LEN)
    );
}

#[test]
fn lamports_sent_ahead_block_no_account() {
    let mut world = World::prepared(&Plan::default());
    let (user, source) = world.user(Asset::Io, 5_000_000);
    let claim = world.claim_address(Asset::Io, user.pubkey());
    for address in [world.bridge, claim] {
        world.svm.airdrop(&address, 1_000_000).unwrap();
    }
    let call = world.initialize();
    world.done(&[call]);
    let call = world.deposit(Asset::Io, &user, source, 1_000_000, [1; 32]);
    world.done(&[call]);
    let payouts = Payouts::new(Asset::Io, vec![(user.pubkey(), 10)]);
    let mut body = world.batch();
    payouts.put(&mut body);
    let signatures = world.signatures_address(1, &body.hash());
    world.svm.airdrop(&signatures, 1_000_000).unwrap();
    world.settled(&body);
    let destination = world.associated(Asset::Io, user.pubkey());
    let call = world.claim(&payouts, 0);
    world.done(&[call]);
    assert_eq!(world.balance(destination), 10);
    // What was sent ahead counts: each account ends with its rent and no more.
    for (address, length) in [
        (world.bridge, Bridge::LEN),
        (claim, Claim::LEN),
        (signatures, Signatures::LEN),
    ] {
        let rent = world.svm.minimum_balance_for_rent_exemption(length);
        assert_eq!(world.svm.get_balance(&address), Some(rent));
    }
}
