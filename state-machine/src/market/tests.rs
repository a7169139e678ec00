//! Matching against a slow obvious matcher, over random markets and random changes within the block.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use io_storage::Store;
use io_storage::backend::MemoryBackend;
use io_types::action::{DeviceSpec, PlaceOrder, Spread};
use io_types::catalogue::{Catalogue, ClassId, CountryCode, Model, ModelId, Pool};
use io_types::params::Params;
use io_types::row::{Device, DeviceState, Stake};
use io_types::{
    AccountId, Amount, Asset, BookingId, ChainTime, DeviceId, HoldId, MicroUsd, Reason,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::market::Index;
use crate::market::book::Book;
use crate::market::index::is_free;
use crate::market::matching::{Found, find};
use crate::market::shelf::Place;
use crate::stake;
use crate::state::State;
use crate::tables::{CATALOGUE, DEVICES, PARAMS, SPECS, STAKES};

const COUNTRIES: [CountryCode; 3] = [
    CountryCode(*b"AT"),
    CountryCode(*b"DE"),
    CountryCode(*b"US"),
];

fn catalogue() -> Catalogue {
    let model = |id| Model {
        id: ModelId(id),
        name: format!("model {id}"),
        class: ClassId(1),
        multiplier_milli: 1000,
        pool: Pool::Enterprise,
        price_floor: MicroUsd(10),
        price_ceiling: MicroUsd(15),
        vram_mib: 1,
        placeholder: Vec::new(),
    };
    Catalogue {
        classes: Vec::new(),
        models: vec![model(1), model(2)],
    }
}

/// What a test chooses of a device: few values of each kind, so that ranks meet.
type Choice = ((u16, u16, u8), (u64, u16, u64), (u8, bool, bool), (u8, u8));

fn choice() -> impl Strategy<Value = Choice> {
    (
        (
            1..=2_u16,
            prop_oneof![Just(1_u16), Just(2), Just(8)],
            0..3_u8,
        ),
        (9..=16_u64, 4998..=5002_u16, 0..3_u64),
        (0..=4_u8, any::<bool>(), prop::bool::weighted(0.9)),
        (0..=3_u8, 0..8_u8),
    )
}

fn device(id: u64, choice: &Choice) -> (Device, Stake) {
    let ((model, quantity, country), (ask, reputation, waiting), rest, last) = *choice;
    let ((connectivity, usdc, staked), (compliance, state)) = (rest, last);
    let state = match state {
        0 => DeviceState::Paused,
        1 => DeviceState::Retired,
        _ready => DeviceState::Ready,
    };
    let owner = AccountId([u8::try_from(id % 5).unwrap(); 32]);
    let row = Device {
        id: DeviceId(id),
        owner,
        device_key: AccountId([200; 32]),
        spec: DeviceSpec {
            model: ModelId(model),
            quantity,
            vram_mib: 1,
            country: COUNTRIES[usize::from(country)],
            connectivity,
            ask: MicroUsd(ask),
            payout_asset: if usdc { Asset::Usdc } else { Asset::Io },
        },
        state,
        reason: Reason::Normal,
        since: ChainTime(0),
        compliance,
        reputation,
        class: None,
        passed_at: None,
        last_failed: false,
        challenge: None,
        booking: None,
        waiting_since: ChainTime(waiting),
        memory_failures: 0,
        memory_failed_at: ChainTime(0),
        challenge_due: ChainTime(0),
        registered_at: ChainTime(0),
    };
    let amount = if staked { u64::from(quantity) } else { 0 };
    let stake = Stake {
        staker: owner,
        amount: Amount::new(amount),
        hold: HoldId(id),
        exit: None,
    };
    (row, stake)
}

fn order() -> impl Strategy<Value = PlaceOrder> {
    let models = prop_oneof![
        Just(vec![ModelId(1)]),
        Just(vec![ModelId(2)]),
        Just(vec![ModelId(1), ModelId(2)])
    ];
    let countries = prop_oneof![
        Just(Vec::new()),
        Just(vec![COUNTRIES[1]]),
        Just(vec![COUNTRIES[0], COUNTRIES[2]])
    ];
    let spread = prop_oneof![
        Just(Spread::Any),
        Just(Spread::OneSupplier),
        Just(Spread::OneCountry)
    ];
    let tiers = (0..=3_u8, 0..=2_u8, 4997..=5001_u16);
    (
        models,
        countries,
        spread,
        tiers,
        (1..40_u16, 10..=17_u64, any::<bool>()),
    )
        .prop_map(
            |(models, countries, spread, tiers, (quantity, price, usdc))| PlaceOrder {
                models,
                quantity,
                hours: 1,
                price_max: MicroUsd(price),
                asset: if usdc { Asset::Usdc } else { Asset::Io },
                countries,
                connectivity_min: tiers.0,
                reputation_min: tiers.2,
                compliance_min: tiers.1,
                spread,
                open_blocks: 1,
                pulse_ok: true,
                client_id: 1,
            },
        )
}

/// The obvious matcher: every device of the chain, sorted, once for each group.
fn slow(state: &State<'_>, ask: &PlaceOrder) -> Option<Vec<DeviceId>> {
    let catalogue = catalogue();
    let mut params = Params::default();
    params.stake.per_processor = Amount::new(1);
    let mut matching = Vec::new();
    DEVICES
        .scan(state, &DeviceId(0), None, &mut |id, now| {
            let key = crate::table::Key::to_bytes(&id);
            let Some(before) = state.overlay().old(DEVICES.id, &key).unwrap() else {
                return ControlFlow::Continue(());
            };
            let before = DEVICES.decode(&before).unwrap();
            let price = before.spec.ask;
            let spec = &now.spec;
            if ask.models.contains(&spec.model)
                && is_free(&now)
                && stake::counting(state, id).unwrap()
                    >= stake::least(&params.stake, &catalogue, &now)
                && (ask.countries.is_empty() || ask.countries.contains(&spec.country))
                && spec.connectivity >= ask.connectivity_min
                && now.compliance >= ask.compliance_min
                && now.reputation >= ask.reputation_min
                && price <= ask.price_max
                && (10..=15).contains(&price.0)
                && spec.payout_asset == ask.asset
            {
                matching.push((Place::of(&before), now));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    matching.sort_unstable_by_key(|(place, _device)| *place);
    let mut groups: BTreeMap<Vec<u8>, (u16, u64, Vec<DeviceId>)> = BTreeMap::new();
    for (place, device) in &matching {
        let group = match ask.spread {
            Spread::Any => Vec::new(),
            Spread::OneSupplier => device.owner.0.to_vec(),
            Spread::OneCountry => device.spec.country.0.to_vec(),
        };
        let (missing, total, taken) = groups
            .entry(group)
            .or_insert_with(|| (ask.quantity, 0, Vec::new()));
        if *missing > 0 && device.spec.quantity <= *missing {
            *missing = missing.strict_sub(device.spec.quantity);
            let cost = place.ask.0.strict_mul(u64::from(device.spec.quantity));
            *total = total.strict_add(cost);
            taken.push(device.id);
        }
    }
    groups
        .into_values()
        .filter(|(missing, ..)| *missing == 0)
        .min_by_key(|(_missing, total, taken)| (*total, taken.iter().min().copied()))
        .map(|(.., taken)| taken)
}

fn ids(found: &[Found]) -> Vec<DeviceId> {
    found.iter().map(|(_model, entry)| entry.place.id).collect()
}

fn write(state: &mut State<'_>, id: u64, choice: &Choice) {
    let (row, stake) = device(id, choice);
    DEVICES.put(state, &row.id, &row);
    if stake.amount.is_zero() {
        STAKES.delete(state, &row.id).unwrap();
    } else {
        STAKES.put(state, &row.id, &stake).unwrap();
    }
}

fn market(choices: &[Choice]) -> Store {
    let store = Store::open(SPECS, Box::new(MemoryBackend::default())).unwrap();
    let patch = {
        let view = store.snapshot();
        let mut state = State::new(&view);
        let mut params = Params::default();
        params.stake.per_processor = Amount::new(1);
        PARAMS.put(&mut state, &(), &params);
        CATALOGUE.put(&mut state, &(), &catalogue());
        for (id, choice) in (1..).zip(choices) {
            write(&mut state, id, choice);
        }
        view.stage(&state.into_write_set().unwrap()).unwrap()
    };
    store.commit(patch, 1).unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn matching_equals_the_slow_obvious_matcher(
        choices in vec(choice(), 1..80),
        changes in vec((1..100_u64, choice()), 0..12),
        orders in vec(order(), 1..12),
    ) {
        let store = market(&choices);
        let mut index = Index::rebuild(&store.snapshot()).unwrap();
        let changes = {
            let view = store.snapshot();
            let mut state = State::new(&view);
            for (id, choice) in &changes {
                write(&mut state, *id, choice);
            }
            let mut book = Book::new(&index, &state).unwrap();
            for ask in &orders {
                let found = find(&state, &book, ask, &mut 0).unwrap();
                prop_assert_eq!(found.as_ref().map(|found| ids(found)), slow(&state, ask));
                for (model, entry) in found.unwrap_or_default() {
                    book.hire(model, &entry);
                    let mut row = DEVICES.get(&state, &entry.place.id).unwrap().unwrap();
                    (row.state, row.booking) = (DeviceState::Hired, Some(BookingId(1)));
                    DEVICES.put(&mut state, &entry.place.id, &row);
                }
            }
            state.into_write_set().unwrap()
        };
        let patch = store.stage(changes.clone()).unwrap();
        store.commit(patch, 2).unwrap();
        let view = store.snapshot();
        index.apply(&changes, &view).unwrap();
        prop_assert_eq!(index, Index::rebuild(&view).unwrap());
    }
}

#[test]
fn a_search_skips_what_cannot_match_at_any_size() {
    let miss = ((1, 1, 0), (12, 5000, 0), (4, true, true), (3, 7));
    let hit = ((1, 1, 0), (15, 5000, 0), (4, false, true), (3, 7));
    let mut choices = vec![miss; 5000];
    choices.push(hit);
    let store = market(&choices);
    let index = Index::rebuild(&store.snapshot()).unwrap();
    let view = store.snapshot();
    let state = State::new(&view);
    let book = Book::new(&index, &state).unwrap();
    let ask = PlaceOrder {
        models: vec![ModelId(1)],
        quantity: 1,
        hours: 1,
        price_max: MicroUsd(15),
        asset: Asset::Io,
        countries: Vec::new(),
        connectivity_min: 0,
        reputation_min: 0,
        compliance_min: 0,
        spread: Spread::Any,
        open_blocks: 1,
        pulse_ok: true,
        client_id: 1,
    };
    let mut steps = 0;
    let found = find(&state, &book, &ask, &mut steps).unwrap().unwrap();
    assert_eq!(ids(&found), [DeviceId(5001)]);
    assert_eq!(steps, 2, "one shelf opened, one device taken");
}
