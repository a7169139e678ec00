//! Vote extensions, and the commit that a proposer puts in transaction 0.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::id::{BatchNumber, Hash, Signature, ValidatorAddress};

/// Largest extension, bytes.
pub const EXTENSION_BYTES_MAX: usize = 2048;
/// Most deposit hashes in an extension, and most records in a commit.
pub const DEPOSITS_MAX: usize = 16;
/// Most settlement signatures in an extension.
pub const SIGNATURES_MAX: usize = 4;
/// The first byte of transaction 0; no user transaction begins with it when decoded (a chain id is never that long).
pub const INJECTED_TAG: &[u8] = b"\xff\xff\xff\xffio-chain/commit/v1\0";
/// Largest injected commit, bytes.
pub const INJECTED_BYTES_MAX: usize = 512 * 1024;

/// The part on prices.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct PricesPart {
    /// Micro-USD per whole IO; not zero.
    pub io: u64,
    /// Micro-USD per whole USDC; not zero.
    pub usdc: u64,
    /// When the sources published, ms since 1970.
    pub published_ms: u64,
}

/// The part on Solana.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SolanaPart {
    /// Number of the first deposit in `rolling`: the one after the last credited.
    pub first: u64,
    /// Rolling hashes after deposits `first`, `first + 1`, …, at most 16.
    pub rolling: Vec<Hash>,
    /// SHA-256 of the bytes of `LastSettle`, once one exists.
    pub last_settle: Option<Hash>,
}

/// What a validator adds to its vote. Each part is present or not, and counts for itself.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct VoteExtension {
    /// 1.
    pub version: u8,
    /// Prices.
    pub prices: Option<PricesPart>,
    /// Solana.
    pub solana: Option<SolanaPart>,
    /// Signatures over batches, ascending by number, by this validator's settlement key.
    pub signatures: Vec<(BatchNumber, Signature)>,
    /// The next link of this validator's beacon chain: SHA-256 of it is the link before.
    pub beacon: Option<Hash>,
}

impl VoteExtension {
    /// Decodes and checks form alone: bounds and canonical bytes. Empty bytes are an extension with no part.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Ok(Self {
                version: 1,
                ..Self::default()
            });
        }
        let extension: Self = codec::decode(bytes, EXTENSION_BYTES_MAX)?;
        let deposits = extension
            .solana
            .as_ref()
            .map_or(0, |part| part.rolling.len());
        let ascending = extension.signatures.windows(2).all(|pair| match pair {
            [before, after] => before.0 < after.0,
            _other => true,
        });
        if extension.version != 1
            || deposits > DEPOSITS_MAX
            || extension.signatures.len() > SIGNATURES_MAX
            || !ascending
        {
            return Err(DecodeError::Malformed(
                "a part is out of bounds, or the version is not 1".to_owned(),
            ));
        }
        Ok(extension)
    }

    /// Encodes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// One vote of the injected commit.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct InjectedVote {
    /// Whose.
    pub validator: ValidatorAddress,
    /// Its extension.
    #[serde(with = "crate::id::hex_bytes")]
    pub extension: Vec<u8>,
    /// Its consensus key's signature over the canonical extension.
    pub signature: Signature,
}

/// What a proposer puts in transaction 0: the extensions of the last commit, and the bytes that their hashes stand for.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct InjectedCommit {
    /// Round of the last commit.
    pub round: u32,
    /// Votes with an extension, in the order of the last commit; any may be left out.
    pub votes: Vec<InjectedVote>,
    /// Deposit records (io-settlement's encoding), the next ones in order.
    pub deposits: Vec<Vec<u8>>,
    /// Bytes of `LastSettle` (io-settlement's encoding).
    pub last_settle: Option<Vec<u8>>,
}

impl InjectedCommit {
    /// The transaction: tag, then borsh.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = INJECTED_TAG.to_vec();
        bytes.extend(codec::encode(self));
        bytes
    }

    /// Whether the bytes claim to be an injected commit.
    pub fn is_tagged(bytes: &[u8]) -> bool {
        bytes.starts_with(INJECTED_TAG)
    }

    /// Decodes; canonical and bounded.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(rest) = bytes.strip_prefix(INJECTED_TAG) else {
            return Err(DecodeError::Malformed(
                "the tag of an injected commit is missing".to_owned(),
            ));
        };
        let commit: Self = codec::decode(rest, INJECTED_BYTES_MAX)?;
        if commit.deposits.len() > DEPOSITS_MAX {
            return Err(DecodeError::TooLong {
                len: commit.deposits.len(),
                max: DEPOSITS_MAX,
            });
        }
        Ok(commit)
    }
}

/// The bytes that a validator's consensus key signs for an extension: CometBFT's CanonicalVoteExtension
/// {1: extension, 2: height sfixed64, 3: round sfixed64, 4: chain id}, length-delimited.
pub fn extension_sign_bytes(chain_id: &str, height: u64, round: u32, extension: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    if !extension.is_empty() {
        message.push(0x0a);
        varint(&mut message, extension.len());
        message.extend_from_slice(extension);
    }
    if height != 0 {
        message.push(0x11);
        message.extend_from_slice(&height.to_le_bytes());
    }
    if round != 0 {
        message.push(0x19);
        message.extend_from_slice(&u64::from(round).to_le_bytes());
    }
    if !chain_id.is_empty() {
        message.push(0x22);
        varint(&mut message, chain_id.len());
        message.extend_from_slice(chain_id.as_bytes());
    }
    let mut bytes = Vec::new();
    varint(&mut bytes, message.len());
    bytes.extend(message);
    bytes
}

fn varint(out: &mut Vec<u8>, value: usize) {
    let mut rest = u64::try_from(value).unwrap_or(u64::MAX);
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7_u32;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}
