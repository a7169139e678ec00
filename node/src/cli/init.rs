//! `io-node init`

use std::fs;
use std::path::{Path, PathBuf};

use io_genesis::keys::keypair_text;
use io_types::{AccountId, Hash};
use rand::RngCore;
use rand::rngs::OsRng;

use super::{Context, Failure, keys, print_facts, show};
use crate::comet::{CometHome, Tuning};
use crate::config::{Config, FILE, Settings};
use crate::validator::{BEACON_LINKS, BeaconChain};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  io-node init --moniker alice\n  io-node init --genesis genesis.json   (later, when the network's genesis is known)\n  io-node init --moniker n1 --set api.listen=127.0.0.1:27680 --set comet.p2p_listen=tcp://127.0.0.1:27656"
)]
pub(super) struct Arguments {
    /// Shown to people.
    #[arg(long)]
    moniker: Option<String>,
    /// The network's genesis file, as `io-genesis collect` makes it.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Links of a new beacon chain.
    #[arg(long, default_value_t = BEACON_LINKS, value_name = "COUNT")]
    beacon_links: u64,
}

pub(super) fn run(context: &Context, arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        moniker,
        genesis,
        beacon_links,
    } = arguments;
    for folder in ["", "keys", "data"] {
        let path = context.home.join(folder);
        fs::create_dir_all(&path)
            .map_err(|error| Failure::broken(format!("{}: {error}", path.display())))?;
    }
    let settings = settings(context, moniker)?;
    let config = &settings.config;
    let home = &context.home;
    key_file(&home.join(&config.keys.settlement))?;
    key_file(&home.join(keys::OPERATOR))?;
    beacon_file(&home.join(&config.keys.beacon), beacon_links)?;
    let comet = CometHome::new(home.join(show::COMET));
    comet.init(&tuning(config)).map_err(Failure::broken)?;
    if let Some(path) = genesis {
        install(&comet, &path)?;
    }
    let facts = show::facts(context, config)?;
    print_facts(context, &facts);
    eprintln!("the home {} is ready{}", home.display(), next_step(&comet));
    Ok(())
}

fn next_step(comet: &CometHome) -> &'static str {
    if comet.genesis_file().exists() {
        "; run `io-node start`"
    } else {
        "; next: declare the validator with `io-genesis add-validator`, then `io-node init --genesis FILE`"
    }
}

/// The home's settings: what is there, or a documented file of what was typed.
fn settings(context: &Context, moniker: Option<String>) -> Result<Settings, Failure> {
    let path = context.home.join(FILE);
    if !path.exists() {
        let mut flags = context.set.clone();
        flags.extend(moniker.map(|moniker| format!("moniker={moniker}")));
        // The file alone decides later, so what was typed now goes into it.
        let typed = Settings::from_parts(&path, "", &[], &flags)?;
        let text = typed.config.to_file().map_err(Failure::broken)?;
        fs::write(&path, text)
            .map_err(|error| Failure::broken(format!("{}: {error}", path.display())))?;
    }
    context.settings()
}

fn tuning(config: &Config) -> Tuning {
    Tuning {
        moniker: config.moniker.clone(),
        p2p_listen: config.comet.p2p_listen.clone(),
        rpc_listen: config.comet.rpc_listen.clone(),
        persistent_peers: config.comet.persistent_peers.clone(),
        private_network: config.comet.private_network,
        timeout_commit_ms: config.comet.timeout_commit_ms,
    }
}

fn key_file(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let key = ed25519_dalek::SigningKey::generate(&mut OsRng);
    keys::write_secret(path, &keypair_text(&key))
}

fn beacon_file(path: &Path, links: u64) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let mut seed = Hash::ZERO;
    OsRng.fill_bytes(&mut seed.0);
    keys::write_secret(path, &BeaconChain::file_text(seed, links))
}

/// Puts a genesis in place that this program understands.
fn install(comet: &CometHome, path: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
    let spec = io_genesis::parse_spec(&text)
        .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
    let own = comet
        .validator_key()
        .map_err(Failure::broken)?
        .map(|key| AccountId(key.to_bytes()).0);
    let is_validator = spec
        .validators
        .iter()
        .any(|validator| Some(validator.consensus_key.0) == own);
    let role = if is_validator {
        "a validator"
    } else {
        "a full node, no validator"
    };
    eprintln!("genesis of chain {}: this node is {role}", spec.chain_id);
    comet.install_genesis(&text).map_err(Failure::refused)
}
