//! What an operator may set, where it comes from (default < file < environment < flag), and what is wrong with it.
//!
//! No setting changes a result of the chain: what does lives in the state. Secrets are paths, never values.

mod fields;
#[cfg(test)]
mod tests;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use fields::{FIELDS, Field};

/// The file's name in a node's home.
pub const FILE: &str = "node.toml";

/// Prefix of the environment's names: `IO_NODE_API_LISTEN` sets `api.listen`.
const PREFIX: &str = "IO_NODE_";

/// Everything that can be set. Each field is explained in [`FIELDS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
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
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
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
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
pub struct Abci {
    pub socket: String,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
pub struct Api {
    pub listen: String,
    pub wait_seconds: u32,
}

/// Metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
pub struct Metrics {
    pub listen: String,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
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
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
pub struct Storage {
    pub retain_blocks: u64,
    pub journal_blocks: u64,
}

/// Keys, by path. Relative paths begin at the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
pub struct Keys {
    pub settlement: String,
    pub sign_log: String,
    pub beacon: String,
    pub consensus_address: String,
}

/// Prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
pub struct Prices {
    pub sources: Vec<String>,
    pub poll_ms: u64,
    pub unit: PriceUnit,
    pub io_path: String,
    pub usdc_path: String,
    pub price_pointer: String,
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
#[expect(missing_docs, reason = "the table of fields explains each one, and a test compares the two")]
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
        Self { listen: "127.0.0.1:26680".to_owned(), wait_seconds: 20 }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: "127.0.0.1:26681".to_owned() }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { retain_blocks: 0, journal_blocks: 100_000 }
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
            io_path: "/price/io-usd".to_owned(),
            usdc_path: "/price/usdc-usd".to_owned(),
            price_pointer: "/price".to_owned(),
            published_pointer: "/publish_time".to_owned(),
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

/// Why settings can not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file can not be read.
    #[error("can not read {path}: {why}; run `io-node init`, or give --home")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file does not say what a setting is.
    #[error("{path}:{line}: {why}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong and what to do.
        why: String,
    },
    /// The environment or a flag names a setting that does not exist.
    #[error("{origin}: there is no setting {key}{}", nearest(.key))]
    Unknown {
        /// The variable or the flag.
        origin: String,
        /// What it names.
        key: String,
    },
    /// A value that can not be.
    #[error("{origin}: {key} = {value}: {why}")]
    Value {
        /// Where it was given.
        origin: String,
        /// The setting.
        key: String,
        /// What was given.
        value: String,
        /// Why not, and what to do.
        why: String,
    },
}

/// Settings with their origins.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What they come to.
    pub config: Config,
    merged: Table,
    origins: Vec<(String, String)>,
}

