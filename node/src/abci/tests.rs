//! The boundary, driven over real sockets by a client that speaks frames and an application that breaks on demand.

#![expect(clippy::arithmetic_side_effects, reason = "small sums of a test")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use io_types::extension::InjectedCommit;
use prost::Message;
use tendermint_proto::v0_38::abci::{
    Request, RequestApplySnapshotChunk, RequestCheckTx, RequestCommit, RequestEcho,
    RequestExtendVote, RequestFinalizeBlock, RequestFlush, RequestInfo, RequestInitChain,
    RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal,
    RequestQuery, RequestVerifyVoteExtension, Response, ResponseApplySnapshotChunk,
    ResponseCheckTx, ResponseCommit, ResponseFinalizeBlock, ResponseInfo, ResponseInitChain,
    ResponseLoadSnapshotChunk, ResponseOfferSnapshot, ResponsePrepareProposal, ResponseQuery,
    Snapshot, request, response,
};

use super::frame::{FrameError, Frames};
use super::{
    Application, BindError, CODE_BROKEN, Consensus, Mempool, Progress, Server, Stop, Views,
};

/// Breaks when a transaction says so; otherwise it answers with what it was given.
struct Brittle {
    forgotten: Arc<Mutex<u32>>,
    /// Tell the boundary which transaction is being worked on.
    tells_progress: bool,
}

fn touch(tx: &[u8]) -> Result<(), Stop> {
    match tx {
        b"panic" => panic!("the transaction asked for it"),
        b"fault" => Err(Stop::Fault("the disk is gone".to_owned())),
        b"halt" => Err(Stop::Planned("upgrade 'two' at height 9".to_owned())),
        _ => Ok(()),
    }
}

impl Consensus for Brittle {
    fn init_chain(&mut self, request: RequestInitChain) -> Result<ResponseInitChain, Stop> {
        touch(&request.app_state_bytes)?;
        Ok(ResponseInitChain {
            app_hash: request.app_state_bytes,
            ..ResponseInitChain::default()
        })
    }

    fn prepare_proposal(
        &mut self,
        request: RequestPrepareProposal,
        progress: &Progress,
    ) -> Result<ResponsePrepareProposal, Stop> {
        for (index, tx) in request.txs.iter().enumerate() {
            if self.tells_progress {
                progress.at(index);
            }
            touch(tx)?;
        }
        progress.between();
        if request.height == 13 {
            return Err(Stop::Fault("no proposal at this height".to_owned()));
        }
        Ok(ResponsePrepareProposal { txs: request.txs })
    }

    fn process_proposal(
        &mut self,
        request: RequestProcessProposal,
    ) -> Result<Result<(), String>, Stop> {
        request.txs.iter().try_for_each(|tx| touch(tx))?;
        Ok(if request.txs.iter().any(|tx| tx == "bad") {
            Err("bad".to_owned())
        } else {
            Ok(())
        })
    }

    fn extend_vote(&mut self, request: RequestExtendVote) -> Result<Bytes, Stop> {
        touch(&request.hash)?;
        Ok(request.hash)
    }

    fn verify_vote_extension(
        &mut self,
        request: RequestVerifyVoteExtension,
    ) -> Result<Result<(), String>, Stop> {
        touch(&request.vote_extension)?;
        Ok(if request.vote_extension.len() > 2048 {
            Err("over 2 KiB".to_owned())
        } else {
            Ok(())
        })
    }

    fn finalize_block(
        &mut self,
        request: RequestFinalizeBlock,
    ) -> Result<ResponseFinalizeBlock, Stop> {
        request.txs.iter().try_for_each(|tx| touch(tx))?;
        Ok(ResponseFinalizeBlock {
            app_hash: request.hash,
            ..ResponseFinalizeBlock::default()
        })
    }

    fn commit(&mut self) -> Result<ResponseCommit, Stop> {
        Ok(ResponseCommit { retain_height: 3 })
    }

    fn forget_proposals(&mut self) {
        *self.forgotten.lock().unwrap() += 1;
    }

