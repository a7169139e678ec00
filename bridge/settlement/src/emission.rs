//! The emission schedule and chain time, in 64-bit integers.
//!
//! Chain time is seconds since 1970 on the chain's own clock, which a network may run faster than real time. Months are UTC calendar
//! months of chain time. The pot of hour i (from 0) of a month with H hours and total E is floor(E(i+1)/H) - floor(E i/H).

mod calendar;
mod table;

use crate::codec::{Fixed, Reader, Writer, record};
use crate::{Error, product};
use calendar::{HOUR, MonthHour};

/// Months of the table.
pub const TABLE_MONTHS: u64 = 240;

/// What the table emits in all, base units.
pub const TABLE_TOTAL: u64 = 30_000_000_000_000_000;

/// The highest monthly total: its product with the hours of a month fits 64 bits.
#[expect(clippy::integer_division, reason = "a bound, rounded down")]
pub const MONTH_MAX: u64 = u64::MAX / 744;

/// How much is emitted in which month.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    feature = "borsh",
    derive(borsh::BorshSerialize, borsh::BorshDeserialize)
)]
pub enum Schedule {
    /// The constant table of 240 monthly totals.
    Table,
    /// A monthly total that halves (rounding down) after every period.
    Halving {
        /// Total of each month of the first period, base units; 1 to [`MONTH_MAX`].
        first_month: u64,
        /// Months of a period, above 0.
        period_months: u64,
        /// What is emitted in all at most, base units, above 0.
        max: u64,
    },
}

const KIND_TABLE: u8 = 1;
const KIND_HALVING: u8 = 2;

/// Kind and three numbers, zero for the table. Unlike borsh, every kind has the same width.
impl Fixed for Schedule {
    const LEN: usize = 25;

    fn put(&self, to: &mut Writer<'_>) {
        let (kind, numbers) = match *self {
            Self::Table => (KIND_TABLE, [0; 3]),
            Self::Halving {
                first_month,
                period_months,
                max,
            } => (KIND_HALVING, [first_month, period_months, max]),
        };
        kind.put(to);
        for number in numbers {
            number.put(to);
        }
    }

    /// An unknown kind, or a table with numbers, is [`Error::BadSchedule`].
    fn get(from: &mut Reader<'_>) -> Self {
        let kind = u8::get(from);
        let [first_month, period_months, max] = [u64::get(from), u64::get(from), u64::get(from)];
        match (kind, first_month, period_months, max) {
            (KIND_TABLE, 0, 0, 0) => Self::Table,
            (KIND_HALVING, ..) => Self::Halving {
                first_month,
                period_months,
                max,
            },
            _ => {
                from.fail(Error::BadSchedule);
                Self::Table
            }
        }
    }
}

impl Schedule {
    /// [`Error::BadSchedule`] if a number is out of its range.
    pub const fn check(&self) -> Result<(), Error> {
        match *self {
            Self::Table => Ok(()),
            Self::Halving {
                first_month,
                period_months,
                max,
            } => {
                if first_month == 0 || first_month > MONTH_MAX || period_months == 0 || max == 0 {
                    return Err(Error::BadSchedule);
                }
                Ok(())
            }
        }
    }

    /// What may ever be emitted, base units.
    pub const fn max(&self) -> u64 {
        match *self {
            Self::Table => TABLE_TOTAL,
            Self::Halving { max, .. } => max,
        }
    }

    /// Total of month `month` (0-based), base units, clipped so that all months together stay within the maximum.
    pub fn month(&self, month: u64) -> u64 {
        match *self {
            Self::Table => usize::try_from(month)
                .ok()
                .and_then(|at| table::MONTHS.get(at))
                .copied()
                .unwrap_or(0),
            Self::Halving {
                first_month,
                period_months,
                max,
            } => {
                let room = max.saturating_sub(self.before_month(month));
                halved(
                    first_month,
                    month.checked_div(period_months).unwrap_or(u64::MAX),
                )
                .min(room)
            }
        }
    }

