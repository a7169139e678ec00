//! Fraud proofs: one wrong element or one wrong walker segment, judged from the two roots alone.

use alloc::vec::Vec;
use core::fmt;

use crate::check::{Flaw, Home, Part, PartError, Roots, judge_element, judge_walk, line_place};
use crate::draw::{Element, WalkIndex};
use crate::list::{self, List};
use crate::num::to_usize;
use crate::opening::{
    ElementOpening, Form, Lists, WalkOpening, digests_length, element_length, operands_opened,
    walk_length,
};
use crate::params::{Params, Shape};
use crate::seed::Seed;
use crate::walk::{State, WalkKey};
use crate::wire::{Reader, WireError, Writer};
use crate::{Digest, LINE_BYTES, SEGMENT_READS, STATE_BYTES};

const KIND_ELEMENT: u8 = 0;
const KIND_WALK: u8 = 1;

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

    /// The canonical bytes, at most [`FRAUD_PROOF_BYTES_MAX`](crate::FRAUD_PROOF_BYTES_MAX).
    ///
    /// # Errors
    /// Invalid parameters, a place outside of them, or spans and paths of the wrong length.
    pub fn encode(&self, params: &Params) -> Result<Vec<u8>, WireError> {
        let shape = params.shape()?;
        match self {
            Self::Element {
                element,
                opening,
                paths,
            } => encode_element(&shape, *element, opening, paths),
            Self::Walk {
                walk,
                opening,
                start_path,
                line_paths,
                end_path,
            } => {
                walk.check(&shape)?;
                let length = proof_walk_length(&shape, *walk);
                let mut writer = Writer::with_capacity(length);
                writer.bytes(&[KIND_WALK]);
                writer.bytes(&walk.walker.to_le_bytes());
                writer.bytes(&walk.segment.to_le_bytes());
                let tables = shape.segments_depth();
                let started = walk.segment > 0;
                writer.optional(opening.start.as_ref(), started, Form::table(&shape))?;
                writer.path(start_path, if started { tables } else { 0 })?;
                for (line, path) in opening.lines.iter().zip(line_paths) {
                    writer.span(line, Form::chunk(&shape))?;
                    writer.path(path, shape.steps_depth())?;
                }
                writer.span(&opening.end, Form::table(&shape))?;
                writer.path(end_path, tables)?;
                writer.finish(length)
            }
        }
    }

    /// Reads what [`FraudProof::encode`] wrote. Nothing is verified except that every size and place is possible.
    ///
    /// # Errors
    /// Invalid parameters, an unknown kind, a place outside of the challenge, or any length but the right one.
    pub fn decode(params: &Params, bytes: &[u8]) -> Result<Self, WireError> {
        let shape = params.shape()?;
        match bytes.split_first() {
            Some((&KIND_ELEMENT, rest)) => decode_element(&shape, rest),
            Some((&KIND_WALK, rest)) => decode_walk(&shape, rest),
            Some((kind, _)) => Err(WireError::Kind(Some(*kind))),
            None => Err(WireError::Kind(None)),
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

fn proof_element_length(shape: &Shape, element: Element) -> u64 {
    let (left, right) = operands_opened(element.step);
    let opened = 1_u64
        .saturating_add(u64::from(left))
        .saturating_add(u64::from(right));
    let paths = digests_length(shape.steps_depth()).saturating_mul(opened);
    element_length(shape, element)
        .saturating_add(paths)
        .saturating_add(13)
}

fn proof_walk_length(shape: &Shape, walk: WalkIndex) -> u64 {
    let tables = if walk.segment == 0 { 1 } else { 2 };
    let table_paths = digests_length(shape.segments_depth()).saturating_mul(tables);
    let line_paths = digests_length(shape.steps_depth()).saturating_mul(u64::from(SEGMENT_READS));
    walk_length(shape, walk)
        .saturating_add(table_paths)
        .saturating_add(line_paths)
        .saturating_add(9)
}

fn encode_element(
    shape: &Shape,
    element: Element,
    opening: &ElementOpening,
    paths: &[Vec<Digest>; 3],
) -> Result<Vec<u8>, WireError> {
    element.check(shape)?;
    let length = proof_element_length(shape, element);
    let (left_opened, right_opened) = operands_opened(element.step);
    let depth = shape.steps_depth();
    let [left_path, right_path, result_path] = paths;
    let mut writer = Writer::with_capacity(length);
    writer.bytes(&[KIND_ELEMENT]);
    writer.bytes(&element.step.to_le_bytes());
    writer.bytes(&element.row.to_le_bytes());
    writer.bytes(&element.column.to_le_bytes());
    writer.optional(opening.left.as_ref(), left_opened, Form::row(shape))?;
    writer.path(left_path, if left_opened { depth } else { 0 })?;
    writer.optional(opening.right.as_ref(), right_opened, Form::row(shape))?;
    writer.path(right_path, if right_opened { depth } else { 0 })?;
    writer.span(&opening.result, Form::chunk(shape))?;
    writer.path(result_path, depth)?;
    writer.finish(length)
}

/// Checks the whole length once the place is known; `header` bytes have been read.
fn expect_length(reader: &Reader<'_>, header: u64, expected: u64) -> Result<(), WireError> {
    let got = reader.remaining().saturating_add(header);
    if got == expected {
        Ok(())
    } else {
        Err(WireError::Length { expected, got })
    }
}

fn decode_element(shape: &Shape, rest: &[u8]) -> Result<FraudProof, WireError> {
    let mut reader = Reader::new(rest);
    let element = Element {
        step: reader.word()?,
        row: reader.word()?,
        column: reader.word()?,
    };
    element.check(shape)?;
    expect_length(&reader, 13, proof_element_length(shape, element))?;
    let (left_opened, right_opened) = operands_opened(element.step);
    let depth = shape.steps_depth();
    let left = reader.optional(left_opened, Form::row(shape))?;
    let left_path = reader.digests(if left_opened { depth } else { 0 })?;
    let right = reader.optional(right_opened, Form::row(shape))?;
    let right_path = reader.digests(if right_opened { depth } else { 0 })?;
    let result = reader.span(Form::chunk(shape))?;
    let paths = [left_path, right_path, reader.digests(depth)?];
    Ok(FraudProof::Element {
        element,
        opening: ElementOpening {
            left,
            right,
            result,
        },
        paths,
    })
}

fn decode_walk(shape: &Shape, rest: &[u8]) -> Result<FraudProof, WireError> {
    let mut reader = Reader::new(rest);
    let walk = WalkIndex {
        walker: reader.word()?,
        segment: reader.word()?,
    };
    walk.check(shape)?;
    expect_length(&reader, 9, proof_walk_length(shape, walk))?;
    let started = walk.segment > 0;
    let start = reader.optional(started, Form::table(shape))?;
    let start_path = reader.digests(if started { shape.segments_depth() } else { 0 })?;
    let mut lines = Vec::new();
    let mut line_paths = Vec::new();
    for _ in 0..SEGMENT_READS {
        lines.push(reader.span(Form::chunk(shape))?);
        line_paths.push(reader.digests(shape.steps_depth())?);
    }
    let end = reader.span(Form::table(shape))?;
    let end_path = reader.digests(shape.segments_depth())?;
    Ok(FraudProof::Walk {
        walk,
        opening: WalkOpening { start, lines, end },
        start_path,
        line_paths,
        end_path,
    })
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
