//! The consensus engine's own genesis file, which carries the spec as its app state.

use base64::Engine as _;
use io_types::genesis::GenesisSpec;
use io_types::id::{Hash, ValidatorAddress};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock;
use crate::problem::Problem;

/// The highest sum of powers that the engine counts with: a sixteenth of 2^64, less one.
pub(crate) const POWER_MAX: u64 = (1 << 60) - 1;

const BLOCK_BYTES_MAX: u32 = 4_000_000;
const BLOCK_BYTES_MIN: u32 = 1_000_000;
const EVIDENCE_BYTES_MAX: u32 = 1_048_576;

/// What the engine is told about blocks and evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineParams {
    /// Bytes of a block, at most 4 000 000.
    pub block_bytes_max: u32,
    /// Blocks for which evidence of a double vote counts.
    pub evidence_blocks: u64,
    /// Real seconds for which it counts.
    pub evidence_seconds: u64,
}

impl EngineParams {
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&self.block_bytes_max) {
            problems.push(Problem::BlockBytes {
                bytes: self.block_bytes_max,
            });
        }
        if self.evidence_blocks == 0 || self.evidence_seconds == 0 {
            problems.push(Problem::EvidenceAge {
                blocks: self.evidence_blocks,
                seconds: self.evidence_seconds,
            });
        }
        problems
    }
}

/// The engine's address of an ed25519 key: the first 20 bytes of its SHA-256.
pub fn consensus_address(key: &Hash) -> ValidatorAddress {
    let digest: [u8; 32] = Sha256::digest(key.0).into();
    let (address, _rest) = digest.split_first_chunk().expect("a digest has 32 bytes");
    ValidatorAddress(*address)
}

#[derive(Serialize)]
struct Document<'a> {
    genesis_time: String,
    chain_id: &'a str,
    initial_height: &'static str,
    consensus_params: ConsensusParams,
    validators: Vec<Validator<'a>>,
    app_hash: &'static str,
    app_state: &'a GenesisSpec,
}

#[derive(Serialize)]
struct ConsensusParams {
    block: Block,
    evidence: Evidence,
    validator: ValidatorParams,
    version: Version,
    abci: Abci,
}

#[derive(Serialize)]
struct Block {
    max_bytes: String,
    max_gas: &'static str,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the engine's")]
struct Evidence {
    max_age_num_blocks: String,
    max_age_duration: String,
    max_bytes: String,
}

#[derive(Serialize)]
struct ValidatorParams {
    pub_key_types: [&'static str; 1],
}

#[derive(Serialize)]
struct Version {
    app: &'static str,
}

#[derive(Serialize)]
struct Abci {
    vote_extensions_enable_height: &'static str,
}

#[derive(Serialize)]
struct Validator<'a> {
    address: String,
    pub_key: PubKey,
    power: String,
    name: &'a str,
}

#[derive(Serialize)]
struct PubKey {
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
}

/// The engine's genesis file: its parameters, its validators, vote extensions from height 1, and the spec as app state.
pub fn engine_genesis(spec: &GenesisSpec, engine: &EngineParams) -> String {
    let nanoseconds = u128::from(engine.evidence_seconds).saturating_mul(1_000_000_000);
    let document = Document {
        genesis_time: clock::format(spec.genesis_time.0),
        chain_id: &spec.chain_id,
        initial_height: "1",
        consensus_params: ConsensusParams {
            block: Block {
                max_bytes: engine.block_bytes_max.to_string(),
                max_gas: "-1",
            },
            evidence: Evidence {
                max_age_num_blocks: engine.evidence_blocks.to_string(),
                max_age_duration: nanoseconds.to_string(),
                max_bytes: EVIDENCE_BYTES_MAX.min(engine.block_bytes_max).to_string(),
            },
            validator: ValidatorParams {
                pub_key_types: ["ed25519"],
            },
            version: Version { app: "0" },
            abci: Abci {
                vote_extensions_enable_height: "1",
            },
        },
        validators: spec.validators.iter().map(validator).collect(),
        app_hash: "",
        app_state: spec,
    };
    let mut text = serde_json::to_string_pretty(&document)
        .expect("a genesis has string keys only, and no float");
    text.push('\n');
    text
}

fn validator(validator: &io_types::genesis::GenesisValidator) -> Validator<'_> {
    Validator {
        address: validator.address.to_string().to_ascii_uppercase(),
        pub_key: PubKey {
            kind: "tendermint/PubKeyEd25519",
            value: base64::engine::general_purpose::STANDARD.encode(validator.consensus_key.0),
        },
        power: validator.power.to_string(),
        name: &validator.moniker,
    }
}
