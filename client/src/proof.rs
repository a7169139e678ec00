//! Checks a proven row without asking anybody: row → table root → app hash → signed header → validators.
//!
//! Both Merkle steps are ICS-23 existence proofs. ICS-23 alone accepts prefixes that this chain never makes, so the exact form
//! of each step is checked first. Absence is not provable.

use borsh::BorshDeserialize;
use ibc_proto::ibc::core::commitment::v1::MerkleProof;
use ics23::{
    CommitmentProof, ExistenceProof, HashOp, HostFunctionsManager, InnerOp, InnerSpec, LeafOp,
    LengthOp, ProofSpec, commitment_proof,
};
use io_types::api::ProvenRow;
use io_types::catalogue::Catalogue;
use io_types::id::{Hash, Height};
use io_types::params::{ChainFacts, Params};
use io_types::row::{
    AccountRow, AssetTotals, Batch, Booking, BridgeState, Device, EpochRow, ValidatorRow,
};
use prost::Message as _;
use serde::Serialize;
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator;
use tendermint_light_client_verifier::types::UntrustedBlockState;
use tendermint_light_client_verifier::{ProdVerifier, Verdict};

/// First byte of a row's leaf.
const ROW: u8 = 0;
/// First byte of an inner node.
const INNER: u8 = 1;
/// First byte of a table's root; its number and its depth follow.
const TABLE: u8 = 3;
/// More levels than any tree of the chain has.
const DEPTH_MAX: i32 = 64;

/// Tables whose rows can be proven.
pub const TABLES: [&str; 11] = [
    "params",
    "catalogue",
    "chain",
    "accounts",
    "totals",
    "devices",
    "epochs",
    "bookings",
    "settlements",
    "bridge",
    "validators",
];

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A part is not even an encoding of what it should be.
    #[error("the proof's {what} cannot be read: {why}")]
    Unreadable {
        /// Which part.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A step is not of the one form that this chain makes.
    #[error("the step from {step} has a form that this chain never makes")]
    Form {
        /// Which step.
        step: &'static str,
    },
    /// The row is not under the table root.
    #[error("the row does not lead to the table root")]
    Row,
    /// The table root is not under the app hash.
    #[error("the table root does not lead to the app hash")]
    Table,
    /// There is no signed header.
    #[error("the proof has no signed header yet: ask again after the next block")]
    NoHeader,
    /// The header is not of the block after the proven height.
    #[error("the header is of height {got}, that of height {want} carries this app hash")]
    HeaderHeight {
        /// The header's.
        got: u64,
        /// The one needed.
        want: u64,
    },
    /// The header carries another app hash.
    #[error("the header carries app hash {got}, the row leads to {want}")]
    AppHash {
        /// The header's.
        got: String,
        /// The row's.
        want: Hash,
    },
    /// The header is not signed as it must be.
    #[error("the header is not signed by its validators: {why}")]
    Header {
        /// What the light client says.
        why: String,
    },
    /// The header is of another chain.
    #[error("the header is of chain {got:?}, {want:?} is trusted")]
    OtherChain {
        /// The header's.
        got: String,
        /// The trusted one.
        want: String,
    },
    /// Validators signed that are not the trusted ones.
    #[error("the header is signed by the validator set {got}, {want} is trusted")]
    OtherValidators {
        /// Hash of the header's set.
        got: Hash,
        /// Hash of the trusted set.
        want: Hash,
    },
}

/// What the checker knows from elsewhere. Without a validator set a proof only shows that somebody made it consistently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The chain.
    pub chain_id: Option<String>,
    /// Hash of the validator set that must have signed, as in the header's `validators_hash`.
    pub validators_hash: Option<Hash>,
}

/// A header whose signatures were checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedHeader {
    /// The chain.
    pub chain_id: String,
    /// The header's height: one above the proven state.
    pub height: Height,
    /// Its time.
    pub time: String,
    /// Hash of the set that signed.
    pub validators_hash: Hash,
    /// How many validators are in that set.
    pub validators: usize,
}

/// Checks all of it and gives the row's value and the header that carries it.
///
/// # Errors
/// See [`ProofError`].
pub fn check(row: &ProvenRow, trust: &Trust) -> Result<(Vec<u8>, CheckedHeader), ProofError> {
    Ok((check_row(row)?, check_header(row, trust)?))
}

