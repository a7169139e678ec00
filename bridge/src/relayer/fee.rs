//! The priority price of a batch.

use super::config::Fee;

/// Micro-lamports per compute unit for a batch of this age: doubles with every step, up to the maximum.
pub(super) fn price(fee: &Fee, age_ms: u64) -> u64 {
    let step_ms = fee.doubles_every_seconds.saturating_mul(1000);
    let doublings = age_ms.checked_div(step_ms).unwrap_or(0);
    let factor = u32::try_from(doublings)
        .ok()
        .and_then(|doublings| 1_u64.checked_shl(doublings))
        .unwrap_or(u64::MAX);
    fee.start.saturating_mul(factor).min(fee.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_doubles_with_age_up_to_its_maximum() {
        let fee = Fee {
            start: 10,
            max: 75,
            doubles_every_seconds: 60,
        };
        let ages = [0, 59_999, 60_000, 120_000, 180_000, 3_600_000, u64::MAX];
        assert_eq!(
            ages.map(|age| price(&fee, age)),
            [10, 10, 20, 40, 75, 75, 75]
        );
        let free = Fee { start: 0, ..fee };
        assert_eq!(price(&free, u64::MAX), 0);
    }
}
