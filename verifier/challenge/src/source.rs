//! Building openings from wherever the matrices are: host memory or a device.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::check::line_place;
use crate::draw::{Draw, Element, WalkIndex, row_offset};
use crate::engine::EngineError;
use crate::num::to_usize;
use crate::opening::{
    ElementOpening, Form, Lists, Openings, Span, WalkOpening, chunk_bytes, operands_opened,
};
use crate::params::Shape;
use crate::walk::{State, WalkKey};
use crate::{Digest, LINE_BYTES, SEGMENT_READS, STATE_BYTES};

/// An aligned span of the result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanKey {
    /// The step whose result it is.
    pub result: u32,
    /// Where it begins, in bytes; a multiple of `bytes`.
    pub offset: u64,
    /// Its length: [`Shape::row_span`] or a chunk.
    pub bytes: u64,
}

/// A chunk of the table after a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableKey {
    /// The segment.
    pub segment: u32,
    /// The chunk, from 0; it holds 32 walkers.
    pub chunk: u32,
}

/// Something that holds a run and can give spans of it with their paths.
pub trait Source {
    /// All the wanted spans of matrices. Results before [`Shape::first_kept`] may have to be computed again, so all of
    /// them are asked for at once.
    ///
    /// # Errors
    /// A device that fails.
    fn spans(&mut self, wanted: &BTreeSet<SpanKey>)
    -> Result<BTreeMap<SpanKey, Span>, EngineError>;

    /// All the wanted chunks of tables.
    ///
    /// # Errors
    /// A device that fails.
    fn tables(
        &mut self,
        wanted: &BTreeSet<TableKey>,
    ) -> Result<BTreeMap<TableKey, Span>, EngineError>;
}

/// Builds the openings of a draw. Allocates them and an index of the spans while it works.
///
/// # Errors
/// A place outside of the challenge, or what the source fails with.
pub fn open_from(
    shape: &Shape,
    key: &WalkKey,
    lists: Lists,
    draw: &Draw,
    source: &mut dyn Source,
) -> Result<Openings, EngineError> {
    draw.check(shape)?;
    let elements = open_elements(shape, &draw.elements, source)?;
    let walks = open_walks(shape, key, &draw.walks, source)?;
    Ok(Openings {
        lists,
        elements,
        walks,
    })
}

/// The spans of left row, right row and result of one element.
fn element_keys(shape: &Shape, element: Element) -> (Option<SpanKey>, Option<SpanKey>, SpanKey) {
    let Element { step, row, column } = element;
    let (left_opened, right_opened) = operands_opened(step);
    let row_key = |result, row| {
        let bytes = Form::row(shape).bytes;
        SpanKey {
            result,
            offset: row_offset(shape, row) & !bytes.wrapping_sub(1),
            bytes,
        }
    };
    let left = left_opened.then(|| row_key(step.wrapping_sub(1), row));
    let right = right_opened.then(|| row_key(step.wrapping_sub(2), column));
    let bytes = chunk_bytes();
    (
        left,
        right,
        SpanKey {
            result: step,
            offset: element.offset(shape) & !bytes.wrapping_sub(1),
            bytes,
        },
    )
}

fn find<K: Ord, V: Clone>(found: &BTreeMap<K, V>, key: &K) -> Result<V, EngineError> {
    // A source that leaves out a span has lost the run.
    found.get(key).cloned().ok_or(EngineError::NotFilled)
}

fn open_elements(
    shape: &Shape,
    elements: &[Element],
    source: &mut dyn Source,
) -> Result<Vec<ElementOpening>, EngineError> {
    let keys: Vec<_> = elements
        .iter()
        .map(|element| element_keys(shape, *element))
        .collect();
    let mut wanted = BTreeSet::new();
    for (left, right, result) in &keys {
        wanted.extend(left.iter().chain(right).chain([result]).copied());
    }
    let found = source.spans(&wanted)?;
    let mut openings = Vec::with_capacity(elements.len());
    for (left, right, result) in &keys {
        openings.push(ElementOpening {
            left: left.as_ref().map(|key| find(&found, key)).transpose()?,
            right: right.as_ref().map(|key| find(&found, key)).transpose()?,
            result: find(&found, result)?,
        });
    }
    Ok(openings)
}

