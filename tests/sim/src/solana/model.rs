//! The program on Solana, as a model written from page 5 of the design: what the real one must do to every call.

use std::collections::{BTreeMap, BTreeSet};

use io_settlement::account::{
    Bridge, Config, Counters, LastSettle, ROOTS, Roots, SIGNATURES_SECONDS, State, TAG_BRIDGE,
    TAG_QUEUE, VERSION,
};
use io_settlement::batch::{Kind, SettleBody, message};
use io_settlement::deposit::{
    CAPACITY_MIN, DepositRecord, QueueHeader, Slot, first_hash, next_hash, queue_len, slot_offset,
};
use io_settlement::emission::{Schedule, TimeParams};
use io_settlement::members::is_quorum;
use io_settlement::payout::{EMPTY, leaf, root_of};
use io_settlement::{Asset, Bytes32, Error};
use io_types::genesis::GenesisSpec;

use super::{
    Accounts, Call, DEPOSIT_MIN, Holdings, Ledger, Picture, Refusal, Relayer, depositor_of,
};

/// How the data account of a program begins.
const PROGRAM_DATA_MARK: [u8; 4] = [3, 0, 0, 0];

/// Signatures that were posted for a body.
#[derive(Clone, Debug)]
struct Posted {
    members: BTreeSet<Bytes32>,
    power: u64,
    payer: Relayer,
    created: u64,
    settled: bool,
}

/// The program's accounts.
#[derive(Clone, Debug)]
pub struct Model {
    chain: Bytes32,
    set_epoch: u64,
    members: BTreeMap<Bytes32, u64>,
    config: Config,
    posted: BTreeMap<Bytes32, Posted>,
    paid: BTreeMap<(u8, Bytes32), u64>,
    picture: Picture,
    rolling: Vec<Bytes32>,
    records: Vec<DepositRecord>,
    settlements: usize,
    unix: u64,
    slot: u64,
}

/// Chain time and emission, as the relayer's `init` binds them.
fn time_params(spec: &GenesisSpec) -> TimeParams {
    let schedule = Schedule::Table;
    let (schedule_start, chain_start) = (spec.schedule_start.0 / 1000, spec.chain_start.0 / 1000);
    TimeParams {
        genesis_time: spec.genesis_time.0 / 1000,
        chain_start,
        epoch_seconds: u64::from(spec.epoch_seconds),
        schedule,
        schedule_start,
        emitted_before: schedule.emitted_at(schedule_start, chain_start),
    }
}

impl Model {
    /// With the tokens of genesis in its vaults and the validators' settlement keys as its members.
    pub fn new(spec: &GenesisSpec) -> Self {
        let vault = |asset| {
            let of = spec.balances.iter().filter(|row| row.asset == asset);
            of.map(|row| row.amount.get()).sum()
        };
        let chain = io_settlement::batch::chain_id_hash(&spec.chain_id);
        let mints = [spec.bridge.io_mint.0, spec.bridge.usdc_mint.0];
        let first = first_hash(
            &spec.bridge.cluster.0,
            &spec.bridge.program.0,
            &chain,
            &mints,
        );
        let members = spec.validators.iter();
        Self {
            chain,
            set_epoch: 1,
            members: members
                .map(|row| (row.settlement_key.0, row.power))
                .collect(),
            config: Config {
                cluster_genesis: spec.bridge.cluster.0,
                chain_id: chain,
                mints,
                vaults: [[0x51; 32], [0x52; 32]],
                stake_vault: [0x53; 32],
                queue: [0x54; 32],
                deposit_min: DEPOSIT_MIN,
                time: time_params(spec),
            },
            posted: BTreeMap::new(),
            paid: BTreeMap::new(),
            picture: Picture {
                deposit_number: 0,
                deposit_hash: first,
                freed_number: 0,
                freed_hash: first,
                counters: Counters::ZERO,
                roots: [[EMPTY; ROOTS]; 2],
                last: LastSettle::NONE,
                vaults: [vault(io_types::Asset::Io), vault(io_types::Asset::Usdc)],
                stake_vault: 0,
            },
            rolling: vec![first],
            records: Vec::new(),
            settlements: 0,
            unix: 0,
            slot: 0,
        }
    }

    fn deposit(
        &mut self,
        (asset, amount): (Asset, u64),
        account: Bytes32,
        depositor: Bytes32,
    ) -> Result<(), Refusal> {
        let state = &mut self.picture;
        let place = usize::from(asset.byte());
        if amount < DEPOSIT_MIN[place] {
            return Err(Error::DepositBelowMinimum.into());
        }
        if state.deposit_number - state.freed_number >= CAPACITY_MIN {
            return Err(Error::QueueFull.into());
        }
        state.deposit_number += 1;
        let record = DepositRecord {
            n: state.deposit_number,
            asset: asset.byte(),
            amount,
            account,
            depositor,
            slot: self.slot,
        };
        state.vaults[place] += amount;
        state.counters.deposited[place] += amount;
        state.deposit_hash = next_hash(&state.deposit_hash, &record);
        self.rolling.push(state.deposit_hash);
        self.records.push(record);
        Ok(())
    }

