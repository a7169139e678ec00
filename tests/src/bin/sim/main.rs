//! `sim`: runs seeds, and says of a seed that fails how to run it again.
#![expect(
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    reason = "a command line tool: results to stdout, words to stderr, counts that fit"
)]

mod many;
mod one;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use io_sim::run::{FaultKind, Plant, Setup, note_panic};
use io_sim::shrink;
use io_sim::solana::Outside;
use io_tests::ledger::{MODEL, PROGRAM};

/// Without a word about it, one seed of so many runs on the program itself: it takes longer.
const PROGRAM_ONE_IN: u64 = 5;

/// What stands for Solana.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The program's rules.
    Model,
    /// The checked-in program in LiteSVM.
    Program,
}

impl Kind {
    fn outside(self) -> Outside {
        match self {
            Self::Model => MODEL,
            Self::Program => PROGRAM,
        }
    }

    /// What a seed runs on if nothing else is said.
    fn of(seed: u64) -> Self {
        if seed % PROGRAM_ONE_IN == PROGRAM_ONE_IN - 1 {
            Self::Program
        } else {
            Self::Model
        }
    }
}

/// Runs the chain against an auditor, with faults, by seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// One seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds A..B, B excluded, in processes of their own.
    #[arg(long, value_parser = range)]
    seeds: Option<(u64, u64)>,
    /// What stands for Solana; without it every fifth seed has the program and all others the model.
    #[arg(long, value_enum)]
    ledger: Option<Kind>,
    /// Seeds that run at once; as many as there are processors without it.
    #[arg(long)]
    jobs: Option<usize>,
    /// Minutes after which no more seeds are begun.
    #[arg(long, default_value_t = 600)]
    minutes: u64,
    /// Blocks of a run; as many as the seed says without it.
    #[arg(long)]
    blocks: Option<u64>,
    /// Sends only these transactions: height:place, separated by commas, or none.
    #[arg(long, value_parser = shrink::from_text)]
    only: Option<BTreeSet<(u64, u32)>>,
    /// Leaves out these faults, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    without: Vec<FaultKind>,
    /// A defect on purpose, to see the simulator find it.
    #[arg(long, value_enum)]
    plant: Option<Plant>,
    /// Prints app hashes and nothing else; no auditor, no shadows.
    #[arg(long)]
    hashes: bool,
    /// Seconds to spend on a shorter run that fails in the same way.
    #[arg(long, default_value_t = 20)]
    shrink_seconds: u64,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let pair = text
        .split_once("..")
        .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    pair.filter(|(from, to)| from < to)
        .ok_or_else(|| format!("{text:?} is no range of seeds: write 0..100"))
}

impl Arguments {
    fn setup(&self, seed: u64) -> Setup {
        let mut setup = Setup::new(seed);
        setup.outside = self.ledger.unwrap_or_else(|| Kind::of(seed)).outside();
        setup.blocks = self.blocks.unwrap_or(setup.blocks);
        setup.only.clone_from(&self.only);
        setup.without = self.without.iter().copied().collect();
        setup.plant = self.plant;
        setup.checks = !self.hashes;
        setup
    }
}

/// A line of results. A reader that went away is no failure of a seed.
fn say(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        eprintln!("sim: nobody reads the results: {line}");
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic in a run is a failure of its seed, told with it.
    std::panic::set_hook(Box::new(|info| {
        if !note_panic(info) {
            eprintln!("sim: {info}");
        }
    }));
    let is_clean = match (arguments.seed, arguments.seeds) {
        (Some(seed), _) if arguments.hashes => one::hashes(&arguments.setup(seed)),
        (Some(seed), _) => one::seed(&arguments.setup(seed), arguments.shrink_seconds),
        (None, range) => many::seeds(range.unwrap_or((0, 20)), &arguments),
    };
    if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