    fn offer_snapshot(&mut self, _: RequestOfferSnapshot) -> Result<ResponseOfferSnapshot, Stop> {
        Err(Stop::Fault("no snapshots here".to_owned()))
    }

    fn apply_snapshot_chunk(
        &mut self,
        _: RequestApplySnapshotChunk,
    ) -> Result<ResponseApplySnapshotChunk, Stop> {
        panic!("no snapshots here")
    }
}

struct Gate;

impl Mempool for Gate {
    fn check(&self, requests: &[RequestCheckTx]) -> Vec<ResponseCheckTx> {
        let answer = |request: &RequestCheckTx| {
            touch(&request.tx).expect("only a panic is asked for here");
            ResponseCheckTx {
                data: request.tx.clone(),
                gas_wanted: requests.len().try_into().unwrap(),
                ..Default::default()
            }
        };
        requests.iter().map(answer).collect()
    }
}

struct Window;

impl Views for Window {
    fn info(&self, request: RequestInfo) -> Result<ResponseInfo, Stop> {
        touch(request.version.as_bytes())?;
        Ok(ResponseInfo {
            last_block_height: 41,
            ..ResponseInfo::default()
        })
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        touch(&request.data).expect("only a panic is asked for here");
        ResponseQuery {
            value: request.data,
            ..ResponseQuery::default()
        }
    }

    fn list_snapshots(&self) -> Vec<Snapshot> {
        Vec::new()
    }

    fn load_snapshot_chunk(&self, _: RequestLoadSnapshotChunk) -> Bytes {
        panic!("no snapshots here")
    }
}

/// A server in a folder of its own, and what it told.
struct Rig {
    server: Server,
    stops: mpsc::Receiver<Stop>,
    forgotten: Arc<Mutex<u32>>,
    folder: tempfile::TempDir,
}

fn rig(tells_progress: bool) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let forgotten = Arc::new(Mutex::new(0));
    let consensus = Box::new(Brittle {
        forgotten: Arc::clone(&forgotten),
        tells_progress,
    });
    let application = Application {
        consensus,
        mempool: Arc::new(Gate),
        views: Arc::new(Window),
    };
    let (sender, stops) = mpsc::channel();
    let server = Server::start(&folder.path().join("abci.sock"), application, sender).unwrap();
    Rig {
        server,
        stops,
        forgotten,
        folder,
    }
}

impl Rig {
    fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.folder.path().join("abci.sock")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Client {
            frames: Frames::new(stream.try_clone().unwrap(), usize::MAX),
            stream,
        }
    }
}

struct Client {
    stream: UnixStream,
    frames: Frames<UnixStream>,
}

impl Client {
    fn send(&mut self, value: request::Value) {
        self.stream
            .write_all(&Request { value: Some(value) }.encode_length_delimited_to_vec())
            .unwrap();
    }

    /// Nothing when the server closed the connection.
    fn receive(&mut self) -> Option<response::Value> {
        let message = self.frames.wait().unwrap()?;
        Response::decode(message).unwrap().value
    }

    fn ask(&mut self, value: request::Value) -> response::Value {
        self.send(value);
        self.receive().expect("an answer")
    }
}

