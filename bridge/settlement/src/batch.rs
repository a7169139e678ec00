//! What the chain's members sign, and the body of a settlement batch.

use crate::codec::record;
use crate::{Bytes32, Error, PerAsset, sha256};

/// First bytes of every signed message.
pub const DOMAIN: [u8; 13] = *b"io-bridge/v1\0";

/// Bytes of a signed message: domain, kind, digest of the body.
pub const MESSAGE_LEN: usize = 46;

/// What a signed message asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "borsh",
    derive(borsh::BorshSerialize, borsh::BorshDeserialize)
)]
#[cfg_attr(feature = "borsh", borsh(use_discriminant = true))]
#[repr(u8)]
pub enum Kind {
    /// A [`SettleBody`].
    Settle = 1,
}

impl Kind {
    /// The byte that stands for the kind.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Settle => 1,
        }
    }
}

impl TryFrom<u8> for Kind {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self, Error> {
        match byte {
            1 => Ok(Self::Settle),
            _ => Err(Error::UnknownKind),
        }
    }
}

/// The bytes that a member signs for a body of this digest.
pub fn message(kind: Kind, body_hash: &Bytes32) -> [u8; MESSAGE_LEN] {
    let mut bytes = [0; MESSAGE_LEN];
    let mut to = crate::codec::Writer::new(&mut bytes);
    to.bytes(&DOMAIN);
    to.bytes(&[kind.byte()]);
    to.bytes(body_hash);
    bytes
}

/// How a chain id stands in bodies, leaves and accounts.
pub fn chain_id_hash(chain_id: &str) -> Bytes32 {
    sha256(&[chain_id.as_bytes()])
}

record! {
    /// One asset's payouts, in a batch.
    Payout {
        /// Root of the tree of cumulative payouts ([`crate::payout`]); zero while there are none.
        root: Bytes32,
        /// Sum of all cumulative payouts, base units.
        total: u64,
    }
}

record! {
    /// A batch: running totals since genesis, in base units. A newer batch contains every older one.
    SettleBody {
        /// Genesis hash of the Solana cluster.
        cluster_genesis: Bytes32,
        /// Address of the program.
        program_id: Bytes32,
        /// [`chain_id_hash`] of the chain.
        chain_id: Bytes32,
        /// The program's member set that signs.
        set_epoch: u64,
        /// Batch number, from 1 on; a later freeze has a higher one.
        number: u64,
        /// Height at which the batch was frozen.
        height: u64,
        /// App hash of the height before.
        app_hash: Bytes32,
        /// Epoch whose close froze the batch.
        epoch: u64,
        /// Payouts per asset.
        payouts: PerAsset<Payout>,
        /// IO emitted on the chain.
        emitted: u64,
        /// IO emitted again out of what was burned for credits.
        reminted: u64,
        /// IO burned, without credit burns.
        burned: u64,
        /// IO burned for credits.
        credit_burned: u64,
        /// IO that shall lie in the stake vault.
        stake_target: u64,
        /// Number of the last deposit credited; 0 for none.
        deposit_number: u64,
        /// Rolling hash at that number.
        deposit_hash: Bytes32,
        /// Rolling hash of the epochs' market-event roots.
        market_hash: Bytes32,
        /// Hash of the member set that shall follow, or zero.
        next_set: Bytes32,
    }
}

impl SettleBody {
    /// Digest of the body: names the batch.
    pub fn hash(&self) -> Bytes32 {
        sha256(&[&self.to_bytes()])
    }

    /// The bytes that members sign.
    pub fn message(&self) -> [u8; MESSAGE_LEN] {
        message(Kind::Settle, &self.hash())
    }
}
