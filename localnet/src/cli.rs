//! What a person types.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{
    control::{self, Run, Running},
    faults::{Fault, Proxy, link::Links},
    home::find_running,
    ledger::{self, LedgerConfig},
    process::Supervisor,
    signal,
    up::{self, UpOptions},
};

const EXAMPLES: &str = "Examples:
  io-localnet up                             bring up a network and watch it
  io-localnet up --once                      run until two settlements and a paid claim, then stop
  io-localnet faults kill validator-1        kill a node; it comes back
  io-localnet faults lie-rpc validator-0/a bytes
  io-localnet faults heal
  io-localnet logs validator-0 --follow";

/// A whole io-chain network on this machine.
#[derive(Debug, Parser)]
#[command(name = "io-localnet", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Bring a network up and show it.
    Up(UpOptions),
    /// Stop a running localnet; its state is kept.
    Down(Where),
    /// Show what runs.
    Status {
        /// Which localnet.
        #[command(flatten)]
        at: Where,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the log of a process.
    Logs {
        /// Which; as `status` shows it.
        process: String,
        /// Which localnet.
        #[command(flatten)]
        at: Where,
        /// How many lines from the end.
        #[arg(long, short = 'n', default_value_t = 50)]
        lines: usize,
        /// Go on as the log grows.
        #[arg(long, short)]
        follow: bool,
    },
    /// Break something in a running localnet, or heal it.
    Faults {
        /// Which localnet.
        #[command(flatten)]
        at: Where,
        /// What to break or heal.
        #[command(subcommand)]
        fault: Fault,
    },
    /// Run the Solana ledger alone.
    Ledger(LedgerConfig),
    /// Run the RPC fault layer alone, before any Solana RPC.
    FaultsProxy(FaultsProxy),
}

/// Which localnet.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// Its folder; needed only when several run.
    #[arg(long, value_name = "DIR", global = true)]
    pub home: Option<PathBuf>,
}

/// A fault layer of its own.
#[derive(Debug, Args)]
pub struct FaultsProxy {
    /// The RPC behind it.
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// A listener: its name and its port.
    #[arg(long = "listen", value_name = "NAME=PORT", required = true, value_parser = listener)]
    listeners: Vec<(String, u16)>,
    /// Folder that tells `io-localnet faults --home` how to reach it.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Port of the control service.
    #[arg(long, value_name = "PORT")]
    control_port: u16,
}

fn listener(text: &str) -> Result<(String, u16), String> {
    let (name, port) = text.split_once('=').ok_or("write NAME=PORT")?;
    let port = port.parse().map_err(|error| format!("{port}: {error}"))?;
    Ok((name.to_owned(), port))
}

/// Does what was asked. Errors end the program with their text.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(run_async(cli.verb));
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

async fn run_async(verb: Verb) -> anyhow::Result<ExitCode> {
    if !matches!(verb, Verb::Up(_)) {
        log_to(std::io::stderr);
    }
    match verb {
        Verb::Up(options) => return up::run(options).await,
        Verb::Ledger(config) => ledger::run(&config).await?,
        Verb::Down(at) => down(&find_running(at.home.as_deref())?).await?,
        Verb::Status { at, json } => {
            let status = Run::read(&find_running(at.home.as_deref())?)?
                .status()
                .await?;
            say(&if json {
                format!("{status:#}\n")
            } else {
                status_text(&status)
            })?;
        }
        Verb::Logs {
            process,
            at,
            lines,
            follow,
        } => logs(&find_running(at.home.as_deref())?, &process, lines, follow).await?,
        Verb::Faults { at, fault } => {
            let done = Run::read(&find_running(at.home.as_deref())?)?
                .fault(&fault)
                .await?;
            say(&format!("{done}\n"))?;
        }
        Verb::FaultsProxy(options) => faults_proxy(options).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends the log there. `IO_LOCALNET_LOG` filters it, as `info` or `io_localnet=debug`.
pub(crate) fn log_to<W>(writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::try_from_env("IO_LOCALNET_LOG").unwrap_or_else(|_unset| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(writer)
        .init();
}

/// Writes data to standard output. Errors: nobody reads it any more.
pub fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

async fn down(home: &Path) -> anyhow::Result<()> {
    let run = Run::read(home)?;
    run.down().await?;
    for _ in 0..200 {
        if Run::read(home).is_err() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!(
        "the localnet in {} (process {}) did not end within 20 s; look at its output, or kill that process",
        home.display(),
        run.pid
    )
}

fn status_text(status: &Value) -> String {
    let list = |key: &str| {
        status
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let text = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let mut lines = Vec::new();
    for process in list("processes") {
        let pid = process.get("pid").and_then(Value::as_u64);
        let paused = process.get("paused") == Some(&Value::Bool(true));
        let state = match pid {
            Some(pid) if paused => format!("paused ({pid})"),
            Some(pid) => format!("runs ({pid})"),
            None if process.get("held") == Some(&Value::Bool(true)) => "stopped".to_owned(),
            None => format!("down: {}", text(&process, "last_end")),
        };
        let restarts = process.get("restarts").and_then(Value::as_u64).unwrap_or(0);
        lines.push(format!(
            "{:<14} {state}, started again {restarts} times",
            text(&process, "name")
        ));
    }
    for rpc in list("rpc") {
        let port = rpc.get("port").and_then(Value::as_u64).unwrap_or(0);
        lines.push(format!(
            "rpc {:<16} http://127.0.0.1:{port} {}",
            text(&rpc, "name"),
            text(&rpc, "mode")
        ));
    }
    for link in list("cut") {
        lines.push(format!("cut {link}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

async fn logs(home: &Path, process: &str, lines: usize, follow: bool) -> anyhow::Result<()> {
    let path = home.join("logs").join(format!("{process}.log"));
    let mut file = std::fs::File::open(&path).with_context(|| {
        format!(
            "there is no log {}; `io-localnet status` shows the names",
            path.display()
        )
    })?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let skipped = text.lines().count().saturating_sub(lines);
    for line in text.lines().skip(skipped) {
        say(&format!("{line}\n"))?;
    }
    let mut at = file.stream_position()?;
    if !follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut more = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        at = at.saturating_add(u64::try_from(file.read_to_end(&mut more)?)?);
        say(&String::from_utf8_lossy(&more))?;
    }
}

async fn faults_proxy(options: FaultsProxy) -> anyhow::Result<()> {
    let FaultsProxy {
        upstream,
        listeners,
        home,
        control_port,
    } = options;
    std::fs::create_dir_all(&home)?;
    let mut proxy = Proxy::default();
    for (name, port) in listeners {
        proxy.listen(&name, port, &upstream).await?;
    }
    let running = Running {
        supervisor: Supervisor::start()?,
        proxy,
        links: Links::default(),
        facts: json!({}),
        stop: watch::channel(false).0,
    };
    let mut stop = running.stop.subscribe();
    let service = control::serve(Arc::new(running), control_port).await?;
    Run {
        pid: std::process::id(),
        control: control_port,
    }
    .write(&home)?;
    tokio::select! {
        () = signal::asked_to_stop() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    Run::remove(&home);
    service.abort();
    Ok(())
}