fn prepare(height: i64, txs: &[&'static str]) -> request::Value {
    let txs = txs
        .iter()
        .map(|tx| Bytes::from_static(tx.as_bytes()))
        .collect();
    request::Value::PrepareProposal(RequestPrepareProposal {
        height,
        txs,
        ..Default::default()
    })
}

fn finalize(tx: &'static str) -> request::Value {
    request::Value::FinalizeBlock(RequestFinalizeBlock {
        txs: vec![tx.into()],
        hash: "h".into(),
        ..Default::default()
    })
}

fn proposal(answer: response::Value) -> Vec<Bytes> {
    let response::Value::PrepareProposal(answer) = answer else {
        panic!("not a proposal: {answer:?}")
    };
    answer.txs
}

#[test]
fn a_proposal_leaves_out_the_transaction_that_breaks_it() {
    let rig = rig(true);
    let answer = rig
        .connect()
        .ask(prepare(1, &["a", "panic", "b", "fault", "c"]));
    assert_eq!(proposal(answer), ["a", "b", "c"]);
    assert_eq!(*rig.forgotten.lock().unwrap(), 2);
}

#[test]
fn a_proposal_whose_culprit_is_unknown_is_halved_and_is_empty_at_last() {
    let rig = rig(false);
    let mut client = rig.connect();
    assert_eq!(
        proposal(client.ask(prepare(1, &["a", "b", "panic", "c"]))),
        ["a", "b"]
    );
    assert_eq!(
        proposal(client.ask(prepare(1, &["panic"; 5]))),
        Vec::<Bytes>::new()
    );
    // Even when an empty block breaks, CometBFT gets a block, and one that others accept: an error would make it panic.
    assert_eq!(
        proposal(client.ask(prepare(13, &["a"]))),
        [InjectedCommit::default().encode()]
    );
}

#[test]
fn a_poisonous_proposal_is_refused_and_the_node_goes_on() {
    let rig = rig(true);
    let mut client = rig.connect();
    for (tx, status) in [("panic", 2), ("fault", 2), ("bad", 2), ("good", 1)] {
        let process = RequestProcessProposal {
            txs: vec![tx.into()],
            ..Default::default()
        };
        let response::Value::ProcessProposal(answer) =
            client.ask(request::Value::ProcessProposal(process))
        else {
            panic!("not a verdict");
        };
        assert_eq!(answer.status, status, "{tx}");
    }
    assert!(rig.stops.try_recv().is_err());
}

#[test]
fn a_broken_extension_is_empty_and_a_broken_verification_refuses() {
    let rig = rig(true);
    let mut client = rig.connect();
    for (hash, expected) in [("panic", ""), ("fault", ""), ("mine", "mine")] {
        let extend = RequestExtendVote {
            hash: hash.into(),
            ..Default::default()
        };
        let response::Value::ExtendVote(answer) = client.ask(request::Value::ExtendVote(extend))
        else {
            panic!("not an extension");
        };
        assert_eq!(answer.vote_extension, expected);
    }
    let sizes = [
        (Bytes::from_static(b"panic"), 2),
        (vec![7; 2049].into(), 2),
        (vec![7; 2048].into(), 1),
        (Bytes::new(), 1),
    ];
    for (vote_extension, status) in sizes {
        let verify = RequestVerifyVoteExtension {
            vote_extension,
            ..Default::default()
        };
        let response::Value::VerifyVoteExtension(answer) =
            client.ask(request::Value::VerifyVoteExtension(verify))
        else {
            panic!("not a verdict");
        };
        assert_eq!(answer.status, status);
    }
}

#[test]
fn a_broken_block_stops_the_process_and_nothing_is_committed_after_it() {
    for (tx, reason) in [
        (
            "panic",
            Stop::Fault("panic: the transaction asked for it".to_owned()),
        ),
        ("fault", Stop::Fault("the disk is gone".to_owned())),
        (
            "halt",
            Stop::Planned("upgrade 'two' at height 9".to_owned()),
        ),
    ] {
        let rig = rig(true);
        let (mut first, mut second) = (rig.connect(), rig.connect());
        let response::Value::Exception(told) = first.ask(finalize(tx)) else {
            panic!("no exception")
        };
        assert_eq!(told.error, reason.to_string());
        assert_eq!(first.receive(), None, "the connection is closed");
        assert_eq!(
            rig.stops.recv_timeout(Duration::from_secs(20)).unwrap(),
            reason
        );
        let after = second.ask(request::Value::Commit(RequestCommit {}));
        assert!(matches!(after, response::Value::Exception(_)), "{after:?}");
    }
}

#[test]
fn a_broken_genesis_stops_the_process() {
    let rig = rig(true);
    let init = RequestInitChain {
        app_state_bytes: "panic".into(),
        ..Default::default()
    };
    let answer = rig.connect().ask(request::Value::InitChain(init));
    assert!(
        matches!(answer, response::Value::Exception(_)),
        "{answer:?}"
    );
    assert!(matches!(
        rig.stops.recv_timeout(Duration::from_secs(20)),
        Ok(Stop::Fault(_))
    ));
}

#[test]
fn transactions_that_wait_are_checked_as_a_batch_and_answered_in_order() {
    const FLUSH_EVERY: usize = 3;
    let rig = rig(true);
    let mut client = rig.connect();
    let texts: Vec<String> = (0..2000)
        .map(|number| {
            if number == 77 {
                "panic".to_owned()
            } else {
                format!("tx {number}")
            }
        })
        .collect();
    let mut bytes = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let check = RequestCheckTx {
            tx: text.clone().into(),
            r#type: 0,
        };
        Request {
            value: Some(request::Value::CheckTx(check)),
        }
        .encode_length_delimited(&mut bytes)
        .unwrap();
        // CometBFT puts a flush behind almost every transaction.
        if number % FLUSH_EVERY == 0 {
            Request {
                value: Some(request::Value::Flush(RequestFlush {})),
            }
            .encode_length_delimited(&mut bytes)
            .unwrap();
        }
    }
    client.stream.write_all(&bytes).unwrap();
    let mut largest = 0;
    for (number, text) in texts.iter().enumerate() {
        let response::Value::CheckTx(answer) = client.receive().unwrap() else {
            panic!("not a check")
        };
        if text == "panic" {
            assert_eq!((answer.code, answer.data), (CODE_BROKEN, Bytes::new()));
        } else {
            assert_eq!((answer.code, answer.data), (0, text.clone().into()));
        }
        largest = largest.max(answer.gas_wanted);
        if number % FLUSH_EVERY == 0 {
            assert!(matches!(client.receive(), Some(response::Value::Flush(_))));
        }
    }
    assert!(
        largest > FLUSH_EVERY as i64,
        "a flush between them kept waiting transactions from being checked together"
    );
}

