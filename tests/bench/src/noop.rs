//! An application that does nothing, behind the same ABCI server as the real one: what CometBFT alone costs.

use std::sync::Arc;

use bytes::Bytes;
use io_node::abci::{Application, Consensus, Mempool, Progress, Stop, Views};
use tendermint_proto::v0_38::abci::{
    ExecTxResult, RequestApplySnapshotChunk, RequestCheckTx, RequestExtendVote,
    RequestFinalizeBlock, RequestInfo, RequestInitChain, RequestLoadSnapshotChunk,
    RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal, RequestQuery,
    RequestVerifyVoteExtension, ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit,
    ResponseFinalizeBlock, ResponseInfo, ResponseInitChain, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseQuery, Snapshot,
};

/// Accepts everything and remembers nothing.
#[derive(Clone, Copy, Debug)]
struct NoOp;

/// The application.
pub fn application() -> Application {
    Application {
        consensus: Box::new(NoOp),
        mempool: Arc::new(NoOp),
        views: Arc::new(NoOp),
    }
}

impl Consensus for NoOp {
    fn init_chain(&mut self, request: RequestInitChain) -> Result<ResponseInitChain, Stop> {
        Ok(ResponseInitChain {
            consensus_params: request.consensus_params,
            ..ResponseInitChain::default()
        })
    }

    fn prepare_proposal(
        &mut self,
        request: RequestPrepareProposal,
        _progress: &Progress,
    ) -> Result<ResponsePrepareProposal, Stop> {
        let mut room = usize::try_from(request.max_tx_bytes).unwrap_or(0);
        let fits = |tx: &Bytes| {
            let left = room.checked_sub(tx.len() + 8);
            room = left.unwrap_or(room);
            left.is_some()
        };
        let txs = request.txs.into_iter().filter(fits).collect();
        Ok(ResponsePrepareProposal { txs })
    }

    fn process_proposal(
        &mut self,
        _request: RequestProcessProposal,
    ) -> Result<Result<(), String>, Stop> {
        Ok(Ok(()))
    }

    fn extend_vote(&mut self, _request: RequestExtendVote) -> Result<Bytes, Stop> {
        Ok(Bytes::new())
    }

    fn verify_vote_extension(
        &mut self,
        _request: RequestVerifyVoteExtension,
    ) -> Result<Result<(), String>, Stop> {
        Ok(Ok(()))
    }

    fn finalize_block(
        &mut self,
        request: RequestFinalizeBlock,
    ) -> Result<ResponseFinalizeBlock, Stop> {
        Ok(ResponseFinalizeBlock {
            tx_results: vec![ExecTxResult::default(); request.txs.len()],
            app_hash: Bytes::from_static(&[0; 32]),
            ..ResponseFinalizeBlock::default()
        })
    }

    fn commit(&mut self) -> Result<ResponseCommit, Stop> {
        Ok(ResponseCommit::default())
    }

    fn forget_proposals(&mut self) {}

    fn offer_snapshot(
        &mut self,
        _request: RequestOfferSnapshot,
    ) -> Result<ResponseOfferSnapshot, Stop> {
        Ok(ResponseOfferSnapshot::default())
    }

    fn apply_snapshot_chunk(
        &mut self,
        _request: RequestApplySnapshotChunk,
    ) -> Result<ResponseApplySnapshotChunk, Stop> {
        Ok(ResponseApplySnapshotChunk::default())
    }
}

impl Mempool for NoOp {
    fn check(&self, requests: &[RequestCheckTx]) -> Vec<ResponseCheckTx> {
        vec![ResponseCheckTx::default(); requests.len()]
    }
}

impl Views for NoOp {
    fn info(&self, _request: RequestInfo) -> Result<ResponseInfo, Stop> {
        Ok(ResponseInfo::default())
    }

    fn query(&self, _request: RequestQuery) -> ResponseQuery {
        ResponseQuery::default()
    }

    fn list_snapshots(&self) -> Vec<Snapshot> {
        Vec::new()
    }

    fn load_snapshot_chunk(&self, _request: RequestLoadSnapshotChunk) -> Bytes {
        Bytes::new()
    }
}
