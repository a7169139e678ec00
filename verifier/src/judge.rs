//! One challenge after the other: nonces out, times taken, openings checked, a verdict committed and revealed.
//!
//! The judge asks the chain where each of its challenges is and does what is due; each step may be done twice without harm,
//! so nothing but the records must survive a crash.

mod opened;
mod stage;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use io_client::ClientError;
use io_types::action::Verdict;
use io_types::catalogue::Catalogue;
use io_types::params::VerificationParams;
use io_types::row::{Challenge, DrawnVerifier};
use io_types::stream::WorkerFrame;
use io_types::{AccountId, ChallengeId, DeviceId, Height};
use tokio::sync::mpsc;

use crate::chain::Chain;
use crate::config::Config;
use crate::outbox::Outbox;
use crate::record::{Record, RecordError, Records};
use crate::server::{Inbound, Roster};
use crate::terms::Terms;

pub use opened::Checked;
use task::{Collected, Task};

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
    /// By which the class that the times show is said.
    params: VerificationParams,
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
        (catalogue, params): (Catalogue, VerificationParams),
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
            params,
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
        // Both may have changed since the challenge before.
        match (self.chain.catalogue().await, self.chain.params().await) {
            (Ok(catalogue), Ok(params)) => {
                self.catalogue = catalogue;
                self.params = params.verification;
            }
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        }
        let terms = match Terms::new(&row, &device, &self.catalogue) {
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
}

fn mine(row: &Challenge, account: AccountId) -> Option<&DrawnVerifier> {
    row.verifiers.iter().find(|drawn| drawn.account == account)
}
