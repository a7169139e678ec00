//! The matrices of phase A in device memory, their steps and their digests.

use std::sync::Arc;

use cudarc::driver::CudaContext;
use io_challenge::{Digest, Seed, Shape};

use crate::driver::{Buffer, refused};
use crate::error::GpuError;
use crate::kernels::Kernels;

/// Bytes of a group: 32 chunks, the smallest pieces of a matrix whose values stay on the card.
pub(crate) const GROUP_BYTES: u64 = 32 * 1024;

/// A ring of matrices with what digesting them needs. The two last begin as X₋₁ and X₀.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) slots: Vec<Buffer>,
    /// Values of groups, for each slot one after the other.
    pub(crate) groups: Buffer,
    values: Buffer,
    scratch: Buffer,
    /// Digests of all steps.
    roots: Buffer,
}

impl Ring {
    pub(crate) fn new(
        context: &Arc<CudaContext>,
        shape: &Shape,
        kept: u32,
    ) -> Result<Self, GpuError> {
        let matrix = shape.matrix_bytes();
        Ok(Self {
            slots: (0..kept)
                .map(|_slot| Buffer::new(context, matrix))
                .collect::<Result<_, _>>()?,
            groups: Buffer::new(
                context,
                u64::from(kept.max(1)) * (matrix / GROUP_BYTES) * 32,
            )?,
            values: Buffer::new(context, matrix / 1024 * 32)?,
            scratch: Buffer::new(context, 2 * scratch_half(matrix / 1024))?,
            roots: Buffer::new(context, u64::from(shape.params().steps) * 32)?,
        })
    }

    /// Device bytes that a ring of `kept` matrices takes, rounding of the allocations included.
    pub(crate) fn bytes(shape: &Shape, kept: u32) -> u64 {
        let matrix = shape.matrix_bytes();
        u64::from(kept) * (matrix + matrix / GROUP_BYTES * 32) + matrix / 1024 * 32 + (8 << 20)
    }

    /// Where the result of a step lies.
    pub(crate) fn slot(&self, step: u32) -> &Buffer {
        &self.slots[self.place(step)]
    }

    fn place(&self, step: u32) -> usize {
        step as usize % self.slots.len()
    }

    /// Where the groups of a result's slot begin.
    pub(crate) fn groups_offset(&self, shape: &Shape, step: u32) -> u64 {
        self.place(step) as u64 * (shape.matrix_bytes() / GROUP_BYTES) * 32
    }

    /// Writes X₋₁ and X₀ into the last two slots and waits.
    pub(crate) fn expand(
        &self,
        kernels: &Kernels,
        shape: &Shape,
        seed: &Seed,
    ) -> Result<(), GpuError> {
        let key = key(kernels, seed.as_bytes())?;
        let [.., older, newer] = self.slots.as_slice() else {
            return Ok(());
        };
        for (index, slot) in [(0, older), (1, newer)] {
            kernels.expand(key.address(), index, slot.address(), shape.matrix_bytes())?;
        }
        // The key is freed on return.
        kernels
            .stream
            .synchronize()
            .map_err(refused("expanding the seed"))
    }

    /// Enqueues a step over the oldest matrix, and its digest.
    pub(crate) fn step(
        &self,
        kernels: &Kernels,
        shape: &Shape,
        seed: &Seed,
        step: u32,
    ) -> Result<(), GpuError> {
        let kept = self.slots.len() as u32;
        let slot = |back: u32| self.slot(step + kept - back).address();
        let (newer, older, out) = (slot(1), slot(2), slot(0));
        kernels.product(
            (newer, older, out),
            shape.params().size,
            seed.requantiser(step),
        )?;
        let groups = self.groups.at(self.groups_offset(shape, step));
        self.digest(
            kernels,
            shape,
            out,
            (self.roots.at(u64::from(step) * 32), groups),
        )
    }

    /// Enqueues the digest of a matrix: its root and the values of its groups go to the two addresses.
    pub(crate) fn digest(
        &self,
        kernels: &Kernels,
        shape: &Shape,
        matrix: u64,
        to: (u64, u64),
    ) -> Result<(), GpuError> {
        let chunks = (shape.matrix_bytes() / 1024) as u32;
        kernels.chunks(matrix, 1, chunks, self.values.address())?;
        let scratch = (self.scratch.address(), scratch_half(u64::from(chunks)));
        kernels.climb(self.values.address(), (1, chunks), to, scratch)
    }

    /// Enqueues the digest of a matrix that lies in no ring, for a measurement.
    pub(crate) fn digest_of(
        &self,
        kernels: &Kernels,
        shape: &Shape,
        matrix: u64,
    ) -> Result<(), GpuError> {
        self.digest(
            kernels,
            shape,
            matrix,
            (self.roots.address(), self.groups.address()),
        )
    }

    /// Waits and reads the digests of `count` steps from `first` on.
    pub(crate) fn digests(
        &self,
        kernels: &Kernels,
        first: u32,
        count: u32,
    ) -> Result<Vec<Digest>, GpuError> {
        let bytes = self.roots.read(
            &kernels.stream,
            u64::from(first) * 32,
            u64::from(count) * 32,
        )?;
        Ok(digests(&bytes))
    }
}

/// Half of the scratch that climbing from this many values needs: what the first round leaves.
pub(crate) fn scratch_half(values: u64) -> u64 {
    values.div_ceil(1024).max(1) * 32
}

/// Digests that lie one after the other.
pub(crate) fn digests(bytes: &[u8]) -> Vec<Digest> {
    bytes.as_chunks::<32>().0.to_vec()
}

/// A key in device memory.
pub(crate) fn key(kernels: &Kernels, bytes: &Digest) -> Result<Buffer, GpuError> {
    let key = Buffer::new(kernels.stream.context(), 32)?;
    key.write(&kernels.stream, bytes)?;
    Ok(key)
}