fn table_key(segment: u32, walker: u32) -> TableKey {
    // A chunk holds 32 states of 32 bytes.
    TableKey {
        segment,
        chunk: walker >> 5,
    }
}

/// The state of a walker in the chunk of a table that holds it.
fn state_in(span: &Span, walker: u32) -> Result<State, EngineError> {
    let (states, _) = span.bytes.as_chunks::<STATE_BYTES>();
    states
        .get(to_usize(u64::from(walker & 31)))
        .map(State::from_bytes)
        .ok_or(EngineError::NotWalked)
}

fn open_walks(
    shape: &Shape,
    key: &WalkKey,
    walks: &[WalkIndex],
    source: &mut dyn Source,
) -> Result<Vec<WalkOpening>, EngineError> {
    let mut wanted = BTreeSet::new();
    for walk in walks {
        wanted.insert(table_key(walk.segment, walk.walker));
        wanted.extend(
            walk.segment
                .checked_sub(1)
                .map(|before| table_key(before, walk.walker)),
        );
    }
    let tables = source.tables(&wanted)?;

    let mut states = Vec::with_capacity(walks.len());
    let mut openings = Vec::with_capacity(walks.len());
    for walk in walks {
        let start = match walk.segment.checked_sub(1) {
            Some(before) => Some(find(&tables, &table_key(before, walk.walker))?),
            None => None,
        };
        states.push(match &start {
            Some(span) => state_in(span, walk.walker)?,
            None => key.start(walk.walker),
        });
        let end = find(&tables, &table_key(walk.segment, walk.walker))?;
        let lines = Vec::with_capacity(to_usize(u64::from(SEGMENT_READS)));
        openings.push(WalkOpening { start, lines, end });
    }

    // All walks take their read together, so that a device is asked once for each read and not once for each walker.
    for _ in 0..SEGMENT_READS {
        let places: Vec<_> = states.iter().map(|state| line_key(shape, state)).collect();
        let found = source.spans(&places.iter().map(|(key, _)| *key).collect())?;
        for ((state, opening), (key, within)) in states.iter_mut().zip(&mut openings).zip(&places) {
            let span = find(&found, key)?;
            let start = to_usize(*within);
            let bytes = span
                .bytes
                .get(start..start.saturating_add(LINE_BYTES))
                .unwrap_or_default();
            let (line, _) = bytes.as_chunks::<LINE_BYTES>();
            state.absorb(line.first().ok_or(EngineError::NotFilled)?);
            opening.lines.push(span);
        }
    }
    Ok(openings)
}

/// The chunk with the line that a state reads next, and the line's offset inside it.
fn line_key(shape: &Shape, state: &State) -> (SpanKey, u64) {
    let (result, chunk, within) = line_place(shape, state.line(shape.lines()));
    let bytes = chunk_bytes();
    (
        SpanKey {
            result,
            offset: chunk.saturating_mul(bytes),
            bytes,
        },
        within,
    )
}

/// Cuts a span with its path out of a whole matrix or table and its tree.
pub(crate) fn cut(
    bytes: &[u8],
    tree: &crate::tree::Tree,
    offset: u64,
    length: u64,
) -> Option<Span> {
    let start = to_usize(offset);
    let bytes = bytes
        .get(start..start.saturating_add(to_usize(length)))?
        .to_vec();
    let level = length
        .trailing_zeros()
        .saturating_sub(chunk_bytes().trailing_zeros());
    let path: Vec<Digest> = tree.path(level, offset >> length.trailing_zeros());
    Some(Span { bytes, path })
}
