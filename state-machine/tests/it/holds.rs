//! The ledger's own operations: what each moves, what each refuses, and that a refusal moves nothing.

use io_state_machine::error::ActionError;
use io_state_machine::ledger::conservation::check_block;
use io_state_machine::ledger::{self, Entry, Exit, Supply};
use io_state_machine::state::State;
use io_state_machine::tables::{ACCOUNTS, HOLDS};
use io_types::row::{AssetTotals, HoldPurpose};
use io_types::{AccountId, Amount, Asset, HoldId, Holder, OrderId, SystemAccount};

use crate::support::{Chain, IO, account, key};

const ALL: u64 = 1_000_000 * IO;
const FOR: HoldPurpose = HoldPurpose::Order(OrderId(1));

fn owner() -> AccountId {
    account(&key(1))
}

fn other() -> AccountId {
    account(&key(2))
}

/// Works on a state and sees that what it leaves behind is sound.
fn on_a_state(work: impl FnOnce(&mut State<'_>)) {
    let chain = Chain::new();
    let view = chain.machine.store().snapshot();
    let mut state = State::new(&view);
    work(&mut state);
    check_block(&view, &state.into_write_set().unwrap()).unwrap();
}

/// Balance and held part.
fn money(state: &State<'_>, holder: impl Into<Holder>) -> (i128, u64) {
    let row = ledger::account(state, holder, Asset::Io).unwrap();
    (row.balance, row.held.get())
}

fn io(amount: u64) -> Amount {
    Amount::new(amount)
}

fn code<T: std::fmt::Debug>(result: Result<T, ActionError>) -> u32 {
    match result {
        Err(ActionError::Rejected(why)) => why.code(),
        other => panic!("{other:?}"),
    }
}

fn hold(state: &mut State<'_>, amount: u64) -> HoldId {
    ledger::hold(state, owner(), Asset::Io, io(amount), FOR).unwrap()
}

#[test]
fn a_hold_reserves_to_the_last_unit_and_no_further() {
    on_a_state(|state| {
        let more = ledger::hold(state, owner(), Asset::Io, io(ALL + 1), FOR);
        assert_eq!(code(more), 201);
        assert_eq!(money(state, owner()), (i128::from(ALL), 0));
        let id = hold(state, ALL);
        assert_eq!(money(state, owner()), (i128::from(ALL), ALL));
        assert_eq!(ledger::available(state, owner(), Asset::Io).unwrap(), io(0));
        let pay = ledger::transfer(state, owner(), other(), Asset::Io, io(1));
        assert_eq!(code(pay), 201);
        assert_eq!(code(ledger::top_up(state, id, io(1))), 201);
        assert_eq!(ledger::hold_remaining(state, id).unwrap(), io(ALL));
        let second = ledger::hold(state, other(), Asset::Io, io(5), FOR).unwrap();
        assert_ne!(id, second);
    });
}

#[test]
fn a_hold_grows_by_what_its_owner_still_has() {
    on_a_state(|state| {
        let id = hold(state, 10);
        ledger::top_up(state, id, io(7)).unwrap();
        assert_eq!(money(state, owner()), (i128::from(ALL), 17));
        assert_eq!(ledger::hold_remaining(state, id).unwrap(), io(17));
        let row = HOLDS.get(state, &id).unwrap().unwrap();
        assert_eq!((row.owner, row.purpose), (owner().into(), FOR));
        assert_eq!(code(ledger::top_up(state, id, io(ALL - 16))), 201);
        assert_eq!(money(state, owner()), (i128::from(ALL), 17));
    });
}

#[test]
fn a_hold_pays_and_gives_back_until_it_ends() {
    on_a_state(|state| {
        let id = hold(state, 10);
        ledger::post(state, id, other(), io(4)).unwrap();
        assert_eq!(money(state, owner()), (i128::from(ALL) - 4, 6));
        assert_eq!(money(state, other()), (i128::from(ALL) + 4, 0));
        ledger::release(state, id, io(1)).unwrap();
        assert_eq!(money(state, owner()), (i128::from(ALL) - 4, 5));
        assert_eq!(ledger::hold_remaining(state, id).unwrap(), io(5));
        assert_eq!(ledger::release_all(state, id).unwrap(), io(5));
        assert_eq!(money(state, owner()), (i128::from(ALL) - 4, 0));
        // It has ended: nothing is left, nothing can be paid, nothing is released twice.
        assert_eq!(HOLDS.get(state, &id).unwrap(), None);
        assert_eq!(ledger::hold_remaining(state, id).unwrap(), io(0));
        assert_eq!(ledger::release_all(state, id).unwrap(), io(0));
        ledger::post(state, id, other(), io(0)).unwrap();
        let fault = ledger::post(state, id, other(), io(1)).unwrap_err();
        assert!(
            fault
                .finding()
                .contains("whoever names a hold keeps it alive"),
            "{fault}"
        );
    });
    // Paid out to the last unit, it ends as well.
    on_a_state(|state| {
        let id = hold(state, 10);
        ledger::post(state, id, other(), io(10)).unwrap();
        assert_eq!(HOLDS.get(state, &id).unwrap(), None);
        assert_eq!(money(state, owner()), (i128::from(ALL) - 10, 0));
    });
}

#[test]
fn more_than_a_hold_has_is_a_fault_and_moves_nothing() {
    on_a_state(|state| {
        let id = hold(state, 10);
        let text = format!("hold {id} has 10 left, 11 asked");
        let fault = ledger::post(state, id, other(), io(11)).unwrap_err();
        assert_eq!((fault.place(), fault.finding()), ("ledger", &*text));
        let fault = ledger::release(state, id, io(11)).unwrap_err();
        assert_eq!((fault.place(), fault.finding()), ("ledger", &*text));
        assert_eq!(money(state, owner()), (i128::from(ALL), 10));
        assert_eq!(money(state, other()), (i128::from(ALL), 0));
        assert_eq!(ledger::hold_remaining(state, id).unwrap(), io(10));
    });
}

#[test]
fn held_rows_that_contradict_each_other_are_faults() {
    let chain = Chain::new();
    let view = chain.machine.store().snapshot();
    let mut state = State::new(&view);
    let id = hold(&mut state, 10);
    // The account says that nothing is held.
    let mut row = ledger::account(&state, owner(), Asset::Io).unwrap();
    row.held = io(9);
    ACCOUNTS.put(&mut state, &(owner().into(), Asset::Io), &row);
    let fault = ledger::release_all(&mut state, id).unwrap_err();
    assert_eq!(
        fault.finding(),
        "the held part of an account is out of range"
    );
    // The account does not have what it holds: paying would create money.
    row.balance = 3;
    row.held = io(10);
    ACCOUNTS.put(&mut state, &(owner().into(), Asset::Io), &row);
    let fault = ledger::post(&mut state, id, other(), io(4)).unwrap_err();
    assert_eq!(
        fault.finding(),
        "a payment would take money that is held or not there"
    );
    assert_eq!(
        ledger::available(&state, owner(), Asset::Io).unwrap(),
        io(0)
    );
}

fn totals(state: &State<'_>) -> AssetTotals {
    ledger::totals(state, Asset::Io).unwrap()
}

#[test]
fn every_way_in_and_out_counts_in_its_own_total() {
    on_a_state(|state| {
        let first = totals(state);
        ledger::enter(state, other(), Asset::Io, io(1), Entry::Genesis).unwrap();
        ledger::enter(state, other(), Asset::Io, io(2), Entry::Deposit).unwrap();
        ledger::mint(state, other(), Asset::Io, io(3), Supply::Emission).unwrap();
        assert_eq!(money(state, other()), (i128::from(ALL) + 6, 0));
        ledger::burn(state, owner(), Asset::Io, io(40)).unwrap();
        ledger::withdraw(state, owner(), Asset::Io, io(50)).unwrap();
        assert_eq!(money(state, SystemAccount::Payouts), (50, 0));
        ledger::leave(state, Asset::Io, io(20), Exit::Claim).unwrap();
        assert_eq!(money(state, SystemAccount::Payouts), (30, 0));
        assert_eq!(money(state, owner()), (i128::from(ALL) - 90, 0));
        let more = |before: Amount, by| before.checked_add(io(by)).unwrap();
        let expected = AssetTotals {
            genesis: more(first.genesis, 1),
            deposited: more(first.deposited, 2),
            withdrawn: more(first.withdrawn, 50),
            claimed: more(first.claimed, 20),
            emitted: more(first.emitted, 3),
            burned: more(first.burned, 40),
            ..first
        };
        assert_eq!(totals(state), expected);
    });
}

#[test]
fn what_is_not_there_does_not_leave() {
    on_a_state(|state| {
        let first = totals(state);
        let burn = ledger::burn(state, owner(), Asset::Io, io(ALL + 1));
        assert_eq!(code(burn), 201);
        let withdraw = ledger::withdraw(state, owner(), Asset::Io, io(ALL + 1));
        assert_eq!(code(withdraw), 201);
        let claim = ledger::leave(state, Asset::Io, io(1), Exit::Claim);
        assert_eq!(code(claim), 201);
        // Money enters by deposits and emission only.
        let outside = SystemAccount::Outside;
        let entered = ledger::transfer(state, outside, other(), Asset::Io, io(1));
        assert_eq!(code(entered), 201);
        let id = hold(state, ALL - 5);
        assert_eq!(code(ledger::burn(state, owner(), Asset::Io, io(6))), 201);
        ledger::release_all(state, id).unwrap();
        assert_eq!(money(state, owner()), (i128::from(ALL), 0));
        assert_eq!(totals(state), first);
    });
}

#[test]
fn totals_that_do_not_fit_are_refused_before_anything_moves() {
    let chain = Chain::new();
    let view = chain.machine.store().snapshot();
    let mut state = State::new(&view);
    let most = Amount::new(u64::MAX);
    let full = AssetTotals {
        genesis: most,
        deposited: most,
        withdrawn: most,
        claimed: most,
        emitted: most,
        burned: most,
        ..AssetTotals::default()
    };
    io_state_machine::tables::TOTALS.put(&mut state, &Asset::Io, &full);
    let state = &mut state;
    let one = io(1);
    let to = other();
    for entry in [Entry::Genesis, Entry::Deposit] {
        assert_eq!(code(ledger::enter(state, to, Asset::Io, one, entry)), 205);
    }
    let emission = Supply::Emission;
    assert_eq!(code(ledger::mint(state, to, Asset::Io, one, emission)), 205);
    assert_eq!(code(ledger::withdraw(state, to, Asset::Io, one)), 205);
    assert_eq!(code(ledger::leave(state, Asset::Io, one, Exit::Claim)), 205);
    assert_eq!(code(ledger::burn(state, to, Asset::Io, one)), 205);
    assert_eq!(money(state, to), (i128::from(ALL), 0));
    assert_eq!(totals(state), full);
}

#[test]
fn an_account_holds_up_to_the_greatest_amount() {
    on_a_state(|state| {
        let room = u64::MAX - ALL;
        let entry = Entry::Deposit;
        ledger::enter(state, other(), Asset::Io, io(room), entry).unwrap();
        assert_eq!(money(state, other()), (i128::from(u64::MAX), 0));
        let pay = ledger::transfer(state, owner(), other(), Asset::Io, io(1));
        assert_eq!(code(pay), 205);
        assert_eq!(money(state, owner()), (i128::from(ALL), 0));
        // To oneself, or nothing: no row changes.
        ledger::transfer(state, other(), other(), Asset::Io, io(1)).unwrap();
        ledger::transfer(state, owner(), other(), Asset::Io, io(0)).unwrap();
        assert_eq!(money(state, other()), (i128::from(u64::MAX), 0));
    });
}

#[test]
fn an_account_without_money_has_no_row() {
    on_a_state(|state| {
        let place = (Holder::from(owner()), Asset::Io);
        ledger::transfer(state, owner(), other(), Asset::Io, io(ALL)).unwrap();
        assert_eq!(ACCOUNTS.get(state, &place).unwrap(), None);
        ledger::transfer(state, other(), owner(), Asset::Io, io(1)).unwrap();
        assert!(ACCOUNTS.get(state, &place).unwrap().is_some());
    });
}

#[test]
fn a_client_id_is_taken_once_by_each_signer() {
    on_a_state(|state| {
        let content = io_types::Hash([1; 32]);
        ledger::issue_client_id(state, owner(), 7, content).unwrap();
        let again = ledger::issue_client_id(state, owner(), 7, io_types::Hash([2; 32]));
        assert_eq!(code(again), 204);
        ledger::issue_client_id(state, owner(), 8, content).unwrap();
        ledger::issue_client_id(state, other(), 7, content).unwrap();
    });
}
