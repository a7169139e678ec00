//! Why an order did not fill; and the same answer for an order that was not sent yet.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use io_storage::Fault;
use io_types::action::{PlaceOrder, Spread};
use io_types::api::Quote;
use io_types::row::{DeviceState, MatchReport, Order};
use io_types::{DeviceId, MicroUsd};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::error::ActionError;
use crate::market::action::{check_order, hold_needed};
use crate::market::booking::{lines, price_of};
use crate::market::matching::{
    Candidate, Excluded, candidate, excluded, find, freed, waits_for_price,
};
use crate::market::terms::terms;
use crate::state::State;
use crate::tables::{DEVICES, ORDERS};

/// A report looks at every device, so it is made at the first try and then every so many blocks.
const EVERY_BLOCKS: u64 = 60;

/// Keeps the report of an order that did not fill.
pub(super) fn keep(
    state: &mut State<'_>,
    block: &BlockContext,
    derived: &Derived,
    order: &mut Order,
    no_price: bool,
) -> Result<(), Fault> {
    let age = block.height.0.saturating_sub(order.entered.0);
    if order.report.is_some() && age.rem_euclid(EVERY_BLOCKS) != 0 {
        return Ok(());
    }
    let mut report = make(state, block, derived, &order.ask)?;
    report.no_price = no_price;
    order.report = Some(report);
    ORDERS.put(state, &order.id, order);
    Ok(())
}

/// Counts the devices that each predicate excludes.
pub(super) fn make(
    state: &State<'_>,
    block: &BlockContext,
    derived: &Derived,
    ask: &PlaceOrder,
) -> Result<MatchReport, Fault> {
    let mut report = MatchReport {
        height: block.height,
        ..MatchReport::default()
    };
    let mut ids = Vec::new();
    DEVICES.scan(state, &DeviceId(0), None, &mut |id, device| {
        if device.state != DeviceState::Retired {
            ids.push(id);
        }
        ControlFlow::Continue(())
    })?;
    let mut left = Vec::new();
    for id in ids {
        let Some(candidate) = candidate(state, id)? else {
            continue;
        };
        report.devices = report.devices.saturating_add(1);
        match excluded(state, block, ask, &candidate)? {
            Some(why) => count(&mut report, why),
            None => left.push(candidate),
        }
    }
    count_left(&mut report, ask, &left);
    let any_price = PlaceOrder {
        price_max: MicroUsd(u64::MAX),
        ..ask.clone()
    };
    let found = find(state, block, &derived.market, &freed(state)?, &any_price)?;
    report.fills_at = found.and_then(|devices| devices.iter().map(|taken| taken.ask).max());
    Ok(report)
}

fn count(report: &mut MatchReport, why: Excluded) {
    let counter = match why {
        Excluded::Model => &mut report.model,
        Excluded::State => &mut report.state,
        Excluded::Stake => &mut report.stake,
        Excluded::Country => &mut report.country,
        Excluded::Connectivity => &mut report.connectivity,
        Excluded::Compliance => &mut report.compliance,
        Excluded::Reputation => &mut report.reputation,
        Excluded::Price => &mut report.price,
        Excluded::Desk => &mut report.desk,
    };
    *counter = counter.saturating_add(1);
}

/// Devices that every predicate lets through: outside the best group, or too many processors, or not enough in all.
fn count_left(report: &mut MatchReport, ask: &PlaceOrder, left: &[Candidate]) {
    let group = |candidate: &Candidate| match ask.spread {
        Spread::Any => Vec::new(),
        Spread::OneSupplier => candidate.device.owner.0.to_vec(),
        Spread::OneCountry => candidate.device.spec.country.0.to_vec(),
    };
    let mut sizes: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for candidate in left {
        let size = sizes.entry(group(candidate)).or_default();
        *size = size.saturating_add(u64::from(candidate.device.spec.quantity));
    }
    let best = sizes
        .iter()
        .max_by_key(|(_group, size)| **size)
        .map(|(group, _size)| group.clone());
    for candidate in left {
        if Some(group(candidate)) == best {
            report.quantity = report.quantity.saturating_add(1);
        } else {
            report.spread = report.spread.saturating_add(1);
        }
    }
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
    let report = MatchReport {
        no_price: waits_for_price(state, block, ask.asset)?,
        ..make(state, block, derived, ask)?
    };
    let hold = match hold_needed(state, block, ask) {
        Ok(hold) => Some(hold),
        Err(ActionError::Rejected(_why)) => None,
        Err(ActionError::Faulted(fault)) => return Err(fault.into()),
    };
    let found = if report.no_price {
        None
    } else {
        find(state, block, &derived.market, &freed(state)?, ask)?
    };
    let Some(devices) = found else {
        return Ok(Quote {
            devices: Vec::new(),
            cost: MicroUsd(0),
            total: None,
            hold,
            report,
        });
    };
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
