//! Fraud proofs: one wrong element or one wrong walker segment, judged from the two roots alone.

use alloc::vec::Vec;
use core::fmt;

use crate::check::{Home, judge_element, judge_walk, line_place};
use crate::commit::Roots;
use crate::draw::{Element, WalkIndex};
use crate::flaw::{Flaw, Part, PartError};
use crate::list::{self, List};
use crate::num::to_usize;
use crate::opening::{ElementOpening, Lists, WalkOpening};
use crate::params::{Params, Shape};
use crate::seed::Seed;
use crate::walk::{State, WalkKey};
use crate::wire::WireError;
use crate::{Digest, LINE_BYTES, STATE_BYTES};

/// An opened place with paths up to the roots. It proves fraud when the place is wrong, and is the answer to a demanded
/// opening when it is right; [`judge`] says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FraudProof {
    /// One element of phase A.
    Element {
        /// Which.
        element: Element,
        /// Its spans.
        opening: ElementOpening,
        /// Path of each opened span's digest to `root_a`: left, right, result; empty where the seed gives the row.
        paths: [Vec<Digest>; 3],
    },
    /// One walker over one segment.
    Walk {
        /// Which.
        walk: WalkIndex,
        /// Its spans.
        opening: WalkOpening,
        /// Path of the table before to `root_b`; empty in segment 0.
        start_path: Vec<Digest>,
        /// Path of each line's matrix to `root_a`.
        line_paths: Vec<Vec<Digest>>,
        /// Path of the table after to `root_b`.
        end_path: Vec<Digest>,
    },
}

/// What a valid proof has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fraud {
    /// The committed element is wrong.
    Element {
        /// Which.
        element: Element,
        /// What was committed.
        committed: u8,
        /// What is right.
        correct: u8,
    },
    /// The committed state is wrong.
    Walk {
        /// Which.
        walk: WalkIndex,
        /// What was committed.
        committed: [u8; STATE_BYTES],
        /// What is right.
        correct: [u8; STATE_BYTES],
    },
}

/// What an authentic proof says about the place that it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The prover's commitment is right here.
    Correct,
    /// The prover's commitment is wrong here.
    Fraud(Fraud),
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FraudError {
    /// The parameters are not valid, or the bytes are no proof.
    Wire(WireError),
    /// A place or span cannot be used.
    Flaw(Flaw),
    /// Everything is authentic and the prover was right.
    Correct,
}

impl fmt::Display for FraudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(error) => error.fmt(f),
            Self::Flaw(flaw) => flaw.fmt(f),
            Self::Correct => write!(f, "the prover's answer is right at this place"),
        }
    }
}

impl core::error::Error for FraudError {}

impl From<WireError> for FraudError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl FraudProof {
    /// Makes a proof from an opened element and the prover's lists. Allocates the paths.
    #[must_use]
    pub fn of_element(lists: &Lists, element: Element, opening: ElementOpening) -> Self {
        let path = |back: u32| {
            element
                .step
                .checked_sub(back)
                .map(|result| list::path(&lists.digests, result))
                .unwrap_or_default()
        };
        Self::Element {
            element,
            opening,
            paths: [path(1), path(2), path(0)],
        }
    }

    /// Makes a proof from an opened walker segment and the prover's lists. Allocates the paths.
    /// Lines that are missing or short end the walk early; [`judge`] then refuses the proof.
    #[must_use]
    pub fn of_walk(
        shape: &Shape,
        key: &WalkKey,
        lists: &Lists,
        walk: WalkIndex,
        opening: WalkOpening,
    ) -> Self {
        let start_path = walk
            .segment
            .checked_sub(1)
            .map(|before| list::path(&lists.segments, before))
            .unwrap_or_default();
        let end_path = list::path(&lists.segments, walk.segment);
        let mut line_paths = Vec::with_capacity(opening.lines.len());
        let mut state = start_state(key, walk, &opening);
        for span in &opening.lines {
            let (result, _, within) = line_place(shape, state.line(shape.lines()));
            line_paths.push(list::path(&lists.digests, result));
            let start = to_usize(within);
            let bytes = span
                .bytes
                .get(start..start.saturating_add(LINE_BYTES))
                .unwrap_or_default();
            let (line, _) = bytes.as_chunks::<LINE_BYTES>();
            let Some(line) = line.first() else { break };
            state.absorb(line);
        }
        Self::Walk {
            walk,
            opening,
            start_path,
            line_paths,
            end_path,
        }
    }
}

