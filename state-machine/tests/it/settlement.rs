//! Settlement: deposits, withdrawals, batches, `LastSettle`, and what extensions may say.

use ed25519_dalek::Signer as _;
use io_settlement::account::LastSettle;
use io_settlement::batch::{Kind, SettleBody, chain_id_hash, message};
use io_settlement::deposit::{DepositRecord, next_hash};
use io_settlement::payout::{Tree, leaf};
use io_state_machine::tables;
use io_types::action::{ClaimSuspense, SignSettlement, Withdraw};
use io_types::consensus::VoteFlag;
use io_types::extension::{InjectedCommit, SolanaPart, VoteExtension, extension_sign_bytes};
use io_types::{
    AccountId, Action, Amount, Asset, BatchNumber, Event, Hash, Signature, SystemAccount,
};

use crate::support::{CHAIN, Chain, IO, account, address, key, settlement_key, validator_key};

const HOUR: u64 = 3_600_000;

pub(crate) fn record(n: u64, account: AccountId, amount: u64) -> DepositRecord {
    DepositRecord {
        n,
        asset: 0,
        amount,
        account: account.0,
        depositor: self::account(&key(5)).0,
        slot: 1000 + n,
    }
}

/// Rolling hashes after the records, from the chain's watermark on.
pub(crate) fn rolling(chain: &Chain, records: &[DepositRecord]) -> Vec<Hash> {
    let mut hash = chain.row(&tables::BRIDGE, &()).unwrap().deposit_hash.0;
    records
        .iter()
        .map(|record| {
            hash = next_hash(&hash, record);
            Hash(hash)
        })
        .collect()
}

/// These validators attest the records.
pub(crate) fn attest(chain: &mut Chain, validators: &[u8], records: &[DepositRecord]) {
    let first = chain.row(&tables::BRIDGE, &()).unwrap().deposit_number + 1;
    let part = SolanaPart {
        first,
        rolling: rolling(chain, records),
        last_settle: None,
    };
    for number in validators {
        let extension = VoteExtension {
            version: 1,
            solana: Some(part.clone()),
            ..VoteExtension::default()
        };
        chain.extensions.insert(*number, extension);
    }
    chain.bridge.deposits = records
        .iter()
        .map(|record| record.to_bytes().to_vec())
        .collect();
}

pub(crate) fn withdraw(asset: Asset, amount: u64, client_id: u64) -> Action {
    Action::Withdraw(Withdraw {
        asset,
        amount: Amount::new(amount),
        client_id,
    })
}

pub(crate) fn freeze(chain: &mut Chain) -> u64 {
    chain.step = HOUR;
    chain.run(2);
    chain.step = 1000;
    chain.row(&tables::BRIDGE, &()).unwrap().newest_batch.0
}

#[test]
fn a_deposit_is_credited_when_more_than_two_thirds_attest_it() {
    let mut chain = Chain::new();
    let records = [
        record(1, account(&key(50)), 7 * IO),
        record(2, account(&key(51)), IO),
    ];
    attest(&mut chain, &[1, 2], &records);
    chain.run(2);
    assert_eq!(
        chain.free_io(&key(50)),
        0,
        "half of the power is not enough"
    );
    attest(&mut chain, &[1, 2, 3], &records);
    chain.run(2);
    assert_eq!(chain.free_io(&key(50)), 7 * IO);
    assert_eq!(chain.free_io(&key(51)), IO);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(bridge.deposit_number, 2);
    // The same records again do nothing.
    chain.run(3);
    assert_eq!(chain.free_io(&key(50)), 7 * IO);
}

#[test]
fn a_proposer_cannot_credit_what_was_not_attested() {
    let mut chain = Chain::new();
    attest(
        &mut chain,
        &[1, 2, 3, 4],
        &[record(1, account(&key(50)), IO)],
    );
    chain.run(1);
    // The record is another than the one whose hash was attested.
    chain.bridge.deposits = vec![record(1, account(&key(50)), 1000 * IO).to_bytes().to_vec()];
    chain.run(1);
    assert_eq!(chain.free_io(&key(50)), 0);
    assert_eq!(chain.row(&tables::BRIDGE, &()).unwrap().deposit_number, 0);
}

