//! Actions on orders and bookings.

use io_storage::Fault;
use io_types::action::{CancelOrder, Deliver, EndBooking, NotDelivered, PlaceOrder};
use io_types::codec::hash_of;
use io_types::row::{Booking, BookingPart, BookingState, HoldPurpose, Order, OrderState, PartEnd};
use io_types::{AccountId, Amount, Asset, BookingId, Event, Height, OrderId, Reason, Rejection};

use crate::context::BlockContext;
use crate::device;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::ledger;
use crate::market::booking::{self, price_of};
use crate::market::matching::waits_for_price;
use crate::market::terms::{Line, terms};
use crate::state::State;
use crate::tables::{BOOKINGS, OPEN_ORDERS, ORDERS};

const MODELS_MAX: usize = 16;
const COUNTRIES_MAX: usize = 64;
const HOURS_MAX: u16 = 8760;
const SEALED_MAX: usize = 1024;

impl Execute for PlaceOrder {
    /// Rules in order: 301, 303, 304, 306, 307, 321.
    fn check_stateless(&self) -> Result<(), Rejection> {
        let ascending = |pair: &[_]| matches!(pair, [before, after] if before < after);
        if self.models.is_empty()
            || self.models.len() > MODELS_MAX
            || !self.models.windows(2).all(ascending)
        {
            return Err(Rejection::NoModels);
        }
        if self.quantity == 0 {
            return Err(Rejection::BadQuantity {
                quantity: self.quantity,
            });
        }
        if self.hours == 0 || self.hours > HOURS_MAX {
            return Err(Rejection::BadHours { hours: self.hours });
        }
        let codes = &self.countries;
        let rising = codes
            .windows(2)
            .all(|pair| matches!(pair, [before, after] if before < after));
        if codes.len() > COUNTRIES_MAX || !rising || !codes.iter().all(|code| code.is_valid()) {
            return Err(Rejection::BadCountries);
        }
        if self.connectivity_min > 4 {
            return Err(Rejection::BadLimits {
                what: "connectivity tier: 0 to 4",
            });
        }
        if self.compliance_min > 3 {
            return Err(Rejection::BadLimits {
                what: "compliance tier: 0 to 3",
            });
        }
        if self.reputation_min > 10_000 {
            return Err(Rejection::BadLimits {
                what: "reputation: 0 to 10000",
            });
        }
        if self.asset == Asset::Credit {
            return Err(Rejection::CreditOrdersClosed);
        }
        Ok(())
    }

    /// Rules in order: 302, 308, 309, 310, 305, 204, 201.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        check_order(self, block)?;
        let max = block.params.market.open_orders_max;
        let open = OPEN_ORDERS.get(state, &signer)?.unwrap_or(0);
        if open >= max {
            return Err(Rejection::TooManyOrders { max }.into());
        }
        let amount = hold_needed(state, block, self)?;
        ledger::issue_client_id(
            state,
            signer,
            self.client_id,
            hash_of(b"io-chain/client-id/order\0", self),
        )?;
        let id = state.next_order()?;
        let hold = ledger::hold(state, signer, self.asset, amount, HoldPurpose::Order(id))?;
        let open_through = Height(block.height.0.saturating_add(u64::from(self.open_blocks)));
        let order = Order {
            id,
            renter: signer,
            ask: self.clone(),
            state: OrderState::Open,
            entered: block.height,
            open_through,
            hold,
            report: None,
        };
        ORDERS.put(state, &id, &order);
        OPEN_ORDERS.put(state, &signer, &open.saturating_add(1));
        state.emit(Event::OrderPlaced {
            order: id,
            renter: signer,
            held: amount,
            asset: self.asset,
        });
        Ok(())
    }
}

/// Rules of an order that need the catalogue and the parameters, in order: 302, 308.
pub(super) fn check_order(order: &PlaceOrder, block: &BlockContext) -> Result<(), ActionError> {
    order.check_stateless()?;
    if let Some(unknown) = order
        .models
        .iter()
        .find(|model| block.model(**model).is_none())
    {
        return Err(Rejection::UnknownModel { model: unknown.0 }.into());
    }
    let max = block.params.market.open_blocks_max;
    if order.open_blocks == 0 || order.open_blocks > max {
        return Err(Rejection::OpenTooLong {
            blocks: order.open_blocks,
            max,
        }
        .into());
    }
    Ok(())
}

/// The highest cost with fees, base units. Rules in order: 310, 305.
pub(super) fn hold_needed(
    state: &State<'_>,
    block: &BlockContext,
    order: &PlaceOrder,
) -> Result<Amount, ActionError> {
    if order.asset == Asset::Io && waits_for_price(state, block, Asset::Io)? {
        return Err(Rejection::NoFreshPrice.into());
    }
    if order.price_max.0 == 0 {
        return Err(Rejection::BadPriceLimit.into());
    }
    let line = Line {
        ask: order.price_max.0,
        quantity: order.quantity,
    };
    let price = price_of(state, block, order.asset)?;
    let terms = terms(
        &block.params.market,
        order.asset,
        price,
        order.hours,
        &[line],
    )
    .ok_or(Rejection::BadPriceLimit)?;
    Ok(terms.units)
}

