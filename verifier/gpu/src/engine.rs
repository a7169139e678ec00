//! The engine of one card.

use std::collections::BTreeMap;
use std::sync::Arc;

use cudarc::driver::CudaContext;
use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;
use io_challenge::{
    Digest, Draw, Engine, EngineError, FillRoots, Lists, Openings, Params, Seed, SeedMatrix, Shape,
    Span, SpanKey, WalkKey, WalkRoots, dot, open_from, root_a, root_b,
};

use crate::driver::{Buffer, context, refused};
use crate::error::GpuError;
use crate::facts;
use crate::kernels::{FillView, Kernels, Product};
use crate::source::DeviceSource;

/// Bytes of a group: 32 chunks, the smallest pieces whose values stay on the card.
pub(crate) const GROUP_BYTES: u64 = 32 * 1024;
/// Segments that one launch walks; their tables are digested together.
const SEGMENTS_AT_ONCE: u32 = 16;

/// One card. See [`Engine`] for the order of calls.
#[derive(Debug)]
pub struct CudaEngine {
    name: String,
    uuid: String,
    context: Arc<CudaContext>,
    kernels: Kernels,
    held: Option<Held>,
}

/// A run in device memory.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) shape: Shape,
    pub(crate) seed: Seed,
    pub(crate) ring: Ring,
    digests: Vec<Digest>,
    root_a: Digest,
    pub(crate) walked: Option<Walked>,
}

/// The matrices of phase A with what digesting them needs.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) slots: Vec<Buffer>,
    /// Values of groups, for each slot one after the other.
    pub(crate) groups: Buffer,
    values: Buffer,
    scratch: Buffer,
    root: Buffer,
}

/// What phase B leaves for openings.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) segments: Vec<Digest>,
    pub(crate) starts: Buffer,
    /// Values of the chunks of the table after each segment.
    pub(crate) values: Buffer,
    pub(crate) pointers: Buffer,
}

impl Ring {
    fn new(context: &Arc<CudaContext>, shape: &Shape, kept: u32) -> Result<Self, GpuError> {
        let matrix = shape.matrix_bytes();
        Ok(Self {
            slots: (0..kept)
                .map(|_| Buffer::new(context, matrix))
                .collect::<Result<_, _>>()?,
            groups: Buffer::new(context, u64::from(kept) * (matrix / GROUP_BYTES) * 32)?,
            values: Buffer::new(context, matrix / 1024 * 32)?,
            scratch: Buffer::new(context, 2 * scratch_half(matrix / 1024))?,
            root: Buffer::new(context, u64::from(shape.params().steps) * 32)?,
        })
    }

    /// Device bytes that a ring of `kept` matrices takes.
    fn bytes(shape: &Shape, kept: u32) -> u64 {
        let matrix = shape.matrix_bytes();
        u64::from(kept) * (matrix + matrix / GROUP_BYTES * 32) + matrix / 1024 * 32 + (1 << 20)
    }

    pub(crate) fn slot(&self, step: u32) -> usize {
        step as usize % self.slots.len()
    }

    /// Where the groups of a result's slot begin.
    pub(crate) fn groups_offset(&self, shape: &Shape, step: u32) -> u64 {
        self.slot(step) as u64 * (shape.matrix_bytes() / GROUP_BYTES) * 32
    }
}

/// Half of the scratch that climbing from this many values needs: what the first round leaves.
fn scratch_half(values: u64) -> u64 {
    values.div_ceil(1024).max(1) * 32
}

fn digests(bytes: &[u8]) -> Vec<Digest> {
    bytes.as_chunks::<32>().0.to_vec()
}

impl CudaEngine {
    /// Opens a card by CUDA's number with the best product that it can run, and compiles the kernels for it.
    ///
    /// # Errors
    /// No driver, no such card, one that is too old, or one with MIG on.
    pub fn open(ordinal: usize) -> Result<Self, GpuError> {
        Self::open_with(ordinal, None)
    }

