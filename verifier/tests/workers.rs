//! A verifier against workers over real WebSockets: honest ones, cheats, garbage, a second hello, and its own crash.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails"
)]

#[path = "support/fake.rs"]
mod fake;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use fake::{CHAIN_ID, CHALLENGE, DEVICE, Fake, World};
use futures_util::{SinkExt as _, StreamExt as _};
use io_challenge::{Engine, HostEngine, Kernels, Requantiser, Scalar, multiply_rows};
use io_types::action::{CommitAnswer, ProcessorAnswer, Verdict, VerdictBody};
use io_types::row::ChallengeStage;
use io_types::stream::{STREAM_VERSION, VerifierFrame, WorkerFrame, hello_bytes};
use io_types::{AccountId, Action, Hash, Signature};
use io_verifier::backend::Backend;
use io_verifier::chain::{self, Chain, Lane};
use io_verifier::config::Config;
use io_verifier::terms::Terms;
use io_verifier::{run, wire};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn account(seed: u8) -> AccountId {
    AccountId(key(seed).verifying_key().to_bytes())
}

/// A verifier that judges alone, its chain, and where it listens.
struct Bench {
    chain: Fake,
    url: String,
    folder: tempfile::TempDir,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Bench {
    async fn start() -> Self {
        let world = World::new(account(1), 1, &[(account(50), String::new())]);
        let chain = Fake {
            world: Arc::new(Mutex::new(world)),
            account: account(50),
        };
        let folder = tempfile::tempdir().unwrap();
        let (url, running) = Self::launch(&chain, folder.path()).await;
        Self {
            chain,
            url,
            folder,
            running,
        }
    }

    async fn launch(
        chain: &Fake,
        folder: &std::path::Path,
    ) -> (String, JoinHandle<anyhow::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let config = Config {
            data: folder.to_owned(),
            backend: Backend::Cpu,
            poll_ms: 20,
            openings_within_ms: 3000,
            replay_percent: 100,
            ..Config::default()
        };
        let running = tokio::spawn(run::run_on(
            config,
            chain.clone(),
            listener,
            std::future::pending(),
        ));
        (url, running)
    }

    /// Ends the process in the middle of whatever it does, and starts another on the same folder.
    async fn crash(&mut self) {
        self.running.abort();
        assert!((&mut self.running).await.unwrap_err().is_cancelled());
        let (url, running) = Self::launch(&self.chain, self.folder.path()).await;
        self.url = url;
        self.running = running;
    }

    fn count(&self, name: &str) -> usize {
        self.chain.with(|world| {
            world
                .log
                .iter()
                .filter(|(_signer, action)| action.name() == name)
                .count()
        })
    }

    async fn verdict(&self) -> VerdictBody {
        self.chain
            .until("a decision", |world| {
                world.challenge.stage == ChallengeStage::Decided
            })
            .await;
        self.chain
            .with(|world| world.challenge.verifiers[0].verdict.clone().unwrap())
    }
}

async fn dial(url: &str) -> Socket {
    tokio_tungstenite::connect_async_with_config(url, Some(wire::limits()), true)
        .await
        .unwrap()
        .0
}

async fn next(socket: &mut Socket) -> VerifierFrame {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(30), socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        if let wire::Received::Frame(frame) = wire::read(message).unwrap()
            && frame != VerifierFrame::Alive
        {
            return frame;
        }
    }
}

async fn send(socket: &mut Socket, frame: &WorkerFrame) {
    socket.send(wire::message(frame)).await.unwrap();
}

async fn hello(url: &str, signer: &SigningKey, chain_id: &str) -> Socket {
    let mut socket = dial(url).await;
    let VerifierFrame::Hello {
        version,
        verifier,
        nonce,
    } = next(&mut socket).await
    else {
        panic!("no hello")
    };
    assert_eq!((version, verifier), (STREAM_VERSION, account(50)));
    let signature = Signature(
        signer
            .sign(&hello_bytes(chain_id, &verifier, &nonce))
            .to_bytes(),
    );
    let key = AccountId(signer.verifying_key().to_bytes());
    send(
        &mut socket,
        &WorkerFrame::Hello {
            version: STREAM_VERSION,
            device: DEVICE,
            key,
            signature,
        },
    )
    .await;
    socket
}

async fn welcome(url: &str) -> Socket {
    let mut socket = hello(url, &key(1), CHAIN_ID).await;
    assert_eq!(next(&mut socket).await, VerifierFrame::Welcome);
    socket
}

async fn closing(socket: &mut Socket) -> String {
    match next(socket).await {
        VerifierFrame::Closing { why } => why,
        other => panic!("{other:?} in place of a closing"),
    }
}

