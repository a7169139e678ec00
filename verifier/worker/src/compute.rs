//! The work of an answer, on threads that may block: fill, walk, self-check, openings.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use io_challenge::{Draw, Element, Engine, Openings, WalkIndex, check_openings};
use io_types::action::ProcessorAnswer;
use io_types::{AccountId, Hash};
use rand::RngCore as _;

use crate::terms::{Terms, roots_of};

/// The engines of all processors. Their memory is held from `fill` until `release`.
#[derive(Clone)]
pub struct Engines(Arc<Mutex<Vec<Box<dyn Engine>>>>);

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").finish_non_exhaustive()
    }
}

/// What is computed: a challenge with the nonces that its seeds are made of.
#[derive(Clone, Debug)]
pub struct Work {
    /// The challenge.
    pub terms: Terms,
    /// First nonces, ascending by verifier.
    pub nonces: Vec<(AccountId, Hash)>,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// One for each processor.
    pub processors: Vec<ProcessorAnswer>,
    /// The commit hash of each.
    pub commits: Vec<Hash>,
}

impl Engines {
    /// One engine for each processor.
    pub fn new(engines: Vec<Box<dyn Engine>>) -> Self {
        Self(Arc::new(Mutex::new(engines)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Box<dyn Engine>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Phase A of all processors at the same time; the roots in order of processor.
    ///
    /// # Errors
    /// The first processor that could not, and why.
    pub fn fill(&self, work: &Work) -> Result<Vec<Hash>, String> {
        on_all(&mut self.lock(), work, |engine, processor| {
            let seed = work
                .terms
                .seed(&work.nonces, processor)
                .map_err(|error| error.to_string())?;
            let filled = engine
                .fill(&work.terms.params, &seed)
                .map_err(|error| error.to_string())?;
            Ok(Hash(filled.root_a))
        })
    }

    /// Phase B of all processors, then a look at some of the work on the host: a flipped bit must never be committed to.
    ///
    /// # Errors
    /// The first processor that could not, or that computed wrongly.
    pub fn walk(&self, work: &Work, roots: &[Hash], check_elements: u32) -> Result<Answer, String> {
        let processors = on_all(&mut self.lock(), work, |engine, processor| {
            let root_a = roots
                .get(usize::from(processor))
                .copied()
                .unwrap_or(Hash::ZERO);
            let walked = engine.walk().map_err(|error| error.to_string())?;
            let answer = ProcessorAnswer {
                root_a,
                root_b: Hash(walked.root_b),
            };
            self_check(work, engine, processor, &answer, check_elements)?;
            Ok(answer)
        })?;
        let commit = |answer| work.terms.commit(&work.nonces, answer).map(Hash);
        let commits: Result<Vec<Hash>, _> = processors.iter().map(commit).collect();
        Ok(Answer {
            processors,
            commits: commits.map_err(|error| error.to_string())?,
        })
    }

    /// The encoded openings of one processor for one verifier.
    ///
    /// # Errors
    /// An engine that fails, or holds nothing.
    pub fn open(
        &self,
        terms: &Terms,
        commits: &[Hash],
        processor: u16,
        (verifier, second): (AccountId, Hash),
    ) -> Result<Vec<u8>, String> {
        let commit = commits
            .get(usize::from(processor))
            .ok_or_else(|| format!("there is no processor {processor}"))?;
        let draw = terms
            .draw(&commit.0, &verifier, &second)
            .map_err(|error| error.to_string())?;
        let mut engines = self.lock();
        let engine = engines
            .get_mut(usize::from(processor))
            .ok_or_else(|| format!("there is no processor {processor}"))?;
        let openings = engine.open(&draw).map_err(|error| error.to_string())?;
        drop(engines);
        openings
            .encode(&terms.params, &draw)
            .map_err(|error| error.to_string())
    }

    /// Gives all memory back.
    pub fn release(&self) {
        for engine in self.lock().iter_mut() {
            engine.release();
        }
    }
}

/// Runs one thread for each processor.
fn on_all<T: Send>(
    engines: &mut [Box<dyn Engine>],
    work: &Work,
    act: impl Fn(&mut dyn Engine, u16) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let (have, need) = (engines.len(), usize::from(work.terms.quantity));
    if have < need {
        return Err(format!(
            "the device has {need} processors on chain, this machine has {have}"
        ));
    }
    std::thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = (0_u16..)
            .zip(engines.iter_mut().take(need))
            .map(|(processor, engine)| scope.spawn(move || act(engine.as_mut(), processor)))
            .collect();
        let mut results = Vec::new();
        for (processor, thread) in threads.into_iter().enumerate() {
            let result = thread
                .join()
                .unwrap_or_else(|_panic| Err("its thread ended".to_owned()));
            results.push(result.map_err(|why| format!("processor {processor}: {why}"))?);
        }
        Ok(results)
    })
}

fn self_check(
    work: &Work,
    engine: &mut dyn Engine,
    processor: u16,
    answer: &ProcessorAnswer,
    elements: u32,
) -> Result<(), String> {
    if elements == 0 {
        return Ok(());
    }
    let text = |error: &dyn std::error::Error| error.to_string();
    let shape = work.terms.params.shape().map_err(|error| text(&error))?;
    let seed = work
        .terms
        .seed(&work.nonces, processor)
        .map_err(|error| text(&error))?;
    let mut entropy = [0; 32];
    rand::rngs::OsRng.fill_bytes(&mut entropy);
    let draw = Draw {
        elements: (0..elements)
            .map(|index| Element::draw(&shape, &entropy, index))
            .collect(),
        walks: vec![WalkIndex::draw(&shape, &entropy, 0)],
    };
    let openings: Openings = engine.open(&draw).map_err(|error| text(&error))?;
    check_openings(
        &work.terms.params,
        &seed,
        &roots_of(answer),
        &draw,
        &openings,
    )
    .map_err(|error| {
        format!("its own work is wrong, so nothing was committed ({error}): test its memory")
    })
}
