//! io-relayer: carries signed batches to Solana.

#![expect(clippy::print_stdout, reason = "data goes to stdout")]
#![expect(clippy::print_stderr, reason = "words go to stderr")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use io_bridge::relayer::config::EXAMPLE;
use io_bridge::relayer::init::facts;
use io_bridge::relayer::{Config, InitError, InitPlan, RelayError, Relayer, Report};
use io_client::solana::program::{ClaimProof, bridge_asset, token_address};
use io_client::solana::{BridgeProgram, Commitment, SolanaError, SolanaRpc};
use io_client::{Client, ClientError, Wallet, money};
use io_settlement::instruction::{FLAG_IO_FREEZE, FLAG_USDC_FREEZE};
use io_types::id::{AccountId, BatchNumber};
use io_types::{Amount, Asset};
use solana_pubkey::Pubkey;
use tracing_subscriber::EnvFilter;

/// Carries signed batches from the chain to Solana. Trusted with nothing; needs a little SOL.
#[derive(Parser)]
#[command(name = "io-relayer", version, after_help = EXAMPLES)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "Examples:
  io-relayer config > relayer.toml
  io-relayer run --config relayer.toml
  io-relayer status --config relayer.toml --json
  io-relayer init-program --genesis spec.json --solana http://127.0.0.1:8899 --authority upgrade.json --fund
  io-relayer deposit --config relayer.toml --asset io --amount 12.5 --account 7xKX...gAsU --key wallet.json
  io-relayer claim --config relayer.toml --asset io --account 7xKX...gAsU";

#[derive(Subcommand)]
enum Verb {
    /// Works until it is stopped.
    Run {
        #[command(flatten)]
        config: ConfigFile,
        /// Log filter, such as info or debug.
        #[arg(long, env = "IO_RELAYER_LOG", default_value = "info")]
        log: String,
        /// Log as JSON.
        #[arg(long)]
        log_json: bool,
    },
    /// Shows both sides and what the relayer would do.
    Status {
        #[command(flatten)]
        config: ConfigFile,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes the bridge of a genesis on Solana, or checks the one that is there.
    InitProgram(InitProgram),
    /// Deposits tokens from a wallet's associated token account.
    Deposit(Deposit),
    /// Claims what the last settled batch allows, for any account; the relayer's key pays the fee.
    Claim(Claim),
    /// Prints a configuration file with every field and its meaning.
    Config,
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, env = "IO_RELAYER_CONFIG", default_value = "relayer.toml")]
    config: PathBuf,
    /// Nodes instead of the file's.
    #[arg(long = "node", env = "IO_RELAYER_NODES", value_delimiter = ',')]
    nodes: Vec<String>,
    /// Solana endpoints instead of the file's.
    #[arg(long = "solana", env = "IO_RELAYER_SOLANA", value_delimiter = ',')]
    solana: Vec<String>,
}

impl ConfigFile {
    fn read(&self) -> anyhow::Result<Config> {
        let mut config = Config::read(&self.config)?;
        if !self.nodes.is_empty() {
            config.nodes.clone_from(&self.nodes);
        }
        if !self.solana.is_empty() {
            config.solana.clone_from(&self.solana);
        }
        Ok(config)
    }
}

#[derive(Args)]
struct InitProgram {
    /// `spec.json` or `genesis.json` of the chain.
    #[arg(long)]
    genesis: PathBuf,
    /// A Solana endpoint.
    #[arg(
        long,
        env = "IO_RELAYER_SOLANA",
        value_delimiter = ',',
        required = true
    )]
    solana: Vec<String>,
    /// Keypair file of the program's upgrade authority; pays for everything.
    #[arg(long)]
    authority: PathBuf,
    /// Smallest deposit of IO, whole tokens.
    #[arg(long, default_value = "1", value_parser = io)]
    deposit_min_io: Amount,
    /// Smallest deposit of USDC, whole tokens.
    #[arg(long, default_value = "1", value_parser = usdc)]
    deposit_min_usdc: Amount,
    /// The IO vault; the bridge's associated token account if absent.
    #[arg(long)]
    io_vault: Option<AccountId>,
    /// The USDC vault; the bridge's associated token account if absent.
    #[arg(long)]
    usdc_vault: Option<AccountId>,
    /// The vault of staked IO; one of its own if absent.
    #[arg(long)]
    stake_vault: Option<AccountId>,
    /// Accept that somebody can freeze IO.
    #[arg(long)]
    io_freeze: bool,
    /// Accept that somebody can freeze USDC (its issuer can).
    #[arg(long)]
    usdc_freeze: bool,
    /// Fill the vaults from the authority's own token accounts.
    #[arg(long)]
    fund: bool,
    /// Priority price, micro-lamports per compute unit.
    #[arg(long, default_value_t = 1000)]
    price: u64,
}

