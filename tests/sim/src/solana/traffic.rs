//! What is sent to the other ledger: deposits, two relayers' settlements, claims. Transactions are late, lost and repeated on
//! the way, some carry batches that nobody may settle, and every answer is one that the rules allow.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::Signer as _;
use io_settlement::account::LastSettle;
use io_settlement::batch::SettleBody;
use io_settlement::deposit::{DepositRecord, next_hash};
use io_settlement::payout::{Tree, leaf};
use io_settlement::{Bytes32, Error};
use io_types::api::PayoutFile;
use io_types::row::Batch;
use io_types::{AccountId, Signature};

use super::{Call, DEPOSIT_MIN, Holdings, Ledger, Picture, Refusal, Relayer, depositor_of};
use crate::rng::Rng;
use crate::world::{CHAIN, World, account};
use crate::{Check, same};

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
    /// What each settlement wrote down, by batch, and how many deposits there were then.
    pub history: BTreeMap<u64, (LastSettle, usize)>,
    /// What was claimed by asset and account, base units.
    pub claims: BTreeMap<(u8, Bytes32), u64>,
    /// Bodies that a quorum signed, as the chain has shown them.
    pub signed: BTreeMap<Bytes32, SettleBody>,
    /// How often what happened.
    pub seen: BTreeMap<String, u64>,
    ledger: Box<dyn Ledger>,
    flights: Vec<Flight>,
    files: BTreeMap<u64, PayoutFile>,
    /// Members whose signatures lie there, by body.
    posted: BTreeMap<Bytes32, BTreeSet<AccountId>>,
    slot: u64,
    /// Deposits and last settlement after each block of the chain.
    steps: Vec<(usize, Option<LastSettle>)>,
    /// Blocks of the chain until what happens is final.
    final_after: usize,
}

impl Solana {
    /// Nothing has been sent yet.
    pub fn new(ledger: Box<dyn Ledger>, world: &World) -> Self {
        Self {
            records: Vec::new(),
            rolling: vec![ledger.picture().deposit_hash],
            last: None,
            history: BTreeMap::new(),
            seen: BTreeMap::new(),
            ledger,
            claims: BTreeMap::new(),
            signed: BTreeMap::new(),
            flights: Vec::new(),
            files: BTreeMap::new(),
            posted: BTreeMap::new(),
            slot: 1000,
            steps: Vec::new(),
            final_after: world.final_after,
        }
    }

    /// What can no longer be undone: how many deposits, and the last settlement.
    pub fn finals(&self) -> (usize, Option<LastSettle>) {
        let step = self.steps.iter().rev().nth(self.final_after);
        step.copied().unwrap_or((0, None))
    }

    /// The slot that Solana is in.
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// The ledger itself.
    pub fn ledger(&self) -> &dyn Ledger {
        self.ledger.as_ref()
    }

    /// What lies in the program's accounts, and what people have.
    pub fn accounts(&self) -> (Picture, Holdings) {
        (self.ledger.picture(), self.ledger.holdings())
    }

    /// A base unit is gone from the vault of IO: a defect on purpose.
    pub fn leak(&mut self) {
        self.ledger.leak();
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
                calls.extend(self.relay(world, relayer, batches, rng));
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
        due.iter()
            .try_for_each(|flight| self.arrive(&flight.call))?;
        self.steps.push((self.records.len(), self.last));
        Ok(())
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
    fn relay(
        &mut self,
        world: &World,
        relayer: Relayer,
        batches: &[Batch],
        rng: &mut Rng,
    ) -> Vec<Call> {
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
        if rng.one_in(6) {
            self.count("fault solana wrong batch".to_owned());
            return wrong(world, relayer, body, rng);
        }
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
                let place = usize::from(asset.byte());
                let came = after.vaults[place] - before.vaults[place];
                same("what a deposit brought", &came, amount)?;
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
                self.settled(body, &after)?;
            }
            Call::Close { body_hash, .. } => {
                self.posted.remove(body_hash);
            }
            Call::Claim {
                asset,
                account,
                cumulative,
                ..
            } => {
                let place = usize::from(asset.byte());
                let paid = before.vaults[place] - after.vaults[place];
                let sum = self.claims.entry((asset.byte(), *account)).or_default();
                *sum += paid;
                same("all that an account has claimed", sum, cumulative)?;
            }
        }
        covered(&after)
    }

    /// A batch may settle if a quorum signed it and it is newer than all that were settled.
    fn settled(&mut self, body: &SettleBody, after: &Picture) -> Check {
        let hash = body.hash();
        same("the batch settled", &after.last.batch_hash, &hash)?;
        if !self.signed.contains_key(&hash) {
            return Err("Solana settles a batch that no quorum signed".to_owned());
        }
        if let Some(last) = self.last.filter(|last| last.number >= body.number) {
            return Err(format!(
                "Solana settles batch {} after batch {}",
                body.number, last.number
            ));
        }
        self.last = Some(after.last);
        let settled = (after.last, self.records.len());
        self.history.insert(after.last.number, settled);
        Ok(())
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
            Call::Settle { body, .. } if !self.signed.contains_key(&body.hash()) => &[
                Error::OtherCluster,
                Error::OtherChain,
                Error::OtherSetEpoch,
                Error::OldNumber,
                Error::WrongSignatures,
                Error::TooLittlePower,
            ],
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

/// A batch that the chain never froze, signed in earnest by as many members as can be bought without a quorum: always the same ones,
/// for their signatures on one batch add up.
fn wrong(world: &World, relayer: Relayer, mut body: SettleBody, rng: &mut Rng) -> Vec<Call> {
    match rng.below(8) {
        0 => body.payouts[0].total += 1_000_000,
        1 => body.emitted += 1_000_000_000_000,
        2 => body.number += 1000,
        3 => body.chain_id = [3; 32],
        4 => body.set_epoch += 1,
        5 => body.cluster_genesis[0] ^= 1,
        6 => body.payouts[1].root = rng.bytes32(),
        _other => body.stake_target = 0,
    }
    let all: u64 = world.validators.iter().map(|one| one.power).sum();
    let (mut power, mut signatures) = (0, Vec::new());
    for one in &world.validators {
        if (power + one.power) * 3 <= all * 2 {
            power += one.power;
            let signature = one.settlement.sign(&body.message());
            let signature = Signature(signature.to_bytes());
            signatures.push((account(&one.settlement), signature));
        }
    }
    let mut calls = Vec::new();
    if !signatures.is_empty() {
        calls.push(Call::Post {
            relayer,
            body,
            signatures,
        });
    }
    calls.push(Call::Settle { relayer, body });
    calls
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
