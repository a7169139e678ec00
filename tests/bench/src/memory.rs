//! What a node needs in memory with a full world, and how long it starts after `kill -9`. Each step is a process of its own:
//! one writes the world and is killed, one opens what it left.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use io_state_machine::{Machine, Options, tables};
use io_storage::Store;
use io_storage::backend::RocksBackend;
use io_types::ChainTime;

use crate::line::{Bar, Line, figure};
use crate::setup::Setup;
use crate::world::{GENESIS_MS, Plan, World};

/// Resident memory at its highest, MiB.
const MEMORY_BAR: f64 = 2048.0;
/// From the start of the process until it could take a block, ms.
const START_BAR: f64 = 10_000.0;
/// Minutes of blocks after the start, a block each second: a hundred thousand bookings are metered in each minute.
const MINUTES: u64 = 4;

fn plan(small: bool) -> Plan {
    let size = |full, small_size| if small { small_size } else { full };
    Plan {
        devices: size(1_000_000, 2_000),
        whole: true,
        linked: Some(ChainTime(GENESIS_MS).slot().plus(10)),
        accounts: size(1_000_000, 2_000),
        bookings: size(100_000, 200),
    }
}

/// A step in a process of its own: `fill` writes the world and waits to be killed, `open` opens what is there. Prints one line.
pub fn step(name: &str, folder: &Path, small: bool) -> Result<String> {
    let begun = Instant::now();
    let backend = || RocksBackend::open(folder, tables::SPECS);
    match name {
        "fill" => {
            let mut world = World::on(Box::new(backend()?), &plan(small))?;
            world.run(Vec::new(), 1000)?;
            // Alive until it is killed: nothing is closed in order.
            std::mem::forget(world);
            Ok("filled".to_owned())
        }
        "open" => {
            let store = Store::open(tables::SPECS, Box::new(backend()?))?;
            let machine = Machine::open(store, Options::default())?;
            let started = begun.elapsed().as_secs_f64() * 1000.0;
            let resident = resident("VmHWM")?;
            let mut world = World::around(machine, GENESIS_MS + 1000);
            for _second in 0..MINUTES * 60 {
                world.run(Vec::new(), 1_000)?;
            }
            Ok(format!("{started} {resident} {}", self::resident("VmHWM")?))
        }
        other => bail!("there is no step {other:?}: fill or open"),
    }
}

/// A figure of this process, MiB.
fn resident(name: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: f64 = kib.context("the kernel does not say")?.parse()?;
    Ok(kib / 1024.0)
}

/// Starts a step and reads its line; the process lives on.
fn start(name: &str, folder: &Path, small: bool) -> Result<(std::process::Child, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--step").arg(name).arg("--folder").arg(folder);
    if small {
        command.arg("--small");
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let out = child.stdout.take().context("its output is a pipe")?;
    BufReader::new(out).read_line(&mut line)?;
    ensure!(!line.is_empty(), "step {name} ended without an answer");
    Ok((child, line.trim().to_owned()))
}

/// The lines.
pub fn lines(setup: &Setup) -> Result<Vec<Line>> {
    let small = setup.is_small();
    let folder = tempfile::tempdir()?;
    setup.say("a process writes the world");
    let (mut child, _line) = start("fill", folder.path(), small)?;
    child.kill()?;
    child.wait()?;
    setup.say("it was killed; another opens it");
    let (mut child, line) = start("open", folder.path(), small)?;
    let status = child.wait()?;
    ensure!(status.success(), "the opening process ended with {status}");
    let figures: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [started, after_start, highest] = figures[..] else {
        bail!("the opening process said {line:?}");
    };
    let bytes = folder_bytes(folder.path())? / 1_048_576.0;
    let Plan {
        devices,
        accounts,
        bookings,
        ..
    } = plan(small);
    let world = format!("{devices} devices, {accounts} accounts, {bookings} bookings");
    Ok(vec![
        Line::measured(
            "memory/start",
            format!(
                "time to open the database of a killed process and rebuild trees and indices: {world}; beside the bar"
            ),
            figure(started, "ms"),
            figure(START_BAR, "ms"),
            Bar::AtMost(START_BAR),
        ),
        Line::measured(
            "memory/resident",
            format!(
                "highest resident memory of a process that opened it ({after_start:.0} MiB) and ran {MINUTES} minutes of blocks, one \
                 each second, that meter every booking: {world}; beside the database on disk"
            ),
            figure(highest, "MiB"),
            figure(bytes, "MiB"),
            Bar::AtMost(MEMORY_BAR),
        ),
    ])
}

fn folder_bytes(folder: &Path) -> Result<f64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum as f64)
}
