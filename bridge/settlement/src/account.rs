//! The program's accounts, byte for byte. The queue's are in [`crate::deposit`], the member set's in [`crate::members`].

use crate::codec::{Fixed, Reader, Writer, record};
use crate::emission::TimeParams;
use crate::{Bytes32, Error, PerAsset, sha256};

/// First byte of the bridge account.
pub const TAG_BRIDGE: u8 = 1;
/// First byte of a members account.
pub const TAG_MEMBERS: u8 = 2;
/// First byte of the queue account.
pub const TAG_QUEUE: u8 = 3;
/// First byte of a claim account.
pub const TAG_CLAIM: u8 = 4;
/// First byte of a signatures account.
pub const TAG_SIGNATURES: u8 = 5;

/// Second byte of every account.
pub const VERSION: u8 = 1;

/// How many payout roots per asset a claim may prove against.
pub const ROOTS: usize = 8;

/// Seconds after which a signatures account may be closed though its batch never settled.
pub const SIGNATURES_SECONDS: u64 = 86_400;

const LAST_SETTLE_DOMAIN: &[u8] = b"io-bridge/v1/last-settle\0";

record! {
    /// What `initialize` binds for good.
    Config {
        /// Genesis hash of the Solana cluster.
        cluster_genesis: Bytes32,
        /// [`crate::batch::chain_id_hash`] of the chain.
        chain_id: Bytes32,
        /// Mint per asset.
        mints: PerAsset<Bytes32>,
        /// Vault per asset, a token account of the bridge.
        vaults: PerAsset<Bytes32>,
        /// Token account of the bridge with the staked IO.
        stake_vault: Bytes32,
        /// The deposit queue.
        queue: Bytes32,
        /// Smallest deposit per asset, base units.
        deposit_min: PerAsset<u64>,
        /// Chain time and emission.
        time: TimeParams,
    }
}

record! {
    /// Running totals since genesis, in base units.
    Counters {
        /// Deposited, per asset.
        deposited: PerAsset<u64>,
        /// Payouts that settled batches allow, per asset.
        payout_total: PerAsset<u64>,
        /// Payouts made, per asset.
        claimed: PerAsset<u64>,
        /// IO minted into the vault.
        minted: u64,
        /// IO burned, without credit burns.
        burned: u64,
        /// IO burned for credits.
        credit_burned: u64,
        /// IO moved into the stake vault, less what was moved out.
        staked: u64,
    }
}

record! {
    /// What changes with deposits, settlements and claims.
    State {
        /// Epoch of the member set that signs.
        set_epoch: u64,
        /// [`crate::members::set_hash`] of that set.
        set_hash: Bytes32,
        /// Its total power.
        set_power: u64,
        /// Number of the last deposit; 0 before the first.
        deposit_number: u64,
        /// Rolling hash at that number.
        deposit_hash: Bytes32,
        /// Number of the last deposit that a settled batch credited; its record is free.
        freed_number: u64,
        /// Rolling hash at that number.
        freed_hash: Bytes32,
        /// Totals.
        counters: Counters,
        /// Where in [`Roots`] the next settlement's roots go.
        root_next: u8,
    }
}

record! {
    /// The last settled payout roots of both assets; zero where there is none.
    Roots {
        /// Roots of IO.
        io: [Bytes32; ROOTS],
        /// Roots of USDC.
        usdc: [Bytes32; ROOTS],
    }
}

record! {
    /// What the program writes down at each settlement, for the chain to read.
    LastSettle {
        /// Batch number; 0 before the first settlement.
        number: u64,
        /// [`crate::batch::SettleBody::hash`] of the batch.
        batch_hash: Bytes32,
        /// Solana slot of the settlement.
        slot: u64,
        /// The batch's deposit number.
        deposit_number: u64,
        /// Totals after the settlement.
        counters: Counters,
        /// Balance of each vault after the settlement.
        vaults: PerAsset<u64>,
        /// Balance of the stake vault after the settlement.
        stake_vault: u64,
        /// Member set in force after the settlement.
        set_epoch: u64,
        /// Account of the chain that the sender of the settlement named, to be paid.
        relayer: Bytes32,
    }
}

record! {
    /// The bridge account.
    Bridge {
        /// [`TAG_BRIDGE`].
        tag: u8,
        /// [`VERSION`].
        version: u8,
        /// Bump of the account's address.
        bump: u8,
        /// Bound for good.
        config: Config,
        /// Changes.
        state: State,
        /// The last settled roots.
        roots: Roots,
        /// The last settlement.
        last: LastSettle,
    }
}

