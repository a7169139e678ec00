//! Phase B: walkers that read lines of the fill, each place depending on the read before.

use alloc::vec::Vec;

use crate::num::{scale, to_usize};
use crate::params::Shape;
use crate::seed::Seed;
use crate::{Digest, LINE_BYTES, STATE_BYTES};

/// Multipliers of the four words of a lane; all odd, so each step of a lane is a permutation.
const LANE_MULTIPLIERS: [u32; 4] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F];
const LANE_ROTATION: u32 = 15;
/// Odd and even: the mix of two words has an odd determinant and so loses nothing.
const CROSS_SELF: u32 = 0x9E37_79B1;
const CROSS_OTHER: u32 = 0x85EB_CA76;
const CROSS_ROTATION: u32 = 13;

/// The state of one walker: eight words, little endian in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State([u32; 8]);

/// What the starting states of phase B are derived from.
#[derive(Clone, Copy, Debug)]
pub struct WalkKey(Digest);

impl WalkKey {
    /// The key of one challenge; it cannot be known before phase A has ended.
    #[must_use]
    pub fn derive(seed: &Seed, root_a: &Digest) -> Self {
        Self(seed.walk_key(root_a))
    }

    /// The bytes, the BLAKE3 key under which a walker's number is hashed to its starting state.
    #[must_use]
    pub const fn as_bytes(&self) -> &Digest {
        &self.0
    }

    /// The state in which a walker starts.
    #[must_use]
    pub fn start(&self, walker: u32) -> State {
        State::from_bytes(blake3::keyed_hash(&self.0, &walker.to_le_bytes()).as_bytes())
    }

    /// Writes the starting states of all walkers of a table.
    pub fn start_all(&self, table: &mut [u8]) {
        let (states, _) = table.as_chunks_mut::<STATE_BYTES>();
        for (walker, state) in (0_u32..).zip(states) {
            *state = *blake3::keyed_hash(&self.0, &walker.to_le_bytes()).as_bytes();
        }
    }
}

impl State {
    /// A state from its bytes in a table.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; STATE_BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let mut state = [0; 8];
        for (to, from) in state.iter_mut().zip(words) {
            *to = u32::from_le_bytes(*from);
        }
        Self(state)
    }

    /// The bytes of a table.
    #[must_use]
    pub fn to_bytes(self) -> [u8; STATE_BYTES] {
        let mut bytes = [0; STATE_BYTES];
        let (words, _) = bytes.as_chunks_mut::<4>();
        for (to, from) in words.iter_mut().zip(self.0) {
            *to = from.to_le_bytes();
        }
        bytes
    }

    /// The line that is read next, below `lines`: the high half of `lines` times the first two words.
    #[must_use]
    pub fn line(&self, lines: u64) -> u64 {
        let [low, high, ..] = self.0;
        scale(u64::from(high) << 32 | u64::from(low), lines)
    }

    /// Takes in a line: eight lanes of 16 bytes, one for each word, then three crossings of the words.
    /// For a given line this is a permutation of the states, so the mixing loses nothing.
    pub fn absorb(&mut self, line: &[u8; LINE_BYTES]) {
        let (lanes, _) = line.as_chunks::<16>();
        for (word, lane) in self.0.iter_mut().zip(lanes) {
            let (parts, _) = lane.as_chunks::<4>();
            for (part, multiplier) in parts.iter().zip(LANE_MULTIPLIERS) {
                *word = (*word ^ u32::from_le_bytes(*part))
                    .wrapping_mul(multiplier)
                    .rotate_left(LANE_ROTATION);
            }
        }
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.0;
        let ((s0, s1), (s2, s3)) = (cross(s0, s1), cross(s2, s3));
        let ((s4, s5), (s6, s7)) = (cross(s4, s5), cross(s6, s7));
        let ((s0, s2), (s1, s3)) = (cross(s0, s2), cross(s1, s3));
        let ((s4, s6), (s5, s7)) = (cross(s4, s6), cross(s5, s7));
        let ((s0, s4), (s1, s5)) = (cross(s0, s4), cross(s1, s5));
        let ((s2, s6), (s3, s7)) = (cross(s2, s6), cross(s3, s7));
        self.0 = [s0, s1, s2, s3, s4, s5, s6, s7];
    }
}

fn cross(x: u32, y: u32) -> (u32, u32) {
    let mix = |own: u32, other: u32| {
        own.wrapping_mul(CROSS_SELF)
            .wrapping_add(other.wrapping_mul(CROSS_OTHER))
            .rotate_left(CROSS_ROTATION)
    };
    (mix(x, y), mix(y, x))
}

/// The fill in host memory: the last K results in the order in which they were made.
#[derive(Debug)]
pub struct Fill<'a> {
    matrices: Vec<&'a [u8]>,
    lines: u64,
    matrix_lines: u64,
}

impl<'a> Fill<'a> {
    /// A fill over matrices in the order of their steps. Keeps a list of K references.
    #[must_use]
    pub fn new(shape: &Shape, matrices: Vec<&'a [u8]>) -> Self {
        Self {
            matrices,
            lines: shape.lines(),
            matrix_lines: shape.matrix_lines(),
        }
    }

    /// Lines of the whole fill.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The bytes of a line; `None` past the end.
    #[must_use]
    pub fn line(&self, index: u64) -> Option<&'a [u8; LINE_BYTES]> {
        // The lines of a matrix are a power of two: N² / 128 with N a power of two.
        let matrix = self
            .matrices
            .get(to_usize(index >> self.matrix_lines.trailing_zeros()))?;
        let (lines, _) = matrix.as_chunks::<LINE_BYTES>();
        lines.get(to_usize(index & self.matrix_lines.wrapping_sub(1)))
    }

    /// Moves one walker by a number of reads.
    #[must_use]
    pub fn advance(&self, state: State, reads: u32) -> State {
        let mut state = state;
        for _ in 0..reads {
            if let Some(line) = self.line(state.line(self.lines)) {
                state.absorb(line);
            }
        }
        state
    }
}
