//! What can be wrong with an opening, by place and reason.

use core::fmt;

use crate::STATE_BYTES;
use crate::draw::{DrawError, Element, WalkIndex};
use crate::params::ParamsError;

/// A span of an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The row of the newer operand.
    Left,
    /// The row of the older operand.
    Right,
    /// The chunk with the element.
    Result,
    /// The chunk with the walker's state before the segment.
    Start,
    /// The chunk with the line of this read, from 0.
    Line(u32),
    /// The chunk with the walker's state after the segment.
    End,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => write!(f, "left row"),
            Self::Right => write!(f, "right row"),
            Self::Result => write!(f, "result chunk"),
            Self::Start => write!(f, "start chunk"),
            Self::Line(read) => write!(f, "line {read}"),
            Self::End => write!(f, "end chunk"),
        }
    }
}

/// Why a span is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartError {
    /// It is not there.
    Missing,
    /// It is there although it comes from the seed, or is one too many.
    Unexpected,
    /// It has the wrong number of bytes.
    Bytes {
        /// What the parameters ask for.
        expected: u64,
        /// What was given.
        got: usize,
    },
    /// Its path, or its path in the list of digests, has the wrong length.
    Path {
        /// What the parameters ask for.
        expected: u32,
        /// What was given.
        got: usize,
    },
    /// Bytes and path do not lead to what was committed.
    Root,
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "is missing"),
            Self::Unexpected => write!(f, "must not be there"),
            Self::Bytes { expected, got } => write!(
                f,
                "has {got} bytes, not the {expected} that the parameters fix"
            ),
            Self::Path { expected, got } => write!(
                f,
                "has a path of {got} values, not the {expected} that the parameters fix"
            ),
            Self::Root => write!(f, "does not lead to what was committed"),
        }
    }
}

/// What is wrong with one opened place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The challenge has no such place.
    Place(DrawError),
    /// A span cannot be used. It proves nothing against the prover's commitments, only that he did not open them.
    Part {
        /// The span.
        part: Part,
        /// Why.
        error: PartError,
    },
    /// The committed element is not the product. This is a [`FraudProof`](crate::FraudProof).
    Element {
        /// What was committed.
        committed: u8,
        /// What is right.
        correct: u8,
    },
    /// The committed state is not where the walk ends. This is a [`FraudProof`](crate::FraudProof).
    State {
        /// What was committed.
        committed: [u8; STATE_BYTES],
        /// What is right.
        correct: [u8; STATE_BYTES],
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(error) => error.fmt(f),
            Self::Part { part, error } => write!(f, "the {part} {error}"),
            Self::Element { committed, correct } => {
                write!(
                    f,
                    "the committed element is {committed}, the product gives {correct}"
                )
            }
            Self::State { .. } => write!(
                f,
                "the committed state is not the one in which the walk ends"
            ),
        }
    }
}

impl core::error::Error for Flaw {}

/// Why openings do not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpeningError {
    /// The parameters are not valid.
    Params(ParamsError),
    /// The list of digests has the wrong length or does not lead to `root_a`.
    RootA,
    /// The list of tables has the wrong length or does not lead to `root_b`.
    RootB,
    /// The number of opened elements or walks is not the number drawn.
    Count {
        /// Places drawn.
        expected: usize,
        /// Places opened.
        got: usize,
    },
    /// An element does not pass.
    Element {
        /// Which of the draw, from 0.
        index: usize,
        /// The element.
        element: Element,
        /// What is wrong.
        flaw: Flaw,
    },
    /// A walker segment does not pass.
    Walk {
        /// Which of the draw, from 0.
        index: usize,
        /// The segment.
        walk: WalkIndex,
        /// What is wrong.
        flaw: Flaw,
    },
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Params(error) => error.fmt(f),
            Self::RootA => write!(
                f,
                "the digests of the steps do not lead to the committed root of phase A"
            ),
            Self::RootB => write!(
                f,
                "the digests of the tables do not lead to the committed root of phase B"
            ),
            Self::Count { expected, got } => {
                write!(f, "{expected} places were drawn, {got} are opened")
            }
            Self::Element {
                index,
                element: Element { step, row, column },
                flaw,
            } => {
                write!(
                    f,
                    "opening {index}, step {step} row {row} column {column}: {flaw}"
                )
            }
            Self::Walk {
                index,
                walk: WalkIndex { walker, segment },
                flaw,
            } => {
                write!(
                    f,
                    "opening {index}, walker {walker} segment {segment}: {flaw}"
                )
            }
        }
    }
}

impl core::error::Error for OpeningError {}

impl From<ParamsError> for OpeningError {
    fn from(error: ParamsError) -> Self {
        Self::Params(error)
    }
}
