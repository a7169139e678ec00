//! Why an order did not fill; and the same answer for an order that was not sent yet.
//!
//! Devices of other models, those that are not free and those without enough stake are counted as the index keeps them. The
//! rest are looked at one by one in rank order, at most [`LOOKS_MAX`]: a report never looks at the whole market. What all
//! counts together lack of `devices` are devices that rank behind those.

use std::collections::BTreeMap;

use io_storage::Fault;
use io_types::action::{PlaceOrder, Spread};
use io_types::api::Quote;
use io_types::row::{MatchReport, Order};
use io_types::{Height, MicroUsd};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::device;
use crate::error::ActionError;
use crate::market::action::{check_order, hold_needed};
use crate::market::book::Book;
use crate::market::booking::{lines, price_of};
use crate::market::matching::{candidates, find, waits_for_price};
use crate::market::shelf::Entry;
use crate::market::terms::terms;
use crate::state::State;
use crate::tables::ORDERS;

/// A report is made at the first try and then every so many blocks.
const EVERY_BLOCKS: u64 = 60;
/// Devices that a report looks at.
const LOOKS_MAX: usize = 256;
/// Steps that a report counts beside its search.
const REPORT_STEPS: u64 = 64;

/// Keeps the report of an order that did not fill.
pub(super) fn keep(
    state: &mut State<'_>,
    block: &BlockContext,
    book: &Book<'_>,
    (order, no_price): (&mut Order, bool),
    steps: &mut u64,
) -> Result<(), Fault> {
    let due = |report: &MatchReport| block.height.0 >= report.height.0.saturating_add(EVERY_BLOCKS);
    if !order.report.as_ref().is_none_or(due) {
        return Ok(());
    }
    let mut report = make(state, block.height, book, &order.ask, steps)?;
    report.no_price = no_price;
    order.report = Some(report);
    ORDERS.put(state, &order.id, order);
    Ok(())
}

/// Counts the devices that each predicate excludes.
fn make(
    state: &State<'_>,
    height: Height,
    book: &Book<'_>,
    ask: &PlaceOrder,
    steps: &mut u64,
) -> Result<MatchReport, Fault> {
    *steps = steps.saturating_add(REPORT_STEPS);
    let mut report = MatchReport {
        height,
        devices: book.present(),
        ..MatchReport::default()
    };
    let mut of_models = 0_u64;
    for model in &ask.models {
        let counts = book.counts(*model);
        of_models = of_models.saturating_add(counts.present);
        let busy = counts.present.saturating_sub(counts.free);
        report.state = report.state.saturating_add(busy);
        let short = counts.free.saturating_sub(counts.shelved);
        report.stake = report.stake.saturating_add(short);
    }
    report.model = report.devices.saturating_sub(of_models);
    let mut left = Vec::new();
    for entry in book.first(&ask.models, LOOKS_MAX) {
        match excluded(&mut report, ask, &entry) {
            Some(counter) => *counter = counter.saturating_add(1),
            None => left.push(entry),
        }
    }
    count_left(state, &mut report, ask, &left)?;
    let any_price = PlaceOrder {
        price_max: MicroUsd(u64::MAX),
        ..ask.clone()
    };
    let found = find(state, book, &any_price, steps)?;
    report.fills_at =
        found.and_then(|found| found.iter().map(|(_model, entry)| entry.place.ask).max());
    Ok(report)
}

/// The counter of the first predicate that a device on a shelf fails, in the order of the report.
fn excluded<'r>(
    report: &'r mut MatchReport,
    ask: &PlaceOrder,
    entry: &Entry,
) -> Option<&'r mut u64> {
    if !ask.countries.is_empty() && ask.countries.binary_search(&entry.country).is_err() {
        Some(&mut report.country)
    } else if entry.connectivity < ask.connectivity_min {
        Some(&mut report.connectivity)
    } else if entry.compliance < ask.compliance_min {
        Some(&mut report.compliance)
    } else if entry.reputation < ask.reputation_min {
        Some(&mut report.reputation)
    } else if entry.place.ask > ask.price_max || !entry.in_band {
        Some(&mut report.price)
    } else if entry.payout != ask.asset {
        Some(&mut report.desk)
    } else {
        None
    }
}

/// Devices that every predicate lets through: outside the best group, or too many processors, or not enough in all.
fn count_left(
    state: &State<'_>,
    report: &mut MatchReport,
    ask: &PlaceOrder,
    left: &[Entry],
) -> Result<(), Fault> {
    let mut groups = Vec::with_capacity(left.len());
    let mut sizes: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for entry in left {
        let group = match ask.spread {
            Spread::Any => Vec::new(),
            Spread::OneSupplier => device::read(state, entry.place.id)?.owner.0.to_vec(),
            Spread::OneCountry => entry.country.0.to_vec(),
        };
        let size = sizes.entry(group.clone()).or_default();
        *size = size.saturating_add(u64::from(entry.quantity));
        groups.push(group);
    }
    let best = sizes
        .iter()
        .max_by_key(|(_group, size)| **size)
        .map(|(group, _size)| group.clone());
    for group in groups {
        if Some(group) == best {
            report.quantity = report.quantity.saturating_add(1);
        } else {
            report.spread = report.spread.saturating_add(1);
        }
    }
    Ok(())
}

/// What an order would do if it were sent now.
///
/// Rejections: those of placing it, without funds and client id.
pub fn quote(
    ask: &PlaceOrder,
    block: &BlockContext,
    derived: &Derived,
    state: &mut State<'_>,
) -> Result<Quote, ActionError> {
    check_order(ask, block)?;
    let book = Book::new(&derived.market, state)?;
    let mut steps = 0;
    let report = MatchReport {
        no_price: waits_for_price(state, block, ask.asset)?,
        ..make(state, block.height, &book, ask, &mut steps)?
    };
    let hold = match hold_needed(state, block, ask) {
        Ok(hold) => Some(hold),
        Err(ActionError::Rejected(_why)) => None,
        Err(ActionError::Faulted(fault)) => return Err(fault.into()),
    };
    let found = if report.no_price {
        None
    } else {
        find(state, &book, ask, &mut steps)?
    };
    let Some(found) = found else {
        return Ok(Quote {
            devices: Vec::new(),
            cost: MicroUsd(0),
            total: None,
            hold,
            report,
        });
    };
    let devices = candidates(state, &found)?;
    let terms = terms(
        &block.params.market,
        ask.asset,
        price_of(state, block, ask.asset)?,
        ask.hours,
        &lines(&devices),
    );
    Ok(Quote {
        devices: devices.iter().map(|taken| taken.device.id).collect(),
        cost: MicroUsd(terms.as_ref().map_or(0, |terms| terms.cost)),
        total: terms.map(|terms| terms.units),
        hold,
        report: MatchReport {
            height: report.height,
            devices: report.devices,
            ..MatchReport::default()
        },
    })
}
