//! Phase B on the card, and what it leaves for openings.

use io_challenge::{Digest, Shape, WalkKey};

use crate::driver::Buffer;
use crate::engine::Watcher;
use crate::error::GpuError;
use crate::kernels::{FillView, Kernels};
use crate::ring::{Ring, digests, key, scratch_half};

/// Segments that one launch walks; their tables are digested together.
const SEGMENTS_AT_ONCE: u32 = 16;

/// What phase B leaves on the card.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Digest of the table after each segment.
    pub(crate) segments: Vec<Digest>,
    /// Where all walkers start.
    pub(crate) starts: Buffer,
    /// Values of the chunks of the table after each segment; the tables themselves are not kept.
    pub(crate) values: Buffer,
    /// Addresses of the kept results, in the order of their steps.
    pub(crate) pointers: Buffer,
}

impl Walked {
    /// Device bytes that phase B takes beside the fill, rounding of the allocations included.
    pub(crate) fn bytes(shape: &Shape) -> u64 {
        let at_once = u64::from(shape.segments().min(SEGMENTS_AT_ONCE));
        let values = u64::from(shape.segments()) * u64::from(shape.params().walkers);
        shape.table_bytes() * (at_once + 1) + values + (8 << 20)
    }

    /// Walks all segments.
    pub(crate) fn walk(
        kernels: &Kernels,
        shape: &Shape,
        ring: &Ring,
        walk_key: &WalkKey,
        mut watcher: Option<Watcher<'_>>,
    ) -> Result<Self, GpuError> {
        let context = kernels.stream.context();
        let (walkers, segments) = (shape.params().walkers, shape.segments());
        let (table, chunks) = (shape.table_bytes(), walkers / 32);
        let at_once = segments.min(SEGMENTS_AT_ONCE);
        let results = shape.first_kept()..shape.params().steps;
        let addresses: Vec<u64> = results.map(|step| ring.slot(step).address()).collect();
        let pointers = Buffer::new(context, addresses.len() as u64 * 8)?;
        pointers.write(&kernels.stream, &addresses)?;
        let fill = fill_view(shape, &pointers);

        let starts = Buffer::new(context, table)?;
        let tables = Buffer::new(context, table * u64::from(at_once))?;
        let values = Buffer::new(context, u64::from(segments) * u64::from(chunks) * 32)?;
        let half = u64::from(at_once) * scratch_half(u64::from(chunks));
        let scratch = Buffer::new(context, 2 * half)?;
        let roots = Buffer::new(context, u64::from(segments) * 32)?;
        let key = key(kernels, walk_key.as_bytes())?;
        kernels.start(key.address(), walkers, starts.address())?;
        let (mut from, mut first) = (starts.address(), 0);
        while first < segments {
            let count = at_once.min(segments - first);
            kernels.walk(fill, from, (walkers, count), tables.address())?;
            let batch = values.at(u64::from(first) * u64::from(chunks) * 32);
            kernels.chunks(tables.address(), count, chunks, batch)?;
            let root = roots.at(u64::from(first) * 32);
            kernels.climb(batch, (count, chunks), (root, 0), (scratch.address(), half))?;
            if let Some(each) = &mut watcher {
                let bytes = roots.read(
                    &kernels.stream,
                    u64::from(first) * 32,
                    u64::from(count) * 32,
                )?;
                for (segment, digest) in (first..).zip(digests(&bytes)) {
                    each(segment, &digest);
                }
            }
            from = tables.at(u64::from(count - 1) * table);
            first += count;
        }
        let segments = digests(&roots.read(&kernels.stream, 0, u64::from(segments) * 32)?);
        Ok(Self {
            segments,
            starts,
            values,
            pointers,
        })
    }
}

/// The kept results as walkers see them.
pub(crate) fn fill_view(shape: &Shape, pointers: &Buffer) -> FillView {
    FillView {
        matrices: pointers.address(),
        matrix_shift: shape.matrix_lines().trailing_zeros(),
        lines: shape.lines(),
    }
}
