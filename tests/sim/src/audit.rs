//! The auditor: what everybody must own, kept from events and accepted actions alone, held against the rows of every block.
//!
//! It uses the nouns (`io-types`) and reads rows, and none of the ledger's code: its sums are 128-bit and its formulas are
//! written from the design. Two facts it cannot see in events: how much of a booking's fees is earned, and in which epoch a
//! fee was counted. Those it takes from rows, and checks them against what came in and went out in all.

mod accruals;
mod batch;
mod books;
mod holds;
mod things;
mod vaults;

use std::collections::{BTreeMap, BTreeSet};

use io_state_machine::BlockOutcome;
use io_types::consensus::Block;
use io_types::genesis::GenesisSpec;
use io_types::{
    AccountId, Action, Asset, BookingId, ChainTime, DeviceId, Epoch, Event, Holder, OrderId,
    SystemAccount, Transaction,
};

use crate::rows::Rows;
use crate::solana::Solana;
use crate::{Check, same, text};

/// What is known of a running or ended booking.
#[derive(Clone, Debug)]
struct BookingBook {
    renter: AccountId,
    asset: Asset,
    total: u64,
    gross: BTreeMap<DeviceId, u64>,
    refunds: u64,
    treasury: u64,
    fees: u64,
    ended: bool,
}

impl BookingBook {
    /// What is still reserved of the renter's money.
    fn open(&self) -> u128 {
        if self.ended {
            return 0;
        }
        let gone = self
            .gross
            .values()
            .map(|gross| u128::from(*gross))
            .sum::<u128>()
            + u128::from(self.refunds)
            + u128::from(self.treasury)
            + u128::from(self.fees);
        u128::from(self.total).saturating_sub(gone)
    }
}

/// An open order.
#[derive(Clone, Copy, Debug)]
struct OrderBook {
    renter: AccountId,
    asset: Asset,
    held: u64,
}

/// The books.
#[derive(Clone, Debug)]
pub struct Auditor {
    spec: GenesisSpec,
    money: BTreeMap<(Holder, Asset), i128>,
    orders: BTreeMap<OrderId, OrderBook>,
    bookings: BTreeMap<BookingId, BookingBook>,
    stakes: BTreeMap<DeviceId, (AccountId, u64)>,
    verifiers: BTreeMap<AccountId, u64>,
    accruals: BTreeMap<(AccountId, Epoch, DeviceId), u64>,
    /// From when on each can be collected.
    ripe: BTreeMap<(AccountId, Epoch, DeviceId), ChainTime>,
    /// Those whose results were gone in the block before.
    old: BTreeSet<(AccountId, Epoch, DeviceId)>,
    /// Devices that passed a challenge in this block.
    passed: BTreeSet<DeviceId>,
    /// Devices that failed a challenge in this block, and whether that is sure to cost them their rewards.
    failed: BTreeMap<DeviceId, bool>,
    withdrawn: BTreeMap<(Asset, AccountId), u64>,
    payout_order: Vec<(Asset, AccountId)>,
    owners: BTreeMap<DeviceId, AccountId>,
    lanes: BTreeMap<(AccountId, u16), u64>,
    credited: u64,
    claimed: [u64; 2],
    settled: u64,
    fees_in: [u128; 3],
    closed: BTreeMap<Epoch, [u64; 3]>,
    emitted: u128,
    /// What an epoch that is being closed has given so far.
    given: BTreeMap<Epoch, u64>,
    burned: [u128; 3],
    suspense: BTreeMap<u64, (Asset, u64)>,
    batches: u64,
    frozen: BTreeMap<u64, vaults::Frozen>,
    forgets_withdrawals: bool,
    /// How often everything happened, for the report.
    pub seen: BTreeMap<String, u64>,
}

/// A system account as a holder.
fn system(account: SystemAccount) -> Holder {
    Holder::System(account)
}

/// ⌊a·b/c⌋.
fn floor(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c)).unwrap()
}

/// ⌈a·b/c⌉.
fn ceil(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from((u128::from(a) * u128::from(b)).div_ceil(u128::from(c))).unwrap()
}

impl Auditor {
    /// The books of genesis. One who forgets withdrawals is wrong on purpose.
    pub fn new(spec: &GenesisSpec, forgets_withdrawals: bool) -> Self {
        let mut auditor = Self {
            spec: spec.clone(),
            money: BTreeMap::new(),
            orders: BTreeMap::new(),
            bookings: BTreeMap::new(),
            stakes: BTreeMap::new(),
            verifiers: BTreeMap::new(),
            accruals: BTreeMap::new(),
            ripe: BTreeMap::new(),
            old: BTreeSet::new(),
            passed: BTreeSet::new(),
            failed: BTreeMap::new(),
            withdrawn: BTreeMap::new(),
            payout_order: Vec::new(),
            owners: BTreeMap::new(),
            lanes: BTreeMap::new(),
            credited: 0,
            claimed: [0; 2],
            settled: 0,
            fees_in: [0; 3],
            closed: BTreeMap::new(),
            emitted: 0,
            given: BTreeMap::new(),
            burned: [0; 3],
            suspense: BTreeMap::new(),
            batches: 0,
            frozen: BTreeMap::new(),
            forgets_withdrawals,
            seen: BTreeMap::new(),
        };
        for row in &spec.balances {
            let outside = system(SystemAccount::Outside);
            auditor.pay(outside, row.account.into(), row.asset, row.amount.get());
        }
        for row in &spec.verifiers {
            auditor.verifiers.insert(row.account, row.stake.get());
        }
        auditor
    }

