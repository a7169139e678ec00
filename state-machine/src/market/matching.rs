//! Matching: orders in rank order, each against devices in rank order.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use io_storage::Fault;
use io_types::action::{PlaceOrder, Spread};
use io_types::codec::hash_of;
use io_types::row::{Device, OrderState};
use io_types::{Asset, DeviceId, Hash, MicroUsd, OrderId};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::market::index::{DeviceRank, Index, OrderRank, device_rank, is_free, order_rank};
use crate::market::{booking, report};
use crate::state::State;
use crate::tables::{DEVICES, ORDERS};
use crate::{price, stake};

/// A device that could be hired, with what counts of it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The row as of now.
    pub device: Device,
    /// The ask as of the start of the block.
    pub ask: MicroUsd,
}

/// What this block itself made free, by rank as of the start of the block: the index does not know it yet.
pub(super) type Freed = BTreeSet<(DeviceRank, DeviceId)>;

/// Matches the book.
pub fn match_orders(
    state: &mut State<'_>,
    block: &BlockContext,
    derived: &Derived,
) -> Result<(), Fault> {
    let freed = freed(state)?;
    for id in ranked_orders(state, block, &derived.market)? {
        let Some(mut order) = ORDERS
            .get(state, &id)?
            .filter(|order| order.state == OrderState::Open)
        else {
            continue;
        };
        let waits = waits_for_price(state, block, order.ask.asset)?;
        let found = if waits {
            None
        } else {
            find(state, block, &derived.market, &freed, &order.ask)?
        };
        let booked = match found {
            Some(devices) => booking::create(state, block, &mut order, devices)?,
            None => false,
        };
        if !booked {
            report::keep(state, block, derived, &mut order, waits)?;
        }
    }
    Ok(())
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

/// Devices that were not free at the start of the block, and are now.
pub(super) fn freed(state: &State<'_>) -> Result<Freed, Fault> {
    let mut freed = Freed::new();
    let written = state
        .overlay()
        .writes()
        .filter(|(table, ..)| *table == DEVICES.id);
    for (_table, key, value) in written {
        let Some(before) = state.overlay().old(DEVICES.id, key)? else {
            continue;
        };
        let before = DEVICES.decode(&before)?;
        let now = value.map(|bytes| DEVICES.decode(bytes)).transpose()?;
        if !is_free(&before) && now.as_ref().is_some_and(is_free) {
            freed.insert((device_rank(&before), before.id));
        }
    }
    Ok(freed)
}

/// Open orders by price, block, hash: the book at the start of the block, and this block's.
fn ranked_orders(
    state: &State<'_>,
    block: &BlockContext,
    index: &Index,
) -> Result<Vec<OrderId>, Fault> {
    let mut ranked: BTreeSet<(OrderRank, OrderId)> = index.orders.clone();
    for (_table, _key, value) in state
        .overlay()
        .writes()
        .filter(|(table, ..)| *table == ORDERS.id)
    {
        let Some(order) = value.map(|bytes| ORDERS.decode(bytes)).transpose()? else {
            continue;
        };
        if order.state == OrderState::Open {
            ranked.insert((order_rank(&order), order.id));
        }
    }
    let limit = usize::try_from(block.params.market.match_orders_max).unwrap_or(usize::MAX);
    let mut hashed: Vec<(OrderRank, Hash, OrderId)> = ranked
        .into_iter()
        .map(|(rank, id)| (rank, tie(block, id.0), id))
        .collect();
    hashed.sort_unstable();
    Ok(hashed
        .into_iter()
        .take(limit)
        .map(|(_rank, _hash, id)| id)
        .collect())
}

/// What orders equals: H(previous app hash ‖ id).
fn tie(block: &BlockContext, id: u64) -> Hash {
    hash_of(b"io-chain/tie/v1\0", &(block.app_hash_before, id))
}

/// The devices that fill an order, in the order in which they were taken; none if it cannot be filled.
pub(super) fn find(
    state: &State<'_>,
    block: &BlockContext,
    index: &Index,
    freed: &Freed,
    ask: &PlaceOrder,
) -> Result<Option<Vec<Candidate>>, Fault> {
    match ask.spread {
        Spread::Any => {
            let mut walk = Walk::new(ask.quantity);
            for id in Ranked::new(block, index, freed, ask) {
                let candidate = eligible(state, block, ask, id)?;
                if candidate.is_some_and(|candidate| walk.take(candidate)) {
                    break;
                }
            }
            Ok(walk.filled())
        }
        Spread::OneSupplier => grouped(state, block, (index, freed), ask, |device| {
            device.owner.0.to_vec()
        }),
        Spread::OneCountry => grouped(state, block, (index, freed), ask, |device| {
            device.spec.country.0.to_vec()
        }),
    }
}

/// The same walk for each group; the cheapest total wins, then the lowest first device.
fn grouped(
    state: &State<'_>,
    block: &BlockContext,
    (index, freed): (&Index, &Freed),
    ask: &PlaceOrder,
    group: fn(&Device) -> Vec<u8>,
) -> Result<Option<Vec<Candidate>>, Fault> {
    let mut walks: BTreeMap<Vec<u8>, Walk> = BTreeMap::new();
    for id in Ranked::new(block, index, freed, ask) {
        if let Some(candidate) = eligible(state, block, ask, id)? {
            let walk = walks
                .entry(group(&candidate.device))
                .or_insert_with(|| Walk::new(ask.quantity));
            walk.take(candidate);
        }
    }
    let filled = walks.into_values().filter_map(Walk::filled);
    Ok(filled.min_by_key(|devices| {
        (
            total_ask(devices),
            devices.iter().map(|taken| taken.device.id).min(),
        )
    }))
}

/// Σ ask·Q, micro-USD per hour.
fn total_ask(devices: &[Candidate]) -> u128 {
    devices.iter().fold(0, |sum, taken| {
        sum.saturating_add(
            u128::from(taken.ask.0).saturating_mul(u128::from(taken.device.spec.quantity)),
        )
    })
}

/// Taking devices until nothing is missing.
struct Walk {
    missing: u16,
    taken: Vec<Candidate>,
}

impl Walk {
    fn new(quantity: u16) -> Self {
        Self {
            missing: quantity,
            taken: Vec::new(),
        }
    }

    /// Takes a device that is not too large. Says whether nothing is missing any more.
    fn take(&mut self, candidate: Candidate) -> bool {
        let fits = self.missing.checked_sub(candidate.device.spec.quantity);
        if let Some(left) = fits.filter(|_left| self.missing > 0) {
            self.missing = left;
            self.taken.push(candidate);
        }
        self.missing == 0
    }

    fn filled(self) -> Option<Vec<Candidate>> {
        (self.missing == 0).then_some(self.taken)
    }
}

/// Why a device cannot fill an order, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excluded {
    Model,
    State,
    Stake,
    Country,
    Connectivity,
    Compliance,
    Reputation,
    Price,
    Desk,
}

