//! One challenge after the other: nonces out, times taken, openings checked, a verdict committed and revealed.
//!
//! The judge asks the chain where each of its challenges is and does what is due; each step may be done twice without harm,
//! so nothing but the records must survive a crash.

mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use io_challenge::{Draw, Roots, Seed};
use io_client::ClientError;
use io_types::action::{
    CommitNonce, CommitVerdict, ReportFraud, RevealNonce, RevealVerdict, Verdict, VerdictBody,
};
use io_types::catalogue::Catalogue;
use io_types::row::{Challenge, ChallengeStage, DrawnVerifier};
use io_types::stream::{VerifierFrame, WorkerFrame};
use io_types::{AccountId, Action, ChallengeId, DeviceId, Height};
use tokio::sync::mpsc;

use crate::backend;
use crate::chain::Chain;
use crate::check::{self, Finding};
use crate::config::Config;
use crate::outbox::Outbox;
use crate::record::{Record, RecordError, Records};
use crate::server::{Inbound, Roster};
use crate::terms::Terms;

use task::{Collected, Task};

/// A verdict is committed that many blocks before the stage ends, with whatever is known by then.
const MARGIN_BLOCKS: u64 = 3;
/// An action that the chain does not show that many blocks after it was sent is sent again.
const RESEND_BLOCKS: u64 = 4;

/// What a check of one processor's openings found.
#[derive(Debug)]
pub struct Checked {
    challenge: ChallengeId,
    redraws: u8,
    processor: u16,
    finding: Finding,
    replayed: bool,
}

/// Why the judge stops.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// Records cannot be kept.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The judge of one verifier.
#[derive(Debug)]
pub struct Judge<C> {
    chain: C,
    account: AccountId,
    config: Config,
    roster: Arc<Roster>,
    records: Records,
    outbox: Outbox,
    catalogue: Catalogue,
    tasks: BTreeMap<ChallengeId, Task>,
    checks: mpsc::Sender<Checked>,
    height: Height,
    ticked: Option<Instant>,
}

impl<C: Chain> Judge<C> {
    /// A judge with nothing to do yet, and where its checks report to.
    pub fn new(
        chain: C,
        config: Config,
        roster: Arc<Roster>,
        records: Records,
        catalogue: Catalogue,
    ) -> (Self, mpsc::Receiver<Checked>) {
        let (checks, results) = mpsc::channel(256);
        let judge = Self {
            account: chain.account(),
            outbox: Outbox::start(chain.clone()),
            chain,
            config,
            roster,
            records,
            catalogue,
            tasks: BTreeMap::new(),
            checks,
            height: Height(0),
            ticked: None,
        };
        (judge, results)
    }

