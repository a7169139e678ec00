//! Solana's clock and rent.

use io_settlement::address::{CLOCK_SYSVAR, RENT_SYSVAR};
use io_settlement::codec::Reader;
use io_settlement::{Error, product};
use pinocchio::Address;
use pinocchio::sysvars::get_sysvar;

use crate::Failure;

/// Bytes that the runtime charges for on top of an account's data.
const ACCOUNT_OVERHEAD: u64 = 128;

/// The bit pattern of the 64-bit float 2.0, which older clusters have as the exemption threshold. Newer ones have 1.0.
const TWO: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 0x40];

/// The slot and the time.
pub(crate) struct Clock {
    pub(crate) slot: u64,
    /// Unix seconds.
    pub(crate) unix: u64,
}

/// Solana's clock.
#[inline(never)]
pub(crate) fn clock() -> Result<Clock, Failure> {
    let mut bytes = [0; 40];
    get_sysvar(&mut bytes, &Address::new_from_array(CLOCK_SYSVAR), 0)?;
    let mut from = Reader::new(&bytes);
    let slot = from.value()?;
    from.slice(24)?;
    // The clock is signed there; a time before 1970 counts as 1970.
    let unix = u64::try_from(i64::from_le_bytes(*from.array()?)).unwrap_or(0);
    Ok(Clock { slot, unix })
}

/// Lamports that an account of `length` bytes must hold. The rate is never written down here: clusters change it.
pub(crate) fn rent(length: usize) -> Result<u64, Failure> {
    let mut bytes = [0; 16];
    get_sysvar(&mut bytes, &Address::new_from_array(RENT_SYSVAR), 0)?;
    let mut from = Reader::new(&bytes);
    let rate: u64 = from.value()?;
    let factor = if *from.array()? == TWO { 2 } else { 1 };
    let length = u64::try_from(length)
        .unwrap_or(u64::MAX)
        .saturating_add(ACCOUNT_OVERHEAD);
    product::checked(length, rate)
        .and_then(|lamports| product::checked(lamports, factor))
        .ok_or(Error::Arithmetic.into())
}