#[test]
fn reads_that_break_refuse_and_the_node_goes_on() {
    let rig = rig(true);
    let mut client = rig.connect();
    let query = |data: &'static str| {
        request::Value::Query(RequestQuery {
            data: data.into(),
            ..Default::default()
        })
    };
    let response::Value::Query(broken) = client.ask(query("panic")) else {
        panic!("not a query")
    };
    assert_eq!(broken.code, CODE_BROKEN);
    let response::Value::Query(whole) = client.ask(query("x")) else {
        panic!("not a query")
    };
    assert_eq!((whole.code, whole.value), (0, Bytes::from_static(b"x")));
    let response::Value::OfferSnapshot(offer) = client.ask(request::Value::OfferSnapshot(
        RequestOfferSnapshot::default(),
    )) else {
        panic!("not an offer");
    };
    assert_eq!(offer.result, 2, "abort");
    let response::Value::ApplySnapshotChunk(apply) = client.ask(
        request::Value::ApplySnapshotChunk(RequestApplySnapshotChunk::default()),
    ) else {
        panic!("not a chunk");
    };
    assert_eq!(apply.result, 2, "abort");
    let load = client.ask(request::Value::LoadSnapshotChunk(
        RequestLoadSnapshotChunk::default(),
    ));
    assert_eq!(
        load,
        response::Value::LoadSnapshotChunk(ResponseLoadSnapshotChunk::default())
    );
    assert!(rig.stops.try_recv().is_err());
}

#[test]
fn a_request_of_no_known_kind_ends_only_its_connection() {
    let rig = rig(true);
    let mut stranger = rig.connect();
    stranger.stream.write_all(&[3, 0xba, 0x01, 0x00]).unwrap(); // Field 23, a call of a later CometBFT.
    let Some(response::Value::Exception(told)) = stranger.receive() else {
        panic!("no exception")
    };
    assert!(
        told.error.contains("of no kind that ABCI 2.0"),
        "{}",
        told.error
    );
    assert_eq!(stranger.receive(), None);
    let echo = request::Value::Echo(RequestEcho {
        message: "still here".to_owned(),
    });
    assert!(
        matches!(rig.connect().ask(echo), response::Value::Echo(echo) if echo.message == "still here")
    );
    assert!(rig.stops.try_recv().is_err());
}