async fn first_nonce(socket: &mut Socket) -> Hash {
    match next(socket).await {
        VerifierFrame::Nonce { challenge, first } if challenge == CHALLENGE => first,
        other => panic!("{other:?} in place of the nonce"),
    }
}

/// Computes an answer with `kernels`, says so and sends it to the chain.
async fn answer<K: Kernels>(
    bench: &Bench,
    socket: &mut Socket,
    kernels: K,
    first: Hash,
) -> (HostEngine<K>, Terms, Hash) {
    let row = bench.chain.with(|world| world.challenge.clone());
    let device = bench.chain.with(|world| world.device.clone());
    let terms = Terms::new(&row, &device, &bench.chain.catalogue().await.unwrap()).unwrap();
    let nonces = vec![(account(50), first)];
    let mut engine = HostEngine::new(kernels);
    let seed = terms.seed(&nonces, 0).unwrap();
    let run = engine.run(&terms.params, &seed).unwrap();
    let processor = ProcessorAnswer {
        root_a: Hash(run.root_a),
        root_b: Hash(run.root_b),
    };
    let commit = Hash(terms.commit(&nonces, &processor).unwrap());
    send(
        socket,
        &WorkerFrame::PhaseA {
            challenge: CHALLENGE,
            roots: vec![processor.root_a],
        },
    )
    .await;
    send(
        socket,
        &WorkerFrame::Committed {
            challenge: CHALLENGE,
            commits: vec![commit],
        },
    )
    .await;
    let action = CommitAnswer {
        challenge: CHALLENGE,
        nonces,
        processors: vec![processor],
    };
    let device = Fake {
        account: account(1),
        ..bench.chain.clone()
    };
    device
        .submit(Lane::Challenge, vec![Action::CommitAnswer(action)])
        .await
        .unwrap();
    (engine, terms, commit)
}

async fn open<K: Kernels>(
    socket: &mut Socket,
    engine: &mut HostEngine<K>,
    terms: &Terms,
    commit: Hash,
) {
    let second = match next(socket).await {
        VerifierFrame::Draw { challenge, second } if challenge == CHALLENGE => second,
        other => panic!("{other:?} in place of the draw"),
    };
    let draw = terms.draw(&commit.0, &account(50), &second).unwrap();
    let bytes = engine
        .open(&draw)
        .unwrap()
        .encode(&terms.params, &draw)
        .unwrap();
    send_openings(socket, &bytes).await;
}

async fn send_openings(socket: &mut Socket, bytes: &[u8]) {
    let chunks = bytes.chunks(100_000);
    let parts = u32::try_from(chunks.len()).unwrap();
    for (part, chunk) in (0_u32..).zip(chunks) {
        let frame = WorkerFrame::Openings {
            challenge: CHALLENGE,
            processor: 0,
            part,
            parts,
            bytes: chunk.to_vec(),
        };
        send(socket, &frame).await;
    }
}

/// Gets every element of one row of each step wrong, so that the openings of each draw meet some.
struct Faulty;

