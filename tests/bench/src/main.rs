//! `bench`: one command, one table. Each line is a ratio measured in this run, beside the limit it is held against.
//!
//! A missed bar is shown and fails nothing: the exit code is 0 when every line was measured or skipped by name, 1 for a
//! filter that names nothing, 2 when a line broke.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command line tool counts and prints"
)]

use std::process::ExitCode;

use clap::Parser;
use io_bench::line::Line;
use io_bench::setup::{Setup, Size};
use io_bench::{GROUPS, table};

/// As in `io-node`, whose applications run in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prints a table of ratios, each measured in this run together with the limit it is held against.
///
/// A missed bar is shown as missed; it does not fail the command.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Examples:\n  ./dev bench\n  ./dev bench transfers\n  ./dev bench --json payouts"
)]
struct Arguments {
    /// Only groups of lines whose name contains this.
    filter: Option<String>,
    /// Prints one JSON object instead of the table.
    #[arg(long)]
    json: bool,
    /// Small sizes that show only that every line works; the figures mean nothing.
    #[arg(long)]
    small: bool,
    /// Prints the names of the groups and measures nothing.
    #[arg(long)]
    list: bool,
    /// One step of a line that needs a process of its own.
    #[arg(long, hide = true, requires = "folder")]
    step: Option<String>,
    /// Where that step works.
    #[arg(long, hide = true)]
    folder: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(name), Some(folder)) = (&arguments.step, &arguments.folder) {
        return step(name, folder, arguments.small);
    }
    let filter = arguments.filter.as_deref().unwrap_or_default();
    let chosen: Vec<_> = GROUPS
        .iter()
        .filter(|(name, _measure)| name.contains(filter))
        .collect();
    if chosen.is_empty() || arguments.list {
        for (name, _measure) in GROUPS {
            println!("{name}");
        }
        if !arguments.list {
            eprintln!("error: no group of lines contains {filter:?}; the names are above");
            return ExitCode::from(1);
        }
        return ExitCode::SUCCESS;
    }
    let size = if arguments.small {
        Size::Small
    } else {
        Size::Full
    };
    let (mut lines, mut broken) = (Vec::new(), 0_u32);
    for (place, (name, measure)) in chosen.iter().enumerate() {
        let setup = Setup::new(name, size, (place + 1, chosen.len()));
        setup.say("begins");
        match measure(&setup) {
            Ok(measured) => lines.extend(measured),
            Err(error) => {
                broken += 1;
                lines.push(Line::broken(*name, format!("{error:#}")));
            }
        }
    }
    if arguments.json {
        println!("{:#}", table::json(&lines, size));
    } else {
        print!("{}", table::text(&lines, size));
    }
    if broken > 0 {
        eprintln!("error: {broken} of {} groups broke", chosen.len());
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

/// Runs a step and answers with one line; `fill` then waits to be killed.
fn step(name: &str, folder: &std::path::Path, small: bool) -> ExitCode {
    match io_bench::memory::step(name, folder, small) {
        Ok(line) => {
            println!("{line}");
            if name == "fill" {
                loop {
                    std::thread::park();
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: step {name}: {error:#}");
            ExitCode::from(2)
        }
    }
}
