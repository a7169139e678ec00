//! Prices in force: IO/USD and USDC/USD, from the validators' extensions.
//!
//! Owns table `price`. Per block: parts published within the allowed age; if they carry more than two thirds of the power,
//! the power-weighted median, moved by at most the allowed share; then the averages over block time.

use io_storage::Fault;
use io_types::amount::{BasisPoints, mul_div_ceil, mul_div_floor};
use io_types::params::PriceParams;
use io_types::row::PriceState;
use io_types::{BlockTime, Event};

use crate::context::BlockContext;
use crate::extension::Attested;
use crate::state::State;
use crate::tables::{CLOCK, PRICE};

#[cfg(test)]
mod tests;

const MINUTE_MS: u64 = 60_000;

/// The price state at genesis: the genesis price stands for what lies before.
pub fn at_genesis(params: &PriceParams, time: BlockTime) -> PriceState {
    let price = params.genesis_price;
    PriceState {
        spot: price,
        usdc: 1_000_000,
        updated: time,
        minutes: Vec::new(),
        t30: price,
        t60: price,
    }
}

/// The prices as of now.
pub fn read(state: &State<'_>) -> Result<PriceState, Fault> {
    PRICE.expect(state, &(), "genesis writes it")
}

/// The IO price in force (T30, micro-USD per IO), or none while it is stale.
pub fn fresh(state: &State<'_>, block: &BlockContext) -> Result<Option<u64>, Fault> {
    let row = read(state)?;
    let age = block.time.0.saturating_sub(row.updated.0);
    Ok((age <= block.params.price.stale_ms && row.t30 > 0).then_some(row.t30))
}

/// Whether USDC is near enough to a dollar for orders in USDC.
pub fn usdc_holds(state: &State<'_>, block: &BlockContext) -> Result<bool, Fault> {
    let band = mul_div_floor(
        1_000_000,
        block.params.market.usdc_band.get(),
        BasisPoints::WHOLE,
    )
    .unwrap_or(0);
    Ok(read(state)?.usdc.abs_diff(1_000_000) <= band)
}

/// Takes the extensions of a block.
pub fn update(
    state: &mut State<'_>,
    block: &BlockContext,
    attested: &Attested,
) -> Result<(), Fault> {
    let params = &block.params.price;
    let mut row = read(state)?;
    let before = (row.spot, row.t30, row.usdc);
    let is_stale =
        |row: &PriceState, at: BlockTime| at.0.saturating_sub(row.updated.0) > params.stale_ms;
    let last = CLOCK.expect(state, &(), "genesis writes it")?.block_time;
    let was_stale = is_stale(&row, last);
    note(&mut row, params, block.time);
    let counted: Vec<_> = attested
        .prices()
        .filter(|(part, _power)| {
            part.io > 0
                && part.usdc > 0
                && part.published_ms.abs_diff(block.time.0) <= params.publish_age_max_ms
        })
        .collect();
    let power = counted
        .iter()
        .fold(0_u64, |sum, (_part, power)| sum.saturating_add(*power));
    if attested.is_quorum(power) {
        let io = median(
            counted
                .iter()
                .map(|(part, power)| (part.io, *power))
                .collect(),
        );
        let usdc = median(
            counted
                .iter()
                .map(|(part, power)| (part.usdc, *power))
                .collect(),
        );
        row.spot = toward(row.spot, io, params.move_max);
        row.usdc = toward(row.usdc, usdc, params.move_max);
        row.updated = block.time;
    }
    row.t30 = average(&row, params.short_minutes, block.time, params.genesis_price);
    row.t60 = average(&row, params.long_minutes, block.time, params.genesis_price);
    if is_stale(&row, block.time) && !was_stale {
        let age_ms = block.time.0.saturating_sub(row.updated.0);
        state.emit(Event::PriceStale { age_ms });
    }
    if before != (row.spot, row.t30, row.usdc) {
        state.emit(Event::PriceUpdated {
            spot: row.spot,
            t30: row.t30,
            usdc: row.usdc,
        });
    }
    PRICE.put(state, &(), &row);
    Ok(())
}

/// Adds the time since the last block, at the price that was in force, to the minutes.
fn note(row: &mut PriceState, params: &PriceParams, now: BlockTime) {
    let now_minute = now.0.div_euclid(MINUTE_MS);
    let mut from = row
        .minutes
        .last()
        .map_or(row.updated.0.min(now.0), |(minute, _sum, ms)| {
            minute.saturating_mul(MINUTE_MS).saturating_add(*ms)
        });
    // Nothing older than the long window counts.
    let oldest = now_minute.saturating_sub(params.long_minutes);
    from = from.max(oldest.saturating_mul(MINUTE_MS));
    while from < now.0 {
        let minute = from.div_euclid(MINUTE_MS);
        let end = minute
            .saturating_add(1)
            .saturating_mul(MINUTE_MS)
            .min(now.0);
        let ms = end.saturating_sub(from);
        let weight = u128::from(row.spot).saturating_mul(u128::from(ms));
        match row.minutes.last_mut() {
            Some((last, sum, had)) if *last == minute => {
                *sum = sum.saturating_add(weight);
                *had = end.saturating_sub(minute.saturating_mul(MINUTE_MS));
            }
            _other => {
                let skipped = from.saturating_sub(minute.saturating_mul(MINUTE_MS));
                let before = u128::from(row.spot).saturating_mul(u128::from(skipped));
                row.minutes.push((
                    minute,
                    weight.saturating_add(before),
                    skipped.saturating_add(ms),
                ));
            }
        }
        from = end;
    }
    row.minutes.retain(|(minute, _sum, _ms)| *minute >= oldest);
}

/// ⌊average⌋ over the last minutes; time before the first record counts at the genesis price.
fn average(row: &PriceState, minutes: u64, now: BlockTime, genesis_price: u64) -> u64 {
    let window = u128::from(minutes.saturating_mul(MINUTE_MS)).max(1);
    let first = now.0.div_euclid(MINUTE_MS).saturating_sub(minutes);
    let (mut sum, mut ms) = (0_u128, 0_u128);
    for (_minute, minute_sum, minute_ms) in
        row.minutes.iter().filter(|(minute, ..)| *minute > first)
    {
        sum = sum.saturating_add(*minute_sum);
        ms = ms.saturating_add(u128::from(*minute_ms));
    }
    if row
        .minutes
        .first()
        .is_none_or(|(minute, ..)| *minute > first)
    {
        let missing = window.saturating_sub(ms);
        sum = sum.saturating_add(missing.saturating_mul(u128::from(genesis_price)));
        ms = ms.saturating_add(missing);
    }
    u64::try_from(sum.checked_div(ms).unwrap_or_else(|| u128::from(row.spot))).unwrap_or(u64::MAX)
}

/// The lowest value that at least half of the power does not exceed.
fn median(mut values: Vec<(u64, u64)>) -> u64 {
    values.sort_unstable();
    let whole = values.iter().fold(0_u128, |sum, (_value, power)| {
        sum.saturating_add(u128::from(*power))
    });
    let mut passed = 0_u128;
    for (value, power) in &values {
        passed = passed.saturating_add(u128::from(*power));
        if passed.saturating_mul(2) >= whole {
            return *value;
        }
    }
    0
}

/// Moves `from` to `to` by at most a share of `from`.
fn toward(from: u64, to: u64, share: BasisPoints) -> u64 {
    let step = mul_div_ceil(from, share.get(), BasisPoints::WHOLE).unwrap_or(u64::MAX);
    to.clamp(from.saturating_sub(step), from.saturating_add(step))
}
