//! Rows with proofs that need no trust in this node.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ibc_proto::ibc::core::commitment::v1::MerkleProof;
use ics23::{HostFunctionsManager, calculate_existence_root};
use io_state_machine::tables::SPECS;
use io_storage::{Fault, Proof, ProveError};
use io_types::api::ProvenRow;
use io_types::{Hash, Height};
use prost::Message;

use super::Api;
use super::failure::Failure;
use super::pages::Named;

pub(super) async fn read(
    State(api): State<Api>,
    Named((table, key)): Named<(String, String)>,
) -> Result<Json<ProvenRow>, Failure> {
    let spec = SPECS.iter().find(|spec| spec.name == table);
    let spec = spec.ok_or_else(|| Failure::absent(format!("there is no table {table:?}")))?;
    let bytes = hex::decode(&key).map_err(|error| Failure::bad(format!("key {key}: {error}")))?;
    let proof = {
        let view = api.chain.machine.store().snapshot();
        // The header of the next height carries the app hash, and at the tip it is not made yet: so the height before the
        // tip is proven, and the tip only for a row that is newer.
        let tip = view.height();
        match view.prove(spec.id, &bytes, tip.saturating_sub(1)) {
            Ok(proof) => proof,
            Err(_not_there) => view.prove(spec.id, &bytes, tip).map_err(refused)?,
        }
    };
    let app_hash = app_hash(&proof)?;
    let carrier = proof.height.saturating_add(1);
    let signed_header = api.rpc.signed_header(carrier).await?;
    let validators = if signed_header.is_some() {
        api.rpc.validators(carrier).await?
    } else {
        None
    };
    let value = hex::encode(&proof.row.value);
    let merkle = MerkleProof {
        proofs: proof.commitments().to_vec(),
    };
    Ok(Json(ProvenRow {
        table,
        key,
        value,
        height: Height(proof.height),
        app_hash,
        proof: BASE64.encode(merkle.encode_to_vec()),
        signed_header,
        validators,
    }))
}

fn refused(error: ProveError) -> Failure {
    match error {
        ProveError::Faulted(fault) => Failure::broken(fault),
        ProveError::NoRow { .. } => Failure::absent(error.to_string()),
        ProveError::UnknownTable(_) | ProveError::NotProvable(_) | ProveError::Height { .. } => {
            Failure::bad(error.to_string())
        }
    }
}

/// The app hash that the table's proof leads to.
fn app_hash(proof: &Proof) -> Result<Hash, Failure> {
    let root = calculate_existence_root::<HostFunctionsManager>(&proof.table);
    match root.map(<[u8; 32]>::try_from) {
        Ok(Ok(hash)) => Ok(Hash(hash)),
        Ok(Err(_)) | Err(_) => Err(Failure::broken(Fault::bug(
            "proof of a row",
            "its table leads to no app hash",
        ))),
    }
}