    /// Opens a card with a given product, for comparisons. `None` takes the best.
    ///
    /// # Errors
    /// Those of [`CudaEngine::open`]; the driver's refusal where the card cannot run the product.
    pub fn open_with(ordinal: usize, product: Option<Product>) -> Result<Self, GpuError> {
        let context = context(ordinal)?;
        let name = context.name().map_err(refused("asking its name"))?;
        let (major, minor) = context
            .compute_capability()
            .map_err(refused("asking what it can do"))?;
        if major < 8 {
            return Err(GpuError::DeviceTooOld { name, major, minor });
        }
        let uuid = uuid(&context)?;
        if facts::of_uuid(&uuid).is_some_and(|card| card.mig == Some(true)) {
            return Err(GpuError::Mig { uuid });
        }
        let kernels = Kernels::load(
            &context,
            product.unwrap_or_else(|| Product::best(major, minor)),
        )?;
        let name = format!("CUDA, {name}, {}", kernels.product_kind().name());
        Ok(Self {
            name,
            uuid,
            context,
            kernels,
            held: None,
        })
    }

    /// The card's UUID, by which its [`Facts`](crate::Facts) are found.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// Device memory in bytes, as CUDA sees it.
    ///
    /// # Errors
    /// A card that was lost.
    pub fn memory_bytes(&self) -> Result<u64, GpuError> {
        Ok(self
            .context
            .total_mem()
            .map_err(refused("asking its memory"))? as u64)
    }