record! {
    /// What was paid to an account so far.
    Claim {
        /// [`TAG_CLAIM`].
        tag: u8,
        /// [`VERSION`].
        version: u8,
        /// Bump of the account's address.
        bump: u8,
        /// [`crate::Asset::byte`].
        asset: u8,
        /// Account of the chain.
        account: Bytes32,
        /// Base units paid.
        paid: u64,
    }
}

record! {
    /// Which members have signed a body.
    Signatures {
        /// [`TAG_SIGNATURES`].
        tag: u8,
        /// [`VERSION`].
        version: u8,
        /// Bump of the account's address.
        bump: u8,
        /// [`crate::batch::Kind::byte`].
        kind: u8,
        /// 1 once the body was executed.
        settled: u8,
        /// Epoch of the set whose members signed.
        set_epoch: u64,
        /// Digest of the body.
        body_hash: Bytes32,
        /// Who paid for the account and gets its lamports back.
        payer: Bytes32,
        /// Solana's clock at the first signature, Unix seconds.
        created: u64,
        /// Power of the members marked.
        power: u64,
        /// Bit i of byte i / 8, lowest first, stands for the member at index i.
        marks: [u8; 16],
    }
}

impl<T: Fixed> Fixed for [T; ROOTS] {
    const LEN: usize = T::LEN * ROOTS;

    fn put(&self, to: &mut Writer<'_>) {
        for value in self {
            value.put(to);
        }
    }

    fn get(from: &mut Reader<'_>) -> Self {
        core::array::from_fn(|_place| T::get(from))
    }
}

impl Bridge {
    /// Reads the account's data. [`Error::WrongBridge`] if it is no bridge account of this version.
    pub fn read(data: &[u8]) -> Result<Self, Error> {
        match Self::from_bytes(data) {
            Ok(bridge) if bridge.tag == TAG_BRIDGE && bridge.version == VERSION => Ok(bridge),
            _ => Err(Error::WrongBridge),
        }
    }
}

impl Roots {
    /// Bytes of one asset's roots.
    pub const ASSET_LEN: usize = 32 * ROOTS;
}

impl LastSettle {
    /// Before the first settlement.
    pub const NONE: Self = Self {
        number: 0,
        batch_hash: [0; 32],
        slot: 0,
        deposit_number: 0,
        counters: Counters::ZERO,
        vaults: [0; 2],
        stake_vault: 0,
        set_epoch: 0,
        relayer: [0; 32],
    };

    /// Digest that validators report.
    pub fn hash(&self) -> Bytes32 {
        sha256(&[LAST_SETTLE_DOMAIN, &self.to_bytes()])
    }
}

impl Counters {
    /// At genesis.
    pub const ZERO: Self = Self {
        deposited: [0; 2],
        payout_total: [0; 2],
        claimed: [0; 2],
        minted: 0,
        burned: 0,
        credit_burned: 0,
        staked: 0,
    };
}

impl Claim {
    /// Reads the account's data. [`Error::WrongClaim`] if it is no claim account of this version.
    pub fn read(data: &[u8]) -> Result<Self, Error> {
        match Self::from_bytes(data) {
            Ok(claim) if claim.tag == TAG_CLAIM && claim.version == VERSION => Ok(claim),
            _ => Err(Error::WrongClaim),
        }
    }
}

impl Signatures {
    /// Reads the account's data. [`Error::WrongSignatures`] if it is no signatures account of this version.
    pub fn read(data: &[u8]) -> Result<Self, Error> {
        match Self::from_bytes(data) {
            Ok(signatures) if signatures.tag == TAG_SIGNATURES && signatures.version == VERSION => {
                Ok(signatures)
            }
            _ => Err(Error::WrongSignatures),
        }
    }

    /// Whether the member at this index is marked.
    pub fn is_marked(&self, index: u8) -> bool {
        self.marks
            .get(usize::from(index >> 3))
            .is_some_and(|byte| byte & (1 << (index & 7)) != 0)
    }

    /// Marks the member at this index. False if it was marked before or there is no such index.
    pub fn mark(&mut self, index: u8) -> bool {
        let bit = 1 << (index & 7);
        match self.marks.get_mut(usize::from(index >> 3)) {
            Some(byte) if *byte & bit == 0 => {
                *byte |= bit;
                true
            }
            _ => false,
        }
    }
}
