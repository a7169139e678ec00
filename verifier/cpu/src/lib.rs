//! The GPU challenge on a CPU's vector units and all its cores, with the same bits as the scalar engine.
//!
//! [`CpuEngine`] is [`io_challenge::HostEngine`] with faster [`Kernels`]: matrix products by the widest instructions
//! that this machine has (asked at run time), digests and walkers on all threads. It serves suppliers' tests, the local
//! network and verifiers without a GPU; it is no way to pass as a GPU, which the deadlines see to.
//!
//! On x86-64 and aarch64 the products have kernels of their own. On other processors they are the scalar ones, of which the
//! compiler makes what the target's baseline has.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::integer_division,
    reason = "sizes are checked powers of two; a wrong index here is a bug that the comparison with the scalar engine finds"
)]

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::Mutex;

use io_challenge::{
    Digest, Fill, HostEngine, Kernels, Requantiser, SEGMENT_READS, STATE_BYTES, Seed, SeedMatrix,
    State, Tree, multiply_rows, subtree,
};
use rayon::prelude::*;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod product;
#[cfg(target_arch = "x86_64")]
mod x86;

/// The engine on all cores with the best instructions.
pub type CpuEngine = HostEngine<Simd>;

/// An engine with the best instructions of this machine, on the threads of rayon's global pool.
#[must_use]
pub fn engine() -> CpuEngine {
    HostEngine::new(Simd::detect())
}

/// Instructions for the matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What the compiler makes of the scalar code.
    Scalar,
    /// 256-bit `vpmaddwd` on bytes widened to 16 bits; exact, unlike `vpmaddubsw`.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit `vpdpbusd`, which does not saturate; one side is shifted by 128 and the shift taken back.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// 128-bit `smull` and `sadalp`, which add pairs of products in 32 bits.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// 128-bit `sdot`, four products for each sum.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
}

impl Level {
    /// Every level that this machine can run, the best last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[cfg_attr(
            not(any(target_arch = "x86_64", target_arch = "aarch64")),
            expect(unused_mut, reason = "there is only one level")
        )]
        let mut levels = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(x86::Avx2::found().map(|_| Self::Avx2));
            levels.extend(x86::Avx512Vnni::found().map(|_| Self::Avx512Vnni));
        }
        #[cfg(target_arch = "aarch64")]
        {
            levels.extend(aarch64::Neon::found().map(|_| Self::Neon));
            levels.extend(aarch64::NeonDot::found().map(|_| Self::NeonDot));
        }
        levels
    }

    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => "AVX-512 VNNI",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "NEON",
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => "NEON dot product",
        }
    }
}

/// Kernels for this machine.
#[derive(Debug)]
pub struct Simd {
    level: Level,
    name: String,
    /// The older matrix in the order in which the kernel reads it; kept so that a step does not allocate.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    packed: Mutex<Vec<u32>>,
}

impl Simd {
    /// The best level that this machine has.
    #[must_use]
    pub fn detect() -> Self {
        Self::with(Level::available().pop().unwrap_or(Level::Scalar))
            .unwrap_or_else(|| Self::of(Level::Scalar))
    }

    /// A given level, or `None` where this machine cannot run it.
    #[must_use]
    pub fn with(level: Level) -> Option<Self> {
        Level::available().contains(&level).then(|| Self::of(level))
    }

    /// The level in use.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    fn of(level: Level) -> Self {
        let name = format!(
            "CPU, {}, {} threads",
            level.name(),
            rayon::current_num_threads()
        );
        Self {
            level,
            name,
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            packed: Mutex::new(Vec::new()),
        }
    }
}

