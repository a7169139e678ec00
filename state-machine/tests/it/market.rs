//! Orders, matching, bookings and their money.

use io_state_machine::{reward, tables};
use io_types::action::{
    CancelOrder, Deliver, EndBooking, NotDelivered, PlaceOrder, Spread, UpdateDevice,
};
use io_types::catalogue::{CountryCode, ModelId};
use io_types::row::{BookingState, DeviceState, OrderState, PartEnd};
use io_types::{Action, Asset, BookingId, DeviceId, Event, MicroUsd, OrderId, SystemAccount};

use crate::support::{Chain, FEE, IO, Links, device_spec, key, order, ready_device};

const BOOKING: BookingId = BookingId(1);
const RENTER: u8 = 2;

fn place(order: PlaceOrder) -> Action {
    Action::PlaceOrder(order)
}

fn deliver(device: u64) -> Action {
    Action::Deliver(Deliver {
        booking: BOOKING,
        device: DeviceId(device),
        sealed: vec![1; 80],
    })
}

/// A chain with one ready device of one processor at 2 USD.
fn world() -> (Chain, Links) {
    world_of(Chain::new())
}

fn world_of(mut chain: Chain) -> (Chain, Links) {
    let (_id, links) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 2_000_000));
    (chain, links)
}

/// The same, hired by key 2 for two hours and delivered.
fn hired() -> (Chain, Links) {
    let (mut chain, links) = world();
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    chain.must(&key(60), deliver(1));
    (chain, links)
}

/// Blocks every 20 s with a link in each slot, for that many minutes.
fn serve(chain: &mut Chain, links: &Links, minutes: u64) {
    chain.step = 20_000;
    let end = chain.now + minutes * 60_000;
    let mut last = None;
    while chain.now < end {
        let slot = io_types::ChainTime(chain.now).slot();
        if last != Some(slot) && slot >= links.first {
            chain.beat(&key(60), 1, links);
            last = Some(slot);
        } else {
            chain.run(1);
        }
    }
}

fn revenue_and_treasury(chain: &Chain) -> i128 {
    [
        SystemAccount::Revenue,
        SystemAccount::Treasury,
        SystemAccount::DutyFund,
    ]
    .into_iter()
    .map(|account| chain.money(account, Asset::Io).balance)
    .sum::<i128>()
        + i128::from(chain.row(&tables::TOTALS, &Asset::Io).unwrap().burned.get())
}

#[test]
fn an_order_is_matched_in_the_block_it_enters() {
    let (mut chain, _links) = world();
    let before = chain.free_io(&key(RENTER));
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    let outcome = chain.last.clone().unwrap();
    assert!(outcome.events.iter().any(|event| matches!(
        event,
        Event::Booked {
            booking: BOOKING,
            ..
        }
    )));
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    // 2 USD × 2 h, 0.25 % on top, at 0.15 USD: what the terms say, and no more is held.
    assert_eq!(booking.total.get(), (4_010_000_u64 * IO).div_ceil(150_000));
    assert_eq!(
        before - chain.free_io(&key(RENTER)),
        booking.total.get() + FEE
    );
    assert_eq!(chain.device(1).state, DeviceState::Hired);
    assert_eq!(
        chain.row(&tables::ORDERS, &OrderId(1)).unwrap().state,
        OrderState::Matched(BOOKING)
    );
    assert_eq!(
        chain.row(&tables::OPEN_ORDERS, &crate::support::account(&key(RENTER))),
        None
    );
}

