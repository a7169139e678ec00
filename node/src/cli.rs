//! The verbs. One module each with one `run`. Data to stdout, words to stderr; exit codes 0 done, 1 refused, 2 broken.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the verbs answer there, and only they"
)]

mod config;
mod explain;
mod export;
mod halt;
mod init;
mod keys;
mod rollback;
mod show;
mod start;
mod status;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{ConfigError, Settings};

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "io-node",
    version,
    about = "A node of io-chain: the state machine behind CometBFT, with an HTTP API",
    after_help = "Examples:\n  io-node --home ~/.io-node init --moniker alice\n  io-node --home ~/.io-node init --genesis genesis.json\n  io-node --home ~/.io-node start\n  io-node status --json"
)]
pub struct Cli {
    /// The node's folder.
    #[arg(
        long,
        global = true,
        env = "IO_NODE_HOME",
        default_value = "io-node-home",
        value_name = "FOLDER"
    )]
    home: PathBuf,
    /// A setting that beats file and environment; may be repeated.
    #[arg(long = "set", global = true, value_name = "SECTION.FIELD=VALUE")]
    set: Vec<String>,
    /// Answers as JSON on one line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes the home: settings, keys, CometBFT's files. Run again it adds what is missing and changes nothing.
    Init(init::Arguments),
    /// Runs the node and CometBFT beside it.
    Start(start::Arguments),
    /// Asks a running node how it is.
    Status(status::Arguments),
    /// The node's key files.
    #[command(subcommand)]
    Keys(keys::Verb),
    /// Writes every row of the state, one JSON object a line. The node must not run.
    Export(export::Arguments),
    /// Undoes the last block, here and in CometBFT. The node must not run.
    Rollback(rollback::Arguments),
    /// Makes a running node stop before a height.
    Halt(halt::Arguments),
    /// How peers name this node.
    ShowNodeId,
    /// This validator's keys and address.
    ShowValidator,
    /// What the app hash is made of, table by table: compare two nodes with it.
    ExplainAppHash(explain::Arguments),
    /// The settings.
    #[command(subcommand)]
    Config(config::Verb),
    /// Versions of this program and of CometBFT.
    Version(version::Arguments),
}

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was asked for can not be done; nothing is broken.
    #[error("{0}")]
    Refused(String),
    /// Something is broken.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    fn refused(error: impl std::fmt::Display) -> Self {
        Self::Refused(error.to_string())
    }

    fn broken(error: impl std::fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::refused(error)
    }
}

/// What the verbs share.
struct Context {
    home: PathBuf,
    set: Vec<String>,
    json: bool,
}

impl Context {
    fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.home, &self.set)?)
    }
}

impl Cli {
    /// Does what was typed.
    pub fn run(self) -> ExitCode {
        let Self {
            home,
            set,
            json,
            verb,
        } = self;
        let context = Context { home, set, json };
        let done = match verb {
            Verb::Init(arguments) => init::run(&context, arguments),
            Verb::Start(arguments) => {
                return start::run(&context, &arguments).unwrap_or_else(|failure| tell(&failure));
            }
            Verb::Status(arguments) => status::run(&context, &arguments),
            Verb::Keys(verb) => keys::run(&context, verb),
            Verb::Export(arguments) => export::run(&context, &arguments),
            Verb::Rollback(arguments) => rollback::run(&context, &arguments),
            Verb::Halt(arguments) => halt::run(&context, &arguments),
            Verb::ShowNodeId => show::node_id(&context),
            Verb::ShowValidator => show::validator(&context),
            Verb::ExplainAppHash(arguments) => explain::run(&context, &arguments),
            Verb::Config(verb) => config::run(&context, &verb),
            Verb::Version(arguments) => {
                version::run(&context, &arguments);
                Ok(())
            }
        };
        done.map_or_else(|failure| tell(&failure), |()| ExitCode::SUCCESS)
    }
}

fn tell(failure: &Failure) -> ExitCode {
    eprintln!("error: {failure}");
    match failure {
        Failure::Refused(_) => ExitCode::from(1),
        Failure::Broken(_) => ExitCode::from(2),
    }
}

/// Data to stdout: JSON on one line, or `name: value` lines.
fn print_facts(context: &Context, facts: &[(&str, String)]) {
    if context.json {
        let object: serde_json::Map<String, serde_json::Value> = facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
            .collect();
        println!("{}", serde_json::Value::Object(object));
    } else {
        for (name, value) in facts {
            println!("{name}: {value}");
        }
    }
}
