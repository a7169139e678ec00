//! The program's instructions: data, and the accounts in their order.
//!
//! The first byte of the data is the tag. Unknown tags give [`Error::UnknownInstruction`].

use crate::batch::SettleBody;
use crate::codec::{Fixed, Reader, record};
use crate::emission::TimeParams;
use crate::{Asset, Bytes32, Error, PerAsset};

/// One place of an instruction's account list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Role {
    /// What the account is.
    pub name: &'static str,
    /// Whether it must sign.
    pub signer: bool,
    /// Whether it must be writable.
    pub writable: bool,
}

const fn read(name: &'static str) -> Role {
    Role {
        name,
        signer: false,
        writable: false,
    }
}

const fn write(name: &'static str) -> Role {
    Role {
        name,
        signer: false,
        writable: true,
    }
}

const fn sign(name: &'static str) -> Role {
    Role {
        name,
        signer: true,
        writable: true,
    }
}

/// Accounts of `stage_set`. The members account signs every piece, so nobody else can write into it; create it in the first piece's
/// transaction with the program as its owner and [`crate::members::members_len`] bytes.
pub const STAGE_SET: [Role; 1] = [sign("members")];

/// Accounts of `initialize`. The queue account is created before by the system program, owned by the program, of
/// [`crate::deposit::queue_len`] zero bytes; the vaults are token accounts of the bridge address.
pub const INITIALIZE: [Role; 12] = [
    sign("upgrade authority"),
    write("bridge"),
    read("members"),
    write("queue"),
    read("IO mint"),
    read("USDC mint"),
    read("IO vault"),
    read("USDC vault"),
    read("stake vault"),
    read("program"),
    read("program data"),
    read("system program"),
];

/// Accounts of `deposit`.
pub const DEPOSIT: [Role; 7] = [
    sign("depositor"),
    write("source"),
    write("vault"),
    write("bridge"),
    write("queue"),
    read("token program"),
    read("system program"),
];

/// Accounts of `post_signatures`. The ed25519 precompile instruction stands directly before it in the transaction, made as
/// [`crate::precompile::data`] says.
pub const POST_SIGNATURES: [Role; 6] = [
    sign("payer"),
    read("bridge"),
    read("members"),
    write("signatures"),
    read("instructions sysvar"),
    read("system program"),
];

/// Accounts of `settle`. One more account, the staged next member set, may follow; without it a batch that names a next set settles and
/// the set stays as it is until a later batch brings it.
pub const SETTLE: [Role; 8] = [
    write("bridge"),
    write("signatures"),
    read("queue"),
    write("IO mint"),
    write("IO vault"),
    write("stake vault"),
    read("USDC vault"),
    read("token program"),
];

/// Accounts of `claim`. The account itself signs only to be paid elsewhere than to its associated token account.
pub const CLAIM: [Role; 8] = [
    sign("payer"),
    read("account"),
    write("bridge"),
    write("claim"),
    write("vault"),
    write("destination"),
    read("token program"),
    read("system program"),
];

/// Accounts of `close_signatures`.
pub const CLOSE_SIGNATURES: [Role; 2] = [sign("payer"), write("signatures")];

/// Flag of `initialize`: the IO mint may have a freeze authority.
pub const FLAG_IO_FREEZE: u8 = 1;
/// Flag of `initialize`: the USDC mint may have a freeze authority.
pub const FLAG_USDC_FREEZE: u8 = 2;

record! {
    /// Data of `initialize`.
    Initialize {
        /// Genesis hash of the Solana cluster.
        cluster_genesis: Bytes32,
        /// [`crate::batch::chain_id_hash`] of the chain.
        chain_id: Bytes32,
        /// Smallest deposit per asset, base units.
        deposit_min: PerAsset<u64>,
        /// What the genesis puts on the chain per asset; the vaults must hold it, for IO both vaults together.
        on_chain: PerAsset<u64>,
        /// [`FLAG_IO_FREEZE`], [`FLAG_USDC_FREEZE`].
        flags: u8,
        /// Chain time and emission.
        time: TimeParams,
    }
}

record! {
    /// Head of `stage_set`'s data; encodings of [`crate::members::Member`]s follow.
    StageHead {
        /// Epoch of the set.
        set_epoch: u64,
        /// Members of the whole set.
        count: u16,
        /// [`crate::members::set_hash`] of the whole set.
        hash: Bytes32,
        /// Index of this piece's first member.
        first: u16,
    }
}

record! {
    /// Data of `settle`.
    Settle {
        /// The batch.
        body: SettleBody,
        /// Account of the chain that is to be paid for relaying.
        relayer: Bytes32,
    }
}