    /// Sum of the totals of all months before `month` (0-based), base units.
    #[inline(never)]
    pub fn before_month(&self, month: u64) -> u64 {
        match *self {
            Self::Table => {
                let months = usize::try_from(month).unwrap_or(usize::MAX);
                table::MONTHS
                    .iter()
                    .take(months)
                    .fold(0, |sum, total| total.saturating_add(sum))
            }
            Self::Halving {
                first_month,
                period_months,
                max,
            } => {
                let mut left = month;
                let mut sum = 0_u64;
                for period in 0..u64::from(u64::BITS) {
                    let months = left.min(period_months);
                    sum = sum
                        .saturating_add(product::saturating(halved(first_month, period), months));
                    left = left.saturating_sub(months);
                    if left == 0 || sum >= max {
                        break;
                    }
                }
                sum.min(max)
            }
        }
    }

    /// What the schedule gives in all hours that are complete at chain time `chain_time`, base units.
    /// `schedule_start` is the first instant of the first month.
    pub fn emitted_at(&self, schedule_start: u64, chain_time: u64) -> u64 {
        if chain_time < schedule_start {
            return 0;
        }
        let MonthHour { month, hour, hours } = MonthHour::of(schedule_start, chain_time);
        self.before_month(month)
            .saturating_add(share(self.month(month), hour, hours))
    }

    /// The pot of the hour that begins at chain time `hour_start`, base units. Times inside the hour give the same pot.
    pub fn pot(&self, schedule_start: u64, hour_start: u64) -> u64 {
        if hour_start < schedule_start {
            return 0;
        }
        let MonthHour { month, hour, hours } = MonthHour::of(schedule_start, hour_start);
        let total = self.month(month);
        share(total, hour.saturating_add(1), hours).saturating_sub(share(total, hour, hours))
    }
}

/// floor(total hour / hours). The product fits: see [`MONTH_MAX`].
fn share(total: u64, hour: u64, hours: u64) -> u64 {
    product::saturating(total, hour)
        .checked_div(hours)
        .unwrap_or(0)
}

/// floor(first / 2^periods).
fn halved(first: u64, periods: u64) -> u64 {
    u32::try_from(periods)
        .ok()
        .and_then(|periods| first.checked_shr(periods))
        .unwrap_or(0)
}

record! {
    /// Chain time and emission of a network.
    TimeParams {
        /// Block time of the genesis, Unix seconds.
        genesis_time: u64,
        /// Chain time of the genesis, Unix seconds; a full hour.
        chain_start: u64,
        /// Real seconds of an epoch, above 0; an epoch is an hour of chain time.
        epoch_seconds: u64,
        /// Monthly totals.
        schedule: Schedule,
        /// Chain time at which the first month begins, Unix seconds; the first instant of a UTC month.
        schedule_start: u64,
        /// What the schedule gave before `chain_start`, base units; it belongs to the genesis supply.
        emitted_before: u64,
    }
}

impl TimeParams {
    /// Errors: [`Error::BadTime`], [`Error::BadSchedule`], [`Error::EmittedBefore`].
    pub fn check(&self) -> Result<(), Error> {
        let full_hour = self.chain_start.checked_rem(HOUR) == Some(0);
        if self.epoch_seconds == 0 || !full_hour || !calendar::is_month_start(self.schedule_start) {
            return Err(Error::BadTime);
        }
        self.schedule.check()?;
        if self.emitted_before
            != self
                .schedule
                .emitted_at(self.schedule_start, self.chain_start)
        {
            return Err(Error::EmittedBefore);
        }
        Ok(())
    }

    /// Chain time at real time `unix`: chain_start + floor((unix - genesis_time) 3600 / epoch_seconds); chain_start before the genesis.
    pub fn chain_time(&self, unix: u64) -> u64 {
        let since = product::saturating(unix.saturating_sub(self.genesis_time), HOUR);
        self.chain_start
            .saturating_add(since.checked_div(self.epoch_seconds).unwrap_or(0))
    }

    /// What may be emitted since genesis at real time `unix`, base units: the hours complete by then, less what came before genesis.
    pub fn ceiling(&self, unix: u64) -> u64 {
        self.schedule
            .emitted_at(self.schedule_start, self.chain_time(unix))
            .saturating_sub(self.emitted_before)
    }

    /// The pot of the epoch that begins at chain time `epoch_start`, base units.
    pub fn pot(&self, epoch_start: u64) -> u64 {
        self.schedule.pot(self.schedule_start, epoch_start)
    }
}
