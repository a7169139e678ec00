use std::sync::Arc;

use io_storage::Store;
use io_storage::backend::MemoryBackend;
use io_types::catalogue::Catalogue;
use io_types::extension::{PricesPart, VoteExtension};
use io_types::params::ChainFacts;
use io_types::{
    AccountId, Amount, ChainTime, Epoch, Hash, Height, Params, Slot, TimeScale, ValidatorAddress,
};

use super::*;
use crate::context::Clock;
use crate::extension::CountedVote;
use crate::tables::SPECS;

/// The time of the block in question, ms.
const NOW: u64 = 600_000_000;
/// Micro-USD per IO that honest validators report.
const REPORTED: u64 = 160_000;

fn row(spot: u64) -> PriceState {
    PriceState {
        spot,
        usdc: 1_000_000,
        updated: BlockTime(0),
        minutes: Vec::new(),
        t30: spot,
        t60: spot,
    }
}

#[test]
fn the_median_is_weighted_by_power() {
    assert_eq!(median(vec![(100, 1), (200, 1), (300, 1)]), 200);
    assert_eq!(median(vec![(100, 1), (200, 5), (900, 3)]), 200);
    assert_eq!(median(vec![(900, 10), (1, 3), (2, 3)]), 900);
}

#[test]
fn a_block_moves_the_price_by_at_most_the_share() {
    assert_eq!(toward(1000, 5000, BasisPoints(1000)), 1100);
    assert_eq!(toward(1000, 10, BasisPoints(1000)), 900);
    assert_eq!(toward(1000, 1050, BasisPoints(1000)), 1050);
}

#[test]
fn the_average_is_by_time_and_the_genesis_price_stands_for_what_lies_before() {
    let params = PriceParams {
        genesis_price: 100,
        short_minutes: 2,
        long_minutes: 4,
        ..PriceParams::default()
    };
    let start = 600_000_000;
    let mut prices = row(200);
    prices.updated = BlockTime(start);
    note(&mut prices, &params, BlockTime(start + 60_000));
    // One minute at 200 and one before the chain at 100.
    assert_eq!(average(&prices, 2, BlockTime(start + 60_000), 100), 150);
    note(&mut prices, &params, BlockTime(start + 600_000));
    assert_eq!(average(&prices, 2, BlockTime(start + 600_000), 100), 200);
    assert!(
        prices.minutes.len() <= 5,
        "older minutes are dropped: {:?}",
        prices.minutes
    );
}

fn block(now: u64) -> BlockContext {
    BlockContext {
        height: Height(9),
        time: BlockTime(now),
        now: ChainTime(now),
        app_hash_before: Hash::ZERO,
        facts: Arc::new(ChainFacts {
            chain_id: String::new(),
            scale: TimeScale {
                genesis_time: BlockTime(0),
                chain_start: ChainTime(0),
                epoch_seconds: 3600,
            },
            schedule_start: ChainTime(0),
            emitted_before: Amount::ZERO,
        }),
        params: Arc::new(Params::default()),
        catalogue: Arc::new(Catalogue::default()),
    }
}

fn clock(state: &mut State<'_>, last_block: u64) {
    let clock = Clock {
        block_time: BlockTime(last_block),
        chain_time: ChainTime(last_block),
        next_slot: Slot(0),
        open_epoch: Epoch(0),
        seen_slots: Vec::new(),
        matched_through: None,
    };
    CLOCK.put(state, &(), &clock);
}

