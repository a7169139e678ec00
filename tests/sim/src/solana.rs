//! The other ledger, and what is sent to it: deposits, two relayers' settlements, claims. Transactions are late, lost and
//! repeated on the way, and every answer is one that the rules allow.

pub mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use ed25519_dalek::SigningKey;
use io_settlement::account::{Counters, LastSettle, ROOTS};
use io_settlement::batch::SettleBody;
use io_settlement::deposit::{DepositRecord, next_hash};
use io_settlement::payout::{Tree, leaf};
use io_settlement::{Bytes32, Error};
use io_types::api::PayoutFile;
use io_types::genesis::GenesisSpec;
use io_types::row::Batch;
use io_types::{AccountId, Signature};

use crate::rng::Rng;
use crate::world::{CHAIN, World, account};
use crate::{Check, same};

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
}

/// Makes the ledger of a chain; it may put its own addresses into the genesis.
pub type MakeLedger = fn(&mut GenesisSpec) -> Box<dyn Ledger>;

/// A transaction on its way.
#[derive(Clone, Debug)]
struct Flight {
    arrives: u64,
    call: Call,
}

/// The other ledger as the chain's world sees it.
#[derive(Debug)]
pub struct Solana {
    /// All deposits, number 1 first.
    pub records: Vec<DepositRecord>,
    /// Rolling hash after each; one more in front, before the first.
    pub rolling: Vec<Bytes32>,
    /// What the last settlement wrote down.
    pub last: Option<LastSettle>,
    /// What each settlement wrote down, by batch.
    pub history: BTreeMap<u64, LastSettle>,
    /// How often what happened.
    pub seen: BTreeMap<String, u64>,
    ledger: Box<dyn Ledger>,
    flights: Vec<Flight>,
    /// Bodies that a quorum signed, as the chain has shown them.
    signed: BTreeMap<Bytes32, SettleBody>,
    files: BTreeMap<u64, PayoutFile>,
    /// Members whose signatures lie there, by body.
    posted: BTreeMap<Bytes32, BTreeSet<AccountId>>,
    slot: u64,
}

impl Solana {
    /// Nothing has been sent yet.
    pub fn new(ledger: Box<dyn Ledger>) -> Self {
        Self {
            records: Vec::new(),
            rolling: vec![ledger.picture().deposit_hash],
            last: None,
            history: BTreeMap::new(),
            seen: BTreeMap::new(),
            ledger,
            flights: Vec::new(),
            signed: BTreeMap::new(),
            files: BTreeMap::new(),
            posted: BTreeMap::new(),
            slot: 1000,
        }
    }

    /// What goes on between two blocks: what is due arrives, and more is sent.
    pub fn moves(
        &mut self,
        world: &World,
        (height, now_ms): (u64, u64),
        batches: &[Batch],
        frozen: Option<&PayoutFile>,
        rng: &mut Rng,
    ) -> Check {
        self.slot += rng.between(1, 9);
        self.ledger.set_time(now_ms / 1000, self.slot);
        if let Some(file) = frozen {
            self.files.insert(file.number.0, file.clone());
        }
        let mut calls = Vec::new();
        while rng.one_in(3) {
            calls.push(deposit(world, rng));
        }
        for relayer in [Relayer(0), Relayer(1)] {
            if rng.one_in(8) {
                calls.extend(self.relay(relayer, batches, rng));
            }
            if rng.one_in(25) {
                calls.extend(self.close(relayer, rng));
            }
        }
        if rng.one_in(4) {
            calls.extend(self.claim(rng));
        }
        for call in calls {
            self.send(height, &call, rng);
        }
        let all = std::mem::take(&mut self.flights);
        let (due, later) = all
            .into_iter()
            .partition::<Vec<_>, _>(|flight| flight.arrives <= height);
        self.flights = later;
        due.iter().try_for_each(|flight| self.arrive(&flight.call))
    }

    /// Some transactions are lost, some arrive twice, some late: a later one may come first.
    fn send(&mut self, height: u64, call: &Call, rng: &mut Rng) {
        let times = match rng.below(8) {
            0 => 0,
            1 => 2,
            _other => 1,
        };
        if times != 1 {
            let what = if times == 0 { "lost" } else { "repeated" };
            self.count(format!("fault solana {} {what}", call.name()));
        }
        for _ in 0..times {
            let late = rng.below(3) * rng.below(3);
            self.flights.push(Flight {
                arrives: height + late,
                call: call.clone(),
            });
        }
    }

    fn count(&mut self, what: String) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Newest signed batch mostly; one whose view is old brings an older one.
    fn relay(&mut self, relayer: Relayer, batches: &[Batch], rng: &mut Rng) -> Vec<Call> {
        let is_signed = |batch: &&Batch| batch.signed_power * 3 > batch.total_power * 2;
        let signed: Vec<&Batch> = batches.iter().filter(is_signed).collect();
        let Some(newest) = signed.last() else {
            return Vec::new();
        };
        let batch = if rng.one_in(4) {
            rng.pick(&signed)
        } else {
            newest
        };
        let Ok(body) = SettleBody::from_bytes(&batch.body) else {
            return Vec::new();
        };
        self.signed.insert(body.hash(), body);
        let mut signatures = batch.signatures.clone();
        match rng.below(12) {
            0 => signatures[0].1.0[5] ^= 1,
            1 => signatures.truncate(1),
            _other => {}
        }
        let split = usize::try_from(rng.between(1, 4)).unwrap();
        let posts = signatures.chunks(split).map(|part| Call::Post {
            relayer,
            body,
            signatures: part.to_vec(),
        });
        posts
            .collect::<Vec<_>>()
            .into_iter()
            .chain([Call::Settle { relayer, body }])
            .collect()
    }

