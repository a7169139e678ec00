//! The spot check: recompute drawn places from opened spans, without the matrices.

use crate::commit::{Roots, root_a, root_b};
use crate::draw::{Draw, Element, WalkIndex, row_offset};
use crate::flaw::{Flaw, OpeningError, Part, PartError};
use crate::num::to_usize;
use crate::opening::{ElementOpening, Form, Lists, Openings, Span, WalkOpening, operands_opened};
use crate::params::{Params, Shape};
use crate::seed::{Seed, SeedMatrix};
use crate::step::dot;
use crate::tree::{fold, subtree};
use crate::walk::{State, WalkKey};
use crate::{CHUNK_BYTES, Digest, LINE_BYTES, SEGMENT_READS, STATE_BYTES};

/// What a span belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The result of a step.
    Matrix(u32),
    /// The table after a segment.
    Table(u32),
}

/// Says whether a digest is the committed one; gives the reason if not.
pub(crate) type Authority<'a> = dyn FnMut(Part, Home, &Digest) -> Result<(), PartError> + 'a;

/// The span at `index` of its level, checked for its form and its home.
fn authentic<'a>(
    span: &'a Span,
    form: Form,
    index: u64,
    (part, home): (Part, Home),
    authority: &mut Authority<'_>,
) -> Result<&'a [u8], Flaw> {
    let Span { bytes, path } = span;
    let flaw = |error| Flaw::Part { part, error };
    if bytes.len() != to_usize(form.bytes) {
        return Err(flaw(PartError::Bytes {
            expected: form.bytes,
            got: bytes.len(),
        }));
    }
    if path.len() != to_usize(u64::from(form.depth)) {
        return Err(flaw(PartError::Path {
            expected: form.depth,
            got: path.len(),
        }));
    }
    let value = subtree(index.saturating_mul(form.bytes), bytes);
    let root = fold(value, index, path);
    authority(part, home, &root).map_err(flaw)?;
    Ok(bytes)
}

/// A slice that the checked form of its span contains.
fn inside(bytes: &[u8], offset: u64, length: usize, part: Part) -> Result<&[u8], Flaw> {
    let start = to_usize(offset);
    bytes
        .get(start..start.saturating_add(length))
        .ok_or(Flaw::Part {
            part,
            error: PartError::Bytes {
                expected: offset,
                got: bytes.len(),
            },
        })
}

/// One operand's row, opened or from the seed.
fn operand(
    shape: &Shape,
    span: Option<&Span>,
    row: u32,
    (part, result): (Part, Option<u32>),
    authority: &mut Authority<'_>,
) -> Result<Option<alloc::vec::Vec<u8>>, Flaw> {
    match (span, result) {
        (None, None) => Ok(None),
        (Some(span), Some(result)) => {
            let form = Form::row(shape);
            let offset = row_offset(shape, row);
            let index = offset >> form.bytes.trailing_zeros();
            let bytes = authentic(span, form, index, (part, Home::Matrix(result)), authority)?;
            let within = offset & form.bytes.wrapping_sub(1);
            inside(bytes, within, shape.size(), part).map(|row| Some(row.to_vec()))
        }
        (Some(_), None) => Err(Flaw::Part {
            part,
            error: PartError::Unexpected,
        }),
        (None, Some(_)) => Err(Flaw::Part {
            part,
            error: PartError::Missing,
        }),
    }
}

/// A row of a starting matrix.
pub(crate) fn seed_row(
    shape: &Shape,
    seed: &Seed,
    matrix: SeedMatrix,
    row: u32,
) -> alloc::vec::Vec<u8> {
    let mut bytes = alloc::vec![0; shape.size()];
    seed.expand(matrix, row_offset(shape, row), &mut bytes);
    bytes
}