impl InitProgram {
    fn flags(&self) -> u8 {
        let io = if self.io_freeze { FLAG_IO_FREEZE } else { 0 };
        let usdc = if self.usdc_freeze {
            FLAG_USDC_FREEZE
        } else {
            0
        };
        io | usdc
    }
}

#[derive(Args)]
struct Deposit {
    #[command(flatten)]
    config: ConfigFile,
    /// `io` or `usdc`.
    #[arg(long)]
    asset: Asset,
    /// Whole tokens.
    #[arg(long)]
    amount: String,
    /// Account of the chain to credit.
    #[arg(long)]
    account: AccountId,
    /// Keypair file of the wallet that pays; the relayer's key if absent.
    #[arg(long)]
    key: Option<PathBuf>,
}

#[derive(Args)]
struct Claim {
    #[command(flatten)]
    config: ConfigFile,
    /// `io` or `usdc`.
    #[arg(long)]
    asset: Asset,
    /// Whose payout.
    #[arg(long)]
    account: AccountId,
}

fn main() -> ExitCode {
    let verb = Command::parse().verb;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(verb)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(if is_broken(&error) { 2 } else { 1 })
        }
    }
}

/// Whether something is out of reach or broken, rather than refused.
fn is_broken(error: &anyhow::Error) -> bool {
    let is_out_of_reach = |error: &(dyn std::error::Error + 'static)| match (
        error.downcast_ref::<SolanaError>(),
        error.downcast_ref::<ClientError>(),
    ) {
        (Some(error), _) => !error.is_refusal(),
        (None, Some(error)) => !error.is_refusal(),
        (None, None) => false,
    };
    match (
        error.downcast_ref::<RelayError>(),
        error.downcast_ref::<InitError>(),
    ) {
        (Some(RelayError::Node(error)), _) => !error.is_refusal(),
        (Some(RelayError::Solana(error)), _) | (None, Some(InitError::Solana(error))) => {
            !error.is_refusal()
        }
        _ => error.chain().any(is_out_of_reach),
    }
}

async fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Run {
            config,
            log,
            log_json,
        } => work(&config, &log, log_json).await?,
        Verb::Status { config, json } => {
            let report = Relayer::new(config.read()?)?.report().await?;
            show(&report, json)?;
        }
        Verb::InitProgram(init) => init_program(&init).await?,
        Verb::Deposit(deposit) => make_deposit(&deposit).await?,
        Verb::Claim(claim) => make_claim(&claim).await?,
        Verb::Config => print!("{EXAMPLE}"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn work(config: &ConfigFile, log: &str, log_json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(log).with_context(|| format!("--log {log:?} is no filter"))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if log_json {
        lines.json().init();
    } else {
        lines.init();
    }
    let relayer = Relayer::new(config.read()?)?;
    tracing::info!(config = %config.config.display(), "relaying");
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        () = relayer.run() => {}
        _ = ended.recv() => tracing::info!("terminated"),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            tracing::info!("interrupted");
        }
    }
    Ok(())
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    let Report {
        node,
        payer,
        lamports,
        settled,
        settled_slot,
        newest,
        set_epoch,
        deposits,
        deposits_credited,
        ready,
        waits,
    } = report;
    println!("node             {node}");
    println!("payer            {payer} with {lamports} lamports");
    println!("settled          batch {settled} at slot {settled_slot}, the newest is {newest}");
    println!("member set       epoch {set_epoch}");
    println!("deposits         {deposits}, credited by settled batches {deposits_credited}");
    match (ready, waits) {
        (_, Some(why)) => println!("waits            {why}"),
        (Some(number), None) => println!("ready            batch {number}"),
        (None, None) => println!("ready            nothing to do"),
    }
    Ok(())
}