#[test]
fn orders_that_make_no_sense_stay_out() {
    let mut chain = Chain::new();
    let good = order(1, 1, 1);
    let cases = [
        (
            301,
            PlaceOrder {
                models: Vec::new(),
                ..good.clone()
            },
        ),
        (
            301,
            PlaceOrder {
                models: vec![ModelId(2), ModelId(1)],
                ..good.clone()
            },
        ),
        (
            303,
            PlaceOrder {
                quantity: 0,
                ..good.clone()
            },
        ),
        (
            304,
            PlaceOrder {
                hours: 0,
                ..good.clone()
            },
        ),
        (
            304,
            PlaceOrder {
                hours: 8761,
                ..good.clone()
            },
        ),
        (
            306,
            PlaceOrder {
                countries: vec![CountryCode(*b"d1")],
                ..good.clone()
            },
        ),
        (
            307,
            PlaceOrder {
                connectivity_min: 5,
                ..good.clone()
            },
        ),
        (
            307,
            PlaceOrder {
                compliance_min: 4,
                ..good.clone()
            },
        ),
        (
            307,
            PlaceOrder {
                reputation_min: 10_001,
                ..good.clone()
            },
        ),
        (
            321,
            PlaceOrder {
                asset: Asset::Credit,
                ..good.clone()
            },
        ),
    ];
    for (code, order) in cases {
        let bytes = chain.sign(&key(RENTER), vec![place(order)]);
        assert_eq!(
            chain
                .machine
                .check_tx(&bytes, false)
                .unwrap()
                .unwrap_err()
                .code(),
            code
        );
    }
    let renter = key(RENTER);
    chain.refused(
        &renter,
        place(PlaceOrder {
            models: vec![ModelId(7)],
            ..good.clone()
        }),
        302,
    );
    chain.refused(
        &renter,
        place(PlaceOrder {
            open_blocks: 0,
            ..good.clone()
        }),
        308,
    );
    chain.refused(
        &renter,
        place(PlaceOrder {
            open_blocks: 1_000_000,
            ..good.clone()
        }),
        308,
    );
    chain.refused(
        &renter,
        place(PlaceOrder {
            price_max: MicroUsd(0),
            ..good.clone()
        }),
        305,
    );
    chain.refused(
        &renter,
        place(PlaceOrder {
            price_max: MicroUsd(u64::MAX),
            ..good.clone()
        }),
        305,
    );
    chain.refused(
        &renter,
        place(PlaceOrder {
            quantity: 65_535,
            hours: 8760,
            ..good.clone()
        }),
        201,
    );
    chain.must(&renter, place(good.clone()));
    chain.refused(&renter, place(good), 204);
}

#[test]
fn an_account_has_a_limit_of_open_orders() {
    let mut chain = Chain::with(|genesis| genesis.params.market.open_orders_max = 1);
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    chain.refused(&key(RENTER), place(order(1, 1, 2)), 309);
}

#[test]
fn an_order_waits_with_a_report_and_ends_with_its_hold_returned() {
    let mut chain = Chain::new();
    ready_device(&mut chain, &key(1), &key(60), device_spec(1, 8, 2_500_000));
    ready_device(&mut chain, &key(1), &key(61), device_spec(2, 1, 50_000));
    let before = chain.free_io(&key(RENTER));
    let dear = PlaceOrder {
        price_max: MicroUsd(2_400_000),
        open_blocks: 3,
        ..order(1, 8, 1)
    };
    chain.must(&key(RENTER), place(dear));
    let report = chain
        .row(&tables::ORDERS, &OrderId(1))
        .unwrap()
        .report
        .unwrap();
    assert_eq!((report.devices, report.model, report.price), (2, 1, 1));
    assert_eq!(report.fills_at, Some(MicroUsd(2_500_000)));
    chain.run(3);
    assert_eq!(
        chain.row(&tables::ORDERS, &OrderId(1)).unwrap().state,
        OrderState::Open
    );
    chain.run(1);
    assert_eq!(
        chain.row(&tables::ORDERS, &OrderId(1)).unwrap().state,
        OrderState::Expired
    );
    assert_eq!(chain.free_io(&key(RENTER)), before - FEE);
}

