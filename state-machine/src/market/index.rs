//! Derived indices of the market: devices on shelves, open orders by rank and end, bookings that run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use io_storage::{Fault, Snapshot, WriteSet};
use io_types::catalogue::{Catalogue, CountryCode, ModelId};
use io_types::params::StakeParams;
use io_types::row::{Booking, BookingState, Device, DeviceState, Order, OrderState, Stake};
use io_types::{BookingId, DeviceId, Height, MicroUsd, OrderId};

use crate::market::shelf::{Entry, Place, Shelf, tie};
use crate::stake;
use crate::tables::{BOOKINGS, CATALOGUE, DEVICES, ORDERS, PARAMS, STAKES};

/// The place of an order in the book: price (higher first), then the height at which it entered, then a hash that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrderPlace {
    price: Reverse<MicroUsd>,
    entered: Height,
    tie: u64,
    /// Whose place it is.
    pub id: OrderId,
}

impl OrderPlace {
    /// The place of an order with these facts.
    pub(super) fn at(price_max: MicroUsd, entered: Height, id: OrderId) -> Self {
        Self {
            price: Reverse(price_max),
            entered,
            tie: tie(&(entered, id)),
            id,
        }
    }

    /// Where an order stands.
    pub(super) fn of(order: &Order) -> Self {
        Self::at(order.ask.price_max, order.entered, order.id)
    }

    /// What makes it again.
    pub(super) fn facts(&self) -> (MicroUsd, Height, OrderId) {
        (self.price.0, self.entered, self.id)
    }
}

/// Whether a device can be hired, as far as its own row says.
pub(super) fn is_free(device: &Device) -> bool {
    device.state == DeviceState::Ready && device.challenge.is_none() && device.booking.is_none()
}

/// Which devices a shelf holds: a model, a country (none: of all countries), processors of one device.
pub(super) type Kind = (ModelId, Option<CountryCode>, u16);

/// Devices of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Registered and not retired.
    pub present: u64,
    /// Of those, free to be hired.
    pub free: u64,
    /// Of those, with enough stake: on the shelves.
    pub shelved: u64,
}

/// The rules in force that decide who stands on a shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    stake: StakeParams,
    catalogue: Catalogue,
}

impl Rules {
    fn read(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        Ok(Self {
            stake: PARAMS.read(snapshot, &())?.unwrap_or_default().stake,
            catalogue: CATALOGUE.read(snapshot, &())?.unwrap_or_default(),
        })
    }

    /// The entry of a device that can be hired; `at` is where it stands.
    pub(super) fn entry(
        &self,
        device: &Device,
        staked: Option<&Stake>,
        at: Place,
    ) -> Option<Entry> {
        let counting = stake::counts(staked);
        if !is_free(device) || counting < stake::least(&self.stake, &self.catalogue, device) {
            return None;
        }
        let models = &self.catalogue.models;
        let model = models.iter().find(|model| model.id == device.spec.model)?;
        Some(Entry {
            place: at,
            quantity: device.spec.quantity,
            country: device.spec.country,
            reputation: device.reputation,
            connectivity: device.spec.connectivity,
            compliance: device.compliance,
            payout: device.spec.payout_asset,
            in_band: (model.price_floor..=model.price_ceiling).contains(&at.ask),
        })
    }
}

/// The two shelves of a device.
pub(super) fn kinds(model: ModelId, entry: &Entry) -> [Kind; 2] {
    [
        (model, None, entry.quantity),
        (model, Some(entry.country), entry.quantity),
    ]
}

/// The indices, as of the last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Devices that can be hired, each on the shelf of its country and on that of all countries. None is empty.
    pub(super) shelves: BTreeMap<Kind, Shelf>,
    /// Devices by claimed model.
    pub(super) counts: BTreeMap<ModelId, Counts>,
    pub(super) rules: Rules,
    /// Open orders by rank.
    pub(super) orders: BTreeSet<OrderPlace>,
    /// Open orders by their last height.
    pub(super) ends: BTreeSet<(Height, OrderId)>,
    /// Bookings that are not over.
    pub(super) running: BTreeSet<BookingId>,
}

