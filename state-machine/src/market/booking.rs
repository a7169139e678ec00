//! A booking's money: taken at the match, paid as minutes are served, given back when a part ends.

use io_storage::Fault;
use io_types::row::{
    Booking, BookingPart, BookingState, ChallengeTrigger, DeviceState, HoldPurpose, Order,
    OrderState, PartEnd,
};
use io_types::{Amount, Asset, BookingId, Event, Reason, SystemAccount};

use crate::context::BlockContext;
use crate::error::{ActionError, broken, must};
use crate::market::action::count_closed;
use crate::market::matching::Candidate;
use crate::market::terms::{Line, Terms, earned, supplier_fee, terms};
use crate::state::State;
use crate::tables::{BOOKINGS, ORDERS};
use crate::{device, ledger, price, reward, verification};

/// Minutes of the first hour.
const FIRST_HOUR: u32 = 60;

/// The price that a booking in this asset is worked out at: micro-USD per whole IO, 1 for other assets.
pub(super) fn price_of(
    state: &State<'_>,
    block: &BlockContext,
    asset: Asset,
) -> Result<u64, Fault> {
    match asset {
        Asset::Io => Ok(price::fresh(state, block)?.unwrap_or(0)),
        Asset::Usdc | Asset::Credit => Ok(1),
    }
}

/// The lines of a booking of these devices.
pub(super) fn lines(devices: &[Candidate]) -> Vec<Line> {
    devices
        .iter()
        .map(|taken| Line {
            ask: taken.ask.0,
            quantity: taken.device.spec.quantity,
        })
        .collect()
}

/// Books devices for an order: takes the money out of the order's hold, and releases what is not needed. Says whether it was
/// done: not if the price of IO has fallen so far that the hold is too small.
pub(super) fn create(
    state: &mut State<'_>,
    block: &BlockContext,
    order: &mut Order,
    devices: Vec<Candidate>,
) -> Result<bool, Fault> {
    let asset = order.ask.asset;
    let price = price_of(state, block, asset)?;
    let Some(terms) = terms(
        &block.params.market,
        asset,
        price,
        order.ask.hours,
        &lines(&devices),
    ) else {
        return Ok(false);
    };
    if terms.units > ledger::hold_remaining(state, order.hold)? {
        return Ok(false);
    }
    // From here on nothing can fail but a broken node.
    ledger::release_all(state, order.hold)?;
    let id = state.next_booking()?;
    let renter = order.renter;
    let fee_hold = hold(state, order, terms.fee_units, HoldPurpose::BookingFees(id))?;
    let mut parts = Vec::with_capacity(devices.len());
    for (taken, part) in devices.into_iter().zip(&terms.parts) {
        let hold = hold(state, order, *part, HoldPurpose::Part(id, taken.device.id))?;
        parts.push(book_device(state, block, id, taken, (*part, hold)));
    }
    let Terms {
        units,
        fee_units,
        reservation_units,
        ..
    } = terms;
    let booking = Booking {
        id,
        order: order.id,
        renter,
        asset,
        hours: order.ask.hours,
        price: if asset == Asset::Io { price } else { 0 },
        total: units,
        fees: fee_units,
        fee_hold,
        reservation: reservation_units,
        fees_earned: Amount::ZERO,
        state: BookingState::AwaitingDelivery,
        parts,
        matched_at: block.now,
        deliver_by: block.now.plus_ms(block.params.market.deliver_within_ms),
        height: block.height,
        pulse_ok: order.ask.pulse_ok,
    };
    let devices = booking.parts.iter().map(|part| part.device).collect();
    state.emit(Event::Booked {
        booking: id,
        order: order.id,
        renter,
        devices,
        total: units,
        asset,
    });
    state.emit(Event::Paid {
        booking: id,
        amount: units,
        asset,
    });
    BOOKINGS.put(state, &id, &booking);
    order.state = OrderState::Matched(id);
    order.report = None;
    ORDERS.put(state, &order.id, order);
    count_closed(state, renter)?;
    Ok(true)
}

fn hold(
    state: &mut State<'_>,
    order: &Order,
    amount: Amount,
    purpose: HoldPurpose,
) -> Result<io_types::HoldId, Fault> {
    match ledger::hold(state, order.renter, order.ask.asset, amount, purpose) {
        Ok(id) => Ok(id),
        Err(ActionError::Faulted(fault)) => Err(fault),
        Err(ActionError::Rejected(why)) => Err(broken(
            "market: booking",
            format!("what was just released is gone: {why}"),
        )),
    }
}

