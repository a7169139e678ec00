//! Openings: the pieces of matrices and tables that let one verifier recompute drawn places.
//!
//! Their encoding has no lengths in it: parameters and draw fix every size, so there is exactly one encoding and one
//! length, and a receiver knows the length before the first byte.

use alloc::vec::Vec;

use crate::draw::{Draw, Element, WalkIndex};
use crate::num::to_usize;
use crate::params::{Params, Shape};
use crate::wire::{Reader, WireError, Writer};
use crate::{CHUNK_BYTES, Digest, FRAME_BYTES_MAX, SEGMENT_READS};

/// An aligned span of a matrix or table with its path to the digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The sibling on each level, from the span's own up to the one below the root.
    pub path: Vec<Digest>,
}

/// How long a span and its path must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) bytes: u64,
    pub(crate) depth: u32,
}

impl Form {
    /// A row of a matrix.
    pub(crate) fn row(shape: &Shape) -> Self {
        Self {
            bytes: shape.row_span(),
            depth: shape.row_depth(),
        }
    }

    /// A chunk of a matrix.
    pub(crate) fn chunk(shape: &Shape) -> Self {
        Self {
            bytes: chunk_bytes(),
            depth: shape.chunk_depth(),
        }
    }

    /// A chunk of a table of states.
    pub(crate) fn table(shape: &Shape) -> Self {
        Self {
            bytes: chunk_bytes(),
            depth: shape.table_depth(),
        }
    }

    /// Encoded bytes of span and path.
    pub(crate) fn length(self) -> u64 {
        self.bytes.saturating_add(digests_length(self.depth))
    }
}

pub(crate) fn digests_length(count: u32) -> u64 {
    u64::from(count) << 5
}

pub(crate) fn chunk_bytes() -> u64 {
    u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX)
}

/// What recomputes one element: a row of each of the two matrices before, and the chunk with the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementOpening {
    /// The span with row `row` of X_step; `None` in step 0, whose X₀ comes from the seed.
    pub left: Option<Span>,
    /// The span with row `column` of X_{step−1}; `None` in steps 0 and 1.
    pub right: Option<Span>,
    /// The chunk of X_{step+1} that holds the element.
    pub result: Span,
}

/// What recomputes one walker over one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkOpening {
    /// The chunk of the table before the segment that holds the walker; `None` in segment 0, which starts from the seed.
    pub start: Option<Span>,
    /// The chunks of the fill that hold the lines, in the order in which they are read.
    pub lines: Vec<Span>,
    /// The chunk of the table after the segment that holds the walker.
    pub end: Span,
}

/// The two lists below the roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Digest of each step's result, in order.
    pub digests: Vec<Digest>,
    /// Digest of the table of states after each segment, in order.
    pub segments: Vec<Digest>,
}

/// Everything that a prover serves to one verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Openings {
    /// The lists below the roots.
    pub lists: Lists,
    /// One for each drawn element.
    pub elements: Vec<ElementOpening>,
    /// One for each drawn walker segment.
    pub walks: Vec<WalkOpening>,
}

/// Whether the left and right rows of a step are opened, or come from the seed.
pub(crate) fn operands_opened(step: u32) -> (bool, bool) {
    (step >= 1, step >= 2)
}

pub(crate) fn element_length(shape: &Shape, element: Element) -> u64 {
    let (left, right) = operands_opened(element.step);
    let row = Form::row(shape).length();
    let rows = row.saturating_mul(u64::from(left).saturating_add(u64::from(right)));
    rows.saturating_add(Form::chunk(shape).length())
}

pub(crate) fn walk_length(shape: &Shape, walk: WalkIndex) -> u64 {
    let tables = if walk.segment == 0 { 1 } else { 2 };
    let lines = Form::chunk(shape)
        .length()
        .saturating_mul(u64::from(SEGMENT_READS));
    lines.saturating_add(Form::table(shape).length().saturating_mul(tables))
}

impl Openings {
    /// The only length that the encoding of openings for this draw can have, in bytes.
    ///
    /// # Errors
    /// Invalid parameters, or a draw of places that they do not have.
    pub fn encoded_length(params: &Params, draw: &Draw) -> Result<u64, WireError> {
        let shape = params.shape()?;
        draw.check(&shape)?;
        let lists = u64::from(params.steps).saturating_add(u64::from(shape.segments())) << 5;
        let elements = draw
            .elements
            .iter()
            .map(|element| element_length(&shape, *element));
        let walks = draw.walks.iter().map(|walk| walk_length(&shape, *walk));
        Ok(elements.chain(walks).fold(lists, u64::saturating_add))
    }

