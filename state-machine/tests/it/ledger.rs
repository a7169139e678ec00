//! Transfers and conservation.

use io_types::action::Transfer;
use io_types::{AccountId, Action, Amount, Asset, Event, Rejection, SystemAccount};

use crate::support::{Chain, FEE, IO, account, key};

fn transfer(to: AccountId, asset: Asset, amount: u64, client_id: u64) -> Action {
    Action::Transfer(Transfer {
        to,
        asset,
        amount: Amount::new(amount),
        client_id,
    })
}

#[test]
fn a_transfer_moves_money_and_the_fee_goes_to_revenue() {
    let mut chain = Chain::new();
    let events = chain.must(&key(1), transfer(account(&key(2)), Asset::Io, 5 * IO, 1));
    let moved = Event::Transferred {
        from: account(&key(1)),
        to: account(&key(2)),
        asset: Asset::Io,
        amount: Amount::new(5 * IO),
    };
    let paid = Event::FeePaid {
        payer: account(&key(1)),
        amount: Amount::new(FEE),
    };
    assert_eq!(events, vec![paid, moved]);
    assert_eq!(chain.free_io(&key(1)), 999_995 * IO - FEE);
    assert_eq!(chain.free_io(&key(2)), 1_000_005 * IO);
    assert_eq!(
        chain.money(SystemAccount::Revenue, Asset::Io).balance,
        i128::from(FEE)
    );
}

#[test]
fn transfers_are_refused_by_rule() {
    let mut chain = Chain::new();
    let (one, two) = (key(1), account(&key(2)));
    chain.refused(&one, transfer(two, Asset::Io, 1_000_000 * IO, 1), 201);
    chain.refused(&one, transfer(account(&one), Asset::Io, 1, 1), 206);
    chain.refused(&one, transfer(AccountId([0; 32]), Asset::Io, 1, 1), 104);
    chain.must(&one, transfer(two, Asset::Usdc, 1, 7));
    chain.refused(&one, transfer(two, Asset::Usdc, 1, 7), 204);
}

#[test]
fn stateless_rules_keep_a_transaction_out_of_blocks() {
    let mut chain = Chain::new();
    for (action, code) in [
        (transfer(account(&key(2)), Asset::Io, 0, 1), 202),
        (transfer(account(&key(2)), Asset::Credit, 1, 1), 203),
    ] {
        let transaction = chain.sign(&key(1), vec![action]);
        assert_eq!(
            chain
                .machine
                .check_tx(&transaction, false)
                .unwrap()
                .unwrap_err()
                .code(),
            code
        );
        let block = chain.propose(vec![transaction]);
        assert_eq!(block.transactions.len(), 1);
        chain.decide(block);
    }
}

#[test]
fn actions_are_all_or_nothing_but_the_fee_stays_taken() {
    let mut chain = Chain::new();
    let good = transfer(account(&key(2)), Asset::Io, IO, 1);
    let bad = transfer(account(&key(2)), Asset::Io, 2_000_000 * IO, 2);
    let transaction = chain.sign(&key(1), vec![good, bad]);
    let outcome = chain.block(vec![transaction]);
    assert_eq!(outcome.transactions[1].code, 201);
    assert_eq!(chain.free_io(&key(1)), 1_000_000 * IO - FEE);
    assert_eq!(chain.free_io(&key(2)), 1_000_000 * IO);
}

#[test]
fn a_sum_that_does_not_fit_is_refused() {
    let mut chain = Chain::new();
    chain.edit(|state| {
        let all = Amount::new(u64::MAX);
        let to = account(&key(2));
        let entry = io_state_machine::ledger::Entry::Deposit;
        let refused = io_state_machine::ledger::enter(state, to, Asset::Usdc, all, entry);
        let Err(io_state_machine::error::ActionError::Rejected(why)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(
            (why.code(), why),
            (205, Rejection::AmountOverflow { asset: Asset::Usdc })
        );
    });
    assert_eq!(
        chain.money(account(&key(2)), Asset::Usdc).balance,
        1_000_000_000_000
    );
}