/// Recomputes an element; `Ok` means that the spans are authentic and the element is right.
/// Allocates the two rows.
pub(crate) fn judge_element(
    shape: &Shape,
    seed: &Seed,
    element: Element,
    opening: &ElementOpening,
    authority: &mut Authority<'_>,
) -> Result<(), Flaw> {
    element.check(shape).map_err(Flaw::Place)?;
    let ElementOpening {
        left,
        right,
        result,
    } = opening;
    let Element { step, row, column } = element;
    let (left_opened, right_opened) = operands_opened(step);
    let left_home = left_opened.then(|| step.wrapping_sub(1));
    let right_home = right_opened.then(|| step.wrapping_sub(2));
    let left_row = operand(
        shape,
        left.as_ref(),
        row,
        (Part::Left, left_home),
        authority,
    )?
    .unwrap_or_else(|| seed_row(shape, seed, SeedMatrix::Newer, row));
    // In step 0 the older operand is X₋₁, in step 1 it is X₀.
    let seed_matrix = if step == 0 {
        SeedMatrix::Older
    } else {
        SeedMatrix::Newer
    };
    let right_row = operand(
        shape,
        right.as_ref(),
        column,
        (Part::Right, right_home),
        authority,
    )?
    .unwrap_or_else(|| seed_row(shape, seed, seed_matrix, column));

    let form = Form::chunk(shape);
    let offset = element.offset(shape);
    let index = offset >> form.bytes.trailing_zeros();
    let chunk = authentic(
        result,
        form,
        index,
        (Part::Result, Home::Matrix(step)),
        authority,
    )?;
    let [committed] = inside(chunk, offset & form.bytes.wrapping_sub(1), 1, Part::Result)? else {
        return Err(Flaw::Part {
            part: Part::Result,
            error: PartError::Missing,
        });
    };
    let correct = seed.requantiser(step).apply(dot(&left_row, &right_row));
    if *committed == correct {
        Ok(())
    } else {
        Err(Flaw::Element {
            committed: *committed,
            correct,
        })
    }
}

/// The state of a walker in the opened chunk of a table.
fn table_state(
    shape: &Shape,
    span: &Span,
    walker: u32,
    (part, segment): (Part, u32),
    authority: &mut Authority<'_>,
) -> Result<[u8; STATE_BYTES], Flaw> {
    let form = Form::table(shape);
    let offset = u64::from(walker) << STATE_BYTES.trailing_zeros();
    let index = offset >> form.bytes.trailing_zeros();
    let chunk = authentic(span, form, index, (part, Home::Table(segment)), authority)?;
    let bytes = inside(
        chunk,
        offset & form.bytes.wrapping_sub(1),
        STATE_BYTES,
        part,
    )?;
    let (states, _) = bytes.as_chunks::<STATE_BYTES>();
    states.first().copied().ok_or(Flaw::Part {
        part,
        error: PartError::Missing,
    })
}

/// Where a line lies: the result that holds it, the chunk, and the offset inside the chunk.
pub(crate) fn line_place(shape: &Shape, line: u64) -> (u32, u64, u64) {
    let lines = shape.matrix_lines();
    let kept = u32::try_from(line >> lines.trailing_zeros()).unwrap_or(u32::MAX);
    let offset = (line & lines.wrapping_sub(1)) << LINE_BYTES.trailing_zeros();
    let chunk = offset >> CHUNK_BYTES.trailing_zeros();
    let within = offset & u64::try_from(CHUNK_BYTES.wrapping_sub(1)).unwrap_or(u64::MAX);
    (shape.first_kept().saturating_add(kept), chunk, within)
}

/// Walks one segment again; `Ok` means that the spans are authentic and the end state is right.
pub(crate) fn judge_walk(
    shape: &Shape,
    key: &WalkKey,
    walk: WalkIndex,
    opening: &WalkOpening,
    authority: &mut Authority<'_>,
) -> Result<(), Flaw> {
    walk.check(shape).map_err(Flaw::Place)?;
    let WalkOpening { start, lines, end } = opening;
    let WalkIndex { walker, segment } = walk;
    let mut state = match (start, segment.checked_sub(1)) {
        (None, None) => key.start(walker),
        (Some(span), Some(before)) => State::from_bytes(&table_state(
            shape,
            span,
            walker,
            (Part::Start, before),
            authority,
        )?),
        (Some(_), None) => {
            return Err(Flaw::Part {
                part: Part::Start,
                error: PartError::Unexpected,
            });
        }
        (None, Some(_)) => {
            return Err(Flaw::Part {
                part: Part::Start,
                error: PartError::Missing,
            });
        }
    };
    let mut spans = lines.iter();
    for read in 0..SEGMENT_READS {
        let part = Part::Line(read);
        let span = spans.next().ok_or(Flaw::Part {
            part,
            error: PartError::Missing,
        })?;
        let (result, chunk, within) = line_place(shape, state.line(shape.lines()));
        let home = (part, Home::Matrix(result));
        let bytes = authentic(span, Form::chunk(shape), chunk, home, authority)?;
        let (line, _) = inside(bytes, within, LINE_BYTES, part)?.as_chunks::<LINE_BYTES>();
        state.absorb(line.first().ok_or(Flaw::Part {
            part,
            error: PartError::Missing,
        })?);
    }
    if spans.next().is_some() {
        return Err(Flaw::Part {
            part: Part::Line(SEGMENT_READS),
            error: PartError::Unexpected,
        });
    }
    let committed = table_state(shape, end, walker, (Part::End, segment), authority)?;
    let correct = state.to_bytes();
    if committed == correct {
        Ok(())
    } else {
        Err(Flaw::State { committed, correct })
    }
}