    fn pay(&mut self, from: Holder, to: Holder, asset: Asset, amount: u64) {
        *self.money.entry((from, asset)).or_default() -= i128::from(amount);
        *self.money.entry((to, asset)).or_default() += i128::from(amount);
        if to == system(SystemAccount::Revenue) {
            self.fees_in[usize::from(asset.number())] += u128::from(amount);
        }
    }

    fn count(&mut self, what: String) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn balance(&self, holder: Holder, asset: Asset) -> i128 {
        self.money.get(&(holder, asset)).copied().unwrap_or(0)
    }

    /// Follows one committed block, then compares every row that is known.
    pub fn block(
        &mut self,
        block: &Block,
        outcome: &BlockOutcome,
        rows: Rows<'_>,
        solana: &Solana,
    ) -> Check {
        same(
            "outcomes in the block",
            &outcome.transactions.len(),
            &block.transactions.len(),
        )?;
        let user = block.transactions.iter().zip(&outcome.transactions).skip(1);
        for (bytes, outcome) in user {
            if outcome.inadmissible {
                same(
                    "events of a transaction that may not enter",
                    &outcome.events.len(),
                    &0,
                )?;
                continue;
            }
            let transaction = Transaction::decode(bytes).map_err(text)?;
            self.transaction(&transaction, outcome.code, &outcome.events)
                .map_err(|what| {
                    let names: Vec<_> = transaction.body.actions.iter().map(Action::name).collect();
                    format!("transaction of {names:?}: {what}")
                })?;
        }
        for event in &outcome.events {
            self.event(event, false, Some(solana))?;
        }
        self.facts(rows)?;
        self.compare_money(rows)?;
        self.compare_holds(rows)?;
        self.compare_things(block, rows)?;
        self.note_freeze(outcome);
        self.compare_bridge(outcome, rows, solana)?;
        self.compare_vaults(solana)
    }

    fn transaction(&mut self, transaction: &Transaction, code: u32, events: &[Event]) -> Check {
        let body = &transaction.body;
        let duty = body.actions.iter().all(Action::is_duty);
        let lane = self.lanes.entry((body.signer, body.lane)).or_default();
        *lane += 1;
        same("sequence", &body.sequence, lane)?;
        let (fees, rest): (Vec<&Event>, Vec<&Event>) = events
            .iter()
            .partition(|event| matches!(event, Event::FeePaid { .. }));
        let fee = Event::FeePaid {
            payer: body.signer,
            amount: self.spec.params.admission.fee,
        };
        let wanted: Vec<&Event> = if duty { Vec::new() } else { vec![&fee] };
        same("fees paid", &fees, &wanted)?;
        if !duty {
            self.pay(
                body.signer.into(),
                system(SystemAccount::Revenue),
                Asset::Io,
                self.spec.params.admission.fee.get(),
            );
        }
        if code != 0 {
            self.count(format!("rejection {code}"));
            return same("events of a rejected transaction", &rest, &Vec::new());
        }
        let expected: Vec<Event> = body
            .actions
            .iter()
            .filter_map(|action| promised(body.signer, action))
            .collect();
        let came: Vec<Event> = rest
            .iter()
            .filter(|event| {
                matches!(
                    event,
                    Event::Transferred { .. }
                        | Event::Withdrawn { .. }
                        | Event::StakeWithdrawn { .. }
                        | Event::OrderCancelled { .. }
                )
            })
            .map(|event| (*event).clone())
            .collect();
        same("what the actions promised", &came, &expected)?;
        for action in &body.actions {
            self.count(format!("action {}", action.name()));
        }
        let proven = rest
            .iter()
            .any(|event| matches!(event, Event::FraudProven { .. }));
        for event in rest {
            self.event(event, proven, None)?;
        }
        Ok(())
    }
}

/// The event that an accepted action must have, where it says all of it.
fn promised(signer: AccountId, action: &Action) -> Option<Event> {
    match action {
        Action::Transfer(action) => Some(Event::Transferred {
            from: signer,
            to: action.to,
            asset: action.asset,
            amount: action.amount,
        }),
        Action::Withdraw(action) => Some(Event::Withdrawn {
            account: signer,
            asset: action.asset,
            amount: action.amount,
        }),
        Action::WithdrawStake(action) => Some(Event::StakeWithdrawn {
            device: action.device,
            staker: signer,
            amount: action.amount,
        }),
        Action::CancelOrder(action) => Some(Event::OrderCancelled {
            order: action.order,
        }),
        _other => None,
    }
}