/// Runs on a state with this row and nothing else, one second after the last block.
fn with_row<T>(row: &PriceState, run: impl FnOnce(&mut State<'_>) -> T) -> T {
    let store = Store::open(SPECS, Box::new(MemoryBackend::default())).unwrap();
    let view = store.snapshot();
    let mut state = State::new(&view);
    PRICE.put(&mut state, &(), row);
    clock(&mut state, NOW - 1000);
    run(&mut state)
}

/// The extensions of these of four validators with equal power.
fn attested(parts: &[PricesPart]) -> Attested {
    let vote = |part: &PricesPart| CountedVote {
        validator: ValidatorAddress([1; 20]),
        power: 10,
        settlement_key: AccountId([1; 32]),
        extension: VoteExtension {
            prices: Some(*part),
            ..VoteExtension::default()
        },
    };
    Attested {
        total_power: 40,
        votes: parts.iter().map(vote).collect(),
        ..Attested::default()
    }
}

fn part(io: u64, usdc: u64, published_ms: u64) -> PricesPart {
    PricesPart {
        io,
        usdc,
        published_ms,
    }
}

/// A row whose last update was in the last block.
fn recent() -> PriceState {
    PriceState {
        updated: BlockTime(NOW - 1000),
        ..row(150_000)
    }
}

#[test]
fn only_whole_parts_of_the_last_minute_count_for_the_quorum() {
    let good = part(REPORTED, 1_000_100, NOW);
    for (third, counts) in [
        (good, true),
        (part(1, 1_000_100, NOW), true),
        (part(REPORTED, 1, NOW), true),
        (part(0, 1_000_100, NOW), false),
        (part(REPORTED, 0, NOW), false),
        (part(REPORTED, 1_000_100, NOW - 60_000), true),
        (part(REPORTED, 1_000_100, NOW - 60_001), false),
        (part(REPORTED, 1_000_100, NOW + 60_000), true),
        (part(REPORTED, 1_000_100, NOW + 60_001), false),
    ] {
        let after = with_row(&recent(), |state| {
            update(state, &block(NOW), &attested(&[good, good, third])).unwrap();
            read(state).unwrap()
        });
        let expected = if counts {
            (REPORTED, 1_000_100, NOW)
        } else {
            (150_000, 1_000_000, NOW - 1000)
        };
        assert_eq!(
            (after.spot, after.usdc, after.updated.0),
            expected,
            "{third:?}"
        );
    }
}

#[test]
fn more_than_two_thirds_of_all_power_move_the_price_and_an_event_says_so() {
    let good = part(REPORTED, 1_000_100, NOW);
    let (quiet, events) = with_row(&recent(), |state| {
        update(state, &block(NOW), &attested(&[good, good])).unwrap();
        (read(state).unwrap(), state.take_events())
    });
    assert_eq!((quiet.spot, events), (150_000, Vec::new()));
    let (moved, events) = with_row(&recent(), |state| {
        update(state, &block(NOW), &attested(&[good, good, good])).unwrap();
        (read(state).unwrap(), state.take_events())
    });
    let said = Event::PriceUpdated {
        spot: REPORTED,
        t30: moved.t30,
        usdc: 1_000_100,
    };
    assert_eq!(events, [said]);
}

#[test]
fn a_price_that_nobody_renews_goes_stale_once() {
    let stale_ms = PriceParams::default().stale_ms;
    let from = NOW - 1000;
    // The block, the one before, and what is said.
    for (last, now, said) in [
        (from, from + stale_ms, None),
        (from, from + stale_ms + 1, Some(stale_ms + 1)),
        (from + stale_ms, from + stale_ms + 5, Some(stale_ms + 5)),
        (from + stale_ms + 1, from + stale_ms + 5, None),
    ] {
        let events = with_row(&recent(), |state| {
            clock(state, last);
            update(state, &block(now), &attested(&[])).unwrap();
            state.take_events()
        });
        let ages = events.iter().filter_map(|event| {
            let Event::PriceStale { age_ms } = event else {
                return None;
            };
            Some(*age_ms)
        });
        assert_eq!(ages.collect::<Vec<_>>(), Vec::from_iter(said), "at {now}");
    }
    // A price that comes back in time is not stale.
    let good = part(REPORTED, 1_000_100, from + stale_ms + 1);
    let events = with_row(&recent(), |state| {
        let late = block(from + stale_ms + 1);
        update(state, &late, &attested(&[good, good, good])).unwrap();
        state.take_events()
    });
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::PriceStale { .. })),
        "{events:?}"
    );
}

#[test]
fn a_price_is_in_force_until_it_is_stale_and_never_when_it_is_nothing() {
    let stale_ms = PriceParams::default().stale_ms;
    for (t30, age, expected) in [
        (7, 0, Some(7)),
        (7, stale_ms, Some(7)),
        (7, stale_ms + 1, None),
        (0, 0, None),
    ] {
        let price = PriceState { t30, ..recent() };
        let found = with_row(&price, |state| fresh(state, &block(NOW - 1000 + age)));
        assert_eq!(found, Ok(expected), "{t30} at the age of {age} ms");
    }
}

#[test]
fn usdc_holds_within_its_band_on_both_sides() {
    // The band is 1 % of a dollar.
    for (usdc, holds) in [
        (1_000_000, true),
        (1_010_000, true),
        (1_010_001, false),
        (990_000, true),
        (989_999, false),
        (0, false),
    ] {
        let price = PriceState { usdc, ..recent() };
        let found = with_row(&price, |state| usdc_holds(state, &block(NOW)));
        assert_eq!(found, Ok(holds), "{usdc}");
    }
}

#[test]
fn a_minute_of_many_blocks_is_one_row_with_each_price_for_its_time() {
    let params = PriceParams::default();
    let minute = NOW.div_euclid(MINUTE_MS);
    let mut prices = row(200);
    prices.updated = BlockTime(NOW);
    note(&mut prices, &params, BlockTime(NOW + 10_000));
    note(&mut prices, &params, BlockTime(NOW + 30_000));
    prices.spot = 300;
    note(&mut prices, &params, BlockTime(NOW + 60_000));
    note(&mut prices, &params, BlockTime(NOW + 65_000));
    let sums = [200 * 30_000 + 300 * 30_000, 300 * 5000];
    assert_eq!(
        prices.minutes,
        [(minute, sums[0], 60_000), (minute + 1, sums[1], 5000)]
    );
}

#[test]
fn an_average_leaves_out_the_minute_before_its_window_and_then_needs_no_genesis_price() {
    let minute = NOW.div_euclid(MINUTE_MS);
    let full = |price: u64| u128::from(price * MINUTE_MS);
    let prices = PriceState {
        minutes: vec![
            (minute - 2, full(400), MINUTE_MS),
            (minute - 1, full(200), MINUTE_MS),
            (minute, full(200).div_euclid(2), MINUTE_MS.div_euclid(2)),
        ],
        ..row(200)
    };
    assert_eq!(average(&prices, 2, BlockTime(NOW + 30_000), 100), 200);
    // Of a window that begins before the records, the rest is at the genesis price: 30 s of 240.
    let all = (400 * 60 + 200 * 90 + 100 * 90_u64).div_euclid(240);
    assert_eq!(average(&prices, 4, BlockTime(NOW + 30_000), 100), all);
}