/// Checks the Merkle steps against the app hash that the answer itself names, and gives the row's value.
///
/// # Errors
/// See [`ProofError`].
pub fn check_row(row: &ProvenRow) -> Result<Vec<u8>, ProofError> {
    let key = bytes_of("key", &row.key)?;
    let value = bytes_of("value", &row.value)?;
    let encoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &row.proof);
    let encoded = encoded.map_err(unreadable("base64"))?;
    let MerkleProof { proofs } =
        MerkleProof::decode(encoded.as_slice()).map_err(unreadable("MerkleProof"))?;
    let [lower, upper] = proofs.as_slice() else {
        return Err(ProofError::Form {
            step: "row to header",
        });
    };
    let (Some(row_step), Some(table_step)) = (existence(lower), existence(upper)) else {
        return Err(ProofError::Form {
            step: "row to header",
        });
    };
    if !is_row_form(row_step) {
        return Err(ProofError::Form {
            step: "row to table root",
        });
    }
    if table_step.leaf.as_ref() != Some(&leaf_op()) || !is_path_form(&table_step.path) {
        return Err(ProofError::Form {
            step: "table root to app hash",
        });
    }
    let table_root = &table_step.value;
    if !holds(lower, 3, table_root, &key, &value) {
        return Err(ProofError::Row);
    }
    if !holds(upper, 1, &row.app_hash.0, row.table.as_bytes(), table_root) {
        return Err(ProofError::Table);
    }
    Ok(value)
}

/// Checks that the header of the next height carries the app hash and is signed by more than two thirds of its validators,
/// which must be the trusted ones.
///
/// # Errors
/// See [`ProofError`].
pub fn check_header(row: &ProvenRow, trust: &Trust) -> Result<CheckedHeader, ProofError> {
    let (Some(signed), Some(validators)) = (&row.signed_header, &row.validators) else {
        return Err(ProofError::NoHeader);
    };
    let signed: SignedHeader =
        serde_json::from_value(signed.clone()).map_err(unreadable("signed header"))?;
    let validators = validator_set(validators)?;
    let header = &signed.header;
    let want = row.height.0.saturating_add(1);
    if header.height.value() != want || signed.commit.height != header.height {
        return Err(ProofError::HeaderHeight {
            got: header.height.value(),
            want,
        });
    }
    if header.app_hash.as_bytes() != row.app_hash.0 {
        return Err(ProofError::AppHash {
            got: header.app_hash.to_string(),
            want: row.app_hash,
        });
    }
    let untrusted = UntrustedBlockState {
        signed_header: &signed,
        validators: &validators,
        next_validators: None,
    };
    let verifier = ProdVerifier::default();
    passed(&verifier.verify_validator_sets(&untrusted))?;
    passed(&verifier.verify_commit(&untrusted))?;

    let chain_id = header.chain_id.to_string();
    if let Some(want) = trust.chain_id.as_ref().filter(|want| **want != chain_id) {
        return Err(ProofError::OtherChain {
            got: chain_id,
            want: want.clone(),
        });
    }
    let validators_hash = <[u8; 32]>::try_from(header.validators_hash.as_bytes())
        .map(Hash)
        .map_err(unreadable("validators hash"))?;
    if let Some(want) = trust
        .validators_hash
        .filter(|want| *want != validators_hash)
    {
        return Err(ProofError::OtherValidators {
            got: validators_hash,
            want,
        });
    }
    Ok(CheckedHeader {
        chain_id,
        height: Height(want),
        time: header.time.to_rfc3339(),
        validators_hash,
        validators: validators.validators().len(),
    })
}

/// The value of a proven row as JSON, if the table is one that this version knows.
pub fn value_json(table: &str, value: &[u8]) -> Option<serde_json::Value> {
    fn json<T: BorshDeserialize + Serialize>(value: &[u8]) -> Option<serde_json::Value> {
        serde_json::to_value(T::try_from_slice(value).ok()?).ok()
    }
    match table {
        "params" => json::<Params>(value),
        "catalogue" => json::<Catalogue>(value),
        "chain" => json::<ChainFacts>(value),
        "accounts" => json::<AccountRow>(value),
        "totals" => json::<AssetTotals>(value),
        "devices" => json::<Device>(value),
        "epochs" => json::<EpochRow>(value),
        "bookings" => json::<Booking>(value),
        "settlements" => json::<Batch>(value),
        "bridge" => json::<BridgeState>(value),
        "validators" => json::<ValidatorRow>(value),
        _ => None,
    }
}