#[test]
fn a_deposit_for_no_valid_key_waits_in_suspense_for_its_depositor() {
    let mut chain = Chain::new();
    attest(
        &mut chain,
        &[1, 2, 3],
        &[record(1, AccountId([0; 32]), 3 * IO)],
    );
    chain.run(2);
    assert_eq!(
        chain.money(SystemAccount::Suspense, Asset::Io).balance,
        i128::from(3 * IO)
    );
    let claim = |deposit, to| Action::ClaimSuspense(ClaimSuspense { deposit, to });
    let to = account(&key(50));
    chain.refused(&key(5), claim(2, to), 908);
    chain.refused(&key(6), claim(1, to), 909);
    chain.refused(&key(5), claim(1, AccountId([0; 32])), 104);
    let events = chain.must(&key(5), claim(1, to));
    assert!(events.contains(&Event::SuspenseClaimed {
        number: 1,
        to,
        asset: Asset::Io,
        amount: Amount::new(3 * IO),
    }));
    assert_eq!(chain.free_io(&key(50)), 3 * IO);
    chain.refused(&key(5), claim(1, to), 908);
}

#[test]
fn withdrawals_are_refused_by_rule() {
    let mut chain = Chain::new();
    for (action, code) in [
        (withdraw(Asset::Credit, 1, 1), 902),
        (withdraw(Asset::Io, 0, 1), 202),
    ] {
        let bytes = chain.sign(&key(1), vec![action]);
        assert_eq!(
            chain
                .machine
                .check_tx(&bytes, false)
                .unwrap()
                .unwrap_err()
                .code(),
            code
        );
    }
    chain.refused(&key(1), withdraw(Asset::Io, 999_999, 1), 901);
    chain.refused(&key(1), withdraw(Asset::Io, 2_000_000 * IO, 1), 201);
    chain.must(&key(1), withdraw(Asset::Io, IO, 1));
    chain.refused(&key(1), withdraw(Asset::Io, IO, 1), 204);
    chain.edit(|state| {
        let mut bridge = tables::BRIDGE.get(state, &()).unwrap().unwrap();
        bridge.withdrawals_closed = Some("the test says so".to_owned());
        tables::BRIDGE.put(state, &(), &bridge);
    });
    chain.refused(&key(1), withdraw(Asset::Io, IO, 2), 903);
}

#[test]
fn a_batch_commits_to_payouts_and_collects_signatures() {
    let mut chain = Chain::new();
    chain.must(&key(1), withdraw(Asset::Io, 5 * IO, 1));
    chain.must(&key(2), withdraw(Asset::Io, 3 * IO, 1));
    chain.must(&key(1), withdraw(Asset::Io, 2 * IO, 2));
    assert_eq!(
        chain.money(SystemAccount::Payouts, Asset::Io).balance,
        i128::from(10 * IO)
    );
    let number = freeze(&mut chain);
    let batch = chain.row(&tables::SETTLEMENTS, &BatchNumber(1)).unwrap();
    let body = SettleBody::from_bytes(&batch.body).unwrap();
    let id = chain_id_hash(CHAIN);
    let io = io_settlement::Asset::Io;
    let tree = Tree::new(vec![
        leaf(&id, io, &account(&key(1)).0, 7 * IO),
        leaf(&id, io, &account(&key(2)).0, 3 * IO),
    ]);
    assert_eq!(body.payouts[0].root, tree.root());
    assert_eq!(body.payouts[0].total, 10 * IO);
    assert_eq!(body.number, 1);
    assert!(body.emitted > 0 && number >= 1);
    chain.run(3);
    let batch = chain
        .row(&tables::SETTLEMENTS, &BatchNumber(number))
        .unwrap();
    assert_eq!(
        (
            batch.signatures.len(),
            batch.signed_power,
            batch.total_power
        ),
        (4, 40, 40)
    );
}

