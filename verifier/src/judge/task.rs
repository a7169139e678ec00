//! What is known of one challenge while it is judged. Nothing here talks to anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use borsh::BorshSerialize;
use io_challenge::{Assembler, Digest, Draw, Roots, Seed};
use io_types::action::Verdict;
use io_types::row::{Challenge, ChallengeStage};
use io_types::{AccountId, Hash, Height};

use crate::record::Record;
use crate::terms::{Terms, roots_of};

/// What came of a piece of openings.
#[derive(Debug)]
pub(super) enum Collected {
    /// All bytes of this processor.
    Complete(Vec<u8>),
    /// More must come, or it came too early.
    More,
    /// No openings look like this.
    Wrong(String),
}

/// The questions of this verifier to one processor, and the pieces of its answer.
#[derive(Debug)]
struct Question {
    seed: Seed,
    roots: Roots,
    draw: Draw,
    /// Pieces so far; none once complete.
    assembler: Option<Assembler>,
    parts: u32,
}

/// One challenge in the works.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) row: Challenge,
    pub(super) terms: Terms,
    pub(super) record: Record,
    /// When the first nonce was first sent by this process.
    pub(super) sent_at: Option<Instant>,
    pub(super) nonce_session: Option<u64>,
    pub(super) draw_session: Option<u64>,
    /// When the second nonce was first sent.
    pub(super) drawn_at: Option<Instant>,
    pub(super) unable: Option<String>,
    pub(super) transcript: Hash,
    /// Why the verdict is not pass.
    pub(super) why: Option<String>,
    phase_a: Option<(Instant, Vec<Hash>)>,
    committed: Option<(Instant, Vec<Hash>)>,
    questions: Vec<Question>,
    right: BTreeSet<u16>,
    replayed: BTreeSet<u16>,
    failed: Option<Verdict>,
    seen: bool,
    /// Whether this process was there before the device could begin.
    from_the_start: bool,
    sent: BTreeMap<&'static str, Height>,
}

impl Task {
    pub(super) fn new(row: Challenge, terms: Terms, record: Record) -> Self {
        Self {
            from_the_start: row.stage == ChallengeStage::Nonces,
            row,
            terms,
            record,
            sent_at: None,
            nonce_session: None,
            draw_session: None,
            drawn_at: None,
            unable: None,
            transcript: Hash::ZERO,
            why: None,
            phase_a: None,
            committed: None,
            questions: Vec::new(),
            right: BTreeSet::new(),
            replayed: BTreeSet::new(),
            failed: None,
            seen: false,
            sent: BTreeMap::new(),
        }
    }

    /// Whether an action should be sent now: never before, or so long ago that it was lost. Notes that it is.
    pub(super) fn is_due(&mut self, action: &'static str, height: Height, resend: u64) -> bool {
        let due = self
            .sent
            .get(action)
            .is_none_or(|sent| height.0 >= sent.0.saturating_add(resend));
        if due {
            self.sent.insert(action, height);
        }
        due
    }

    /// Adds what was sent or received to the transcript.
    pub(super) fn note<T: BorshSerialize>(&mut self, what: &T) {
        self.transcript = io_types::codec::hash_of(&self.transcript.0, what);
    }

    /// The roots of phase A: the first ones count.
    pub(super) fn phase_a(&mut self, roots: Vec<Hash>, at: Instant) {
        if self.sent_at.is_some() && self.phase_a.is_none() {
            self.note(&roots);
            self.phase_a = Some((at, roots));
        }
    }

    /// The commits: the first ones count.
    pub(super) fn committed(&mut self, commits: &[Hash], at: Instant) {
        if self.sent_at.is_some() && self.committed.is_none() {
            self.note(&commits);
            self.committed = Some((at, commits.to_vec()));
        }
    }

