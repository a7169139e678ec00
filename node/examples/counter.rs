//! The smallest application behind the real boundary: it adds up numbers. It exists to test the boundary, the child and the
//! replay against real CometBFT, without any rule of io-chain.
//!
//! `counter HOME` expects CometBFT's folder in `HOME/cometbft` and keeps its state in `HOME/count`.
#![expect(clippy::print_stdout, reason = "the test reads the child's process id")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use io_node::abci::{Application, Consensus, Mempool, Progress, Server, Stop, Views};
use io_node::comet::{Binary, Child, CometHome, Launch};
use io_node::supervise;
use sha2::{Digest, Sha256};
use tendermint_proto::v0_38::abci::{
    ExecTxResult, RequestApplySnapshotChunk, RequestCheckTx, RequestExtendVote,
    RequestFinalizeBlock, RequestInfo, RequestInitChain, RequestLoadSnapshotChunk,
    RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal, RequestQuery,
    RequestVerifyVoteExtension, ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit,
    ResponseFinalizeBlock, ResponseInfo, ResponseInitChain, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseQuery, Snapshot,
};
use tendermint_proto::v0_38::types::{AbciParams, ConsensusParams};

/// What is durable.
#[derive(Clone, Copy, Default)]
struct State {
    height: i64,
    sum: u64,
}

impl State {
    fn app_hash(self) -> Bytes {
        Bytes::copy_from_slice(&Sha256::digest(self.sum.to_be_bytes()))
    }

    fn load(file: &Path) -> Self {
        let Ok(text) = fs::read_to_string(file) else {
            return Self::default();
        };
        let mut numbers = text.split_whitespace();
        let mut next = || numbers.next().expect("the file was written whole");
        let (height, sum) = (next(), next());
        Self {
            height: height.parse().expect("a height"),
            sum: sum.parse().expect("a sum"),
        }
    }

    fn store(self, file: &Path) -> std::io::Result<()> {
        let draft = file.with_extension("draft");
        let mut opened = fs::File::create(&draft)?;
        write!(opened, "{} {}", self.height, self.sum)?;
        opened.sync_all()?;
        fs::rename(draft, file)
    }
}

fn number(tx: &[u8]) -> Option<u64> {
    std::str::from_utf8(tx)
        .ok()?
        .strip_prefix("add:")?
        .parse()
        .ok()
}

struct Counter {
    file: PathBuf,
    committed: Arc<Mutex<State>>,
    staged: Option<State>,
}

struct Door;

struct Face {
    committed: Arc<Mutex<State>>,
}

