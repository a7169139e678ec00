//! Orders and bookings.

use io_state_machine::tables;
use io_types::action::{CancelOrder, Deliver, EndBooking, NotDelivered, PlaceOrder, Spread};
use io_types::catalogue::{CountryCode, ModelId};
use io_types::row::{Booking, BookingState, OrderState};
use io_types::{Action, Asset, MicroUsd};

use super::{Intent, Memory, Scene};
use crate::rng::Rng;

pub(super) fn intents(
    scene: &Scene<'_>,
    memory: &mut Memory,
    rng: &mut Rng,
    out: &mut Vec<Intent>,
) {
    for _ in 0..rng.below(3) {
        let renter = rng.pick(&scene.world.renters).clone();
        let action = Action::PlaceOrder(order(memory, rng));
        out.push(Intent::new(&renter, vec![action]));
    }
    for (id, row) in scene.rows.list(&tables::ORDERS) {
        if row.state == OrderState::Open && rng.one_in(40) {
            let action = Action::CancelOrder(CancelOrder { order: id });
            if let Some(key) = scene.world.key_of(row.renter) {
                out.push(Intent::new(&key, vec![action]));
            }
        }
    }
    for (_id, booking) in scene.rows.list(&tables::BOOKINGS) {
        if booking.state != BookingState::Ended {
            serve(scene, &booking, rng, out);
        }
    }
}

fn order(memory: &mut Memory, rng: &mut Rng) -> PlaceOrder {
    let models: &[&[u16]] = &[
        &[1],
        &[2],
        &[3],
        &[1, 2],
        &[2, 3],
        &[1, 2, 3],
        &[1, 2, 3, 4],
        &[1, 2, 3],
    ];
    let models = rng.pick(models).iter().map(|id| ModelId(*id)).collect();
    PlaceOrder {
        models,
        quantity: *rng.pick(&[1, 1, 1, 1, 2, 2, 3, 4, 8, 9]),
        hours: *rng.pick(&[1, 1, 2, 3, 30]),
        price_max: MicroUsd(match rng.below(4) {
            0 => rng.between(1, 500_000),
            _other => rng.between(1_500_000, 10_000_000),
        }),
        asset: *rng.pick(&[Asset::Io, Asset::Io, Asset::Usdc]),
        countries: if rng.one_in(4) {
            vec![CountryCode(*b"DE")]
        } else {
            Vec::new()
        },
        connectivity_min: u8::try_from(rng.below(3)).unwrap(),
        reputation_min: if rng.one_in(6) { 5000 } else { 0 },
        compliance_min: 0,
        spread: *rng.pick(&[
            Spread::Any,
            Spread::Any,
            Spread::OneSupplier,
            Spread::OneCountry,
        ]),
        open_blocks: u32::try_from(rng.between(1, 40)).unwrap(),
        pulse_ok: !rng.one_in(3),
        client_id: memory.next_client_id(rng),
    }
}

fn serve(scene: &Scene<'_>, booking: &Booking, rng: &mut Rng, out: &mut Vec<Intent>) {
    let id = booking.id;
    for part in &booking.parts {
        // Some suppliers never deliver.
        let fails = Rng::new(&[scene.world.seed, id.0, part.device.0, 6]).one_in(8);
        if part.ended.is_none() && part.delivered_at.is_none() && !fails && rng.one_in(2) {
            let device = scene.rows.get(&tables::DEVICES, &part.device);
            let signer = match device {
                Some(device) if rng.one_in(2) => device.device_key,
                _other => part.supplier,
            };
            if let Some(key) = scene.world.key_of(signer) {
                let action = Action::Deliver(Deliver {
                    booking: id,
                    device: part.device,
                    sealed: vec![1, 2, 3],
                });
                out.push(Intent::new(&key, vec![action]));
            }
        }
    }
    if let Some(renter) = scene.world.key_of(booking.renter) {
        if rng.one_in(150) {
            let action = Action::NotDelivered(NotDelivered { booking: id });
            out.push(Intent::new(&renter, vec![action]));
        }
        if rng.one_in(120) {
            let action = Action::EndBooking(EndBooking { booking: id });
            out.push(Intent::new(&renter, vec![action]));
        }
    }
}