fn start_state(key: &WalkKey, walk: WalkIndex, opening: &WalkOpening) -> State {
    let Some(span) = &opening.start else {
        return key.start(walk.walker);
    };
    let (states, _) = span.bytes.as_chunks::<STATE_BYTES>();
    let place = u64::try_from(states.len())
        .unwrap_or(u64::MAX)
        .wrapping_sub(1)
        & u64::from(walk.walker);
    states
        .get(to_usize(place))
        .map_or_else(|| key.start(walk.walker), State::from_bytes)
}

/// The root to which a digest and its list path lead, compared with the committed one.
fn rooted(
    shape: &Shape,
    roots: &Roots,
    home: Home,
    digest: &Digest,
    path: &[Digest],
) -> Result<(), PartError> {
    let (list, count, index, depth, root): (List, u32, u32, u32, &Digest) = match home {
        Home::Matrix(result) => (
            List::Steps,
            shape.params().steps,
            result,
            shape.steps_depth(),
            &roots.root_a,
        ),
        Home::Table(segment) => (
            List::Tables,
            shape.segments(),
            segment,
            shape.segments_depth(),
            &roots.root_b,
        ),
    };
    if path.len() != to_usize(u64::from(depth)) {
        return Err(PartError::Path {
            expected: depth,
            got: path.len(),
        });
    }
    if list.fold(count, digest, index, path) == *root {
        Ok(())
    } else {
        Err(PartError::Root)
    }
}

/// Judges an opened place from the roots alone, with no list and no matrix at hand.
///
/// # Errors
/// A proof that cannot be used; it then says nothing about the prover.
pub fn judge(
    params: &Params,
    seed: &Seed,
    roots: &Roots,
    proof: &FraudProof,
) -> Result<Judgement, FraudError> {
    let shape = params.shape().map_err(WireError::Params)?;
    let result = match proof {
        FraudProof::Element {
            element,
            opening,
            paths: [left, right, result],
        } => judge_element(
            &shape,
            seed,
            *element,
            opening,
            &mut |part, home, digest| {
                let path = match part {
                    Part::Left => left,
                    Part::Right => right,
                    Part::Result | Part::Start | Part::Line(_) | Part::End => result,
                };
                rooted(&shape, roots, home, digest, path)
            },
        ),
        FraudProof::Walk {
            walk,
            opening,
            start_path,
            line_paths,
            end_path,
        } => {
            let key = WalkKey::derive(seed, &roots.root_a);
            judge_walk(&shape, &key, *walk, opening, &mut |part, home, digest| {
                let path = match part {
                    Part::Start => start_path,
                    Part::Line(read) => line_paths
                        .get(to_usize(u64::from(read)))
                        .ok_or(PartError::Missing)?,
                    Part::End | Part::Left | Part::Right | Part::Result => end_path,
                };
                rooted(&shape, roots, home, digest, path)
            })
        }
    };
    match (result, proof) {
        (Ok(()), _) => Ok(Judgement::Correct),
        (Err(Flaw::Element { committed, correct }), FraudProof::Element { element, .. }) => {
            Ok(Judgement::Fraud(Fraud::Element {
                element: *element,
                committed,
                correct,
            }))
        }
        (Err(Flaw::State { committed, correct }), FraudProof::Walk { walk, .. }) => {
            Ok(Judgement::Fraud(Fraud::Walk {
                walk: *walk,
                committed,
                correct,
            }))
        }
        (Err(flaw), _) => Err(FraudError::Flaw(flaw)),
    }
}

/// The check that the state machine calls: `Ok` means that the prover committed to something wrong.
///
/// # Errors
/// A proof that cannot be used, or [`FraudError::Correct`] when the prover was right.
pub fn check_fraud_proof(
    params: &Params,
    seed: &Seed,
    roots: &Roots,
    proof: &FraudProof,
) -> Result<Fraud, FraudError> {
    match judge(params, seed, roots, proof)? {
        Judgement::Fraud(fraud) => Ok(fraud),
        Judgement::Correct => Err(FraudError::Correct),
    }
}