/// An instruction's data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "decoded once per transaction, and the program has no allocator to box with"
)]
pub enum Instruction<'a> {
    /// Writes a piece of a member set; seals the set with the last piece.
    StageSet {
        /// Which set and which piece.
        head: StageHead,
        /// Encodings of the piece's members one after another.
        members: &'a [u8],
    },
    /// Creates the bridge. Only the program's upgrade authority.
    Initialize(Initialize),
    /// Moves tokens into the vault and appends a record to the queue.
    Deposit {
        /// What is deposited.
        asset: Asset,
        /// Base units to move; what arrives is measured.
        amount: u64,
        /// Account of the chain to credit.
        account: Bytes32,
    },
    /// Marks members whose signatures the precompile verified.
    PostSignatures {
        /// [`crate::batch::Kind::byte`].
        kind: u8,
        /// Digest of the body.
        body_hash: Bytes32,
        /// Index in the set of the signer of each signature, in the precompile instruction's order.
        members: &'a [u8],
    },
    /// Applies a batch that a quorum signed.
    Settle(Settle),
    /// Pays what a settled root allows.
    Claim {
        /// What is claimed.
        asset: Asset,
        /// All that was ever paid out to the account by the proven root, base units.
        cumulative: u64,
        /// Index of the leaf.
        index: u64,
        /// Siblings from the bottom up.
        proof: &'a [Bytes32],
    },
    /// Closes a signatures account; its payer gets the lamports.
    CloseSignatures,
}

const TAG_STAGE_SET: u8 = 1;
const TAG_INITIALIZE: u8 = 2;
const TAG_DEPOSIT: u8 = 3;
const TAG_POST_SIGNATURES: u8 = 4;
const TAG_SETTLE: u8 = 5;
const TAG_CLAIM: u8 = 6;
const TAG_CLOSE_SIGNATURES: u8 = 7;

impl<'a> Instruction<'a> {
    /// Reads an instruction's data.
    pub fn decode(data: &'a [u8]) -> Result<Self, Error> {
        let (tag, rest) = data.split_first().ok_or(Error::UnknownInstruction)?;
        let mut from = Reader::new(rest);
        match *tag {
            TAG_STAGE_SET => Ok(Self::StageSet {
                head: from.value()?,
                members: from.rest(),
            }),
            TAG_INITIALIZE => Ok(Self::Initialize(last(from)?)),
            TAG_DEPOSIT => {
                let asset = Asset::try_from(from.value::<u8>()?)?;
                let amount = from.value()?;
                let account = last(from)?;
                Ok(Self::Deposit {
                    asset,
                    amount,
                    account,
                })
            }
            TAG_POST_SIGNATURES => Ok(Self::PostSignatures {
                kind: from.value()?,
                body_hash: from.value()?,
                members: from.rest(),
            }),
            TAG_SETTLE => Ok(Self::Settle(last(from)?)),
            TAG_CLAIM => {
                let asset = Asset::try_from(from.value::<u8>()?)?;
                let (cumulative, index) = (from.value()?, from.value()?);
                let (proof, partial) = from.rest().as_chunks();
                if !partial.is_empty() {
                    return Err(Error::Truncated);
                }
                Ok(Self::Claim {
                    asset,
                    cumulative,
                    index,
                    proof,
                })
            }
            TAG_CLOSE_SIGNATURES => from.end().map(|()| Self::CloseSignatures),
            _ => Err(Error::UnknownInstruction),
        }
    }

    /// The data of the instruction.
    #[cfg(feature = "alloc")]
    pub fn encode(&self) -> alloc::vec::Vec<u8> {
        let mut data = alloc::vec::Vec::new();
        match self {
            Self::StageSet { head, members } => {
                data.push(TAG_STAGE_SET);
                data.extend_from_slice(&head.to_bytes());
                data.extend_from_slice(members);
            }
            Self::Initialize(initialize) => {
                data.push(TAG_INITIALIZE);
                data.extend_from_slice(&initialize.to_bytes());
            }
            Self::Deposit {
                asset,
                amount,
                account,
            } => {
                data.extend_from_slice(&[TAG_DEPOSIT, asset.byte()]);
                data.extend_from_slice(&amount.to_le_bytes());
                data.extend_from_slice(account);
            }
            Self::PostSignatures {
                kind,
                body_hash,
                members,
            } => {
                data.extend_from_slice(&[TAG_POST_SIGNATURES, *kind]);
                data.extend_from_slice(body_hash);
                data.extend_from_slice(members);
            }
            Self::Settle(settle) => {
                data.push(TAG_SETTLE);
                data.extend_from_slice(&settle.to_bytes());
            }
            Self::Claim {
                asset,
                cumulative,
                index,
                proof,
            } => {
                data.extend_from_slice(&[TAG_CLAIM, asset.byte()]);
                data.extend_from_slice(&cumulative.to_le_bytes());
                data.extend_from_slice(&index.to_le_bytes());
                data.extend_from_slice(proof.as_flattened());
            }
            Self::CloseSignatures => data.push(TAG_CLOSE_SIGNATURES),
        }
        data
    }
}

/// The last value of an instruction's data.
fn last<T: Fixed>(mut from: Reader<'_>) -> Result<T, Error> {
    let value = from.value()?;
    from.end()?;
    Ok(value)
}