#[test]
fn cancelling_is_for_the_renter_of_an_open_order() {
    let mut chain = Chain::new();
    let cancel = |order: u64| {
        Action::CancelOrder(CancelOrder {
            order: OrderId(order),
        })
    };
    chain.refused(&key(RENTER), cancel(1), 311);
    let before = chain.free_io(&key(RENTER));
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    chain.refused(&key(3), cancel(1), 312);
    chain.must(&key(RENTER), cancel(1));
    chain.refused(&key(RENTER), cancel(1), 313);
    assert_eq!(chain.free_io(&key(RENTER)), before - 3 * FEE);
}

#[test]
fn the_cheapest_device_is_taken_and_asks_count_as_of_the_start_of_the_block() {
    let mut chain = Chain::new();
    let (dear, _) = ready_device(&mut chain, &key(1), &key(60), device_spec(1, 1, 2_000_000));
    let (cheap, _) = ready_device(&mut chain, &key(1), &key(61), device_spec(1, 1, 1_000_000));
    // In one block: the dear one undercuts, and an order comes. The old asks count.
    let undercut = UpdateDevice {
        device: DeviceId(dear),
        ask: MicroUsd(500_000),
        payout_asset: Asset::Io,
    };
    let update = chain.sign(&key(1), vec![Action::UpdateDevice(undercut)]);
    let order = chain.sign(&key(RENTER), vec![place(order(1, 1, 1))]);
    chain.block(vec![update, order]);
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    assert_eq!(booking.parts[0].device, DeviceId(cheap));
    assert_eq!(booking.parts[0].ask, MicroUsd(1_000_000));
}

#[test]
fn devices_are_hired_whole_until_nothing_is_missing_or_nothing_is_taken() {
    let mut chain = Chain::new();
    for (number, quantity, ask) in [(60, 4, 100_000), (61, 2, 200_000), (62, 1, 300_000)] {
        ready_device(
            &mut chain,
            &key(1),
            &key(number),
            device_spec(3, quantity, ask),
        );
    }
    let taken = |chain: &Chain, booking: u64| -> Vec<u64> {
        let row = chain.row(&tables::BOOKINGS, &BookingId(booking)).unwrap();
        row.parts.iter().map(|part| part.device.0).collect()
    };
    // Three processors: the device of four is too large, two and one fit.
    chain.must(&key(RENTER), place(order(3, 3, 1)));
    assert_eq!(taken(&chain, 1), [2, 3]);
    // Five: four fit, one is missing; nothing is taken.
    chain.must(&key(RENTER), place(order(3, 5, 2)));
    assert_eq!(chain.row(&tables::BOOKINGS, &BookingId(2)), None);
    assert_eq!(chain.device(1).state, DeviceState::Ready);
    let report = chain
        .row(&tables::ORDERS, &OrderId(2))
        .unwrap()
        .report
        .unwrap();
    assert_eq!(
        (report.state, report.quantity, report.fills_at),
        (2, 1, None)
    );
}

#[test]
fn one_supplier_and_one_country_take_the_cheapest_group() {
    let mut chain = Chain::new();
    let abroad = |mut spec: io_types::action::DeviceSpec| {
        spec.country = CountryCode(*b"FR");
        spec
    };
    ready_device(&mut chain, &key(1), &key(60), device_spec(3, 1, 100_000));
    ready_device(&mut chain, &key(3), &key(61), device_spec(3, 1, 150_000));
    ready_device(
        &mut chain,
        &key(3),
        &key(62),
        abroad(device_spec(3, 1, 400_000)),
    );
    let one = PlaceOrder {
        spread: Spread::OneSupplier,
        ..order(3, 2, 1)
    };
    chain.must(&key(RENTER), place(one));
    let parts = chain.row(&tables::BOOKINGS, &BOOKING).unwrap().parts;
    assert_eq!(
        parts.iter().map(|part| part.device.0).collect::<Vec<_>>(),
        [2, 3]
    );
    let country = PlaceOrder {
        spread: Spread::OneCountry,
        ..order(3, 2, 2)
    };
    chain.must(&key(RENTER), place(country));
    assert_eq!(
        chain.row(&tables::ORDERS, &OrderId(2)).unwrap().state,
        OrderState::Open
    );
}

