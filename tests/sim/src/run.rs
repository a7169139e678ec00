//! One seed from genesis to its last block.

mod execute;
mod propose;
mod sees;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use io_state_machine::BlockOutcome;
use io_types::consensus::Block;
use io_types::{Hash, Height, Transaction};

use crate::audit::Auditor;
use crate::node::Node;
use crate::rng::Rng;
use crate::rows::Rows;
use crate::solana::sight::Sight;
use crate::solana::{Outside, Solana};
use crate::votes::Votes;
use crate::work::{Memory, Only, Sent};
use crate::world::{GENESIS_MS, World};
use crate::{Check, Failure, same, text};

/// What can go wrong around the chain, to be left out of a run when a shorter one is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum FaultKind {
    /// The node stops at a write, or between two steps.
    Crash,
    /// A decided block comes again, or is undone and executed again.
    Replay,
    /// Proposals with one thing wrong.
    Byzantine,
    /// Extensions that are late, missing, forged or untrue.
    Votes,
    /// Nobody reports a price for a while.
    Prices,
    /// Chain time jumps.
    Clock,
    /// A proposer lies about what it sees of Solana, or Solana cannot be seen.
    Rpc,
    /// Endpoints of Solana lie, are behind or ahead, contradict each other or are silent.
    Endpoint,
    /// All validators report a settlement that cannot be.
    Lie,
    /// Nothing happens on Solana at all.
    Solana,
}

/// A defect that is built into the simulator on purpose, to show that one is found, told and cut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Plant {
    /// The auditor does not book withdrawals.
    Books,
    /// A balance on the disk of the node that leads changes by itself after block 9.
    Store,
    /// A base unit of IO is gone from the vault on Solana after block 9.
    Vault,
    /// Validators believe the first of their endpoints alone.
    Gullible,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The seed.
    pub seed: u64,
    /// How many blocks.
    pub blocks: u64,
    /// Which transactions are sent.
    pub only: Only,
    /// Faults that are left out.
    pub without: BTreeSet<FaultKind>,
    /// Whether auditor, shadows, crashes and byzantine proposals take part; they change no result.
    pub checks: bool,
    /// What stands for Solana.
    pub outside: Outside,
    /// A defect on purpose.
    pub plant: Option<Plant>,
}

impl Setup {
    /// A whole run of a seed, as long as the seed says.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(&[seed, 20]);
        let long = rng.one_in(12);
        Self {
            seed,
            blocks: if long {
                rng.between(120, 170)
            } else {
                rng.between(40, 75)
            },
            only: None,
            without: BTreeSet::new(),
            checks: true,
            outside: Outside::MODEL,
            plant: None,
        }
    }

    /// Whether a fault takes part.
    pub fn has(&self, fault: FaultKind) -> bool {
        !self.without.contains(&fault)
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// App hash after each block.
    pub hashes: Vec<Hash>,
    /// The blocks, as decided.
    pub blocks: Vec<Block>,
    /// Transactions that were sent.
    pub sent: Vec<Sent>,
    /// Transactions that entered a block.
    pub entered: u64,
    /// How often what happened.
    pub seen: BTreeMap<String, u64>,
    /// What the last block did, a line for each transaction that was accepted and each event.
    pub last: Vec<String>,
    /// Set if something is wrong.
    pub failure: Option<Failure>,
}

thread_local! {
    static RUNS: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// For the program's panic hook: takes note of a panic in a run on this thread. False if it was in no run.
pub fn note_panic(info: &std::panic::PanicHookInfo<'_>) -> bool {
    let place = info.location().map(ToString::to_string);
    PLACE.set(place.unwrap_or_default());
    RUNS.get()
}

/// Runs a seed. A panic is a failure like any other.
pub fn run(setup: &Setup) -> Report {
    let height = Cell::new(0);
    let mut report = Report::default();
    RUNS.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| -> Check {
        let mut run = Run::new(setup)?;
        let mut result = Ok(());
        for block in 1..=setup.blocks {
            height.set(block);
            report.last.clear();
            result = run.step(block, &mut report);
            if result.is_err() {
                break;
            }
        }
        for seen in [&mut run.auditor.seen, &mut run.solana.seen] {
            report.seen.append(seen);
        }
        result
    }));
    RUNS.set(false);
    let what = match result {
        Ok(Ok(())) => return report,
        Ok(Err(what)) => what,
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            let place = PLACE.take();
            format!("panic at {place}: {}", said.unwrap_or("without text"))
        }
    };
    report.failure = Some(Failure {
        seed: setup.seed,
        height: height.get(),
        what,
    });
    report
}

/// How a shadow differs from the node that leads. None of them is ever given `CheckTx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shadow {
    /// Restarted before every block; one thread.
    Restarted,
    /// Many threads. Every other block comes without a proposal; around the others it judges proposals that are not decided.
    Judge,
}

struct Run<'s> {
    setup: &'s Setup,
    world: World,
    main: Node,
    shadows: Vec<(Shadow, Node)>,
    auditor: Auditor,
    solana: Solana,
    sight: Box<dyn Sight>,
    memory: Memory,
    votes: Votes,
    sure: Option<sees::Sure>,
    proposal: sees::Proposal,
    now: u64,
    /// The last block, to send again.
    last: Option<Block>,
    old: Vec<Vec<u8>>,
}

