//! Derived indices of the market: devices by rank, open orders by rank and end, bookings that run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use io_storage::{Fault, Snapshot, WriteSet};
use io_types::catalogue::ModelId;
use io_types::row::{Booking, BookingState, Device, DeviceState, Order, OrderState};
use io_types::{BookingId, ChainTime, DeviceId, Height, MicroUsd, OrderId};

use crate::tables::{BOOKINGS, DEVICES, ORDERS};

/// The rank of a device: ask, then reputation (higher first), then waiting time (longer first). Equal ranks are ordered by
/// a hash of the block before, which no index can hold.
pub(super) type DeviceRank = (MicroUsd, Reverse<u16>, ChainTime);
/// The rank of an order: price (higher first), then the height at which it entered. Equal ranks as above.
pub(super) type OrderRank = (Reverse<MicroUsd>, Height);

/// The rank of a device.
pub(super) fn device_rank(device: &Device) -> DeviceRank {
    (
        device.spec.ask,
        Reverse(device.reputation),
        device.waiting_since,
    )
}

/// The rank of an order.
pub(super) fn order_rank(order: &Order) -> OrderRank {
    (Reverse(order.ask.price_max), order.entered)
}

/// Whether a device can be hired, as far as its own row says.
pub(super) fn is_free(device: &Device) -> bool {
    device.state == DeviceState::Ready && device.challenge.is_none() && device.booking.is_none()
}

/// The indices, as of the last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Devices that can be hired, by claimed model and rank.
    pub devices: BTreeMap<ModelId, BTreeSet<(DeviceRank, DeviceId)>>,
    /// Open orders by rank.
    pub orders: BTreeSet<(OrderRank, OrderId)>,
    /// Open orders by their last height.
    pub ends: BTreeSet<(Height, OrderId)>,
    /// Bookings that are not over.
    pub running: BTreeSet<BookingId>,
}

impl Index {
    /// Builds everything from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        let mut index = Self::default();
        DEVICES.visit(snapshot, None, &mut |_id, device| {
            index.device(&device, true);
            ControlFlow::Continue(())
        })?;
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

    /// Follows one commit.
    pub fn apply(&mut self, changes: &WriteSet) -> Result<(), Fault> {
        for (_key, change) in changes.table(DEVICES.id) {
            for (bytes, present) in [(&change.old, false), (&change.new, true)] {
                if let Some(bytes) = bytes {
                    self.device(&DEVICES.decode(bytes)?, present);
                }
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

    fn device(&mut self, device: &Device, present: bool) {
        if !is_free(device) {
            return;
        }
        let entry = (device_rank(device), device.id);
        let ranked = self.devices.entry(device.spec.model).or_default();
        if present {
            ranked.insert(entry);
        } else {
            ranked.remove(&entry);
            if ranked.is_empty() {
                self.devices.remove(&device.spec.model);
            }
        }
    }

    fn order(&mut self, order: &Order, present: bool) {
        if order.state != OrderState::Open {
            return;
        }
        let (ranked, ends) = (
            (order_rank(order), order.id),
            (order.open_through, order.id),
        );
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
