//! One seed from genesis to its last block.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use io_state_machine::{BlockOutcome, BridgeData, ProposalError, tables};
use io_storage::backend::Crash;
use io_types::codec::sha256;
use io_types::consensus::{Block, ProposalRequest};
use io_types::row::Batch;
use io_types::{BlockTime, ChainTime, Hash, Height};

use crate::audit::Auditor;
use crate::node::Node;
use crate::rng::Rng;
use crate::rows::Rows;
use crate::solana::Solana;
use crate::votes::{self, Moment, Votes};
use crate::work::{self, Memory, Only};
use crate::world::{GENESIS_MS, World, account};
use crate::{Check, Failure, byzantine, same, text};

/// What to run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The seed.
    pub seed: u64,
    /// How many blocks.
    pub blocks: u64,
    /// Which transactions are sent.
    pub only: Only,
    /// Whether auditor, shadows, crashes and byzantine proposals take part; they change no result.
    pub checks: bool,
}

impl Setup {
    /// A whole run of a seed, as long as the seed says.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            blocks: Rng::new(&[seed, 20]).between(90, 170),
            only: None,
            checks: true,
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// App hash after each block.
    pub hashes: Vec<Hash>,
    /// The blocks, as decided.
    pub blocks: Vec<Block>,
    /// Transactions that were sent: height and place.
    pub sent: Vec<(u64, u32)>,
    /// Transactions that entered a block.
    pub entered: u64,
    /// How often what happened.
    pub seen: BTreeMap<String, u64>,
    /// Set if something is wrong.
    pub failure: Option<Failure>,
}

/// Runs a seed. A panic is a failure like any other.
pub fn run(setup: &Setup) -> Report {
    let height = Cell::new(0);
    let mut report = Report::default();
    let result = catch_unwind(AssertUnwindSafe(|| -> Check {
        let mut run = Run::new(setup)?;
        for block in 1..=setup.blocks {
            height.set(block);
            run.step(block, &mut report)?;
        }
        report.seen.append(&mut run.auditor.seen);
        Ok(())
    }));
    let what = match result {
        Ok(Ok(())) => return report,
        Ok(Err(what)) => what,
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("panic: {}", said.unwrap_or("without text"))
        }
    };
    report.failure = Some(Failure {
        seed: setup.seed,
        height: height.get(),
        what,
    });
    report
}

/// How a shadow differs from the node that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shadow {
    /// Restarted before every block, one thread.
    Restarted,
    /// Never given `CheckTx`, many threads; blocks come without a proposal.
    Untold,
    /// Judges proposals that are not decided, one thread.
    Judge,
}

struct Run<'s> {
    setup: &'s Setup,
    world: World,
    main: Node,
    shadows: Vec<(Shadow, Node)>,
    auditor: Auditor,
    solana: Solana,
    memory: Memory,
    votes: Votes,
    now: u64,
    /// The last block, to send again.
    last: Option<Block>,
    old: Vec<Vec<u8>>,
}

impl<'s> Run<'s> {
    fn new(setup: &'s Setup) -> Check<Self> {
        let world = World::new(setup.seed);
        let mut shadows = Vec::new();
        if setup.checks {
            shadows.push((Shadow::Restarted, Node::new(&world.spec, false)?));
            shadows.push((Shadow::Untold, Node::new(&world.spec, true)?));
            shadows.push((Shadow::Judge, Node::new(&world.spec, false)?));
        }
        Ok(Self {
            setup,
            main: Node::new(&world.spec, setup.seed.is_multiple_of(2))?,
            shadows,
            auditor: Auditor::new(&world.spec),
            solana: Solana::new(&world.spec),
            memory: Memory::default(),
            votes: Votes::default(),
            now: GENESIS_MS,
            last: None,
            old: Vec::new(),
            world,
        })
    }

    fn stream(&self, height: u64, tag: u64) -> Rng {
        Rng::new(&[self.setup.seed, height, tag])
    }

    fn step(&mut self, height: u64, report: &mut Report) -> Check {
        let block = self.propose(height, report)?;
        let mut faults = self.stream(height, 14);
        if self.setup.checks {
            self.refuse(&block, &mut faults)?;
            self.maybe_restart(&mut faults)?;
        }
        self.main
            .machine()
            .process(&block)
            .map_err(|error| format!("an honest proposal is refused: {error}"))?;
        let mut stream = self.stream(height, 12);
        let moment = Moment {
            height,
            now: self.now,
        };
        self.votes = if height == 1 && !self.has_started() {
            Votes::default()
        } else {
            let machine = self.main.machine();
            votes::votes(&self.world, machine, &self.solana, moment, &mut stream)?
        };
        let outcome = self.execute(&block, &mut faults)?;
        self.main_is(&block, &outcome)?;
        if self.setup.checks {
            self.follow(&block, &outcome, &mut faults)?;
            let rows = Rows(self.main.machine());
            self.auditor.block(&block, &outcome, rows, &self.solana)?;
        }
        report.hashes.push(outcome.app_hash);
        let entered = block.transactions.get(1..).unwrap_or_default();
        report.entered += u64::try_from(entered.len()).map_err(text)?;
        self.old.extend(entered.iter().take(3).cloned());
        self.now = block.time.0;
        self.last = Some(block.clone());
        report.blocks.push(block);
        self.solana_moves(height)
    }

