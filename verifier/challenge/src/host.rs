//! An engine in host memory. What is worth making fast is behind [`Kernels`]; the rest is the same for all CPUs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::commit::{root_a, root_b};
use crate::draw::Draw;
use crate::engine::{Engine, EngineError, FillRoots, WalkRoots};
use crate::num::to_usize;
use crate::opening::{Lists, Openings, Span, chunk_bytes};
use crate::params::{Params, Shape};
use crate::seed::{Requantiser, Seed, SeedMatrix};
use crate::source::{Source, SpanKey, TableKey, cut, open_from};
use crate::step::multiply_rows;
use crate::tree::Tree;
use crate::walk::{Fill, State, WalkKey};
use crate::{Digest, SEGMENT_READS, STATE_BYTES};

/// The four operations that take the time. The defaults are the scalar reference.
pub trait Kernels: Send {
    /// What computes, for people.
    fn name(&self) -> &str;

    /// Writes a starting matrix.
    fn expand(&self, seed: &Seed, matrix: SeedMatrix, out: &mut [u8]) {
        seed.expand(matrix, 0, out);
    }

    /// One step: `out = f(newer · olderᵀ)`, all three of `size²` bytes.
    #[expect(
        clippy::too_many_arguments,
        reason = "the operands of one product; a struct of slices would only rename them"
    )]
    fn multiply(
        &self,
        size: usize,
        requantiser: &Requantiser,
        newer: &[u8],
        older: &[u8],
        out: &mut [u8],
    ) {
        multiply_rows(size, requantiser, newer, older, out);
    }

    /// The BLAKE3 hash of a matrix or table.
    fn digest(&self, bytes: &[u8]) -> Digest {
        *blake3::hash(bytes).as_bytes()
    }

    /// Moves every walker of a table by [`SEGMENT_READS`] reads.
    fn advance(&self, fill: &Fill<'_>, table: &mut [u8]) {
        let (states, _) = table.as_chunks_mut::<STATE_BYTES>();
        for state in states {
            *state = fill
                .advance(State::from_bytes(state), SEGMENT_READS)
                .to_bytes();
        }
    }
}

/// The scalar reference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar;

impl Kernels for Scalar {
    fn name(&self) -> &'static str {
        "scalar, 1 thread"
    }
}

/// The scalar engine: slow, and the one that all others must equal.
pub type ScalarEngine = HostEngine<Scalar>;

/// An engine that holds the fill in host memory.
#[derive(Debug, Default)]
pub struct HostEngine<K> {
    kernels: K,
    held: Option<Held>,
}

/// A run in memory.
#[derive(Debug)]
struct Held {
    shape: Shape,
    seed: Seed,
    ring: Ring,
    digests: Vec<Digest>,
    root_a: Digest,
    walked: Option<Walked>,
}

#[derive(Debug)]
struct Walked {
    tables: Vec<Vec<u8>>,
    segments: Vec<Digest>,
}

/// The matrices of phase A: a ring whose two last places start as X₋₁ and X₀ and are overwritten last.
#[derive(Debug)]
struct Ring {
    slots: Vec<Vec<u8>>,
}

fn buffer(bytes: u64) -> Result<Vec<u8>, EngineError> {
    let mut buffer = Vec::new();
    let length = to_usize(bytes);
    if buffer.try_reserve_exact(length).is_err() {
        return Err(EngineError::Memory(bytes));
    }
    buffer.resize(length, 0);
    Ok(buffer)
}

impl Ring {
    fn start<K: Kernels>(
        kernels: &K,
        shape: &Shape,
        seed: &Seed,
        kept: u32,
    ) -> Result<Self, EngineError> {
        let mut slots = Vec::new();
        for slot in 0..kept {
            let mut matrix = buffer(shape.matrix_bytes())?;
            match kept.wrapping_sub(slot) {
                2 => kernels.expand(seed, SeedMatrix::Older, &mut matrix),
                1 => kernels.expand(seed, SeedMatrix::Newer, &mut matrix),
                _ => {}
            }
            slots.push(matrix);
        }
        Ok(Self { slots })
    }

