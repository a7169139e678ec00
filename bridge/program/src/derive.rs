//! Derived addresses, at a fifth of the price of the runtime's own call.
//!
//! The rule is Solana's: the highest bump for which the digest of seeds, bump, program and a mark is no point of the curve.

use io_settlement::{Error, sha256};
use pinocchio::Address;

use crate::Failure;

const MARK: &[u8] = b"ProgramDerivedAddress";

/// The address of up to four seeds, each at most 32 bytes, empty where there are fewer; and its bump.
#[inline(never)]
pub(crate) fn derive(program: &Address, seeds: &[&[u8]; 4]) -> Result<(Address, u8), Failure> {
    let [first, second, third, fourth] = *seeds;
    for bump in (0..=u8::MAX).rev() {
        let digest = sha256(&[
            first,
            second,
            third,
            fourth,
            &[bump],
            program.as_array(),
            MARK,
        ]);
        let address = Address::new_from_array(digest);
        if !address.is_on_curve() {
            return Ok((address, bump));
        }
    }
    Err(Error::Arithmetic.into())
}
