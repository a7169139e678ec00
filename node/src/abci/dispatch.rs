//! One request in, one response out; what happens when the application breaks is decided here and nowhere else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tendermint_proto::v0_38::abci::response_apply_snapshot_chunk::Result as ApplyResult;
use tendermint_proto::v0_38::abci::response_offer_snapshot::Result as OfferResult;
use tendermint_proto::v0_38::abci::response_process_proposal::ProposalStatus;
use tendermint_proto::v0_38::abci::response_verify_vote_extension::VerifyStatus;
use tendermint_proto::v0_38::abci::{
    RequestCheckTx, RequestPrepareProposal, ResponseApplySnapshotChunk, ResponseCheckTx,
    ResponseEcho, ResponseExtendVote, ResponseFlush, ResponseListSnapshots,
    ResponseLoadSnapshotChunk, ResponseOfferSnapshot, ResponsePrepareProposal,
    ResponseProcessProposal, ResponseQuery, ResponseVerifyVoteExtension, request, response,
};

use io_types::extension::InjectedCommit;

use super::application::{Application, Consensus, Mempool, Progress, Stop, Views};

/// The code of an answer that this node could not compute. Never a result of the chain.
pub const CODE_BROKEN: u32 = 1;

/// How often a proposal is tried with fewer transactions before it is made with none.
const PREPARE_TRIES: u32 = 8;

/// Answers requests of every connection.
pub(super) struct Dispatch {
    seat: Mutex<Seat>,
    seat_free: Condvar,
    mempool: Arc<dyn Mempool>,
    views: Arc<dyn Views>,
}

/// The consensus part, which a call takes out and puts back, so that no lock is held while it runs.
enum Seat {
    Free(Box<dyn Consensus>),
    Taken,
    /// A call broke: there is no further call.
    Closed(Stop),
}

impl Dispatch {
    pub(super) fn new(application: Application) -> Self {
        let Application {
            consensus,
            mempool,
            views,
        } = application;
        Self {
            seat: Mutex::new(Seat::Free(consensus)),
            seat_free: Condvar::new(),
            mempool,
            views,
        }
    }

