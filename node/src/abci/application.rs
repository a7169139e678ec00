//! What an application has to answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestCheckTx, RequestExtendVote, RequestFinalizeBlock,
    RequestInfo, RequestInitChain, RequestLoadSnapshotChunk, RequestOfferSnapshot,
    RequestPrepareProposal, RequestProcessProposal, RequestQuery, RequestVerifyVoteExtension,
    ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit, ResponseFinalizeBlock,
    ResponseInfo, ResponseInitChain, ResponseOfferSnapshot, ResponsePrepareProposal, ResponseQuery,
    Snapshot,
};

/// Why this process can not go on. It never becomes a result of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// This node is broken: its disk, its memory or its code.
    #[error("fault: {0}")]
    Fault(String),
    /// It was told to stop here: a halt height or an upgrade.
    #[error("planned halt: {0}")]
    Planned(String),
    /// Somebody asked the process to end.
    #[error("asked to end: {0}")]
    Asked(String),
}

/// The calls of the consensus connection. One at a time, in the order of ABCI 2.0.
///
/// # Contract
/// `prepare_proposal`, `process_proposal`, `extend_vote` and `verify_vote_extension` change nothing that outlives
/// [`Consensus::forget_proposals`]. `finalize_block` keeps a patch and changes nothing durable; `commit` makes it so.
pub trait Consensus: Send {
    /// The first block's state, from genesis.
    fn init_chain(&mut self, request: RequestInitChain) -> Result<ResponseInitChain, Stop>;

    /// A block to propose. Sets `progress` to the index of the transaction that it works on, so that the
    /// boundary can leave out the one at which it broke.
    fn prepare_proposal(
        &mut self,
        request: RequestPrepareProposal,
        progress: &Progress,
    ) -> Result<ResponsePrepareProposal, Stop>;

    /// Whether this block may be voted for. The text says why not.
    fn process_proposal(
        &mut self,
        request: RequestProcessProposal,
    ) -> Result<Result<(), String>, Stop>;

    /// What this validator adds to its precommit; empty is always valid.
    fn extend_vote(&mut self, request: RequestExtendVote) -> Result<Bytes, Stop>;

    /// Whether a precommit with this extension may be counted. The text says why not.
    fn verify_vote_extension(
        &mut self,
        request: RequestVerifyVoteExtension,
    ) -> Result<Result<(), String>, Stop>;

    /// Executes a decided block.
    fn finalize_block(
        &mut self,
        request: RequestFinalizeBlock,
    ) -> Result<ResponseFinalizeBlock, Stop>;

    /// Makes the finalized block durable. When it returns, the block survives a power cut.
    fn commit(&mut self) -> Result<ResponseCommit, Stop>;

    /// Drops everything that was computed for proposals. Called after a proposal broke.
    fn forget_proposals(&mut self);

    /// Whether a snapshot should be restored.
    fn offer_snapshot(
        &mut self,
        request: RequestOfferSnapshot,
    ) -> Result<ResponseOfferSnapshot, Stop>;

    /// One chunk of the snapshot being restored.
    fn apply_snapshot_chunk(
        &mut self,
        request: RequestApplySnapshotChunk,
    ) -> Result<ResponseApplySnapshotChunk, Stop>;
}

/// The calls of the mempool connection.
pub trait Mempool: Send + Sync {
    /// One answer per request, in the order of the requests. A run of waiting requests arrives as one batch,
    /// so that signatures can be verified side by side.
    fn check(&self, requests: &[RequestCheckTx]) -> Vec<ResponseCheckTx>;
}

/// Reads of the last committed state.
pub trait Views: Send + Sync {
    /// The height and app hash of the last durable commit.
    fn info(&self, request: RequestInfo) -> Result<ResponseInfo, Stop>;

    /// A read by path, perhaps with a proof.
    fn query(&self, request: RequestQuery) -> ResponseQuery;

    /// The snapshots that this node can serve.
    fn list_snapshots(&self) -> Vec<Snapshot>;

    /// One chunk of a snapshot; empty where there is none.
    fn load_snapshot_chunk(&self, request: RequestLoadSnapshotChunk) -> Bytes;
}

/// An application in its three parts.
pub struct Application {
    /// Used by one call at a time.
    pub consensus: Box<dyn Consensus>,
    /// Used by any number of calls.
    pub mempool: Arc<dyn Mempool>,
    /// Used by any number of calls.
    pub views: Arc<dyn Views>,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Application")
            .finish_non_exhaustive()
    }
}

/// Which transaction of a proposal is being worked on. It outlives a panic.
#[derive(Debug)]
pub struct Progress(AtomicUsize);

impl Progress {
    const NOWHERE: usize = usize::MAX;

    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(Self::NOWHERE))
    }

    /// Says that work on the request's transaction `index` begins.
    pub fn at(&self, index: usize) {
        self.0.store(index, Ordering::Relaxed);
    }

    /// Says that no single transaction is being worked on.
    pub fn between(&self) {
        self.0.store(Self::NOWHERE, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|index| *index != Self::NOWHERE)
    }
}