impl Settings {
    /// Default < file < environment < flags, of the form `key=value`.
    pub fn load(home: &Path, flags: &[String]) -> Result<Self, ConfigError> {
        let variables = env::vars().filter(|(name, _)| name.starts_with(PREFIX)).collect::<Vec<_>>();
        let path = home.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ConfigError::Unreadable { path, why: "there is no such file".to_owned() });
            }
            Err(error) => return Err(ConfigError::Unreadable { path, why: error.to_string() }),
        };
        Self::from_parts(&path, &text, &variables, flags)
    }

    /// As [`Settings::load`], from what it would have read.
    pub fn from_parts(
        path: &Path,
        text: &str,
        variables: &[(String, String)],
        flags: &[String],
    ) -> Result<Self, ConfigError> {
        // First alone, because only here a mistake has a line.
        let _config: Config = toml::from_str(text).map_err(|error| at_line(path, text, &error))?;
        let file: Table = toml::from_str(text).map_err(|error| at_line(path, text, &error))?;
        let mut settings = Self { config: Config::default(), merged: default_table(), origins: Vec::new() };
        for field in FIELDS {
            if let Some(value) = look_up(&file, field.key) {
                settings.put(field.key, value.clone(), "file");
            }
        }
        for (name, value) in variables {
            let key = FIELDS.iter().map(|field| field.key).find(|key| variable_name(key) == *name);
            let key = key.ok_or_else(|| ConfigError::Unknown { origin: "environment".to_owned(), key: name.clone() })?;
            settings.put_text(key, value, name)?;
        }
        for flag in flags {
            let origin = format!("--set {flag}");
            let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
            let field = FIELDS.iter().find(|field| field.key == key);
            let field = field.ok_or_else(|| ConfigError::Unknown { origin: origin.clone(), key: key.to_owned() })?;
            settings.put_text(field.key, value, &origin)?;
        }
        settings.config = settings.resolve()?;
        Ok(settings)
    }

    fn put(&mut self, key: &str, value: Value, origin: &str) {
        if let Some(place) = look_up_mut(&mut self.merged, key) {
            *place = value;
        }
        self.origins.retain(|(named, _)| named != key);
        self.origins.push((key.to_owned(), origin.to_owned()));
    }

    /// Reads text as the kind of value that the setting has.
    fn put_text(&mut self, key: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
        let wrong = |why: &str| ConfigError::Value {
            origin: origin.to_owned(),
            key: key.to_owned(),
            value: text.to_owned(),
            why: why.to_owned(),
        };
        let value = match look_up(&self.merged, key) {
            Some(Value::Integer(_)) => text.parse().map(Value::Integer).map_err(|_| wrong("give a whole number"))?,
            Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).map_err(|_| wrong("give true or false"))?,
            Some(Value::Array(_)) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
            }
            Some(Value::String(_) | Value::Float(_) | Value::Datetime(_) | Value::Table(_)) | None => {
                Value::String(text.to_owned())
            }
        };
        self.put(key, value, origin);
        Ok(())
    }

    fn resolve(&self) -> Result<Config, ConfigError> {
        let config: Config = self.merged.clone().try_into().map_err(|error: toml::de::Error| ConfigError::Value {
            origin: "settings".to_owned(),
            key: "?".to_owned(),
            value: String::new(),
            why: error.message().to_owned(),
        })?;
        for (key, value, why) in config.faults() {
            let origin = self.origin(key).to_owned();
            return Err(ConfigError::Value { origin, key: key.to_owned(), value, why: why.to_owned() });
        }
        Ok(config)
    }

    /// Where a setting's value comes from.
    pub fn origin(&self, key: &str) -> &str {
        self.origins.iter().find(|(named, _)| named == key).map_or("default", |(_, origin)| origin)
    }

    /// Every setting with its meaning, value and origin, as a file that could be used.
    pub fn show(&self) -> String {
        render(&self.merged, |key| format!("  # {}", self.origin(key)))
    }
}

impl Config {
    /// A documented file.
    pub fn to_file(&self) -> Result<String, toml::ser::Error> {
        Ok(render(&Table::try_from(self)?, |_| String::new()))
    }

    /// A path of this configuration: relative ones begin at the home.
    pub fn path(home: &Path, text: &str) -> PathBuf {
        home.join(text)
    }