    /// Works until the inbox closes or records cannot be kept.
    ///
    /// # Errors
    /// A disk that does not take the records: going on would cost bonds.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Inbound>,
        mut results: mpsc::Receiver<Checked>,
    ) -> Result<(), JudgeError> {
        let mut poll = tokio::time::interval(self.config.poll());
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                inbound = inbox.recv() => match inbound {
                    Some(inbound) => self.inbound(inbound)?,
                    None => return Ok(()),
                },
                Some(checked) = results.recv() => self.checked(checked)?,
                _tick = poll.tick() => {
                    if let Err(error) = self.look().await? {
                        tracing::warn!(%error, "the chain was not read");
                    }
                }
            }
        }
    }

    /// Reads where the challenges are, and does what is due.
    async fn look(&mut self) -> Result<Result<(), ClientError>, JudgeError> {
        let height = match self.chain.status().await {
            Ok(status) => status.height,
            Err(error) => return Ok(Err(error)),
        };
        if height != self.height
            && let Err(error) = self.refresh(height).await?
        {
            return Ok(Err(error));
        }
        let ids: Vec<ChallengeId> = self.tasks.keys().copied().collect();
        for id in ids {
            self.step(id)?;
        }
        Ok(Ok(()))
    }

    async fn refresh(&mut self, height: Height) -> Result<Result<(), ClientError>, JudgeError> {
        let rows = match self.chain.assigned().await {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        let now: BTreeMap<ChallengeId, Challenge> =
            rows.into_iter().map(|row| (row.id, row)).collect();
        let over: Vec<ChallengeId> = self
            .tasks
            .keys()
            .filter(|id| !now.contains_key(id))
            .copied()
            .collect();
        for id in over {
            tracing::info!(challenge = %id, "over");
            self.tasks.remove(&id);
            self.records.remove(id)?;
        }
        for (id, row) in now {
            match self.tasks.get_mut(&id) {
                Some(task) if task.row.redraws == row.redraws => task.row = row,
                Some(_) | None => {
                    if let Err(error) = self.begin(row).await? {
                        return Ok(Err(error));
                    }
                }
            }
        }
        if self.ticked.is_none() {
            self.forget_old()?;
        }
        self.ticked = Some(Instant::now());
        self.height = height;
        Ok(Ok(()))
    }

    /// Records of challenges that were decided while this program was down.
    fn forget_old(&mut self) -> Result<(), JudgeError> {
        for id in self.records.list()? {
            if !self.tasks.contains_key(&id) {
                self.records.remove(id)?;
            }
        }
        Ok(())
    }

    /// Takes a challenge on, with the record that an earlier process left of this draw.
    async fn begin(&mut self, row: Challenge) -> Result<Result<(), ClientError>, JudgeError> {
        let device = match self.chain.device(row.device).await {
            Ok(view) => view.device,
            Err(error) => return Ok(Err(error)),
        };
        let mut terms = Terms::new(&row, &device, &self.catalogue);
        if terms.is_err() {
            // The catalogue may have changed since it was read.
            match self.chain.catalogue().await {
                Ok(catalogue) => self.catalogue = catalogue,
                Err(error) => return Ok(Err(error)),
            }
            terms = Terms::new(&row, &device, &self.catalogue);
        }
        let terms = match terms {
            Ok(terms) => terms,
            Err(error) => {
                tracing::error!(%error, "cannot judge");
                return Ok(Ok(()));
            }
        };
        let found = self
            .records
            .read(row.id)?
            .filter(|record| record.redraws == row.redraws);
        let committed =
            mine(&row, self.account).is_some_and(|drawn| drawn.nonce_commitment.is_some());
        let record = match found {
            Some(record) => record,
            None if committed => {
                tracing::error!(challenge = %row.id, "this key has committed a nonce and its record is lost: the bond will be too");
                return Ok(Ok(()));
            }
            None => Record::draw(&row),
        };
        tracing::info!(challenge = %row.id, device = %row.device, stage = ?row.stage, "drawn");
        self.tasks.insert(row.id, Task::new(row, terms, record));
        Ok(Ok(()))
    }

    fn inbound(&mut self, inbound: Inbound) -> Result<(), JudgeError> {
        let device = match &inbound {
            Inbound::Joined { device } | Inbound::Frame { device, .. } => *device,
        };
        let Some(id) = self.challenge_of(device) else {
            return Ok(());
        };
        if let Inbound::Frame { frame, at, .. } = inbound {
            self.frame(id, frame, at);
        }
        self.step(id)
    }

    fn challenge_of(&self, device: DeviceId) -> Option<ChallengeId> {
        let of = |(id, task): (&ChallengeId, &Task)| (task.row.device == device).then_some(*id);
        self.tasks.iter().find_map(of)
    }

    /// Takes a worker's frame in. One for another challenge, or out of order, says nothing.
    fn frame(&mut self, id: ChallengeId, frame: WorkerFrame, at: Instant) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        match frame {
            WorkerFrame::PhaseA { challenge, roots } if challenge == id => {
                task.phase_a(roots, at);
            }
            WorkerFrame::Committed { challenge, commits } if challenge == id => {
                task.committed(&commits, at);
            }
            WorkerFrame::Unable { challenge, why } if challenge == id => {
                tracing::info!(challenge = %id, %why, "the worker cannot answer");
                task.unable = Some(why);
            }
            WorkerFrame::Openings {
                challenge,
                processor,
                part,
                parts,
                bytes,
            } if challenge == id => match task.opening(processor, part, parts, &bytes) {
                Collected::Complete(bytes) => self.check(id, processor, bytes),
                Collected::More => {}
                Collected::Wrong(why) => task.fail(Verdict::WrongAnswer, &why),
            },
            WorkerFrame::PhaseA { .. }
            | WorkerFrame::Committed { .. }
            | WorkerFrame::Unable { .. }
            | WorkerFrame::Openings { .. }
            | WorkerFrame::Hello { .. }
            | WorkerFrame::Alive => tracing::debug!(challenge = %id, "a frame of no use"),
        }
    }

    /// Checks complete openings beside this loop.
    fn check(&mut self, id: ChallengeId, processor: u16, bytes: Vec<u8>) {
        let Some(task) = self.tasks.get(&id) else {
            return;
        };
        let Some((seed, roots, draw)) = task.question(processor) else {
            return;
        };
        let replayed = rand::random::<u8>() % 100 < self.config.replay_percent;
        let job = CheckJob {
            terms: task.terms.clone(),
            seed,
            roots,
            draw,
            bytes,
            replay: replayed.then_some(self.config.backend),
        };
        let redraws = task.row.redraws;
        let report = self.checks.clone();
        tokio::task::spawn_blocking(move || {
            let checked = Checked {
                challenge: id,
                redraws,
                processor,
                finding: job.run(),
                replayed,
            };
            if report.blocking_send(checked).is_err() {
                tracing::debug!("the verifier stopped before a check was over");
            }
        });
    }

    fn checked(&mut self, checked: Checked) -> Result<(), JudgeError> {
        let Checked {
            challenge: id,
            redraws,
            processor,
            finding,
            replayed,
        } = checked;
        let Some(task) = self
            .tasks
            .get_mut(&id)
            .filter(|task| task.row.redraws == redraws)
        else {
            return Ok(());
        };
        match finding {
            Finding::Right => task.right(processor, replayed),
            Finding::Wrong(why) => {
                tracing::warn!(challenge = %id, device = %task.row.device, processor, %why, "wrong openings");
                task.fail(Verdict::WrongAnswer, &why);
            }
            Finding::Fraud { why, proof } => {
                tracing::warn!(challenge = %id, device = %task.row.device, processor, %why, "a wrong answer, proven");
                task.fail(Verdict::WrongAnswer, &why);
                if self.config.report_fraud {
                    let report = ReportFraud {
                        challenge: id,
                        processor,
                        proof,
                    };
                    self.outbox.put(Action::ReportFraud(report));
                }
            }
        }
        self.step(id)
    }

    /// Does what is due in a challenge's stage.
    fn step(&mut self, id: ChallengeId) -> Result<(), JudgeError> {
        let Some(stage) = self.tasks.get(&id).map(|task| task.row.stage) else {
            return Ok(());
        };
        match stage {
            ChallengeStage::Nonces => self.commit_nonce(id),
            ChallengeStage::Answer => self.send_nonce(id),
            ChallengeStage::Verdicts => self.judge(id),
            ChallengeStage::Reveals => {
                self.reveal(id);
                Ok(())
            }
            ChallengeStage::AwaitingBeacon | ChallengeStage::Decided => Ok(()),
        }
    }

    fn commit_nonce(&mut self, id: ChallengeId) -> Result<(), JudgeError> {
        let Some(task) = self.tasks.get_mut(&id) else {
            return Ok(());
        };
        let done =
            mine(&task.row, self.account).is_none_or(|drawn| drawn.nonce_commitment.is_some());
        if done || !task.is_due("commit_nonce", self.height, RESEND_BLOCKS) {
            return Ok(());
        }
        self.records.write(&task.record)?;
        let commitment = task.record.nonce_commitment(&self.account);
        let action = CommitNonce {
            challenge: id,
            commitment,
        };
        self.outbox.put(Action::CommitNonce(action));
        Ok(())
    }

    /// Sends the first nonce on each connection of the worker; the clock starts with the first of them.
    fn send_nonce(&mut self, id: ChallengeId) -> Result<(), JudgeError> {
        let Some(task) = self.tasks.get_mut(&id) else {
            return Ok(());
        };
        let commitment = mine(&task.row, self.account).and_then(|drawn| drawn.nonce_commitment);
        if commitment != Some(task.record.nonce_commitment(&self.account)) {
            return Ok(());
        }
        let Some(session) = self.roster.session(task.row.device) else {
            return Ok(());
        };
        if task.nonce_session == Some(session) {
            return Ok(());
        }
        if !task.record.measuring {
            task.record.measuring = true;
            self.records.write(&task.record)?;
            task.sent_at = Some(Instant::now());
        }
        let frame = VerifierFrame::Nonce {
            challenge: id,
            first: task.record.first,
        };
        task.note(&frame);
        task.nonce_session = self.roster.send(task.row.device, frame);
        tracing::info!(challenge = %id, "nonce sent");
        Ok(())
    }

    /// The answer is final: draws the openings, and gives the verdict once they are checked or their time is over.
    fn judge(&mut self, id: ChallengeId) -> Result<(), JudgeError> {
        let Some(task) = self.tasks.get_mut(&id) else {
            return Ok(());
        };
        let Some(drawn) = mine(&task.row, self.account) else {
            return Ok(());
        };
        if drawn.nonce_commitment.is_none() {
            return Ok(());
        }
        let is_committed = drawn.verdict_commitment.is_some();
        if task.record.verdict.is_none() {
            task.see_answer(self.account, Instant::now());
            if task.record.times_ms.is_some() {
                self.records.write(&task.record)?;
            }
            draw(task, &self.roster);
            let deadline = task.row.deadline.0;
            let last_call = self.height.0.saturating_add(MARGIN_BLOCKS) >= deadline;
            let Some(verdict) = task.verdict(self.config.openings_within(), last_call) else {
                return Ok(());
            };
            task.record.verdict = Some(body(task, verdict));
            self.records.write(&task.record)?;
            tracing::info!(challenge = %id, device = %task.row.device, ?verdict, times_ms = ?task.record.times_ms, why = task.why.as_deref().unwrap_or("-"), "verdict");
        }
        let commitment = task.record.verdict_commitment(&self.account);
        if let Some(commitment) = commitment.filter(|_commitment| !is_committed)
            && task.is_due("commit_verdict", self.height, RESEND_BLOCKS)
        {
            let action = CommitVerdict {
                challenge: id,
                commitment,
            };
            self.outbox.put(Action::CommitVerdict(action));
        }
        Ok(())
    }

    fn reveal(&mut self, id: ChallengeId) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        let Some(drawn) = mine(&task.row, self.account).cloned() else {
            return;
        };
        let record = &task.record;
        let nonce_fits = drawn.nonce_commitment == Some(record.nonce_commitment(&self.account));
        let verdict_fits = drawn.verdict_commitment.is_some()
            && drawn.verdict_commitment == record.verdict_commitment(&self.account);
        let nonce = (drawn.nonces.is_none() && nonce_fits).then_some(RevealNonce {
            challenge: id,
            first: record.first,
            second: record.second,
        });
        let verdict = record
            .verdict
            .clone()
            .filter(|_body| drawn.verdict.is_none() && verdict_fits)
            .map(|body| RevealVerdict {
                challenge: id,
                salt: record.salt,
                body,
            });
        if (nonce.is_some() || verdict.is_some())
            && task.is_due("reveal", self.height, RESEND_BLOCKS)
        {
            let actions = [
                nonce.map(Action::RevealNonce),
                verdict.map(Action::RevealVerdict),
            ];
            for action in actions.into_iter().flatten() {
                self.outbox.put(action);
            }
        }
    }
}

