//! A network folder on disk, and where in it a problem is.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use io_types::genesis::{GenesisBalance, GenesisSpec, GenesisVerifier};
use io_types::{BlockTime, ChainTime};
use serde::{Deserialize, Serialize};

use crate::declaration::Declaration;
use crate::problem::{Part, Problem};
use crate::template::{Inputs, Network, Template};

const BALANCES: &str = "# Money put on the chain at genesis, base units, matched by tokens in the vaults. `io-genesis add-account` appends here.\n";
const VERIFIERS: &str =
    "# Verifiers of the first day. `io-genesis add-account --verifier` appends here.\n";

/// Why a folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The disk refuses.
    #[error("{path}: {why}; check that the folder is a network made by `io-genesis new`")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A file is not what it should be. The text names line and column.
    #[error("{path}: {why}")]
    Form {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        why: Box<toml::de::Error>,
    },
    /// Something is there already.
    #[error("{path} is there already; choose another folder, or remove it")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
}

/// A problem with its file and, where one line is at fault, that line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1 on.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Located {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        write!(formatter, ": {}", self.problem)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BalancesFile {
    #[serde(default)]
    balance: Vec<GenesisBalance>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifiersFile {
    #[serde(default)]
    verifier: Vec<GenesisVerifier>,
}

/// What a new network is called and when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The chain's id.
    pub chain_id: String,
    /// Block time of genesis.
    pub genesis_time: BlockTime,
    /// Chain time of genesis.
    pub chain_start: ChainTime,
}

/// A network folder, read whole.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    template: Template,
    balances: Vec<GenesisBalance>,
    verifiers: Vec<GenesisVerifier>,
    declarations: Vec<(PathBuf, Declaration)>,
}

impl Folder {
    /// Writes a template's files into a new folder. Errors: the folder has a network already, or the disk refuses.
    pub fn create(path: &Path, network: Network, beginning: &Beginning) -> Result<(), Fault> {
        let marker = path.join("network.toml");
        if marker.exists() {
            return Err(Fault::Exists { path: marker });
        }
        let validators = path.join("validators");
        fs::create_dir_all(&validators).map_err(disk(&validators))?;
        let values = [
            ("chain_id", beginning.chain_id.clone()),
            (
                "genesis_time",
                crate::clock::format(beginning.genesis_time.0),
            ),
            ("chain_start", crate::clock::format(beginning.chain_start.0)),
        ];
        for (name, text) in network.files() {
            if name != "network.toml" {
                write(&path.join(name), text)?;
            }
        }
        write(&path.join("balances.toml"), BALANCES)?;
        write(&path.join("verifiers.toml"), VERIFIERS)?;
        let [(_name, text), ..] = network.files();
        // Last, because its presence says that the folder is whole.
        write(&marker, &filled(text, &values))
    }

