//! Workers' connections. One for each device: a second one with the same key closes the first with a reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use io_types::stream::{STREAM_VERSION, VerifierFrame, WorkerFrame, hello_bytes};
use io_types::{DeviceId, Hash};
use rand::RngCore as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;

use crate::chain::Chain;
use crate::wire::{self, RIVAL, Received};

/// How long the handshake and the hello may take.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How often a sign of life is sent.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A connection on which nothing came for so long is closed.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// Frames that may wait for a slow worker.
const QUEUE_MAX: usize = 64;

/// What a connection tells the judge.
#[derive(Debug)]
pub enum Inbound {
    /// A worker is here.
    Joined {
        /// Whose.
        device: DeviceId,
    },
    /// A frame came.
    Frame {
        /// Whose.
        device: DeviceId,
        /// The frame.
        frame: WorkerFrame,
        /// When it was read.
        at: Instant,
    },
}

#[derive(Debug)]
struct Session {
    id: u64,
    frames: mpsc::Sender<VerifierFrame>,
}

/// Who is connected.
#[derive(Debug, Default)]
pub struct Roster {
    sessions: Mutex<BTreeMap<DeviceId, Session>>,
    next: AtomicU64,
}

impl Roster {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of the device's connection, if it has one. Each connection has another number.
    pub fn session(&self, device: DeviceId) -> Option<u64> {
        self.sessions().get(&device).map(|session| session.id)
    }

    /// Queues a frame; gives the number of the connection, if there is one that takes it.
    pub fn send(&self, device: DeviceId, frame: VerifierFrame) -> Option<u64> {
        let sessions = self.sessions();
        let session = sessions.get(&device)?;
        session.frames.try_send(frame).is_ok().then_some(session.id)
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.sessions().len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.sessions().is_empty()
    }

    fn join(&self, device: DeviceId, frames: mpsc::Sender<VerifierFrame>) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let before = self.sessions().insert(device, Session { id, frames });
        if let Some(before) = before {
            let why = format!("{RIVAL}; stop one of the two");
            if before
                .frames
                .try_send(VerifierFrame::Closing { why })
                .is_err()
            {
                tracing::debug!(%device, "the connection before was gone already");
            }
        }
        id
    }

    fn leave(&self, device: DeviceId, id: u64) {
        let mut sessions = self.sessions();
        if sessions
            .get(&device)
            .is_some_and(|session| session.id == id)
        {
            sessions.remove(&device);
        }
    }
}

/// Everything that a connection needs.
#[derive(Debug)]
pub struct Server<C> {
    /// The chain: which device has which key.
    pub chain: C,
    /// The chain's id, which a worker's hello names.
    pub chain_id: String,
    /// Who is connected.
    pub roster: Arc<Roster>,
    /// Where frames go.
    pub inbox: mpsc::Sender<Inbound>,
    /// Most workers at one time.
    pub workers_max: usize,
}

