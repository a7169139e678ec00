//! The check of conservation can fail: every lie about money is found, by its name and by how much.

use io_state_machine::ledger::conservation::{check_block, check_full, check_snapshot};
use io_state_machine::state::State;
use io_state_machine::tables::{ACCOUNTS, HOLDS, TOTALS};
use io_storage::backend::Disk;
use io_storage::{Fault, Store, WriteSet};
use io_types::row::{AccountRow, AssetTotals, Hold, HoldPurpose};
use io_types::{Amount, Asset, HoldId, Holder, OrderId, SystemAccount};

use crate::support::{account, key, memory_store};

const OUTSIDE: Holder = Holder::System(SystemAccount::Outside);
/// Which of the nine totals.
type Total = fn(&mut AssetTotals) -> &mut Amount;
const CAME_IN: [Total; 5] = [
    |totals| &mut totals.genesis,
    |totals| &mut totals.deposited,
    |totals| &mut totals.emitted,
    |totals| &mut totals.reminted,
    |totals| &mut totals.issued,
];
const WENT_OUT: [Total; 3] = [
    |totals| &mut totals.claimed,
    |totals| &mut totals.burned,
    |totals| &mut totals.credit_burned,
];

fn someone() -> Holder {
    account(&key(1)).into()
}

/// Gives a holder a balance and a held part.
fn put(state: &mut State<'_>, holder: Holder, asset: Asset, balance: i128, held: u64) {
    let held = Amount::new(held);
    ACCOUNTS.put(state, &(holder, asset), &AccountRow { balance, held });
}

fn put_hold(state: &mut State<'_>, owner: Holder, asset: Asset, remaining: u64) {
    let hold = Hold {
        owner,
        asset,
        remaining: Amount::new(remaining),
        purpose: HoldPurpose::Order(OrderId(1)),
    };
    HOLDS.put(state, &HoldId(1), &hold);
}

