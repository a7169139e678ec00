//! The state of a block in the works: rows read through to the last commit, writes kept, events in order.

use borsh::{BorshDeserialize, BorshSerialize};
use io_storage::{Fault, Mark, Overlay, Snapshot, WriteSet};
use io_types::{BookingId, ChallengeId, DeviceId, Event, HoldId, OrderId};

use crate::tables::COUNTERS;

/// Last numbers given. Table `counters`, one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Counters {
    /// Of devices.
    pub device: u64,
    /// Of orders.
    pub order: u64,
    /// Of bookings.
    pub booking: u64,
    /// Of challenges.
    pub challenge: u64,
    /// Of holds.
    pub hold: u64,
}

/// A point to which a state can return.
#[derive(Clone, Copy, Debug)]
pub struct StateMark {
    rows: Mark,
    events: usize,
}

/// Rows and events of a block in the works. Dropping it leaves no trace.
#[derive(Debug)]
pub struct State<'s> {
    overlay: Overlay<'s>,
    events: Vec<Event>,
}

impl<'s> State<'s> {
    /// The state as of a commit.
    pub fn new(snapshot: &'s dyn Snapshot) -> Self {
        Self {
            overlay: Overlay::new(snapshot),
            events: Vec::new(),
        }
    }

    /// The rows.
    pub fn overlay(&self) -> &Overlay<'s> {
        &self.overlay
    }

    /// The rows, to write. Only `table.rs` writes through it.
    pub fn overlay_mut(&mut self) -> &mut Overlay<'s> {
        &mut self.overlay
    }

    /// Says what happened.
    pub fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A point to return to.
    pub fn mark(&mut self) -> StateMark {
        StateMark {
            rows: self.overlay.mark(),
            events: self.events.len(),
        }
    }

    /// Drops every write and event since the mark.
    pub fn revert(&mut self, mark: StateMark) {
        self.overlay.revert(mark.rows);
        self.events.truncate(mark.events);
    }

    /// Takes the events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What the block changed.
    pub fn into_write_set(self) -> Result<WriteSet, Fault> {
        self.overlay.into_write_set()
    }

    /// A new device number.
    pub fn next_device(&mut self) -> Result<DeviceId, Fault> {
        self.next(|counters| &mut counters.device).map(DeviceId)
    }

    /// A new order number.
    pub fn next_order(&mut self) -> Result<OrderId, Fault> {
        self.next(|counters| &mut counters.order).map(OrderId)
    }

    /// A new booking number.
    pub fn next_booking(&mut self) -> Result<BookingId, Fault> {
        self.next(|counters| &mut counters.booking).map(BookingId)
    }

    /// A new challenge number.
    pub fn next_challenge(&mut self) -> Result<ChallengeId, Fault> {
        self.next(|counters| &mut counters.challenge)
            .map(ChallengeId)
    }

    /// A new hold number.
    pub fn next_hold(&mut self) -> Result<HoldId, Fault> {
        self.next(|counters| &mut counters.hold).map(HoldId)
    }

    fn next(&mut self, which: fn(&mut Counters) -> &mut u64) -> Result<u64, Fault> {
        let mut counters = COUNTERS.get(self, &())?.unwrap_or_default();
        let counter = which(&mut counters);
        let next = counter
            .checked_add(1)
            .ok_or_else(|| Fault::bug("counters", "a counter is full"))?;
        *counter = next;
        COUNTERS.put(self, &(), &counters);
        Ok(next)
    }
}