/// An authority that compares with the prover's lists.
fn by_lists(lists: &Lists) -> impl FnMut(Part, Home, &Digest) -> Result<(), PartError> {
    |_, home, root| {
        let committed = match home {
            Home::Matrix(result) => lists.digests.get(to_usize(u64::from(result))),
            Home::Table(segment) => lists.segments.get(to_usize(u64::from(segment))),
        };
        if committed == Some(root) {
            Ok(())
        } else {
            Err(PartError::Root)
        }
    }
}

/// Checks one opened element against lists that [`Lists::check`] has accepted. Allocates two rows.
///
/// # Errors
/// What is wrong with it.
pub fn check_element(
    shape: &Shape,
    seed: &Seed,
    lists: &Lists,
    element: Element,
    opening: &ElementOpening,
) -> Result<(), Flaw> {
    judge_element(shape, seed, element, opening, &mut by_lists(lists))
}

/// Checks one opened walker segment against lists that [`Lists::check`] has accepted.
///
/// # Errors
/// What is wrong with it.
pub fn check_walk(
    shape: &Shape,
    key: &WalkKey,
    lists: &Lists,
    walk: WalkIndex,
    opening: &WalkOpening,
) -> Result<(), Flaw> {
    judge_walk(shape, key, walk, opening, &mut by_lists(lists))
}

impl Lists {
    /// Checks that the lists are those below the roots. Allocates a list as long as the longer one.
    ///
    /// # Errors
    /// [`OpeningError::RootA`] or [`OpeningError::RootB`].
    pub fn check(&self, shape: &Shape, roots: &Roots) -> Result<(), OpeningError> {
        let Self { digests, segments } = self;
        if digests.len() != to_usize(u64::from(shape.params().steps))
            || root_a(digests) != roots.root_a
        {
            return Err(OpeningError::RootA);
        }
        if segments.len() != to_usize(u64::from(shape.segments()))
            || root_b(segments) != roots.root_b
        {
            return Err(OpeningError::RootB);
        }
        Ok(())
    }
}

/// The spot check of one verifier: every drawn place, in order. Allocates two rows at a time.
///
/// # Errors
/// The first thing that is wrong: lists, counts, elements, walks.
pub fn check_openings(
    params: &Params,
    seed: &Seed,
    roots: &Roots,
    draw: &Draw,
    openings: &Openings,
) -> Result<(), OpeningError> {
    let shape = params.shape()?;
    let Openings {
        lists,
        elements,
        walks,
    } = openings;
    lists.check(&shape, roots)?;
    for (expected, got) in [
        (draw.elements.len(), elements.len()),
        (draw.walks.len(), walks.len()),
    ] {
        if expected != got {
            return Err(OpeningError::Count { expected, got });
        }
    }
    for (index, (element, opening)) in draw.elements.iter().zip(elements).enumerate() {
        check_element(&shape, seed, lists, *element, opening).map_err(|flaw| {
            OpeningError::Element {
                index,
                element: *element,
                flaw,
            }
        })?;
    }
    let key = WalkKey::derive(seed, &roots.root_a);
    for (index, (walk, opening)) in draw.walks.iter().zip(walks).enumerate() {
        check_walk(&shape, &key, lists, *walk, opening).map_err(|flaw| OpeningError::Walk {
            index,
            walk: *walk,
            flaw,
        })?;
    }
    Ok(())
}
