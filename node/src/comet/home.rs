//! CometBFT's folder: `config/` with its settings, keys and genesis, `data/` with its blocks.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Why a file of CometBFT's folder can not be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The system refused.
    #[error("can not {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what CometBFT writes.
    #[error("{path} is no ed25519 key file of CometBFT: {why}")]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// CometBFT's settings are not TOML.
    #[error(
        "{path} is not TOML: {why}; correct it, or move it away and run `io-node init`, which writes it anew"
    )]
    BadSettings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something is there already.
    #[error("{path} exists with other content; remove it, or choose another home")]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

/// What `init` writes into `config.toml`; from then on the file is the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Shown to people.
    pub moniker: String,
    /// Where peers connect, `tcp://HOST:PORT`.
    pub p2p_listen: String,
    /// Where the RPC listens, `tcp://HOST:PORT`; it has no access control, so loopback.
    pub rpc_listen: String,
    /// Peers to hold on to, `ID@HOST:PORT`, comma-separated.
    pub persistent_peers: String,
    /// True where several nodes share an address and addresses are private.
    pub private_network: bool,
    /// Milliseconds between a commit and the next proposal.
    pub timeout_commit_ms: u32,
}

/// First 20 bytes of the SHA-256 of a consensus key: how CometBFT names a validator.
pub fn address_of(key: &VerifyingKey) -> [u8; 20] {
    let digest = Sha256::digest(key.as_bytes());
    let mut address = [0; 20];
    address
        .iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = from);
    address
}

/// How peers name a node: its address in hexadecimal.
pub fn node_id_of(key: &VerifyingKey) -> String {
    hex::encode(address_of(key))
}

/// CometBFT's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CometHome(PathBuf);

impl CometHome {
    /// The folder, which may not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Its settings.
    pub fn config_file(&self) -> PathBuf {
        self.0.join("config/config.toml")
    }

    /// The genesis that every node shares.
    pub fn genesis_file(&self) -> PathBuf {
        self.0.join("config/genesis.json")
    }

    fn validator_key_file(&self) -> PathBuf {
        self.0.join("config/priv_validator_key.json")
    }

    fn node_key_file(&self) -> PathBuf {
        self.0.join("config/node_key.json")
    }

    /// Writes what is missing: settings, a node key, a consensus key and its empty signing record.
    /// Nothing that exists is changed.
    pub fn init(&self, tuning: &Tuning) -> Result<(), HomeError> {
        for folder in ["config", "data"] {
            let path = self.0.join(folder);
            fs::create_dir_all(&path).map_err(|source| HomeError::Io {
                what: "create",
                path,
                source,
            })?;
        }
        write_new(&self.config_file(), &settings(tuning), 0o644)?;
        let validator = fresh_key();
        write_new(
            &self.validator_key_file(),
            &validator_key_json(&validator),
            0o600,
        )?;
        let state = "{\n  \"height\": \"0\",\n  \"round\": 0,\n  \"step\": 0\n}";
        write_new(&self.0.join("data/priv_validator_state.json"), state, 0o600)?;
        let node = json!({ "priv_key": private_json(&fresh_key()) });
        write_new(&self.node_key_file(), &node.to_string(), 0o600)
    }

    /// Puts the network's genesis in place. The same content twice is fine, another one is refused.
    pub fn install_genesis(&self, document: &str) -> Result<(), HomeError> {
        let path = self.genesis_file();
        if path.exists() {
            let have = read(&path)?;
            return if have == document {
                Ok(())
            } else {
                Err(HomeError::Exists { path })
            };
        }
        write_new(&path, document, 0o644)
    }

    /// This node's consensus key, public half; nothing where a remote signer holds it.
    pub fn validator_key(&self) -> Result<Option<VerifyingKey>, HomeError> {
        let path = self.validator_key_file();
        if path.exists() {
            read_key(&path).map(|key| Some(key.verifying_key()))
        } else {
            Ok(None)
        }
    }

    /// Where a remote signer dials in (`priv_validator_laddr`); nothing where CometBFT signs by itself or has no settings yet.
    pub fn remote_signer(&self) -> Result<Option<String>, HomeError> {
        let path = self.config_file();
        if !path.exists() {
            return Ok(None);
        }
        let settings: toml::Table =
            read(&path)?
                .parse()
                .map_err(|error: toml::de::Error| HomeError::BadSettings {
                    path: path.clone(),
                    why: error.message().to_owned(),
                })?;
        let address = settings.get("priv_validator_laddr");
        let address = address.and_then(toml::Value::as_str).unwrap_or("");
        Ok((!address.is_empty()).then(|| address.to_owned()))
    }

