//! Tiles for aarch64. With `x86.rs` the only unsafe code of this crate: loads and stores of whole registers, one instruction
//! that the compiler has no stable name for, and the calls that enter functions compiled for it.

#![expect(
    unsafe_code,
    reason = "vector registers can only be loaded and stored through pointers"
)]

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vdupq_n_s8, vdupq_n_s32, vdupq_n_u32, vget_low_s8, vld1q_u32,
    vmull_high_s8, vmull_s8, vpadalq_s16, vpaddq_s32, vreinterpretq_s8_u32, vreinterpretq_s32_u32,
    vreinterpretq_u32_s32, vst1q_u32,
};
use core::arch::asm;
use std::hint::black_box;

use crate::product::Tile;

fn four(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[target_feature(enable = "neon")]
fn load(words: &[u32; 4]) -> int8x16_t {
    // SAFETY: the 16 bytes are borrowed; the load needs no more alignment than the words have.
    vreinterpretq_s8_u32(unsafe { vld1q_u32(words.as_ptr()) })
}

#[target_feature(enable = "neon")]
fn add_to(words: &mut [u32; 4], sums: int32x4_t) {
    // SAFETY: the 16 bytes are borrowed mutably; load and store need no more alignment than the words have.
    unsafe {
        let before = vreinterpretq_s32_u32(vld1q_u32(words.as_ptr()));
        vst1q_u32(
            words.as_mut_ptr(),
            vreinterpretq_u32_s32(vaddq_s32(before, sums)),
        );
    }
}

/// A tile of 4 × 8 by `smull` and `sadalp`.
pub(crate) struct Neon(());

impl Neon {
    /// The tile, if this machine can run it. A value of this type is the proof that it can.
    pub(crate) fn found() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// Runs `rounds` of the two instructions on registers and returns how many multiply-adds that were.
    pub(crate) fn spin(self, rounds: u32) -> u64 {
        let Self(()) = self;
        // SAFETY: the value `self` exists only where NEON was found.
        black_box(unsafe { spin_neon(rounds) });
        u64::from(rounds) * CHAINS_COUNT * 8
    }
}

impl Tile<4, 8> for Neon {
    const DEPTH: usize = 4;
    const SHIFT: i32 = 0;

    fn left(bytes: &[u8]) -> u32 {
        four(bytes)
    }

    fn right(bytes: &[u8]) -> u32 {
        four(bytes)
    }

    fn add(&self, left: &[[u32; 4]], right: &[[u32; 8]], sums: &mut [[u32; 8]; 4]) {
        // SAFETY: the value `self` exists only where NEON was found.
        unsafe { neon(left, right, sums) }
    }
}

#[target_feature(enable = "neon")]
fn neon(left: &[[u32; 4]], right: &[[u32; 8]], sums: &mut [[u32; 8]; 4]) {
    // For each row and four columns two registers, whose neighbouring lanes belong to one column.
    let mut registers = [[[vdupq_n_s32(0); 2]; 2]; 4];
    for (left, right) in left.iter().zip(right) {
        let (halves, _) = right.as_chunks::<4>();
        let columns = [load(&halves[0]), load(&halves[1])];
        for (registers, word) in registers.iter_mut().zip(left) {
            let row = vreinterpretq_s8_u32(vdupq_n_u32(*word));
            for ([low, high], columns) in registers.iter_mut().zip(columns) {
                // A product fits 16 bits, the sum of two may not: `sadalp` adds neighbours in 32 bits.
                *low = vpadalq_s16(*low, vmull_s8(vget_low_s8(columns), vget_low_s8(row)));
                *high = vpadalq_s16(*high, vmull_high_s8(columns, row));
            }
        }
    }
    for (sums, registers) in sums.iter_mut().zip(registers) {
        let (halves, _) = sums.as_chunks_mut::<4>();
        for (sums, [low, high]) in halves.iter_mut().zip(registers) {
            add_to(sums, vpaddq_s32(low, high));
        }
    }
}

/// A tile of 8 × 8 by `sdot`.
pub(crate) struct NeonDot(());

impl NeonDot {
    /// The tile, if this machine can run it. A value of this type is the proof that it can.
    pub(crate) fn found() -> Option<Self> {
        let found = std::arch::is_aarch64_feature_detected!("neon")
            && std::arch::is_aarch64_feature_detected!("dotprod");
        found.then_some(Self(()))
    }

    /// Runs `rounds` of `sdot` on registers and returns how many multiply-adds that were.
    pub(crate) fn spin(self, rounds: u32) -> u64 {
        let Self(()) = self;
        // SAFETY: the value `self` exists only where the dot product was found.
        black_box(unsafe { spin_dot(rounds) });
        u64::from(rounds) * CHAINS_COUNT * 16
    }
}

impl Tile<8, 8> for NeonDot {
    const DEPTH: usize = 4;
    const SHIFT: i32 = 0;

    fn left(bytes: &[u8]) -> u32 {
        four(bytes)
    }

    fn right(bytes: &[u8]) -> u32 {
        four(bytes)
    }

    fn add(&self, left: &[[u32; 8]], right: &[[u32; 8]], sums: &mut [[u32; 8]; 8]) {
        // SAFETY: the value `self` exists only where the dot product was found.
        unsafe { neon_dot(left, right, sums) }
    }
}

/// Adds to each lane of `sum` the dot product of its four bytes of `columns` with word `WORD` of `rows`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot<const WORD: usize>(sum: int32x4_t, columns: int8x16_t, rows: int8x16_t) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: one instruction that reads and writes the named registers only; the function is compiled for it.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {columns:v}.16b, {rows:v}.4b[{word}]",
            sum = inout(vreg) sum,
            columns = in(vreg) columns,
            rows = in(vreg) rows,
            word = const WORD,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

#[target_feature(enable = "neon,dotprod")]
fn neon_dot(left: &[[u32; 8]], right: &[[u32; 8]], sums: &mut [[u32; 8]; 8]) {
    let mut registers = [[[vdupq_n_s32(0); 2]; 4]; 2];
    for (left, right) in left.iter().zip(right) {
        let (halves, _) = right.as_chunks::<4>();
        let columns = [load(&halves[0]), load(&halves[1])];
        let (fours, _) = left.as_chunks::<4>();
        for ([first, second, third, fourth], rows) in registers.iter_mut().zip(fours) {
            let rows = load(rows);
            for (half, columns) in columns.into_iter().enumerate() {
                first[half] = dot::<0>(first[half], columns, rows);
                second[half] = dot::<1>(second[half], columns, rows);
                third[half] = dot::<2>(third[half], columns, rows);
                fourth[half] = dot::<3>(fourth[half], columns, rows);
            }
        }
    }
    for (sums, registers) in sums.iter_mut().zip(registers.as_flattened()) {
        let (halves, _) = sums.as_chunks_mut::<4>();
        for (sums, register) in halves.iter_mut().zip(registers) {
            add_to(sums, *register);
        }
    }
}

/// Chains of multiply-add on registers that do not wait for each other: more than latency times throughput.
const CHAINS: usize = 12;
const CHAINS_COUNT: u64 = 12;

#[target_feature(enable = "neon")]
fn total(chains: [int32x4_t; CHAINS]) -> [u32; 4] {
    let mut out = [0; 4];
    for chain in chains {
        add_to(&mut out, chain);
    }
    out
}

#[target_feature(enable = "neon")]
fn spin_neon(rounds: u32) -> [u32; 4] {
    let factor = vdupq_n_s8(black_box(3));
    let mut chains = [vdupq_n_s32(black_box(1)); CHAINS];
    for _ in 0..rounds {
        // Hidden from the compiler, which would otherwise multiply once.
        let factor = black_box(factor);
        for chain in &mut chains {
            *chain = vpadalq_s16(*chain, vmull_high_s8(factor, factor));
        }
    }
    total(chains)
}

#[target_feature(enable = "neon,dotprod")]
fn spin_dot(rounds: u32) -> [u32; 4] {
    let (left, right) = (vdupq_n_s8(black_box(3)), vdupq_n_s8(black_box(5)));
    let mut chains = [vdupq_n_s32(black_box(1)); CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = dot::<0>(*chain, left, right);
        }
    }
    total(chains)
}
