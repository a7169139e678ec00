//! Stands between a CometBFT and its node, and changes one thing that the node says.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ed25519_dalek::{Signer as _, SigningKey};
use io_client::types::Signature;
use io_client::types::extension::VoteExtension;
use io_settlement::batch::{Kind, message};
use prost::Message as _;
use tendermint_proto::v0_38::abci::Response;
use tendermint_proto::v0_38::abci::response::Value;

/// What the validator adds to its votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mind {
    /// What its node says.
    Honest,
    /// Nothing.
    Empty,
    /// Signatures of its true key over other batches with the same numbers.
    OtherBatches,
}

/// A running proxy. Its threads end with the processes that they connect.
#[derive(Debug)]
pub(crate) struct Proxy {
    socket: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    node: PathBuf,
    key: SigningKey,
    mind: Mutex<Mind>,
    rewritten: AtomicU64,
}

impl Proxy {
    /// Listens in the home of a node that serves `abci.sock` there, and whose settlement key this is.
    pub(crate) fn start(home: &Path, key: SigningKey) -> Self {
        let socket = home.join("byzantine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let shared = Arc::new(Shared {
            node: home.join("abci.sock"),
            key,
            mind: Mutex::new(Mind::Honest),
            rewritten: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for engine in listener.incoming() {
                let engine = engine.expect("a connection");
                let node = UnixStream::connect(&own.node).expect("the node listens first");
                connect(engine, node, &own);
            }
        });
        Self { socket, shared }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Changes its mind.
    pub(crate) fn set(&self, mind: Mind) {
        *self
            .shared
            .mind
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mind;
    }

    /// Extensions that it changed.
    pub(crate) fn rewritten(&self) -> u64 {
        self.shared.rewritten.load(Ordering::SeqCst)
    }
}

/// Carries one connection, each way in a thread; when either end closes, both are closed.
fn connect(engine: UnixStream, node: UnixStream, shared: &Arc<Shared>) {
    let clone = |stream: &UnixStream| stream.try_clone().expect("a second handle");
    let (mut from, mut to) = (clone(&engine), clone(&node));
    thread::spawn(move || {
        // An error is an end, too.
        drop(io::copy(&mut from, &mut to));
        close(&from, &to);
    });
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        drop(answers(&node, &engine, &shared));
        close(&node, &engine);
    });
}

fn close(one: &UnixStream, other: &UnixStream) {
    for stream in [one, other] {
        // It may be closed already.
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
}

/// Hands on the node's answers, frame by frame.
fn answers(mut node: &UnixStream, mut engine: &UnixStream, shared: &Shared) -> io::Result<()> {
    loop {
        let mut frame = vec![0; length(node)?];
        node.read_exact(&mut frame)?;
        let mut response = Response::decode(frame.as_slice())?;
        if let Some(Value::ExtendVote(vote)) = &mut response.value {
            let mind = *shared.mind.lock().unwrap_or_else(PoisonError::into_inner);
            let told = shared.rewrite(mind, &vote.vote_extension);
            if told != vote.vote_extension {
                vote.vote_extension = told.into();
                shared.rewritten.fetch_add(1, Ordering::SeqCst);
            }
        }
        engine.write_all(&response.encode_length_delimited_to_vec())?;
    }
}

/// The length before a frame: a varint.
fn length(mut node: &UnixStream) -> io::Result<usize> {
    let mut head = Vec::new();
    loop {
        let mut byte = [0];
        node.read_exact(&mut byte)?;
        head.extend(byte);
        if byte[0] < 0x80 {
            return Ok(prost::decode_length_delimiter(head.as_slice())?);
        }
    }
}

impl Shared {
    fn rewrite(&self, mind: Mind, honest: &[u8]) -> Vec<u8> {
        match mind {
            Mind::Honest => honest.to_vec(),
            Mind::Empty => Vec::new(),
            Mind::OtherBatches => {
                let mut extension = VoteExtension::decode(honest).expect("its node is honest");
                for (number, signature) in &mut extension.signatures {
                    let other = io_settlement::sha256(&[b"another batch", &number.0.to_le_bytes()]);
                    let bytes = self.key.sign(&message(Kind::Settle, &other)).to_bytes();
                    *signature = Signature(bytes);
                }
                extension.encode()
            }
        }
    }
}
