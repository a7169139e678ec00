//! The arithmetic of bookings. Pure functions over numbers; every division names its direction.

use io_types::amount::{mul_div_ceil, mul_div_floor};
use io_types::params::MarketParams;
use io_types::{Amount, Asset, BasisPoints};

/// What one device costs: its ask (micro-USD per processor-hour) and its processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Micro-USD per processor-hour.
    pub ask: u64,
    /// Processors.
    pub quantity: u16,
}

/// What a booking costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Σ ask·Q·hours, micro-USD.
    pub cost: u64,
    /// Reservation fee of the renter, micro-USD.
    pub reservation: u64,
    /// Facilitation fee of the renter, micro-USD.
    pub facilitation: u64,
    /// Their sum, micro-USD.
    pub total: u64,
    /// The sum in base units of the asset.
    pub units: Amount,
    /// Of those, fees.
    pub fee_units: Amount,
    /// Of the fees, the reservation.
    pub reservation_units: Amount,
    /// Of those, each device's part.
    pub parts: Vec<Amount>,
}

/// Works out a booking. `price` is micro-USD per whole IO (any number above zero for other assets).
///
/// `None` if a number does not fit, the price is zero or there is no device.
pub fn terms(
    params: &MarketParams,
    asset: Asset,
    price: u64,
    hours: u16,
    lines: &[Line],
) -> Option<Terms> {
    let mut weights = Vec::with_capacity(lines.len());
    for line in lines {
        weights.push(line.ask.checked_mul(u64::from(line.quantity))?);
    }
    let per_hour = weights.iter().copied().try_fold(0_u64, u64::checked_add)?;
    let cost = per_hour.checked_mul(u64::from(hours))?;
    let reservation = mul_div_ceil(cost, params.reservation.get(), BasisPoints::WHOLE)?;
    let facilitation = match asset {
        Asset::Usdc => mul_div_ceil(cost, params.facilitation.get(), BasisPoints::WHOLE)?,
        Asset::Io | Asset::Credit => 0,
    };
    let fees = reservation.checked_add(facilitation)?;
    let total = cost.checked_add(fees)?;
    let units = match asset {
        Asset::Io => mul_div_ceil(total, 100_000_000, price)?,
        Asset::Usdc | Asset::Credit => total,
    };
    let fee_units = mul_div_ceil(units, fees, total)?;
    let reservation_units = mul_div_ceil(units, reservation, total)?.min(fee_units);
    let rest = units.checked_sub(fee_units)?;
    let mut parts = Vec::with_capacity(weights.len());
    let mut given = 0_u64;
    for weight in weights {
        let part = mul_div_floor(rest, weight, per_hour)?;
        given = given.checked_add(part)?;
        parts.push(part);
    }
    let first = parts.first_mut()?;
    *first = first.checked_add(rest.checked_sub(given)?)?;
    Some(Terms {
        cost,
        reservation,
        facilitation,
        total,
        units: Amount::new(units),
        fee_units: Amount::new(fee_units),
        reservation_units: Amount::new(reservation_units),
        parts: parts.into_iter().map(Amount::new).collect(),
    })
}

/// What a part has earned in all after that many minutes: ⌊part·minutes/(60·hours)⌋, at most the part.
pub fn earned(part: Amount, minutes: u32, hours: u16) -> Amount {
    let whole = u64::from(hours).saturating_mul(60);
    part.mul_div_floor(u64::from(minutes).min(whole), whole)
        .unwrap_or(Amount::ZERO)
}

/// The supplier's fee on a cumulative gross: ⌈0.25 %⌉, and ⌈2 %⌉ if it is taken in USDC.
pub fn supplier_fee(params: &MarketParams, taken_in: Asset, gross: Amount) -> Amount {
    let share = |share: BasisPoints| {
        gross
            .mul_div_ceil(share.get(), BasisPoints::WHOLE)
            .unwrap_or(gross)
    };
    let reservation = share(params.reservation);
    let facilitation = match taken_in {
        Asset::Usdc => share(params.facilitation),
        Asset::Io | Asset::Credit => Amount::ZERO,
    };
    reservation
        .checked_add(facilitation)
        .unwrap_or(gross)
        .min(gross)
}