impl Kernels for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn multiply(
        &self,
        size: usize,
        requantiser: &Requantiser,
        newer: &[u8],
        older: &[u8],
        out: &mut [u8],
    ) {
        multiply_rows(size, requantiser, newer, older, out);
        for row in out.chunks_mut(size).step_by(4) {
            row.fill(0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_worker_passes() {
    let bench = Bench::start().await;
    let mut socket = welcome(&bench.url).await;
    let first = first_nonce(&mut socket).await;
    let (mut engine, terms, commit) = answer(&bench, &mut socket, Scalar, first).await;
    open(&mut socket, &mut engine, &terms, commit).await;
    let body = bench.verdict().await;
    assert_eq!(body.verdict, Verdict::Pass);
    assert!(body.replayed, "every answer is replayed here");
    assert!(body.phase_a_ms < 60_000 && body.phase_b_ms < 60_000);
    assert_ne!(body.transcript, Hash::ZERO);
    assert_eq!(body.class, Some(fake::class().id), "the times show it");
    for step in [
        "commit_nonce",
        "commit_verdict",
        "reveal_nonce",
        "reveal_verdict",
    ] {
        assert_eq!(bench.count(step), 1, "{step}");
    }
    assert_eq!(bench.count("report_fraud"), 0);
    let (commitment, nonces) = bench.chain.with(|world| {
        let drawn = &world.challenge.verifiers[0];
        (drawn.nonce_commitment.unwrap(), drawn.nonces.unwrap())
    });
    assert_eq!(nonces.0, first);
    assert_eq!(
        commitment,
        io_types::stream::nonce_commitment(CHALLENGE, &account(50), &nonces.0, &nonces.1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_answer_is_reported_with_a_proof_that_the_chain_accepts() {
    let bench = Bench::start().await;
    let mut socket = welcome(&bench.url).await;
    let first = first_nonce(&mut socket).await;
    let (mut engine, terms, commit) = answer(&bench, &mut socket, Faulty, first).await;
    open(&mut socket, &mut engine, &terms, commit).await;
    assert_eq!(bench.verdict().await.verdict, Verdict::WrongAnswer);
    bench
        .chain
        .until("a report", |world| {
            world
                .log
                .iter()
                .any(|(_who, action)| matches!(action, Action::ReportFraud(_)))
        })
        .await;
    let (report, row) = bench.chain.with(|world| {
        let report = world.log.iter().find_map(|(_who, action)| match action {
            Action::ReportFraud(report) => Some(report.clone()),
            _other => None,
        });
        (report.unwrap(), world.challenge.clone())
    });
    let seed = terms.seed(&row.nonces_used, report.processor).unwrap();
    let proof = io_challenge::FraudProof::decode(&terms.params, &report.proof).unwrap();
    let roots = io_verifier::terms::roots_of(&row.answers[0]);
    assert!(io_challenge::check_fraud_proof(&terms.params, &seed, &roots, &proof).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_place_of_openings_is_a_wrong_answer_and_no_report() {
    let bench = Bench::start().await;
    let mut socket = welcome(&bench.url).await;
    let first = first_nonce(&mut socket).await;
    let (_engine, terms, commit) = answer(&bench, &mut socket, Scalar, first).await;
    let VerifierFrame::Draw { second, .. } = next(&mut socket).await else {
        panic!("no draw")
    };
    let draw = terms.draw(&commit.0, &account(50), &second).unwrap();
    let length = io_challenge::Openings::encoded_length(&terms.params, &draw).unwrap();
    send_openings(&mut socket, &vec![7; usize::try_from(length).unwrap()]).await;
    assert_eq!(bench.verdict().await.verdict, Verdict::WrongAnswer);
    assert_eq!(bench.count("report_fraud"), 0, "garbage proves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openings_that_do_not_come_fail_and_a_worker_that_never_came_is_unreachable() {
    let bench = Bench::start().await;
    let mut socket = welcome(&bench.url).await;
    let first = first_nonce(&mut socket).await;
    answer(&bench, &mut socket, Scalar, first).await;
    assert_eq!(bench.verdict().await.verdict, Verdict::NoOpenings);

    let bench = Bench::start().await;
    bench
        .chain
        .until("a nonce", |world| {
            world.challenge.stage == ChallengeStage::Answer
        })
        .await;
    bench.chain.with(|world| {
        world.challenge.nonces_used = vec![(account(51), Hash([1; 32]))];
        world.challenge.answers = vec![ProcessorAnswer {
            root_a: Hash::ZERO,
            root_b: Hash::ZERO,
        }];
        world.challenge.stage = ChallengeStage::Verdicts;
    });
    assert_eq!(bench.verdict().await.verdict, Verdict::Unreachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_device_that_does_not_answer_it_says_what_it_knows() {
    let silent = |world: &mut World| world.challenge.stage = ChallengeStage::Verdicts;
    let begun = |world: &World| world.challenge.stage == ChallengeStage::Answer;

    let bench = Bench::start().await;
    let mut socket = welcome(&bench.url).await;
    first_nonce(&mut socket).await;
    bench.chain.with(silent);
    assert_eq!(bench.verdict().await.verdict, Verdict::TooSlow);

    let bench = Bench::start().await;
    let mut socket = welcome(&bench.url).await;
    first_nonce(&mut socket).await;
    let why = "busy: process 7 uses card 0".to_owned();
    send(
        &mut socket,
        &WorkerFrame::Unable {
            challenge: CHALLENGE,
            why,
        },
    )
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.chain.with(silent);
    assert_eq!(bench.verdict().await.verdict, Verdict::Busy);

    let bench = Bench::start().await;
    bench.chain.until("a nonce", begun).await;
    bench.chain.with(silent);
    assert_eq!(bench.verdict().await.verdict, Verdict::Unreachable);

    let mut bench = Bench::start().await;
    bench.chain.until("a nonce", begun).await;
    bench.crash().await;
    bench.chain.with(silent);
    assert_eq!(
        bench.verdict().await.verdict,
        Verdict::VerifierFault,
        "it was down, so it cannot know"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_names_a_nonce_which_was_never_sent_is_wrong() {
    let bench = Bench::start().await;
    let mut socket = welcome(&bench.url).await;
    first_nonce(&mut socket).await;
    answer(&bench, &mut socket, Scalar, Hash([3; 32])).await;
    assert_eq!(bench.verdict().await.verdict, Verdict::WrongAnswer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_hello_with_one_key_closes_the_first_with_a_reason() {
    let bench = Bench::start().await;
    let mut first = welcome(&bench.url).await;
    let nonce = first_nonce(&mut first).await;
    let mut second = welcome(&bench.url).await;
    assert!(closing(&mut first).await.starts_with(wire::RIVAL));
    assert_eq!(
        first_nonce(&mut second).await,
        nonce,
        "the same nonce, for the same draw"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_hellos_and_garbage_are_closed_with_a_reason() {
    let bench = Bench::start().await;
    let cases = [
        (
            hello(&bench.url, &key(2), CHAIN_ID).await,
            "is not the key of device 1",
        ),
        (hello(&bench.url, &key(1), "other-chain").await, "signature"),
    ];
    for (mut socket, reason) in cases {
        let why = closing(&mut socket).await;
        assert!(why.contains(reason), "{why}");
    }
    let mut socket = welcome(&bench.url).await;
    socket
        .send(Message::Binary(vec![0xff; 40].into()))
        .await
        .unwrap();
    loop {
        match next(&mut socket).await {
            VerifierFrame::Closing { why } => {
                assert!(why.contains("no frame"), "{why}");
                break;
            }
            _nonce => {}
        }
    }
    let mut socket = welcome(&bench.url).await;
    socket.send(Message::Text("hello".into())).await.unwrap();
    loop {
        match next(&mut socket).await {
            VerifierFrame::Closing { why } => {
                assert!(why.contains("binary"), "{why}");
                break;
            }
            _nonce => {}
        }
    }
    // It still works.
    let mut socket = welcome(&bench.url).await;
    first_nonce(&mut socket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_nonce_is_sent_changes_nothing() {
    let mut bench = Bench::start().await;
    bench
        .chain
        .until("a nonce", |world| {
            world.challenge.stage == ChallengeStage::Answer
        })
        .await;
    bench.crash().await;
    let mut socket = welcome(&bench.url).await;
    let first = first_nonce(&mut socket).await;
    let (mut engine, terms, commit) = answer(&bench, &mut socket, Scalar, first).await;
    open(&mut socket, &mut engine, &terms, commit).await;
    assert_eq!(bench.verdict().await.verdict, Verdict::Pass);
    assert_eq!(bench.count("commit_nonce"), 1, "it never commits twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_time_is_taken_is_the_verifier_s_own_fault() {
    let mut bench = Bench::start().await;
    let mut socket = welcome(&bench.url).await;
    let first = first_nonce(&mut socket).await;
    bench.crash().await;
    let mut socket = welcome(&bench.url).await;
    assert_eq!(
        first_nonce(&mut socket).await,
        first,
        "the nonce is still the one that was committed"
    );
    answer(&bench, &mut socket, Scalar, first).await;
    assert_eq!(bench.verdict().await.verdict, Verdict::VerifierFault);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_commitment_and_reveal_loses_no_bond() {
    let mut bench = Bench::start().await;
    bench.chain.with(|world| world.moves = true);
    let mut socket = welcome(&bench.url).await;
    let first = first_nonce(&mut socket).await;
    let (mut engine, terms, commit) = answer(&bench, &mut socket, Scalar, first).await;
    bench.chain.with(|world| world.moves = false);
    open(&mut socket, &mut engine, &terms, commit).await;
    bench
        .chain
        .until("a commitment", |world| {
            world.challenge.verifiers[0].verdict_commitment.is_some()
        })
        .await;
    bench.crash().await;
    bench.chain.with(|world| {
        world.challenge.stage = ChallengeStage::Reveals;
        world.moves = true;
    });
    let body = bench.verdict().await;
    assert_eq!(body.verdict, Verdict::Pass);
    let commitment = bench
        .chain
        .with(|world| world.challenge.verifiers[0].verdict_commitment);
    let salt = bench.chain.with(|world| {
        world.log.iter().find_map(|(_who, action)| match action {
            Action::RevealVerdict(reveal) => Some(reveal.salt),
            _other => None,
        })
    });
    assert_eq!(
        commitment,
        Some(body.commitment(&account(50), DEVICE, CHALLENGE, &salt.unwrap()))
    );
    assert_eq!(bench.count("commit_verdict"), 1);
}
