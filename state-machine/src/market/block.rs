//! What the market does at the end of a block: expiries, overdue deliveries, metering.

use io_storage::Fault;
use io_types::row::{Booking, BookingPart, BookingState, DeviceState, OrderState, PartEnd};
use io_types::{Height, OrderId, Reason, Slot};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::market::booking::{end_part, expire_order, pay};
use crate::state::State;
use crate::tables::{BOOKINGS, ORDERS, UPTIME};
use crate::{device, reward, uptime};

/// Ends orders whose time is over, and parts whose delivery is overdue or whose device is down for too long.
pub fn expire(state: &mut State<'_>, block: &BlockContext, derived: &Derived) -> Result<(), Fault> {
    for (_end, id) in derived.market.ends.range(..(block.height, OrderId(0))) {
        let order = ORDERS.expect(state, id, "the index follows the rows")?;
        if order.state == OrderState::Open && order.open_through < Height(block.height.0) {
            expire_order(state, order)?;
        }
    }
    for id in &derived.market.running {
        let mut booking = BOOKINGS.expect(state, id, "the index follows the rows")?;
        if booking.state == BookingState::Ended {
            continue;
        }
        let before = booking.clone();
        for place in 0..booking.parts.len() {
            if let Some(reason) = failure(state, block, &booking, place)? {
                end_part(
                    state,
                    block,
                    &mut booking,
                    place,
                    (PartEnd::SupplierFailed, reason),
                )?;
            }
        }
        if booking != before {
            BOOKINGS.put(state, id, &booking);
        }
    }
    Ok(())
}

/// Why a part fails its supplier, if it does.
fn failure(
    state: &State<'_>,
    block: &BlockContext,
    booking: &Booking,
    place: usize,
) -> Result<Option<Reason>, Fault> {
    let Some(part) = booking.parts.get(place).filter(|part| part.ended.is_none()) else {
        return Ok(None);
    };
    if part.delivered_at.is_none() && block.now > booking.deliver_by {
        return Ok(Some(Reason::NotDelivered));
    }
    let row = device::read(state, part.device)?;
    let down_for = block.now.since_ms(row.since);
    if row.state == DeviceState::Down && down_for > block.params.market.down_ends_part_ms {
        return Ok(Some(row.reason));
    }
    Ok(None)
}

/// Meters one slot of every running booking. A neutral slot counts for nobody: the booking's end shifts by it.
pub fn meter_slot(
    state: &mut State<'_>,
    block: &BlockContext,
    derived: &Derived,
    slot: Slot,
    neutral: bool,
) -> Result<(), Fault> {
    if neutral {
        return Ok(());
    }
    for id in &derived.market.running {
        let mut booking = BOOKINGS.expect(state, id, "the index follows the rows")?;
        if booking.state == BookingState::Ended {
            continue;
        }
        let minutes = u32::from(booking.hours).saturating_mul(60);
        let mut changed = false;
        for place in 0..booking.parts.len() {
            let Some(part) = booking.parts.get_mut(place) else {
                continue;
            };
            if !count(state, part, slot)? {
                continue;
            }
            changed = true;
            let (over, due) = (
                part.served.saturating_add(part.slashed) >= minutes,
                part.pay_due <= block.now,
            );
            if over {
                end_part(
                    state,
                    block,
                    &mut booking,
                    place,
                    (PartEnd::Completed, Reason::Normal),
                )?;
            } else if due {
                pay(state, block, &mut booking, place)?;
            }
        }
        if changed {
            BOOKINGS.put(state, id, &booking);
        }
    }
    Ok(())
}

/// Counts a slot of a part: served if the device was up in it, else slashed. Says whether it counts at all.
fn count(state: &mut State<'_>, part: &mut BookingPart, slot: Slot) -> Result<bool, Fault> {
    let begun = part.delivered_at.is_some_and(|at| slot >= at.slot());
    if !begun || part.ended.is_some() {
        return Ok(false);
    }
    if UPTIME
        .get(state, &part.device)?
        .is_some_and(|chain| uptime::is_up(&chain, slot))
    {
        part.served = part.served.saturating_add(1);
        reward::note_hired(state, part.device, slot)?;
    } else {
        part.slashed = part.slashed.saturating_add(1);
    }
    Ok(true)
}
