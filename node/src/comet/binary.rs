//! Which CometBFT to run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The security floor, on the one line that this node speaks (0.38).
pub const VERSION_MIN: Version = Version {
    major: 0,
    minor: 38,
    patch: 25,
};

/// A release number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// Reads `0.38.25`, `v0.38.25` or `0.38.25+abcdef`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let plain = text.split(['+', '-']).next()?;
        let mut parts = plain.split('.').map(|part| part.parse().ok());
        let version = Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next()??,
        };
        parts.next().is_none().then_some(version)
    }

    /// Whether this node may run it.
    pub fn is_served(self) -> bool {
        (self.major, self.minor) == (VERSION_MIN.major, VERSION_MIN.minor) && self >= VERSION_MIN
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Why no CometBFT can be run.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// It is nowhere.
    #[error("cometbft was not found on PATH nor in {tools}; run ./dev setup, or set comet.binary")]
    Missing {
        /// The tools folder that was searched.
        tools: PathBuf,
    },
    /// It does not run.
    #[error(
        "{path} does not answer 'version': {why}; set comet.binary to a CometBFT {VERSION_MIN} or later of that line"
    )]
    Silent {
        /// The program.
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// It is of another line, or below the security floor.
    #[error(
        "{path} is version {found}; {VERSION_MIN} or later of the line 0.38 is needed (run ./dev setup, or set comet.binary)"
    )]
    Version {
        /// The program.
        path: PathBuf,
        /// What it says.
        found: String,
    },
}

/// A CometBFT whose version was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The program.
    pub path: PathBuf,
    /// What it says it is.
    pub version: Version,
}

impl Binary {
    /// The program that was named, else the first that fits on PATH or in the tools folder.
    pub fn find(named: Option<&Path>) -> Result<Self, BinaryError> {
        if let Some(path) = named {
            return Self::check(path);
        }
        let tools = tools_folder();
        let on_path = env::var_os("PATH")
            .map(|path| env::split_paths(&path).collect::<Vec<_>>())
            .unwrap_or_default();
        let places = on_path
            .into_iter()
            .chain([tools.clone()])
            .map(|folder| folder.join("cometbft"));
        let mut first_fault = None;
        for path in places.filter(|path| path.is_file()) {
            match Self::check(&path) {
                Ok(binary) => return Ok(binary),
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        Err(first_fault.unwrap_or(BinaryError::Missing { tools }))
    }

    fn check(path: &Path) -> Result<Self, BinaryError> {
        let silent = |why: String| BinaryError::Silent {
            path: path.to_owned(),
            why,
        };
        let output = Command::new(path)
            .arg("version")
            .output()
            .map_err(|error| silent(error.to_string()))?;
        if !output.status.success() {
            return Err(silent(output.status.to_string()));
        }
        let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match Version::parse(&found) {
            Some(version) if version.is_served() => Ok(Self {
                path: path.to_owned(),
                version,
            }),
            _other => Err(BinaryError::Version {
                path: path.to_owned(),
                found,
            }),
        }
    }
}

/// Where `./dev setup` puts programs.
fn tools_folder() -> PathBuf {
    let named = env::var_os("IO_CHAIN_TOOLS").map(PathBuf::from);
    let home = || {
        env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default()
            .join(".cache/io-chain/tools")
    };
    named.unwrap_or_else(home).join("bin")
}