    fn has_started(&self) -> bool {
        self.main
            .machine()
            .extension_duties(
                self.world.validators[0].address,
                account(&self.world.validators[0].settlement),
            )
            .is_ok_and(|duties| duties.is_some())
    }

    fn propose(&mut self, height: u64, report: &mut Report) -> Check<Block> {
        let time = self.now + self.step_ms(height);
        let passed = time - GENESIS_MS;
        let stretched = passed * 3600 / u64::from(self.world.spec.epoch_seconds);
        let now = ChainTime(GENESIS_MS + stretched);
        let rows = Rows(self.main.machine());
        let only = &self.setup.only;
        let wanted = work::transactions(&self.world, rows, &mut self.memory, (height, now), only);
        report
            .sent
            .extend(wanted.iter().map(|(place, _bytes)| (height, *place)));
        let mut stream = self.stream(height, 16);
        let transactions: Vec<Vec<u8>> = wanted.into_iter().map(|(_place, bytes)| bytes).collect();
        if self.setup.checks {
            for bytes in &transactions {
                let machine = self.main.machine();
                let first = machine.check_tx(bytes, false).map_err(text)?;
                if first.is_ok() {
                    let again = machine.check_tx(bytes, true).map_err(text)?;
                    same("a recheck of what waits", &again.is_ok(), &true)?;
                }
            }
        }
        let mut block = Block {
            height: Height(height),
            time: BlockTime(time),
            hash: sha256(&height.to_be_bytes()),
            proposer: self.world.validators[0].address,
            last_commit: self.votes.commit.clone(),
            transactions,
        };
        let request = ProposalRequest {
            block: block.clone(),
            extended: self.votes.extended.clone(),
            bytes_max: if stream.one_in(15) { 9000 } else { 4_000_000 },
        };
        let bridge = self.bridge_data(height, &mut stream);
        let made = self
            .main
            .machine()
            .prepare(&request, &bridge)
            .map_err(text)?;
        for (kind, shadow) in self
            .shadows
            .iter()
            .filter(|(kind, _)| *kind == Shadow::Untold)
        {
            let other = shadow.machine().prepare(&request, &bridge).map_err(text)?;
            same(&format!("the proposal of shadow {kind:?}"), &other, &made)?;
        }
        block.transactions = made;
        Ok(block)
    }

    /// What a proposer brings from Solana: now and then it lies.
    fn bridge_data(&self, height: u64, rng: &mut Rng) -> BridgeData {
        let mut data = BridgeData {
            deposits: self
                .solana
                .records
                .iter()
                .map(|record| record.to_bytes().to_vec())
                .collect(),
            last_settle: self.solana.last.map(|last| last.to_bytes().to_vec()),
        };
        if let Some(lie) = votes::lie(&self.world, &self.solana, height) {
            data.last_settle = Some(lie.to_bytes().to_vec());
        }
        if rng.one_in(10) {
            match rng.below(3) {
                0 => {
                    for mut record in self.solana.records.iter().copied() {
                        record.amount += 1_000_000;
                        data.deposits.push(record.to_bytes().to_vec());
                    }
                    data.deposits.reverse();
                }
                1 => data.deposits = vec![vec![1; 9], Vec::new()],
                _other => data.last_settle = Some(vec![3; 17]),
            }
        }
        data
    }

    fn step_ms(&self, height: u64) -> u64 {
        let mut rng = self.stream(height, 15);
        let hour = 3_600_000;
        let chain = if rng.one_in(self.world.jump_one_in) {
            *rng.pick(&[hour / 5, hour, 2 * hour + 300_000, 5 * hour, 30 * hour])
        } else if rng.one_in(12) {
            1000
        } else {
            rng.between(self.world.step_ms / 4 * 3, self.world.step_ms)
        };
        self.world.block_ms(chain)
    }

    /// Proposals with one thing wrong are refused; executed all the same they break nothing.
    fn refuse(&mut self, block: &Block, rng: &mut Rng) -> Check {
        if !rng.one_in(3) {
            return Ok(());
        }
        for _ in 0..2 {
            let Some((what, bad)) = byzantine::mutate(block, &self.old, rng) else {
                continue;
            };
            match self.main.machine().process(&bad) {
                Err(ProposalError::Refused(_why)) => {}
                Err(ProposalError::Faulted(fault)) => {
                    return Err(format!("a proposal with {what} breaks the node: {fault}"));
                }
                Ok(()) => return Err(format!("a proposal with {what} is accepted")),
            }
            self.main
                .machine()
                .finalize(&bad)
                .map_err(|fault| format!("a decided block with {what} breaks the node: {fault}"))?;
        }
        Ok(())
    }