/// The first predicate that a device fails.
pub(super) fn excluded(
    state: &State<'_>,
    block: &BlockContext,
    ask: &PlaceOrder,
    candidate: &Candidate,
) -> Result<Option<Excluded>, Fault> {
    let Candidate { device, ask: price } = candidate;
    let spec = &device.spec;
    let band = block
        .model(spec.model)
        .map_or((MicroUsd(1), MicroUsd(0)), |model| {
            (model.price_floor, model.price_ceiling)
        });
    Ok(if ask.models.binary_search(&spec.model).is_err() {
        Some(Excluded::Model)
    } else if !is_free(device) {
        Some(Excluded::State)
    } else if !stake::is_enough(state, block, device)? {
        Some(Excluded::Stake)
    } else if !ask.countries.is_empty() && ask.countries.binary_search(&spec.country).is_err() {
        Some(Excluded::Country)
    } else if spec.connectivity < ask.connectivity_min {
        Some(Excluded::Connectivity)
    } else if device.compliance < ask.compliance_min {
        Some(Excluded::Compliance)
    } else if device.reputation < ask.reputation_min {
        Some(Excluded::Reputation)
    } else if *price > ask.price_max || *price < band.0 || *price > band.1 {
        Some(Excluded::Price)
    } else if spec.payout_asset != ask.asset {
        Some(Excluded::Desk)
    } else {
        None
    })
}

/// A device as a candidate: its row as of now, its ask as of the start of the block. None if it did not exist then.
pub(super) fn candidate(state: &State<'_>, id: DeviceId) -> Result<Option<Candidate>, Fault> {
    let Some(device) = DEVICES.get(state, &id)? else {
        return Ok(None);
    };
    let key = crate::table::Key::to_bytes(&id);
    let Some(before) = state.overlay().old(DEVICES.id, &key)? else {
        return Ok(None);
    };
    let ask = DEVICES.decode(&before)?.spec.ask;
    Ok(Some(Candidate { device, ask }))
}

fn eligible(
    state: &State<'_>,
    block: &BlockContext,
    ask: &PlaceOrder,
    id: DeviceId,
) -> Result<Option<Candidate>, Fault> {
    let Some(candidate) = candidate(state, id)? else {
        return Ok(None);
    };
    Ok(excluded(state, block, ask, &candidate)?
        .is_none()
        .then_some(candidate))
}

type Source<'i> = Peekable<Box<dyn Iterator<Item = (DeviceRank, DeviceId)> + 'i>>;

/// Devices of all accepted models in rank order, up to the price limit; equal ranks by hash.
struct Ranked<'i> {
    block: &'i BlockContext,
    sources: Vec<Source<'i>>,
    equals: Vec<DeviceId>,
}

impl<'i> Ranked<'i> {
    fn new(block: &'i BlockContext, index: &'i Index, freed: &'i Freed, ask: &PlaceOrder) -> Self {
        let limit = ask.price_max;
        let mut sources: Vec<Source<'i>> = Vec::new();
        let by_model = ask
            .models
            .iter()
            .filter_map(|model| index.devices.get(model));
        for set in by_model.chain([freed]) {
            let ranked = set
                .iter()
                .copied()
                .take_while(move |((price, ..), _id)| *price <= limit);
            let ranked: Box<dyn Iterator<Item = (DeviceRank, DeviceId)> + 'i> = Box::new(ranked);
            sources.push(ranked.peekable());
        }
        Self {
            block,
            sources,
            equals: Vec::new(),
        }
    }

    /// The next devices of one rank, by hash, last first.
    fn refill(&mut self) {
        let Some(rank) = self
            .sources
            .iter_mut()
            .filter_map(|source| source.peek().map(|(rank, _id)| *rank))
            .min()
        else {
            return;
        };
        let mut equals = Vec::new();
        for source in &mut self.sources {
            while let Some((_rank, id)) = source.next_if(|(next, _id)| *next == rank) {
                equals.push(id);
            }
        }
        if equals.len() > 1 {
            equals.sort_by_cached_key(|id| std::cmp::Reverse(tie(self.block, id.0)));
        }
        self.equals = equals;
    }
}

impl Iterator for Ranked<'_> {
    type Item = DeviceId;

    fn next(&mut self) -> Option<DeviceId> {
        if self.equals.is_empty() {
            self.refill();
        }
        self.equals.pop()
    }
}
