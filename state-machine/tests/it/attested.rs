//! Settlement in numbers: what proposers supply, how many deposits a block credits, what a batch says, what a surplus is made of.

use ed25519_dalek::Signer as _;
use io_settlement::account::LastSettle;
use io_settlement::batch::{Kind, SettleBody, message};
use io_state_machine::{ledger, settlement, tables};
use io_types::action::SignSettlement;
use io_types::extension::{InjectedCommit, SolanaPart, VoteExtension};
use io_types::{Action, Amount, Asset, BatchNumber, Event, Hash, Signature, SystemAccount};

use crate::settlement::{
    attest, freeze, record, report, rolling, settled, with_a_payout, withdraw,
};
use crate::support::{Chain, IO, account, address, beacon_link, key, settlement_key};

/// What the next proposer would put before the transactions.
fn supplied(chain: &Chain) -> InjectedCommit {
    InjectedCommit::decode(&chain.propose(Vec::new()).transactions[0]).unwrap()
}

fn balance(chain: &Chain, system: SystemAccount, asset: Asset) -> i128 {
    chain.money(system, asset).balance
}

#[test]
fn a_proposer_supplies_the_records_that_follow_and_no_more_than_fit() {
    let mut chain = Chain::new();
    let bytes = |n| record(n, account(&key(50)), IO).to_bytes().to_vec();
    // Some that were credited before or are no records, then twenty in order with one twice.
    chain.bridge.deposits = vec![bytes(0), vec![1, 2, 3]];
    chain
        .bridge
        .deposits
        .extend((1..=20).flat_map(|n| [bytes(n), bytes(n)]));
    let expected: Vec<Vec<u8>> = (1..=16).map(bytes).collect();
    assert_eq!(supplied(&chain).deposits, expected);
    chain.bridge.deposits = vec![bytes(2), bytes(3)];
    assert_eq!(supplied(&chain).deposits, Vec::<Vec<u8>>::new());
    // After the first two were credited, the third is next.
    let two = [1, 2].map(|n| record(n, account(&key(50)), IO));
    attest(&mut chain, &[1, 2, 3], &two);
    chain.run(2);
    chain.bridge.deposits = (1..=4).map(bytes).collect();
    assert_eq!(supplied(&chain).deposits, vec![bytes(3), bytes(4)]);
}

#[test]
fn a_proposer_supplies_only_a_newer_last_settle() {
    let mut chain = with_a_payout();
    let last = settled(&chain, IO, |_last| {});
    chain.bridge.last_settle = Some(vec![1, 2, 3]);
    assert_eq!(supplied(&chain).last_settle, None);
    let none = LastSettle::NONE.to_bytes().to_vec();
    chain.bridge.last_settle = Some(none);
    assert_eq!(supplied(&chain).last_settle, None);
    chain.bridge.last_settle = Some(last.to_bytes().to_vec());
    assert_eq!(supplied(&chain).last_settle, chain.bridge.last_settle);
    report(&mut chain, &[1, 2, 3], &last);
    assert_eq!(supplied(&chain).last_settle, None, "it is known now");
}

#[test]
fn a_block_credits_no_more_deposits_than_the_parameter_says() {
    let mut chain = Chain::with(|genesis| genesis.params.settlement.deposits_per_block_max = 2);
    let three: Vec<_> = (1..=3)
        .map(|n| record(n, account(&key(50)), n * IO))
        .collect();
    attest(&mut chain, &[1, 2, 3], &three);
    let hashes = rolling(&chain, &three);
    chain.run(2);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!((bridge.deposit_number, bridge.deposit_hash), (2, hashes[1]));
    assert_eq!(chain.free_io(&key(50)), 3 * IO);
    attest(&mut chain, &[1, 2, 3], &three[2..]);
    chain.run(2);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!((bridge.deposit_number, bridge.deposit_hash), (3, hashes[2]));
    assert_eq!(chain.free_io(&key(50)), 6 * IO);
}