    /// The answer is on chain: takes the times, and draws this verifier's questions. Once.
    pub(super) fn see_answer(&mut self, account: AccountId, now: Instant) {
        if self.seen {
            return;
        }
        self.seen = true;
        if self.row.answers.is_empty() {
            let (verdict, why) = self.silence();
            self.fail(verdict, why);
            return;
        }
        let used = self
            .row
            .nonces_used
            .iter()
            .find(|(verifier, _nonce)| *verifier == account);
        if used.is_some_and(|(_verifier, nonce)| *nonce != self.record.first) {
            self.fail(
                Verdict::WrongAnswer,
                "the answer names a nonce that this verifier never sent",
            );
            return;
        }
        if let Err(why) = self.prepare(account) {
            self.fail(Verdict::VerifierFault, &why);
            return;
        }
        if self.record.times_ms.is_none() {
            self.record.times_ms = self.sent_at.map(|sent| self.times(sent, now));
        }
    }

    /// No answer came in time: what this verifier can say of it.
    fn silence(&self) -> (Verdict, &'static str) {
        match &self.unable {
            Some(why) if why.starts_with("busy") => {
                (Verdict::Busy, "the worker says that its card is busy")
            }
            Some(_why) => (
                Verdict::Unreachable,
                "the worker says that it cannot answer",
            ),
            None if self.sent_at.is_some() => (
                Verdict::TooSlow,
                "the nonce was sent and no answer came in time",
            ),
            None if !self.record.measuring && self.from_the_start => (
                Verdict::Unreachable,
                "the device never connected to this verifier",
            ),
            None => (
                Verdict::VerifierFault,
                "this program was down for a part of the time to answer",
            ),
        }
    }

    fn prepare(&mut self, account: AccountId) -> Result<(), String> {
        let nonces = self.row.nonces_used.clone();
        for (processor, answer) in (0_u16..).zip(self.row.answers.clone()) {
            let text = |error: crate::terms::TermsError| error.to_string();
            let commit = self.terms.commit(&nonces, &answer).map_err(text)?;
            let draw = self
                .terms
                .draw(&commit, &account, &self.record.second)
                .map_err(text)?;
            let assembler =
                Assembler::new(&self.terms.params, &draw).map_err(|error| error.to_string())?;
            let seed = self.terms.seed(&nonces, processor).map_err(text)?;
            self.questions.push(Question {
                seed,
                roots: roots_of(&answer),
                draw,
                assembler: Some(assembler),
                parts: 0,
            });
        }
        Ok(())
    }

    /// Both times by this machine's clock. What was announced early counts only if it is what was committed to.
    fn times(&self, sent: Instant, now: Instant) -> (u32, u32) {
        let roots: Vec<Hash> = self
            .row
            .answers
            .iter()
            .map(|answer| answer.root_a)
            .collect();
        let end = self
            .committed
            .as_ref()
            .filter(|(_at, commits)| *commits == self.commits())
            .map_or(now, |(at, _commits)| *at);
        let filled = self
            .phase_a
            .as_ref()
            .filter(|(at, announced)| *announced == roots && *at <= end)
            .map_or(end, |(at, _roots)| *at);
        let ms = |from: Instant, to: Instant| {
            let passed = to.saturating_duration_since(from).as_millis();
            u32::try_from(passed).unwrap_or(u32::MAX)
        };
        (ms(sent, filled), ms(filled, end))
    }

    fn commits(&self) -> Vec<Hash> {
        let commit = |answer| self.terms.commit(&self.row.nonces_used, answer).ok();
        let commits = self.row.answers.iter().filter_map(commit);
        commits.map(|digest: Digest| Hash(digest)).collect()
    }

