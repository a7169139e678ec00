//! The other ledger: what can be sent to it, what lies there, and what validators read of it.
//!
//! [`model`] is the program by its rules; another crate brings the real one in a runtime. [`traffic`] is what is sent.

pub mod model;
pub mod sight;
pub mod traffic;

use std::collections::BTreeMap;
use std::fmt::Debug;

use ed25519_dalek::SigningKey;
use io_settlement::account::{Counters, LastSettle, ROOTS};
use io_settlement::batch::SettleBody;
use io_settlement::{Bytes32, Error};
use io_types::genesis::GenesisSpec;
use io_types::{AccountId, Signature};

use crate::world::World;
use sight::{Sight, Straight};
pub use traffic::Solana;

/// Smallest deposits, base units by asset.
pub const DEPOSIT_MIN: [u64; 2] = [1000, 2000];

/// Why the ledger refuses a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// A rule of the program.
    Rule(Error),
    /// The ledger itself: a signature that is none.
    Runtime,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Rule(error)
    }
}

/// One of the two who bring batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relayer(pub u8);

impl Relayer {
    /// The account that it names to be paid.
    pub fn account(self) -> Bytes32 {
        [0x70 | self.0; 32]
    }
}

/// A transaction with one call of the program.
#[derive(Clone, Debug)]
pub enum Call {
    /// Tokens for an account of the chain.
    Deposit {
        /// Which.
        asset: io_settlement::Asset,
        /// Base units.
        amount: u64,
        /// For whom; need not be an account.
        account: Bytes32,
        /// Whose tokens.
        depositor: SigningKey,
    },
    /// Members' signatures over a batch.
    Post {
        /// Who pays.
        relayer: Relayer,
        /// The batch.
        body: SettleBody,
        /// By whom, and the signatures.
        signatures: Vec<(AccountId, Signature)>,
    },
    /// Applies a batch.
    Settle {
        /// Who sends.
        relayer: Relayer,
        /// The batch.
        body: SettleBody,
    },
    /// Pays what a settled root allows.
    Claim {
        /// Of which asset.
        asset: io_settlement::Asset,
        /// To whom.
        account: Bytes32,
        /// Its sum since genesis, base units.
        cumulative: u64,
        /// Index of its leaf.
        index: u64,
        /// From leaf to root.
        siblings: Vec<Bytes32>,
    },
    /// Takes back what the account of signatures cost.
    Close {
        /// Who paid.
        relayer: Relayer,
        /// Over what they were.
        body_hash: Bytes32,
    },
}

impl Call {
    fn name(&self) -> &'static str {
        match self {
            Self::Deposit { .. } => "deposit",
            Self::Post { .. } => "post",
            Self::Settle { .. } => "settle",
            Self::Claim { .. } => "claim",
            Self::Close { .. } => "close",
        }
    }
}

/// The account on Solana of one who deposits.
pub fn depositor_of(key: &SigningKey) -> Bytes32 {
    key.verifying_key().to_bytes()
}

/// What lies in the program's accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Number of the last deposit.
    pub deposit_number: u64,
    /// Rolling hash at it.
    pub deposit_hash: Bytes32,
    /// Number of the last deposit that a settled batch credited.
    pub freed_number: u64,
    /// Rolling hash at it.
    pub freed_hash: Bytes32,
    /// Totals.
    pub counters: Counters,
    /// The last settled roots by asset.
    pub roots: [[Bytes32; ROOTS]; 2],
    /// What the last settlement wrote down.
    pub last: LastSettle,
    /// Balances of the vaults, base units.
    pub vaults: [u64; 2],
    /// Balance of the stake vault, base units.
    pub stake_vault: u64,
}

/// What people have outside of the bridge, for the auditor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Base units of IO that there are beyond those that were there before the bridge.
    pub io_made: i128,
    /// What claims have brought, by asset and account, base units.
    pub received: BTreeMap<(u8, Bytes32), u64>,
    /// What depositors have sent, by asset and key, base units.
    pub sent: BTreeMap<(u8, Bytes32), u64>,
}

/// The data of the accounts that a validator reads, as they lie on the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// The bridge account.
    pub bridge: Vec<u8>,
    /// The deposit queue.
    pub queue: Vec<u8>,
    /// The program's data account; its head is enough.
    pub program_data: Vec<u8>,
}

/// The program and its accounts: the model, or the real one.
pub trait Ledger: Debug {
    /// From now on: Unix seconds, and the slot.
    fn set_time(&mut self, unix: u64, slot: u64);

    /// Runs a transaction.
    ///
    /// # Errors
    /// Why it is refused; then nothing has changed.
    fn call(&mut self, call: &Call) -> Result<(), Refusal>;

    /// What lies there now.
    fn picture(&self) -> Picture;

    /// What people have.
    fn holdings(&self) -> Holdings;

    /// One base unit is gone from the vault of IO: a defect on purpose, which the auditor must find.
    fn leak(&mut self);

    /// What validators read. `bridge` is the address that follows from the program's.
    fn accounts(&self, bridge: &Bytes32) -> Accounts;
}

/// Makes the ledger of a chain; it may put its own addresses into the genesis.
pub type MakeLedger = fn(&mut GenesisSpec) -> Box<dyn Ledger>;

/// Makes the eyes of a chain's validators.
pub type MakeSight = fn(&World) -> Box<dyn Sight>;

/// What stands for Solana in a run. Heavier ones come from other crates.
#[derive(Clone, Copy, Debug)]
pub struct Outside {
    /// What to call it on the command line.
    pub name: &'static str,
    /// The program.
    pub ledger: MakeLedger,
    /// Who looks at it.
    pub sight: MakeSight,
}

impl Outside {
    /// The program as a model, seen without endpoints.
    pub const MODEL: Self = Self {
        name: "model",
        ledger: |spec| Box::new(model::Model::new(spec)),
        sight: |world| Box::new(Straight::new(world)),
    };
}
