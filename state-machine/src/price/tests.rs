use super::*;

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