impl<C: Chain> Server<C> {
    /// Accepts workers until the listener fails.
    pub async fn serve(self, listener: TcpListener) {
        let server = Arc::new(self);
        loop {
            match listener.accept().await {
                Ok((tcp, peer)) => {
                    let server = Arc::clone(&server);
                    tokio::spawn(async move {
                        if let Err(why) = server.connection(tcp).await {
                            tracing::info!(%peer, %why, "connection closed");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(&self, tcp: TcpStream) -> Result<(), String> {
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let accept = tokio_tungstenite::accept_async_with_config(tcp, Some(wire::limits()));
        let mut socket = tokio::time::timeout(HELLO_WITHIN, accept)
            .await
            .map_err(|_elapsed| "no WebSocket handshake in time".to_owned())?
            .map_err(|error| error.to_string())?;
        let device = match tokio::time::timeout(HELLO_WITHIN, self.greet(&mut socket)).await {
            Ok(Ok(device)) => device,
            Ok(Err(why)) => return close(&mut socket, why).await,
            Err(_elapsed) => return close(&mut socket, "no hello in time".to_owned()).await,
        };
        let (frames, outgoing) = mpsc::channel(QUEUE_MAX);
        let session = self.roster.join(device, frames);
        tracing::info!(%device, session, "worker connected");
        let result = self.converse(&mut socket, device, outgoing).await;
        self.roster.leave(device, session);
        tracing::info!(%device, session, "worker gone");
        match result {
            Ok(()) => Ok(()),
            Err(why) => close(&mut socket, why).await,
        }
    }

    /// Hello both ways: the worker proves the device key over a fresh nonce.
    async fn greet(&self, socket: &mut WebSocketStream<TcpStream>) -> Result<DeviceId, String> {
        let mut nonce = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut nonce);
        let nonce = Hash(nonce);
        let verifier = self.chain.account();
        let hello = VerifierFrame::Hello {
            version: STREAM_VERSION,
            verifier,
            nonce,
        };
        send(socket, &hello).await?;
        let (version, device, key, signature) = match next(socket).await? {
            Some(WorkerFrame::Hello {
                version,
                device,
                key,
                signature,
            }) => (version, device, key, signature),
            Some(_other) => return Err("the first frame is not a hello".to_owned()),
            None => return Err("closed before the hello".to_owned()),
        };
        if version != STREAM_VERSION {
            return Err(format!(
                "version {version} of the frames is not {STREAM_VERSION}: update the older program"
            ));
        }
        let view = self
            .chain
            .device(device)
            .await
            .map_err(|error| error.to_string())?;
        if view.device.device_key != key {
            return Err(format!("{key} is not the key of device {device}"));
        }
        if !key.verify(&hello_bytes(&self.chain_id, &verifier, &nonce), &signature) {
            return Err("the signature of the hello is wrong".to_owned());
        }
        if self.roster.len() >= self.workers_max && self.roster.session(device).is_none() {
            return Err(format!(
                "{} workers are connected, which is the limit",
                self.workers_max
            ));
        }
        send(socket, &VerifierFrame::Welcome).await?;
        Ok(device)
    }

    /// Frames both ways until one side closes.
    async fn converse(
        &self,
        socket: &mut WebSocketStream<TcpStream>,
        device: DeviceId,
        mut outgoing: mpsc::Receiver<VerifierFrame>,
    ) -> Result<(), String> {
        self.pass(Inbound::Joined { device }).await?;
        let mut alive = tokio::time::interval(ALIVE_EVERY);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                frame = outgoing.recv() => match frame {
                    Some(VerifierFrame::Closing { why }) => return Err(why),
                    Some(frame) => send(socket, &frame).await?,
                    None => return Ok(()),
                },
                frame = next(socket) => match frame? {
                    Some(WorkerFrame::Hello { .. }) => return Err("a second hello on one connection".to_owned()),
                    Some(WorkerFrame::Alive) => heard = Instant::now(),
                    Some(frame) => {
                        heard = Instant::now();
                        self.pass(Inbound::Frame { device, frame, at: heard }).await?;
                    }
                    None => return Ok(()),
                },
                _tick = alive.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Err(format!("nothing came for {} s", SILENCE_MAX.as_secs()));
                    }
                    send(socket, &VerifierFrame::Alive).await?;
                }
            }
        }
    }

    async fn pass(&self, inbound: Inbound) -> Result<(), String> {
        self.inbox
            .send(inbound)
            .await
            .map_err(|_closed| "the verifier is stopping".to_owned())
    }
}

/// The next frame; none when the worker has closed.
async fn next(socket: &mut WebSocketStream<TcpStream>) -> Result<Option<WorkerFrame>, String> {
    loop {
        match socket.next().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(message)) => match wire::read(message)? {
                Received::Frame(frame) => return Ok(Some(frame)),
                Received::Nothing => {}
                Received::Closed => return Ok(None),
            },
        }
    }
}

async fn send(
    socket: &mut WebSocketStream<TcpStream>,
    frame: &VerifierFrame,
) -> Result<(), String> {
    socket
        .send(wire::message(frame))
        .await
        .map_err(|error| error.to_string())
}

/// Says why, closes, and passes the reason on.
async fn close(socket: &mut WebSocketStream<TcpStream>, why: String) -> Result<(), String> {
    let told = send(socket, &VerifierFrame::Closing { why: why.clone() }).await;
    let closed = socket.close(None).await;
    if told.is_err() || closed.is_err() {
        tracing::debug!("the worker was gone before it was told why");
    }
    Err(why)
}
