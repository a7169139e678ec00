//! The relayer's configuration file.

use std::path::{Path, PathBuf};

use io_client::solana::{SolanaError, SolanaRpc};
use io_client::{Client, ClientError, Wallet};
use io_types::Asset;
use io_types::id::AccountId;
use serde::{Deserialize, Serialize};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {why}; make one with `io-relayer config > {path}`")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// The file is not what it should be; the text names line and column.
    #[error("{path}: {why}")]
    Form {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        why: Box<toml::de::Error>,
    },
    /// A value cannot be used.
    #[error("{field}: {why}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A node's URL or the key file.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Solana's URLs.
    #[error(transparent)]
    Solana(#[from] SolanaError),
}

/// `relayer.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Nodes of the chain, tried in this order.
    pub nodes: Vec<String>,
    /// Solana's JSON-RPC endpoints, tried in this order.
    pub solana: Vec<String>,
    /// The bridge program.
    pub program: AccountId,
    /// Solana keypair file that pays fees and rents. A relative path starts at this file's folder.
    pub key: PathBuf,
    /// Account of the chain that is paid for relaying. Absent: the key's own.
    #[serde(default)]
    pub pay_to: Option<AccountId>,
    /// An account with the program's member set. Absent: one of this relayer's own, made when it is needed.
    #[serde(default)]
    pub members: Option<AccountId>,
    /// Time between two rounds, ms.
    #[serde(default = "poll_ms")]
    pub poll_ms: u64,
    /// With fewer lamports than this the relayer waits for SOL.
    #[serde(default = "reserve_lamports")]
    pub reserve_lamports: u64,
    /// Priority fees.
    #[serde(default)]
    pub fee: Fee,
    /// Accounts that asked for automatic payout.
    #[serde(default)]
    pub claim: Vec<ClaimFor>,
}

/// Priority fees in micro-lamports per compute unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fee {
    /// For a batch that was just frozen.
    pub start: u64,
    /// Never more than this.
    pub max: u64,
    /// The price doubles whenever the batch is that many seconds older.
    pub doubles_every_seconds: u64,
}

impl Default for Fee {
    fn default() -> Self {
        Self {
            start: 1000,
            max: 1_000_000,
            doubles_every_seconds: 300,
        }
    }
}

/// An account to claim for, into its associated token account, which must exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimFor {
    /// Whose payout.
    pub account: AccountId,
    /// `io` or `usdc`.
    pub asset: Asset,
    /// Least amount due, base units.
    pub minimum: u64,
}

const fn poll_ms() -> u64 {
    2000
}

const fn reserve_lamports() -> u64 {
    5_000_000
}

/// A configuration with every field, its meaning and its usual value.
pub const EXAMPLE: &str = r#"# io-relayer

# Nodes of the chain, tried in this order.
nodes = ["http://127.0.0.1:26680"]
# Solana's JSON-RPC endpoints, tried in this order.
solana = ["http://127.0.0.1:8899"]
# The bridge program.
program = "11111111111111111111111111111111"
# Solana keypair file that pays fees and rents. A relative path starts at this file's folder.
key = "relayer.json"
# Account of the chain that is paid for relaying. Absent: the key's own.
# pay_to = "..."
# An account with the program's member set. Absent: one of this relayer's own, made when it is needed.
# members = "..."
# Time between two rounds, ms.
poll_ms = 2000
# With fewer lamports than this the relayer waits for SOL.
reserve_lamports = 5000000

# Priority fees, micro-lamports per compute unit.
[fee]
# For a batch that was just frozen.
start = 1000
# Never more than this.
max = 1000000
# The price doubles whenever the batch is that many seconds older.
doubles_every_seconds = 300

# Accounts that asked for automatic payout, into their associated token account, which must exist.
# [[claim]]
# account = "..."
# asset = "io"
# Least amount due, base units.
# minimum = 100000000
"#;

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and column, or the field.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|why| ConfigError::Disk {
            path: path.to_owned(),
            why,
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|why| ConfigError::Form {
            path: path.to_owned(),
            why: Box::new(why),
        })?;
        config.key = crate::signer::folder_of(path).join(&config.key);
        config.check()?;
        Ok(config)
    }

    /// What the form of the file does not say.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            ("nodes", self.nodes.is_empty(), "name at least one URL"),
            ("solana", self.solana.is_empty(), "name at least one URL"),
            (
                "program",
                self.program.0 == [0; 32],
                "name the bridge program",
            ),
            ("poll_ms", self.poll_ms < 100, "use 100 or more"),
            (
                "fee.max",
                self.fee.max < self.fee.start,
                "it must not be below fee.start",
            ),
            (
                "fee.doubles_every_seconds",
                self.fee.doubles_every_seconds == 0,
                "use 1 or more",
            ),
        ];
        if let Some((field, _broken, why)) = rules.iter().find(|(_field, broken, _why)| *broken) {
            return Err(ConfigError::Value {
                field,
                why: (*why).to_owned(),
            });
        }
        if self.claim.iter().any(|claim| claim.asset == Asset::Credit) {
            return Err(ConfigError::Value {
                field: "claim.asset",
                why: "credits never leave the chain; use io or usdc".to_owned(),
            });
        }
        Ok(())
    }

    /// The paying key.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn wallet(&self) -> Result<Wallet, ConfigError> {
        Ok(Wallet::load(&self.key)?)
    }

    pub(super) fn clients(&self) -> Result<Vec<Client>, ConfigError> {
        let clients = self.nodes.iter().map(|url| Client::new(url));
        Ok(clients.collect::<Result<_, _>>()?)
    }

    /// The Solana endpoints.
    ///
    /// # Errors
    /// A URL is none.
    pub fn rpc(&self) -> Result<SolanaRpc, ConfigError> {
        Ok(SolanaRpc::new(&self.solana)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relayer.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    fn example() -> String {
        EXAMPLE.replace(
            "11111111111111111111111111111111",
            "Stake11111111111111111111111111111111111111",
        )
    }

    #[test]
    fn the_example_is_read_and_is_the_usual() {
        let config = read(&example()).unwrap();
        assert_eq!(config.fee, Fee::default());
        assert_eq!(
            (config.poll_ms, config.reserve_lamports),
            (poll_ms(), reserve_lamports())
        );
        assert!(config.key.ends_with("relayer.json") && config.key.is_absolute());
    }

    #[test]
    fn wrong_files_are_refused_by_line_or_field() {
        let unknown = read(&example().replace("[fee]", "[fee]\ncolour = 1")).unwrap_err();
        assert!(
            unknown.to_string().contains("line") && unknown.to_string().contains("colour"),
            "{unknown}"
        );
        let cases = [
            (EXAMPLE.to_owned(), "program"),
            (
                example().replace("poll_ms = 2000", "poll_ms = 1"),
                "poll_ms",
            ),
            (example().replace("max = 1000000", "max = 10"), "fee.max"),
            (
                example().replace("[\"http://127.0.0.1:8899\"]", "[]"),
                "solana",
            ),
        ];
        for (text, name) in cases {
            let error = read(&text).unwrap_err();
            assert!(
                matches!(&error, ConfigError::Value { field, .. } if *field == name),
                "{name}: {error}"
            );
        }
        let missing = Config::read(Path::new("no/such/relayer.toml")).unwrap_err();
        assert!(matches!(missing, ConfigError::Disk { .. }), "{missing}");
    }
}