#[test]
fn an_order_in_usdc_takes_devices_that_are_paid_in_usdc() {
    let (mut chain, _links) = world();
    let in_usdc = PlaceOrder {
        asset: Asset::Usdc,
        ..order(1, 1, 1)
    };
    chain.must(&key(RENTER), place(in_usdc));
    assert_eq!(
        chain
            .row(&tables::ORDERS, &OrderId(1))
            .unwrap()
            .report
            .unwrap()
            .desk,
        1
    );
    let update = UpdateDevice {
        device: DeviceId(1),
        ask: MicroUsd(2_000_000),
        payout_asset: Asset::Usdc,
    };
    chain.must(&key(1), Action::UpdateDevice(update));
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    // 4 USD, 0.25 % and 2 % on top.
    assert_eq!(
        (booking.asset, booking.total.get()),
        (Asset::Usdc, 4_090_000)
    );
}

#[test]
fn without_a_fresh_price_orders_in_io_wait_and_new_ones_are_refused() {
    let (mut chain, _links) = world();
    chain.price = None;
    chain.step = 700_000;
    chain.run(2);
    chain.step = 1000;
    chain.refused(&key(RENTER), place(order(1, 1, 1)), 310);
}

#[test]
fn delivery_is_refused_by_rule() {
    let (mut chain, _links) = world();
    chain.refused(&key(60), deliver(1), 314);
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    let long = Action::Deliver(Deliver {
        booking: BOOKING,
        device: DeviceId(1),
        sealed: vec![0; 1025],
    });
    let bytes = chain.sign(&key(60), vec![long]);
    assert_eq!(
        chain
            .machine
            .check_tx(&bytes, false)
            .unwrap()
            .unwrap_err()
            .code(),
        318
    );
    chain.refused(&key(60), deliver(2), 316);
    chain.refused(&key(3), deliver(1), 315);
    chain.must(&key(60), deliver(1));
    chain.refused(&key(60), deliver(1), 317);
}

#[test]
fn a_booking_that_is_not_delivered_is_void_and_everything_returns() {
    let (mut chain, _links) = world();
    let before = chain.free_io(&key(RENTER));
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    chain.step = 60_000;
    chain.run(12);
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    assert_eq!(booking.state, BookingState::Ended);
    assert!(matches!(
        booking.parts[0].ended,
        Some((PartEnd::SupplierFailed, io_types::Reason::NotDelivered))
    ));
    assert_eq!(chain.free_io(&key(RENTER)), before - FEE);
    assert_eq!(chain.device(1).reputation, 3750);
}

#[test]
fn not_delivered_returns_all_but_the_reservation_fee_once_and_soon() {
    let (mut chain, _links) = world();
    let complain = Action::NotDelivered(NotDelivered { booking: BOOKING });
    chain.refused(&key(RENTER), complain.clone(), 314);
    let before = chain.free_io(&key(RENTER));
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    chain.refused(&key(RENTER), complain.clone(), 322);
    chain.must(&key(60), deliver(1));
    chain.refused(&key(3), complain.clone(), 315);
    chain.must(&key(RENTER), complain.clone());
    chain.refused(&key(RENTER), complain, 320);
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    assert_eq!(
        before - chain.free_io(&key(RENTER)),
        booking.reservation.get() + 4 * FEE
    );
}

#[test]
fn complaining_after_a_quarter_of_an_hour_is_too_late() {
    let (mut chain, links) = hired();
    serve(&mut chain, &links, 17);
    chain.refused(
        &key(RENTER),
        Action::NotDelivered(NotDelivered { booking: BOOKING }),
        319,
    );
}

