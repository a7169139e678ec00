//! An application with a counter: what is committed, and when. It also lets an engine begin on a chain that has blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use io_node::abci::{Application, Consensus, Progress, Stop, Views};
use io_types::extension::InjectedCommit;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestExtendVote, RequestFinalizeBlock, RequestInfo,
    RequestInitChain, RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal,
    RequestProcessProposal, RequestQuery, RequestVerifyVoteExtension, ResponseApplySnapshotChunk,
    ResponseCommit, ResponseFinalizeBlock, ResponseInfo, ResponseInitChain, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseQuery, Snapshot,
};

/// What one node has committed so far.
#[derive(Debug, Default)]
pub struct Tally {
    committed: AtomicUsize,
    refused: AtomicUsize,
    blocks: AtomicU64,
}

impl Tally {
    /// Transactions that succeeded.
    pub fn committed(&self) -> usize {
        self.committed.load(Ordering::SeqCst)
    }

    /// Transactions that were rejected.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::SeqCst)
    }
}

/// Where a chain stands that was founded without an engine: its app hash, to answer `InitChain` with.
pub type Founded = Option<Bytes>;

struct Counted {
    inner: Box<dyn Consensus>,
    tally: Arc<Tally>,
    founded: Founded,
    finalized: (usize, usize),
}

struct FromNothing(Arc<dyn Views>);

/// The application with a counter.
pub fn counted(application: Application, founded: Founded) -> (Application, Arc<Tally>) {
    let tally = Arc::new(Tally::default());
    let views = if founded.is_some() {
        Arc::new(FromNothing(application.views))
    } else {
        application.views
    };
    let consensus = Box::new(Counted {
        inner: application.consensus,
        tally: Arc::clone(&tally),
        founded,
        finalized: (0, 0),
    });
    let application = Application {
        consensus,
        mempool: application.mempool,
        views,
    };
    (application, tally)
}

impl Consensus for Counted {
    fn init_chain(&mut self, request: RequestInitChain) -> Result<ResponseInitChain, Stop> {
        let Some(app_hash) = self.founded.clone() else {
            return self.inner.init_chain(request);
        };
        Ok(ResponseInitChain {
            consensus_params: request.consensus_params,
            validators: Vec::new(),
            app_hash,
        })
    }

    fn prepare_proposal(
        &mut self,
        request: RequestPrepareProposal,
        progress: &Progress,
    ) -> Result<ResponsePrepareProposal, Stop> {
        self.inner.prepare_proposal(request, progress)
    }

    fn process_proposal(
        &mut self,
        request: RequestProcessProposal,
    ) -> Result<Result<(), String>, Stop> {
        self.inner.process_proposal(request)
    }

    fn extend_vote(&mut self, request: RequestExtendVote) -> Result<Bytes, Stop> {
        self.inner.extend_vote(request)
    }

    fn verify_vote_extension(
        &mut self,
        request: RequestVerifyVoteExtension,
    ) -> Result<Result<(), String>, Stop> {
        self.inner.verify_vote_extension(request)
    }

    fn finalize_block(
        &mut self,
        request: RequestFinalizeBlock,
    ) -> Result<ResponseFinalizeBlock, Stop> {
        let first = request.txs.first();
        let injected = usize::from(first.is_some_and(|tx| InjectedCommit::is_tagged(tx)));
        let answer = self.inner.finalize_block(request)?;
        let results = answer.tx_results.iter().skip(injected);
        let refused = results.clone().filter(|result| result.code != 0).count();
        self.finalized = (results.count() - refused, refused);
        Ok(answer)
    }

    fn commit(&mut self) -> Result<ResponseCommit, Stop> {
        let answer = self.inner.commit()?;
        let (committed, refused) = self.finalized;
        self.tally.committed.fetch_add(committed, Ordering::SeqCst);
        self.tally.refused.fetch_add(refused, Ordering::SeqCst);
        self.tally.blocks.fetch_add(1, Ordering::SeqCst);
        Ok(answer)
    }

    fn forget_proposals(&mut self) {
        self.inner.forget_proposals();
    }

    fn offer_snapshot(
        &mut self,
        request: RequestOfferSnapshot,
    ) -> Result<ResponseOfferSnapshot, Stop> {
        self.inner.offer_snapshot(request)
    }

    fn apply_snapshot_chunk(
        &mut self,
        request: RequestApplySnapshotChunk,
    ) -> Result<ResponseApplySnapshotChunk, Stop> {
        self.inner.apply_snapshot_chunk(request)
    }
}

impl Views for FromNothing {
    /// The engine has no block yet, and asks this before its first one only.
    fn info(&self, request: RequestInfo) -> Result<ResponseInfo, Stop> {
        Ok(ResponseInfo {
            last_block_height: 0,
            last_block_app_hash: Bytes::new(),
            ..self.0.info(request)?
        })
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        self.0.query(request)
    }

    fn list_snapshots(&self) -> Vec<Snapshot> {
        self.0.list_snapshots()
    }

    fn load_snapshot_chunk(&self, request: RequestLoadSnapshotChunk) -> Bytes {
        self.0.load_snapshot_chunk(request)
    }
}
