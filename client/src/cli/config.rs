//! Settings: default < file < environment < flag.

use std::path::{Path, PathBuf};

use io_client::types::id::AccountId;
use serde::Deserialize;

use super::context::Global;
use super::failure::Failure;

/// Where a node listens if nothing else is said.
const NODE: &str = "http://127.0.0.1:26680";
/// Where a Solana endpoint of this machine listens.
const SOLANA: &str = "http://127.0.0.1:8899";

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// URL of a node's API.
    node: Option<String>,
    /// URL of a Solana endpoint.
    solana: Option<String>,
    /// Path of the key file.
    wallet: Option<PathBuf>,
    /// Address of the bridge program; else the node says it.
    program: Option<AccountId>,
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) node: String,
    pub(crate) solana: String,
    pub(crate) wallet: PathBuf,
    pub(crate) program: Option<AccountId>,
}

impl Config {
    /// Puts the sources together. `home` is the folder of the default file and wallet.
    pub(crate) fn new(global: &Global, home: &Path) -> Result<Self, Failure> {
        let usual = home.join("config.toml");
        let file = if let Some(path) = &global.config {
            File::read(path)?
        } else if usual.exists() {
            File::read(&usual)?
        } else {
            File::default()
        };
        let either = |flag: &Option<String>, file: Option<String>, default: &str| {
            flag.clone().or(file).unwrap_or_else(|| default.to_owned())
        };
        Ok(Self {
            node: either(&global.node, file.node, NODE),
            solana: either(&global.solana, file.solana, SOLANA),
            wallet: global
                .wallet
                .clone()
                .or(file.wallet)
                .unwrap_or_else(|| home.join("id.json")),
            program: global.program.or(file.program),
        })
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, Failure> {
        let broken =
            |why: String| Failure::Broken(format!("configuration {}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| broken(error.to_string()))?;
        // The parser's text names line, field and what was expected.
        toml::from_str(&text).map_err(|error| broken(error.to_string()))
    }
}

/// The folder of the default file and wallet.
pub(crate) fn home() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match (variable("XDG_CONFIG_HOME"), variable("HOME")) {
        (Some(config), _) => PathBuf::from(config).join("io"),
        (None, Some(home)) => PathBuf::from(home).join(".config").join("io"),
        (None, None) => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home_with(text: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), text).unwrap();
        home
    }

    #[test]
    fn a_flag_beats_the_file_which_beats_the_default() {
        let home = home_with("node = \"http://file\"\nwallet = \"w.json\"\n");
        let global = Global::default();
        let config = Config::new(&global, home.path()).unwrap();
        assert_eq!(config.node, "http://file");
        assert_eq!(config.solana, SOLANA);
        assert_eq!(config.wallet, Path::new("w.json"));
        assert_eq!(config.program, None);

        let global = Global {
            node: Some("http://flag".to_owned()),
            ..Global::default()
        };
        assert_eq!(
            Config::new(&global, home.path()).unwrap().node,
            "http://flag"
        );
    }

    #[test]
    fn without_a_file_there_are_defaults() {
        let home = tempfile::tempdir().unwrap();
        let config = Config::new(&Global::default(), home.path()).unwrap();
        assert_eq!(config.node, NODE);
        assert_eq!(config.wallet, home.path().join("id.json"));
    }

    #[test]
    fn an_unknown_field_is_refused_by_line_and_name() {
        let home = home_with("node = \"http://file\"\nnodes = 3\n");
        let failure = Config::new(&Global::default(), home.path()).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        let words = failure.words(false).unwrap();
        assert!(
            words.contains("line 2") && words.contains("nodes"),
            "{words}"
        );
        assert!(words.contains("config.toml"), "{words}");
    }

    #[test]
    fn a_file_that_was_named_must_exist() {
        let home = tempfile::tempdir().unwrap();
        let global = Global {
            config: Some(home.path().join("other.toml")),
            ..Global::default()
        };
        let words = Config::new(&global, home.path()).unwrap_err().words(false);
        assert!(words.unwrap().contains("other.toml"));
    }
}
