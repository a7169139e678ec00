//! What a validator says of Solana: deposits in order, and the last settlement.
//!
//! Each endpoint is polled by a task of its own for the bridge, its deposit queue and the program's data header, in one
//! `getMultipleAccounts` at `finalized`. No history, log or instruction is read. What an endpoint says counts only if it is consistent in
//! itself (`view`); what is reported is what at least two of them agree on (`agree`): the one with fewer
//! deposits is reported, if the others know its last record. A source that is down, slow, behind or lying takes the part away, and never
//! makes it a guess.
//!
//! [`Reader::part`] and [`Reader::supply`] read a cache: no network, no wait.

mod agree;
mod config;
mod endpoint;
mod poll;
mod status;
mod stepped;
mod view;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use io_settlement::Bytes32;
use io_settlement::account::LastSettle;
use io_settlement::deposit::Slot;
use io_types::extension::{DEPOSITS_MAX, SolanaPart};
use io_types::id::Hash;
use tokio::time::Instant;

use agree::Agreed;
pub use agree::Disagreement;
pub use config::{Bound, ReaderConfig, ReaderError};
use config::{read_pin, write_pin};
pub use endpoint::{Account, Accounts, EndpointFault, Source};
use poll::Observation;
use status::Uncertain;
pub use status::{EndpointStatus, ReaderStatus};
pub use stepped::SteppedReader;

/// The fewest endpoints that must agree.
const AGREEING_MIN: usize = 2;

/// The last deposit that the committed state credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Its number; 0 before the first.
    pub number: u64,
    /// Rolling hash after it.
    pub hash: Hash,
}

/// What a proposer adds to the commit that it injects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// Records after the watermark in order, at most 16, in io-settlement's encoding.
    pub deposits: Vec<Vec<u8>>,
    /// Bytes of `LastSettle`, once one exists.
    pub last_settle: Option<Vec<u8>>,
}

/// What the endpoints agreed on at one time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When they were compared.
    pub read_at: std::time::Instant,
    /// The lowest finalized slot among them.
    pub slot: u64,
    /// Deposits ascending by number without gaps.
    pub records: Vec<Slot>,
    /// The last settlement, once one exists and all of them have seen it.
    pub last_settle: Option<LastSettle>,
}

/// State that tasks and callers share.
#[derive(Debug)]
struct Shared {
    config: ReaderConfig,
    bound: Bound,
    board: RwLock<Board>,
}

#[derive(Debug, Default)]
struct Board {
    endpoints: Vec<(String, Observation)>,
    approved: BTreeSet<Bytes32>,
    outcome: Option<Result<Arc<Agreed>, Disagreement>>,
}

/// Asks when it is told to, without tasks and without memory.
#[derive(Debug)]
pub struct Asker {
    config: ReaderConfig,
    bound: Bound,
    endpoints: Vec<endpoint::Endpoint>,
}

impl Asker {
    /// Asks these endpoints.
    ///
    /// # Errors
    /// [`ReaderError`]: a URL that is none.
    pub fn new(config: ReaderConfig, bound: Bound) -> Result<Self, ReaderError> {
        let endpoints = open(&config)?;
        Ok(Self {
            config,
            bound,
            endpoints,
        })
    }

    /// Asks every endpoint so many times, one after the other, and compares what each of them said last.
    ///
    /// # Errors
    /// Why there is nothing certain, for people; one line for each endpoint that does not count.
    pub async fn ask(&self, from: u64, times: u8) -> Result<Snapshot, String> {
        let names = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.name().to_owned());
        let mut board = Board {
            endpoints: names.map(|name| (name, Observation::default())).collect(),
            approved: self.config.approved.iter().map(|hash| hash.0).collect(),
            outcome: None,
        };
        let mut faults = Vec::new();
        for (endpoint, (name, observation)) in self.endpoints.iter().zip(&mut board.endpoints) {
            let seen = poll::ask(endpoint, self.bound, times).await;
            if let Err(fault) = &seen {
                faults.push(format!("{name}: {fault}"));
            }
            observation.note(seen);
        }
        board.compare(&self.config, Instant::now());
        match board.outcome {
            Some(Ok(agreed)) => Ok(snapshot_of(&agreed, from)),
            Some(Err(disagreement)) => Err(disagreement.to_string()),
            None => Err(faults.join("\n")),
        }
    }
}

fn open(config: &ReaderConfig) -> Result<Vec<endpoint::Endpoint>, ReaderError> {
    let timeout = Duration::from_millis(config.timeout_ms.max(1));
    let open = |url: &String| endpoint::Endpoint::new(url, timeout);
    config.endpoints.iter().map(open).collect()
}

fn snapshot_of(agreed: &Agreed, from: u64) -> Snapshot {
    let before = from.saturating_sub(2);
    let records = agreed.after(before, DEPOSITS_MAX.saturating_add(1));
    Snapshot {
        read_at: agreed.read_at.into_std(),
        slot: agreed.slot,
        records: records.copied().collect(),
        last_settle: agreed.last_settle().copied(),
    }
}