fn changes(store: &Store, change: impl FnOnce(&mut State<'_>)) -> WriteSet {
    let view = store.snapshot();
    let mut state = State::new(&view);
    change(&mut state);
    state.into_write_set().unwrap()
}

/// A store whose first block is sound: 100 of each asset came in, 30 of them held, and every total is at least 10.
fn store() -> Store {
    let store = memory_store(&Disk::default());
    let first = changes(&store, |state| {
        for asset in Asset::ALL {
            put(state, OUTSIDE, asset, -100, 0);
            put(state, someone(), asset, 100, 30);
            let ten = Amount::new(10);
            let mut totals = AssetTotals {
                withdrawn: ten,
                ..AssetTotals::default()
            };
            for total in CAME_IN.iter().chain(&WENT_OUT) {
                *total(&mut totals) = ten;
            }
            totals.genesis = Amount::new(90);
            TOTALS.put(state, &asset, &totals);
        }
        put_hold(state, someone(), Asset::Io, 30);
        for (id, asset) in [(2, Asset::Usdc), (3, Asset::Credit)] {
            let hold = Hold {
                owner: someone(),
                asset,
                remaining: Amount::new(30),
                purpose: HoldPurpose::Order(OrderId(1)),
            };
            HOLDS.put(state, &HoldId(id), &hold);
        }
    });
    check_full(&first).unwrap();
    commit(&store, first);
    store
}

fn commit(store: &Store, changes: WriteSet) {
    let height = store.snapshot().height() + 1;
    let patch = store.stage(changes).unwrap();
    store.commit(patch, height).unwrap();
}

fn totals(state: &State<'_>, asset: Asset) -> AssetTotals {
    TOTALS.get(state, &asset).unwrap().unwrap()
}

fn finding(result: Result<(), Fault>) -> String {
    let fault = result.unwrap_err();
    assert_eq!(fault.place(), "conservation of money");
    fault.finding().to_owned()
}

/// Both checks refuse the change for this reason.
fn found(store: &Store, change: impl FnOnce(&mut State<'_>), expected: &str) {
    let changes = changes(store, change);
    let view = store.snapshot();
    for result in [
        check_block(&view, &changes),
        check_snapshot(&view, &changes),
    ] {
        let text = finding(result);
        assert!(text.contains(expected), "{text}");
    }
}

/// Both checks accept the change.
fn sound(store: &Store, change: impl FnOnce(&mut State<'_>)) {
    let changes = changes(store, change);
    let view = store.snapshot();
    check_block(&view, &changes).unwrap();
    check_snapshot(&view, &changes).unwrap();
}

#[test]
fn money_from_nowhere_and_money_gone_are_found() {
    let store = store();
    for (balance, sum) in [(101, "1"), (99, "-1")] {
        found(
            &store,
            |state| put(state, someone(), Asset::Usdc, balance, 30),
            &format!("INV-01: all accounts of usdc sum to {sum}, not 0"),
        );
    }
    // What one asset lacks is not made good by another one.
    let change = |state: &mut State<'_>| {
        put(state, someone(), Asset::Io, 99, 30);
        put(state, someone(), Asset::Usdc, 101, 30);
    };
    found(
        &store,
        change,
        "INV-01: all accounts of io sum to -1, not 0",
    );
    sound(&store, |state| {
        put(state, someone(), Asset::Io, 60, 30);
        put(state, account(&key(2)).into(), Asset::Io, 40, 0);
    });
    // An account that vanishes takes its money along.
    let change = |state: &mut State<'_>| {
        ACCOUNTS.delete(state, &(someone(), Asset::Io));
        HOLDS.delete(state, &HoldId(1));
    };
    found(&store, change, "INV-01: all accounts of io sum to -100");
}

#[test]
fn what_stands_outside_must_be_what_the_totals_say_came_in() {
    let store = store();
    let more = |state: &mut State<'_>| {
        put(state, OUTSIDE, Asset::Io, -105, 0);
        put(state, someone(), Asset::Io, 105, 30);
    };
    found(&store, more, "INV-03: ");
    for total in CAME_IN {
        let grown = |state: &mut State<'_>| {
            let mut totals = totals(state, Asset::Io);
            *total(&mut totals) = Amount::new(total(&mut totals).get() + 5);
            TOTALS.put(state, &Asset::Io, &totals);
        };
        found(&store, grown, "INV-03: ");
        sound(&store, |state| {
            more(state);
            grown(state);
        });
    }
    for total in WENT_OUT {
        let grown = |state: &mut State<'_>| {
            let mut totals = totals(state, Asset::Io);
            *total(&mut totals) = Amount::new(total(&mut totals).get() + 5);
            TOTALS.put(state, &Asset::Io, &totals);
        };
        found(&store, grown, "INV-03: ");
        sound(&store, |state| {
            put(state, OUTSIDE, Asset::Io, -95, 0);
            put(state, someone(), Asset::Io, 95, 30);
            grown(state);
        });
    }
    // A withdrawal moves money to payouts, which are on this chain.
    sound(&store, |state| {
        let mut totals = totals(state, Asset::Io);
        totals.withdrawn = Amount::new(15);
        TOTALS.put(state, &Asset::Io, &totals);
    });
}

#[test]
fn no_total_may_fall() {
    let store = store();
    let view = store.snapshot();
    let sides = [(CAME_IN.to_vec(), 1), (WENT_OUT.to_vec(), 1)];
    for (side, by) in sides {
        for place in 0..side.len() {
            // One falls and its neighbour grows, so that the sums stay right.
            let changes = changes(&store, |state| {
                let mut totals = totals(state, Asset::Usdc);
                let falls = side[place](&mut totals);
                *falls = Amount::new(falls.get() - by);
                let grows = side[(place + 1) % side.len()](&mut totals);
                *grows = Amount::new(grows.get() + by);
                TOTALS.put(state, &Asset::Usdc, &totals);
            });
            let text = finding(check_block(&view, &changes));
            assert!(text.starts_with("a running total of usdc fell"), "{text}");
        }
    }
    let withdrawn = changes(&store, |state| {
        let mut totals = totals(state, Asset::Usdc);
        totals.withdrawn = Amount::new(9);
        TOTALS.put(state, &Asset::Usdc, &totals);
    });
    let text = finding(check_block(&view, &withdrawn));
    assert!(text.starts_with("a running total of usdc fell"), "{text}");
}

