//! From small templates to one checked genesis.
//!
//! A network folder holds `network.toml`, `params.toml`, `catalogue.toml`, `models.toml`, `balances.toml`, `verifiers.toml` and one signed file
//! per validator. [`Folder`] reads it, [`Template::build`] makes the one [`io_types::genesis::GenesisSpec`], [`check`] says every rule it
//! breaks, [`engine_genesis`] wraps it for the consensus engine. Same input, same bytes.
//!
//! A program that makes its own network (a localnet, a test) starts from [`Template::builtin`] and gives [`Inputs`].

mod check;
pub mod clock;
mod declaration;
mod engine;
mod facts;
mod folder;
pub mod keys;
mod problem;
mod template;

pub use check::{UnfairPair, check, unfair_pairs};
pub use declaration::{Declaration, Signers};
pub use engine::{EngineParams, consensus_address, engine_genesis};
pub use facts::{Facts, initialize, member_set, time_params};
pub use folder::{Beginning, Fault, Folder, Located};
pub use problem::{Part, Problem};
pub use template::{Inputs, Network, Template};

/// The spec's only JSON form: fields in order of declaration, two spaces, one final newline.
pub fn spec_json(spec: &io_types::genesis::GenesisSpec) -> String {
    let mut text =
        serde_json::to_string_pretty(spec).expect("a spec has string keys only, and no float");
    text.push('\n');
    text
}

/// Reads a spec, alone or as the app state of the engine's genesis. Errors name line and column.
pub fn parse_spec(text: &str) -> serde_json::Result<io_types::genesis::GenesisSpec> {
    #[derive(serde::Deserialize)]
    struct Document {
        app_state: io_types::genesis::GenesisSpec,
    }
    if text.contains("\"app_state\"") {
        serde_json::from_str(text).map(|document: Document| document.app_state)
    } else {
        serde_json::from_str(text)
    }
}
