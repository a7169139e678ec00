//! Amounts as people write them: decimals with the asset, read and shown exactly.

use std::fmt;
use std::str::FromStr;

use io_types::amount::{Amount, MicroUsd};
use io_types::asset::Asset;

/// Digits after the point of a price in USD.
const USD_DECIMALS: u8 = 6;

/// An amount with its asset: `12.5 io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// How much, base units.
    pub amount: Amount,
    /// Of what.
    pub asset: Asset,
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let unit_at = text
            .find(|letter: char| letter.is_ascii_alphabetic())
            .ok_or_else(|| format!("{text:?} names no asset: write it as \"12.5 io\""))?;
        let (number, unit) = text.split_at(unit_at);
        let asset: Asset = unit.parse()?;
        let amount = decimal(number.trim_end(), asset.decimals())?;
        Ok(Self {
            amount: Amount::new(amount),
            asset,
        })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            decimal_text(self.amount.get(), self.asset.decimals()),
            self.asset
        )
    }
}

/// The amount of an asset as people write it: `12.5 io`.
pub fn show(amount: Amount, asset: Asset) -> String {
    Money { amount, asset }.to_string()
}

/// Reads a price in USD: `2.50` is 2 500 000 micro-USD.
///
/// # Errors
/// Text that says what is wrong.
pub fn parse_usd(text: &str) -> Result<MicroUsd, String> {
    decimal(text.trim(), USD_DECIMALS).map(MicroUsd)
}

/// A price in USD: `2.5`.
pub fn show_usd(price: MicroUsd) -> String {
    decimal_text(price.0, USD_DECIMALS)
}

/// Reads a decimal with at most `decimals` digits after the point as a number of its smallest units. Nothing is rounded.
///
/// # Errors
/// Text that says what is wrong.
pub fn decimal(text: &str, decimals: u8) -> Result<u64, String> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, "0"),
    };
    if !is_number(whole) || !is_number(fraction) {
        return Err(format!(
            "{text:?} is no amount: write digits and at most one point, as 12.5"
        ));
    }
    let places = usize::from(decimals);
    let (kept, beyond) = fraction.split_at_checked(places).unwrap_or((fraction, ""));
    if beyond.bytes().any(|byte| byte != b'0') {
        return Err(format!(
            "{text:?} has more than {decimals} digits after the point, the smallest unit there is"
        ));
    }
    format!("{whole}{kept:0<places$}")
        .parse()
        .map_err(|_error| format!("{text:?} is too large"))
}

/// A number of smallest units as a decimal without needless zeros.
pub fn decimal_text(units: u64, decimals: u8) -> String {
    let places = usize::from(decimals);
    let digits = format!("{units:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_last_unit() {
        for (text, units, asset) in [
            ("12.5 io", 1_250_000_000, Asset::Io),
            ("12.5io", 1_250_000_000, Asset::Io),
            ("  0.00000001   IO ", 1, Asset::Io),
            ("184467440737.09551615 io", u64::MAX, Asset::Io),
            ("1.000000000 io", 100_000_000, Asset::Io),
            ("0 usdc", 0, Asset::Usdc),
            ("007.25 USDC", 7_250_000, Asset::Usdc),
            ("3 credit", 3_000_000, Asset::Credit),
        ] {
            let money = Money {
                amount: Amount::new(units),
                asset,
            };
            assert_eq!(text.parse(), Ok(money), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for (text, why) in [
            ("", "names no asset"),
            ("12.5", "names no asset"),
            ("io", "is no amount"),
            ("12.5 sol", "is no asset"),
            ("-1 io", "is no amount"),
            ("+1 io", "is no amount"),
            ("1e3 io", "is no asset"),
            ("1,5 io", "is no amount"),
            ("1_000 io", "is no amount"),
            (".5 io", "is no amount"),
            ("5. io", "is no amount"),
            ("1.2.3 io", "is no amount"),
            ("0.000000001 io", "more than 8 digits"),
            ("0.0000001 usdc", "more than 6 digits"),
            ("184467440737.09551616 io", "is too large"),
            ("99999999999999999999999 io", "is too large"),
            ("１ io", "is no amount"),
        ] {
            let refused = text.parse::<Money>().unwrap_err();
            assert!(refused.contains(why), "{text:?}: {refused}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for units in [0, 1, 99_999_999, 100_000_000, 1_250_000_000, u64::MAX] {
            for asset in Asset::ALL {
                let money = Money {
                    amount: Amount::new(units),
                    asset,
                };
                assert_eq!(money.to_string().parse(), Ok(money));
            }
        }
        assert_eq!(show(Amount::new(1_250_000_000), Asset::Io), "12.5 io");
        assert_eq!(show(Amount::new(1), Asset::Usdc), "0.000001 usdc");
    }

    #[test]
    fn prices_are_micro_usd() {
        assert_eq!(parse_usd("2.50"), Ok(MicroUsd(2_500_000)));
        assert_eq!(show_usd(MicroUsd(2_500_000)), "2.5");
        assert!(parse_usd("0.0000001").is_err());
        assert!(parse_usd("$2").is_err());
    }
}
