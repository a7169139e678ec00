//! Matching: orders in rank order, each against devices in rank order.
//!
//! The work of a block is bounded: it ends with the order at which the steps of the block are used up, and the next block
//! goes on after it. So every order of the book has its turn, however many stand before it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use io_storage::Fault;
use io_types::action::{PlaceOrder, Spread};
use io_types::catalogue::{CountryCode, ModelId};
use io_types::row::{Device, OrderState};
use io_types::{AccountId, Asset, DeviceId, Height, MicroUsd, OrderId};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::market::book::Book;
use crate::market::index::{Index, OrderPlace};
use crate::market::shelf::Entry;
use crate::market::{booking, report};
use crate::state::State;
use crate::tables::ORDERS;
use crate::{device, price};

/// Steps after which an order for one supplier or one country looks no further: the best group found so far is taken.
const GROUP_STEPS_MAX: u64 = 20_000;
/// Steps between two looks at whether any group can still be cheaper.
const GROUP_CHECK_STEPS: u64 = 64;
/// Steps that an order counts beside its search.
const ORDER_STEPS: u64 = 4;

/// A device that is hired, with what counts of it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The row as of now.
    pub device: Device,
    /// The ask as of the start of the block.
    pub ask: MicroUsd,
}

/// A device on a shelf, and its model.
pub(super) type Found = (ModelId, Entry);

/// The order tried last: price limit, height of entry, number.
pub(super) type Cursor = Option<(MicroUsd, Height, OrderId)>;

/// Matches the book, from where the block before stopped.
pub fn match_orders(
    state: &mut State<'_>,
    block: &BlockContext,
    derived: &Derived,
    tried: &mut Option<(MicroUsd, Height, OrderId)>,
) -> Result<(), Fault> {
    let index = &derived.market;
    let new = new_orders(state, index)?;
    if index.orders.is_empty() && new.is_empty() {
        *tried = None;
        return Ok(());
    }
    let mut book = Book::new(index, state)?;
    let params = &block.params.market;
    let mut steps = 0_u64;
    let mut orders = 0_u32;
    for place in in_turn(index, &new, *tried) {
        if orders >= params.match_orders_max || steps >= u64::from(params.match_steps_max) {
            return Ok(());
        }
        let Some(order) = ORDERS
            .get(state, &place.id)?
            .filter(|order| order.state == OrderState::Open)
        else {
            continue;
        };
        orders = orders.saturating_add(1);
        steps = steps.saturating_add(try_order(state, block, &mut book, order)?);
        *tried = Some(place.facts());
    }
    *tried = None;
    Ok(())
}

/// Tries one order. Says the steps that it took.
fn try_order(
    state: &mut State<'_>,
    block: &BlockContext,
    book: &mut Book<'_>,
    mut order: io_types::row::Order,
) -> Result<u64, Fault> {
    let mut steps = ORDER_STEPS;
    let waits = waits_for_price(state, block, order.ask.asset)?;
    let found = if waits {
        None
    } else {
        find(state, book, &order.ask, &mut steps)?
    };
    if let Some(found) = found {
        let candidates = candidates(state, &found)?;
        if booking::create(state, block, &mut order, candidates)? {
            for (model, entry) in &found {
                book.hire(*model, entry);
            }
            return Ok(steps);
        }
    }
    report::keep(state, block, book, (&mut order, waits), &mut steps)?;
    Ok(steps)
}

/// The rows of devices that were found.
pub(super) fn candidates(state: &State<'_>, found: &[Found]) -> Result<Vec<Candidate>, Fault> {
    let row = |(_model, entry): &Found| {
        let device = device::read(state, entry.place.id)?;
        let ask = entry.place.ask;
        Ok(Candidate { device, ask })
    };
    found.iter().map(row).collect()
}

/// Whether an order of this asset must wait: no fresh IO price, or USDC off its dollar.
pub(super) fn waits_for_price(
    state: &State<'_>,
    block: &BlockContext,
    asset: Asset,
) -> Result<bool, Fault> {
    Ok(match asset {
        Asset::Io => price::fresh(state, block)?.is_none(),
        Asset::Usdc => !price::usdc_holds(state, block)?,
        Asset::Credit => true,
    })
}

/// Open orders that this block wrote: those that it placed.
fn new_orders(state: &State<'_>, index: &Index) -> Result<BTreeSet<OrderPlace>, Fault> {
    let mut new = BTreeSet::new();
    for (_key, value) in state.overlay().writes_of(ORDERS.id) {
        let Some(order) = value.map(|bytes| ORDERS.decode(bytes)).transpose()? else {
            continue;
        };
        let place = OrderPlace::of(&order);
        if order.state == OrderState::Open && !index.orders.contains(&place) {
            new.insert(place);
        }
    }
    Ok(new)
}

/// The book in rank order, beginning after the order tried last and ending with it.
fn in_turn<'i>(
    index: &'i Index,
    new: &'i BTreeSet<OrderPlace>,
    tried: Cursor,
) -> impl Iterator<Item = OrderPlace> + 'i {
    let at = tried.map(|(price, entered, id)| OrderPlace::at(price, entered, id));
    let from = at.map_or(Bound::Unbounded, Bound::Excluded);
    let rest = at.map(|at| merged(index, new, (Bound::Unbounded, Bound::Included(at))));
    merged(index, new, (from, Bound::Unbounded)).chain(rest.into_iter().flatten())
}

