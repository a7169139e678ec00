//! What chain, Solana program, relayer and client must agree on to the byte.
//!
//! Owns: the signed message and its body, the payout tree, the deposit record and its rolling hash, the member set, the program's accounts,
//! addresses, instructions and error codes, and the emission schedule.
//! Does no I/O, allocates nothing without the feature `alloc`, and never uses 128-bit arithmetic (the program's target cannot).
//!
//! Every encoding is fixed-width little endian, equal to borsh of the same fields in the same order.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod account;
pub mod address;
pub mod batch;
pub mod codec;
pub mod deposit;
pub mod emission;
pub mod error;
pub mod instruction;
pub mod members;
pub mod payout;
pub mod precompile;
pub mod product;
mod sha256;

pub use error::Error;
pub use sha256::sha256;

/// A SHA-256 digest, a Solana address or an ed25519 public key: 32 bytes.
pub type Bytes32 = [u8; 32];

/// Assets that cross the bridge, in the order of every per-asset array.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "borsh",
    derive(borsh::BorshSerialize, borsh::BorshDeserialize)
)]
#[cfg_attr(feature = "borsh", borsh(use_discriminant = true))]
#[repr(u8)]
pub enum Asset {
    /// IO, 8 decimals; minted, burned and staked.
    Io = 0,
    /// USDC, 6 decimals; only paid in and out.
    Usdc = 1,
}

/// One value per asset, in the order of [`Asset::ALL`].
pub type PerAsset<T> = [T; 2];

impl Asset {
    /// Both assets in the order of every per-asset array.
    pub const ALL: PerAsset<Self> = [Self::Io, Self::Usdc];

    /// The byte that stands for the asset in records and leaves.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Io => 0,
            Self::Usdc => 1,
        }
    }

    /// Decimals that the asset's mint must have.
    pub const fn decimals(self) -> u8 {
        match self {
            Self::Io => 8,
            Self::Usdc => 6,
        }
    }

    /// The asset's entry of a per-asset array.
    pub const fn of<T>(self, pair: &PerAsset<T>) -> &T {
        let [io, usdc] = pair;
        match self {
            Self::Io => io,
            Self::Usdc => usdc,
        }
    }

    /// The asset's entry of a per-asset array, to change it.
    pub const fn of_mut<T>(self, pair: &mut PerAsset<T>) -> &mut T {
        let [io, usdc] = pair;
        match self {
            Self::Io => io,
            Self::Usdc => usdc,
        }
    }
}

impl TryFrom<u8> for Asset {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self, Error> {
        match byte {
            0 => Ok(Self::Io),
            1 => Ok(Self::Usdc),
            _ => Err(Error::UnknownAsset),
        }
    }
}
