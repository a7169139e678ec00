//! Rows with proofs that need no trust in this node.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ibc_proto::ibc::core::commitment::v1::MerkleProof;
use io_state_machine::tables::SPECS;
use io_storage::ProveError;
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
    let (proof, app_hash) = {
        let view = api.chain.machine.store().snapshot();
        let proof = view
            .prove(spec.id, &bytes, view.height())
            .map_err(|error| match error {
                ProveError::Faulted(fault) => Failure::broken(fault),
                ProveError::NoRow { .. } => Failure::absent(error.to_string()),
                ProveError::UnknownTable(_)
                | ProveError::NotProvable(_)
                | ProveError::Height { .. } => Failure::bad(error.to_string()),
            })?;
        (proof, Hash(view.app_hash()))
    };
    // The header of the next height carries the hash; at the tip it is not there yet.
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
