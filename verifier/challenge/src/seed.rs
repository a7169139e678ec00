//! The seed of one processor's challenge and everything that is expanded from it.

use core::fmt;

use crate::params::{Params, ParamsError};
use crate::{Digest, VERSION};

const SEED_CONTEXT: &str = "io-chain challenge 1 seed";

/// The first of the quorum's two nonces, or the second, of one verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce {
    /// The verifier's key, by which nonces are ordered.
    pub verifier: [u8; 32],
    /// The nonce.
    pub value: [u8; 32],
}

/// A list of nonces that is not canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoncesError {
    /// The list is empty.
    Empty,
    /// The list is longer than 65535.
    TooMany(usize),
    /// The key at this place is not greater than the one before.
    Order(usize),
    /// The parameters are not valid.
    Params(ParamsError),
}

impl fmt::Display for NoncesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(
                f,
                "no nonce was given: at least one verifier must have sent his"
            ),
            Self::TooMany(count) => write!(f, "{count} nonces are more than 65535"),
            Self::Order(index) => write!(
                f,
                "nonce {index} is not in ascending order of the verifiers' keys"
            ),
            Self::Params(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NoncesError {}

impl From<ParamsError> for NoncesError {
    fn from(error: ParamsError) -> Self {
        Self::Params(error)
    }
}

/// Feeds a count and the nonces, refusing any order but strictly ascending keys.
pub(crate) fn absorb_nonces(
    hasher: &mut blake3::Hasher,
    nonces: &[Nonce],
) -> Result<(), NoncesError> {
    if nonces.is_empty() {
        return Err(NoncesError::Empty);
    }
    let Ok(count) = u16::try_from(nonces.len()) else {
        return Err(NoncesError::TooMany(nonces.len()));
    };
    hasher.update(&count.to_le_bytes());
    let mut before: Option<&[u8; 32]> = None;
    for (index, nonce) in nonces.iter().enumerate() {
        if before.is_some_and(|key| *key >= nonce.verifier) {
            return Err(NoncesError::Order(index));
        }
        hasher.update(&nonce.verifier).update(&nonce.value);
        before = Some(&nonce.verifier);
    }
    Ok(())
}

/// What a seed is made of.
#[derive(Clone, Copy, Debug)]
pub struct SeedInput<'a> {
    /// The beacon of the draw.
    pub beacon: &'a [u8; 32],
    /// The first nonces that the prover used, in ascending order of the verifiers' keys.
    pub nonces: &'a [Nonce],
    /// The supplier's key.
    pub supplier: &'a [u8; 32],
    /// The device's number on the chain.
    pub device: u64,
    /// Which of the device's processors, from 0.
    pub processor: u16,
    /// Every size.
    pub params: &'a Params,
}

/// The seed of one processor's challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed([u8; 32]);

/// The two matrices that phase A starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedMatrix {
    /// X₋₁.
    Older,
    /// X₀.
    Newer,
}

impl Seed {
    /// Derives the seed; see `docs/challenge.md` for the bytes.
    ///
    /// # Errors
    /// Invalid parameters, or nonces that are missing or out of order.
    pub fn derive(input: &SeedInput<'_>) -> Result<Self, NoncesError> {
        let SeedInput {
            beacon,
            nonces,
            supplier,
            device,
            processor,
            params,
        } = *input;
        params.check()?;
        let mut hasher = blake3::Hasher::new_derive_key(SEED_CONTEXT);
        hasher.update(&params.to_bytes());
        hasher.update(beacon).update(supplier);
        hasher
            .update(&device.to_le_bytes())
            .update(&processor.to_le_bytes());
        absorb_nonces(&mut hasher, nonces)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }

    /// A seed from its bytes, for replay of a recorded challenge and for tests.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, the BLAKE3 key of everything expanded from the seed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Writes the bytes of a starting matrix from `offset` on: an extended BLAKE3 output, so any part can be made alone.
    pub fn expand(&self, matrix: SeedMatrix, offset: u64, out: &mut [u8]) {
        let index = match matrix {
            SeedMatrix::Older => 0,
            SeedMatrix::Newer => 1,
        };
        let mut reader = blake3::Hasher::new_keyed(&self.0)
            .update(b"matrix")
            .update(&[index])
            .finalize_xof();
        reader.set_position(offset);
        reader.fill(out);
    }

    /// The requantiser of one step.
    #[must_use]
    pub fn requantiser(&self, step: u32) -> Requantiser {
        let hash = blake3::Hasher::new_keyed(&self.0)
            .update(b"requantise")
            .update(&step.to_le_bytes())
            .finalize();
        let [k0, k1, k2, k3, o0, o1, o2, o3, ..] = *hash.as_bytes();
        Requantiser {
            kappa: u32::from_le_bytes([k0, k1, k2, k3]),
            odd: u32::from_le_bytes([o0, o1, o2, o3]) | 1,
        }
    }

    /// The key of phase B's starting states. It needs `root_a`, so no walker starts before the fill is complete.
    pub(crate) fn walk_key(&self, root_a: &Digest) -> Digest {
        *blake3::Hasher::new_keyed(&self.0)
            .update(b"walkers")
            .update(root_a)
            .finalize()
            .as_bytes()
    }
}

/// f of one step: the top byte of `(c + kappa) · odd mod 2^32`. It needs every bit of the exact sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantiser {
    /// What is added.
    pub kappa: u32,
    /// What is multiplied by; always odd.
    pub odd: u32,
}

impl Requantiser {
    /// The byte of the next matrix, an int8 in two's complement.
    #[must_use]
    pub fn apply(&self, sum: i32) -> u8 {
        let [_, _, _, top] = sum
            .cast_unsigned()
            .wrapping_add(self.kappa)
            .wrapping_mul(self.odd)
            .to_le_bytes();
        top
    }
}

// The version is part of the contexts above; a new version needs new ones.
const _: () = assert!(VERSION == 1, "the derive-key contexts name version 1");
