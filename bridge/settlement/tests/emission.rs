//! The schedule against the vector file, and chain time.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

use io_settlement::Error;
use io_settlement::emission::{MONTH_MAX, Schedule, TABLE_MONTHS, TABLE_TOTAL, TimeParams};
use proptest::prelude::*;

/// 2024-07-01T00:00:00Z.
const JULY_2024: u64 = 1_719_792_000;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

#[derive(serde::Deserialize)]
struct Vectors {
    months: Vec<u64>,
    total: u64,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/emission.json")).unwrap()
}

fn params() -> TimeParams {
    TimeParams {
        genesis_time: 1_800_000_000,
        chain_start: JULY_2024,
        epoch_seconds: 3600,
        schedule: Schedule::Table,
        schedule_start: JULY_2024,
        emitted_before: 0,
    }
}

/// Days of the months from July 2024 on, counted without the calendar under test.
fn month_days() -> impl Iterator<Item = u64> {
    (6..).map(|month| {
        let year = 2024 + month / 12;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        [
            31,
            if leap { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ][month % 12]
    })
}

#[test]
fn the_table_is_the_vector_file() {
    let vectors = vectors();
    let table: Vec<u64> = (0..TABLE_MONTHS)
        .map(|month| Schedule::Table.month(month))
        .collect();
    assert_eq!(table, vectors.months);
    assert_eq!(table.iter().sum::<u64>(), vectors.total);
    assert_eq!(vectors.total, TABLE_TOTAL);
    assert_eq!(Schedule::Table.month(TABLE_MONTHS), 0);
    assert_eq!(Schedule::Table.before_month(TABLE_MONTHS), TABLE_TOTAL);
    assert_eq!(Schedule::Table.before_month(u64::MAX), TABLE_TOTAL);
}

#[test]
fn the_pots_of_every_month_add_up_to_its_total() {
    let mut time = JULY_2024;
    let mut emitted = 0;
    for (total, days) in vectors().months.into_iter().zip(month_days()) {
        let hours = days * 24;
        assert_eq!(Schedule::Table.emitted_at(JULY_2024, time), emitted);
        let mut month = 0;
        for hour in 0..hours {
            let pot = Schedule::Table.pot(JULY_2024, time);
            assert_eq!(pot, total * (hour + 1) / hours - total * hour / hours);
            month += pot;
            time += HOUR;
            if hour % 97 == 0 {
                assert_eq!(Schedule::Table.emitted_at(JULY_2024, time), emitted + month);
            }
        }
        assert_eq!(month, total);
        emitted += total;
    }
    assert_eq!(emitted, TABLE_TOTAL);
    assert_eq!(Schedule::Table.pot(JULY_2024, time), 0);
    assert_eq!(Schedule::Table.emitted_at(JULY_2024, u64::MAX), TABLE_TOTAL);
}

#[test]
fn nothing_is_emitted_before_the_schedule_starts_or_inside_an_hour() {
    assert_eq!(Schedule::Table.emitted_at(JULY_2024, JULY_2024 - 1), 0);
    assert_eq!(Schedule::Table.pot(JULY_2024, JULY_2024 - HOUR), 0);
    assert_eq!(
        Schedule::Table.emitted_at(JULY_2024, JULY_2024 + HOUR - 1),
        0
    );
    assert_eq!(
        Schedule::Table.emitted_at(JULY_2024, JULY_2024 + HOUR),
        333_333_333_333_333 / 744
    );
}

#[test]
fn a_halving_schedule_halves_and_stops_at_its_maximum() {
    let schedule = Schedule::Halving {
        first_month: 1000,
        period_months: 3,
        max: 4800,
    };
    let months: Vec<u64> = (0..9).map(|month| schedule.month(month)).collect();
    assert_eq!(months, [1000, 1000, 1000, 500, 500, 500, 250, 50, 0]);
    assert_eq!(schedule.before_month(7), 4750);
    assert_eq!(schedule.emitted_at(JULY_2024, u64::MAX), 4800);
    let endless = Schedule::Halving {
        first_month: 7,
        period_months: 1,
        max: u64::MAX,
    };
    assert_eq!(endless.before_month(u64::MAX), 7 + 3 + 1);
}

#[test]
fn chain_time_runs_by_the_epoch_length_and_rounds_down() {
    let fast = TimeParams {
        epoch_seconds: 7,
        ..params()
    };
    assert_eq!(fast.chain_time(fast.genesis_time + 7), JULY_2024 + 3600);
    assert_eq!(fast.chain_time(fast.genesis_time + 1), JULY_2024 + 514);
    assert_eq!(fast.chain_time(fast.genesis_time - 1), JULY_2024);
    assert_eq!(
        params().chain_time(params().genesis_time + 1),
        JULY_2024 + 1
    );
}

#[test]
fn the_ceiling_is_what_complete_hours_gave_since_genesis() {
    let start = JULY_2024 + 40 * DAY + 5 * HOUR;
    let before = Schedule::Table.emitted_at(JULY_2024, start);
    let late = TimeParams {
        chain_start: start,
        emitted_before: before,
        epoch_seconds: 60,
        ..params()
    };
    late.check().unwrap();
    assert_eq!(late.ceiling(late.genesis_time), 0);
    assert_eq!(late.ceiling(late.genesis_time + 59), 0);
    assert_eq!(late.ceiling(late.genesis_time + 60), late.pot(start));
    assert_eq!(
        late.ceiling(late.genesis_time + 120),
        late.pot(start) + late.pot(start + HOUR)
    );
    assert_eq!(late.ceiling(u64::MAX), TABLE_TOTAL - before);
}

#[test]
fn times_that_cannot_be_are_refused() {
    params().check().unwrap();
    let bad_time = [
        TimeParams {
            epoch_seconds: 0,
            ..params()
        },
        TimeParams {
            chain_start: JULY_2024 + 1,
            ..params()
        },
        TimeParams {
            schedule_start: JULY_2024 + DAY,
            ..params()
        },
        TimeParams {
            schedule_start: JULY_2024 + HOUR,
            ..params()
        },
    ];
    for params in bad_time {
        assert_eq!(params.check(), Err(Error::BadTime));
    }
    assert_eq!(
        TimeParams {
            emitted_before: 1,
            ..params()
        }
        .check(),
        Err(Error::EmittedBefore)
    );
    let highest = Schedule::Halving {
        first_month: MONTH_MAX,
        period_months: 1,
        max: 1,
    };
    assert_eq!(highest.check(), Ok(()));
    // The longest month has 744 hours.
    assert_eq!(MONTH_MAX, 24_794_010_851_760_150);
    let good = (1000, 3, 4800);
    for (first_month, period_months, max) in [
        (0, good.1, good.2),
        (MONTH_MAX + 1, good.1, good.2),
        (good.0, 0, good.2),
        (good.0, good.1, 0),
    ] {
        let schedule = Schedule::Halving {
            first_month,
            period_months,
            max,
        };
        assert_eq!(
            TimeParams {
                schedule,
                ..params()
            }
            .check(),
            Err(Error::BadSchedule)
        );
    }
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let halving = (1..=MONTH_MAX, 1..500_u64, 1..=u64::MAX);
    prop_oneof![
        Just(Schedule::Table),
        halving.prop_map(|(first_month, period_months, max)| Schedule::Halving {
            first_month,
            period_months,
            max
        }),
    ]
}

proptest! {
    #[test]
    fn emission_never_falls_nor_passes_its_maximum(schedule in any_schedule(), at in any::<u64>(), more in 0..1_000_000_000_u64) {
        let first = schedule.emitted_at(JULY_2024, at);
        let later = schedule.emitted_at(JULY_2024, at.saturating_add(more));
        prop_assert!(first <= later);
        prop_assert!(later <= schedule.max());
    }

    #[test]
    fn an_hour_adds_its_pot(schedule in any_schedule(), hour in 0..400_000_u64) {
        let at = JULY_2024 + hour * HOUR;
        let before = schedule.emitted_at(JULY_2024, at);
        prop_assert_eq!(schedule.emitted_at(JULY_2024, at + HOUR), before + schedule.pot(JULY_2024, at));
    }
}