fn book_device(
    state: &mut State<'_>,
    block: &BlockContext,
    booking: BookingId,
    taken: Candidate,
    (part, hold): (Amount, io_types::HoldId),
) -> BookingPart {
    let Candidate { mut device, ask } = taken;
    device.booking = Some(booking);
    device::change_state(
        state,
        block,
        &mut device,
        DeviceState::Hired,
        Reason::Normal,
    );
    device::write(state, &device);
    BookingPart {
        device: device.id,
        supplier: device.owner,
        ask,
        quantity: device.spec.quantity,
        part,
        hold,
        payout_asset: device.spec.payout_asset,
        delivered_at: None,
        served: 0,
        slashed: 0,
        paid: Amount::ZERO,
        pay_due: block.now,
        ended: None,
        sealed: Vec::new(),
    }
}

/// Pays a part's supplier what was served and not paid, less the supplier's fees.
pub(super) fn pay(
    state: &mut State<'_>,
    block: &BlockContext,
    booking: &mut Booking,
    place: usize,
) -> Result<(), Fault> {
    let (id, asset, hours) = (booking.id, booking.asset, booking.hours);
    let Some(part) = booking.parts.get_mut(place) else {
        return Ok(());
    };
    let gross = earned(part.part, part.served, hours);
    let more = gross.saturating_sub(part.paid);
    if more.is_zero() {
        return Ok(());
    }
    let params = &block.params.market;
    let fee = supplier_fee(params, part.payout_asset, gross)
        .saturating_sub(supplier_fee(params, part.payout_asset, part.paid))
        .min(more);
    let net = more.saturating_sub(fee);
    ledger::post(state, part.hold, part.supplier, net)?;
    ledger::post(state, part.hold, SystemAccount::Revenue, fee)?;
    reward::count_fee(state, block, asset, fee)?;
    part.paid = gross;
    part.pay_due = block.now.plus_ms(params.pay_every_ms);
    let (device, minutes) = (part.device, part.served);
    state.emit(Event::Worked {
        booking: id,
        device,
        minutes,
        gross: more,
        net,
        asset,
    });
    state.emit(Event::Earned {
        booking: id,
        device,
        amount: gross,
        asset,
    });
    earn_fees(state, block, booking)
}

/// Turns fees into revenue as minutes are served; those of a part's first hour only once it is complete or over.
fn earn_fees(
    state: &mut State<'_>,
    block: &BlockContext,
    booking: &mut Booking,
) -> Result<(), Fault> {
    let minutes = u64::from(booking.hours).saturating_mul(60);
    let parts_total = booking
        .parts
        .iter()
        .fold(0_u64, |sum, part| sum.saturating_add(part.part.get()));
    let whole = u128::from(parts_total)
        .saturating_mul(u128::from(minutes))
        .max(1);
    let mut due = 0_u128;
    for part in &booking.parts {
        let served = match &part.ended {
            Some((PartEnd::Completed | PartEnd::EndedByRenter, _reason)) => minutes,
            Some((PartEnd::SupplierFailed, _reason)) if part.served < FIRST_HOUR => 0,
            Some((PartEnd::NotDelivered, _reason)) => 0,
            None if part.served < FIRST_HOUR => 0,
            Some((PartEnd::SupplierFailed, _)) | None => u64::from(part.served).min(minutes),
        };
        let weight = u128::from(part.part.get()).saturating_mul(u128::from(served));
        let share = u128::from(booking.fees.get())
            .saturating_mul(weight)
            .checked_div(whole)
            .unwrap_or(0);
        due = due.saturating_add(share);
    }
    let due = Amount::new(u64::try_from(due).unwrap_or(u64::MAX)).min(booking.fees);
    take_fees(state, block, booking, due)
}

/// Takes fees up to a cumulative sum.
fn take_fees(
    state: &mut State<'_>,
    block: &BlockContext,
    booking: &mut Booking,
    due: Amount,
) -> Result<(), Fault> {
    let more = due.saturating_sub(booking.fees_earned);
    if more.is_zero() {
        return Ok(());
    }
    ledger::post(state, booking.fee_hold, SystemAccount::Revenue, more)?;
    reward::count_fee(state, block, booking.asset, more)?;
    booking.fees_earned = due;
    Ok(())
}

