//! Key files: Solana's keypair JSON, and the consensus engine's validator key.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use ed25519_dalek::SigningKey;
use serde::Deserialize;

/// Reads a Solana keypair file: a JSON array of 64 bytes, secret then public. Errors: no such file, another form, halves that do not
/// belong together.
pub fn read_keypair(path: &Path) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the key file {}", path.display()))?;
    let bytes: Vec<u8> = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no Solana keypair file (a JSON array of 64 bytes)",
            path.display()
        )
    })?;
    from_bytes(&bytes).with_context(|| format!("{} is no keypair", path.display()))
}

/// The text of a Solana keypair file.
pub fn keypair_text(key: &SigningKey) -> String {
    serde_json::to_string(&key.to_keypair_bytes().to_vec()).expect("numbers are JSON")
}

/// Reads the consensus engine's `priv_validator_key.json`. Errors: no such file, another form, a key that is not ed25519.
pub fn read_consensus_key(path: &Path) -> anyhow::Result<SigningKey> {
    #[derive(Deserialize)]
    struct File {
        priv_key: Key,
    }
    #[derive(Deserialize)]
    struct Key {
        #[serde(rename = "type")]
        kind: String,
        value: String,
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the consensus key {}", path.display()))?;
    let File { priv_key } = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no priv_validator_key.json of the consensus engine",
            path.display()
        )
    })?;
    if priv_key.kind != "tendermint/PrivKeyEd25519" {
        bail!(
            "{} holds a key of type {:?}; the chain takes ed25519 only",
            path.display(),
            priv_key.kind
        );
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(&priv_key.value)
        .with_context(|| format!("the key in {} is no base64", path.display()))?;
    from_bytes(&bytes).with_context(|| format!("{} is no keypair", path.display()))
}

fn from_bytes(bytes: &[u8]) -> anyhow::Result<SigningKey> {
    let whole: &[u8; 64] = bytes
        .try_into()
        .with_context(|| format!("it has {} bytes, 64 needed", bytes.len()))?;
    let key = SigningKey::from_keypair_bytes(whole)
        .context("its public half is not that of its secret half")?;
    ensure!(
        !key.verifying_key().is_weak(),
        "its public key is of small order; make another"
    );
    Ok(key)
}