fn unreadable<E: ToString>(what: &'static str) -> impl Fn(E) -> ProofError {
    move |error| ProofError::Unreadable {
        what,
        why: error.to_string(),
    }
}

fn bytes_of(what: &'static str, hexadecimal: &str) -> Result<Vec<u8>, ProofError> {
    hex::decode(hexadecimal).map_err(unreadable(what))
}

fn passed(verdict: &Verdict) -> Result<(), ProofError> {
    match verdict {
        Verdict::Success => Ok(()),
        Verdict::NotEnoughTrust(tally) => Err(ProofError::Header {
            why: tally.to_string(),
        }),
        Verdict::Invalid(detail) => Err(ProofError::Header {
            why: detail.to_string(),
        }),
    }
}

/// The set as CometBFT's RPC gives it: a list, or an object with the list under `validators`.
fn validator_set(json: &serde_json::Value) -> Result<validator::Set, ProofError> {
    let list = json.get("validators").unwrap_or(json);
    let infos: Vec<validator::Info> =
        serde_json::from_value(list.clone()).map_err(unreadable("validators"))?;
    let total = infos
        .iter()
        .try_fold(0_u64, |sum, info| sum.checked_add(info.power()));
    if total.is_none_or(|total| total > validator::Set::MAX_TOTAL_VOTING_POWER) {
        return Err(ProofError::Unreadable {
            what: "validators",
            why: "their power is more than there can be".to_owned(),
        });
    }
    // Made anew from key and power, the only parts that the header's hash covers.
    let infos = infos
        .into_iter()
        .map(|info| validator::Info::new(info.pub_key, info.power));
    Ok(validator::Set::without_proposer(infos.collect()))
}

fn existence(proof: &CommitmentProof) -> Option<&ExistenceProof> {
    match &proof.proof {
        Some(commitment_proof::Proof::Exist(proof)) => Some(proof),
        Some(
            commitment_proof::Proof::Nonexist(_)
            | commitment_proof::Proof::Batch(_)
            | commitment_proof::Proof::Compressed(_),
        )
        | None => None,
    }
}

fn leaf_op() -> LeafOp {
    LeafOp {
        hash: HashOp::Sha256.into(),
        prehash_key: HashOp::NoHash.into(),
        prehash_value: HashOp::Sha256.into(),
        length: LengthOp::VarProto.into(),
        prefix: vec![ROW],
    }
}

/// A row's leaf, inner nodes, and as the last step the table's root, which names its own depth.
fn is_row_form(proof: &ExistenceProof) -> bool {
    let Some((top, path)) = proof.path.split_last() else {
        return false;
    };
    let depth = u8::try_from(path.len()).ok();
    let is_table_root = match top.prefix.as_slice() {
        [TABLE, _table, stated] => depth == Some(*stated) && top.suffix.is_empty(),
        _ => false,
    };
    let is_sha = top.hash == i32::from(HashOp::Sha256);
    proof.leaf.as_ref() == Some(&leaf_op()) && is_path_form(path) && is_table_root && is_sha
}

/// Inner nodes with our child on one side and 32 bytes on the other.
fn is_path_form(path: &[InnerOp]) -> bool {
    path.iter().all(|step| {
        step.hash == i32::from(HashOp::Sha256)
            && step.prefix.first() == Some(&INNER)
            && matches!((step.prefix.len(), step.suffix.len()), (1, 32) | (33, 0))
    })
}

fn holds(
    proof: &CommitmentProof,
    max_prefix_length: i32,
    root: &[u8],
    key: &[u8],
    value: &[u8],
) -> bool {
    let spec = ProofSpec {
        leaf_spec: Some(leaf_op()),
        inner_spec: Some(InnerSpec {
            child_order: vec![0, 1],
            child_size: 32,
            min_prefix_length: 1,
            max_prefix_length,
            empty_child: vec![0; 32],
            hash: HashOp::Sha256.into(),
        }),
        max_depth: DEPTH_MAX,
        min_depth: 1,
        prehash_key_before_comparison: false,
    };
    ics23::verify_membership::<HostFunctionsManager>(proof, &spec, &root.to_vec(), key, value)
}

#[cfg(test)]
mod tests;