#[test]
fn deposits_are_credited_in_order_in_their_asset_and_said() {
    let mut chain = Chain::new();
    let mut records = [
        record(1, account(&key(50)), 7),
        record(2, account(&key(51)), 9),
    ];
    records[1].asset = 1;
    attest(&mut chain, &[1, 2, 3], &records);
    chain.run(2);
    let deposited = |number, who: u8, asset, amount| Event::Deposited {
        number,
        holder: account(&key(who)).into(),
        asset,
        amount: Amount::new(amount),
    };
    let events = chain.last.clone().unwrap().events;
    assert!(events.contains(&deposited(1, 50, Asset::Io, 7)));
    assert!(events.contains(&deposited(2, 51, Asset::Usdc, 9)));
    assert_eq!(chain.money(account(&key(51)), Asset::Usdc).balance, 9);
    assert_eq!(chain.money(account(&key(51)), Asset::Io).balance, 0);
    for (asset, sum) in [(Asset::Io, 7), (Asset::Usdc, 9)] {
        let totals = chain.row(&tables::TOTALS, &asset).unwrap();
        assert_eq!(totals.deposited, Amount::new(sum));
    }
}

#[test]
fn a_gap_in_the_numbers_or_another_beginning_credits_nothing() {
    let mut chain = Chain::new();
    // The second record alone, attested as if it were the first.
    attest(
        &mut chain,
        &[1, 2, 3, 4],
        &[record(2, account(&key(50)), IO)],
    );
    chain.run(2);
    assert_eq!(chain.free_io(&key(50)), 0);
    // The right hash at another number.
    attest(
        &mut chain,
        &[1, 2, 3, 4],
        &[record(1, account(&key(50)), IO)],
    );
    for extension in chain.extensions.values_mut() {
        extension.solana.as_mut().unwrap().first = 2;
    }
    chain.run(2);
    assert_eq!(chain.free_io(&key(50)), 0);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(bridge.deposit_number, 0);
}

#[test]
fn each_asset_has_its_own_minimum_and_its_own_row_of_payouts() {
    let mut chain = Chain::new();
    chain.refused(&key(1), withdraw(Asset::Usdc, 9_999, 1), 901);
    let events = chain.must(&key(1), withdraw(Asset::Usdc, 10_000, 1));
    assert!(events.contains(&Event::Withdrawn {
        account: account(&key(1)),
        asset: Asset::Usdc,
        amount: Amount::new(10_000),
    }));
    chain.must(&key(2), withdraw(Asset::Usdc, 20_000, 1));
    chain.must(&key(2), withdraw(Asset::Io, 1_000_000, 2));
    chain.must(&key(1), withdraw(Asset::Usdc, 30_000, 2));
    let row = |asset, who: u8| {
        let row = chain.row(&tables::PAYOUTS, &(asset, account(&key(who))));
        let row = row.unwrap();
        (row.index, row.frozen.get(), row.pending.get())
    };
    assert_eq!(row(Asset::Usdc, 1), (0, 0, 40_000));
    assert_eq!(row(Asset::Usdc, 2), (1, 0, 20_000));
    assert_eq!(row(Asset::Io, 2), (0, 0, 1_000_000));
    assert_eq!(balance(&chain, SystemAccount::Payouts, Asset::Usdc), 60_000);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(bridge.payout_rows, [1, 2]);
}