    /// Multiprocessors and their highest clock in kHz, from which the datasheet's rate follows.
    ///
    /// # Errors
    /// A card that was lost.
    pub fn multiprocessors(&self) -> Result<(i32, i32), GpuError> {
        let ask = |attribute| {
            self.context
                .attribute(attribute)
                .map_err(refused("asking its clocks"))
        };
        Ok((
            ask(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            ask(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?,
        ))
    }

    /// Refuses a run for which the card has not the memory, before anything is allocated.
    fn room(&self, needed: u64) -> Result<(), GpuError> {
        let (free, _) = self
            .context
            .mem_get_info()
            .map_err(refused("asking for free memory"))?;
        let free = free as u64;
        if free < needed {
            return Err(GpuError::Memory {
                needed,
                free,
                users: facts::foreign(&self.uuid),
            });
        }
        Ok(())
    }

    fn key(&self, bytes: &Digest) -> Result<Buffer, GpuError> {
        let key = Buffer::new(&self.context, 32)?;
        key.write(bytes)?;
        Ok(key)
    }

    /// Writes X₋₁ and X₀ into the last two slots.
    fn expand(&self, shape: &Shape, seed: &Seed, ring: &Ring) -> Result<(), GpuError> {
        let key = self.key(seed.as_bytes())?;
        let last = ring.slots.len();
        for (index, slot) in [(0, last - 2), (1, last - 1)] {
            self.kernels.expand(
                key.address(),
                index,
                ring.slots[slot].address(),
                shape.matrix_bytes(),
            )?;
        }
        // The key is freed on return.
        self.kernels
            .stream
            .synchronize()
            .map_err(refused("expanding the seed"))
    }

    /// A ring of no matrices, for digests alone.
    pub(crate) fn scratch_ring(&self, shape: &Shape) -> Result<Ring, GpuError> {
        let matrix = shape.matrix_bytes();
        Ok(Ring {
            slots: Vec::new(),
            groups: Buffer::new(&self.context, matrix / GROUP_BYTES * 32)?,
            values: Buffer::new(&self.context, matrix / 1024 * 32)?,
            scratch: Buffer::new(&self.context, 2 * scratch_half(matrix / 1024))?,
            root: Buffer::new(&self.context, 32)?,
        })
    }

    /// Enqueues the digest of a matrix that is in no ring.
    pub(crate) fn digest(&self, shape: &Shape, ring: &Ring, matrix: u64) -> Result<(), GpuError> {
        self.digest_to(
            shape,
            ring,
            matrix,
            (ring.root.address(), ring.groups.address()),
        )
    }

    /// Enqueues the digest of a matrix: its root and the values of its groups.
    fn digest_to(
        &self,
        shape: &Shape,
        ring: &Ring,
        matrix: u64,
        to: (u64, u64),
    ) -> Result<(), GpuError> {
        let chunks = (shape.matrix_bytes() / 1024) as u32;
        self.kernels
            .chunks(matrix, 1, chunks, ring.values.address())?;
        let scratch = (ring.scratch.address(), scratch_half(u64::from(chunks)));
        self.kernels
            .climb(ring.values.address(), (1, chunks), to, scratch)
    }

    /// Enqueues a step and its digest.
    fn step(&self, shape: &Shape, seed: &Seed, ring: &Ring, step: u32) -> Result<(), GpuError> {
        let kept = ring.slots.len() as u32;
        let slot = |back: u32| &ring.slots[((step + kept - back) % kept) as usize];
        let (newer, older, out) = (slot(1).address(), slot(2).address(), slot(0).address());
        self.kernels.product(
            (newer, older, out),
            shape.params().size,
            seed.requantiser(step),
        )?;
        let groups = ring.groups.at(ring.groups_offset(shape, step));
        let root = ring.root.at(u64::from(step) * 32);
        self.digest_to(shape, ring, out, (root, groups))
    }

    /// One row of an operand: of a kept result, or of a starting matrix.
    fn row(&self, held: &Held, back: (u32, u32), row: u32) -> Result<Option<Vec<u8>>, GpuError> {
        let (step, back) = back;
        let size = u64::from(held.shape.params().size);
        let offset = u64::from(row) * size;
        match step.checked_sub(back) {
            Some(result) if result >= held.shape.first_kept() => {
                let slot = &held.ring.slots[held.ring.slot(result)];
                slot.read(&self.kernels.stream, offset, size).map(Some)
            }
            Some(_) => Ok(None),
            None => {
                // Step 0 has X₀ one back and X₋₁ two back; step 1 has X₀ two back.
                let matrix = if step == 0 && back == 2 {
                    SeedMatrix::Older
                } else {
                    SeedMatrix::Newer
                };
                let mut bytes = vec![0; held.shape.size()];
                held.seed.expand(matrix, offset, &mut bytes);
                Ok(Some(bytes))
            }
        }
    }

    /// Recomputes one element of each kept step on the host. A difference is a fault of the card, not an answer.
    fn self_check(&self, held: &Held) -> Result<(), EngineError> {
        let params = held.shape.params();
        for step in held.shape.first_kept()..params.steps {
            let element = io_challenge::Element::draw(&held.shape, held.seed.as_bytes(), step);
            let (row, column) = (element.row, element.column);
            let left = self.row(held, (step, 1), row)?;
            let right = self.row(held, (step, 2), column)?;
            let (Some(left), Some(right)) = (left, right) else {
                continue;
            };
            let slot = &held.ring.slots[held.ring.slot(step)];
            let offset = u64::from(row) * u64::from(params.size) + u64::from(column);
            let got = slot.read(&self.kernels.stream, offset, 1)?;
            if got != [held.seed.requantiser(step).apply(dot(&left, &right))] {
                return Err(EngineError::Hardware { step, row, column });
            }
        }
        Ok(())
    }

    /// Runs phase A again in the ring that holds it, which ends with the same bytes, and cuts spans of results on the way
    /// that are no longer held at its end.
    pub(crate) fn rerun(
        &self,
        held: &Held,
        cut: &mut dyn FnMut(u32) -> Result<BTreeMap<SpanKey, Span>, EngineError>,
    ) -> Result<BTreeMap<SpanKey, Span>, EngineError> {
        let mut found = BTreeMap::new();
        self.expand(&held.shape, &held.seed, &held.ring)?;
        for step in 0..held.shape.params().steps {
            self.step(&held.shape, &held.seed, &held.ring, step)?;
            found.append(&mut cut(step)?);
        }
        Ok(found)
    }

    /// The kept results as walkers see them, with the list of addresses that the view points to.
    fn view(&self, held: &Held) -> Result<(FillView, Buffer), GpuError> {
        let results = held.shape.first_kept()..held.shape.params().steps;
        let addresses: Vec<u64> = results
            .map(|step| held.ring.slots[held.ring.slot(step)].address())
            .collect();
        let pointers = Buffer::new(&self.context, addresses.len() as u64 * 8)?;
        pointers.write(&addresses)?;
        Ok((fill_view(&held.shape, &pointers), pointers))
    }

    fn walk_held(&self, held: &Held) -> Result<Walked, GpuError> {
        let Held {
            shape,
            seed,
            root_a,
            ..
        } = held;
        let (walkers, segments) = (shape.params().walkers, shape.segments());
        let (table, chunks) = (shape.table_bytes(), walkers / 32);
        let at_once = segments.min(SEGMENTS_AT_ONCE);
        self.room(
            table * (u64::from(at_once) + 1) + u64::from(segments) * u64::from(walkers) + (1 << 20),
        )?;
        let (fill, pointers) = self.view(held)?;
        let starts = Buffer::new(&self.context, table)?;
        let tables = Buffer::new(&self.context, table * u64::from(at_once))?;
        let values = Buffer::new(&self.context, u64::from(segments) * u64::from(chunks) * 32)?;
        let half = u64::from(at_once) * scratch_half(u64::from(chunks));
        let scratch = Buffer::new(&self.context, 2 * half)?;
        let roots = Buffer::new(&self.context, u64::from(segments) * 32)?;
        let key = self.key(WalkKey::derive(seed, root_a).as_bytes())?;
        self.kernels
            .start(key.address(), walkers, starts.address())?;
        let (mut from, mut first) = (starts.address(), 0);
        while first < segments {
            let count = at_once.min(segments - first);
            self.kernels
                .walk(fill, from, (walkers, count), tables.address())?;
            let batch = values.at(u64::from(first) * u64::from(chunks) * 32);
            self.kernels
                .chunks(tables.address(), count, chunks, batch)?;
            let root = roots.at(u64::from(first) * 32);
            self.kernels
                .climb(batch, (count, chunks), (root, 0), (scratch.address(), half))?;
            from = tables.at(u64::from(count - 1) * table);
            first += count;
        }
        let segments = digests(&roots.read(&self.kernels.stream, 0, u64::from(segments) * 32)?);
        Ok(Walked {
            segments,
            starts,
            values,
            pointers,
        })
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(crate) fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }
}

pub(crate) fn fill_view(shape: &Shape, pointers: &Buffer) -> FillView {
    FillView {
        matrices: pointers.address(),
        matrix_shift: shape.matrix_lines().trailing_zeros(),
        lines: shape.lines(),
    }
}

/// The UUID in NVML's form.
fn uuid(context: &CudaContext) -> Result<String, GpuError> {
    let bytes = context.uuid().map_err(refused("asking its UUID"))?.bytes;
    let mut hex = String::new();
    for byte in bytes {
        for half in [byte.cast_unsigned() >> 4, byte.cast_unsigned() & 15] {
            hex.extend(char::from_digit(u32::from(half), 16));
        }
    }
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    Ok(format!(
        "GPU-{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    ))
}

impl Engine for CudaEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn fill(&mut self, params: &Params, seed: &Seed) -> Result<FillRoots, EngineError> {
        self.held = None;
        let shape = params.shape()?;
        self.room(Ring::bytes(&shape, params.kept))?;
        let ring = Ring::new(&self.context, &shape, params.kept)?;
        self.expand(&shape, seed, &ring)?;
        for step in 0..params.steps {
            self.step(&shape, seed, &ring, step)?;
        }
        let bytes = ring
            .root
            .read(&self.kernels.stream, 0, u64::from(params.steps) * 32)?;
        let digests = digests(&bytes);
        let root_a = root_a(&digests);
        let held = Held {
            shape,
            seed: *seed,
            ring,
            digests: digests.clone(),
            root_a,
            walked: None,
        };
        self.self_check(&held)?;
        self.held = Some(held);
        Ok(FillRoots { digests, root_a })
    }

    fn walk(&mut self) -> Result<WalkRoots, EngineError> {
        let held = self.held.as_ref().ok_or(EngineError::NotFilled)?;
        let walked = self.walk_held(held)?;
        let segments = walked.segments.clone();
        if let Some(held) = &mut self.held {
            held.walked = Some(walked);
        }
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
        let mut source = DeviceSource::new(self, held, walked);
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
        self.room(Ring::bytes(&shape, 3))?;
        let ring = Ring::new(&self.context, &shape, 3)?;
        self.expand(&shape, seed, &ring)?;
        for step in 0..params.steps {
            self.step(&shape, seed, &ring, step)?;
            let bytes = ring
                .root
                .read(&self.kernels.stream, u64::from(step) * 32, 32)?;
            let digest = digests(&bytes)[0];
            if !each(step, &digest) {
                break;
            }
        }
        Ok(())
    }
}