#[test]
fn a_signature_by_plain_transaction_is_refused_by_rule() {
    let mut chain = Chain::new();
    chain.signs = false;
    let number = BatchNumber(freeze(&mut chain));
    let hash = chain.row(&tables::SETTLEMENTS, &number).unwrap().hash;
    let sign = |key: &ed25519_dalek::SigningKey, hash: &Hash| {
        Signature(key.sign(&message(Kind::Settle, &hash.0)).to_bytes())
    };
    let member = settlement_key(1);
    let action = |number, member: &ed25519_dalek::SigningKey, signature| {
        Action::SignSettlement(SignSettlement {
            number,
            member: account(member),
            signature,
        })
    };
    let right = sign(&member, &hash);
    let anyone = key(77);
    chain.refused(&anyone, action(BatchNumber(99), &member, right), 904);
    chain.refused(&anyone, action(number, &key(3), sign(&key(3), &hash)), 905);
    chain.refused(
        &anyone,
        action(number, &member, sign(&member, &Hash([1; 32]))),
        906,
    );
    chain.must(&anyone, action(number, &member, right));
    chain.refused(&anyone, action(number, &member, right), 907);
    assert_eq!(
        chain
            .row(&tables::SETTLEMENTS, &number)
            .unwrap()
            .signed_power,
        10
    );
}

/// What Solana says after it settled the newest batch, with that much claimed.
pub(crate) fn settled(
    chain: &Chain,
    claimed: u64,
    change: impl FnOnce(&mut LastSettle),
) -> LastSettle {
    let number = chain.row(&tables::BRIDGE, &()).unwrap().newest_batch;
    let batch = chain.row(&tables::SETTLEMENTS, &number).unwrap();
    let body = SettleBody::from_bytes(&batch.body).unwrap();
    let mut last = LastSettle {
        number: number.0,
        batch_hash: batch.hash.0,
        slot: 9,
        set_epoch: 1,
        ..LastSettle::NONE
    };
    last.counters.payout_total = body.payouts.map(|payout| payout.total);
    last.counters.claimed[0] = claimed;
    last.counters.minted = body.emitted;
    last.counters.burned = body.burned;
    last.counters.staked = body.stake_target;
    let all = batch.balances[0].get() + body.payouts[0].total - claimed;
    last.vaults = [all - body.stake_target, batch.balances[1].get()];
    last.stake_vault = body.stake_target;
    change(&mut last);
    last
}

pub(crate) fn report(chain: &mut Chain, validators: &[u8], last: &LastSettle) {
    let first = chain.row(&tables::BRIDGE, &()).unwrap().deposit_number + 1;
    let part = SolanaPart {
        first,
        rolling: Vec::new(),
        last_settle: Some(Hash(last.hash())),
    };
    for number in validators {
        let extension = VoteExtension {
            version: 1,
            solana: Some(part.clone()),
            ..VoteExtension::default()
        };
        chain.extensions.insert(*number, extension);
    }
    chain.bridge.last_settle = Some(last.to_bytes().to_vec());
    chain.run(2);
}

pub(crate) fn with_a_payout() -> Chain {
    let mut chain = Chain::new();
    chain.must(&key(1), withdraw(Asset::Io, 5 * IO, 1));
    freeze(&mut chain);
    chain.run(2);
    chain
}

