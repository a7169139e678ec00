//! What an operator may set, where it comes from (default < file < environment < flag), and what is wrong with it.
//!
//! No setting changes a result of the chain: what does lives in the state. Secrets are paths, never values.

mod fields;
#[cfg(test)]
mod tests;
mod values;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

pub use fields::{FIELDS, Field};
pub use values::{
    Abci, Api, Comet, Config, Keys, Log, LogFormat, Metrics, PriceUnit, Prices, Solana, Storage,
};

/// The file's name in a node's home.
pub const FILE: &str = "node.toml";

/// Prefix of the environment's names: `IO_NODE_API_LISTEN` sets `api.listen`.
const PREFIX: &str = "IO_NODE_";

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
        let variables = env::vars()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect::<Vec<_>>();
        let path = home.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ConfigError::Unreadable {
                    path,
                    why: "there is no such file".to_owned(),
                });
            }
            Err(error) => {
                return Err(ConfigError::Unreadable {
                    path,
                    why: error.to_string(),
                });
            }
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
        let mut settings = Self {
            config: Config::default(),
            merged: default_table(),
            origins: Vec::new(),
        };
        for field in FIELDS {
            if let Some(value) = look_up(&file, field.key) {
                settings.put(field.key, value.clone(), "file");
            }
        }
        for (name, value) in variables {
            let key = FIELDS
                .iter()
                .map(|field| field.key)
                .find(|key| variable_name(key) == *name);
            let key = key.ok_or_else(|| ConfigError::Unknown {
                origin: "environment".to_owned(),
                key: name.clone(),
            })?;
            settings.put_text(key, value, name)?;
        }
        for flag in flags {
            let origin = format!("--set {flag}");
            let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
            let field = FIELDS.iter().find(|field| field.key == key);
            let field = field.ok_or_else(|| ConfigError::Unknown {
                origin: origin.clone(),
                key: key.to_owned(),
            })?;
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
            Some(Value::Integer(_)) => text
                .parse()
                .map(Value::Integer)
                .map_err(|_error| wrong("give a whole number"))?,
            Some(Value::Boolean(_)) => text
                .parse()
                .map(Value::Boolean)
                .map_err(|_error| wrong("give true or false"))?,
            Some(Value::Array(_)) => {
                let parts = text
                    .split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty());
                Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
            }
            Some(Value::String(_) | Value::Float(_) | Value::Datetime(_) | Value::Table(_))
            | None => Value::String(text.to_owned()),
        };
        self.put(key, value, origin);
        Ok(())
    }

    fn resolve(&self) -> Result<Config, ConfigError> {
        let config: Config = self
            .merged
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::Value {
                origin: "settings".to_owned(),
                key: "?".to_owned(),
                value: String::new(),
                why: error.message().to_owned(),
            })?;
        let fault = config.faults().into_iter().next();
        fault.map_or(Ok(config), |(key, value, why)| {
            let origin = self.origin(key).to_owned();
            Err(ConfigError::Value {
                origin,
                key: key.to_owned(),
                value,
                why,
            })
        })
    }

    /// Where a setting's value comes from.
    pub fn origin(&self, key: &str) -> &str {
        self.origins
            .iter()
            .find(|(named, _)| named == key)
            .map_or("default", |(_, origin)| origin)
    }

    /// Every setting with its meaning, value and origin, as a file that could be used.
    pub fn show(&self) -> String {
        render(&self.merged, |key| format!("  # {}", self.origin(key)))
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
    let before = text
        .bytes()
        .take(start)
        .filter(|byte| *byte == b'\n')
        .count();
    let mut why = error.message().to_owned();
    if let Some(name) = why
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next())
    {
        why = format!("there is no setting {name} here{}", nearest(name));
    }
    ConfigError::Line {
        path: path.to_owned(),
        line: before.saturating_add(1),
        why,
    }
}

/// `; did you mean …?` for the setting whose name is most like this one.
fn nearest(name: &str) -> String {
    let plain = name
        .strip_prefix(PREFIX)
        .unwrap_or(name)
        .to_lowercase()
        .replace('_', "");
    let score = |key: &str| {
        let tail = key.rsplit('.').next().unwrap_or(key).replace('_', "");
        let whole = key.replace(['.', '_'], "");
        distance(&plain, &tail).min(distance(&plain, &whole))
    };
    let best = FIELDS
        .iter()
        .map(|field| (score(field.key), field.key))
        .min();
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
            next.push(
                changed
                    .min(beside.saturating_add(1))
                    .min(last.saturating_add(1)),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// A TOML file with every field, its meaning above it.
fn render(table: &Table, note: impl Fn(&str) -> String) -> String {
    let mut text = String::from(
        "# Settings of io-node. Order: default < this file < environment (IO_NODE_SECTION_FIELD) < --set section.field=value\n",
    );
    let mut section = "";
    for field in FIELDS {
        let (own, name) = field.key.split_once('.').unwrap_or(("", field.key));
        if own != section {
            section = own;
            push(&mut text, format_args!("\n[{section}]\n"));
        }
        for line in field.meaning.lines() {
            push(&mut text, format_args!("# {line}\n"));
        }
        if let Some(value) = look_up(table, field.key) {
            push(
                &mut text,
                format_args!("{name} = {value}{}\n", note(field.key)),
            );
        }
    }
    text
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    std::fmt::Write::write_fmt(text, arguments).expect("a string takes every text");
}
