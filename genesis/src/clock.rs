//! UTC instants as text: `2026-01-31T00:00:00Z`, milliseconds optional.

const DAY_SECONDS: u64 = 86_400;

/// Milliseconds since 1970 of `YYYY-MM-DDTHH:MM:SS[.mmm]Z`. None if it is no such instant, or before 1970 or after 9999.
pub fn parse(text: &str) -> Option<u64> {
    let body = text.strip_suffix('Z')?;
    let (date, time) = body.split_once('T')?;
    let (clock, millis) = match time.split_once('.') {
        Some((clock, millis)) => (clock, number(millis, 3)?),
        None => (time, 0),
    };
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
    if year < 1970 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if month == 0 || month > 12 || day == 0 || day > days_of(year, month) {
        return None;
    }
    let days = days_before(year, month)?.checked_add(day)?.checked_sub(1)?;
    let seconds = days
        .checked_mul(DAY_SECONDS)?
        .checked_add(hour.checked_mul(3600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?;
    seconds.checked_mul(1000)?.checked_add(millis)
}

/// The text of an instant in milliseconds since 1970, always with three decimals only if there are any milliseconds.
pub fn format(ms: u64) -> String {
    let (seconds, millis) = (ms.div_euclid(1000), ms.rem_euclid(1000));
    let (days, of_day) = (
        seconds.div_euclid(DAY_SECONDS),
        seconds.rem_euclid(DAY_SECONDS),
    );
    let (mut year, mut left) = (1970_u64, days);
    while left >= days_of_year(year) {
        left = left.saturating_sub(days_of_year(year));
        year = year.saturating_add(1);
    }
    let mut month = 1;
    while left >= days_of(year, month) {
        left = left.saturating_sub(days_of(year, month));
        month = month.saturating_add(1);
    }
    let fraction = if millis == 0 {
        String::new()
    } else {
        format!(".{millis:03}")
    };
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}{fraction}Z",
        left.saturating_add(1),
        of_day.div_euclid(3600),
        of_day.rem_euclid(3600).div_euclid(60),
        of_day.rem_euclid(60)
    )
}

fn fields(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let [first, second, third] = <[&str; 3]>::try_from(parts).ok()?;
    let [a, b, c] = digits;
    Some([number(first, a)?, number(second, b)?, number(third, c)?])
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn days_before(year: u64, month: u64) -> Option<u64> {
    let years: u64 = (1970..year).map(days_of_year).sum();
    let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    years.checked_add(months)
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn text_and_milliseconds_are_the_same_instant() {
        let known = [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T23:59:59Z", 1_709_251_199_000),
            ("2024-07-01T00:00:00Z", 1_719_792_000_000),
            ("2026-11-21T09:30:00.250Z", 1_795_253_400_250),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ];
        for (text, ms) in known {
            assert_eq!(parse(text), Some(ms), "{text}");
            assert_eq!(format(ms), text);
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "2024-07-01",
            "2024-07-01T00:00:00",
            "2024-07-01T00:00:00+01:00",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-07-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2024-7-1T00:00:00Z",
            "2024-07-01T00:00:00.5Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