    fn close(&self, relayer: Relayer, rng: &mut Rng) -> Option<Call> {
        let bodies: Vec<&Bytes32> = self.signed.keys().collect();
        (!bodies.is_empty()).then(|| Call::Close {
            relayer,
            body_hash: **rng.pick(&bodies),
        })
    }

    /// A leaf of a batch that was frozen, settled or not.
    fn claim(&self, rng: &mut Rng) -> Option<Call> {
        let chain = io_settlement::batch::chain_id_hash(CHAIN);
        let asset = *rng.pick(&[io_settlement::Asset::Io, io_settlement::Asset::Usdc]);
        let settled = self.last.map_or(0, |last| last.number);
        let number = if rng.one_in(4) {
            rng.below(settled + 2)
        } else {
            settled
        };
        let leaves = &self.files.get(&number)?.assets[usize::from(asset.byte())];
        let place = usize::try_from(rng.below(u64::try_from(leaves.len()).ok()?)).ok()?;
        let hashes = leaves
            .iter()
            .map(|row| leaf(&chain, asset, &row.account.0, row.cumulative.get()));
        let tree = Tree::new(hashes.collect());
        let row = leaves.get(place)?;
        let index = u64::try_from(place).ok()?;
        Some(Call::Claim {
            asset,
            account: row.account.0,
            cumulative: row.cumulative.get() + u64::from(rng.one_in(20)),
            index,
            siblings: tree.proof(index)?,
        })
    }

    /// Runs a transaction and holds the answer against what may be.
    fn arrive(&mut self, call: &Call) -> Check {
        let before = self.ledger.picture();
        let answer = self.ledger.call(call);
        let after = self.ledger.picture();
        self.count(match &answer {
            Ok(()) => format!("solana {}", call.name()),
            Err(why) => format!("solana {} refused, {why:?}", call.name()),
        });
        if let Err(why) = answer {
            same("Solana after a refusal", &after, &before)?;
            return self.may_refuse(call, why);
        }
        match call {
            Call::Deposit {
                asset,
                amount,
                account,
                depositor,
            } => {
                let record = DepositRecord {
                    n: before.deposit_number + 1,
                    asset: asset.byte(),
                    amount: *amount,
                    account: *account,
                    depositor: depositor_of(depositor),
                    slot: self.slot,
                };
                let hash = next_hash(&before.deposit_hash, &record);
                same("deposit hash on Solana", &after.deposit_hash, &hash)?;
                self.rolling.push(hash);
                self.records.push(record);
            }
            Call::Post {
                body, signatures, ..
            } => {
                let posted = self.posted.entry(body.hash()).or_default();
                posted.extend(signatures.iter().map(|(member, _signature)| *member));
            }
            Call::Settle { body, .. } => {
                same("the batch settled", &after.last.batch_hash, &body.hash())?;
                self.last = Some(after.last);
                self.history.insert(after.last.number, after.last);
            }
            Call::Close { body_hash, .. } => {
                self.posted.remove(body_hash);
            }
            Call::Claim { .. } => {}
        }
        covered(&after)
    }

    /// Nothing but lateness, repetition and what was done wrong on purpose may make the program refuse.
    fn may_refuse(&self, call: &Call, why: Refusal) -> Check {
        let Refusal::Rule(rule) = why else {
            let is_post = matches!(call, Call::Post { .. });
            return same("the runtime refuses a post", &is_post, &true);
        };
        let expected: &[Error] = match call {
            Call::Deposit { .. } => &[Error::DepositBelowMinimum],
            Call::Post { .. } => &[],
            Call::Settle { body, .. } if self.is_next(body) => &[],
            Call::Settle { .. } => &[
                Error::OldNumber,
                Error::WrongSignatures,
                Error::TooLittlePower,
            ],
            Call::Claim { .. } => &[Error::UnknownRoot, Error::NothingDue],
            Call::Close { .. } => &[
                Error::WrongSignatures,
                Error::NotPayer,
                Error::SignaturesInUse,
            ],
        };
        if expected.contains(&rule) {
            return Ok(());
        }
        Err(format!("Solana refuses {}: {rule:?}", call.name()))
    }

    /// Whether a body is newer than what is settled and all its signatures lie there: then it must settle.
    fn is_next(&self, body: &SettleBody) -> bool {
        let newer = self.last.is_none_or(|last| last.number < body.number);
        newer
            && self
                .posted
                .get(&body.hash())
                .is_some_and(|members| members.len() == 4)
    }
}

/// The vaults hold what settled payouts may still take.
fn covered(picture: &Picture) -> Check {
    for (place, vault) in picture.vaults.iter().enumerate() {
        let owed = picture.counters.payout_total[place] - picture.counters.claimed[place];
        if *vault < owed {
            return Err(format!(
                "vault {place} holds {vault} and owes {owed} to claims"
            ));
        }
    }
    Ok(())
}

fn deposit(world: &World, rng: &mut Rng) -> Call {
    let to = match rng.below(5) {
        0 => rng.bytes32(),
        1 => [0; 32],
        _other => account(rng.pick(&world.renters)).0,
    };
    Call::Deposit {
        asset: *rng.pick(&[io_settlement::Asset::Io, io_settlement::Asset::Usdc]),
        amount: if rng.one_in(12) {
            rng.below(DEPOSIT_MIN[0])
        } else {
            rng.between(DEPOSIT_MIN[1], 1_000_000_000_000)
        },
        account: to,
        depositor: rng.pick(&world.suppliers).clone(),
    }
}