    /// The answer, or the reason why the process must stop.
    pub(super) fn answer(&self, request: request::Value) -> Result<response::Value, Stop> {
        use response::Value;
        Ok(match request {
            request::Value::Echo(echo) => Value::Echo(ResponseEcho {
                message: echo.message,
            }),
            request::Value::Flush(_) => Value::Flush(ResponseFlush {}),
            request::Value::Info(info) => Value::Info(guard(|| self.views.info(info))?),
            request::Value::Query(query) => Value::Query(self.query(query)),
            request::Value::CheckTx(check) => Value::CheckTx(
                self.check(&[check])
                    .pop()
                    .unwrap_or_else(|| broken_check("no answer")),
            ),
            request::Value::ListSnapshots(_) => {
                let snapshots = guard(|| Ok(self.views.list_snapshots()))
                    .unwrap_or_else(|stop| tell(&stop, Vec::new()));
                Value::ListSnapshots(ResponseListSnapshots { snapshots })
            }
            request::Value::LoadSnapshotChunk(load) => {
                let chunk = guard(|| Ok(self.views.load_snapshot_chunk(load)));
                let chunk = chunk.unwrap_or_else(|stop| tell(&stop, Bytes::new()));
                Value::LoadSnapshotChunk(ResponseLoadSnapshotChunk { chunk })
            }
            request::Value::InitChain(init) => {
                Value::InitChain(self.decide(|consensus| consensus.init_chain(init))?)
            }
            request::Value::FinalizeBlock(block) => {
                Value::FinalizeBlock(self.decide(|consensus| consensus.finalize_block(block))?)
            }
            request::Value::Commit(_) => {
                Value::Commit(self.decide(|consensus| consensus.commit())?)
            }
            request::Value::PrepareProposal(prepare) => {
                Value::PrepareProposal(self.prepare(&prepare)?)
            }
            request::Value::ProcessProposal(process) => {
                let height = process.height;
                let verdict = self.consider("ProcessProposal", |consensus| {
                    consensus.process_proposal(process)
                })?;
                Value::ProcessProposal(ResponseProcessProposal {
                    status: proposal_status(height, verdict).into(),
                })
            }
            request::Value::ExtendVote(extend) => {
                let extension =
                    self.consider("ExtendVote", |consensus| consensus.extend_vote(extend))?;
                Value::ExtendVote(ResponseExtendVote {
                    vote_extension: extension.unwrap_or_default(),
                })
            }
            request::Value::VerifyVoteExtension(verify) => {
                let (height, validator) = (verify.height, hex::encode(&verify.validator_address));
                let verdict = self.consider("VerifyVoteExtension", |consensus| {
                    consensus.verify_vote_extension(verify)
                })?;
                let status = extension_status(height, &validator, verdict);
                Value::VerifyVoteExtension(ResponseVerifyVoteExtension {
                    status: status.into(),
                })
            }
            request::Value::OfferSnapshot(offer) => {
                let answer =
                    self.consider("OfferSnapshot", |consensus| consensus.offer_snapshot(offer))?;
                let abort = || ResponseOfferSnapshot {
                    result: OfferResult::Abort.into(),
                };
                Value::OfferSnapshot(answer.unwrap_or_else(abort))
            }
            request::Value::ApplySnapshotChunk(apply) => {
                let answer = self.consider("ApplySnapshotChunk", |consensus| {
                    consensus.apply_snapshot_chunk(apply)
                })?;
                let result = ApplyResult::Abort.into();
                let abort = || ResponseApplySnapshotChunk {
                    result,
                    ..ResponseApplySnapshotChunk::default()
                };
                Value::ApplySnapshotChunk(answer.unwrap_or_else(abort))
            }
        })
    }

    /// One answer per request. If the batch breaks, each is asked alone, so that only the one at fault is refused.
    pub(super) fn check(&self, requests: &[RequestCheckTx]) -> Vec<ResponseCheckTx> {
        let ask = |batch: &[RequestCheckTx]| {
            let answers = guard(|| Ok(self.mempool.check(batch)))?;
            if answers.len() == batch.len() {
                return Ok(answers);
            }
            Err(Stop::Fault(format!(
                "{} transactions got {} answers",
                batch.len(),
                answers.len()
            )))
        };
        match (ask(requests), requests) {
            (Ok(answers), _) => answers,
            (Err(stop), [_]) => vec![tell(&stop, broken_check(&stop.to_string()))],
            (Err(_), many) => many
                .iter()
                .flat_map(|request| self.check(std::slice::from_ref(request)))
                .collect(),
        }
    }

    fn query(&self, query: tendermint_proto::v0_38::abci::RequestQuery) -> ResponseQuery {
        guard(|| Ok(self.views.query(query))).unwrap_or_else(|stop| {
            let log = stop.to_string();
            tell(
                &stop,
                ResponseQuery {
                    code: CODE_BROKEN,
                    log,
                    ..ResponseQuery::default()
                },
            )
        })
    }

    fn prepare(&self, request: &RequestPrepareProposal) -> Result<ResponsePrepareProposal, Stop> {
        let mut rest = request.clone();
        for _ in 0..PREPARE_TRIES {
            let progress = Progress::new();
            let attempt = rest.clone();
            let answer = self.consider("PrepareProposal", |consensus| {
                consensus.prepare_proposal(attempt, &progress)
            })?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
            if rest.txs.is_empty() {
                break;
            }
            match progress.last().filter(|index| *index < rest.txs.len()) {
                Some(index) => drop(rest.txs.remove(index)),
                // Nobody said which one it was: keep the older half.
                None => rest.txs.truncate(rest.txs.len() >> 1),
            }
        }
        let progress = Progress::new();
        rest.txs.clear();
        let answer = self.consider("PrepareProposal", |consensus| {
            consensus.prepare_proposal(rest, &progress)
        })?;
        // CometBFT panics when it gets no block. The last resort is one that every node accepts: no votes, no transactions.
        Ok(answer.unwrap_or_else(|| ResponsePrepareProposal {
            txs: vec![InjectedCommit::default().encode().into()],
        }))
    }