    /// Reads everything. Errors: a file is missing or not of its form, with file, line and column.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let catalogue: crate::template::CatalogueFile = parse(&path.join("catalogue.toml"))?;
        let template = Template {
            network: parse(&path.join("network.toml"))?,
            params: parse(&path.join("params.toml"))?,
            models: parse(&path.join(&catalogue.models))?,
            catalogue,
        };
        let balances: BalancesFile = parse(&path.join("balances.toml"))?;
        let verifiers: VerifiersFile = parse(&path.join("verifiers.toml"))?;
        let folder = path.join("validators");
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(disk(&folder))? {
            let file = entry.map_err(disk(&folder))?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                files.push(file);
            }
        }
        files.sort();
        let mut declarations = Vec::new();
        for file in files {
            declarations.push((file.clone(), parse(&file)?));
        }
        Ok(Self {
            path: path.to_owned(),
            template,
            balances: balances.balance,
            verifiers: verifiers.verifier,
            declarations,
        })
    }

    /// The templates of this network.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The chain's id.
    pub fn chain_id(&self) -> &str {
        &self.template.network.chain_id
    }

    /// The one spec of this folder, or every rule that it breaks with file and line.
    pub fn spec(&self) -> Result<GenesisSpec, Vec<Located>> {
        let network = &self.template.network;
        let mut problems = Vec::new();
        let mut instant = |field, text: &str| Template::instant(field, text, &mut problems);
        let inputs = Inputs {
            chain_id: network.chain_id.clone(),
            genesis_time: BlockTime(instant("genesis_time", &network.genesis_time)),
            chain_start: ChainTime(instant("chain_start", &network.chain_start)),
            validators: self
                .declarations
                .iter()
                .map(|(_path, one)| one.validator())
                .collect(),
            verifiers: self.verifiers.clone(),
            balances: self.balances.clone(),
            bridge: network.bridge.clone(),
        };
        for (_path, declaration) in &self.declarations {
            problems.extend(declaration.check(self.chain_id()));
        }
        let built = self.template.build(inputs);
        if let (Ok(spec), true) = (&built, problems.is_empty()) {
            return Ok(spec.clone());
        }
        problems.extend(built.err().unwrap_or_default());
        Err(problems
            .into_iter()
            .map(|problem| self.locate(problem))
            .collect())
    }

    /// Appends a balance. Errors: the disk refuses.
    pub fn add_balance(path: &Path, balance: &GenesisBalance) -> Result<(), Fault> {
        let file = path.join("balances.toml");
        let row = format!(
            "\n[[balance]]\naccount = \"{}\"\nasset = \"{}\"\namount = \"{}\"\n",
            balance.account, balance.asset, balance.amount
        );
        append(&file, &row)
    }

    /// Appends a verifier. Errors: the disk refuses.
    pub fn add_verifier(path: &Path, verifier: &GenesisVerifier) -> Result<(), Fault> {
        let file = path.join("verifiers.toml");
        let url = toml::Value::String(verifier.url.clone());
        let row = format!(
            "\n[[verifier]]\naccount = \"{}\"\nurl = {url}\nstake = \"{}\"\n",
            verifier.account, verifier.stake
        );
        append(&file, &row)
    }

    /// Writes a validator's file, named by its consensus address. Errors: it is there already, or the disk refuses.
    pub fn add_validator(path: &Path, declaration: &Declaration) -> Result<PathBuf, Fault> {
        let name = format!("{}.toml", declaration.validator().address);
        let file = path.join("validators").join(name);
        if file.exists() {
            return Err(Fault::Exists { path: file });
        }
        let text = toml::to_string(declaration).expect("a declaration holds only text and numbers");
        write(&file, &text)?;
        Ok(file)
    }

    fn locate(&self, problem: Problem) -> Located {
        let (part, needle) = problem.place();
        let path = match part {
            Part::Network => self.path.join("network.toml"),
            Part::Params => self.path.join("params.toml"),
            Part::Catalogue => self.path.join("catalogue.toml"),
            Part::Models => self.path.join(&self.template.catalogue.models),
            Part::Balances => self.path.join("balances.toml"),
            Part::Verifiers => self.path.join("verifiers.toml"),
            Part::Validators => self.path.join("validators"),
            Part::Validator(moniker) => self
                .declarations
                .iter()
                .find(|(_path, one)| one.moniker == moniker)
                .map_or_else(|| self.path.join("validators"), |(path, _one)| path.clone()),
        };
        let text = fs::read_to_string(&path).unwrap_or_default();
        let line = text
            .lines()
            .position(|line| {
                let body = line.trim_start();
                !needle.is_empty() && !body.starts_with('#') && body.contains(&needle)
            })
            .map(|index| index.saturating_add(1));
        Located {
            path,
            line,
            problem,
        }
    }
}

/// The template's text with other values; everything else, comments too, stays.
fn filled(text: &str, values: &[(&str, String)]) -> String {
    let line = |line: &str| {
        let name = line.split_once(" = ").map(|(name, _old)| name);
        let value = values.iter().find(|(field, _value)| Some(*field) == name);
        value.map_or_else(
            || line.to_owned(),
            |(field, value)| format!("{field} = {}", toml::Value::String(value.clone())),
        )
    };
    let mut lines: Vec<String> = text.lines().map(line).collect();
    lines.push(String::new());
    lines.join("\n")
}

fn disk(path: &Path) -> impl Fn(io::Error) -> Fault {
    let path = path.to_owned();
    move |why| Fault::Disk {
        path: path.clone(),
        why,
    }
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Fault> {
    let text = fs::read_to_string(path).map_err(disk(path))?;
    toml::from_str(&text).map_err(|why| Fault::Form {
        path: path.to_owned(),
        why: Box::new(why),
    })
}

fn write(path: &Path, text: &str) -> Result<(), Fault> {
    fs::write(path, text).map_err(disk(path))
}

fn append(path: &Path, text: &str) -> Result<(), Fault> {
    let mut whole = fs::read_to_string(path).map_err(disk(path))?;
    whole.push_str(text);
    write(path, &whole)
}
