//! Answers challenges: nonces in, work, answer out, openings from memory.
//!
//! After a restart in the middle the work is done again from the nonces on chain, so that openings can still be served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_types::action::CommitAnswer;
use io_types::catalogue::Catalogue;
use io_types::row::{Challenge, ChallengeStage, Device};
use io_types::stream::{CHUNK_BYTES_MAX, VerifierFrame, WorkerFrame};
use io_types::{AccountId, Action, ChallengeId, Hash};
use tokio::sync::mpsc;

use crate::chain::{Chain, Lane};
use crate::compute::{Answer, Engines, Work};
use crate::link::{Identity, Link, LinkEvent};
use crate::terms::Terms;

/// How often it is looked whether the last nonces have been waited for long enough.
const TICK: Duration = Duration::from_millis(20);
/// How often an answer is sent that did not reach the chain.
const SEND_TRIES: u32 = 10;
/// The pause between two tries.
const SEND_PAUSE: Duration = Duration::from_millis(500);

/// What the run loop tells.
#[derive(Clone, Debug)]
pub enum Notice {
    /// The device's challenge as the chain has it now, or none.
    Challenge(Option<Box<(Challenge, Device)>>),
}

/// What a blocking thread tells.
#[derive(Debug)]
enum Done {
    Filled(ChallengeId, u8, Vec<Hash>),
    Answered(ChallengeId, u8, Result<Answer, String>),
}

/// Why the prover ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProverEnd {
    /// Another worker with this device key is connected.
    #[error("verifier {verifier} says: {why}")]
    Rival {
        /// Who says so.
        verifier: AccountId,
        /// In which words.
        why: String,
    },
}

/// How far an answer is.
#[derive(Debug)]
enum Phase {
    Waiting,
    Computing,
    Answered(Answer),
    Failed,
}

/// The challenge in the works.
#[derive(Debug)]
struct Current {
    terms: Terms,
    stage: ChallengeStage,
    committed: BTreeSet<AccountId>,
    nonces: BTreeMap<AccountId, Hash>,
    used: Vec<(AccountId, Hash)>,
    enough_at: Option<Instant>,
    phase: Phase,
    asked: Vec<(AccountId, Hash)>,
    links: BTreeMap<AccountId, Link>,
    /// Whether the answer is on chain already: a restart.
    recovering: bool,
}

/// What a supplier sets of it.
#[derive(Clone, Copy, Debug)]
pub struct ProverSettings {
    /// How long the last nonces are waited for once enough are there.
    pub nonce_grace: Duration,
    /// Elements that are computed again on the host.
    pub self_check_elements: u32,
    /// Whether NVML is asked for foreign processes before the work begins.
    pub watch_cards: bool,
}

/// Answers the challenges of one device.
#[derive(Debug)]
pub struct Prover<C> {
    chain: C,
    settings: ProverSettings,
    engines: Engines,
    identity: Arc<Identity>,
    catalogue: Catalogue,
    current: Option<Current>,
    link_events: mpsc::Sender<LinkEvent>,
    results: mpsc::Sender<Done>,
}

