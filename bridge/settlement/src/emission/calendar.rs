//! UTC months of the proleptic Gregorian calendar, in unsigned 64-bit arithmetic.

/// Seconds of an hour.
pub(super) const HOUR: u64 = 3600;
const DAY: u64 = 86_400;
const MONTHS_PER_YEAR: u64 = 12;

/// The last second of the year 9999. Later times count as this one, which bounds every number below.
const LAST: u64 = 253_402_300_799;

/// An hour's place in the months of a schedule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MonthHour {
    /// Months between the schedule's first month and this one.
    pub(super) month: u64,
    /// Full hours since the month began.
    pub(super) hour: u64,
    /// Hours of the month.
    pub(super) hours: u64,
}

impl MonthHour {
    /// The place of `time`, which is not before `start`.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::integer_division,
        reason = "`Date::of` bounds every term far below 2^64"
    )]
    pub(super) fn of(start: u64, time: u64) -> Self {
        let date = Date::of(time);
        Self {
            month: date.months().saturating_sub(Date::of(start).months()),
            hour: (date.day - 1) * 24 + time.min(LAST) % DAY / HOUR,
            hours: days_of(date.year, date.month) * 24,
        }
    }
}

/// Whether `time` is the first instant of a month.
pub(super) fn is_month_start(time: u64) -> bool {
    time <= LAST && time.checked_rem(DAY) == Some(0) && Date::of(time).day == 1
}

struct Date {
    year: u64,
    /// 1 to 12.
    month: u64,
    /// 1 to 31.
    day: u64,
}

impl Date {
    /// The date of a Unix time: days are counted from 1 March of year 0, in eras of 400 years, so that leap days come last.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::integer_division,
        reason = "`LAST` bounds every term far below 2^64"
    )]
    const fn of(time: u64) -> Self {
        let time = if time > LAST { LAST } else { time };
        let days = time / DAY + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let year = year_of_era + era * 400;
        if month_from_march < 10 {
            Self {
                year,
                month: month_from_march + 3,
                day,
            }
        } else {
            Self {
                year: year + 1,
                month: month_from_march - 9,
                day,
            }
        }
    }

    /// Months since January of year 0.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a year has at most four digits and a month is at least 1"
    )]
    const fn months(&self) -> u64 {
        self.year * MONTHS_PER_YEAR + self.month - 1
    }
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY, HOUR, LAST, MonthHour, is_month_start};

    #[test]
    fn the_calendar_agrees_with_counting_days() {
        let mut day_start = 0;
        let mut months = 0;
        for year in 1970..2500 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for days in [
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
            ] {
                for day in 0..days {
                    assert_eq!(is_month_start(day_start), day == 0);
                    let found = MonthHour::of(0, day_start + 5 * HOUR + 3599);
                    assert_eq!(
                        found,
                        MonthHour {
                            month: months,
                            hour: day * 24 + 5,
                            hours: days * 24
                        }
                    );
                    day_start += DAY;
                }
                months += 1;
            }
        }
    }

    #[test]
    fn times_beyond_the_last_count_as_the_last() {
        assert_eq!(MonthHour::of(0, u64::MAX), MonthHour::of(0, LAST));
        assert!(!is_month_start(u64::MAX));
    }
}