    /// How peers name this node.
    pub fn node_id(&self) -> Result<String, HomeError> {
        Ok(node_id_of(
            &read_key(&self.node_key_file())?.verifying_key(),
        ))
    }
}

fn fresh_key() -> SigningKey {
    SigningKey::generate(&mut rand::rngs::OsRng)
}

fn private_json(key: &SigningKey) -> Value {
    json!({ "type": "tendermint/PrivKeyEd25519", "value": BASE64.encode(key.to_keypair_bytes()) })
}

fn validator_key_json(key: &SigningKey) -> String {
    let public = key.verifying_key();
    let file = json!({
        "address": hex::encode_upper(address_of(&public)),
        "pub_key": { "type": "tendermint/PubKeyEd25519", "value": BASE64.encode(public.as_bytes()) },
        "priv_key": private_json(key),
    });
    format!("{file:#}")
}

fn read(path: &Path) -> Result<String, HomeError> {
    fs::read_to_string(path).map_err(|source| HomeError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    })
}

fn read_key(path: &Path) -> Result<SigningKey, HomeError> {
    let bad = |why: String| HomeError::BadKey {
        path: path.to_owned(),
        why,
    };
    let file: Value = serde_json::from_str(&read(path)?).map_err(|error| bad(error.to_string()))?;
    let value = file.pointer("/priv_key/value").and_then(Value::as_str);
    let value = value.ok_or_else(|| bad("priv_key.value is missing".to_owned()))?;
    let bytes = BASE64
        .decode(value)
        .map_err(|error| bad(error.to_string()))?;
    let bytes = <[u8; 64]>::try_from(bytes)
        .map_err(|bytes| bad(format!("{} bytes, not 64", bytes.len())))?;
    SigningKey::from_keypair_bytes(&bytes).map_err(|error| bad(error.to_string()))
}

/// Writes a file that does not exist, and leaves one that does.
fn write_new(path: &Path, content: &str, mode: u32) -> Result<(), HomeError> {
    let failed = |source| HomeError::Io {
        what: "write",
        path: path.to_owned(),
        source,
    };
    match fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
    {
        Ok(mut file) => {
            file.write_all(content.as_bytes()).map_err(failed)?;
            file.sync_all().map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(failed(source)),
    }
}

/// Only what differs from CometBFT's defaults, each with its reason.
fn settings(tuning: &Tuning) -> String {
    let Tuning {
        moniker,
        p2p_listen,
        rpc_listen,
        persistent_peers,
        private_network,
        timeout_commit_ms,
    } = tuning;
    let text = |value: &String| Value::from(value.as_str()).to_string();
    format!(
        r#"# CometBFT's settings, written once by `io-node init`. Edit them freely: nothing writes here again.
# What is not named keeps CometBFT's default. `proxy_app` is given by `io-node start`.

moniker = {moniker}
log_level = "error"
log_format = "plain"

[rpc]
# The RPC has no access control.
laddr = {rpc}
max_body_bytes = 2000000
timeout_broadcast_tx_commit = "30s"

[p2p]
laddr = {p2p}
persistent_peers = {peers}
# False and true where several nodes share one machine.
addr_book_strict = {strict}
allow_duplicate_ip = {duplicate}
# Blocks come once a second: a packet that waits 100 ms is late at every hop.
flush_throttle_timeout = "10ms"
max_packet_msg_payload_size = 16384
send_rate = 20480000
recv_rate = 20480000

[mempool]
size = 20000
max_txs_bytes = 67108864
cache_size = 40000
# A transaction whose turn has not come may be valid later.
keep-invalid-txs-in-cache = false
# Each transaction to these many peers, not to all.
experimental_max_gossip_connections_to_persistent_peers = 10
experimental_max_gossip_connections_to_non_persistent_peers = 4

[consensus]
# The pause collects late precommits, and with them their extensions: never skip it.
timeout_commit = "{timeout_commit_ms}ms"
skip_timeout_commit = false
timeout_propose = "2s"
# Prices, deposits and the clock of the chain need blocks.
create_empty_blocks = true
peer_gossip_sleep_duration = "20ms"

[storage]
# The node keeps its own record of results.
discard_abci_responses = true

[tx_index]
indexer = "null"
"#,
        moniker = text(moniker),
        rpc = text(rpc_listen),
        p2p = text(p2p_listen),
        peers = text(persistent_peers),
        strict = !private_network,
        duplicate = private_network,
    )
}