/// Runs a level's multiply-add instruction alone on registers, for a benchmark to time: the limit of what the vector
/// units of one core can do. Returns how many multiply-adds of int8 the rounds were; zero where there is no such level.
#[must_use]
pub fn spin(level: Level, rounds: u32) -> u64 {
    match level {
        Level::Scalar => 0,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => x86::Avx2::found().map_or(0, |tile| tile.spin(rounds)),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Vnni => x86::Avx512Vnni::found().map_or(0, |tile| tile.spin(rounds)),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => aarch64::Neon::found().map_or(0, |tile| tile.spin(rounds)),
        #[cfg(target_arch = "aarch64")]
        Level::NeonDot => aarch64::NeonDot::found().map_or(0, |tile| tile.spin(rounds)),
    }
}

impl Default for Simd {
    fn default() -> Self {
        Self::detect()
    }
}

/// Rows of the result that one task computes: one packed tile of the older matrix is used for all of them.
pub(crate) const BLOCK_ROWS: usize = 64;

/// Bytes that one task expands or digests.
const TASK_BYTES: usize = 1 << 17;

impl Kernels for Simd {
    fn name(&self) -> &str {
        &self.name
    }

    fn expand(&self, seed: &Seed, matrix: SeedMatrix, out: &mut [u8]) {
        out.par_chunks_mut(TASK_BYTES)
            .zip(0..u32::MAX)
            .for_each(|(bytes, task)| {
                seed.expand(
                    matrix,
                    u64::from(task) << TASK_BYTES.trailing_zeros(),
                    bytes,
                );
            });
    }

    fn multiply(
        &self,
        size: usize,
        requantiser: &Requantiser,
        newer: &[u8],
        older: &[u8],
        out: &mut [u8],
    ) {
        // A panic of another thread cannot leave half a packed matrix behind: each use packs anew.
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        let mut packed = self
            .packed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match self.level {
            Level::Scalar => {}
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => {
                if let Some(tile) = x86::Avx2::found() {
                    return product::multiply(
                        &tile,
                        size,
                        *requantiser,
                        (newer, older, out),
                        &mut packed,
                    );
                }
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => {
                if let Some(tile) = x86::Avx512Vnni::found() {
                    return product::multiply(
                        &tile,
                        size,
                        *requantiser,
                        (newer, older, out),
                        &mut packed,
                    );
                }
            }
            #[cfg(target_arch = "aarch64")]
            Level::Neon => {
                if let Some(tile) = aarch64::Neon::found() {
                    return product::multiply(
                        &tile,
                        size,
                        *requantiser,
                        (newer, older, out),
                        &mut packed,
                    );
                }
            }
            #[cfg(target_arch = "aarch64")]
            Level::NeonDot => {
                if let Some(tile) = aarch64::NeonDot::found() {
                    return product::multiply(
                        &tile,
                        size,
                        *requantiser,
                        (newer, older, out),
                        &mut packed,
                    );
                }
            }
        }
        let rows = BLOCK_ROWS * size;
        out.par_chunks_mut(rows)
            .zip(newer.par_chunks(rows))
            .for_each(|(out, newer)| {
                multiply_rows(size, requantiser, newer, older, out);
            });
    }

    fn digest(&self, bytes: &[u8]) -> Digest {
        if bytes.len() <= TASK_BYTES {
            return *blake3::hash(bytes).as_bytes();
        }
        let leaves = bytes.par_chunks(TASK_BYTES).zip(0..u32::MAX);
        let leaves = leaves
            .map(|(bytes, task)| subtree(u64::from(task) << TASK_BYTES.trailing_zeros(), bytes))
            .collect();
        // A tree of two leaves or more has a root.
        Tree::from_leaves(leaves)
            .root()
            .unwrap_or_else(|| *blake3::hash(bytes).as_bytes())
    }

    fn advance(&self, fill: &Fill<'_>, table: &mut [u8]) {
        table.par_chunks_mut(64 * STATE_BYTES).for_each(|states| {
            let (states, _) = states.as_chunks_mut::<STATE_BYTES>();
            for state in states {
                *state = fill
                    .advance(State::from_bytes(state), SEGMENT_READS)
                    .to_bytes();
            }
        });
    }
}
