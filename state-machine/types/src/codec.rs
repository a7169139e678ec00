//! The one encoding: borsh, canonical, bounded.

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest, Sha256};

use crate::id::Hash;

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than allowed.
    #[error("{len} bytes, at most {max} allowed")]
    TooLong {
        /// What came.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// Not an encoding of the type.
    #[error("not a valid encoding: {0}")]
    Malformed(String),
    /// Another encoding of a value that has exactly one.
    #[error("not the canonical encoding of its value")]
    NotCanonical,
}

/// Encodes a value. Writing to memory cannot fail.
pub fn encode<T: BorshSerialize + ?Sized>(value: &T) -> Vec<u8> {
    // Most rows fit, so that they are written without growing.
    let mut bytes = Vec::with_capacity(256);
    encode_into(value, &mut bytes);
    bytes
}

/// As [`encode`], at the end of what is there.
pub fn encode_into<T: BorshSerialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    let before = bytes.len();
    if let Err(error) = value.serialize(bytes) {
        // Only a collection of more than u32::MAX items gets here; every type of ours is bounded far below.
        debug_assert!(false, "encoding failed: {error}");
        bytes.truncate(before);
    }
}

/// Decodes at most `max` bytes; every byte must be used and the value must encode to the same bytes again.
pub fn decode<T: BorshSerialize + BorshDeserialize>(
    bytes: &[u8],
    max: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong {
            len: bytes.len(),
            max,
        });
    }
    let value =
        T::try_from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if encode(&value) == bytes {
        Ok(value)
    } else {
        Err(DecodeError::NotCanonical)
    }
}

/// SHA-256 of the bytes.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// SHA-256(domain ‖ borsh(value)).
pub fn hash_of<T: BorshSerialize + ?Sized>(domain: &[u8], value: &T) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(domain);
    hasher.update(encode(value));
    Hash(hasher.finalize().into())
}
