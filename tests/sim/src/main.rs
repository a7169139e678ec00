//! `sim`: runs seeds, and says of a seed that fails how to run it again.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool prints its results"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use io_sim::run::{Report, Setup, run};
use io_sim::{Failure, shrink};

/// Runs the chain against an auditor, with faults, by seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// One seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds A..B, B excluded.
    #[arg(long, value_parser = range)]
    seeds: Option<(u64, u64)>,
    /// Blocks of a run; as many as the seed says without it.
    #[arg(long)]
    blocks: Option<u64>,
    /// Sends only these transactions: height:place, separated by commas.
    #[arg(long, value_parser = shrink::from_text)]
    only: Option<BTreeSet<(u64, u32)>>,
    /// Prints app hashes and nothing else; no auditor, no shadows.
    #[arg(long)]
    hashes: bool,
    /// Seconds to spend on a shorter workload that fails in the same way.
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic is a failure of its seed, told with it.
    std::panic::set_hook(Box::new(|_panic| {}));
    let (from, to) = arguments.seeds.unwrap_or_else(|| {
        arguments
            .seed
            .map_or((0, 20), |seed| (seed, seed.saturating_add(1)))
    });
    let begun = Instant::now();
    let (mut failed, mut entered, mut blocks) = (0_u64, 0_u64, 0_usize);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in from..to {
        let mut setup = Setup::new(seed);
        setup.blocks = arguments.blocks.unwrap_or(setup.blocks);
        setup.only.clone_from(&arguments.only);
        if arguments.hashes {
            setup.checks = false;
            for hash in run(&setup).hashes {
                println!("{hash}");
            }
            continue;
        }
        let report = twice(&setup);
        entered = entered.saturating_add(report.entered);
        blocks = blocks.saturating_add(report.hashes.len());
        for (name, count) in &report.seen {
            let sum = seen.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        if let Some(failure) = &report.failure {
            failed = failed.saturating_add(1);
            tell(&setup, failure, &report, arguments.shrink_seconds);
        }
    }
    if arguments.hashes {
        return ExitCode::SUCCESS;
    }
    for (name, count) in &seen {
        println!("  {name}: {count}");
    }
    println!(
        "{} seeds, {failed} failed, {blocks} blocks, {entered} transactions in blocks, {} kinds of things, {} s",
        to.saturating_sub(from),
        seen.len(),
        begun.elapsed().as_secs()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a seed here with everything and in a process of its own with nothing but the chain: the hashes must be equal.
fn twice(setup: &Setup) -> Report {
    let child = second(setup);
    let mut report = run(setup);
    let told = child.and_then(Child::wait_with_output);
    if report.failure.is_some() {
        return report;
    }
    let own: Vec<String> = report.hashes.iter().map(ToString::to_string).collect();
    let what = match told {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout);
            let told: Vec<&str> = told.lines().collect();
            let differs = own
                .iter()
                .enumerate()
                .find(|(place, hash)| told.get(*place) != Some(&hash.as_str()));
            differs.map(|(place, hash)| {
                (
                    place,
                    format!(
                        "second process: app hash {:?}, here {hash}",
                        told.get(place)
                    ),
                )
            })
        }
        Err(error) => Some((0, format!("second process: {error}"))),
    };
    report.failure = what.map(|(place, what)| Failure {
        seed: setup.seed,
        height: u64::try_from(place).unwrap_or(0).saturating_add(1),
        what,
    });
    report
}

fn second(setup: &Setup) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--hashes", "--seed", &setup.seed.to_string()])
        .args(["--blocks", &setup.blocks.to_string()])
        .stdout(Stdio::piped());
    if let Some(only) = &setup.only {
        command.args(["--only", &shrink::to_text(only)]);
    }
    command.spawn()
}

fn tell(setup: &Setup, failure: &Failure, report: &Report, seconds: u64) {
    println!("FAILED {failure}");
    let limit = Duration::from_secs(seconds);
    if seconds == 0 || setup.only.is_some() {
        println!(
            "  replay: ./dev sim --seed {} --blocks {}",
            failure.seed, failure.height
        );
        return;
    }
    let short = shrink::shrink(setup, failure, &report.sent, limit);
    println!(
        "  {} of {} transactions are enough: {}",
        short.only.len(),
        short.before,
        short.failure
    );
    println!(
        "  replay: ./dev sim --seed {} --blocks {} --only {}",
        failure.seed,
        short.failure.height,
        shrink::to_text(&short.only)
    );
}
