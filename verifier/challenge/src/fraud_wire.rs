//! The canonical bytes of a fraud proof. The place comes first; it fixes the length of all that follows.

use alloc::vec::Vec;

use crate::draw::{Element, WalkIndex};
use crate::fraud::FraudProof;
use crate::opening::{
    ElementOpening, Form, WalkOpening, digests_length, element_length, operands_opened, walk_length,
};
use crate::params::{Params, Shape};
use crate::wire::{Reader, WireError, Writer};
use crate::{Digest, SEGMENT_READS};

const KIND_ELEMENT: u8 = 0;
const KIND_WALK: u8 = 1;

impl FraudProof {
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