    /// The slot of a result, counted `back` results before `step`.
    fn slot(&self, step: u32, back: u32) -> usize {
        let kept = u64::try_from(self.slots.len()).unwrap_or(u64::MAX).max(1);
        let place = u64::from(step)
            .wrapping_add(kept)
            .wrapping_sub(u64::from(back));
        to_usize(place.checked_rem(kept).unwrap_or(0))
    }

    fn result(&self, step: u32) -> Option<&[u8]> {
        self.slots.get(self.slot(step, 0)).map(Vec::as_slice)
    }

    /// Computes a step over the oldest matrix. Returns its bytes.
    fn step<K: Kernels>(
        &mut self,
        kernels: &K,
        shape: &Shape,
        seed: &Seed,
        step: u32,
    ) -> Result<&[u8], EngineError> {
        let (newer, older, target) = (self.slot(step, 1), self.slot(step, 2), self.slot(step, 0));
        let mut out = self
            .slots
            .get_mut(target)
            .map(core::mem::take)
            .ok_or(EngineError::NotFilled)?;
        let (Some(newer), Some(older)) = (self.slots.get(newer), self.slots.get(older)) else {
            return Err(EngineError::NotFilled);
        };
        kernels.multiply(
            shape.size(),
            &seed.requantiser(step),
            newer,
            older,
            &mut out,
        );
        let slot = self.slots.get_mut(target).ok_or(EngineError::NotFilled)?;
        *slot = out;
        Ok(slot)
    }
}

impl<K: Kernels> HostEngine<K> {
    /// An engine with these kernels and nothing held.
    pub fn new(kernels: K) -> Self {
        Self {
            kernels,
            held: None,
        }
    }

    /// The bytes of a held result, for tests that look for faults.
    #[must_use]
    pub fn result(&self, step: u32) -> Option<&[u8]> {
        let held = self.held.as_ref()?;
        let kept = (held.shape.first_kept()..held.shape.params().steps).contains(&step);
        if kept { held.ring.result(step) } else { None }
    }
}

impl<K: Kernels> Engine for HostEngine<K> {
    fn name(&self) -> &str {
        self.kernels.name()
    }

    fn fill_watched(
        &mut self,
        params: &Params,
        seed: &Seed,
        each: &mut dyn FnMut(u32, &Digest),
    ) -> Result<FillRoots, EngineError> {
        self.held = None;
        let shape = params.shape()?;
        let mut ring = Ring::start(&self.kernels, &shape, seed, params.kept)?;
        let mut digests = Vec::with_capacity(to_usize(u64::from(params.steps)));
        for step in 0..params.steps {
            let bytes = ring.step(&self.kernels, &shape, seed, step)?;
            let digest = self.kernels.digest(bytes);
            each(step, &digest);
            digests.push(digest);
        }
        let root_a = root_a(&digests);
        self.held = Some(Held {
            shape,
            seed: *seed,
            ring,
            digests: digests.clone(),
            root_a,
            walked: None,
        });
        Ok(FillRoots { digests, root_a })
    }

    fn walk_watched(
        &mut self,
        each: &mut dyn FnMut(u32, &Digest),
    ) -> Result<WalkRoots, EngineError> {
        let held = self.held.as_mut().ok_or(EngineError::NotFilled)?;
        let Held {
            shape,
            seed,
            ring,
            digests: _,
            root_a,
            walked,
        } = held;
        let results = shape.first_kept()..shape.params().steps;
        let fill = Fill::new(
            shape,
            results.filter_map(|step| ring.result(step)).collect(),
        );
        let mut table = buffer(shape.table_bytes())?;
        WalkKey::derive(seed, root_a).start_all(&mut table);
        let mut tables = Vec::new();
        let mut segments = Vec::new();
        for segment in 0..shape.segments() {
            self.kernels.advance(&fill, &mut table);
            let digest = self.kernels.digest(&table);
            each(segment, &digest);
            segments.push(digest);
            let mut copy = buffer(shape.table_bytes())?;
            copy.copy_from_slice(&table);
            tables.push(copy);
        }
        *walked = Some(Walked {
            tables,
            segments: segments.clone(),
        });
        let root_b = root_b(&segments);
        Ok(WalkRoots { segments, root_b })
    }