/// Polls Solana and remembers what its endpoints agree on. Cheap to clone. Its tasks end with the last clone.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    _tasks: Arc<poll::Tasks>,
}

impl Reader {
    /// Starts polling on the current tokio runtime.
    ///
    /// # Errors
    /// [`ReaderError`]. An endpoint that is out of reach is none: it is shown in the status.
    pub fn start(config: ReaderConfig, bound: Bound) -> Result<Self, ReaderError> {
        let endpoints = open(&config)?;
        let shared = Shared::new(config, bound, &endpoints)?;
        let tasks = poll::Tasks::spawn(&shared, endpoints);
        Ok(Self {
            shared,
            _tasks: Arc::new(tasks),
        })
    }

    /// This validator's part on Solana for its next vote extension; none while there is nothing certain to say.
    pub fn part(&self, watermark: Watermark) -> Option<SolanaPart> {
        let agreed = self.shared.certain(watermark).ok()?;
        let rolling = agreed.after(watermark.number, DEPOSITS_MAX);
        Some(SolanaPart {
            first: watermark.number.saturating_add(1),
            rolling: rolling.map(|slot| Hash(slot.rolling)).collect(),
            last_settle: agreed.last_settle().map(|last| Hash(last.hash())),
        })
    }

    /// What a proposer supplies; empty while there is nothing certain to say.
    pub fn supply(&self, watermark: Watermark) -> Supply {
        let Ok(agreed) = self.shared.certain(watermark) else {
            return Supply::default();
        };
        let records = agreed.after(watermark.number, DEPOSITS_MAX);
        Supply {
            deposits: records
                .map(|slot| slot.record.to_bytes().to_vec())
                .collect(),
            last_settle: agreed.last_settle().map(|last| last.to_bytes().to_vec()),
        }
    }

    /// What the endpoints agree on, for a caller that compares with the chain itself: records from number `from` on, and the one before
    /// it if it is known.
    ///
    /// # Errors
    /// Why there is nothing certain, for people.
    pub fn snapshot(&self, from: u64) -> Result<Snapshot, String> {
        let agreed = self.shared.agreed().map_err(|why| why.to_string())?;
        Ok(snapshot_of(&agreed, from))
    }

    /// Approves a version of the program by its header hash, as governance decided.
    pub fn approve(&self, header: Hash) {
        let mut board = self
            .shared
            .board
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        board.approved.insert(header.0);
    }

    /// State of the reader. With the watermark, a chain that credited other deposits than Solana shows is an alarm.
    pub fn status(&self, watermark: Option<Watermark>) -> ReaderStatus {
        self.shared.status(watermark)
    }

    /// The state as lines for `/v1/status`.
    pub fn notes(&self, watermark: Option<Watermark>) -> Vec<String> {
        let status = self.status(watermark);
        let mut notes = Vec::new();
        if let Some(alarm) = &status.alarm {
            notes.push(format!("ALARM solana: {alarm}"));
        }
        match (&status.why_not, status.slot) {
            (Some(why), _) => notes.push(format!("solana: nothing is reported: {why}")),
            (None, slot) => notes.push(format!(
                "solana: slot {}, {} slots behind the best endpoint, deposit {}, settlement {}",
                slot.unwrap_or(0),
                status.lag_slots,
                status.deposit_number.unwrap_or(0),
                status.settled.unwrap_or(0)
            )),
        }
        for EndpointStatus { name, fault, .. } in status.endpoints {
            if let Some(fault) = fault {
                notes.push(format!("solana {name}: {fault}"));
            }
        }
        notes
    }
}

impl Shared {
    fn new(
        config: ReaderConfig,
        bound: Bound,
        endpoints: &[endpoint::Endpoint],
    ) -> Result<Arc<Self>, ReaderError> {
        if endpoints.len() < AGREEING_MIN {
            return Err(ReaderError::FewEndpoints {
                given: endpoints.len(),
            });
        }
        let mut approved: BTreeSet<Bytes32> = config.approved.iter().map(|hash| hash.0).collect();
        if approved.is_empty() {
            approved.extend(read_pin(&config)?);
        }
        let names = endpoints.iter().map(|endpoint| endpoint.name().to_owned());
        let board = Board {
            endpoints: names.map(|name| (name, Observation::default())).collect(),
            approved,
            outcome: None,
        };
        Ok(Arc::new(Self {
            config,
            bound,
            board: RwLock::new(board),
        }))
    }

    fn agreed(&self) -> Result<Arc<Agreed>, Uncertain> {
        let board = self.board.read().unwrap_or_else(PoisonError::into_inner);
        let age_max = Duration::from_millis(self.config.age_max_ms);
        match &board.outcome {
            Some(Ok(agreed)) if agreed.read_at.elapsed() <= age_max => Ok(Arc::clone(agreed)),
            Some(Err(disagreement)) => Err(disagreement.clone().into()),
            Some(Ok(_)) | None => {
                let fresh = board
                    .endpoints
                    .iter()
                    .filter(|(_name, seen)| seen.is_fresh(age_max));
                Err(Uncertain::Few {
                    agreeing: fresh.count().min(AGREEING_MIN.saturating_sub(1)),
                })
            }
        }
    }

