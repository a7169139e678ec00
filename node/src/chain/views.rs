//! The info connection, and what there is of the snapshot connection.

use std::sync::Arc;

use bytes::Bytes;
use io_state_machine::tables::SPECS;
use io_storage::Snapshot as _;
use prost::Message;
use tendermint_proto::v0_38::abci::{
    RequestInfo, RequestLoadSnapshotChunk, RequestQuery, ResponseInfo, ResponseQuery, Snapshot,
};
use tendermint_proto::v0_38::crypto::{ProofOp, ProofOps};

use super::Chain;
use crate::abci::{Stop, Views};

/// The request names no row that can be read.
const CODE_BAD_QUERY: u32 = 2;

/// Types of the two steps of a proof, row first.
pub(crate) const PROOF_OPS: [&str; 2] = ["ics23:io-row", "ics23:io-table"];

pub(super) struct ChainViews {
    chain: Arc<Chain>,
}

impl ChainViews {
    pub(super) fn new(chain: Arc<Chain>) -> Self {
        Self { chain }
    }

    /// `/row/TABLE` with the row's key as data.
    fn row(&self, request: &RequestQuery) -> Result<ResponseQuery, String> {
        let name = request
            .path
            .strip_prefix("/row/")
            .ok_or_else(|| format!("path {:?}: give /row/TABLE", request.path))?;
        let spec = SPECS.iter().find(|spec| spec.name == name);
        let spec = spec.ok_or_else(|| format!("there is no table {name:?}"))?;
        let view = self.chain.machine.store().snapshot();
        let height = if request.height == 0 {
            view.height()
        } else {
            u64::try_from(request.height).map_err(|error| error.to_string())?
        };
        let key = request.data.clone();
        let answer = |value: Vec<u8>, proof_ops| ResponseQuery {
            key: key.clone(),
            value: value.into(),
            height: i64::try_from(height).unwrap_or(i64::MAX),
            proof_ops,
            ..ResponseQuery::default()
        };
        if request.prove {
            let proof = view
                .prove(spec.id, &key, height)
                .map_err(|error| error.to_string())?;
            let steps = proof.commitments();
            let ops = steps
                .iter()
                .zip(PROOF_OPS)
                .zip([key.to_vec(), name.as_bytes().to_vec()])
                .map(|((step, kind), key)| ProofOp {
                    r#type: kind.to_owned(),
                    key,
                    data: step.encode_to_vec(),
                });
            let ops = ops.collect();
            return Ok(answer(proof.row.value, Some(ProofOps { ops })));
        }
        if height != view.height() {
            return Err(format!(
                "rows of height {height} can only be read with a proof; this is height {}",
                view.height()
            ));
        }
        let value = view.get(spec.id, &key).map_err(|fault| fault.to_string())?;
        value
            .map(|value| answer(value.to_vec(), None))
            .ok_or_else(|| format!("table {name} has no row {}", hex::encode(&key)))
    }
}

impl Views for ChainViews {
    fn info(&self, _request: RequestInfo) -> Result<ResponseInfo, Stop> {
        let (height, app_hash) = self.chain.machine.info();
        let last_block_height =
            i64::try_from(height.0).map_err(|error| Stop::Fault(error.to_string()))?;
        let last_block_app_hash = if height.0 == 0 {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(&app_hash.0)
        };
        Ok(ResponseInfo {
            data: "io-chain".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            app_version: 0,
            last_block_height,
            last_block_app_hash,
        })
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        self.row(&request).unwrap_or_else(|log| ResponseQuery {
            code: CODE_BAD_QUERY,
            log,
            ..ResponseQuery::default()
        })
    }

    fn list_snapshots(&self) -> Vec<Snapshot> {
        Vec::new()
    }

    fn load_snapshot_chunk(&self, _request: RequestLoadSnapshotChunk) -> Bytes {
        Bytes::new()
    }
}