#[test]
fn an_attested_settle_moves_claims_outside_and_shows_the_surplus() {
    let mut chain = with_a_payout();
    let last = settled(&chain, 2 * IO, |last| last.vaults[0] += 11);
    report(&mut chain, &[1, 2], &last);
    assert_eq!(chain.row(&tables::BRIDGE, &()).unwrap().last_settle, None);
    report(&mut chain, &[1, 2, 3], &last);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    let row = bridge.last_settle.unwrap();
    assert_eq!(row.surplus, [Some(Amount::new(11)), Some(Amount::ZERO)]);
    assert_eq!(bridge.withdrawals_closed, None);
    assert_eq!(
        chain.money(SystemAccount::Payouts, Asset::Io).balance,
        i128::from(3 * IO)
    );
    assert_eq!(
        chain
            .row(&tables::TOTALS, &Asset::Io)
            .unwrap()
            .claimed
            .get(),
        2 * IO
    );
    assert!(
        chain
            .row(&tables::SETTLEMENTS, &row.number)
            .unwrap()
            .settled
    );
    // Only what is newer is applied.
    report(&mut chain, &[1, 2, 3, 4], &last);
    assert_eq!(
        chain.money(SystemAccount::Payouts, Asset::Io).balance,
        i128::from(3 * IO)
    );
}

#[test]
fn what_solana_cannot_say_closes_withdrawals_and_moves_nothing() {
    type Lie = fn(&mut LastSettle);
    let lies: [Lie; 4] = [
        |last| last.counters.claimed[0] = 6 * IO,
        |last| last.batch_hash = [1; 32],
        |last| last.counters.minted += 1,
        |last| last.number = 77,
    ];
    for lie in lies {
        let mut chain = with_a_payout();
        let last = settled(&chain, 0, lie);
        report(&mut chain, &[1, 2, 3], &last);
        let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
        assert!(bridge.withdrawals_closed.is_some());
        assert_eq!(bridge.last_settle, None);
        assert_eq!(
            chain.money(SystemAccount::Payouts, Asset::Io).balance,
            i128::from(5 * IO)
        );
    }
}

#[test]
fn a_vault_that_lacks_money_violates_the_invariant_and_stops_no_block() {
    let mut chain = with_a_payout();
    let last = settled(&chain, 0, |last| last.vaults[0] -= 1);
    report(&mut chain, &[1, 2, 3], &last);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(
        bridge.last_settle.unwrap().surplus,
        [None, Some(Amount::ZERO)]
    );
    assert!(bridge.withdrawals_closed.is_some());
    chain.run(2);
}

#[test]
fn extensions_of_any_form_delay_nobody_and_credit_nothing() {
    let mut chain = Chain::new();
    assert!(chain.machine.verify_extension(&[]));
    assert!(!chain.machine.verify_extension(&[1, 2, 3]));
    assert!(!chain.machine.verify_extension(&vec![0; 4096]));
    let mut trailing = VoteExtension {
        version: 1,
        ..VoteExtension::default()
    }
    .encode();
    assert!(chain.machine.verify_extension(&trailing));
    trailing.push(0);
    assert!(!chain.machine.verify_extension(&trailing));
    let wrong = VoteExtension {
        version: 2,
        ..VoteExtension::default()
    };
    assert!(!chain.machine.verify_extension(&wrong.encode()));
    // A late vote whose extension nobody verified reaches the proposer: it is left out, the block goes on.
    chain.run(1);
    let block = chain.propose(Vec::new());
    let mut extended = chain.extended(&block.last_commit);
    extended[0].extension = vec![9; 40];
    extended[1].extension = vec![9; 5000];
    extended[2].vote.flag = VoteFlag::Nil;
    let request = io_types::consensus::ProposalRequest {
        block: block.clone(),
        extended,
        bytes_max: 4_000_000,
    };
    let made = chain.machine.prepare(&request, &chain.bridge).unwrap();
    let commit = InjectedCommit::decode(&made[0]).unwrap();
    assert_eq!(commit.votes.len(), 1);
    chain.decide(io_types::consensus::Block {
        transactions: made,
        ..block
    });
}

