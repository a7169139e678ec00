//! `io-node keys`: key files in the home, in Solana's keypair form. A key is never overwritten.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use io_genesis::keys::{keypair_text, read_keypair};
use io_types::AccountId;
use rand::rngs::OsRng;

use super::{Context, Failure, print_facts};

/// The account that owns the validator.
pub(super) const OPERATOR: &str = "keys/operator.json";

#[derive(Debug, clap::Subcommand)]
#[command(
    after_help = "Examples:\n  io-node keys list\n  io-node keys add spare\n  io-node keys export settlement > settlement.json"
)]
pub(super) enum Verb {
    /// Makes a new key.
    Add {
        /// Its name.
        name: String,
    },
    /// Names and public halves of all keys.
    List,
    /// The public half of one key.
    Show {
        /// Its name.
        name: String,
    },
    /// Takes a key file of Solana's form under a name.
    Import {
        /// Its name.
        name: String,
        /// The file.
        file: PathBuf,
    },
    /// Writes the secret key file to stdout.
    Export {
        /// Its name.
        name: String,
    },
}

pub(super) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| place(&context.home, name);
    match verb {
        Verb::Add { name } => {
            let key = SigningKey::generate(&mut OsRng);
            write_secret(&path(&name)?, &keypair_text(&key))?;
            show(context, &name, &key);
        }
        Verb::List => list(context)?,
        Verb::Show { name } => show(context, &name, &read(&path(&name)?)?),
        Verb::Import { name, file } => {
            let key = read(&file)?;
            write_secret(&path(&name)?, &keypair_text(&key))?;
            show(context, &name, &key);
        }
        Verb::Export { name } => println!("{}", keypair_text(&read(&path(&name)?)?)),
    }
    Ok(())
}

fn place(home: &Path, name: &str) -> Result<PathBuf, Failure> {
    let is_plain = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_');
    if !is_plain {
        return Err(Failure::refused(format!(
            "{name:?} is no name of a key: use letters, digits, - and _"
        )));
    }
    Ok(home.join("keys").join(format!("{name}.json")))
}

fn show(context: &Context, name: &str, key: &SigningKey) {
    print_facts(
        context,
        &[
            ("name", name.to_owned()),
            (
                "account",
                AccountId(key.verifying_key().to_bytes()).to_string(),
            ),
        ],
    );
}

fn list(context: &Context) -> Result<(), Failure> {
    let folder = context.home.join("keys");
    let entries = fs::read_dir(&folder)
        .map_err(|error| Failure::refused(format!("{}: {error}", folder.display())))?;
    let mut facts = Vec::new();
    for entry in entries {
        let path = entry.map_err(Failure::broken)?.path();
        // The folder also holds what is no keypair, such as the beacon's seed.
        if let (Some(name), Ok(key)) = (
            path.file_stem().and_then(|name| name.to_str()),
            read_keypair(&path),
        ) {
            facts.push((
                name.to_owned(),
                AccountId(key.verifying_key().to_bytes()).to_string(),
            ));
        }
    }
    facts.sort();
    let facts: Vec<(&str, String)> = facts
        .iter()
        .map(|(name, account)| (name.as_str(), account.clone()))
        .collect();
    print_facts(context, &facts);
    Ok(())
}

/// Reads a key file.
pub(super) fn read(path: &Path) -> Result<SigningKey, Failure> {
    read_keypair(path).map_err(|error| Failure::refused(format!("{error:#}")))
}

/// Writes a new file that only its owner may read.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::refused(format!(
            "{}: {error}; a key is never overwritten",
            path.display()
        ))
    })
}