fn merged<'i>(
    index: &'i Index,
    new: &'i BTreeSet<OrderPlace>,
    range: (Bound<OrderPlace>, Bound<OrderPlace>),
) -> impl Iterator<Item = OrderPlace> + 'i {
    let mut old = index.orders.range(range).peekable();
    let mut new = new.range(range).peekable();
    std::iter::from_fn(move || {
        let first = match (old.peek(), new.peek()) {
            (Some(left), Some(right)) => left < right,
            (left, _right) => left.is_some(),
        };
        if first { old.next() } else { new.next() }.copied()
    })
}

/// The devices that fill an order, in the order in which they were taken; none if it cannot be filled.
pub(super) fn find(
    state: &State<'_>,
    book: &Book<'_>,
    ask: &PlaceOrder,
    steps: &mut u64,
) -> Result<Option<Vec<Found>>, Fault> {
    Ok(match ask.spread {
        Spread::Any => walk(book, ask, &ask.countries, steps).filled(),
        Spread::OneCountry => one_country(book, ask, steps),
        Spread::OneSupplier => one_supplier(state, book, ask, steps)?,
    })
}

fn walk(book: &Book<'_>, ask: &PlaceOrder, countries: &[CountryCode], steps: &mut u64) -> Walk {
    let mut walk = Walk::new(ask.quantity);
    let mut ranked = book.ranked(ask, countries);
    while walk.missing > 0
        && let Some(found) = ranked.next(walk.missing)
    {
        walk.take(found);
    }
    *steps = steps.saturating_add(ranked.steps);
    walk
}

/// The same walk for each country; the cheapest total wins, then the lowest device.
fn one_country(book: &Book<'_>, ask: &PlaceOrder, steps: &mut u64) -> Option<Vec<Found>> {
    let countries: Vec<CountryCode> = if ask.countries.is_empty() {
        book.countries(&ask.models).into_iter().collect()
    } else {
        ask.countries.clone()
    };
    let limit = steps.saturating_add(GROUP_STEPS_MAX);
    let mut best: Option<Walk> = None;
    for country in countries {
        if *steps >= limit {
            break;
        }
        let walk = walk(book, ask, &[country], steps);
        let better = best.as_ref().is_none_or(|best| walk.cost() < best.cost());
        if walk.missing == 0 && better {
            best = Some(walk);
        }
    }
    best.and_then(Walk::filled)
}

/// The same walk for each supplier, all in one pass. It ends when no group that is not full can be cheaper than the best.
fn one_supplier(
    state: &State<'_>,
    book: &Book<'_>,
    ask: &PlaceOrder,
    steps: &mut u64,
) -> Result<Option<Vec<Found>>, Fault> {
    let mut open: BTreeMap<AccountId, Walk> = BTreeMap::new();
    let mut full: BTreeSet<AccountId> = BTreeSet::new();
    let mut best: Option<Walk> = None;
    let mut ranked = book.ranked(ask, &ask.countries);
    let mut looked = 0_u64;
    while looked < GROUP_STEPS_MAX
        && let Some(found) = ranked.next(ask.quantity)
    {
        looked = looked.saturating_add(1);
        let at = found.1.place.ask;
        if let Some(best) = &best
            && looked.is_multiple_of(GROUP_CHECK_STEPS)
            && Walk::new(ask.quantity).least_cost(at) > best.total
            && open.values().all(|walk| walk.least_cost(at) > best.total)
        {
            break;
        }
        let owner = device::read(state, found.1.place.id)?.owner;
        if full.contains(&owner) {
            continue;
        }
        let walk = open.entry(owner).or_insert_with(|| Walk::new(ask.quantity));
        walk.take(found);
        if walk.missing == 0 {
            full.insert(owner);
            let walk = open.remove(&owner);
            let better = |best: &Walk| walk.as_ref().is_some_and(|walk| walk.cost() < best.cost());
            if best.as_ref().is_none_or(better) {
                best = walk;
            }
        }
    }
    *steps = steps.saturating_add(ranked.steps);
    Ok(best.and_then(Walk::filled))
}

/// Taking devices until nothing is missing.
struct Walk {
    missing: u16,
    /// Σ ask·Q of the taken, micro-USD per hour.
    total: u128,
    taken: Vec<Found>,
}

impl Walk {
    fn new(quantity: u16) -> Self {
        Self {
            missing: quantity,
            total: 0,
            taken: Vec::new(),
        }
    }

    /// Takes a device that is not too large.
    fn take(&mut self, found: Found) {
        let entry = &found.1;
        if let Some(left) = self.missing.checked_sub(entry.quantity) {
            self.missing = left;
            let cost = u128::from(entry.place.ask.0).saturating_mul(entry.quantity.into());
            self.total = self.total.saturating_add(cost);
            self.taken.push(found);
        }
    }

    /// What it costs in the end at least, if every further device asks that much or more.
    fn least_cost(&self, ask: MicroUsd) -> u128 {
        let rest = u128::from(ask.0).saturating_mul(self.missing.into());
        self.total.saturating_add(rest)
    }

    /// What groups are compared by: the total, then the lowest device.
    fn cost(&self) -> (u128, Option<DeviceId>) {
        let lowest = self.taken.iter().map(|(_, entry)| entry.place.id).min();
        (self.total, lowest)
    }

    fn filled(self) -> Option<Vec<Found>> {
        (self.missing == 0).then_some(self.taken)
    }
}