impl<'s> Run<'s> {
    fn new(setup: &'s Setup) -> Check<Self> {
        let mut world = World::new(setup.seed);
        let ledger = (setup.outside.ledger)(&mut world.spec);
        let mut shadows = Vec::new();
        if setup.checks {
            shadows.push((Shadow::Restarted, Node::new(&world.spec, false)?));
            shadows.push((Shadow::Judge, Node::new(&world.spec, true)?));
        }
        Ok(Self {
            setup,
            main: Node::new(&world.spec, setup.seed.is_multiple_of(2))?,
            shadows,
            auditor: Auditor::new(&world.spec, setup.plant == Some(Plant::Books)),
            solana: Solana::new(ledger, &world),
            sight: (setup.outside.sight)(&world),
            memory: Memory::default(),
            votes: Votes::default(),
            sure: None,
            proposal: sees::Proposal::default(),
            now: GENESIS_MS,
            last: None,
            old: Vec::new(),
            world,
        })
    }

    fn stream(&self, height: u64, tag: u64) -> Rng {
        Rng::new(&[self.setup.seed, height, tag])
    }

    fn count(&mut self, what: &str) {
        *self.auditor.seen.entry(what.to_owned()).or_default() += 1;
    }

    fn step(&mut self, height: u64, report: &mut Report) -> Check {
        let crash = self.crash_of(height);
        let block = self.propose(height, crash, report)?;
        let mut faults = self.stream(height, 14);
        if self.setup.checks {
            self.refuse(&block, &mut faults)?;
        }
        self.main
            .machine()
            .process(&block)
            .map_err(|error| format!("an honest proposal is refused: {error}"))?;
        self.stop_at(crash, Crash::AfterProcess)?;
        let (before, sure) = (self.watermark(), self.sure.take());
        self.votes = self.vote(height)?;
        for fault in std::mem::take(&mut self.votes.faults) {
            self.count(&fault);
        }
        self.stop_at(crash, Crash::AfterVote)?;
        let outcome = self.execute(&block, crash, &mut faults)?;
        report.last = told(&block, &outcome);
        if self.setup.checks {
            self.follow(&block, &outcome, &mut faults)?;
            let rows = Rows(self.main.machine());
            self.auditor.block(&block, &outcome, rows, &self.solana)?;
            self.goes_on(before, sure)?;
        }
        report.hashes.push(outcome.app_hash);
        let entered = block.transactions.get(1..).unwrap_or_default();
        report.entered += u64::try_from(entered.len()).map_err(text)?;
        self.old.extend(entered.iter().take(3).cloned());
        self.now = block.time.0;
        self.last = Some(block.clone());
        report.blocks.push(block);
        self.solana_moves(height, outcome.frozen.as_ref())
    }

    fn main_is(&self, block: &Block, outcome: &BlockOutcome) -> Check {
        let (height, hash) = self.main.info();
        same("height", &height, &block.height)?;
        same("app hash after commit", &hash, &outcome.app_hash)
    }

    /// Two nodes of the same chain differ from the one that leads in how they are run, and in nothing else.
    fn follow(&mut self, block: &Block, outcome: &BlockOutcome, rng: &mut Rng) -> Check {
        let mut other = block.clone();
        other.transactions.truncate(1);
        other.time.0 += 500;
        let judges = rng.one_in(2);
        for (kind, node) in &mut self.shadows {
            match kind {
                Shadow::Restarted => node.restart(&self.world.spec, None)?,
                Shadow::Judge if judges => {
                    for block in [&other, block] {
                        node.machine().process(block).map_err(text)?;
                    }
                    if rng.one_in(2) {
                        node.machine().process(&other).map_err(text)?;
                    }
                    if rng.one_in(4) {
                        node.machine().finalize(&other).map_err(text)?;
                    }
                }
                Shadow::Judge => {}
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
}

/// A block in words.
fn told(block: &Block, outcome: &BlockOutcome) -> Vec<String> {
    let pairs = block.transactions.iter().zip(&outcome.transactions);
    let mut lines = Vec::new();
    for (bytes, outcome) in pairs.skip(1).filter(|(_bytes, outcome)| outcome.code == 0) {
        let actions = Transaction::decode(bytes).map(|transaction| transaction.body.actions);
        lines.push(format!(
            "{:?}: {:?}",
            actions.unwrap_or_default(),
            outcome.events
        ));
    }
    lines.extend(outcome.events.iter().map(|event| format!("{event:?}")));
    lines
}

/// Where the node that leads stops, as if by `kill -9`. Each of them comes round once in [`ROUND`] blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    AfterPrepare,
    AfterProcess,
    AfterVote,
    AfterFinalize,
    WriteLost,
    WriteUnacknowledged,
    AfterCommit,
    RollbackLost,
    RollbackUnacknowledged,
}

const CRASHES: [Crash; 9] = [
    Crash::AfterPrepare,
    Crash::AfterProcess,
    Crash::AfterVote,
    Crash::AfterFinalize,
    Crash::WriteLost,
    Crash::WriteUnacknowledged,
    Crash::AfterCommit,
    Crash::RollbackLost,
    Crash::RollbackUnacknowledged,
];
/// Blocks in which every crash has its turn; in the others the node goes on.
const ROUND: u64 = 24;

impl Run<'_> {
    fn crash_of(&self, height: u64) -> Option<Crash> {
        if !self.setup.checks || !self.setup.has(FaultKind::Crash) || height == 1 {
            return None;
        }
        let place = (height + self.setup.seed) % ROUND;
        CRASHES.get(usize::try_from(place).ok()?).copied()
    }

    /// Stops the node here, if this is where it is to stop, and starts it again.
    fn stop_at(&mut self, planned: Option<Crash>, here: Crash) -> Check {
        if planned != Some(here) {
            return Ok(());
        }
        self.count(&format!("fault crash {here:?}"));
        self.main.restart(&self.world.spec, None)
    }

    fn at(&self) -> Height {
        self.main.info().0
    }
}