impl Index {
    /// Builds everything from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        let mut index = Self {
            rules: Rules::read(snapshot)?,
            ..Self::default()
        };
        let mut fault = None;
        DEVICES.visit(
            snapshot,
            None,
            &mut |id, device| match STAKES.read(snapshot, &id) {
                Ok(stake) => {
                    index.put_device(&device, stake.as_ref());
                    ControlFlow::Continue(())
                }
                Err(found) => {
                    fault = Some(found);
                    ControlFlow::Break(())
                }
            },
        )?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        ORDERS.visit(snapshot, None, &mut |_id, order| {
            index.order(&order, true);
            ControlFlow::Continue(())
        })?;
        BOOKINGS.visit(snapshot, None, &mut |_id, booking| {
            index.booking(&booking, true);
            ControlFlow::Continue(())
        })?;
        Ok(index)
    }

    /// Whether a commit changed a rule, so that all must be built again.
    pub fn rules_changed(changes: &WriteSet) -> bool {
        let changed = |id| changes.table(id).next().is_some();
        changed(PARAMS.id) || changed(CATALOGUE.id)
    }

    /// Follows one commit; `after` is the version that it made.
    pub fn apply(&mut self, changes: &WriteSet, after: &dyn Snapshot) -> Result<(), Fault> {
        let mut moved: BTreeSet<DeviceId> = BTreeSet::new();
        for (key, change) in changes.table(DEVICES.id) {
            if let Some(old) = &change.old {
                self.take_device(&DEVICES.decode(old)?);
            }
            if change.new.is_some() {
                moved.insert(DEVICES.decode_key(key)?);
            }
        }
        for id in STAKES.changed(changes)? {
            if !moved.contains(&id)
                && let Some(device) = DEVICES.read(after, &id)?
            {
                self.take_device(&device);
                moved.insert(id);
            }
        }
        for id in moved {
            if let Some(device) = DEVICES.read(after, &id)? {
                self.put_device(&device, STAKES.read(after, &id)?.as_ref());
            }
        }
        for (_key, change) in changes.table(ORDERS.id) {
            for (bytes, present) in [(&change.old, false), (&change.new, true)] {
                if let Some(bytes) = bytes {
                    self.order(&ORDERS.decode(bytes)?, present);
                }
            }
        }
        for (_key, change) in changes.table(BOOKINGS.id) {
            for (bytes, present) in [(&change.old, false), (&change.new, true)] {
                if let Some(bytes) = bytes {
                    self.booking(&BOOKINGS.decode(bytes)?, present);
                }
            }
        }
        Ok(())
    }

    fn put_device(&mut self, device: &Device, staked: Option<&Stake>) {
        if device.state == DeviceState::Retired {
            return;
        }
        let model = device.spec.model;
        let counts = self.counts.entry(model).or_default();
        counts.present = counts.present.saturating_add(1);
        if !is_free(device) {
            return;
        }
        counts.free = counts.free.saturating_add(1);
        let Some(entry) = self.rules.entry(device, staked, Place::of(device)) else {
            return;
        };
        counts.shelved = counts.shelved.saturating_add(1);
        for kind in kinds(model, &entry) {
            self.shelves.entry(kind).or_default().insert(entry);
        }
    }

    fn take_device(&mut self, device: &Device) {
        if device.state == DeviceState::Retired {
            return;
        }
        let model = device.spec.model;
        let mut shelved = false;
        if is_free(device) {
            for country in [None, Some(device.spec.country)] {
                let kind = (model, country, device.spec.quantity);
                let Some(shelf) = self.shelves.get_mut(&kind) else {
                    continue;
                };
                shelved = shelf.remove(&Place::of(device)).is_some();
                if shelf.is_empty() {
                    self.shelves.remove(&kind);
                }
            }
        }
        let counts = self.counts.entry(model).or_default();
        *counts = counts.less(1, u64::from(is_free(device)), u64::from(shelved));
        if *counts == Counts::default() {
            self.counts.remove(&model);
        }
    }

    fn order(&mut self, order: &Order, present: bool) {
        if order.state != OrderState::Open {
            return;
        }
        let (ranked, ends) = (OrderPlace::of(order), (order.open_through, order.id));
        if present {
            self.orders.insert(ranked);
            self.ends.insert(ends);
        } else {
            self.orders.remove(&ranked);
            self.ends.remove(&ends);
        }
    }

    fn booking(&mut self, booking: &Booking, present: bool) {
        if booking.state == BookingState::Ended {
            return;
        }
        if present {
            self.running.insert(booking.id);
        } else {
            self.running.remove(&booking.id);
        }
    }
}

impl Counts {
    /// With so many less of each.
    #[must_use]
    pub(super) fn less(self, present: u64, free: u64, shelved: u64) -> Self {
        Self {
            present: self.present.saturating_sub(present),
            free: self.free.saturating_sub(free),
            shelved: self.shelved.saturating_sub(shelved),
        }
    }

    /// With so many more of each.
    #[must_use]
    pub(super) fn more(self, present: u64, free: u64, shelved: u64) -> Self {
        Self {
            present: self.present.saturating_add(present),
            free: self.free.saturating_add(free),
            shelved: self.shelved.saturating_add(shelved),
        }
    }
}
