//! The engine of one card.

use std::collections::BTreeMap;
use std::sync::Arc;

use cudarc::driver::CudaContext;
use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;
use io_challenge::{
    Digest, Draw, Engine, EngineError, FillRoots, Lists, Openings, Params, Seed, SeedMatrix, Shape,
    Span, SpanKey, WalkKey, WalkRoots, dot, open_from, root_a, root_b,
};

use crate::driver::{context, guarded, refused};
use crate::error::GpuError;
use crate::facts;
use crate::kernels::{Kernels, Product};
use crate::ring::Ring;
use crate::source::DeviceSource;
use crate::walked::Walked;

/// Hears of each step or segment and its digest.
pub(crate) type Watcher<'a> = &'a mut dyn FnMut(u32, &Digest);

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
        guarded(|| Self::open_card(ordinal, product))
    }

    fn open_card(ordinal: usize, product: Option<Product>) -> Result<Self, GpuError> {
        let context = context(ordinal)?;
        let name = context.name().map_err(refused("asking its name"))?;
        let (major, minor) = context
            .compute_capability()
            .map_err(refused("asking what it can do"))?;
        if major < 8 {
            return Err(GpuError::DeviceTooOld { name, major, minor });
        }
        let uuid = uuid(&context)?;
        // The driver's own name says it too, where NVML is missing or shows the whole card under another UUID.
        let is_part = name.split(' ').any(|word| word == "MIG");
        if is_part || facts::of_uuid(&uuid).is_some_and(|card| card.mig == Some(true)) {
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

    /// Dense int8 operations in a second by the datasheet: multiprocessors, times what one of this compute capability does
    /// in a clock, times the highest clock. `None` where that is not known.
    ///
    /// # Errors
    /// A card that was lost.
    pub fn peak_ops(&self) -> Result<Option<u64>, GpuError> {
        let ask = |attribute| {
            let value = self
                .context
                .attribute(attribute)
                .map_err(refused("asking its clocks"))?;
            Ok(u64::try_from(value).unwrap_or(0))
        };
        let capability = self
            .context
            .compute_capability()
            .map_err(refused("asking what it can do"))?;
        let in_a_clock = match capability {
            (8, 0) => 4096,
            (8, 6 | 9) | (12, _) => 2048,
            (9, 0) => 8192,
            (10, 0) => 16_384,
            (10, 3) => 512,
            _ => return Ok(None),
        };
        let count = ask(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let clock_khz = ask(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?;
        Ok(Some(count * clock_khz * 1000 * in_a_clock).filter(|peak| *peak > 0))
    }

    /// Refuses a run for which the card has not the memory, before anything is allocated.
    fn room(&self, needed: u64) -> Result<(), GpuError> {
        let (free, _) = self
            .context
            .mem_get_info()
            .map_err(refused("asking for free memory"))?;
        let free = free as u64;
        if free >= needed {
            return Ok(());
        }
        let processes = facts::foreign(&self.uuid);
        Err(if processes.is_empty() {
            GpuError::Memory { needed, free }
        } else {
            GpuError::Busy {
                needed,
                free,
                processes,
            }
        })
    }

    /// One row of an operand: of a kept result, or of a starting matrix.
    fn row(&self, held: &Held, back: (u32, u32), row: u32) -> Result<Option<Vec<u8>>, GpuError> {
        let (step, back) = back;
        let size = u64::from(held.shape.params().size);
        let offset = u64::from(row) * size;
        match step.checked_sub(back) {
            Some(result) if result >= held.shape.first_kept() => {
                let slot = held.ring.slot(result);
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
            let slot = held.ring.slot(step);
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
        held.ring.expand(&self.kernels, &held.shape, &held.seed)?;
        for step in 0..held.shape.params().steps {
            held.ring
                .step(&self.kernels, &held.shape, &held.seed, step)?;
            found.append(&mut cut(step)?);
        }
        Ok(found)
    }

    /// Phase A. A watcher hears of every step, for which the card is waited for each time.
    fn fill_with(
        &mut self,
        params: &Params,
        seed: &Seed,
        mut watcher: Option<Watcher<'_>>,
    ) -> Result<FillRoots, EngineError> {
        self.held = None;
        let shape = params.shape()?;
        self.room(Ring::bytes(&shape, params.kept))?;
        let ring = Ring::new(&self.context, &shape, params.kept)?;
        ring.expand(&self.kernels, &shape, seed)?;
        for step in 0..params.steps {
            ring.step(&self.kernels, &shape, seed, step)?;
            if let Some(each) = &mut watcher {
                for digest in ring.digests(&self.kernels, step, 1)? {
                    each(step, &digest);
                }
            }
        }
        let digests = ring.digests(&self.kernels, 0, params.steps)?;
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

    /// Phase B. A watcher hears of every segment, for which the card is waited for after each batch of them.
    fn walk_with(&mut self, watcher: Option<Watcher<'_>>) -> Result<WalkRoots, EngineError> {
        let held = self.held.as_ref().ok_or(EngineError::NotFilled)?;
        self.room(Walked::bytes(&held.shape))?;
        let key = WalkKey::derive(&held.seed, &held.root_a);
        let walked = Walked::walk(&self.kernels, &held.shape, &held.ring, &key, watcher)?;
        let segments = walked.segments.clone();
        if let Some(held) = &mut self.held {
            held.walked = Some(walked);
        }
        let root_b = root_b(&segments);
        Ok(WalkRoots { segments, root_b })
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(crate) fn context(&self) -> &Arc<CudaContext> {
        &self.context
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
        self.fill_with(params, seed, None)
    }

    fn fill_watched(
        &mut self,
        params: &Params,
        seed: &Seed,
        each: &mut dyn FnMut(u32, &Digest),
    ) -> Result<FillRoots, EngineError> {
        self.fill_with(params, seed, Some(each))
    }

    fn walk(&mut self) -> Result<WalkRoots, EngineError> {
        self.walk_with(None)
    }

    fn walk_watched(
        &mut self,
        each: &mut dyn FnMut(u32, &Digest),
    ) -> Result<WalkRoots, EngineError> {
        self.walk_with(Some(each))
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
        ring.expand(&self.kernels, &shape, seed)?;
        for step in 0..params.steps {
            ring.step(&self.kernels, &shape, seed, step)?;
            let digests = ring.digests(&self.kernels, step, 1)?;
            if !digests.iter().all(|digest| each(step, digest)) {
                break;
            }
        }
        Ok(())
    }
}