#[test]
fn a_served_booking_pays_the_supplier_and_every_unit_is_accounted_for() {
    let (mut chain, links) = hired();
    let supplier = chain.free_io(&key(1));
    serve(&mut chain, &links, 130);
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    assert_eq!(booking.state, BookingState::Ended);
    let part = &booking.parts[0];
    assert!(
        part.served >= 118 && part.served + part.slashed == 120,
        "{} served",
        part.served
    );
    let gross = part.part.get() * u64::from(part.served) / 120;
    assert_eq!(part.paid.get(), gross);
    assert_eq!(
        chain.free_io(&key(1)) - supplier,
        gross - (gross * 25).div_ceil(10_000)
    );
    assert!(
        chain.device(1).challenge.is_some(),
        "a device is challenged before it is hired again"
    );
}

#[test]
fn served_minutes_count_for_the_hours_in_which_they_were_served() {
    let (mut chain, links) = hired();
    let first = io_types::ChainTime(chain.now).epoch();
    serve(&mut chain, &links, 130);
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    let spec = chain.device(1).spec;
    let catalogue = chain.row(&tables::CATALOGUE, &()).unwrap();
    let model = catalogue.models.iter().find(|model| model.id == spec.model);
    let multiplier = model.unwrap().multiplier_milli;
    let mut served = 0;
    for hour in 0..3 {
        let epoch = io_types::Epoch(first.0 + hour);
        let Some(row) = chain.value(&tables::DEVICE_RESULTS, &(DeviceId(1), epoch)) else {
            continue;
        };
        served += u32::from(row.result.slots_hired);
        let closed = chain.row(&tables::EPOCHS, &epoch).unwrap().closed;
        if closed {
            let hired = row.result.slots_hired >= 30;
            let base = reward::base_score(multiplier, spec.quantity, spec.connectivity, hired);
            assert_eq!(Some(row.result.base), base, "hour {hour}");
        }
    }
    assert_eq!(served, booking.parts[0].served);
    let full = chain.value(&tables::DEVICE_RESULTS, &(DeviceId(1), first.next()));
    assert!(
        full.unwrap().result.slots_hired >= 59,
        "an hour in its middle"
    );
}

#[test]
fn a_renter_who_ends_in_the_first_hour_pays_the_hour_and_the_fees() {
    let (mut chain, links) = hired();
    serve(&mut chain, &links, 10);
    let (supplier, renter) = (chain.free_io(&key(1)), chain.free_io(&key(RENTER)));
    let taken = revenue_and_treasury(&chain);
    chain.must(
        &key(RENTER),
        Action::EndBooking(EndBooking { booking: BOOKING }),
    );
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    let gross = booking.parts[0].part.get() / 2;
    let fee = (gross * 25).div_ceil(10_000);
    assert_eq!(chain.free_io(&key(1)) - supplier, gross - fee);
    assert_eq!(
        chain.free_io(&key(RENTER)) + FEE - renter,
        booking.parts[0].part.get() - gross
    );
    let network = revenue_and_treasury(&chain) - taken;
    assert_eq!(network, i128::from(fee + booking.fees.get() + FEE));
}

#[test]
fn a_renter_who_ends_after_the_first_hour_does_not_pay_minutes_that_were_not_served() {
    let (mut chain, links) = hired();
    serve(&mut chain, &links, 30);
    // Silent, but not so long that the part fails by itself.
    chain.run(18);
    serve(&mut chain, &links, 29);
    let before = chain.row(&tables::BOOKINGS, &BOOKING).unwrap().parts[0].clone();
    assert_eq!(before.ended, None);
    assert!(before.served < 60 && before.served + before.slashed >= 60);
    chain.must(
        &key(RENTER),
        Action::EndBooking(EndBooking { booking: BOOKING }),
    );
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    let part = &booking.parts[0];
    assert_eq!(part.served, before.served);
    let minutes = u64::from(part.served);
    assert_eq!(part.paid, part.part.mul_div_floor(minutes, 120).unwrap());
}