    /// The precompile verifies all signatures, or the transaction is none.
    fn post(
        &mut self,
        relayer: Relayer,
        body: &SettleBody,
        signatures: &[(io_types::AccountId, io_types::Signature)],
    ) -> Result<(), Refusal> {
        let hash = body.hash();
        let text = message(Kind::Settle, &hash);
        if !signatures
            .iter()
            .all(|(member, signature)| member.verify(&text, signature))
        {
            return Err(Refusal::Runtime);
        }
        if signatures.is_empty() {
            return Err(Error::SignatureCount.into());
        }
        let posted = self.posted.entry(hash).or_insert_with(|| Posted {
            members: BTreeSet::new(),
            power: 0,
            payer: relayer,
            created: self.unix,
            settled: false,
        });
        for (member, _signature) in signatures {
            if posted.members.insert(member.0) {
                posted.power += self.members[&member.0];
            }
        }
        Ok(())
    }

    fn settle(&mut self, relayer: Relayer, body: &SettleBody) -> Result<(), Refusal> {
        if body.cluster_genesis != self.config.cluster_genesis {
            return Err(Error::OtherCluster.into());
        }
        if body.chain_id != self.chain {
            return Err(Error::OtherChain.into());
        }
        if body.set_epoch != self.set_epoch {
            return Err(Error::OtherSetEpoch.into());
        }
        if body.number <= self.picture.last.number {
            return Err(Error::OldNumber.into());
        }
        let hash = body.hash();
        let total = self.members.values().sum();
        let posted = self.posted.get_mut(&hash).ok_or(Error::WrongSignatures)?;
        if !is_quorum(posted.power, total) {
            return Err(Error::TooLittlePower.into());
        }
        let number = body.deposit_number;
        if number < self.picture.freed_number || number > self.picture.deposit_number {
            return Err(Error::DepositNumber.into());
        }
        if body.deposit_hash != self.rolling[usize::try_from(number).unwrap()] {
            return Err(Error::DepositHash.into());
        }
        let ceiling = self.config.time.ceiling(self.unix);
        self.picture.apply(body, ceiling);
        posted.settled = true;
        let state = &mut self.picture;
        for (roots, payout) in state.roots.iter_mut().zip(&body.payouts) {
            roots[self.settlements % ROOTS] = payout.root;
        }
        self.settlements += 1;
        state.last = LastSettle {
            number: body.number,
            batch_hash: hash,
            slot: self.slot,
            deposit_number: body.deposit_number,
            counters: state.counters,
            vaults: state.vaults,
            stake_vault: state.stake_vault,
            set_epoch: self.set_epoch,
            relayer: relayer.account(),
        };
        Ok(())
    }

    fn claim(
        &mut self,
        asset: Asset,
        (account, cumulative): (Bytes32, u64),
        (index, siblings): (u64, &[Bytes32]),
    ) -> Result<(), Refusal> {
        let place = usize::from(asset.byte());
        let state = &mut self.picture;
        let leaf = leaf(&self.chain, asset, &account, cumulative);
        let root = root_of(leaf, index, siblings).filter(|root| *root != EMPTY);
        if !root.is_some_and(|root| state.roots[place].contains(&root)) {
            return Err(Error::UnknownRoot.into());
        }
        let key = (asset.byte(), account);
        let before = self.paid.get(&key).copied().unwrap_or(0);
        let due = cumulative.saturating_sub(before);
        if due == 0 {
            return Err(Error::NothingDue.into());
        }
        let allowed = state.counters.payout_total[place] - state.counters.claimed[place];
        let amount = due.min(allowed).min(state.vaults[place]);
        if amount == 0 {
            return Err(Error::NothingAvailable.into());
        }
        self.paid.insert(key, before + amount);
        state.counters.claimed[place] += amount;
        state.vaults[place] -= amount;
        Ok(())
    }

    fn close(&mut self, relayer: Relayer, hash: &Bytes32) -> Result<(), Refusal> {
        let posted = self.posted.get(hash).ok_or(Error::WrongSignatures)?;
        if posted.payer != relayer {
            return Err(Error::NotPayer.into());
        }
        if !posted.settled && self.unix.saturating_sub(posted.created) < SIGNATURES_SECONDS {
            return Err(Error::SignaturesInUse.into());
        }
        self.posted.remove(hash);
        Ok(())
    }
}