fn read(state: &Mutex<State>) -> State {
    *state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Consensus for Counter {
    fn init_chain(&mut self, _: RequestInitChain) -> Result<ResponseInitChain, Stop> {
        let abci = Some(AbciParams {
            vote_extensions_enable_height: 1,
        });
        let consensus_params = Some(ConsensusParams {
            abci,
            ..ConsensusParams::default()
        });
        Ok(ResponseInitChain {
            consensus_params,
            app_hash: State::default().app_hash(),
            ..Default::default()
        })
    }

    fn prepare_proposal(
        &mut self,
        request: RequestPrepareProposal,
        progress: &Progress,
    ) -> Result<ResponsePrepareProposal, Stop> {
        for (index, tx) in request.txs.iter().enumerate() {
            progress.at(index);
            assert!(number(tx) != Some(13), "this number breaks a proposal");
        }
        Ok(ResponsePrepareProposal { txs: request.txs })
    }

    fn process_proposal(
        &mut self,
        request: RequestProcessProposal,
    ) -> Result<Result<(), String>, Stop> {
        let good = request.txs.iter().all(|tx| number(tx).is_some());
        Ok(if good {
            Ok(())
        } else {
            Err("not a number".to_owned())
        })
    }

    fn extend_vote(&mut self, request: RequestExtendVote) -> Result<Bytes, Stop> {
        Ok(Bytes::copy_from_slice(&request.height.to_be_bytes()))
    }

    fn verify_vote_extension(
        &mut self,
        request: RequestVerifyVoteExtension,
    ) -> Result<Result<(), String>, Stop> {
        let good = request.vote_extension.is_empty()
            || request.vote_extension[..] == request.height.to_be_bytes();
        Ok(if good {
            Ok(())
        } else {
            Err("not the height".to_owned())
        })
    }

    fn finalize_block(
        &mut self,
        request: RequestFinalizeBlock,
    ) -> Result<ResponseFinalizeBlock, Stop> {
        let before = read(&self.committed);
        if request.height != before.height.saturating_add(1) {
            return Err(Stop::Fault(format!(
                "block {} after {}",
                request.height, before.height
            )));
        }
        let added = request
            .txs
            .iter()
            .filter_map(|tx| number(tx))
            .fold(0_u64, u64::saturating_add);
        let state = State {
            height: request.height,
            sum: before.sum.saturating_add(added),
        };
        self.staged = Some(state);
        let tx_results = vec![ExecTxResult::default(); request.txs.len()];
        Ok(ResponseFinalizeBlock {
            tx_results,
            app_hash: state.app_hash(),
            ..Default::default()
        })
    }

    fn commit(&mut self) -> Result<ResponseCommit, Stop> {
        let state = self
            .staged
            .take()
            .ok_or_else(|| Stop::Fault("nothing was finalized".to_owned()))?;
        state
            .store(&self.file)
            .map_err(|error| Stop::Fault(error.to_string()))?;
        *self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = state;
        Ok(ResponseCommit::default())
    }

    fn forget_proposals(&mut self) {}

    fn offer_snapshot(&mut self, _: RequestOfferSnapshot) -> Result<ResponseOfferSnapshot, Stop> {
        Ok(ResponseOfferSnapshot::default())
    }

    fn apply_snapshot_chunk(
        &mut self,
        _: RequestApplySnapshotChunk,
    ) -> Result<ResponseApplySnapshotChunk, Stop> {
        Ok(ResponseApplySnapshotChunk::default())
    }
}

impl Mempool for Door {
    fn check(&self, requests: &[RequestCheckTx]) -> Vec<ResponseCheckTx> {
        let code = |request: &RequestCheckTx| {
            if number(&request.tx).is_some() {
                0
            } else {
                101
            }
        };
        requests
            .iter()
            .map(|request| ResponseCheckTx {
                code: code(request),
                ..Default::default()
            })
            .collect()
    }
}

impl Views for Face {
    fn info(&self, _: RequestInfo) -> Result<ResponseInfo, Stop> {
        let state = read(&self.committed);
        let last_block_app_hash = if state.height == 0 {
            Bytes::new()
        } else {
            state.app_hash()
        };
        Ok(ResponseInfo {
            last_block_height: state.height,
            last_block_app_hash,
            ..Default::default()
        })
    }

    fn query(&self, _: RequestQuery) -> ResponseQuery {
        let State { height, sum } = read(&self.committed);
        ResponseQuery {
            value: sum.to_string().into(),
            height,
            ..Default::default()
        }
    }

    fn list_snapshots(&self) -> Vec<Snapshot> {
        Vec::new()
    }

    fn load_snapshot_chunk(&self, _: RequestLoadSnapshotChunk) -> Bytes {
        Bytes::new()
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let home = PathBuf::from(std::env::args().nth(1).expect("usage: counter HOME"));
    let file = home.join("count");
    let committed = Arc::new(Mutex::new(State::load(&file)));
    let application = Application {
        consensus: Box::new(Counter {
            file,
            committed: Arc::clone(&committed),
            staged: None,
        }),
        mempool: Arc::new(Door),
        views: Arc::new(Face { committed }),
    };
    let (sender, stops) = mpsc::channel();
    let server =
        Server::start(&home.join("abci.sock"), application, sender).expect("the socket is free");
    let binary = Binary::find(None).expect("CometBFT is installed");
    let comet_home = CometHome::new(home.join("cometbft"));
    let proxy_app = server.address();
    let launch = Launch {
        binary: &binary,
        home: &comet_home,
        proxy_app: &proxy_app,
        json_logs: false,
        flags: Vec::new(),
    };
    let child = Child::start(&launch).expect("CometBFT starts");
    println!("{}", child.id());
    let stop = supervise::run(server, Some(child), &stops);
    tracing::error!(%stop, "ended");
    supervise::exit_code(&stop)
}
