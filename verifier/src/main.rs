//! `io-verifier`: is drawn, judges, commits, reveals.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program's own edge: data to stdout, words to stderr"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use io_client::{Client, ClientError};
use io_verifier::backend::{self, Backend};
use io_verifier::config::{Config, PREFIX};
use io_verifier::settings::{self, SettingsError};
use io_verifier::{bench, keys, replay, run};

/// Judges GPU challenges of io-chain.
///
/// Settings: defaults, then the file, then variables IO_VERIFIER_FIELD, then flags.
#[derive(Debug, Parser)]
#[command(
    name = "io-verifier",
    version,
    after_help = "Exit codes: 0 done, 1 refused, 2 broken."
)]
struct Arguments {
    /// Configuration file, TOML.
    #[arg(long, global = true, env = "IO_VERIFIER_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
    /// URL of a node's API.
    #[arg(long, global = true)]
    node: Option<String>,
    /// Key file of the verifier's account.
    #[arg(long, global = true)]
    wallet: Option<String>,
    /// What replays.
    #[arg(long, global = true, value_enum)]
    backend: Option<Backend>,
    /// Results as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the daemon until Ctrl-C. Example: io-verifier run --config verifier.toml
    Run {
        /// Where workers connect, as 127.0.0.1:26690.
        #[arg(long)]
        bind: Option<String>,
        /// Folder of the records.
        #[arg(long)]
        data: Option<String>,
    },
    /// Measures this machine: the CPU, and every card that --backend allows. Example: io-verifier bench --json
    Bench(bench::Options),
    /// Computes both phases again and says which differs first. Example: io-verifier replay 17
    Replay {
        /// A challenge's number, or a file {"challenge", "device", "catalogue"} as the API gives them.
        challenge: String,
    },
    /// The verifier's key.
    Keys {
        #[command(subcommand)]
        verb: KeysVerb,
    },
    /// Shows the settings in force, or says what is wrong with them.
    Config,
}

#[derive(Debug, Subcommand)]
enum KeysVerb {
    /// Makes the key file; never overwrites one.
    New,
    /// Shows the account.
    Show,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(arguments).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// 1: somebody looked at the request and said no. 2: something is broken or out of reach.
fn exit_code(error: &anyhow::Error) -> u8 {
    let refused = error.chain().any(|cause| {
        cause
            .downcast_ref::<ClientError>()
            .is_some_and(ClientError::is_refusal)
            || cause.downcast_ref::<SettingsError>().is_some()
    });
    if refused { 1 } else { 2 }
}

fn config_of(arguments: &Arguments) -> Result<Config, SettingsError> {
    let mut flags = vec![
        ("node", arguments.node.clone()),
        ("wallet", arguments.wallet.clone()),
        (
            "backend",
            arguments
                .backend
                .map(|backend| format!("{backend:?}").to_lowercase()),
        ),
    ];
    if let Verb::Run { bind, data } = &arguments.verb {
        flags.push(("bind", bind.clone()));
        flags.push(("data", data.clone()));
    }
    let environment = std::env::vars().filter(|(name, _value)| name != "IO_VERIFIER_CONFIG");
    settings::load(arguments.config.as_deref(), PREFIX, environment, &flags)
}

async fn act(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = config_of(&arguments)?;
    let json = arguments.json;
    match arguments.verb {
        Verb::Run { .. } => {
            start_log(&config)?;
            run::run(config, stop()).await?;
        }
        Verb::Bench(options) => return measure(&config, &options, json).await,
        Verb::Replay { challenge } => return replay(&config, &challenge, json).await,
        Verb::Keys { verb } => {
            let account = match verb {
                KeysVerb::New => keys::create(&config.wallet)?,
                KeysVerb::Show => keys::show(&config.wallet)?,
            };
            println!("{account}");
        }
        Verb::Config => print!("{}", toml::to_string_pretty(&config)?),
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    config: &Config,
    options: &bench::Options,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let say = |text: &str| eprintln!("{text}");
    let rules = if let Some(path) = &options.catalogue {
        Ok(bench::read_catalogue(path)?)
    } else {
        let client = Client::new(&config.node)?;
        match (client.catalogue().await, client.params().await) {
            (Ok(catalogue), Ok(params)) => Ok((catalogue, params.verification)),
            (Err(error), _) | (_, Err(error)) => Err(format!(
                "{error}; or name a catalogue with --catalogue FILE"
            )),
        }
    };
    let mut report = bench::measure(config.backend, options, &say)?;
    bench::grade(&mut report, rules);
    if !options.calibrate {
        if json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{report}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    if report.entries.is_empty() {
        anyhow::bail!(
            "no card has run a pulse whose openings are right, so there is nothing to calibrate: {}",
            report.why_no_entry()
        );
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&report.entries)?);
    } else {
        for entry in &report.entries {
            print!("{}", entry.toml()?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(config: &Config, what: &str, json: bool) -> anyhow::Result<ExitCode> {
    let case = replay::read(what, &Client::new(&config.node)?).await?;
    let mut chosen = backend::choose(config.backend, 1).map_err(anyhow::Error::msg)?;
    eprintln!("replaying on {}", chosen.why);
    let found = replay::replay(&case, &mut chosen)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        for one in &found {
            println!("{one}");
        }
    }
    let right = found.iter().all(|one| one.right);
    Ok(ExitCode::from(u8::from(!right)))
}

fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log).with_context(|| {
        format!(
            "log = {:?} is no filter; use one as info or io_verifier=debug",
            config.log
        )
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if config.log_json {
        log.json().init();
    } else {
        log.init();
    }
    Ok(())
}

/// Resolves with Ctrl-C or SIGTERM.
async fn stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _interrupt = interrupt => {}
                _terminate = terminate.recv() => {}
            }
            return;
        }
    }
    if let Err(error) = interrupt.await {
        tracing::error!(%error, "signals cannot be received");
    }
}