impl<C: Chain> Prover<C> {
    /// Works until the notices end or a rival shows up.
    ///
    /// # Errors
    /// [`ProverEnd::Rival`].
    pub async fn run(
        chain: C,
        settings: ProverSettings,
        engines: Engines,
        identity: Arc<Identity>,
        mut notices: mpsc::Receiver<Notice>,
    ) -> Result<(), ProverEnd> {
        let (link_events, mut from_links) = mpsc::channel(256);
        let (results, mut from_threads) = mpsc::channel(16);
        let mut prover = Self {
            chain,
            settings,
            engines,
            identity,
            catalogue: Catalogue::default(),
            current: None,
            link_events,
            results,
        };
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(Notice::Challenge(found)) => prover.update(found).await,
                    None => return Ok(()),
                },
                Some(event) = from_links.recv() => match event {
                    LinkEvent::Frame { verifier, frame } => prover.frame(verifier, &frame),
                    LinkEvent::Rival { verifier, why } => return Err(ProverEnd::Rival { verifier, why }),
                },
                Some(result) = from_threads.recv() => prover.result(result),
                _tick = tick.tick() => prover.begin_if_ready(),
            }
        }
    }

    /// Follows the chain.
    async fn update(&mut self, found: Option<Box<(Challenge, Device)>>) {
        let open = |stage| {
            matches!(
                stage,
                ChallengeStage::Nonces | ChallengeStage::Answer | ChallengeStage::Verdicts
            )
        };
        let Some(found) = found.filter(|found| open(found.0.stage)) else {
            self.drop_current();
            return;
        };
        let (row, device) = *found;
        let same = self.current.as_ref().is_some_and(|current| {
            current.terms.challenge == row.id && current.terms.redraws == row.redraws
        });
        if !same {
            self.drop_current();
            if let Err(why) = self.take_on(&row, &device).await {
                tracing::warn!(challenge = %row.id, %why, "cannot answer yet");
                return;
            }
        }
        if let Some(current) = &mut self.current {
            current.stage = row.stage;
            let committed = row
                .verifiers
                .iter()
                .filter(|drawn| drawn.nonce_commitment.is_some());
            current.committed = committed.map(|drawn| drawn.account).collect();
            if !row.answers.is_empty() && matches!(current.phase, Phase::Waiting) {
                tracing::info!(challenge = %row.id, "the answer is on chain and its work is lost: doing it again");
                current.recovering = true;
                let nonces = row.nonces_used.clone();
                self.compute(nonces);
            }
        }
        self.begin_if_ready();
    }

    fn drop_current(&mut self) {
        if let Some(current) = self.current.take() {
            tracing::info!(challenge = %current.terms.challenge, "over for this worker");
            if !matches!(current.phase, Phase::Computing) {
                let engines = self.engines.clone();
                tokio::task::spawn_blocking(move || engines.release());
            }
        }
    }

    /// Dials the drawn verifiers.
    async fn take_on(&mut self, row: &Challenge, device: &Device) -> Result<(), String> {
        let text = |error: io_client::ClientError| error.to_string();
        self.catalogue = self.chain.catalogue().await.map_err(text)?;
        let terms = Terms::new(row, device, &self.catalogue).map_err(|error| error.to_string())?;
        let verifiers = self.chain.verifiers().await.map_err(text)?;
        let mut links = BTreeMap::new();
        for verifier in verifiers
            .into_iter()
            .filter(|verifier| terms.drawn.contains(&verifier.account))
        {
            let identity = Arc::clone(&self.identity);
            let link = Link::dial(
                verifier.url,
                verifier.account,
                identity,
                self.link_events.clone(),
            );
            links.insert(verifier.account, link);
        }
        tracing::info!(challenge = %row.id, verifiers = links.len(), stage = ?row.stage, "challenged");
        self.current = Some(Current {
            terms,
            stage: row.stage,
            committed: BTreeSet::new(),
            nonces: BTreeMap::new(),
            used: Vec::new(),
            enough_at: None,
            phase: Phase::Waiting,
            asked: Vec::new(),
            links,
            recovering: false,
        });
        Ok(())
    }

    fn frame(&mut self, verifier: AccountId, frame: &VerifierFrame) {
        let Some(current) = &mut self.current else {
            return;
        };
        let id = current.terms.challenge;
        match *frame {
            VerifierFrame::Nonce { challenge, first } if challenge == id => {
                current.nonces.entry(verifier).or_insert(first);
                self.begin_if_ready();
            }
            VerifierFrame::Draw { challenge, second } if challenge == id => {
                current.asked.push((verifier, second));
                self.open_asked();
            }
            VerifierFrame::Nonce { .. }
            | VerifierFrame::Draw { .. }
            | VerifierFrame::Hello { .. }
            | VerifierFrame::Welcome
            | VerifierFrame::Closing { .. }
            | VerifierFrame::Alive => tracing::debug!(%verifier, "a frame of no use"),
        }
    }

    /// Begins once all nonces are there, or enough and the last were waited for.
    fn begin_if_ready(&mut self) {
        let grace = self.settings.nonce_grace;
        let Some(current) = &mut self.current else {
            return;
        };
        let enough = current.nonces.len() >= current.terms.nonces_needed();
        if !matches!(current.phase, Phase::Waiting) || !enough {
            return;
        }
        let since = *current.enough_at.get_or_insert_with(Instant::now);
        let known = !current.committed.is_empty() && current.stage != ChallengeStage::Nonces;
        let all = known
            && current
                .committed
                .iter()
                .all(|account| current.nonces.contains_key(account));
        if all || since.elapsed() >= grace {
            let nonces = current
                .nonces
                .iter()
                .map(|(account, nonce)| (*account, *nonce))
                .collect();
            self.compute(nonces);
        }
    }

    /// Starts the work on threads that may block.
    fn compute(&mut self, nonces: Vec<(AccountId, Hash)>) {
        let Some(current) = &mut self.current else {
            return;
        };
        current.phase = Phase::Computing;
        current.used.clone_from(&nonces);
        let work = Work {
            terms: current.terms.clone(),
            nonces,
        };
        let (id, redraws) = (work.terms.challenge, work.terms.redraws);
        tracing::info!(challenge = %id, nonces = work.nonces.len(), "computing");
        let (engines, results) = (self.engines.clone(), self.results.clone());
        let ProverSettings {
            self_check_elements,
            watch_cards,
            ..
        } = self.settings;
        tokio::task::spawn_blocking(move || {
            let tell = |result| {
                if results.blocking_send(result).is_err() {
                    tracing::debug!("the worker stopped before its work was done");
                }
            };
            let answer = busy(watch_cards)
                .and_then(|()| engines.fill(&work))
                .and_then(|roots| {
                    tell(Done::Filled(id, redraws, roots.clone()));
                    engines.walk(&work, &roots, self_check_elements)
                });
            tell(Done::Answered(id, redraws, answer));
        });
    }

    fn result(&mut self, result: Done) {
        let (id, redraws) = match &result {
            Done::Filled(id, redraws, _) | Done::Answered(id, redraws, _) => (*id, *redraws),
        };
        let Some(current) = &mut self.current else {
            return;
        };
        if current.terms.challenge != id || current.terms.redraws != redraws {
            return;
        }
        match result {
            Done::Filled(_, _, roots) => tell_all(
                current,
                &WorkerFrame::PhaseA {
                    challenge: id,
                    roots,
                },
            ),
            Done::Answered(_, _, Ok(answer)) => {
                tracing::info!(challenge = %id, "computed");
                let commits = answer.commits.clone();
                if !current.recovering {
                    let action = CommitAnswer {
                        challenge: id,
                        nonces: current.used.clone(),
                        processors: answer.processors.clone(),
                    };
                    tokio::spawn(send_answer(self.chain.clone(), action));
                }
                tell_all(
                    current,
                    &WorkerFrame::Committed {
                        challenge: id,
                        commits,
                    },
                );
                current.phase = Phase::Answered(answer);
                self.open_asked();
            }
            Done::Answered(_, _, Err(why)) => {
                tracing::error!(challenge = %id, %why, "cannot answer");
                tell_all(current, &WorkerFrame::Unable { challenge: id, why });
                current.phase = Phase::Failed;
            }
        }
    }

    /// Serves those who drew, one after the other.
    fn open_asked(&mut self) {
        let Some(current) = &mut self.current else {
            return;
        };
        let Phase::Answered(answer) = &current.phase else {
            return;
        };
        for (verifier, second) in std::mem::take(&mut current.asked) {
            let Some(link) = current.links.get(&verifier) else {
                continue;
            };
            let job = Opening {
                engines: self.engines.clone(),
                terms: current.terms.clone(),
                commits: answer.commits.clone(),
                verifier,
                second,
                frames: link.frames(),
            };
            tokio::task::spawn_blocking(move || job.serve());
        }
    }
}

