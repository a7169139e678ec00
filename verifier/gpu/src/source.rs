//! Openings from device memory. The card keeps one value for each 32 KiB of a matrix and for each 32 walkers of a table;
//! what lies below is fetched or walked again.

use std::collections::{BTreeMap, BTreeSet};

use io_challenge::{EngineError, Source, Span, SpanKey, TableKey, Tree};

use crate::driver::Buffer;
use crate::engine::{CudaEngine, Held};
use crate::error::GpuError;
use crate::ring::GROUP_BYTES;
use crate::walked::{Walked, fill_view};

/// A held run with the upper trees that one call of `open` has fetched.
pub(crate) struct DeviceSource<'a> {
    engine: &'a CudaEngine,
    held: &'a Held,
    walked: &'a Walked,
    trees: BTreeMap<u32, Tree>,
}

fn leaves(bytes: &[u8]) -> Tree {
    Tree::from_leaves(bytes.as_chunks::<32>().0.to_vec())
}

impl<'a> DeviceSource<'a> {
    pub(crate) fn new(engine: &'a CudaEngine, held: &'a Held, walked: &'a Walked) -> Self {
        Self {
            engine,
            held,
            walked,
            trees: BTreeMap::new(),
        }
    }

    /// The tree above the groups of the result that now lies in its slot.
    fn upper(&self, result: u32) -> Result<Tree, GpuError> {
        let Held { shape, ring, .. } = self.held;
        let offset = ring.groups_offset(shape, result);
        let length = shape.matrix_bytes() / GROUP_BYTES * 32;
        Ok(leaves(&ring.groups.read(
            &self.engine.kernels().stream,
            offset,
            length,
        )?))
    }

    /// A span of the result that now lies in its slot.
    fn cut(&self, key: &SpanKey, upper: &Tree) -> Result<Span, GpuError> {
        let ring = &self.held.ring;
        let slot = ring.slot(key.result);
        let group = key.offset / GROUP_BYTES;
        let start = group * GROUP_BYTES;
        let bytes = slot.read(&self.engine.kernels().stream, start, GROUP_BYTES)?;
        let within = key.offset - start;
        let level = (key.bytes / 1024).trailing_zeros();
        let mut path = Tree::of(start, &bytes).path(level, within / key.bytes);
        path.extend(upper.path(0, group));
        let range = within as usize..(within + key.bytes) as usize;
        Ok(Span {
            bytes: bytes[range].to_vec(),
            path,
        })
    }

    fn cut_all(&self, keys: &[SpanKey], upper: &Tree) -> Result<BTreeMap<SpanKey, Span>, GpuError> {
        keys.iter()
            .map(|key| Ok((*key, self.cut(key, upper)?)))
            .collect()
    }
}

impl Source for DeviceSource<'_> {
    fn spans(
        &mut self,
        wanted: &BTreeSet<SpanKey>,
    ) -> Result<BTreeMap<SpanKey, Span>, EngineError> {
        let mut by_result: BTreeMap<u32, Vec<SpanKey>> = BTreeMap::new();
        for key in wanted {
            by_result.entry(key.result).or_default().push(*key);
        }
        let first_kept = self.held.shape.first_kept();
        let mut found = BTreeMap::new();
        if by_result.keys().any(|result| *result < first_kept) {
            found = self
                .engine
                .rerun(self.held, &mut |step| match by_result.get(&step) {
                    Some(keys) if step < first_kept => Ok(self.cut_all(keys, &self.upper(step)?)?),
                    Some(_) | None => Ok(BTreeMap::new()),
                })?;
        }
        for (result, keys) in by_result.range(first_kept..) {
            if !self.trees.contains_key(result) {
                let upper = self.upper(*result)?;
                self.trees.insert(*result, upper);
            }
            let upper = self.trees.get(result).ok_or(EngineError::NotFilled)?;
            found.append(&mut self.cut_all(keys, upper)?);
        }
        Ok(found)
    }

    fn tables(
        &mut self,
        wanted: &BTreeSet<TableKey>,
    ) -> Result<BTreeMap<TableKey, Span>, EngineError> {
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (
            engine,
            Walked {
                starts,
                values,
                pointers,
                ..
            },
        ) = (self.engine, self.walked);
        let stream = &engine.kernels().stream;
        let list = |words: Vec<u32>| -> Result<Buffer, GpuError> {
            let buffer = Buffer::new(engine.context(), words.len() as u64 * 4)?;
            buffer.write(stream, &words)?;
            Ok(buffer)
        };
        let groups = list(wanted.iter().map(|key| key.chunk).collect())?;
        let segments = list(wanted.iter().map(|key| key.segment).collect())?;
        let out = Buffer::new(engine.context(), wanted.len() as u64 * 1024)?;
        let fill = fill_view(&self.held.shape, pointers);
        let keys = (groups.address(), segments.address(), wanted.len() as u32);
        engine
            .kernels()
            .walk_again(fill, starts.address(), keys, out.address())?;
        let bytes = out.read(stream, 0, wanted.len() as u64 * 1024)?;
        let table_values = u64::from(self.held.shape.params().walkers);
        let mut found = BTreeMap::new();
        for (key, bytes) in wanted.iter().zip(bytes.chunks_exact(1024)) {
            let upper = leaves(&values.read(
                stream,
                u64::from(key.segment) * table_values,
                table_values,
            )?);
            let path = upper.path(0, u64::from(key.chunk));
            found.insert(
                *key,
                Span {
                    bytes: bytes.to_vec(),
                    path,
                },
            );
        }
        Ok(found)
    }
}