/// Ends an open order: its hold returns, its renter has one less.
pub(super) fn close_order(
    state: &mut State<'_>,
    mut order: Order,
    to: OrderState,
) -> Result<(), Fault> {
    ledger::release_all(state, order.hold)?;
    order.state = to;
    ORDERS.put(state, &order.id, &order);
    count_closed(state, order.renter)
}

/// The renter of an order that is no longer open has one less.
pub(super) fn count_closed(state: &mut State<'_>, renter: AccountId) -> Result<(), Fault> {
    match OPEN_ORDERS
        .get(state, &renter)?
        .unwrap_or(0)
        .saturating_sub(1)
    {
        0 => OPEN_ORDERS.delete(state, &renter),
        left => OPEN_ORDERS.put(state, &renter, &left),
    }
    Ok(())
}

fn find_order(state: &State<'_>, order: OrderId, signer: AccountId) -> Result<Order, ActionError> {
    let row = ORDERS
        .get(state, &order)?
        .ok_or(Rejection::UnknownOrder { order })?;
    if row.renter != signer {
        return Err(Rejection::NotYourOrder { order }.into());
    }
    Ok(row)
}

impl Execute for CancelOrder {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 311, 312, 313.
    fn execute(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self { order } = *self;
        let row = find_order(state, order, signer)?;
        if row.state != OrderState::Open {
            return Err(Rejection::OrderNotOpen { order }.into());
        }
        close_order(state, row, OrderState::Cancelled)?;
        state.emit(Event::OrderCancelled { order });
        Ok(())
    }
}

fn find_booking(state: &State<'_>, booking: BookingId) -> Result<Booking, ActionError> {
    Ok(BOOKINGS
        .get(state, &booking)?
        .ok_or(Rejection::UnknownBooking { booking })?)
}

fn rented(
    state: &State<'_>,
    booking: BookingId,
    signer: AccountId,
) -> Result<Booking, ActionError> {
    let row = find_booking(state, booking)?;
    if row.renter != signer {
        return Err(Rejection::NotYourBooking { booking }.into());
    }
    if row.state == BookingState::Ended {
        return Err(Rejection::BookingOver { booking }.into());
    }
    Ok(row)
}

impl Execute for Deliver {
    /// Rules in order: 318.
    fn check_stateless(&self) -> Result<(), Rejection> {
        let len = self.sealed.len();
        if len == 0 || len > SEALED_MAX {
            return Err(Rejection::SealedTooLong {
                len,
                max: SEALED_MAX,
            });
        }
        Ok(())
    }

    /// Rules in order: 314, 316, 315, 317.
    fn check_duty(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        let Self {
            booking,
            device,
            sealed: _,
        } = self;
        let row = find_booking(state, *booking)?;
        let part = row
            .parts
            .iter()
            .find(|part| part.device == *device && part.ended.is_none());
        let part = part.ok_or(Rejection::NotInBooking {
            booking: *booking,
            device: *device,
        })?;
        if signer != part.supplier && signer != device::read(state, *device)?.device_key {
            return Err(Rejection::NotYourBooking { booking: *booking }.into());
        }
        if part.delivered_at.is_some() {
            return Err(Rejection::AlreadyDelivered {
                booking: *booking,
                device: *device,
            }
            .into());
        }
        Ok(())
    }

    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        self.check_duty(signer, block, state)?;
        let Self {
            booking,
            device,
            sealed,
        } = self;
        let mut row = find_booking(state, *booking)?;
        for part in row.parts.iter_mut().filter(|part| part.device == *device) {
            part.delivered_at = Some(block.now);
            part.pay_due = block.now.plus_ms(block.params.market.pay_every_ms);
            part.sealed.clone_from(sealed);
        }
        if row
            .parts
            .iter()
            .all(|part| part.delivered_at.is_some() || part.ended.is_some())
        {
            row.state = BookingState::Serving;
        }
        BOOKINGS.put(state, booking, &row);
        state.emit(Event::Delivered {
            booking: *booking,
            device: *device,
        });
        Ok(())
    }
}

impl Execute for NotDelivered {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 314, 315, 320, 322, 319.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self { booking } = *self;
        let mut row = rented(state, booking, signer)?;
        let delivered = row
            .parts
            .iter()
            .filter_map(|part: &BookingPart| part.delivered_at)
            .max();
        let delivered = delivered.ok_or(Rejection::NothingDelivered { booking })?;
        let until = delivered.plus_ms(block.params.market.not_delivered_within_ms);
        if block.now > until {
            return Err(Rejection::TooLateToComplain { until }.into());
        }
        booking::end_all(
            state,
            block,
            &mut row,
            PartEnd::NotDelivered,
            Reason::RenterNotDelivered,
        )?;
        BOOKINGS.put(state, &booking, &row);
        Ok(())
    }
}

impl Execute for EndBooking {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 314, 315, 320.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self { booking } = *self;
        let mut row = rented(state, booking, signer)?;
        booking::end_all(
            state,
            block,
            &mut row,
            PartEnd::EndedByRenter,
            Reason::RenterEnded,
        )?;
        BOOKINGS.put(state, &booking, &row);
        Ok(())
    }
}
