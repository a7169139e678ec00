//! What every engine does: scalar, SIMD or GPU.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::Digest;
use crate::draw::{Draw, DrawError};
use crate::opening::{Lists, Openings};
use crate::params::{Params, ParamsError};
use crate::seed::Seed;

/// The end of phase A.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillRoots {
    /// Digest of each step's result, in order.
    pub digests: Vec<Digest>,
    /// Root over them; the prover sends it at once.
    pub root_a: Digest,
}

/// The end of phase B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkRoots {
    /// Digest of the table of states after each segment, in order.
    pub segments: Vec<Digest>,
    /// Root over them.
    pub root_b: Digest,
}

/// Both phases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The lists below the roots.
    pub lists: Lists,
    /// Root of phase A.
    pub root_a: Digest,
    /// Root of phase B.
    pub root_b: Digest,
}

/// Why an engine has no answer. None of these is a wrong answer.
#[derive(Debug)]
pub enum EngineError {
    /// The parameters are not valid.
    Params(ParamsError),
    /// A place to open lies outside of the challenge.
    Draw(DrawError),
    /// There is not this much memory free, in bytes.
    Memory(u64),
    /// Phase B or openings were asked for before phase A.
    NotFilled,
    /// Openings were asked for before phase B.
    NotWalked,
    /// A self-check before the commit found an element that the hardware had computed wrongly. Nothing was committed;
    /// the processor or its memory is faulty.
    Hardware {
        /// The step.
        step: u32,
        /// Row of the result.
        row: u32,
        /// Column of the result.
        column: u32,
    },
    /// A device or its driver refused; the inner error says what to do.
    Device(Box<dyn core::error::Error + Send + Sync>),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Params(error) => error.fmt(f),
            Self::Draw(error) => error.fmt(f),
            Self::Memory(bytes) => write!(
                f,
                "{bytes} bytes of memory are not free: stop what else uses it"
            ),
            Self::NotFilled => write!(f, "phase A has not run: fill first"),
            Self::NotWalked => write!(f, "phase B has not run: walk first"),
            Self::Hardware { step, row, column } => write!(
                f,
                "the processor computed step {step} row {row} column {column} wrongly: \
                 test its memory, lower its clocks, or take it out of service"
            ),
            Self::Device(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Params(error) => Some(error),
            Self::Draw(error) => Some(error),
            Self::Device(error) => Some(error.as_ref()),
            Self::Memory(_) | Self::NotFilled | Self::NotWalked | Self::Hardware { .. } => None,
        }
    }
}

impl From<ParamsError> for EngineError {
    fn from(error: ParamsError) -> Self {
        Self::Params(error)
    }
}

impl From<DrawError> for EngineError {
    fn from(error: DrawError) -> Self {
        Self::Draw(error)
    }
}

/// One processor that answers challenges, one at a time.
///
/// The order is `fill`, `walk`, then `open` as often as there are verifiers, then `release`. The memory is held from
/// `fill` until `release`, until the next `fill`, or until the engine is dropped. All engines give the same bits.
pub trait Engine: Send {
    /// What this engine computes with, for people: "scalar", "AVX-512 VNNI, 8 threads", "NVIDIA H200".
    fn name(&self) -> &str;

    /// Phase A. Releases what was held before.
    ///
    /// # Errors
    /// Invalid parameters, too little memory, or a device that fails.
    fn fill(&mut self, params: &Params, seed: &Seed) -> Result<FillRoots, EngineError> {
        self.fill_watched(params, seed, &mut |_step, _digest| {})
    }

    /// Phase A with each step's digest reported as it comes, which may take longer than [`Engine::fill`].
    ///
    /// # Errors
    /// Those of [`Engine::fill`].
    fn fill_watched(
        &mut self,
        params: &Params,
        seed: &Seed,
        each: &mut dyn FnMut(u32, &Digest),
    ) -> Result<FillRoots, EngineError>;

    /// Phase B over the fill.
    ///
    /// # Errors
    /// [`EngineError::NotFilled`], too little memory, or a device that fails.
    fn walk(&mut self) -> Result<WalkRoots, EngineError> {
        self.walk_watched(&mut |_segment, _digest| {})
    }

    /// Phase B with each segment's digest reported as it comes, which may take longer than [`Engine::walk`].
    ///
    /// # Errors
    /// Those of [`Engine::walk`].
    fn walk_watched(
        &mut self,
        each: &mut dyn FnMut(u32, &Digest),
    ) -> Result<WalkRoots, EngineError>;

    /// Openings of drawn places. In a deep run (M > K) phase A is replayed for results that are no longer held.
    ///
    /// # Errors
    /// [`EngineError::NotFilled`], [`EngineError::NotWalked`], a place outside of the challenge, or a device that fails.
    fn open(&mut self, draw: &Draw) -> Result<Openings, EngineError>;

    /// Gives the memory back.
    fn release(&mut self);

    /// Replays phase A with three matrices of memory, whatever K is, and reports each step's digest as it comes.
    /// Stops when `each` says `false`. What `fill` holds stays held.
    ///
    /// # Errors
    /// Invalid parameters, too little memory, or a device that fails.
    fn replay(
        &mut self,
        params: &Params,
        seed: &Seed,
        each: &mut dyn FnMut(u32, &Digest) -> bool,
    ) -> Result<(), EngineError>;

    /// Both phases, one after the other.
    ///
    /// # Errors
    /// Those of [`Engine::fill`] and [`Engine::walk`].
    fn run(&mut self, params: &Params, seed: &Seed) -> Result<Run, EngineError> {
        let FillRoots { digests, root_a } = self.fill(params, seed)?;
        let WalkRoots { segments, root_b } = self.walk()?;
        Ok(Run {
            lists: Lists { digests, segments },
            root_a,
            root_b,
        })
    }
}
