//! io-genesis: templates in, one checked genesis out.

#![expect(clippy::print_stdout, reason = "data goes to stdout")]
#![expect(clippy::print_stderr, reason = "words go to stderr")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use io_genesis::{
    Beginning, Declaration, Facts, Folder, Network, Signers, clock, engine_genesis, keys, spec_json,
};
use io_types::asset::Asset;
use io_types::genesis::{GenesisBalance, GenesisSpec, GenesisVerifier};
use io_types::time::EPOCH_MS;
use io_types::{AccountId, Amount, BlockTime, ChainTime, Hash};

/// Makes and checks the genesis of a network.
#[derive(Parser)]
#[command(name = "io-genesis", version, after_help = EXAMPLES)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "Examples:
  io-genesis new mynet --network localnet --chain-id io-test-1
  io-genesis add-account mynet 7xKX...gAsU --io 1000 --usdc 250.5
  io-genesis add-validator mynet --moniker alice --power 10 --consensus-key priv_validator_key.json \\
      --settlement-key settlement.json --operator-key operator.json --beacon-anchor 5f0c...
  io-genesis collect mynet
  io-genesis check mynet/spec.json";

#[derive(Subcommand)]
enum Verb {
    /// Writes a template's files into a new folder.
    New(New),
    /// Puts money on the chain at genesis, and makes the account a verifier if asked.
    AddAccount(AddAccount),
    /// Signs a validator's facts with its keys and writes its file.
    AddValidator(AddValidator),
    /// Checks the folder and writes `spec.json` and the consensus engine's `genesis.json` into it.
    Collect {
        /// The network's folder.
        folder: PathBuf,
    },
    /// Checks a folder, a `spec.json` or a `genesis.json`; lists every rule that it breaks.
    Check {
        /// Folder or file.
        path: PathBuf,
    },
    /// Prints the figures that operators compare before they trust a genesis.
    Show {
        /// Folder or file.
        path: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct New {
    /// The network's folder, to be made.
    folder: PathBuf,
    /// Which template.
    #[arg(long, value_enum, default_value = "localnet")]
    network: Network,
    /// The chain's id: 3 to 50 characters of a-z, 0-9, '-'.
    #[arg(long)]
    chain_id: String,
    /// Block time of genesis, UTC; now if absent.
    #[arg(long, value_parser = instant)]
    genesis_time: Option<u64>,
    /// Chain time of genesis, a full hour, UTC; the hour of the genesis time if absent.
    #[arg(long, value_parser = instant)]
    chain_start: Option<u64>,
}

#[derive(Args)]
struct AddAccount {
    /// The network's folder.
    folder: PathBuf,
    /// The account.
    account: AccountId,
    /// IO, in whole tokens.
    #[arg(long, value_parser = io)]
    io: Option<Amount>,
    /// USDC, in whole tokens.
    #[arg(long, value_parser = usdc)]
    usdc: Option<Amount>,
    /// Makes the account a verifier that workers dial here (ws:// or wss://).
    #[arg(long, requires = "stake")]
    verifier: Option<String>,
    /// The verifier's stake, in whole IO, out of its balance.
    #[arg(long, value_parser = io, requires = "verifier")]
    stake: Option<Amount>,
}

#[derive(Args)]
struct AddValidator {
    /// The network's folder.
    folder: PathBuf,
    /// Name shown to people.
    #[arg(long)]
    moniker: String,
    /// Power, above 0.
    #[arg(long)]
    power: u64,
    /// The consensus engine's priv_validator_key.json.
    #[arg(long)]
    consensus_key: PathBuf,
    /// Settlement key, a Solana keypair file.
    #[arg(long)]
    settlement_key: PathBuf,
    /// Operator's key, a Solana keypair file.
    #[arg(long)]
    operator_key: PathBuf,
    /// Anchor of the beacon hash chain, 64 hexadecimal digits.
    #[arg(long)]
    beacon_anchor: Hash,
}

fn main() -> ExitCode {
    match run(Command::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(1)
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::New(new) => create(new)?,
        Verb::AddAccount(account) => add_account(&account)?,
        Verb::AddValidator(validator) => add_validator(&validator)?,
        Verb::Collect { folder } => collect(&folder)?,
        Verb::Check { path } => {
            let spec = read_spec(&path)?;
            let pairs = spec.accepted_pairs.len();
            eprintln!(
                "{} is sound: {} validators, {} verifiers, {} models, {pairs} accepted pairs",
                path.display(),
                spec.validators.len(),
                spec.verifiers.len(),
                spec.catalogue.models.len()
            );
        }
        Verb::Show { path, json } => show(&path, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn create(new: New) -> anyhow::Result<()> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("this machine's clock is before 1970; set it")?;
    let genesis_time = match new.genesis_time {
        Some(time) => time,
        None => u64::try_from(now.as_millis()).context("this machine's clock is out of range")?,
    };
    let hour = genesis_time.saturating_sub(genesis_time.rem_euclid(EPOCH_MS));
    let beginning = Beginning {
        chain_id: new.chain_id,
        genesis_time: BlockTime(genesis_time),
        chain_start: ChainTime(new.chain_start.unwrap_or(hour)),
    };
    Folder::create(&new.folder, new.network, &beginning)?;
    eprintln!(
        "made {}; next: fill in [bridge] of network.toml, then add accounts and validators",
        new.folder.display()
    );
    Ok(())
}

fn add_account(add: &AddAccount) -> anyhow::Result<()> {
    let folder = Folder::read(&add.folder)?;
    let rows = [(Asset::Io, add.io), (Asset::Usdc, add.usdc)];
    if rows.iter().all(|(_asset, amount)| amount.is_none()) && add.verifier.is_none() {
        bail!("nothing to add: give --io, --usdc or --verifier");
    }
    for (asset, amount) in rows {
        if let Some(amount) = amount {
            let account = add.account;
            Folder::add_balance(
                &add.folder,
                &GenesisBalance {
                    account,
                    asset,
                    amount,
                },
            )?;
        }
    }
    if let (Some(url), Some(stake)) = (&add.verifier, add.stake) {
        let verifier = GenesisVerifier {
            account: add.account,
            url: url.clone(),
            stake,
        };
        Folder::add_verifier(&add.folder, &verifier)?;
    }
    eprintln!("added {} to {}", add.account, folder.chain_id());
    Ok(())
}

fn add_validator(add: &AddValidator) -> anyhow::Result<()> {
    let folder = Folder::read(&add.folder)?;
    let signers = Signers {
        consensus: keys::read_consensus_key(&add.consensus_key)?,
        settlement: keys::read_keypair(&add.settlement_key)?,
        operator: keys::read_keypair(&add.operator_key)?,
    };
    let declaration = Declaration::sign(
        folder.chain_id(),
        &add.moniker,
        add.power,
        add.beacon_anchor,
        &signers,
    );
    let file = Folder::add_validator(&add.folder, &declaration)?;
    println!("{}", file.display());
    Ok(())
}

fn collect(path: &Path) -> anyhow::Result<()> {
    let folder = Folder::read(path)?;
    let spec = sound(&folder)?;
    let outputs = [
        ("spec.json", spec_json(&spec)),
        (
            "genesis.json",
            engine_genesis(&spec, folder.template().engine()),
        ),
    ];
    for (name, text) in outputs {
        let file = path.join(name);
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        println!("{}", file.display());
    }
    eprintln!("spec sha256 {}", Facts::of(&spec)?.spec_sha256);
    Ok(())
}

fn sound(folder: &Folder) -> anyhow::Result<GenesisSpec> {
    folder.spec().map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{} problems\n{}", lines.len(), lines.join("\n"))
    })
}

fn read_spec(path: &Path) -> anyhow::Result<GenesisSpec> {
    if path.is_dir() {
        return sound(&Folder::read(path)?);
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let spec = io_genesis::parse_spec(&text).with_context(|| {
        format!(
            "{} is neither a spec nor an engine's genesis",
            path.display()
        )
    })?;
    let problems = io_genesis::check(&spec);
    if problems.is_empty() {
        return Ok(spec);
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!(
        "{}: {} problems\n{}",
        path.display(),
        lines.len(),
        lines.join("\n")
    )
}

fn show(path: &Path, json: bool) -> anyhow::Result<()> {
    let facts = Facts::of(&read_spec(path)?)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&facts)?);
        return Ok(());
    }
    let Facts {
        chain_id,
        genesis_time,
        chain_start,
        epoch_seconds,
        schedule_start,
        emitted_before,
        first_pot,
        on_chain_io,
        on_chain_usdc,
        validators,
        verifiers,
        classes,
        models,
        accepted_pairs,
        member_set,
        first_deposit_hash,
        spec_sha256,
    } = facts;
    println!("chain id            {chain_id}");
    println!("genesis time        {genesis_time}");
    println!("chain start         {chain_start} (an epoch lasts {epoch_seconds} s)");
    println!("schedule start      {schedule_start}");
    println!("emitted before      {emitted_before} base units of IO");
    println!("first epoch's pot   {first_pot} base units of IO");
    println!("vaults must hold    {on_chain_io} base units of IO, {on_chain_usdc} of USDC");
    for (moniker, power) in validators {
        println!("validator           {moniker} with power {power}");
    }
    println!("verifiers           {verifiers}");
    println!(
        "catalogue           {models} models in {classes} classes, {accepted_pairs} accepted pairs"
    );
    println!("member set          {member_set}");
    println!("first deposit hash  {first_deposit_hash}");
    println!("spec sha256         {spec_sha256}");
    Ok(())
}

fn instant(text: &str) -> Result<u64, String> {
    clock::parse(text).ok_or_else(|| format!("{text:?} is no instant; write 2026-01-31T00:00:00Z"))
}

fn io(text: &str) -> Result<Amount, String> {
    tokens(text, Asset::Io)
}

fn usdc(text: &str) -> Result<Amount, String> {
    tokens(text, Asset::Usdc)
}

/// Whole tokens with decimals into base units; no more decimals than the asset has.
fn tokens(text: &str, asset: Asset) -> Result<Amount, String> {
    let digits = usize::from(asset.decimals());
    let wrong = || {
        format!(
            "{text:?} is no amount of {asset}; write digits with at most {digits} decimals, as 12.5"
        )
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > digits {
        return Err(wrong());
    }
    let number = format!("{whole}{fraction:0<digits$}");
    number.parse().map_err(|_too_large| wrong())
}

#[cfg(test)]
mod tests {
    use super::{Amount, Asset, tokens};

    #[test]
    fn amounts_are_read_to_the_last_decimal() {
        assert_eq!(tokens("1000", Asset::Io), Ok(Amount::new(100_000_000_000)));
        assert_eq!(tokens("0.00000001", Asset::Io), Ok(Amount::new(1)));
        assert_eq!(tokens("250.5", Asset::Usdc), Ok(Amount::new(250_500_000)));
        for wrong in ["", ".5", "1e3", "-1", "0.0000001", "99999999999999999999"] {
            assert!(
                tokens(wrong, Asset::Usdc)
                    .unwrap_err()
                    .contains("is no amount of usdc"),
                "{wrong}"
            );
        }
    }
}