    /// The canonical bytes. Allocates them at once, about 11 MB at N = 32768.
    ///
    /// # Errors
    /// Openings that do not fit the parameters and the draw.
    pub fn encode(&self, params: &Params, draw: &Draw) -> Result<Vec<u8>, WireError> {
        let length = Self::encoded_length(params, draw)?;
        let shape = params.shape()?;
        let mut writer = Writer::with_capacity(length);
        writer.digests(&self.lists.digests);
        writer.digests(&self.lists.segments);
        for (element, opening) in draw.elements.iter().zip(&self.elements) {
            write_element(&mut writer, &shape, *element, opening)?;
        }
        for (walk, opening) in draw.walks.iter().zip(&self.walks) {
            write_walk(&mut writer, &shape, *walk, opening)?;
        }
        writer.finish(length)
    }

    /// Reads what [`Openings::encode`] wrote. Nothing is verified except that every size is right.
    ///
    /// # Errors
    /// Bytes that are too short or too long, invalid parameters, or a draw of places that they do not have.
    pub fn decode(params: &Params, draw: &Draw, bytes: &[u8]) -> Result<Self, WireError> {
        let length = Self::encoded_length(params, draw)?;
        let shape = params.shape()?;
        let mut reader = Reader::exact(bytes, length)?;
        let lists = Lists {
            digests: reader.digests(params.steps)?,
            segments: reader.digests(shape.segments())?,
        };
        let mut elements = Vec::with_capacity(draw.elements.len());
        for element in &draw.elements {
            elements.push(read_element(&mut reader, &shape, *element)?);
        }
        let mut walks = Vec::with_capacity(draw.walks.len());
        for walk in &draw.walks {
            walks.push(read_walk(&mut reader, &shape, *walk)?);
        }
        Ok(Self {
            lists,
            elements,
            walks,
        })
    }

    /// Cuts encoded openings into frames of at most [`FRAME_BYTES_MAX`] bytes for a verifier's stream.
    pub fn frames(encoded: &[u8]) -> core::slice::Chunks<'_, u8> {
        encoded.chunks(FRAME_BYTES_MAX)
    }
}

fn write_element(
    writer: &mut Writer,
    shape: &Shape,
    element: Element,
    opening: &ElementOpening,
) -> Result<(), WireError> {
    let ElementOpening {
        left,
        right,
        result,
    } = opening;
    let (left_opened, right_opened) = operands_opened(element.step);
    writer.optional(left.as_ref(), left_opened, Form::row(shape))?;
    writer.optional(right.as_ref(), right_opened, Form::row(shape))?;
    writer.span(result, Form::chunk(shape))
}

fn read_element(
    reader: &mut Reader<'_>,
    shape: &Shape,
    element: Element,
) -> Result<ElementOpening, WireError> {
    let (left_opened, right_opened) = operands_opened(element.step);
    Ok(ElementOpening {
        left: reader.optional(left_opened, Form::row(shape))?,
        right: reader.optional(right_opened, Form::row(shape))?,
        result: reader.span(Form::chunk(shape))?,
    })
}

fn write_walk(
    writer: &mut Writer,
    shape: &Shape,
    walk: WalkIndex,
    opening: &WalkOpening,
) -> Result<(), WireError> {
    let WalkOpening { start, lines, end } = opening;
    writer.optional(start.as_ref(), walk.segment > 0, Form::table(shape))?;
    for line in lines {
        writer.span(line, Form::chunk(shape))?;
    }
    writer.span(end, Form::table(shape))
}

fn read_walk(
    reader: &mut Reader<'_>,
    shape: &Shape,
    walk: WalkIndex,
) -> Result<WalkOpening, WireError> {
    let start = reader.optional(walk.segment > 0, Form::table(shape))?;
    let mut lines = Vec::with_capacity(to_usize(u64::from(SEGMENT_READS)));
    for _ in 0..SEGMENT_READS {
        lines.push(reader.span(Form::chunk(shape))?);
    }
    Ok(WalkOpening {
        start,
        lines,
        end: reader.span(Form::table(shape))?,
    })
}

/// Collects frames until the openings of one draw are complete. It never holds more than their one length.
#[derive(Debug)]
pub struct Assembler {
    length: u64,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Waits for the openings of a draw. Allocates as frames come.
    ///
    /// # Errors
    /// Invalid parameters, or a draw of places that they do not have.
    pub fn new(params: &Params, draw: &Draw) -> Result<Self, WireError> {
        Ok(Self {
            length: Openings::encoded_length(params, draw)?,
            bytes: Vec::new(),
        })
    }

    /// Takes a frame; says whether all bytes are there.
    ///
    /// # Errors
    /// An empty frame, one above [`FRAME_BYTES_MAX`], or more bytes than the openings have. The assembler is then
    /// unchanged.
    pub fn push(&mut self, frame: &[u8]) -> Result<bool, WireError> {
        if frame.is_empty() || frame.len() > FRAME_BYTES_MAX {
            return Err(WireError::Frame(frame.len()));
        }
        let total = self.bytes.len().saturating_add(frame.len());
        let got = u64::try_from(total).unwrap_or(u64::MAX);
        if got > self.length {
            return Err(WireError::Length {
                expected: self.length,
                got,
            });
        }
        self.bytes.extend_from_slice(frame);
        Ok(got == self.length)
    }

    /// The bytes so far, complete when [`Assembler::push`] said so.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
