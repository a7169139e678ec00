//! The ed25519 precompile instruction that stands before `post_signatures`.
//!
//! Its layout is fixed, so that the program can bind every number: count and a zero byte, seven numbers per signature, the message, then
//! each public key with its signature.

#[cfg(feature = "alloc")]
use crate::Bytes32;
use crate::codec::record;

record! {
    /// The precompile's seven numbers per signature.
    SignatureOffsets {
        /// Where the signature begins.
        signature: u16,
        /// Which instruction holds it; `0xffff` is the precompile's own.
        signature_instruction: u16,
        /// Where the public key begins.
        key: u16,
        /// Which instruction holds it.
        key_instruction: u16,
        /// Where the message begins.
        message: u16,
        /// Bytes of the message.
        message_len: u16,
        /// Which instruction holds it.
        message_instruction: u16,
    }
}

/// The most signatures of one precompile instruction that `post_signatures` takes.
pub const SIGNATURES_MAX: usize = 64;

const OWN: u16 = u16::MAX;
const COUNT_LEN: u16 = 2;
const OFFSETS_LEN: u16 = 14;
const MESSAGE_LEN: u16 = 46;
const KEY_LEN: u16 = 32;
const PAIR_LEN: u16 = 96;

impl SignatureOffsets {
    /// The numbers that signature `index` of `count` must have: own instruction everywhere, the message right after the numbers, then
    /// each public key with its signature. None above [`SIGNATURES_MAX`].
    pub fn expected(count: usize, index: usize) -> Option<Self> {
        if count > SIGNATURES_MAX || index >= count {
            return None;
        }
        // Cannot wrap: the count is at most 64.
        let (count, index) = (u16::try_from(count).ok()?, u16::try_from(index).ok()?);
        let message = OFFSETS_LEN.wrapping_mul(count).checked_add(COUNT_LEN)?;
        let pairs = message.checked_add(MESSAGE_LEN)?;
        let key = PAIR_LEN.wrapping_mul(index).checked_add(pairs)?;
        Some(Self {
            signature: key.checked_add(KEY_LEN)?,
            signature_instruction: OWN,
            key,
            key_instruction: OWN,
            message,
            message_len: MESSAGE_LEN,
            message_instruction: OWN,
        })
    }
}

/// Bytes of a precompile instruction with this many signatures, at most [`SIGNATURES_MAX`].
pub const fn data_len(count: usize) -> usize {
    count.wrapping_mul(14 + 96).saturating_add(2 + 46)
}

/// Data of the ed25519 precompile instruction that `post_signatures` expects before it: count and a zero byte, the numbers of each
/// signature, the message, then each public key with its signature. None above [`SIGNATURES_MAX`].
#[cfg(feature = "alloc")]
pub fn data(
    message: &[u8; crate::batch::MESSAGE_LEN],
    signed: &[(Bytes32, [u8; 64])],
) -> Option<alloc::vec::Vec<u8>> {
    let count = signed.len();
    let mut data = alloc::vec![u8::try_from(count).ok()?, 0];
    for index in 0..count {
        data.extend_from_slice(&SignatureOffsets::expected(count, index)?.to_bytes());
    }
    data.extend_from_slice(message);
    for (key, signature) in signed {
        data.extend_from_slice(key);
        data.extend_from_slice(signature);
    }
    Some(data)
}