async fn init_program(init: &InitProgram) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&init.genesis)
        .with_context(|| format!("cannot read {}", init.genesis.display()))?;
    let spec = facts::parse_spec(&text).with_context(|| {
        let path = init.genesis.display();
        format!("{path} is no genesis; make one with `io-genesis collect`")
    })?;
    let key = |account: AccountId| Pubkey::new_from_array(account.0);
    let plan = InitPlan {
        spec,
        authority: Wallet::load(&init.authority)?.keypair(),
        deposit_min: [init.deposit_min_io.get(), init.deposit_min_usdc.get()],
        flags: init.flags(),
        vaults: [init.io_vault.map(key), init.usdc_vault.map(key)],
        stake_vault: init.stake_vault.map(key),
        fund: init.fund,
        price: init.price,
    };
    let made = plan.carry_out(&SolanaRpc::new(&init.solana)?).await?;
    println!("{}", serde_json::to_string_pretty(&made)?);
    match made.signature {
        Some(_) => eprintln!("the bridge was made"),
        None => eprintln!("the bridge is there already and is of this genesis"),
    }
    Ok(())
}

async fn make_deposit(deposit: &Deposit) -> anyhow::Result<()> {
    let config = deposit.config.read()?;
    let wallet = match &deposit.key {
        Some(path) => Wallet::load(path)?,
        None => config.wallet()?,
    };
    let amount = amount(&deposit.amount, deposit.asset).map_err(anyhow::Error::msg)?;
    let asset = bridge_asset(deposit.asset)?;
    if deposit.account.verifying_key().is_none() {
        bail!(
            "account {} is no valid key: the money would wait in suspense; check the account",
            deposit.account
        );
    }
    let rpc = config.rpc()?;
    let program = Pubkey::new_from_array(config.program.0);
    let bridge = BridgeProgram::read(&rpc, program, Commitment::Confirmed).await?;
    let depositor = Pubkey::new_from_array(wallet.account().0);
    let source = token_address(&depositor, &bridge.mint(asset));
    let instruction =
        bridge.deposit(&depositor, &source, asset, amount.get(), deposit.account.0)?;
    let landed = rpc
        .send_and_confirm(&[instruction], &[&wallet.keypair()], Commitment::Confirmed)
        .await?;
    println!("{}", landed.signature);
    eprintln!(
        "deposited {}; it is credited once it is final on Solana",
        money::show(amount, deposit.asset)
    );
    Ok(())
}

async fn make_claim(claim: &Claim) -> anyhow::Result<()> {
    let config = claim.config.read()?;
    let rpc = config.rpc()?;
    let program = Pubkey::new_from_array(config.program.0);
    let bridge = BridgeProgram::read(&rpc, program, Commitment::Confirmed).await?;
    let number = BatchNumber(bridge.bridge.last.number);
    if number.0 == 0 {
        bail!("nothing is settled yet; wait for the first settlement");
    }
    let url = config.nodes.first().context("no node is configured")?;
    let proof = Client::new(url)?
        .payout_proof(number, claim.asset, claim.account)
        .await?;
    let proof = ClaimProof::from_api(&proof)?;
    if !bridge.accepts(&proof) {
        bail!("the proof of node {url} leads to none of the settled roots; ask another node");
    }
    let keypair = config.wallet()?.keypair();
    let payer = Pubkey::new_from_array(config.wallet()?.account().0);
    let instruction = bridge.claim(&payer, &proof, None)?;
    let landed = rpc
        .send_and_confirm(&[instruction], &[&keypair], Commitment::Confirmed)
        .await?;
    println!("{}", landed.signature);
    Ok(())
}

fn amount(text: &str, asset: Asset) -> Result<Amount, String> {
    money::decimal(text, asset.decimals()).map(Amount::new)
}

fn io(text: &str) -> Result<Amount, String> {
    amount(text, Asset::Io)
}

fn usdc(text: &str) -> Result<Amount, String> {
    amount(text, Asset::Usdc)
}