/// Sends the second nonce on each connection of the worker, once.
fn draw(task: &mut Task, roster: &Roster) {
    let Some(session) = roster.session(task.row.device) else {
        return;
    };
    if task.draw_session == Some(session) || task.is_failed() {
        return;
    }
    let frame = VerifierFrame::Draw {
        challenge: task.row.id,
        second: task.record.second,
    };
    task.note(&frame);
    task.draw_session = roster.send(task.row.device, frame);
    task.drawn_at.get_or_insert_with(Instant::now);
}

fn body(task: &Task, verdict: Verdict) -> VerdictBody {
    let (phase_a_ms, phase_b_ms) = task.record.times_ms.unwrap_or((0, 0));
    VerdictBody {
        verdict,
        phase_a_ms,
        phase_b_ms,
        transcript: task.transcript,
        replayed: task.is_replayed(),
        class: None,
    }
}

fn mine(row: &Challenge, account: AccountId) -> Option<&DrawnVerifier> {
    row.verifiers.iter().find(|drawn| drawn.account == account)
}

struct CheckJob {
    terms: Terms,
    seed: Seed,
    roots: Roots,
    draw: Draw,
    bytes: Vec<u8>,
    replay: Option<backend::Backend>,
}

impl CheckJob {
    fn run(self) -> Finding {
        let Self {
            terms,
            seed,
            roots,
            draw,
            bytes,
            replay,
        } = self;
        let mut engine = match replay
            .map(|backend| backend::choose(backend, 1))
            .transpose()
        {
            Ok(chosen) => chosen.and_then(|mut chosen| chosen.engines.pop()),
            Err(why) => {
                tracing::warn!(%why, "not replayed");
                None
            }
        };
        match &mut engine {
            Some(engine) => {
                check::check(&terms, &seed, &roots, &draw, &bytes, Some(engine.as_mut()))
            }
            None => check::check(&terms, &seed, &roots, &draw, &bytes, None),
        }
    }
}
