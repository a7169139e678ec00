//! One connection to one verifier: dialled, kept, dialled again.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use io_types::stream::{STREAM_VERSION, VerifierFrame, WorkerFrame, hello_bytes};
use io_types::{AccountId, DeviceId, Signature};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::wire::{self, RIVAL, Received};

/// First pause before dialling again; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long dialling and hello may take.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How often a sign of life is sent.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A connection on which nothing came for so long is given up.
const SILENCE_MAX: Duration = Duration::from_mins(1);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Who this worker is.
#[derive(Debug)]
pub struct Identity {
    /// The device key.
    pub key: SigningKey,
    /// The chain.
    pub chain_id: String,
    /// The device.
    pub device: DeviceId,
}

/// What a connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// A frame came.
    Frame {
        /// From whom.
        verifier: AccountId,
        /// The frame.
        frame: VerifierFrame,
    },
    /// Another worker with this device key is connected: this one must stop.
    Rival {
        /// Who says so.
        verifier: AccountId,
        /// In which words.
        why: String,
    },
}

/// A connection that is kept until this is dropped.
#[derive(Debug)]
pub struct Link {
    frames: mpsc::Sender<WorkerFrame>,
    task: JoinHandle<()>,
}

impl Link {
    /// Dials, and goes on dialling.
    pub fn dial(
        url: String,
        verifier: AccountId,
        identity: Arc<Identity>,
        events: mpsc::Sender<LinkEvent>,
    ) -> Self {
        let (frames, outgoing) = mpsc::channel(64);
        let dialler = Dialler {
            url,
            verifier,
            identity,
            events,
            outgoing,
        };
        let task = tokio::spawn(dialler.run());
        Self { frames, task }
    }

    /// Where frames for this verifier go; they wait while there is no connection.
    pub fn frames(&self) -> mpsc::Sender<WorkerFrame> {
        self.frames.clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a connection ended.
enum End {
    /// Dial again.
    Lost(String),
    /// Never again.
    Rival(String),
    /// Nobody listens any more.
    Over,
}

struct Dialler {
    url: String,
    verifier: AccountId,
    identity: Arc<Identity>,
    events: mpsc::Sender<LinkEvent>,
    outgoing: mpsc::Receiver<WorkerFrame>,
}

impl Dialler {
    async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            let greeted = match tokio::time::timeout(HELLO_WITHIN, self.connect()).await {
                Ok(greeted) => greeted,
                Err(_elapsed) => Err(End::Lost("no answer in time".to_owned())),
            };
            let end = match greeted {
                Ok(mut socket) => {
                    pause = PAUSE_MIN;
                    tracing::info!(verifier = %self.verifier, url = %self.url, "connected");
                    self.converse(&mut socket).await
                }
                Err(end) => end,
            };
            match end {
                End::Lost(why) => {
                    tracing::info!(verifier = %self.verifier, url = %self.url, %why, ?pause, "not connected");
                }
                End::Rival(why) => {
                    let verifier = self.verifier;
                    if self
                        .events
                        .send(LinkEvent::Rival { verifier, why })
                        .await
                        .is_err()
                    {
                        tracing::debug!("the worker stops already");
                    }
                    return;
                }
                End::Over => return,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    /// Dials and says hello.
    async fn connect(&self) -> Result<Socket, End> {
        let lost = |error: tokio_tungstenite::tungstenite::Error| End::Lost(error.to_string());
        let dial =
            tokio_tungstenite::connect_async_with_config(&self.url, Some(wire::limits()), true);
        let (mut socket, _response) = dial.await.map_err(lost)?;
        let (version, verifier, nonce) = match next(&mut socket).await? {
            VerifierFrame::Hello {
                version,
                verifier,
                nonce,
            } => (version, verifier, nonce),
            VerifierFrame::Closing { why } => return Err(End::Lost(why)),
            VerifierFrame::Welcome
            | VerifierFrame::Nonce { .. }
            | VerifierFrame::Draw { .. }
            | VerifierFrame::Alive => {
                return Err(End::Lost("its first frame is no hello".to_owned()));
            }
        };
        if version != STREAM_VERSION {
            return Err(End::Lost(format!(
                "it speaks version {version} of the frames, this worker {STREAM_VERSION}: update the older one"
            )));
        }
        if verifier != self.verifier {
            return Err(End::Lost(format!(
                "{verifier} answers, the chain's list says {}",
                self.verifier
            )));
        }
        let Identity {
            key,
            chain_id,
            device,
        } = self.identity.as_ref();
        let signature = key.sign(&hello_bytes(chain_id, &verifier, &nonce));
        let hello = WorkerFrame::Hello {
            version: STREAM_VERSION,
            device: *device,
            key: AccountId(key.verifying_key().to_bytes()),
            signature: Signature(signature.to_bytes()),
        };
        socket.send(wire::message(&hello)).await.map_err(lost)?;
        match next(&mut socket).await? {
            VerifierFrame::Welcome => Ok(socket),
            VerifierFrame::Closing { why } => Err(End::Lost(why)),
            VerifierFrame::Hello { .. }
            | VerifierFrame::Nonce { .. }
            | VerifierFrame::Draw { .. }
            | VerifierFrame::Alive => Err(End::Lost("its second frame is no welcome".to_owned())),
        }
    }

    async fn converse(&mut self, socket: &mut Socket) -> End {
        let mut alive = tokio::time::interval(ALIVE_EVERY);
        let mut heard = tokio::time::Instant::now();
        loop {
            tokio::select! {
                frame = self.outgoing.recv() => {
                    let Some(frame) = frame else { return End::Over };
                    if let Err(error) = socket.send(wire::message(&frame)).await {
                        return End::Lost(error.to_string());
                    }
                }
                frame = next(socket) => {
                    heard = tokio::time::Instant::now();
                    let frame = match frame {
                        Ok(VerifierFrame::Closing { why }) if why.starts_with(RIVAL) => return End::Rival(why),
                        Ok(VerifierFrame::Closing { why }) => return End::Lost(why),
                        Ok(VerifierFrame::Alive | VerifierFrame::Hello { .. } | VerifierFrame::Welcome) => continue,
                        Ok(frame) => frame,
                        Err(end) => return end,
                    };
                    let event = LinkEvent::Frame { verifier: self.verifier, frame };
                    if self.events.send(event).await.is_err() {
                        return End::Over;
                    }
                }
                _tick = alive.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return End::Lost(format!("nothing came for {} s", SILENCE_MAX.as_secs()));
                    }
                    if let Err(error) = socket.send(wire::message(&WorkerFrame::Alive)).await {
                        return End::Lost(error.to_string());
                    }
                }
            }
        }
    }
}

async fn next(socket: &mut Socket) -> Result<VerifierFrame, End> {
    loop {
        match socket.next().await {
            None => return Err(End::Lost("it closed the connection".to_owned())),
            Some(Err(error)) => return Err(End::Lost(error.to_string())),
            Some(Ok(message)) => match wire::read(message).map_err(End::Lost)? {
                Received::Frame(frame) => return Ok(frame),
                Received::Nothing => {}
                Received::Closed => return Err(End::Lost("it closed the connection".to_owned())),
            },
        }
    }
}
