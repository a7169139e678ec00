//! A worker against verifiers over real WebSockets, and its jobs: nonces, answer, openings, a crash, a rival, hooks.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails"
)]

#[path = "../../tests/support/fake.rs"]
mod fake;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake::{CHAIN_ID, CHALLENGE, DEVICE, Fake, World};
use futures_util::{SinkExt as _, StreamExt as _};
use io_challenge::{Openings, check_openings};
use io_client::{Wallet, unseal};
use io_types::row::{Booking, BookingPart, BookingState, ChallengeStage};
use io_types::stream::{STREAM_VERSION, VerifierFrame, WorkerFrame, hello_bytes, nonce_commitment};
use io_types::{
    AccountId, Action, Amount, Asset, BookingId, ChainTime, Hash, Height, HoldId, MicroUsd, OrderId,
};
use io_worker::backend::Backend;
use io_worker::chain::{self, Chain};
use io_worker::config::Config;
use io_worker::job::{Job, hook};
use io_worker::terms::{Terms, roots_of};
use io_worker::{run, wire};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;

type Socket = WebSocketStream<TcpStream>;

fn wallet(seed: u8) -> Wallet {
    Wallet::from_seed([seed; 32])
}

/// Verifiers that wait for the worker, each played by its test.
struct Bench {
    chain: Fake,
    listeners: Vec<(AccountId, TcpListener)>,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new(verifiers: u8, quantity: u16) -> Self {
        let mut listeners = Vec::new();
        let mut rows = Vec::new();
        for number in 0..verifiers {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let account = wallet(50 + number).account();
            rows.push((account, format!("ws://{}", listener.local_addr().unwrap())));
            listeners.push((account, listener));
        }
        listeners.sort_by_key(|(account, _listener)| *account);
        let world = World::new(wallet(1).account(), quantity, &rows);
        let chain = Fake {
            world: Arc::new(Mutex::new(world)),
            account: wallet(1).account(),
        };
        Self {
            chain,
            listeners,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn config(&self) -> Config {
        Config {
            device: DEVICE.0,
            data: self.folder.path().to_owned(),
            backend: Backend::Cpu,
            declared: true,
            poll_ms: 20,
            nonce_grace_ms: 200,
            ..Config::default()
        }
    }

    fn start(&self) -> JoinHandle<anyhow::Result<()>> {
        self.start_with(self.config())
    }

    fn start_with(&self, config: Config) -> JoinHandle<anyhow::Result<()>> {
        let chain = self.chain.clone();
        tokio::spawn(
            async move { run::run_on(config, chain, &wallet(1), std::future::pending()).await },
        )
    }

    /// All drawn verifiers have committed: the device may begin.
    fn begin(&self) {
        self.chain.with(|world| {
            for drawn in &mut world.challenge.verifiers {
                let (first, second) = nonces(drawn.account);
                drawn.nonce_commitment =
                    Some(nonce_commitment(CHALLENGE, &drawn.account, &first, &second));
            }
            world.challenge.stage = ChallengeStage::Answer;
        });
    }

    async fn accept(&self, place: usize) -> Socket {
        let (verifier, listener) = &self.listeners[place];
        let (tcp, _peer) = tokio::time::timeout(Duration::from_secs(30), listener.accept())
            .await
            .unwrap()
            .unwrap();
        let mut socket = tokio_tungstenite::accept_async_with_config(tcp, Some(wire::limits()))
            .await
            .unwrap();
        let nonce = Hash([8; 32]);
        send(
            &mut socket,
            &VerifierFrame::Hello {
                version: STREAM_VERSION,
                verifier: *verifier,
                nonce,
            },
        )
        .await;
        let WorkerFrame::Hello {
            version,
            device,
            key,
            signature,
        } = next(&mut socket).await
        else {
            panic!("no hello")
        };
        assert_eq!(
            (version, device, key),
            (STREAM_VERSION, DEVICE, wallet(1).account())
        );
        assert!(key.verify(&hello_bytes(CHAIN_ID, verifier, &nonce), &signature));
        send(&mut socket, &VerifierFrame::Welcome).await;
        socket
    }

    async fn terms(&self) -> Terms {
        let (row, device) = self
            .chain
            .with(|world| (world.challenge.clone(), world.device.clone()));
        Terms::new(&row, &device, &self.chain.catalogue().await.unwrap()).unwrap()
    }

    /// Draws and checks the openings of every processor, as a verifier does.
    async fn check(&self, place: usize, socket: &mut Socket) {
        let (verifier, _listener) = &self.listeners[place];
        let (_first, second) = nonces(*verifier);
        send(
            socket,
            &VerifierFrame::Draw {
                challenge: CHALLENGE,
                second,
            },
        )
        .await;
        let terms = self.terms().await;
        let row = self.chain.with(|world| world.challenge.clone());
        for (processor, answer) in (0_u16..).zip(&row.answers) {
            let commit = terms.commit(&row.nonces_used, answer).unwrap();
            let draw = terms.draw(&commit, verifier, &second).unwrap();
            let mut bytes = Vec::new();
            loop {
                let frame = next(socket).await;
                let WorkerFrame::Openings {
                    processor: of,
                    part,
                    parts,
                    bytes: piece,
                    ..
                } = frame
                else {
                    continue;
                };
                assert_eq!(of, processor);
                bytes.extend(piece);
                if part + 1 == parts {
                    break;
                }
            }
            let openings = Openings::decode(&terms.params, &draw, &bytes).unwrap();
            let seed = terms.seed(&row.nonces_used, processor).unwrap();
            check_openings(&terms.params, &seed, &roots_of(answer), &draw, &openings).unwrap();
        }
    }
}

fn nonces(verifier: AccountId) -> (Hash, Hash) {
    (
        io_types::codec::sha256(&verifier.0),
        io_types::codec::sha256(&[1]),
    )
}

async fn send(socket: &mut Socket, frame: &VerifierFrame) {
    socket.send(wire::message(frame)).await.unwrap();
}

async fn next(socket: &mut Socket) -> WorkerFrame {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(30), socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        if let wire::Received::Frame(frame) = wire::read(message).unwrap()
            && frame != WorkerFrame::Alive
        {
            return frame;
        }
    }
}

async fn send_nonce(bench: &Bench, place: usize, socket: &mut Socket) {
    let (first, _second) = nonces(bench.listeners[place].0);
    send(
        socket,
        &VerifierFrame::Nonce {
            challenge: CHALLENGE,
            first,
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_with_all_nonces_and_opens_what_each_verifier_draws() {
    let bench = Bench::new(3, 2).await;
    let running = bench.start();
    let mut sockets = Vec::new();
    for place in 0..3 {
        sockets.push(bench.accept(place).await);
    }
    bench.begin();
    for (place, socket) in sockets.iter_mut().enumerate() {
        send_nonce(&bench, place, socket).await;
    }
    bench
        .chain
        .until("an answer", |world| {
            world.challenge.stage == ChallengeStage::Verdicts
        })
        .await;
    let row = bench.chain.with(|world| world.challenge.clone());
    assert_eq!((row.nonces_used.len(), row.answers.len()), (3, 2));
    assert_ne!(
        row.answers[0].root_a, row.answers[1].root_a,
        "each processor has a seed of its own"
    );
    for (place, socket) in sockets.iter_mut().enumerate() {
        let WorkerFrame::PhaseA { roots, .. } = next(socket).await else {
            panic!("phase A comes first")
        };
        assert_eq!(
            roots,
            row.answers
                .iter()
                .map(|answer| answer.root_a)
                .collect::<Vec<_>>()
        );
        let WorkerFrame::Committed { commits, .. } = next(socket).await else {
            panic!("then the commit")
        };
        let terms = bench.terms().await;
        let expected = row
            .answers
            .iter()
            .map(|answer| Hash(terms.commit(&row.nonces_used, answer).unwrap()));
        assert_eq!(commits, expected.collect::<Vec<_>>());
        bench.check(place, socket).await;
    }
    assert!(!running.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_nonces_are_enough_after_the_grace() {
    let bench = Bench::new(3, 1).await;
    let _running = bench.start();
    let mut sockets = Vec::new();
    for place in 0..3 {
        sockets.push(bench.accept(place).await);
    }
    bench.begin();
    send_nonce(&bench, 0, &mut sockets[0]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        bench.chain.with(|world| world.challenge.stage),
        ChallengeStage::Answer,
        "one is not enough"
    );
    send_nonce(&bench, 2, &mut sockets[2]).await;
    bench
        .chain
        .until("an answer", |world| {
            world.challenge.stage == ChallengeStage::Verdicts
        })
        .await;
    let used = bench
        .chain
        .with(|world| world.challenge.nonces_used.clone());
    let expected =
        [0, 2].map(|place: usize| (bench.listeners[place].0, nonces(bench.listeners[place].0).0));
    assert_eq!(used, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_it_does_the_work_again_and_opens_it() {
    let bench = Bench::new(1, 1).await;
    let running = bench.start();
    let mut socket = bench.accept(0).await;
    bench.begin();
    send_nonce(&bench, 0, &mut socket).await;
    bench
        .chain
        .until("an answer", |world| {
            world.challenge.stage == ChallengeStage::Verdicts
        })
        .await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    drop(socket);
    let _running = bench.start();
    let mut socket = bench.accept(0).await;
    bench.check(0, &mut socket).await;
    let answers = bench.chain.with(|world| {
        world
            .log
            .iter()
            .filter(|(_who, action)| matches!(action, Action::CommitAnswer(_)))
            .count()
    });
    assert_eq!(answers, 1, "an answer is committed once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_dialled_again() {
    let bench = Bench::new(1, 1).await;
    let _running = bench.start();
    drop(bench.accept(0).await);
    let mut socket = bench.accept(0).await;
    send(
        &mut socket,
        &VerifierFrame::Closing {
            why: "restart".to_owned(),
        },
    )
    .await;
    let mut socket = bench.accept(0).await;
    bench.begin();
    send_nonce(&bench, 0, &mut socket).await;
    bench
        .chain
        .until("an answer", |world| {
            world.challenge.stage == ChallengeStage::Verdicts
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_a_rival_stops_and_says_so() {
    let bench = Bench::new(1, 1).await;
    let running = bench.start();
    let mut socket = bench.accept(0).await;
    send(
        &mut socket,
        &VerifierFrame::Closing {
            why: format!("{}; stop one", wire::RIVAL),
        },
    )
    .await;
    let error = running.await.unwrap().unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("another worker with this device key runs; stop one of the two"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_registers_a_hash_chain_and_refuses_a_key_that_is_not_the_device_s() {
    let bench = Bench::new(1, 1).await;
    let _running = bench.start();
    bench
        .chain
        .until("a hash chain", |world| {
            world.log.iter().any(|(_who, action)| matches!(action, Action::RegisterUptimeChain(chain) if chain.device == DEVICE))
        })
        .await;
    let other = Bench::new(1, 1).await;
    let chain = other.chain.clone();
    let error = run::run_on(other.config(), chain, &wallet(2), std::future::pending())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("correct `wallet` or `device`"),
        "{error}"
    );
}

fn script(folder: &std::path::Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn booking(renter: AccountId) -> Booking {
    Booking {
        id: BookingId(3),
        order: OrderId(1),
        renter,
        asset: Asset::Io,
        hours: 2,
        price: 1,
        total: Amount::new(1),
        fees: Amount::ZERO,
        fee_hold: HoldId(1),
        reservation: Amount::ZERO,
        fees_earned: Amount::ZERO,
        state: BookingState::AwaitingDelivery,
        parts: vec![BookingPart {
            device: DEVICE,
            supplier: AccountId([9; 32]),
            ask: MicroUsd(1),
            quantity: 1,
            part: Amount::new(1),
            hold: HoldId(2),
            payout_asset: Asset::Io,
            delivered_at: None,
            served: 0,
            slashed: 0,
            paid: Amount::ZERO,
            pay_due: ChainTime(0),
            ended: None,
            sealed: Vec::new(),
        }],
        matched_at: ChainTime(0),
        deliver_by: ChainTime(1_000_000),
        height: Height(1),
        pulse_ok: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hired_device_starts_the_job_once_delivers_sealed_details_and_stops_it_at_the_end() {
    let bench = Bench::new(1, 1).await;
    let folder = bench.folder.path();
    let (started, stopped) = (folder.join("started"), folder.join("stopped"));
    let start = format!(
        "#!/bin/sh\ncat >> {0}\necho >> {0}\necho ssh renter@10.0.0.1\n",
        started.display()
    );
    // Renamed when whole, so that the test never reads half of it.
    let stop = format!(
        "#!/bin/sh\ncat > {0}.new && mv {0}.new {0}\n",
        stopped.display()
    );
    let config = Config {
        start_hook: script(folder, "start.sh", &start),
        stop_hook: script(folder, "stop.sh", &stop),
        ..bench.config()
    };
    let renter = wallet(77);
    bench.chain.with(|world| {
        world.device.challenge = None;
        world.device.booking = Some(BookingId(3));
        world.booking = Some(booking(renter.account()));
    });
    let running = bench.start_with(config.clone());
    let delivered = |world: &World| {
        world
            .booking
            .as_ref()
            .is_some_and(|booking| booking.parts[0].delivered_at.is_some())
    };
    bench.chain.until("a delivery", delivered).await;
    let sealed = bench
        .chain
        .with(|world| world.booking.as_ref().unwrap().parts[0].sealed.clone());
    assert_eq!(
        unseal(renter.key(), &sealed).unwrap(),
        b"ssh renter@10.0.0.1"
    );
    // A restart in the middle of the booking, as if the delivery had been lost.
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    bench
        .chain
        .with(|world| world.booking.as_mut().unwrap().parts[0].delivered_at = None);
    let _running = bench.start_with(config);
    bench.chain.until("a second delivery", delivered).await;
    let text = std::fs::read_to_string(&started).unwrap();
    assert_eq!(text.lines().count(), 1, "started once: {text}");
    let job: Job = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(
        (job.booking, job.device, job.renter, job.hours),
        (BookingId(3), DEVICE, renter.account(), 2)
    );
    bench.chain.with(|world| world.device.booking = None);
    for _try in 0..500 {
        if stopped.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = std::fs::read_to_string(&stopped).unwrap();
    assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_fails_hangs_or_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let job = Job {
        booking: BookingId(1),
        device: DEVICE,
        renter: wallet(1).account(),
        processors: 1,
        hours: 1,
    };
    let fails = script(folder.path(), "fails", "#!/bin/sh\nexit 3\n");
    assert!(
        hook(&fails, &job, 5)
            .await
            .unwrap_err()
            .contains("exit status: 3")
    );
    let hangs = script(folder.path(), "hangs", "#!/bin/sh\nexec sleep 60\n");
    assert!(
        hook(&hangs, &job, 1)
            .await
            .unwrap_err()
            .contains("longer than 1 s")
    );
    let missing = folder.path().join("missing").display().to_string();
    assert!(
        hook(&missing, &job, 5)
            .await
            .unwrap_err()
            .contains("cannot be started")
    );
}