/// Sends a frame to every verifier; one that is not connected gets it when it is.
fn tell_all(current: &Current, frame: &WorkerFrame) {
    for (verifier, link) in &current.links {
        if link.frames().try_send(frame.clone()).is_err() {
            tracing::warn!(%verifier, "a frame was dropped: the connection takes no more");
        }
    }
}

/// Processes of others on the cards.
fn busy(watch_cards: bool) -> Result<(), String> {
    if !watch_cards {
        return Ok(());
    }
    let own = std::process::id();
    for card in io_gpu::facts().unwrap_or_default() {
        if let Some(process) = card.processes.iter().find(|process| process.pid != own) {
            return Err(format!(
                "busy: process {} uses card {}",
                process.pid, card.uuid
            ));
        }
    }
    Ok(())
}

async fn send_answer<C: Chain>(chain: C, action: CommitAnswer) {
    let id = action.challenge;
    for _try in 0..SEND_TRIES {
        match chain
            .submit(Lane::Challenge, vec![Action::CommitAnswer(action.clone())])
            .await
        {
            Ok(_done) => {
                tracing::info!(challenge = %id, "answered");
                return;
            }
            Err(error) if error.is_refusal() => {
                tracing::warn!(challenge = %id, %error, "the answer was refused");
                return;
            }
            Err(error) => tracing::warn!(challenge = %id, %error, "the answer was not sent"),
        }
        tokio::time::sleep(SEND_PAUSE).await;
    }
}

/// Openings for one verifier.
struct Opening {
    engines: Engines,
    terms: Terms,
    commits: Vec<Hash>,
    verifier: AccountId,
    second: Hash,
    frames: mpsc::Sender<WorkerFrame>,
}

impl Opening {
    fn serve(self) {
        for processor in 0..self.terms.quantity {
            let asked = (self.verifier, self.second);
            let bytes = match self
                .engines
                .open(&self.terms, &self.commits, processor, asked)
            {
                Ok(bytes) => bytes,
                Err(why) => {
                    tracing::error!(challenge = %self.terms.challenge, processor, %why, "cannot open");
                    return;
                }
            };
            let chunks = bytes.chunks(CHUNK_BYTES_MAX);
            let parts = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
            for (part, chunk) in (0_u32..).zip(chunks) {
                let frame = WorkerFrame::Openings {
                    challenge: self.terms.challenge,
                    processor,
                    part,
                    parts,
                    bytes: chunk.to_vec(),
                };
                if self.frames.blocking_send(frame).is_err() {
                    return;
                }
            }
        }
        tracing::info!(challenge = %self.terms.challenge, verifier = %self.verifier, "opened");
    }
}
