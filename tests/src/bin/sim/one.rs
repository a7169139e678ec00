//! One seed: here with everything, and in a second process with nothing but the chain.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum as _;
use io_sim::run::{Report, Setup, run};
use io_sim::{Failure, shrink};

use crate::say;

/// Prints the app hash of each block.
pub(crate) fn hashes(setup: &Setup) -> bool {
    let report = run(setup);
    for hash in &report.hashes {
        say(&hash.to_string());
    }
    if let Some(failure) = &report.failure {
        say(&failure.to_string());
    }
    report.failure.is_none()
}

/// Runs a seed twice and tells what came of it. Whether it is clean.
pub(crate) fn seed(setup: &Setup, shrink_seconds: u64) -> bool {
    let report = twice(setup);
    say(&format!("  ledger {}: 1", setup.outside.name));
    for (name, count) in &report.seen {
        // What the program itself did is counted apart from what the model did.
        match name.strip_prefix("solana ") {
            Some(what) => say(&format!("  {} {what}: {count}", setup.outside.name)),
            None => say(&format!("  {name}: {count}")),
        }
    }
    if let Some(failure) = &report.failure {
        tell(setup, failure, &report, shrink_seconds);
    }
    say(&format!(
        "1 seeds, {} failed, {} blocks, {} transactions in blocks",
        u8::from(report.failure.is_some()),
        report.hashes.len(),
        report.entered
    ));
    report.failure.is_none()
}

/// The hashes of both processes must be equal.
fn twice(setup: &Setup) -> Report {
    let child = second(setup);
    let mut report = run(setup);
    let told = child.and_then(Child::wait_with_output);
    if report.failure.is_some() {
        return report;
    }
    let (place, what) = match told {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout);
            let told: Vec<&str> = told.lines().collect();
            let differs = report
                .hashes
                .iter()
                .enumerate()
                .find(|(place, hash)| told.get(*place) != Some(&hash.to_string().as_str()));
            let Some((place, hash)) = differs else {
                return report;
            };
            let what = match told.get(place) {
                Some(other) => format!("the second process has app hash {other}, here {hash}"),
                None => format!("the second process ended: {}", output.status),
            };
            (place, what)
        }
        Err(error) => (0, format!("the second process cannot be run: {error}")),
    };
    report.failure = Some(Failure {
        seed: setup.seed,
        height: u64::try_from(place).unwrap_or(0) + 1,
        what,
    });
    report
}

fn second(setup: &Setup) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--hashes", "--seed", &setup.seed.to_string()])
        .args(["--ledger", setup.outside.name])
        .args(["--blocks", &setup.blocks.to_string()])
        .stdout(Stdio::piped());
    if let Some(only) = &setup.only {
        command.args(["--only", &shrink::to_text(only)]);
    }
    for fault in &setup.without {
        let name = fault.to_possible_value();
        let name = name.ok_or_else(|| std::io::Error::other("a fault without a name"))?;
        command.args(["--without", name.get_name()]);
    }
    if let Some(plant) = setup.plant.and_then(|plant| plant.to_possible_value()) {
        command.args(["--plant", plant.get_name()]);
    }
    command.spawn()
}

fn tell(setup: &Setup, failure: &Failure, report: &Report, seconds: u64) {
    say(&format!("FAILED {failure}"));
    let again = shrink::replay(setup, failure.height);
    say(&format!("  replay: {again}"));
    if setup.only.is_some() {
        for line in &report.last {
            say(&format!("  in that block: {line}"));
        }
        return;
    }
    if seconds == 0 {
        return;
    }
    let limit = Duration::from_secs(seconds);
    let short = shrink::shrink(setup, failure, &report.sent, limit);
    say(&format!(
        "  {} of {} transactions are enough{}: {}",
        short.transactions.1,
        short.transactions.0,
        if short.is_smallest {
            ", none can be left out"
        } else {
            ""
        },
        short.failure
    ));
    let again = shrink::replay(&short.setup, short.failure.height);
    say(&format!("  replay: {again}"));
}