    /// Values that no part could work with: key, value, what to do.
    fn faults(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut faults = Vec::new();
        let mut check = |good: bool, key, value: String, why| {
            if !good {
                faults.push((key, value, why));
            }
        };
        let is_address = |text: &str| text.parse::<std::net::SocketAddr>().is_ok();
        let tcp = |text: &str| text.strip_prefix("tcp://").is_some_and(|rest| rest.contains(':'));
        check(is_address(&self.api.listen), "api.listen", self.api.listen.clone(), "give IP:PORT, such as 127.0.0.1:26680");
        let metrics = &self.metrics.listen;
        check(metrics.is_empty() || is_address(metrics), "metrics.listen", metrics.clone(), "give IP:PORT, or nothing for none");
        for (key, value) in [("comet.p2p_listen", &self.comet.p2p_listen), ("comet.rpc_listen", &self.comet.rpc_listen)] {
            check(tcp(value), key, value.clone(), "give tcp://HOST:PORT");
        }
        let pause = self.comet.timeout_commit_ms;
        check((100..=10_000).contains(&pause), "comet.timeout_commit_ms", pause.to_string(), "give 100 to 10000");
        for (key, value) in [("prices.poll_ms", self.prices.poll_ms), ("solana.poll_ms", self.solana.poll_ms)] {
            check((100..=60_000).contains(&value), key, value.to_string(), "give 100 to 60000");
        }
        let is_source = |text: &String| ["http://", "https://", "file:", "fixed:"].iter().any(|kind| text.starts_with(kind));
        let sources = &self.prices.sources;
        check(sources.iter().all(is_source), "prices.sources", sources.join(","), "each begins with http://, https://, file: or fixed:");
        let urls = &self.solana.endpoints;
        let is_url = |text: &String| text.starts_with("http://") || text.starts_with("https://");
        check(urls.iter().all(is_url), "solana.endpoints", urls.join(","), "each begins with http:// or https://");
        check(urls.len() != 1, "solana.endpoints", urls.join(","), "one alone could lie: give two or more, or none");
        let hashes = &self.solana.approved;
        let is_hash = |text: &String| text.parse::<io_types::Hash>().is_ok();
        check(hashes.iter().all(is_hash), "solana.approved", hashes.join(","), "each has 64 hexadecimal digits");
        let address = &self.keys.consensus_address;
        let is_hex = address.len() == 40 && address.chars().all(|letter| letter.is_ascii_hexdigit());
        check(address.is_empty() || is_hex, "keys.consensus_address", address.clone(), "give 40 hexadecimal digits, or nothing");
        faults
    }
}

fn default_table() -> Table {
    // Every field is a string, a number, a truth value or a list of strings, which TOML has.
    Table::try_from(Config::default()).unwrap_or_default()
}

fn variable_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn look_up<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, rest)) => look_up(table.get(section)?.as_table()?, rest),
    }
}

fn look_up_mut<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    match key.split_once('.') {
        None => table.get_mut(key),
        Some((section, rest)) => look_up_mut(table.get_mut(section)?.as_table_mut()?, rest),
    }
}

fn at_line(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    let mut why = error.message().to_owned();
    if let Some(name) = why.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
        why = format!("there is no setting {name} here{}", nearest(name));
    }
    ConfigError::Line { path: path.to_owned(), line: before.saturating_add(1), why }
}

/// `; did you mean …?` for the setting whose name is most like this one.
fn nearest(name: &str) -> String {
    let plain = name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase().replace('_', "");
    let score = |key: &str| {
        let tail = key.rsplit('.').next().unwrap_or(key).replace('_', "");
        let whole = key.replace(['.', '_'], "");
        distance(&plain, &tail).min(distance(&plain, &whole))
    };
    let best = FIELDS.iter().map(|field| (score(field.key), field.key)).min();
    match best {
        Some((score, key)) if score <= 3 => format!("; did you mean {key}?"),
        _other => "; see `io-node config show` for all of them".to_owned(),
    }
}

/// How many letters must be put in, left out or changed.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut next = vec![index.saturating_add(1)];
        for ((above, beside), other) in row.iter().zip(row.iter().skip(1)).zip(&right) {
            let changed = above.saturating_add(usize::from(letter != *other));
            let last = next.last().copied().unwrap_or(0);
            next.push(changed.min(beside.saturating_add(1)).min(last.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// A TOML file with every field, its meaning above it.
fn render(table: &Table, note: impl Fn(&str) -> String) -> String {
    let mut text = String::from("# Settings of io-node. Order: default < this file < environment (IO_NODE_SECTION_FIELD) < --set section.field=value\n");
    let mut section = "";
    for field in FIELDS {
        let (own, name) = field.key.split_once('.').unwrap_or(("", field.key));
        if own != section {
            section = own;
            text.push_str(&format!("\n[{section}]\n"));
        }
        for line in field.meaning.lines() {
            text.push_str(&format!("# {line}\n"));
        }
        if let Some(value) = look_up(table, field.key) {
            text.push_str(&format!("{name} = {value}{}\n", note(field.key)));
        }
    }
    text
}