    /// A call that may break without harm: nothing of it outlives the answer.
    fn consider<T>(
        &self,
        call: &str,
        run: impl FnOnce(&mut dyn Consensus) -> Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        let mut consensus = self.take_seat()?;
        let answer = match guard(|| run(consensus.as_mut())) {
            Ok(answer) => Some(answer),
            Err(stop) => {
                tracing::error!(call, %stop, "a proposal broke and is refused");
                let forget = || {
                    consensus.forget_proposals();
                    Ok(())
                };
                if let Err(stop) = guard(forget) {
                    return Err(self.close_seat(stop));
                }
                None
            }
        };
        self.leave_seat(consensus);
        Ok(answer)
    }

    /// A call whose result every node must share: if it breaks, this node stops.
    fn decide<T>(
        &self,
        run: impl FnOnce(&mut dyn Consensus) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let mut consensus = self.take_seat()?;
        match guard(|| run(consensus.as_mut())) {
            Ok(answer) => {
                self.leave_seat(consensus);
                Ok(answer)
            }
            Err(stop) => Err(self.close_seat(stop)),
        }
    }

    fn take_seat(&self) -> Result<Box<dyn Consensus>, Stop> {
        let mut seat = self.lock_seat();
        loop {
            match std::mem::replace(&mut *seat, Seat::Taken) {
                Seat::Free(consensus) => return Ok(consensus),
                Seat::Taken => {
                    seat = self
                        .seat_free
                        .wait(seat)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Seat::Closed(stop) => {
                    *seat = Seat::Closed(stop.clone());
                    return Err(stop);
                }
            }
        }
    }

    fn leave_seat(&self, consensus: Box<dyn Consensus>) {
        *self.lock_seat() = Seat::Free(consensus);
        self.seat_free.notify_one();
    }

    fn close_seat(&self, stop: Stop) -> Stop {
        *self.lock_seat() = Seat::Closed(stop.clone());
        self.seat_free.notify_all();
        stop
    }

    fn lock_seat(&self) -> MutexGuard<'_, Seat> {
        // Nothing runs under this lock that could leave the seat half written.
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns a panic into a fault.
fn guard<T>(run: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(Stop::Fault(format!(
            "panic: {}",
            text.as_deref().unwrap_or("without a text")
        )))
    })
}

fn tell<T>(stop: &Stop, answer: T) -> T {
    tracing::error!(%stop, "a read broke");
    answer
}

fn broken_check(text: &str) -> ResponseCheckTx {
    ResponseCheckTx {
        code: CODE_BROKEN,
        log: text.to_owned(),
        ..ResponseCheckTx::default()
    }
}

fn proposal_status(height: i64, verdict: Option<Result<(), String>>) -> ProposalStatus {
    match verdict {
        Some(Ok(())) => ProposalStatus::Accept,
        Some(Err(reason)) => {
            tracing::warn!(height, reason, "a proposal is refused");
            ProposalStatus::Reject
        }
        None => ProposalStatus::Reject,
    }
}

fn extension_status(
    height: i64,
    validator: &str,
    verdict: Option<Result<(), String>>,
) -> VerifyStatus {
    match verdict {
        Some(Ok(())) => VerifyStatus::Accept,
        Some(Err(reason)) => {
            tracing::warn!(height, validator, reason, "a vote extension is refused");
            VerifyStatus::Reject
        }
        None => VerifyStatus::Reject,
    }
}