    fn maybe_restart(&mut self, rng: &mut Rng) -> Check {
        if rng.one_in(8) {
            self.main.restart(&self.world.spec, None)?;
        }
        Ok(())
    }

    /// Finalizes and commits on the node that leads, with crashes between the steps.
    fn execute(&mut self, block: &Block, rng: &mut Rng) -> Check<BlockOutcome> {
        let finalize = |node: &Node| node.machine().finalize(block).map_err(text);
        if self.setup.checks {
            self.maybe_restart(rng)?;
        }
        let outcome = finalize(&self.main)?;
        if !self.setup.checks {
            self.main.machine().commit(|_patch| {}).map_err(text)?;
            return Ok(outcome);
        }
        if rng.one_in(8) {
            // The engine sends the block again after a crash between execution and commit.
            if rng.one_in(2) {
                self.main.restart(&self.world.spec, None)?;
            }
            same("the same block again", &finalize(&self.main)?, &outcome)?;
        }
        match rng.below(16) {
            0 => self
                .main
                .commit_with_crash(&self.world.spec, block, Crash::Lost)?,
            1 => {
                let spec = &self.world.spec;
                self.main
                    .commit_with_crash(spec, block, Crash::Unacknowledged)?;
            }
            _other => {
                self.main.machine().commit(|_patch| {}).map_err(text)?;
            }
        }
        if rng.one_in(12) && block.height.0 > 1 {
            // Undone by an operator, then executed again.
            self.main.machine().rollback().map_err(text)?;
            same(
                "the block again after a rollback",
                &finalize(&self.main)?,
                &outcome,
            )?;
            self.main.machine().commit(|_patch| {}).map_err(text)?;
        }
        if let Some(last) = self.last.as_ref().filter(|_last| rng.one_in(12)) {
            // A replayed block may be executed, but never becomes true a second time.
            let replayed = self.main.machine().finalize(last).is_ok();
            if replayed && self.main.machine().commit(|_patch| {}).is_ok() {
                return Err("a block was committed twice".to_owned());
            }
            self.main.restart(&self.world.spec, None)?;
        }
        Ok(outcome)
    }

    fn main_is(&self, block: &Block, outcome: &BlockOutcome) -> Check {
        let (height, hash) = self.main.info();
        same("height", &height, &block.height)?;
        same("app hash after commit", &hash, &outcome.app_hash)
    }

    fn follow(&mut self, block: &Block, outcome: &BlockOutcome, rng: &mut Rng) -> Check {
        let mut other = block.clone();
        other.transactions.truncate(1);
        other.time.0 += 500;
        for (kind, node) in &mut self.shadows {
            match kind {
                Shadow::Restarted => node.restart(&self.world.spec, None)?,
                Shadow::Untold => {}
                Shadow::Judge => {
                    for block in [&other, block, &other] {
                        node.machine().process(block).map_err(text)?;
                    }
                    if rng.one_in(2) {
                        node.machine().finalize(&other).map_err(text)?;
                    }
                }
            }
            let own = node.machine().finalize(block).map_err(text)?;
            same(
                &format!("shadow {kind:?}: app hash"),
                &own.app_hash,
                &outcome.app_hash,
            )?;
            same(&format!("shadow {kind:?}: outcome"), &own, outcome)?;
            node.machine().commit(|_patch| {}).map_err(text)?;
        }
        Ok(())
    }

    /// Deposits, settlements and claims between two blocks.
    fn solana_moves(&mut self, height: u64) -> Check {
        let mut rng = self.stream(height, 13);
        for _ in 0..rng.below(5) {
            if rng.one_in(3) {
                let account = match rng.below(5) {
                    0 => rng.bytes32(),
                    1 => [0; 32],
                    _other => account(rng.pick(&self.world.renters)).0,
                };
                let depositor = account_of(rng.pick(&self.world.suppliers));
                let amount = rng.between(1, 1_000_000_000_000);
                let asset = u8::try_from(rng.below(2)).map_err(text)?;
                self.solana.deposit(asset, amount, account, depositor);
            }
        }
        if rng.one_in(6) {
            let batches = Rows(self.main.machine()).list(&tables::SETTLEMENTS);
            let is_signed = |batch: &&Batch| batch.signed_power * 3 > batch.total_power * 2;
            let mut signed = batches
                .iter()
                .map(|(_number, batch)| batch)
                .filter(is_signed);
            if let Some(batch) = signed.next_back() {
                self.solana.settle(batch)?;
            }
        }
        if rng.one_in(4) {
            self.solana.claim(&mut rng)?;
        }
        Ok(())
    }
}

fn account_of(key: &ed25519_dalek::SigningKey) -> io_types::AccountId {
    account(key)
}
