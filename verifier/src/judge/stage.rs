//! What is due in each stage of a challenge. Each step may be done twice without harm.

use std::time::Instant;

use io_types::action::{
    CommitNonce, CommitVerdict, RevealNonce, RevealVerdict, Verdict, VerdictBody,
};
use io_types::catalogue::{Catalogue, ClassId};
use io_types::class::class_shown;
use io_types::params::VerificationParams;
use io_types::row::ChallengeStage;
use io_types::stream::VerifierFrame;
use io_types::{Action, ChallengeId};

use crate::chain::Chain;
use crate::server::Roster;

use super::task::Task;
use super::{Judge, JudgeError, mine};

/// A verdict is committed that many blocks before the stage ends, with whatever is known by then.
const MARGIN_BLOCKS: u64 = 3;
/// An action that the chain does not show that many blocks after it was sent is sent again.
const RESEND_BLOCKS: u64 = 4;

impl<C: Chain> Judge<C> {
    /// Does what is due in a challenge's stage.
    pub(super) fn step(&mut self, id: ChallengeId) -> Result<(), JudgeError> {
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
            let class = class(task, verdict, (&self.catalogue, &self.params));
            task.record.verdict = Some(body(task, verdict, class));
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

/// The class that this verifier's own times show. The chain grants by the medians of all.
fn class(
    task: &Task,
    verdict: Verdict,
    (catalogue, params): (&Catalogue, &VerificationParams),
) -> Option<ClassId> {
    let times_ms = task.record.times_ms?;
    (verdict == Verdict::Pass)
        .then(|| class_shown(catalogue, params, &task.terms.class, times_ms))
        .flatten()
}

fn body(task: &Task, verdict: Verdict, class: Option<ClassId>) -> VerdictBody {
    let (phase_a_ms, phase_b_ms) = task.record.times_ms.unwrap_or((0, 0));
    VerdictBody {
        verdict,
        phase_a_ms,
        phase_b_ms,
        transcript: task.transcript,
        replayed: task.is_replayed(),
        class,
    }
}
