//! Checks of openings, beside the judge's loop.

use io_challenge::{Draw, Roots, Seed};
use io_types::action::{ReportFraud, Verdict};
use io_types::{Action, ChallengeId};

use crate::backend;
use crate::chain::Chain;
use crate::check::{self, Finding};
use crate::terms::Terms;

use super::{Judge, JudgeError};

/// What a check of one processor's openings found.
#[derive(Debug)]
pub struct Checked {
    challenge: ChallengeId,
    redraws: u8,
    processor: u16,
    finding: Finding,
}

impl<C: Chain> Judge<C> {
    /// Checks complete openings beside this loop.
    pub(super) fn check(&mut self, id: ChallengeId, processor: u16, bytes: Vec<u8>) {
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
            };
            if report.blocking_send(checked).is_err() {
                tracing::debug!("the verifier stopped before a check was over");
            }
        });
    }

    pub(super) fn checked(&mut self, checked: Checked) -> Result<(), JudgeError> {
        let Checked {
            challenge: id,
            redraws,
            processor,
            finding,
        } = checked;
        let Some(task) = self
            .tasks
            .get_mut(&id)
            .filter(|task| task.row.redraws == redraws)
        else {
            return Ok(());
        };
        match finding {
            Finding::Right { replayed } => task.right(processor, replayed),
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
