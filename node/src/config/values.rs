//! The settings by section, their defaults, and what no part could work with.

use serde::{Deserialize, Serialize};

/// Everything that can be set. Each field is explained in [`FIELDS`](super::FIELDS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Config {
    pub moniker: String,
    pub halt_height: u64,
    pub comet: Comet,
    pub abci: Abci,
    pub api: Api,
    pub metrics: Metrics,
    pub log: Log,
    pub storage: Storage,
    pub keys: Keys,
    pub prices: Prices,
    pub solana: Solana,
}

/// CometBFT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Comet {
    pub binary: String,
    pub p2p_listen: String,
    pub rpc_listen: String,
    pub persistent_peers: String,
    pub private_network: bool,
    pub timeout_commit_ms: u32,
    pub log_level: String,
}

/// The socket between CometBFT and this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Abci {
    pub socket: String,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Api {
    pub listen: String,
    pub wait_seconds: u32,
}

/// Metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Metrics {
    pub listen: String,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Storage {
    pub retain_blocks: u64,
    pub journal_blocks: u64,
}

/// Keys, by path. Relative paths begin at the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Keys {
    pub settlement: String,
    pub sign_log: String,
    pub beacon: String,
    pub consensus_address: String,
}

/// Prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Prices {
    pub sources: Vec<String>,
    pub poll_ms: u64,
    pub unit: PriceUnit,
    pub io_path: String,
    pub usdc_path: String,
    pub io_pointer: String,
    pub usdc_pointer: String,
    pub published_pointer: String,
}

/// In what a source counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceUnit {
    /// Decimal US dollars per whole token.
    #[default]
    Usd,
    /// Whole micro-dollars per whole token.
    MicroUsd,
}

/// The Solana side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    missing_docs,
    reason = "the table of fields explains each one, and a test compares the two"
)]
pub struct Solana {
    pub endpoints: Vec<String>,
    pub poll_ms: u64,
    pub timeout_ms: u64,
    pub age_max_ms: u64,
    pub behind_slots_max: u64,
    pub approved: Vec<String>,
    pub pin: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            moniker: "node".to_owned(),
            halt_height: 0,
            comet: Comet::default(),
            abci: Abci::default(),
            api: Api::default(),
            metrics: Metrics::default(),
            log: Log::default(),
            storage: Storage::default(),
            keys: Keys::default(),
            prices: Prices::default(),
            solana: Solana::default(),
        }
    }
}

impl Default for Comet {
    fn default() -> Self {
        Self {
            binary: String::new(),
            p2p_listen: "tcp://127.0.0.1:26656".to_owned(),
            rpc_listen: "tcp://127.0.0.1:26657".to_owned(),
            persistent_peers: String::new(),
            private_network: false,
            timeout_commit_ms: 900,
            log_level: "error".to_owned(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:26680".to_owned(),
            wait_seconds: 20,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:26681".to_owned(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            retain_blocks: 0,
            journal_blocks: 100_000,
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            settlement: "keys/settlement.json".to_owned(),
            sign_log: "sign-log/settlement.log".to_owned(),
            beacon: "keys/beacon.json".to_owned(),
            consensus_address: String::new(),
        }
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            poll_ms: 2_000,
            unit: PriceUnit::Usd,
            io_path: String::new(),
            usdc_path: String::new(),
            io_pointer: "/io".to_owned(),
            usdc_pointer: "/usdc".to_owned(),
            published_pointer: "/published_ms".to_owned(),
        }
    }
}

impl Default for Solana {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            poll_ms: 1_000,
            timeout_ms: 3_000,
            age_max_ms: 30_000,
            behind_slots_max: 150,
            approved: Vec::new(),
            pin: "keys/solana-program.pin".to_owned(),
        }
    }
}

impl Config {
    /// A documented file.
    pub fn to_file(&self) -> Result<String, toml::ser::Error> {
        Ok(super::render(&toml::Table::try_from(self)?, |_| {
            String::new()
        }))
    }

    /// Values that no part could work with: key, value, what to do.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let Self {
            moniker: _,
            halt_height: _,
            comet,
            abci: _,
            api,
            metrics,
            log: _,
            storage: _,
            keys,
            prices,
            solana,
        } = self;
        let mut faults = Faults(Vec::new());
        let listen = "give IP:PORT, such as 127.0.0.1:26680";
        faults.note(is_address(&api.listen), "api.listen", &api.listen, listen);
        let is_metrics = metrics.listen.is_empty() || is_address(&metrics.listen);
        faults.note(is_metrics, "metrics.listen", &metrics.listen, listen);
        for (key, value) in [
            ("comet.p2p_listen", &comet.p2p_listen),
            ("comet.rpc_listen", &comet.rpc_listen),
        ] {
            faults.note(is_tcp(value), key, value, "give tcp://HOST:PORT");
        }
        let pause = u64::from(comet.timeout_commit_ms);
        faults.range("comet.timeout_commit_ms", pause, (100, 10_000));
        faults.range("prices.poll_ms", prices.poll_ms, (100, 60_000));
        faults.range("solana.poll_ms", solana.poll_ms, (100, 60_000));
        let sources = prices.sources.join(",");
        let why = "each begins with http://, https://, file: or fixed:";
        let is_good = prices.sources.iter().all(|text| is_source(text));
        faults.note(is_good, "prices.sources", &sources, why);
        let endpoints = solana.endpoints.join(",");
        let why = "each begins with http:// or https://";
        let is_good = solana.endpoints.iter().all(|text| is_url(text));
        faults.note(is_good, "solana.endpoints", &endpoints, why);
        let why = "one alone could lie: give two or more, or none";
        faults.note(
            solana.endpoints.len() != 1,
            "solana.endpoints",
            &endpoints,
            why,
        );
        let approved = solana.approved.join(",");
        let is_good = solana
            .approved
            .iter()
            .all(|text| text.parse::<io_types::Hash>().is_ok());
        faults.note(
            is_good,
            "solana.approved",
            &approved,
            "each has 64 hexadecimal digits",
        );
        let address = &keys.consensus_address;
        let is_good = address.is_empty() || address.parse::<io_types::ValidatorAddress>().is_ok();
        faults.note(
            is_good,
            "keys.consensus_address",
            address,
            "give 40 hexadecimal digits, or nothing",
        );
        faults.0
    }
}

/// A key, its value, and what to do.
type Fault = (&'static str, String, String);

struct Faults(Vec<Fault>);

impl Faults {
    fn note(&mut self, is_good: bool, key: &'static str, value: &str, why: &str) {
        if !is_good {
            self.0.push((key, value.to_owned(), why.to_owned()));
        }
    }

    fn range(&mut self, key: &'static str, value: u64, (least, most): (u64, u64)) {
        let why = format!("give {least} to {most}");
        self.note(
            (least..=most).contains(&value),
            key,
            &value.to_string(),
            &why,
        );
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::SocketAddr>().is_ok()
}

fn is_tcp(text: &str) -> bool {
    text.strip_prefix("tcp://")
        .is_some_and(|rest| rest.contains(':'))
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn is_source(text: &str) -> bool {
    is_url(text) || text.starts_with("file:") || text.starts_with("fixed:")
}
