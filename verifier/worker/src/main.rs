//! `io-worker`: the supplier's agent on one machine.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program's own edge: data to stdout, words to stderr"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use io_client::{Client, ClientError, Wallet};
use io_types::action::{DeviceSpec, consent};
use io_types::{AccountId, Asset, DeviceId};
use io_worker::backend::Backend;
use io_worker::config::{Config, PREFIX};
use io_worker::home::Home;
use io_worker::prover::ProverEnd;
use io_worker::settings::{self, SettingsError};
use io_worker::{detect, register, run};

/// The supplier's agent of io-chain: keys, uptime, challenges, jobs.
///
/// Settings: defaults, then the file, then variables IO_WORKER_FIELD, then flags.
#[derive(Debug, Parser)]
#[command(
    name = "io-worker",
    version,
    after_help = "Exit codes: 0 done, 1 refused, 2 broken."
)]
struct Arguments {
    /// Configuration file, TOML.
    #[arg(long, global = true, env = "IO_WORKER_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
    /// URL of a node's API.
    #[arg(long, global = true)]
    node: Option<String>,
    /// Key file of the device key.
    #[arg(long, global = true)]
    wallet: Option<String>,
    /// Data folder.
    #[arg(long, global = true)]
    data: Option<String>,
    /// Results as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows the processors of this machine, as NVML tells. Example: io-worker detect --json
    Detect,
    /// Registers this machine as a device of its owner. Example: io-worker register --owner id.json --model "H100 SXM" --country DE --ask 1.90
    Register(Registration),
    /// Prints the device key and its consent, for an owner who registers it elsewhere. Example: io-worker consent --owner ACCOUNT
    Consent {
        /// The account that will register the device.
        #[arg(long)]
        owner: AccountId,
    },
    /// Runs the daemon until Ctrl-C. Example: io-worker run --config worker.toml
    Run {
        /// Number of the device.
        #[arg(long)]
        device: Option<u64>,
        /// Which engines answer.
        #[arg(long, value_enum)]
        backend: Option<Backend>,
        /// Serve processors that NVML does not show by the CPU: for networks of test classes.
        #[arg(long)]
        declared: bool,
    },
    /// Shows the device as the chain has it. Example: io-worker status
    Status {
        /// Number of the device.
        #[arg(long)]
        device: Option<u64>,
    },
    /// Shows the settings in force, or says what is wrong with them.
    Config,
}

#[derive(Debug, clap::Args)]
struct Registration {
    /// Key file of the owner, who signs and pays the fee.
    #[arg(long)]
    owner: PathBuf,
    /// Model of the catalogue; default: what NVML shows.
    #[arg(long)]
    model: Option<String>,
    /// Processors; default: as many as NVML shows, or 1.
    #[arg(long)]
    quantity: Option<u16>,
    /// Where it stands, two capital letters.
    #[arg(long)]
    country: String,
    /// Connectivity tier: 1 low to 4 ultra high.
    #[arg(long, default_value_t = 3)]
    connectivity: u8,
    /// Ask price, USD per processor-hour.
    #[arg(long)]
    ask: String,
    /// In which asset the supplier is paid.
    #[arg(long, default_value = "io")]
    payout: Asset,
}

#[tokio::main]
async fn main() -> ExitCode {
    match act(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
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
            || cause.downcast_ref::<ProverEnd>().is_some()
    });
    if refused { 1 } else { 2 }
}

fn config_of(arguments: &Arguments) -> Result<Config, SettingsError> {
    let mut flags = vec![
        ("node", arguments.node.clone()),
        ("wallet", arguments.wallet.clone()),
        ("data", arguments.data.clone()),
    ];
    if let Verb::Run {
        device,
        backend,
        declared,
    } = &arguments.verb
    {
        flags.push(("device", device.map(|device| device.to_string())));
        flags.push((
            "backend",
            backend.map(|backend| format!("{backend:?}").to_lowercase()),
        ));
        flags.push(("declared", declared.then(|| "true".to_owned())));
    }
    if let Verb::Status { device } = &arguments.verb {
        flags.push(("device", device.map(|device| device.to_string())));
    }
    let environment = std::env::vars().filter(|(name, _value)| name != "IO_WORKER_CONFIG");
    settings::load(arguments.config.as_deref(), PREFIX, environment, &flags)
}

async fn act(arguments: Arguments) -> anyhow::Result<()> {
    let config = config_of(&arguments)?;
    let json = arguments.json;
    match arguments.verb {
        Verb::Detect => {
            let catalogue = Client::new(&config.node)?.catalogue().await;
            if let Err(error) = &catalogue {
                eprintln!("note: models are unknown: {error}");
            }
            let found = detect::detect(catalogue.ok().as_ref());
            if json {
                println!("{}", serde_json::to_string_pretty(&found)?);
            } else {
                print!("{}", found.table());
            }
        }
        Verb::Register(registration) => {
            let device = register_device(&config, registration).await?;
            println!("{device}");
        }
        Verb::Consent { owner } => {
            let key = register::device_key(&config.wallet)?;
            let chain_id = Client::new(&config.node)?.status().await?.chain_id;
            let consent = consent(key.key(), &chain_id, &owner);
            if json {
                let both = serde_json::json!({ "device_key": key.account(), "consent": consent });
                println!("{both}");
            } else {
                println!("--device-key {} --consent {consent}", key.account());
            }
        }
        Verb::Run { .. } => {
            start_log(&config)?;
            run::run(config, stop()).await?;
        }
        Verb::Status { .. } => {
            let wallet = Wallet::load(&config.wallet)?;
            let device = device_of(&config, &wallet)?;
            let view = Client::new(&config.node)?.device(device).await?;
            println!("{}", serde_json::to_string_pretty(&view)?);
        }
        Verb::Config => print!("{}", toml::to_string_pretty(&config)?),
    }
    Ok(())
}

fn device_of(config: &Config, wallet: &Wallet) -> anyhow::Result<DeviceId> {
    if let Some(device) = config.device() {
        return Ok(device);
    }
    let home = Home::open(&config.data)?;
    register::noted(&home, wallet.account())?
        .context("no device is set and none was registered from this folder: run `io-worker register`, or set `device`")
}

async fn register_device(config: &Config, registration: Registration) -> anyhow::Result<DeviceId> {
    let Registration {
        owner,
        model,
        quantity,
        country,
        connectivity,
        ask,
        payout,
    } = registration;
    let client = Client::new(&config.node)?;
    let catalogue = client.catalogue().await?;
    let detected = detect::detect(Some(&catalogue));
    let name = model
        .or_else(|| {
            detected
                .processors
                .first()
                .and_then(|one| one.model.clone())
        })
        .context("NVML shows no card of the catalogue: name one with --model")?;
    let model = register::model(&catalogue, &name)?;
    let found = u16::try_from(detected.processors.len()).unwrap_or(u16::MAX);
    let spec = DeviceSpec {
        model: model.id,
        quantity: quantity.unwrap_or(found.max(1)),
        vram_mib: model.vram_mib,
        country: country.parse().map_err(anyhow::Error::msg)?,
        connectivity,
        ask: io_client::money::parse_usd(&ask).map_err(anyhow::Error::msg)?,
        payout_asset: payout,
    };
    let key = register::device_key(&config.wallet)?;
    let owner = Wallet::load(&owner)?;
    register::register(client, &owner, &key, spec, &Home::open(&config.data)?).await
}

fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log).with_context(|| {
        format!(
            "log = {:?} is no filter; use one as info or io_worker=debug",
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
