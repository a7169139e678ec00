//! The sizes of a challenge. All of them are fixed by the catalogue and hashed into the seed, none is the prover's choice.

use core::fmt;

use crate::num::{depth, to_usize};
use crate::{CHUNK_BYTES, LINE_BYTES, READS_PER_LINE, SEGMENT_READS, STATE_BYTES, VERSION};

const SIZE_MIN: u32 = 256;
const SIZE_MAX: u32 = 32_768;
const KEPT_MIN: u32 = 3;
const STEPS_MAX: u32 = 4096;
const WALKERS_MIN: u32 = 64;
const WALKERS_MAX: u32 = 1 << 20;
const READS_MAX: u32 = 8192 * SEGMENT_READS;

/// The sizes of one challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Params {
    /// Version of the challenge, [`VERSION`].
    pub version: u16,
    /// Class of the catalogue, bound into the seed and otherwise not interpreted here.
    pub class: u16,
    /// N: rows and columns of every matrix; a power of two from 256 to 32768.
    pub size: u32,
    /// K: matrices kept in memory, at least 3.
    pub kept: u32,
    /// M: steps of phase A; equal to `kept` in a pulse, more in a deep run, at most 4096.
    pub steps: u32,
    /// W: walkers of phase B; a power of two from 64 to 2^20.
    pub walkers: u32,
    /// R: reads of each walker; a multiple of [`SEGMENT_READS`] up to 262144.
    pub reads: u32,
}

/// A size that no challenge can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamsError {
    /// The version is not [`VERSION`].
    Version(u16),
    /// N is not a power of two from 256 to 32768.
    Size(u32),
    /// K is below 3.
    Kept(u32),
    /// M is below K or above 4096.
    Steps {
        /// M as given.
        steps: u32,
        /// K as given.
        kept: u32,
    },
    /// W is not a power of two from 64 to 2^20.
    Walkers(u32),
    /// R is zero, no multiple of [`SEGMENT_READS`], or above 262144.
    Reads(u32),
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(
                f,
                "challenge version {version} is not {VERSION}: update this program"
            ),
            Self::Size(size) => write!(
                f,
                "matrix size {size} is not a power of two from {SIZE_MIN} to {SIZE_MAX}"
            ),
            Self::Kept(kept) => write!(f, "{kept} kept matrices are fewer than {KEPT_MIN}"),
            Self::Steps { steps, kept } => {
                write!(
                    f,
                    "{steps} steps are not between the {kept} kept matrices and {STEPS_MAX}"
                )
            }
            Self::Walkers(walkers) => {
                write!(
                    f,
                    "{walkers} walkers are not a power of two from {WALKERS_MIN} to {WALKERS_MAX}"
                )
            }
            Self::Reads(reads) => {
                write!(
                    f,
                    "{reads} reads are not a multiple of {SEGMENT_READS} from {SEGMENT_READS} to {READS_MAX}"
                )
            }
        }
    }
}

impl core::error::Error for ParamsError {}

impl Params {
    /// Length of [`Params::to_bytes`].
    pub const BYTES: usize = 24;

    /// The size that tests and the local network use: a few milliseconds on one core, the same code path.
    pub const TEST: Self = Self {
        version: VERSION,
        class: 0,
        size: 256,
        kept: 6,
        steps: 6,
        walkers: 64,
        reads: 128,
    };

    /// A pulse (M = K) that reads every line [`READS_PER_LINE`] times on average, rounded up to whole segments.
    /// The result may still fail [`Params::check`].
    #[must_use]
    pub fn pulse(class: u16, size: u32, kept: u32, walkers: u32) -> Self {
        let lines = matrix_lines(size).saturating_mul(u64::from(kept));
        let total = lines.saturating_mul(u64::from(READS_PER_LINE));
        let segment = u64::from(walkers)
            .saturating_mul(u64::from(SEGMENT_READS))
            .max(1);
        let reads = total
            .div_ceil(segment)
            .saturating_mul(u64::from(SEGMENT_READS));
        let reads = u32::try_from(reads).unwrap_or(u32::MAX);
        Self {
            version: VERSION,
            class,
            size,
            kept,
            steps: kept,
            walkers,
            reads,
        }
    }

    /// The pulse that fills nine tenths of `memory_bytes` with matrices of `size`.
    /// The result may still fail [`Params::check`], for example when the memory is too small for three matrices.
    #[must_use]
    pub fn for_memory(class: u16, size: u32, memory_bytes: u64, walkers: u32) -> Self {
        let nine_tenths = u128::from(memory_bytes).saturating_mul(9).div_euclid(10);
        let matrix = u128::from(size).saturating_mul(u128::from(size)).max(1);
        let kept = u32::try_from(nine_tenths.div_euclid(matrix)).unwrap_or(u32::MAX);
        Self::pulse(class, size, kept, walkers)
    }

    /// The smallest challenge of a size, for a light ping: three steps, and walkers that cost nothing. The whole road of
    /// a challenge works on it unchanged; only its time is much shorter. The result may still fail [`Params::check`].
    #[must_use]
    pub const fn ping(class: u16, size: u32) -> Self {
        Self {
            version: VERSION,
            class,
            size,
            kept: KEPT_MIN,
            steps: KEPT_MIN,
            walkers: WALKERS_MIN,
            reads: SEGMENT_READS,
        }
    }