/// Ends a part: pays what is due, gives the rest back, frees the device. Ends the booking with its last part.
pub(super) fn end_part(
    state: &mut State<'_>,
    block: &BlockContext,
    booking: &mut Booking,
    place: usize,
    (end, reason): (PartEnd, Reason),
) -> Result<(), Fault> {
    let minutes = u32::from(booking.hours).saturating_mul(60);
    let Some(part) = booking
        .parts
        .get_mut(place)
        .filter(|part| part.ended.is_none())
    else {
        return Ok(());
    };
    part.ended = Some((end, reason));
    let (device, hold) = (part.device, part.hold);
    match end {
        PartEnd::EndedByRenter => {
            // Whoever ends in the first hour, or before delivery, pays the hour. Later, minutes that were not served stay
            // unpaid.
            if part.served.saturating_add(part.slashed) < FIRST_HOUR {
                part.served = part.served.max(FIRST_HOUR.min(minutes));
            }
            pay(state, block, booking, place)?;
        }
        PartEnd::SupplierFailed if part.served < FIRST_HOUR => {
            let served = earned(part.part, part.served, booking.hours).saturating_sub(part.paid);
            ledger::post(state, hold, SystemAccount::Treasury, served)?;
        }
        PartEnd::Completed | PartEnd::SupplierFailed => pay(state, block, booking, place)?,
        PartEnd::NotDelivered => {}
    }
    earn_fees(state, block, booking)?;
    let back = ledger::release_all(state, hold)?;
    refund(state, booking, back);
    state.emit(Event::PartEnded {
        booking: booking.id,
        device,
        end,
        reason,
    });
    free_device(state, block, device, (end, reason))?;
    if booking.parts.iter().all(|part| part.ended.is_some()) {
        finish(state, block, booking)?;
    } else if booking
        .parts
        .iter()
        .all(|part| part.delivered_at.is_some() || part.ended.is_some())
    {
        booking.state = BookingState::Serving;
    }
    Ok(())
}

/// Ends every part that is not over.
pub(super) fn end_all(
    state: &mut State<'_>,
    block: &BlockContext,
    booking: &mut Booking,
    end: PartEnd,
    reason: Reason,
) -> Result<(), Fault> {
    for place in 0..booking.parts.len() {
        end_part(state, block, booking, place, (end, reason))?;
    }
    Ok(())
}

fn refund(state: &mut State<'_>, booking: &Booking, amount: Amount) {
    if !amount.is_zero() {
        state.emit(Event::Refunded {
            booking: booking.id,
            amount,
            asset: booking.asset,
        });
    }
}

/// The last part is over: the reservation stays if the renter complained, the rest of the fees goes back.
fn finish(state: &mut State<'_>, block: &BlockContext, booking: &mut Booking) -> Result<(), Fault> {
    let complained = booking
        .parts
        .iter()
        .any(|part| matches!(part.ended, Some((PartEnd::NotDelivered, _reason))));
    if complained {
        let reservation = booking.reservation.get().max(booking.fees_earned.get());
        take_fees(state, block, booking, Amount::new(reservation))?;
    }
    let back = ledger::release_all(state, booking.fee_hold)?;
    refund(state, booking, back);
    booking.state = BookingState::Ended;
    state.emit(Event::BookingEnded {
        booking: booking.id,
    });
    Ok(())
}

/// Frees a device after its part: reputation, then a challenge before it is hired again.
fn free_device(
    state: &mut State<'_>,
    block: &BlockContext,
    id: io_types::DeviceId,
    (end, reason): (PartEnd, Reason),
) -> Result<(), Fault> {
    let mut row = device::read(state, id)?;
    row.booking = None;
    if end == PartEnd::SupplierFailed {
        let one_in = u16::try_from(block.params.market.reputation_failure_one_in)
            .unwrap_or(u16::MAX)
            .max(1);
        row.reputation = row
            .reputation
            .saturating_sub(row.reputation.div_ceil(one_in));
    }
    if row.state == DeviceState::Hired {
        let to = device::idle_state(&row);
        device::change_state(state, block, &mut row, to, reason);
    }
    verification::trigger(state, block, &mut row, ChallengeTrigger::BookingEnd)?;
    device::write(state, &row);
    Ok(())
}

/// Ends an order or booking step that no user asked for.
pub(super) fn expire_order(state: &mut State<'_>, order: Order) -> Result<(), Fault> {
    let id = order.id;
    must(
        "market: expiry",
        super::action::close_order(state, order, OrderState::Expired).map_err(ActionError::from),
    )?;
    state.emit(Event::OrderExpired { order: id });
    Ok(())
}