#[test]
fn a_supplier_who_fails_in_the_first_hour_gets_nothing() {
    let (mut chain, links) = hired();
    let supplier = chain.free_io(&key(1));
    serve(&mut chain, &links, 20);
    // It goes silent: Down after three slots, and five minutes later the part ends.
    chain.step = 20_000;
    chain.run(60);
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    assert!(matches!(
        booking.parts[0].ended,
        Some((PartEnd::SupplierFailed, io_types::Reason::MissedHeartbeats))
    ));
    assert_eq!(chain.free_io(&key(1)), supplier);
    assert_eq!(booking.fees_earned.get(), 0);
    assert!(booking.parts[0].served >= 18);
}

#[test]
fn the_last_payment_of_a_part_may_leave_nothing_for_a_fee() {
    // So dear a unit that a minute is worth one or two of them, and the fee of the last ones is nothing.
    let price = 900_000_000_000;
    let mut chain = Chain::with(|genesis| {
        genesis.params.price.genesis_price = price;
        genesis.params.market.pay_every_ms = 60_000;
    });
    chain.price = Some(price);
    let (mut chain, links) = world_of(chain);
    // From here on every slot has its link, so that nothing of the part is left over.
    chain.run_until(links.first.start().0);
    let mut hour = order(1, 1, 1);
    hour.hours = 1;
    chain.must(&key(RENTER), place(hour));
    chain.must(&key(60), deliver(1));
    serve(&mut chain, &links, 70);
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    assert_eq!(booking.state, BookingState::Ended);
    assert!(booking.parts[0].part.get() < 400 && booking.parts[0].paid.get() > 0);
}

#[test]
fn a_fee_of_a_slot_after_the_close_belongs_to_the_next_epoch() {
    let chain = Chain::with(|genesis| genesis.params.market.pay_every_ms = 0);
    let (mut chain, links) = world_of(chain);
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    chain.must(&key(60), deliver(1));
    // The last block before lies in the first slot of the next hour, and the next one two minutes later: it closes the hour
    // and meters that first slot.
    let hour = io_types::ChainTime(chain.now).epoch().next();
    serve(&mut chain, &links, 58);
    while io_types::ChainTime(chain.now).slot() < hour.first_slot() {
        chain.step = 20_000;
        chain.beat_if_new(&key(60), 1, &links);
    }
    chain.beat_if_new(&key(60), 1, &links);
    chain.step = 130_000;
    chain.run(1);
    let before = io_types::Epoch(hour.0 - 1);
    let closed = chain.row(&tables::EPOCHS, &before).unwrap();
    assert!(closed.closed);
    let open = chain.row(&tables::EPOCHS, &hour).unwrap();
    assert!(open.fees[0].get() > 0, "the slot was paid in the open hour");
    assert_eq!(
        chain.money(SystemAccount::Revenue, Asset::Io).balance,
        i128::from(open.fees[0].get())
    );
}

#[test]
fn bookings_end_by_their_renter_only() {
    let (mut chain, _links) = world();
    let end = Action::EndBooking(EndBooking { booking: BOOKING });
    chain.refused(&key(RENTER), end.clone(), 314);
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    chain.refused(&key(3), end, 315);
}

#[test]
fn a_quote_says_what_the_order_would_do() {
    let (mut chain, _links) = world();
    let quote = chain.machine.quote(&order(1, 1, 1)).unwrap().unwrap();
    assert_eq!(quote.devices, [DeviceId(1)]);
    chain.must(&key(RENTER), place(order(1, 1, 1)));
    let booking = chain.row(&tables::BOOKINGS, &BOOKING).unwrap();
    assert_eq!(quote.total, Some(booking.total));
    let none = chain.machine.quote(&order(1, 1, 2)).unwrap().unwrap();
    assert!(none.devices.is_empty());
    assert_eq!(none.report.state, 1);
}