#[test]
fn what_is_held_is_the_sum_of_the_holds() {
    let store = store();
    let someone = someone();
    let name = format!("{someone:?}");
    let gap = |sum: i64, asset: &str| format!("INV-02: {name} has {sum} more of {asset} held");
    found(
        &store,
        |state| put(state, someone, Asset::Io, 100, 31),
        &gap(1, "io"),
    );
    found(
        &store,
        |state| put_hold(state, someone, Asset::Io, 31),
        &gap(-1, "io"),
    );
    found(
        &store,
        |state| HOLDS.delete(state, &HoldId(1)),
        &gap(30, "io"),
    );
    // A hold of another asset, or of another owner, is no reason.
    found(
        &store,
        |state| put_hold(state, someone, Asset::Usdc, 30),
        &gap(30, "io"),
    );
    let other = account(&key(2)).into();
    found(
        &store,
        |state| put_hold(state, other, Asset::Io, 30),
        "INV-02: ",
    );
    sound(&store, |state| {
        put(state, someone, Asset::Io, 100, 100);
        put_hold(state, someone, Asset::Io, 100);
    });
    sound(&store, |state| {
        put(state, someone, Asset::Io, 100, 0);
        HOLDS.delete(state, &HoldId(1));
    });
}

#[test]
fn nobody_but_outside_owes_or_holds_more_than_there_is() {
    let store = store();
    let more_held = |state: &mut State<'_>| {
        put(state, someone(), Asset::Io, 100, 101);
        put_hold(state, someone(), Asset::Io, 101);
    };
    found(&store, more_held, "has 100 of io, 101 of it held");
    let debt = |state: &mut State<'_>| {
        put(state, account(&key(2)).into(), Asset::Io, -1, 0);
        put(state, someone(), Asset::Io, 101, 30);
    };
    found(&store, debt, "has -1 of io, 0 of it held");
}

#[test]
fn the_full_check_sees_what_the_rows_held_before() {
    type Lie = fn(&mut State<'_>);
    let lies: [(Lie, &str); 4] = [
        (
            |state| put(state, someone(), Asset::Io, 101, 30),
            "INV-01: all accounts of io sum to 1, not 0",
        ),
        (
            |state| put_hold(state, someone(), Asset::Io, 29),
            "has 1 more of io held",
        ),
        (
            |state| {
                let mut totals = totals(state, Asset::Io);
                totals.burned = Amount::new(11);
                TOTALS.put(state, &Asset::Io, &totals);
            },
            "INV-03: 99 of io came in by the totals, -100 stands outside",
        ),
        (
            |state| put(state, OUTSIDE, Asset::Credit, -101, 0),
            "INV-01: all accounts of credit sum to -1, not 0",
        ),
    ];
    for (lie, expected) in lies {
        let store = store();
        let changes_before = changes(&store, lie);
        let full = check_full(&changes_before);
        assert!(full.is_err(), "the rows of this lie alone are not sound");
        commit(&store, changes_before);
        let nothing = changes(&store, |_state| {});
        let view = store.snapshot();
        check_block(&view, &nothing).unwrap();
        let text = finding(check_snapshot(&view, &nothing));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn sums_that_do_not_fit_are_faults() {
    let store = store();
    let most = |state: &mut State<'_>| {
        put(state, someone(), Asset::Io, i128::MAX, 30);
        put(state, account(&key(2)).into(), Asset::Io, i128::MAX, 0);
    };
    found(&store, most, "a sum does not fit");
    commit(&store, changes(&store, most));
    let nothing = changes(&store, |_state| {});
    let text = finding(check_snapshot(&store.snapshot(), &nothing));
    assert_eq!(text, "a sum does not fit");
    // The least number has no opposite.
    let least = changes(&store, |state| {
        put(state, OUTSIDE, Asset::Usdc, i128::MIN, 0)
    });
    commit(&store, least);
    let back = changes(&store, |state| put(state, OUTSIDE, Asset::Usdc, 0, 0));
    let text = finding(check_block(&store.snapshot(), &back));
    assert_eq!(text, "a product does not fit");
}