    /// What the endpoints agree on, if the chain's last credited deposit is part of it.
    fn certain(&self, watermark: Watermark) -> Result<Arc<Agreed>, Uncertain> {
        let agreed = self.agreed()?;
        let number = watermark.number;
        match agreed.hash_at(number) {
            Some(hash) if hash == watermark.hash.0 => Ok(agreed),
            Some(_) => Err(Uncertain::OtherHistory { number }),
            // The endpoints that were compared are behind the others from whom the chain heard of it.
            None if number > agreed.number() => Ok(agreed),
            None => Err(Uncertain::Gone { number }),
        }
    }

    fn status(&self, watermark: Option<Watermark>) -> ReaderStatus {
        let outcome = match watermark {
            Some(watermark) => self.certain(watermark),
            None => self.agreed(),
        };
        let board = self.board.read().unwrap_or_else(PoisonError::into_inner);
        let age_max = Duration::from_millis(self.config.age_max_ms);
        let best = board.best_slot(age_max);
        let endpoints = board.endpoints.iter().map(|(name, seen)| EndpointStatus {
            name: name.clone(),
            slot: seen.slot(),
            age_ms: seen
                .age()
                .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            fault: seen.fault_text(age_max, best, self.config.behind_slots_max),
        });
        let agreed = outcome.as_ref().ok();
        let slot = agreed.map(|agreed| agreed.slot);
        ReaderStatus {
            reporting: agreed.is_some(),
            why_not: outcome.as_ref().err().map(ToString::to_string),
            slot,
            lag_slots: best.unwrap_or(0).saturating_sub(slot.or(best).unwrap_or(0)),
            deposit_number: agreed.map(|agreed| agreed.number()),
            settled: agreed.and_then(|agreed| agreed.settled()),
            alarm: outcome
                .as_ref()
                .err()
                .filter(|why| why.is_alarm())
                .map(ToString::to_string),
            endpoints: endpoints.collect(),
        }
    }

    /// Notes what an endpoint said and compares again.
    fn observe(&self, index: usize, seen: Result<view::View, EndpointFault>) {
        let mut board = self.board.write().unwrap_or_else(PoisonError::into_inner);
        let Some((name, observation)) = board.endpoints.get_mut(index) else {
            return;
        };
        if let Err(fault) = &seen {
            tracing::debug!(endpoint = %name, %fault, "a poll of Solana failed");
        }
        observation.note(seen);
        board.compare(&self.config, Instant::now());
    }
}

impl Board {
    fn best_slot(&self, age_max: Duration) -> Option<u64> {
        let fresh = self
            .endpoints
            .iter()
            .filter(|(_name, seen)| seen.is_fresh(age_max));
        fresh.filter_map(|(_name, seen)| seen.slot()).max()
    }

    /// Compares what counts. Too few answers leave the last agreement to grow old, as long as none of them contradicts it.
    fn compare(&mut self, config: &ReaderConfig, now: Instant) {
        let age_max = Duration::from_millis(config.age_max_ms);
        let oldest_slot = self
            .best_slot(age_max)
            .unwrap_or(0)
            .saturating_sub(config.behind_slots_max);
        let views: Vec<_> = self
            .endpoints
            .iter()
            .filter(|(_name, seen)| seen.is_fresh(age_max))
            .filter_map(|(name, seen)| seen.view().map(|view| (name.as_str(), view)))
            .filter(|(_name, view)| view.slot >= oldest_slot)
            .collect();
        if views.len() < AGREEING_MIN {
            // Two that disagreed do not become right because one of them went away, and what they agreed on does not stay right
            // when the one that is left shows something else.
            if let Some(Ok(agreed)) = &self.outcome {
                let mut left = views.iter();
                let against = left.find(|(_name, view)| !agreed.is_confirmed_by(view));
                let Some((endpoint, _view)) = against else {
                    return;
                };
                tracing::warn!(
                    %endpoint,
                    "the only endpoint left is behind what was agreed, or contradicts it: nothing is reported on Solana"
                );
            }
            self.outcome = None;
            return;
        }
        let outcome = agree::agree(&views, &self.approved, now);
        if let Err(disagreement) = &outcome
            && self.outcome.as_ref().and_then(|last| last.as_ref().err()) != Some(disagreement)
        {
            tracing::error!(%disagreement, "nothing is reported on Solana");
        }
        if let (Ok(agreed), true) = (&outcome, self.approved.is_empty()) {
            self.approved.insert(agreed.header);
            write_pin(config, &agreed.header);
        }
        self.outcome = Some(outcome.map(Arc::new));
    }
}

#[cfg(test)]
mod tests;