impl Picture {
    /// Mint, stake out, burn, stake in: what limits hold back stays due.
    fn apply(&mut self, body: &SettleBody, ceiling: u64) {
        let done = &mut self.counters;
        let allowed = body.emitted.min(ceiling) + body.reminted.min(done.credit_burned);
        let mint = allowed.saturating_sub(done.minted);
        done.minted += mint;
        self.vaults[0] += mint;
        let out = done
            .staked
            .saturating_sub(body.stake_target)
            .min(self.stake_vault);
        self.stake_vault -= out;
        self.vaults[0] += out;
        done.staked -= out;
        let owed = body.payouts[0].total.saturating_sub(done.claimed[0]);
        let mut free = self.vaults[0].saturating_sub(owed);
        let mut take = |wanted: u64| {
            let taken = wanted.min(free);
            free -= taken;
            taken
        };
        let burn = take(body.burned.saturating_sub(done.burned));
        let credit = take(body.credit_burned.saturating_sub(done.credit_burned));
        let stake = take(body.stake_target.saturating_sub(done.staked));
        done.burned += burn;
        done.credit_burned += credit;
        done.staked += stake;
        self.vaults[0] -= burn + credit + stake;
        self.stake_vault += stake;
        done.payout_total = [body.payouts[0].total, body.payouts[1].total];
        self.freed_number = body.deposit_number;
        self.freed_hash = body.deposit_hash;
    }
}

impl Ledger for Model {
    fn set_time(&mut self, unix: u64, slot: u64) {
        self.unix = unix;
        self.slot = slot;
    }

    fn call(&mut self, call: &Call) -> Result<(), Refusal> {
        match call {
            Call::Deposit {
                asset,
                amount,
                account,
                depositor,
            } => self.deposit((*asset, *amount), *account, depositor_of(depositor)),
            Call::Post {
                relayer,
                body,
                signatures,
            } => self.post(*relayer, body, signatures),
            Call::Settle { relayer, body } => self.settle(*relayer, body),
            Call::Claim {
                asset,
                account,
                cumulative,
                index,
                siblings,
            } => self.claim(*asset, (*account, *cumulative), (*index, siblings)),
            Call::Close { relayer, body_hash } => self.close(*relayer, body_hash),
        }
    }

    fn picture(&self) -> Picture {
        self.picture.clone()
    }

    fn holdings(&self) -> Holdings {
        let done = &self.picture.counters;
        let mut sent = BTreeMap::new();
        for record in &self.records {
            *sent.entry((record.asset, record.depositor)).or_default() += record.amount;
        }
        Holdings {
            io_made: i128::from(done.minted)
                - i128::from(done.burned)
                - i128::from(done.credit_burned),
            received: self.paid.clone(),
            sent,
        }
    }

    fn leak(&mut self) {
        self.picture.vaults[0] -= 1;
    }

    fn accounts(&self, bridge: &Bytes32) -> Accounts {
        let mut queue = vec![0; queue_len(CAPACITY_MIN).unwrap()];
        let head = QueueHeader {
            tag: TAG_QUEUE,
            version: VERSION,
            bridge: *bridge,
            capacity: CAPACITY_MIN,
        };
        queue[..QueueHeader::LEN].copy_from_slice(&head.to_bytes());
        for (record, rolling) in self.records.iter().zip(&self.rolling[1..]) {
            let at = slot_offset(record.n, CAPACITY_MIN).unwrap();
            let slot = Slot {
                record: *record,
                rolling: *rolling,
            };
            queue[at..at + Slot::LEN].copy_from_slice(&slot.to_bytes());
        }
        Accounts {
            bridge: self.bridge().to_bytes().to_vec(),
            queue,
            program_data: [&PROGRAM_DATA_MARK[..], &[0; 41]].concat(),
        }
    }
}

impl Model {
    fn bridge(&self) -> Bridge {
        let picture = &self.picture;
        Bridge {
            tag: TAG_BRIDGE,
            version: VERSION,
            bump: 255,
            config: self.config,
            state: State {
                set_epoch: self.set_epoch,
                set_hash: [0x55; 32],
                set_power: self.members.values().sum(),
                deposit_number: picture.deposit_number,
                deposit_hash: picture.deposit_hash,
                freed_number: picture.freed_number,
                freed_hash: picture.freed_hash,
                counters: picture.counters,
                root_next: u8::try_from(self.settlements % ROOTS).unwrap(),
            },
            roots: Roots {
                io: picture.roots[0],
                usdc: picture.roots[1],
            },
            last: picture.last,
        }
    }
}