#[test]
fn what_a_validator_signed_never_makes_a_block_refused() {
    let mut chain = Chain::new();
    chain.run(1);
    let good = chain.propose(Vec::new());
    let commit = InjectedCommit::decode(&good.transactions[0]).unwrap();
    let height = chain.height();
    let signed_by_one = |extension: Vec<u8>, of_height: u64| {
        let mut commit = commit.clone();
        let number = (1..=4).find(|number| address(*number) == commit.votes[0].validator);
        let message = extension_sign_bytes(CHAIN, of_height, commit.round, &extension);
        let signature = validator_key(number.unwrap()).sign(&message);
        commit.votes[0].extension = extension;
        commit.votes[0].signature = Signature(signature.to_bytes());
        let mut block = good.clone();
        block.transactions[0] = commit.encode();
        block
    };
    let extension = commit.votes[0].extension.clone();
    // Well signed and not readable: an empty voice, whose owner cannot stop the chain by it.
    let garbage = signed_by_one(vec![9; 40], height);
    chain.machine.process(&garbage).unwrap();
    // What was signed for another height is forged here.
    chain
        .machine
        .process(&signed_by_one(extension.clone(), height))
        .unwrap();
    chain
        .machine
        .process(&signed_by_one(extension, height - 1))
        .unwrap_err();
    let outcome = chain.decide(garbage);
    assert_eq!(outcome.transactions[0].code, 0);
    chain.run(2);
}

#[test]
fn a_commit_without_room_is_left_out_and_the_block_goes_on() {
    let mut chain = Chain::new();
    chain.run(1);
    let block = chain.propose(Vec::new());
    let extended = chain.extended(&block.last_commit);
    let full = block.transactions[0].len();
    let made = |bytes_max| {
        let request = io_types::consensus::ProposalRequest {
            block: block.clone(),
            extended: extended.clone(),
            bytes_max,
        };
        chain.machine.prepare(&request, &chain.bridge).unwrap()
    };
    assert_eq!(made(full), block.transactions);
    let made = made(full - 1);
    assert_eq!(made, [InjectedCommit::default().encode()]);
    let empty = io_types::consensus::Block {
        transactions: made,
        ..block
    };
    chain.machine.process(&empty).unwrap();
    chain.decide(empty);
    let next = chain.propose(Vec::new());
    let commit = InjectedCommit::decode(&next.transactions[0]).unwrap();
    assert_eq!(commit.votes.len(), 4, "with room they are back");
}

#[test]
fn a_proposal_with_a_forged_commit_is_refused_and_decided_blocks_ignore_it() {
    let mut chain = Chain::new();
    chain.run(1);
    let good = chain.propose(Vec::new());
    let commit = InjectedCommit::decode(&good.transactions[0]).unwrap();
    assert_eq!(commit.votes.len(), 4);
    let forged = |change: &dyn Fn(&mut InjectedCommit)| {
        let mut commit = commit.clone();
        change(&mut commit);
        let mut block = good.clone();
        block.transactions[0] = commit.encode();
        block
    };
    let cases = [
        forged(&|commit| commit.votes[0].signature = Signature([7; 64])),
        forged(&|commit| commit.votes[0].extension.push(1)),
        forged(&|commit| commit.votes.swap(0, 1)),
        forged(&|commit| {
            let twice = commit.votes[0].clone();
            commit.votes.insert(1, twice);
        }),
        forged(&|commit| commit.votes[0].validator = io_types::ValidatorAddress([9; 20])),
        forged(&|commit| commit.round = 3),
    ];
    for block in &cases {
        chain.machine.process(block).unwrap_err();
    }
    let mut missing = good.clone();
    missing.transactions.clear();
    chain.machine.process(&missing).unwrap_err();
    // Votes left out are no fault.
    chain
        .machine
        .process(&forged(&|commit| commit.votes.truncate(1)))
        .unwrap();
    // Blocksync never asks: a decided block with a bad commit is executed without it.
    let outcome = chain.machine.finalize(&cases[0]).unwrap();
    assert_ne!(outcome.transactions[0].code, 0);
    assert!(
        !outcome
            .events
            .iter()
            .any(|event| matches!(event, Event::PriceUpdated { .. }))
    );
}