    fn open(&mut self, draw: &Draw) -> Result<Openings, EngineError> {
        let held = self.held.as_ref().ok_or(EngineError::NotFilled)?;
        let walked = held.walked.as_ref().ok_or(EngineError::NotWalked)?;
        let lists = Lists {
            digests: held.digests.clone(),
            segments: walked.segments.clone(),
        };
        let key = WalkKey::derive(&held.seed, &held.root_a);
        let mut source = HostSource {
            kernels: &self.kernels,
            held,
            walked,
            trees: BTreeMap::new(),
        };
        open_from(&held.shape, &key, lists, draw, &mut source)
    }

    fn release(&mut self) {
        self.held = None;
    }

    fn replay(
        &mut self,
        params: &Params,
        seed: &Seed,
        each: &mut dyn FnMut(u32, &Digest) -> bool,
    ) -> Result<(), EngineError> {
        let shape = params.shape()?;
        let mut ring = Ring::start(&self.kernels, &shape, seed, 3)?;
        for step in 0..params.steps {
            let bytes = ring.step(&self.kernels, &shape, seed, step)?;
            if !each(step, &self.kernels.digest(bytes)) {
                break;
            }
        }
        Ok(())
    }
}

/// A held run with the trees that one call of `open` has built.
struct HostSource<'a, K> {
    kernels: &'a K,
    held: &'a Held,
    walked: &'a Walked,
    trees: BTreeMap<u32, Tree>,
}

impl<K: Kernels> HostSource<'_, K> {
    /// Computes results again that the ring has overwritten, and cuts what is wanted of them.
    fn replay(
        &self,
        wanted: &BTreeSet<SpanKey>,
        found: &mut BTreeMap<SpanKey, Span>,
    ) -> Result<(), EngineError> {
        let Held { shape, seed, .. } = self.held;
        let lost: BTreeSet<_> = wanted
            .iter()
            .filter(|key| key.result < shape.first_kept())
            .map(|key| key.result)
            .collect();
        let Some(last) = lost.last() else {
            return Ok(());
        };
        let mut ring = Ring::start(self.kernels, shape, seed, 3)?;
        for step in 0..=*last {
            let bytes = ring.step(self.kernels, shape, seed, step)?;
            if lost.contains(&step) {
                let tree = Tree::of(0, bytes);
                for key in wanted.iter().filter(|key| key.result == step) {
                    found.extend(cut(bytes, &tree, key.offset, key.bytes).map(|span| (*key, span)));
                }
            }
        }
        Ok(())
    }
}

impl<K: Kernels> Source for HostSource<'_, K> {
    fn spans(
        &mut self,
        wanted: &BTreeSet<SpanKey>,
    ) -> Result<BTreeMap<SpanKey, Span>, EngineError> {
        let mut found = BTreeMap::new();
        self.replay(wanted, &mut found)?;
        let first_kept = self.held.shape.first_kept();
        for key in wanted.iter().filter(|key| key.result >= first_kept) {
            let bytes = self
                .held
                .ring
                .result(key.result)
                .ok_or(EngineError::NotFilled)?;
            let tree = self
                .trees
                .entry(key.result)
                .or_insert_with(|| Tree::of(0, bytes));
            found.extend(cut(bytes, tree, key.offset, key.bytes).map(|span| (*key, span)));
        }
        Ok(found)
    }

    fn tables(
        &mut self,
        wanted: &BTreeSet<TableKey>,
    ) -> Result<BTreeMap<TableKey, Span>, EngineError> {
        let mut found = BTreeMap::new();
        for key in wanted {
            let table = self
                .walked
                .tables
                .get(to_usize(u64::from(key.segment)))
                .ok_or(EngineError::NotWalked)?;
            let tree = Tree::of(0, table);
            let offset = u64::from(key.chunk).saturating_mul(chunk_bytes());
            found.extend(cut(table, &tree, offset, chunk_bytes()).map(|span| (*key, span)));
        }
        Ok(found)
    }
}