#[test]
fn a_round_trip_waits_for_nothing() {
    let rig = rig(true);
    let mut client = rig.connect();
    let start = Instant::now();
    for _ in 0..200 {
        client.send(request::Value::Info(RequestInfo::default()));
        client.send(request::Value::Flush(RequestFlush {}));
        assert!(
            matches!(client.receive(), Some(response::Value::Info(info)) if info.last_block_height == 41)
        );
        assert!(matches!(client.receive(), Some(response::Value::Flush(_))));
    }
    // A delayed acknowledgement would cost 200 × 25 ms.
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn two_nodes_do_not_share_a_socket_and_a_dead_one_leaves_it() {
    let rig = rig(true);
    let path = rig.folder.path().join("abci.sock");
    let application = || Application {
        consensus: Box::new(Brittle {
            forgotten: Arc::default(),
            tells_progress: true,
        }),
        mempool: Arc::new(Gate),
        views: Arc::new(Window),
    };
    let second = Server::start(&path, application(), mpsc::channel().0);
    assert!(matches!(second, Err(BindError::InUse { .. })), "{second:?}");
    let address = rig.server.address();
    assert!(
        address.starts_with("unix://") && address.ends_with("abci.sock"),
        "{address}"
    );
    drop(rig.server);
    assert!(!path.exists());
    // A killed process leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(Server::start(&path, application(), mpsc::channel().0).unwrap());
    let long = rig.folder.path().join("x".repeat(120));
    assert!(matches!(
        Server::start(&long, application(), mpsc::channel().0),
        Err(BindError::PathTooLong { .. })
    ));
}

/// Gives its bytes in pieces of every small size in turn.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    size: usize,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.size = self.size % 11 + 1;
        let end = self.bytes.len().min(self.at + self.size.min(into.len()));
        let piece = &self.bytes[self.at..end];
        into[..piece.len()].copy_from_slice(piece);
        self.at = end;
        Ok(piece.len())
    }
}

fn frames(bytes: Vec<u8>, limit: usize) -> Frames<Pieces> {
    Frames::new(
        Pieces {
            bytes,
            at: 0,
            size: 0,
        },
        limit,
    )
}

#[test]
fn frames_survive_being_cut_anywhere() {
    let sizes = [0, 1, 127, 128, 300, 16_383, 16_384, 16_385, 40_000];
    let messages: Vec<Vec<u8>> = sizes
        .iter()
        .map(|size| {
            (0..*size)
                .map(|at: usize| u8::try_from(at % 251).unwrap())
                .collect()
        })
        .collect();
    let mut bytes = Vec::new();
    for message in &messages {
        prost::encode_length_delimiter(message.len(), &mut bytes).unwrap();
        bytes.extend_from_slice(message);
    }
    let mut frames = frames(bytes, 40_000);
    for message in &messages {
        assert_eq!(frames.wait().unwrap().as_deref(), Some(message.as_slice()));
    }
    assert!(frames.wait().unwrap().is_none());
}

#[test]
fn frames_that_lie_are_refused() {
    let mut over = Vec::new();
    prost::encode_length_delimiter(101, &mut over).unwrap();
    assert!(matches!(
        frames(over, 100).wait(),
        Err(FrameError::TooLarge {
            announced: 101,
            limit: 100
        })
    ));
    assert!(matches!(
        frames(vec![0xff; 10], 100).wait(),
        Err(FrameError::BadLength)
    ));
    let ten_bytes_of_65_bits = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
    assert!(matches!(
        frames(ten_bytes_of_65_bits.to_vec(), 100).wait(),
        Err(FrameError::BadLength)
    ));
    assert!(matches!(
        frames(vec![5, 1, 2], 100).wait(),
        Err(FrameError::Cut { have: 3 })
    ));
    assert!(matches!(
        frames(vec![0x80], 100).wait(),
        Err(FrameError::Cut { have: 1 })
    ));
}
