//! Which elements and which walker segments a verifier opens.

use alloc::vec::Vec;
use core::fmt;

use crate::num::{low32, scale};
use crate::params::{Params, Shape};
use crate::seed::{Nonce, NoncesError, absorb_nonces};
use crate::{Digest, ELEMENT_OPENINGS, WALK_OPENINGS};

const DRAW_CONTEXT: &str = "io-chain challenge 1 draw";

/// One element of one result of phase A: `f(X_step[row] · X_{step−1}[column])`, an entry of `X_{step+1}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element {
    /// The step, from 0.
    pub step: u32,
    /// Row of the result.
    pub row: u32,
    /// Column of the result.
    pub column: u32,
}

/// One walker between two commitments of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WalkIndex {
    /// The walker, from 0.
    pub walker: u32,
    /// The segment, from 0; its reads end in table `segment`.
    pub segment: u32,
}

/// A place that the parameters do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawError {
    /// No such element.
    Element(Element),
    /// No such walker or segment.
    Walk(WalkIndex),
}

impl fmt::Display for DrawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(Element { step, row, column }) => {
                write!(
                    f,
                    "step {step} row {row} column {column} lies outside of the challenge"
                )
            }
            Self::Walk(WalkIndex { walker, segment }) => {
                write!(
                    f,
                    "walker {walker} segment {segment} lies outside of the challenge"
                )
            }
        }
    }
}

impl core::error::Error for DrawError {}

impl Element {
    /// Element number `index` drawn from `entropy`. Steps, rows and columns are uniform.
    #[must_use]
    pub fn draw(shape: &Shape, entropy: &[u8; 32], index: u32) -> Self {
        let [step, row, column] = words(entropy, b"element", index);
        let params = shape.params();
        Self {
            step: low32(scale(step, u64::from(params.steps))),
            row: low32(scale(row, u64::from(params.size))),
            column: low32(scale(column, u64::from(params.size))),
        }
    }

    /// # Errors
    /// When the parameters have no such element.
    pub fn check(self, shape: &Shape) -> Result<(), DrawError> {
        let params = shape.params();
        if self.step < params.steps && self.row < params.size && self.column < params.size {
            Ok(())
        } else {
            Err(DrawError::Element(self))
        }
    }

    /// Where the element's byte lies in its matrix.
    pub(crate) fn offset(self, shape: &Shape) -> u64 {
        row_offset(shape, self.row).saturating_add(u64::from(self.column))
    }
}

/// Where a row begins in its matrix.
pub(crate) fn row_offset(shape: &Shape, row: u32) -> u64 {
    u64::from(row).saturating_mul(u64::from(shape.params().size))
}

impl WalkIndex {
    /// Walk number `index` drawn from `entropy`. Walkers and segments are uniform.
    #[must_use]
    pub fn draw(shape: &Shape, entropy: &[u8; 32], index: u32) -> Self {
        let [walker, segment, _] = words(entropy, b"walk", index);
        Self {
            walker: low32(scale(walker, u64::from(shape.params().walkers))),
            segment: low32(scale(segment, u64::from(shape.segments()))),
        }
    }

    /// # Errors
    /// When the parameters have no such walker or segment.
    pub fn check(self, shape: &Shape) -> Result<(), DrawError> {
        if self.walker < shape.params().walkers && self.segment < shape.segments() {
            Ok(())
        } else {
            Err(DrawError::Walk(self))
        }
    }
}

/// Three uniform words.
fn words(entropy: &[u8; 32], label: &[u8], index: u32) -> [u64; 3] {
    let hash = blake3::Hasher::new_keyed(entropy)
        .update(label)
        .update(&index.to_le_bytes())
        .finalize();
    let (chunks, _) = hash.as_bytes().as_chunks::<8>();
    let mut words = [0; 3];
    for (to, from) in words.iter_mut().zip(chunks) {
        *to = u64::from_le_bytes(*from);
    }
    words
}

/// What a draw is made of.
#[derive(Clone, Copy, Debug)]
pub struct DrawInput<'a> {
    /// The prover's final commit.
    pub commit: &'a Digest,
    /// The second nonces, sent after the commit was final, in ascending order of the verifiers' keys.
    pub nonces: &'a [Nonce],
    /// The verifier for whom the openings are.
    pub verifier: &'a [u8; 32],
}

/// The places that one verifier opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Elements of phase A, in the order of the openings; repeats are possible.
    pub elements: Vec<Element>,
    /// Walker segments of phase B, in the order of the openings; repeats are possible.
    pub walks: Vec<WalkIndex>,
}

impl Draw {
    /// Draws [`ELEMENT_OPENINGS`] elements and [`WALK_OPENINGS`] walker segments. Allocates the two lists.
    ///
    /// # Errors
    /// Invalid parameters, or nonces that are missing or out of order.
    pub fn derive(params: &Params, input: &DrawInput<'_>) -> Result<Self, NoncesError> {
        let shape = params.shape()?;
        let DrawInput {
            commit,
            nonces,
            verifier,
        } = *input;
        let mut hasher = blake3::Hasher::new_derive_key(DRAW_CONTEXT);
        hasher.update(commit).update(verifier);
        absorb_nonces(&mut hasher, nonces)?;
        let entropy = *hasher.finalize().as_bytes();
        Ok(Self {
            elements: (0..ELEMENT_OPENINGS)
                .map(|index| Element::draw(&shape, &entropy, index))
                .collect(),
            walks: (0..WALK_OPENINGS)
                .map(|index| WalkIndex::draw(&shape, &entropy, index))
                .collect(),
        })
    }

    /// # Errors
    /// The first place that the parameters do not have.
    pub fn check(&self, shape: &Shape) -> Result<(), DrawError> {
        self.elements
            .iter()
            .try_for_each(|element| element.check(shape))?;
        self.walks.iter().try_for_each(|walk| walk.check(shape))
    }
}