    /// Checks every size.
    ///
    /// # Errors
    /// The first size, in the order of the fields, that no challenge can have.
    pub fn check(&self) -> Result<(), ParamsError> {
        let Self {
            version,
            class: _,
            size,
            kept,
            steps,
            walkers,
            reads,
        } = *self;
        if version != VERSION {
            return Err(ParamsError::Version(version));
        }
        if !size.is_power_of_two() || !(SIZE_MIN..=SIZE_MAX).contains(&size) {
            return Err(ParamsError::Size(size));
        }
        if kept < KEPT_MIN {
            return Err(ParamsError::Kept(kept));
        }
        if steps < kept || steps > STEPS_MAX {
            return Err(ParamsError::Steps { steps, kept });
        }
        if !walkers.is_power_of_two() || !(WALKERS_MIN..=WALKERS_MAX).contains(&walkers) {
            return Err(ParamsError::Walkers(walkers));
        }
        if reads == 0 || reads > READS_MAX || !reads.is_multiple_of(SEGMENT_READS) {
            return Err(ParamsError::Reads(reads));
        }
        Ok(())
    }

    /// The numbers that follow from the sizes.
    ///
    /// # Errors
    /// Those of [`Params::check`].
    pub fn shape(&self) -> Result<Shape, ParamsError> {
        self.check()?;
        Ok(Shape { params: *self })
    }

    /// Canonical bytes: every field in order, little endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let Self {
            version,
            class,
            size,
            kept,
            steps,
            walkers,
            reads,
        } = *self;
        let [v0, v1] = version.to_le_bytes();
        let [c0, c1] = class.to_le_bytes();
        let [n0, n1, n2, n3] = size.to_le_bytes();
        let [k0, k1, k2, k3] = kept.to_le_bytes();
        let [m0, m1, m2, m3] = steps.to_le_bytes();
        let [w0, w1, w2, w3] = walkers.to_le_bytes();
        let [r0, r1, r2, r3] = reads.to_le_bytes();
        [
            v0, v1, c0, c1, n0, n1, n2, n3, k0, k1, k2, k3, m0, m1, m2, m3, w0, w1, w2, w3, r0, r1,
            r2, r3,
        ]
    }

    /// Reads what [`Params::to_bytes`] wrote. The sizes are not checked.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [
            v0,
            v1,
            c0,
            c1,
            n0,
            n1,
            n2,
            n3,
            k0,
            k1,
            k2,
            k3,
            m0,
            m1,
            m2,
            m3,
            w0,
            w1,
            w2,
            w3,
            r0,
            r1,
            r2,
            r3,
        ] = *bytes;
        Self {
            version: u16::from_le_bytes([v0, v1]),
            class: u16::from_le_bytes([c0, c1]),
            size: u32::from_le_bytes([n0, n1, n2, n3]),
            kept: u32::from_le_bytes([k0, k1, k2, k3]),
            steps: u32::from_le_bytes([m0, m1, m2, m3]),
            walkers: u32::from_le_bytes([w0, w1, w2, w3]),
            reads: u32::from_le_bytes([r0, r1, r2, r3]),
        }
    }
}

fn matrix_lines(size: u32) -> u64 {
    u64::from(size).saturating_mul(u64::from(size)) >> LINE_BYTES.trailing_zeros()
}

/// The numbers that follow from checked [`Params`]. None of them can overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    params: Params,
}

impl Shape {
    /// The parameters, known to be valid.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// N as an index.
    #[must_use]
    pub fn size(&self) -> usize {
        to_usize(u64::from(self.params.size))
    }

    /// Bytes of one matrix: N².
    #[must_use]
    pub fn matrix_bytes(&self) -> u64 {
        u64::from(self.params.size).saturating_mul(u64::from(self.params.size))
    }

    /// Bytes that the fill holds: K·N².
    #[must_use]
    pub fn fill_bytes(&self) -> u64 {
        self.matrix_bytes()
            .saturating_mul(u64::from(self.params.kept))
    }

    /// Lines of one matrix.
    #[must_use]
    pub fn matrix_lines(&self) -> u64 {
        matrix_lines(self.params.size)
    }

    /// Lines of the whole fill, the range of a walker's reads.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.matrix_lines()
            .saturating_mul(u64::from(self.params.kept))
    }

    /// Bytes of the span that opens one row: the row, or the chunk that holds it when rows are shorter than a chunk.
    #[must_use]
    pub fn row_span(&self) -> u64 {
        u64::from(self.params.size).max(chunk())
    }

    /// Path length of a row span.
    #[must_use]
    pub fn row_depth(&self) -> u32 {
        self.matrix_bytes()
            .trailing_zeros()
            .saturating_sub(self.row_span().trailing_zeros())
    }

    /// Path length of a chunk of a matrix.
    #[must_use]
    pub fn chunk_depth(&self) -> u32 {
        self.matrix_bytes()
            .trailing_zeros()
            .saturating_sub(chunk().trailing_zeros())
    }

    /// Segments of phase B: R divided by [`SEGMENT_READS`].
    #[must_use]
    pub fn segments(&self) -> u32 {
        self.params.reads.div_ceil(SEGMENT_READS)
    }

    /// Bytes of the table of all states after one segment.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        u64::from(self.params.walkers) << STATE_BYTES.trailing_zeros()
    }

    /// Path length of a chunk of a table of states.
    #[must_use]
    pub fn table_depth(&self) -> u32 {
        self.table_bytes()
            .trailing_zeros()
            .saturating_sub(chunk().trailing_zeros())
    }

    /// Path length of a step's digest below `root_a`.
    #[must_use]
    pub fn steps_depth(&self) -> u32 {
        depth(u64::from(self.params.steps))
    }

    /// Path length of a table's digest below `root_b`.
    #[must_use]
    pub fn segments_depth(&self) -> u32 {
        depth(u64::from(self.segments()))
    }

    /// The first result that is still in memory after phase A: M − K.
    #[must_use]
    pub fn first_kept(&self) -> u32 {
        self.params.steps.saturating_sub(self.params.kept)
    }
}

fn chunk() -> u64 {
    u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX)
}
