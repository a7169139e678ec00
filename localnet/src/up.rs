//! `io-localnet up`: brings a network up, shows it, and ends it.

use std::{
    io::IsTerminal,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::Value;

use crate::{
    cli::say,
    home::Home,
    network::Network,
    once::{self, Road},
    people,
    plan::Plan,
    ports::Ports,
    signal,
    tools::Tools,
    view::{self, clock},
};

/// Between two looks at the network.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What can be asked of `up`.
#[derive(Debug, Clone, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that a person types"
)]
pub struct UpOptions {
    /// Folder of its state; without it, the first of the user's that no running localnet has.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Begin anew: remove the state of earlier runs.
    #[arg(long)]
    pub reset: bool,
    /// Run until two settlements are final and a reward was claimed, print a report, and end.
    #[arg(long)]
    pub once: bool,
    /// With --once: give up after that many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub within: u64,
    /// What keys and prices follow from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// No orders, no stakes, no withdrawals: only the machines.
    #[arg(long)]
    pub no_people: bool,
    /// Lines instead of a screen.
    #[arg(long)]
    pub plain: bool,
}

/// Runs until Ctrl-C, `down`, or with `--once` until the road was travelled.
///
/// Errors: a part does not start. The exit code is 1 if `--once` did not reach everything.
pub async fn run(options: UpOptions) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let tools = Tools::find()?;
    let home = Home::claim(options.home.as_deref(), options.reset)?;
    let ports = Ports::claim(home.path())?;
    log_to_file(&home)?;
    say(&format!(
        "io-localnet in {} on ports {}–{}\n",
        home.path().display(),
        ports.base(),
        ports.get(u16::MAX)
    ))?;
    let plan = Plan {
        home: home.path().to_owned(),
        seed: options.seed,
        ports,
    };
    let mut tell = |step: &str, took: Duration| {
        // Nobody may be reading any more; the network starts all the same.
        drop(say(&format!(
            "{:>6}  {step} ({:.1} s)\n",
            clock(started.elapsed()),
            took.as_secs_f32()
        )));
    };
    let network = tokio::select! {
        network = Network::start(plan, &tools, &mut tell) => network?,
        () = signal::asked_to_stop() => return Ok(ExitCode::SUCCESS),
    };
    let people = if options.no_people {
        Vec::new()
    } else {
        people::start(&network)?
    };
    let facts = &network.running.facts;
    std::fs::write(text(facts, "/env"), exports(facts))
        .context("cannot write the file that a shell reads")?;
    say(&introduction(facts))?;
    let mut stop = network.running.stop.subscribe();
    let code = tokio::select! {
        code = watch(&network, &options, started) => code,
        () = signal::asked_to_stop() => Ok(ExitCode::SUCCESS),
        _ = stop.wait_for(|stop| *stop) => Ok(ExitCode::SUCCESS),
    };
    for task in people {
        task.abort();
    }
    say("\nending all processes; the state is kept\n")?;
    tokio::task::block_in_place(|| drop(network));
    code
}

fn log_to_file(home: &Home) -> anyhow::Result<()> {
    let folder = crate::network::made_folder(home.path().join("logs"))?;
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("localnet.log"));
    let file = file.context("cannot write the localnet's own log")?;
    crate::cli::log_to(std::sync::Mutex::new(file));
    Ok(())
}

async fn watch(
    network: &Network,
    options: &UpOptions,
    started: Instant,
) -> anyhow::Result<ExitCode> {
    let screen = std::io::stdout().is_terminal() && !options.plain && !options.once;
    let mut road = Road::default();
    let mut said: Option<Instant> = None;
    loop {
        let snapshot = view::gather(network).await;
        if options.once {
            let paid = once::paid_to_suppliers(network)
                .await
                .inspect_err(|error| tracing::warn!("what Solana paid cannot be read: {error:#}"))
                .ok();
            for news in road.pass(&snapshot, paid, started.elapsed()) {
                say(&format!("{news}\n"))?;
            }
            let missing = road.missing();
            if missing.is_empty() || started.elapsed() > Duration::from_secs(options.within) {
                once::report(network, &road, started).await?;
                return verdict(&missing);
            }
        }
        if screen {
            say(&draw(&snapshot, &network.running.facts, started))?;
        } else if said.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            said = Some(Instant::now());
            say(&format!(
                "{:>6}  {}\n",
                clock(started.elapsed()),
                snapshot.line()
            ))?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn verdict(missing: &[String]) -> anyhow::Result<ExitCode> {
    if missing.is_empty() {
        say("everything was reached\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("MISSING: {}\n", missing.join("; ")))?;
    Ok(ExitCode::FAILURE)
}

/// The whole screen: cursor home, each line cleared to its end, the rest cleared.
fn draw(snapshot: &view::Snapshot, facts: &Value, started: Instant) -> String {
    // A line that is too long is cut by the terminal instead of wrapped: the lines above it stay where they are.
    let mut text = String::from("\x1b[?7l\x1b[H");
    let body = snapshot.lines(started).into_iter().chain([String::new()]);
    for line in body.chain(introduction(facts).lines().map(str::to_owned)) {
        text.push_str(&line);
        text.push_str("\x1b[K\n");
    }
    text.push_str("\x1b[J\x1b[?7h");
    text
}

/// URLs, funded keys, and what to try next.
/// A text among the facts; empty if it is none.
fn text<'f>(facts: &'f Value, pointer: &str) -> &'f str {
    facts.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// What a shell reads to know the network.
fn exports(facts: &Value) -> String {
    [
        ("IO_NODE", "/nodes/0"),
        ("IO_SOLANA", "/solana"),
        ("IO_PROGRAM", "/program"),
        ("IO_WALLET", "/keys/you/file"),
    ]
    .map(|(name, pointer)| format!("export {name}='{}'\n", text(facts, pointer)))
    .concat()
}

fn introduction(facts: &Value) -> String {
    let text = |pointer: &str| text(facts, pointer);
    let list = |pointer: &str| {
        let values = facts
            .pointer(pointer)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        values
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let (solana, program, key) = (text("/solana"), text("/program"), text("/keys/you/file"));
    format!(
        "nodes       {}\n\
         metrics     {}\n\
         Solana      {solana} (websocket {}), bridge program {program}\n\
         prices      {}\n\
         your key    {key}\n            \
         account {}, funded on both sides\n\
         try         . {}   (sets IO_NODE, IO_SOLANA, IO_PROGRAM and IO_WALLET)\n            \
         io account · io deposit 5 io · io order place --help · io watch\n            \
         io-localnet faults kill validator-1 · io-localnet faults drop-rpc validator-0/a · io-localnet faults heal\n            \
         io-localnet logs validator-0 --follow · Ctrl-C ends everything, the state is kept\n",
        list("/nodes"),
        list("/metrics"),
        text("/solana_websocket"),
        list("/prices"),
        text("/keys/you/account"),
        text("/env"),
    )
}
