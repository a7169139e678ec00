//! Names of things: one newtype each, so that they do not mix.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that is no valid name of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: {why}")]
pub struct BadName {
    text: String,
    kind: &'static str,
    why: String,
}

fn bad(text: &str, kind: &'static str, why: impl fmt::Display) -> BadName {
    BadName {
        text: text.chars().take(80).collect(),
        kind,
        why: why.to_string(),
    }
}

macro_rules! number_id {
    ($(#[doc = $doc:literal] $name:ident),* $(,)?) => {$(
        #[doc = $doc]
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

number_id! {
    /// One machine of a supplier, numbered in order of registration from 1.
    DeviceId,
    /// What a renter asks for, numbered in order of arrival from 1.
    OrderId,
    /// A matched order being served, numbered in order of creation from 1.
    BookingId,
    /// One drawn challenge of one device, numbered from 1.
    ChallengeId,
    /// Money reserved inside the ledger, numbered from 1.
    HoldId,
    /// Number of a settlement batch, from 1.
    BatchNumber,
    /// A block's height.
    Height,
}

macro_rules! byte_id {
    ($(#[doc = $doc:literal] $name:ident, $len:literal, $kind:literal, $codec:ident);* $(;)?) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&$codec::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let bytes = $codec::decode(text).map_err(|why| bad(text, $kind, why))?;
                let len = bytes.len();
                <[u8; $len]>::try_from(bytes)
                    .map(Self)
                    .map_err(|_bytes| bad(text, $kind, format!("it has {len} bytes, {} needed", $len)))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

byte_id! {
    /// An account: an ed25519 public key, shown in base58, the same string as the owner's Solana wallet.
    AccountId, 32, "account (base58 of 32 bytes)", base58;
    /// A SHA-256 or BLAKE3 hash, shown in hexadecimal.
    Hash, 32, "hash (64 hexadecimal digits)", hexadecimal;
    /// An ed25519 signature, shown in base58.
    Signature, 64, "signature (base58 of 64 bytes)", base58;
    /// A CometBFT validator address: the first 20 bytes of SHA-256 of its consensus key.
    ValidatorAddress, 20, "validator address (40 hexadecimal digits)", hexadecimal;
}

impl Hash {
    /// The hash that stands for nothing.
    pub const ZERO: Self = Self([0; 32]);
}

impl AccountId {
    /// The key, if the bytes are a point of the curve that is not of small order.
    pub fn verifying_key(&self) -> Option<ed25519_dalek::VerifyingKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).ok()?;
        (!key.is_weak()).then_some(key)
    }

    /// Whether `signature` over `message` was made by this account's key (the one rule: `verify_strict`).
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        self.verifying_key()
            .is_some_and(|key| Self::verify_with(&key, message, signature))
    }

    /// The same with a key that [`Self::verifying_key`] gave, which saves reading it again.
    pub fn verify_with(
        key: &ed25519_dalek::VerifyingKey,
        message: &[u8],
        signature: &Signature,
    ) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(message, &signature).is_ok()
    }
}

/// Bytes of free length in JSON as hexadecimal.
pub mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the bytes as hexadecimal.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    /// Reads hexadecimal.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(<String as Deserialize>::deserialize(deserializer)?)
            .map_err(serde::de::Error::custom)
    }
}

mod base58 {
    pub(super) fn encode(bytes: &[u8]) -> String {
        bs58::encode(bytes).into_string()
    }

    pub(super) fn decode(text: &str) -> Result<Vec<u8>, String> {
        bs58::decode(text)
            .into_vec()
            .map_err(|error| error.to_string())
    }
}

mod hexadecimal {
    pub(super) fn encode(bytes: &[u8]) -> String {
        hex::encode(bytes)
    }

    pub(super) fn decode(text: &str) -> Result<Vec<u8>, String> {
        hex::decode(text).map_err(|error| error.to_string())
    }
}