/// Σ accounts of an asset, without what is outside and on its way there, counted one by one.
fn on_chain(chain: &Chain, asset: Asset) -> u64 {
    let mut sum = 0_i128;
    let view = chain.machine.store().snapshot();
    let apart = [SystemAccount::Outside, SystemAccount::Payouts].map(io_types::Holder::System);
    tables::ACCOUNTS
        .visit(&view, None, &mut |(holder, found), row| {
            if found == asset && !apart.contains(&holder) {
                sum += row.balance;
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    u64::try_from(sum).unwrap()
}

#[test]
fn a_batch_says_what_the_ledger_says() {
    let mut chain = Chain::new();
    attest(&mut chain, &[1, 2, 3], &[record(1, account(&key(50)), 11)]);
    chain.run(2);
    // In an order that is not that of the accounts' bytes.
    let mut order: Vec<u8> = (1..=4).collect();
    order.sort_by_key(|number| std::cmp::Reverse(account(&key(*number))));
    for number in &order {
        let amount = 1_000_000 * u64::from(*number);
        chain.must(&key(*number), withdraw(Asset::Io, amount, 1));
    }
    chain.must(&key(7), withdraw(Asset::Usdc, 12_345, 1));
    chain.edit(|state| {
        ledger::burn(state, account(&key(3)), Asset::Io, Amount::new(5)).unwrap();
        ledger::burn(state, account(&key(3)), Asset::Usdc, Amount::new(6)).unwrap();
    });
    chain.step = 3_600_000;
    let frozen = loop {
        let outcome = chain.block(Vec::new());
        if let Some(file) = outcome.frozen {
            break file;
        }
    };
    let events = chain.last.clone().unwrap().events;
    let leaves = |asset: usize| -> Vec<_> {
        let rows = frozen.assets[asset].iter();
        rows.map(|row| (row.index, row.account, row.cumulative.get()))
            .collect()
    };
    let expected: Vec<_> = (0_u64..)
        .zip(&order)
        .map(|(index, number)| {
            (
                index,
                account(&key(*number)),
                1_000_000 * u64::from(*number),
            )
        })
        .collect();
    assert_eq!(leaves(0), expected);
    assert_eq!(leaves(1), vec![(0, account(&key(7)), 12_345)]);
    for number in &order {
        let row = chain.row(&tables::PAYOUTS, &(Asset::Io, account(&key(*number))));
        let row = row.unwrap();
        assert_eq!(row.frozen, row.pending);
    }

    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(
        (bridge.newest_batch, frozen.number),
        (BatchNumber(1), BatchNumber(1))
    );
    assert_eq!(bridge.payout_totals, [10_000_000, 12_345].map(Amount::new));
    let batch = chain.row(&tables::SETTLEMENTS, &BatchNumber(1)).unwrap();
    assert!(events.contains(&Event::BatchFrozen {
        number: batch.number,
        epoch: batch.epoch,
        hash: batch.hash,
    }));
    let body = SettleBody::from_bytes(&batch.body).unwrap();
    let totals = |asset: Asset| chain.row(&tables::TOTALS, &asset).unwrap_or_default();
    let (io, usdc) = (totals(Asset::Io), totals(Asset::Usdc));
    assert_eq!(
        (body.emitted, body.burned, body.credit_burned, body.reminted),
        (io.emitted.get(), io.burned.get(), 0, 0)
    );
    assert_eq!(
        body.payouts.map(|payout| payout.total),
        [10_000_000, 12_345]
    );
    assert_eq!(
        (body.deposit_number, Hash(body.deposit_hash)),
        (1, bridge.deposit_hash)
    );
    assert_eq!((body.stake_target, body.number), (bridge.staked.get(), 1));
    assert_eq!(
        (body.height, batch.height.0),
        (chain.height(), chain.height())
    );
    assert_eq!(
        (Hash(body.hash()), body.set_epoch),
        (batch.hash, bridge.set_epoch)
    );
    assert_eq!(batch.burned, [io.burned, Amount::new(6), Amount::ZERO]);
    assert!(io.burned > Amount::new(5), "half of the fees burns too");
    assert_eq!(
        batch.deposited,
        [io.deposited, usdc.deposited, Amount::ZERO]
    );
    assert_eq!(io.deposited, Amount::new(11));
    assert_eq!(
        batch.payout_totals,
        [10_000_000, 12_345, 0].map(Amount::new)
    );
    assert_eq!((batch.emitted, batch.deposit_number), (io.emitted, 1));
    for (place, asset) in Asset::ALL.into_iter().enumerate() {
        assert_eq!(
            batch.balances[place].get(),
            on_chain(&chain, asset),
            "{asset}"
        );
    }

    // The next batch repeats what nobody added to.
    chain.must(&key(7), withdraw(Asset::Usdc, 10_000, 2));
    freeze(&mut chain);
    let row = chain.row(&tables::PAYOUTS, &(Asset::Usdc, account(&key(7))));
    assert_eq!(row.unwrap().frozen, Amount::new(22_345));
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(bridge.payout_totals, [10_000_000, 22_345].map(Amount::new));
}

/// The surpluses after Solana reported this of a chain with a payout of 5 IO, a burn of 7 and a deposit of 13 base units.
fn surplus_after(change: impl FnOnce(&mut LastSettle)) -> [Option<u64>; 2] {
    let mut chain = Chain::new();
    attest(&mut chain, &[1, 2, 3], &[record(1, account(&key(50)), 13)]);
    chain.run(2);
    chain.must(&key(1), withdraw(Asset::Io, 5 * IO, 1));
    chain.edit(|state| {
        ledger::burn(state, account(&key(3)), Asset::Io, Amount::new(7)).unwrap();
    });
    freeze(&mut chain);
    chain.run(2);
    let last = settled(&chain, 2 * IO, |last| {
        last.counters.deposited[0] = 13;
        last.vaults[0] += 100;
        change(last);
    });
    report(&mut chain, &[1, 2, 3], &last);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    let surplus = bridge.last_settle.unwrap().surplus;
    let lacks = surplus.contains(&None);
    assert_eq!(bridge.withdrawals_closed.is_some(), lacks);
    surplus.map(|amount| amount.map(Amount::get))
}

#[test]
fn a_surplus_is_what_the_vaults_have_beyond_all_that_they_must_cover() {
    type Change = fn(&mut LastSettle);
    let cases: [(Change, [Option<u64>; 2]); 13] = [
        (|_last| {}, [Some(100), Some(0)]),
        (|last| last.stake_vault += 3, [Some(103), Some(0)]),
        (|last| last.vaults[1] += 9, [Some(100), Some(9)]),
        (|last| last.vaults[1] -= 1, [Some(100), None]),
        (|last| last.vaults[0] -= 100, [Some(0), Some(0)]),
        (|last| last.vaults[0] -= 101, [None, Some(0)]),
        // Due, but not minted yet.
        (|last| last.counters.minted -= 4, [Some(104), Some(0)]),
        // To be burned, but still there.
        (|last| last.counters.burned -= 2, [Some(98), Some(0)]),
        (
            |last| {
                last.counters.burned -= 2;
                last.counters.credit_burned += 2;
            },
            [Some(100), Some(0)],
        ),
        // Burned on Solana, never here.
        (|last| last.counters.burned += 1, [None, Some(0)]),
        // Arrived, but not credited yet; and credited, but never arrived.
        (|last| last.counters.deposited[0] += 30, [Some(70), Some(0)]),
        (|last| last.counters.deposited[0] -= 1, [None, Some(0)]),
        // Still to be claimed.
        (|last| last.counters.payout_total[1] += 1, [Some(100), None]),
    ];
    for (place, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(surplus_after(change), expected, "case {place}");
    }
}

/// A block whose votes attest this `LastSettle` and whose proposer supplies it, though an honest one would not.
fn supplied_again(chain: &mut Chain, last: &LastSettle) {
    let part = SolanaPart {
        first: 1,
        rolling: Vec::new(),
        last_settle: Some(Hash(last.hash())),
    };
    for number in 1..=4 {
        let extension = VoteExtension {
            version: 1,
            solana: Some(part.clone()),
            ..VoteExtension::default()
        };
        chain.extensions.insert(number, extension);
    }
    chain.run(1);
    let mut block = chain.propose(Vec::new());
    let mut commit = InjectedCommit::decode(&block.transactions[0]).unwrap();
    assert_eq!((commit.last_settle.clone(), commit.votes.len()), (None, 4));
    commit.last_settle = Some(last.to_bytes().to_vec());
    block.transactions[0] = commit.encode();
    let outcome = chain.decide(block);
    assert_eq!(outcome.transactions[0].code, 0);
}

#[test]
fn what_is_minted_again_may_be_minted_on_solana() {
    let mut chain = with_a_payout();
    let number = chain.row(&tables::BRIDGE, &()).unwrap().newest_batch;
    chain.edit(|state| {
        let mut batch = tables::SETTLEMENTS.get(state, &number).unwrap().unwrap();
        batch.reminted = Amount::new(5);
        tables::SETTLEMENTS.put(state, &number, &batch);
    });
    let last = settled(&chain, 0, |last| last.counters.minted += 5);
    report(&mut chain, &[1, 2, 3], &last);
    let bridge = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(bridge.withdrawals_closed, None);
    let surplus = bridge.last_settle.unwrap().surplus;
    assert_eq!(surplus, [Some(Amount::ZERO); 2]);
}

#[test]
fn claims_move_by_their_difference_and_never_back() {
    let mut chain = with_a_payout();
    let first = settled(&chain, 2 * IO, |_last| {});
    report(&mut chain, &[1, 2, 3], &first);
    let events = chain.last.clone().unwrap().events;
    assert!(events.contains(&Event::Settled {
        number: BatchNumber(first.number),
        solana_slot: 9,
    }));
    chain.must(&key(2), withdraw(Asset::Usdc, 50_000, 1));
    freeze(&mut chain);
    chain.run(2);
    // An older one, and the same one with more claimed, change nothing.
    let again = LastSettle {
        counters: io_settlement::account::Counters {
            claimed: [3 * IO, 0],
            ..first.counters
        },
        ..first
    };
    report(&mut chain, &[1, 2, 3], &again);
    supplied_again(&mut chain, &again);
    assert_eq!(
        balance(&chain, SystemAccount::Payouts, Asset::Io),
        i128::from(3 * IO)
    );
    let second = settled(&chain, 5 * IO, |last| {
        last.counters.claimed[1] = 20_000;
        last.vaults[1] += 30_000;
    });
    report(&mut chain, &[1, 2, 3], &second);
    let row = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(row.withdrawals_closed, None);
    assert_eq!(row.last_settle.unwrap().number, BatchNumber(second.number));
    assert_eq!(balance(&chain, SystemAccount::Payouts, Asset::Io), 0);
    assert_eq!(balance(&chain, SystemAccount::Payouts, Asset::Usdc), 30_000);

    freeze(&mut chain);
    chain.run(2);
    let fallen = settled(&chain, 5 * IO - 1, |_last| {});
    report(&mut chain, &[1, 2, 3], &fallen);
    let row = chain.row(&tables::BRIDGE, &()).unwrap();
    assert_eq!(
        row.withdrawals_closed.unwrap(),
        format!("claims of io on Solana fell to {}", 5 * IO - 1)
    );
    assert_eq!(row.last_settle.unwrap().number, BatchNumber(second.number));
    assert_eq!(balance(&chain, SystemAccount::Payouts, Asset::Io), 0);
}

#[test]
fn why_withdrawals_were_closed_is_said_once_and_kept() {
    type Lie = fn(&mut LastSettle);
    let lies: [(Lie, &str); 5] = [
        (
            |last| last.counters.claimed[0] = 5 * IO + 1,
            "claims of io on Solana are 500000001, batch 1 allows 500000000",
        ),
        (
            |last| last.counters.claimed[1] = 1,
            "claims of usdc on Solana are 1, batch 1 allows 0",
        ),
        (
            |last| last.batch_hash = [1; 32],
            "Solana settled another batch 1 than this chain froze",
        ),
        (
            |last| last.counters.minted += 1,
            "IO base units were minted on Solana, at most",
        ),
        (
            |last| last.number = 77,
            "Solana settled batch 77, which this chain never froze",
        ),
    ];
    for (lie, why) in lies {
        let mut chain = with_a_payout();
        let last = settled(&chain, 0, lie);
        report(&mut chain, &[1, 2, 3], &last);
        let closed = chain.row(&tables::BRIDGE, &()).unwrap();
        let found = closed.withdrawals_closed.unwrap();
        assert!(found.contains(why), "{found}");
        let violated = Event::InvariantViolated {
            what: found.clone(),
        };
        assert!(chain.last.clone().unwrap().events.contains(&violated));
        // Another lie does not hide the first one.
        let another = settled(&chain, 0, |last| last.number = 99);
        report(&mut chain, &[1, 2, 3], &another);
        let kept = chain.row(&tables::BRIDGE, &()).unwrap();
        assert_eq!(kept.withdrawals_closed.unwrap(), found);
    }
}

/// A plain transaction that brings a member's signature over a batch.
fn signature(chain: &Chain, number: BatchNumber, member: u8) -> Action {
    let hash = chain.row(&tables::SETTLEMENTS, &number).unwrap().hash;
    let key = settlement_key(member);
    Action::SignSettlement(SignSettlement {
        number,
        member: account(&key),
        signature: Signature(key.sign(&message(Kind::Settle, &hash.0)).to_bytes()),
    })
}

#[test]
fn a_batch_is_signed_by_the_signature_that_passes_two_thirds() {
    let mut chain = Chain::new();
    chain.signs = false;
    let number = BatchNumber(freeze(&mut chain));
    let anyone = key(77);
    for member in 1..=4_u8 {
        let action = signature(&chain, number, member);
        let events = chain.must(&anyone, action);
        let signed = Event::BatchSigned {
            number,
            power: 30,
            total: 40,
        };
        let expected = if member == 3 { vec![signed] } else { vec![] };
        assert_eq!(events, expected);
        let batch = chain.row(&tables::SETTLEMENTS, &number).unwrap();
        assert_eq!(batch.signed_power, 10 * u64::from(member));
        assert!(batch.signatures.is_sorted_by_key(|(key, _signature)| *key));
    }
}

/// Runs until one more batch is frozen.
fn one_more(chain: &mut Chain) -> BatchNumber {
    let newest = |chain: &Chain| chain.row(&tables::BRIDGE, &()).unwrap().newest_batch;
    let before = newest(chain);
    let step = std::mem::replace(&mut chain.step, 600_000);
    while newest(chain) == before {
        chain.run(1);
    }
    chain.step = step;
    assert_eq!(newest(chain).0, before.0 + 1);
    newest(chain)
}

#[test]
fn each_signature_counts_with_its_members_own_power() {
    let powers = [7, 11, 13, 17];
    let mut chain = Chain::with(|genesis| {
        for validator in &mut genesis.validators {
            let member = (1..=4).find(|number| address(*number) == validator.address);
            validator.power = powers[usize::from(member.unwrap()) - 1];
        }
    });
    chain.signs = false;
    let number = BatchNumber(freeze(&mut chain));
    let mut sum = 0;
    for member in 1..=4_u8 {
        let action = signature(&chain, number, member);
        chain.must(&key(77), action);
        sum += powers[usize::from(member) - 1];
        let batch = chain.row(&tables::SETTLEMENTS, &number).unwrap();
        assert_eq!((batch.signed_power, batch.total_power), (sum, 48));
    }
}

#[test]
fn one_signature_twice_in_a_transaction_is_refused_as_a_whole() {
    let mut chain = Chain::new();
    chain.signs = false;
    let number = BatchNumber(freeze(&mut chain));
    let action = signature(&chain, number, 1);
    let twice = chain.sign(&key(77), vec![action.clone(), action]);
    let outcome = chain.block(vec![twice]).transactions[1].clone();
    assert_eq!(outcome.code, 907, "{}", outcome.log);
    let batch = chain.row(&tables::SETTLEMENTS, &number).unwrap();
    assert_eq!((batch.signatures.len(), batch.signed_power), (0, 0));
}

#[test]
fn a_wrong_signature_in_an_extension_is_void() {
    let mut chain = Chain::new();
    chain.signs = false;
    let number = BatchNumber(freeze(&mut chain));
    let Action::SignSettlement(right) = signature(&chain, number, 1) else {
        panic!("no signature");
    };
    let signed = |chain: &Chain| chain.row(&tables::SETTLEMENTS, &number).unwrap().signatures;
    for (by, signature, count) in [
        (2, right.signature, 0),
        (1, Signature([7; 64]), 0),
        (1, right.signature, 1),
    ] {
        let extension = VoteExtension {
            version: 1,
            signatures: vec![(number, signature)],
            ..VoteExtension::default()
        };
        chain.extensions.insert(by, extension);
        chain.run(2);
        assert_eq!(signed(&chain).len(), count);
    }
    assert_eq!(signed(&chain), vec![(right.member, right.signature)]);
}

#[test]
fn signatures_are_collected_for_the_newest_batches_that_are_not_settled() {
    let mut chain = Chain::with(|genesis| genesis.params.settlement.open_batches = 2);
    chain.signs = false;
    let first = one_more(&mut chain);
    let second = one_more(&mut chain);
    let anyone = key(77);
    let action = signature(&chain, first, 1);
    chain.must(&anyone, action);
    let third = one_more(&mut chain);
    let action = signature(&chain, first, 2);
    chain.refused(&anyone, action.clone(), 904);
    // An extension may still bring it: it is void.
    let Action::SignSettlement(late) = action else {
        panic!("no signature");
    };
    let extension = VoteExtension {
        version: 1,
        signatures: vec![(first, late.signature)],
        ..VoteExtension::default()
    };
    chain.extensions.insert(2, extension);
    chain.run(2);
    let batch = chain.row(&tables::SETTLEMENTS, &first).unwrap();
    assert_eq!(batch.signatures.len(), 1);
    for number in [second, third] {
        let action = signature(&chain, number, 1);
        chain.must(&anyone, action);
        let batch = chain.row(&tables::SETTLEMENTS, &number).unwrap();
        assert_eq!(batch.signatures.len(), 1);
    }
    // What was settled needs no more signatures, nor does what came before.
    let last = settled(&chain, 0, |_last| {});
    report(&mut chain, &[1, 2, 3], &last);
    for number in [second, third] {
        let action = signature(&chain, number, 2);
        chain.refused(&anyone, action, 904);
    }
    chain.edit(|state| {
        let mut bridge = tables::BRIDGE.get(state, &()).unwrap().unwrap();
        bridge.newest_batch = BatchNumber(10);
        tables::BRIDGE.put(state, &(), &bridge);
        assert_eq!(settlement::first_open(state).unwrap(), BatchNumber(9));
    });
}

#[test]
fn the_price_in_force_follows_what_validators_report() {
    let mut chain = Chain::new();
    chain.run(2);
    let price = |chain: &Chain| chain.row(&tables::PRICE, &()).unwrap();
    assert_eq!(price(&chain).spot, 150_000);
    chain.price = Some(160_000);
    chain.run(2);
    assert_eq!(
        (price(&chain).spot, price(&chain).usdc),
        (160_000, 1_000_000)
    );
    assert_eq!(price(&chain).updated.0, chain.now);
}

#[test]
fn a_block_takes_the_beacon_links_that_validators_reveal() {
    let mut chain = Chain::new();
    chain.run(3);
    for number in 1..=4 {
        let link = chain
            .row(&tables::VALIDATORS, &address(number))
            .unwrap()
            .beacon_link;
        assert!(
            (1..=3).any(|index| link == beacon_link(number, index)),
            "validator {number} is still at its anchor"
        );
    }
}