    /// A piece of the openings of one processor.
    pub(super) fn opening(
        &mut self,
        processor: u16,
        part: u32,
        parts: u32,
        bytes: &[u8],
    ) -> Collected {
        if self.drawn_at.is_none() {
            return Collected::More;
        }
        let Some(question) = self.questions.get_mut(usize::from(processor)) else {
            return Collected::Wrong(format!(
                "openings of processor {processor}, which the device does not have"
            ));
        };
        if part == 0 && question.assembler.is_some() {
            // A worker that connected again begins from the first piece.
            match Assembler::new(&self.terms.params, &question.draw) {
                Ok(fresh) => question.assembler = Some(fresh),
                Err(error) => return Collected::Wrong(error.to_string()),
            }
            question.parts = 0;
        }
        let Some(assembler) = &mut question.assembler else {
            return Collected::More;
        };
        if part >= parts {
            return Collected::Wrong(format!("piece {part} of {parts}"));
        }
        if part != question.parts {
            // A piece of a connection before; the missing ones must come in time.
            return Collected::More;
        }
        question.parts = question.parts.saturating_add(1);
        match assembler.push(bytes) {
            Ok(true) => match question.assembler.take() {
                Some(assembler) => {
                    let bytes = assembler.into_bytes();
                    self.note(&io_types::codec::sha256(&bytes));
                    Collected::Complete(bytes)
                }
                None => Collected::More,
            },
            Ok(false) => Collected::More,
            Err(error) => Collected::Wrong(error.to_string()),
        }
    }

    /// What a check of a processor's openings needs.
    pub(super) fn question(&self, processor: u16) -> Option<(Seed, Roots, Draw)> {
        let question = self.questions.get(usize::from(processor))?;
        Some((question.seed, question.roots, question.draw.clone()))
    }

    /// A processor's openings were right.
    pub(super) fn right(&mut self, processor: u16, replayed: bool) {
        self.right.insert(processor);
        if replayed {
            self.replayed.insert(processor);
        }
    }

    /// Whether every processor was replayed.
    pub(super) fn is_replayed(&self) -> bool {
        !self.questions.is_empty() && self.replayed.len() == self.questions.len()
    }

    /// The first thing that is wrong decides.
    pub(super) fn fail(&mut self, verdict: Verdict, why: &str) {
        if self.failed.is_none() {
            self.failed = Some(verdict);
            self.why = Some(why.to_owned());
        }
    }

    /// Whether something is wrong already.
    pub(super) fn is_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The verdict, once there is one. `last_call`: the stage is about to end.
    pub(super) fn verdict(
        &mut self,
        openings_within: Duration,
        last_call: bool,
    ) -> Option<Verdict> {
        if let Some(verdict) = self.failed {
            return Some(verdict);
        }
        if let Some(why) = self.unable.clone() {
            let verdict = if why.starts_with("busy") {
                Verdict::Busy
            } else {
                Verdict::Unreachable
            };
            self.fail(verdict, &why);
            return Some(verdict);
        }
        if self.record.times_ms.is_none() {
            let (verdict, why) = if self.record.measuring {
                (
                    Verdict::VerifierFault,
                    "this program restarted while it measured",
                )
            } else if self.from_the_start {
                (
                    Verdict::Unreachable,
                    "the device never connected to this verifier",
                )
            } else {
                (
                    Verdict::VerifierFault,
                    "this program was down when the device began",
                )
            };
            self.fail(verdict, why);
            return Some(verdict);
        }
        if !self.questions.is_empty() && self.right.len() == self.questions.len() {
            return Some(Verdict::Pass);
        }
        let late = self
            .drawn_at
            .is_some_and(|drawn| drawn.elapsed() > openings_within)
            && !self.all_complete();
        if late || last_call {
            let why = if late {
                "openings did not come in time"
            } else {
                "the time for verdicts is over"
            };
            self.fail(Verdict::NoOpenings, why);
            return Some(Verdict::NoOpenings);
        }
        None
    }

    /// Whether every processor's openings are here: what remains is this machine's own work.
    fn all_complete(&self) -> bool {
        self.questions
            .iter()
            .all(|question| question.assembler.is_none())
    }
}
