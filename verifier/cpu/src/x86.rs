//! Tiles for x86-64. With `aarch64.rs` the only unsafe code of this crate: loads and stores of whole registers, and the calls
//! that enter functions compiled for instructions which the machine was asked for.

#![expect(
    unsafe_code,
    reason = "vector registers can only be loaded and stored through pointers"
)]

use core::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_storeu_si256, _mm512_add_epi32, _mm512_dpbusd_epi32,
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
};
use std::hint::black_box;

use crate::product::Tile;

fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

fn has_avx512_vnni() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vnni")
}

/// A tile of 4 × 16 by `vpmaddwd`.
pub(crate) struct Avx2(());

impl Avx2 {
    /// The tile, if this machine can run it. A value of this type is the proof that it can.
    pub(crate) fn found() -> Option<Self> {
        has_avx2().then_some(Self(()))
    }
}

/// Two bytes as two 16-bit values.
fn widen(bytes: &[u8]) -> u32 {
    let value = |byte: u8| u32::from(i16::from(byte.cast_signed()).cast_unsigned());
    value(bytes[0]) | value(bytes[1]) << 16
}

impl Tile<4, 16> for Avx2 {
    const DEPTH: usize = 2;
    const SHIFT: i32 = 0;

    fn left(bytes: &[u8]) -> u32 {
        widen(bytes)
    }

    fn right(bytes: &[u8]) -> u32 {
        widen(bytes)
    }

    fn add(&self, left: &[[u32; 4]], right: &[[u32; 16]], sums: &mut [[u32; 16]; 4]) {
        // SAFETY: the value `self` exists only where AVX2 was found.
        unsafe { avx2(left, right, sums) }
    }
}

#[target_feature(enable = "avx2")]
fn load_256(words: &[u32; 8]) -> __m256i {
    // SAFETY: the 32 bytes are borrowed; the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store_256(register: __m256i, words: &mut [u32; 8]) {
    // SAFETY: the 32 bytes are borrowed mutably; the store needs no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), register) }
}

#[target_feature(enable = "avx2")]
fn avx2(left: &[[u32; 4]], right: &[[u32; 16]], sums: &mut [[u32; 16]; 4]) {
    let mut registers = [[_mm256_setzero_si256(); 2]; 4];
    for (left, right) in left.iter().zip(right) {
        let (halves, _) = right.as_chunks::<8>();
        let columns = [load_256(&halves[0]), load_256(&halves[1])];
        for (registers, word) in registers.iter_mut().zip(left) {
            let row = _mm256_set1_epi32(word.cast_signed());
            for (register, columns) in registers.iter_mut().zip(columns) {
                *register = _mm256_add_epi32(*register, _mm256_madd_epi16(columns, row));
            }
        }
    }
    for (sums, registers) in sums.iter_mut().zip(registers) {
        let (halves, _) = sums.as_chunks_mut::<8>();
        for (sums, register) in halves.iter_mut().zip(registers) {
            store_256(_mm256_add_epi32(load_256(sums), register), sums);
        }
    }
}

/// A tile of 8 × 32 by `vpdpbusd`.
pub(crate) struct Avx512Vnni(());

impl Avx512Vnni {
    /// The tile, if this machine can run it. A value of this type is the proof that it can.
    pub(crate) fn found() -> Option<Self> {
        has_avx512_vnni().then_some(Self(()))
    }
}

fn four(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl Tile<8, 32> for Avx512Vnni {
    const DEPTH: usize = 4;
    const SHIFT: i32 = 128;

    fn left(bytes: &[u8]) -> u32 {
        four(bytes)
    }

    fn right(bytes: &[u8]) -> u32 {
        // The instruction wants one side unsigned: turning the sign bit adds 128.
        four(bytes) ^ 0x8080_8080
    }

    fn add(&self, left: &[[u32; 8]], right: &[[u32; 32]], sums: &mut [[u32; 32]; 8]) {
        // SAFETY: the value `self` exists only where AVX-512 F, BW and VNNI were found.
        unsafe { avx512_vnni(left, right, sums) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn load_512(words: &[u32; 16]) -> __m512i {
    // SAFETY: the 64 bytes are borrowed; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn store_512(register: __m512i, words: &mut [u32; 16]) {
    // SAFETY: the 64 bytes are borrowed mutably; the store needs no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), register) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn avx512_vnni(left: &[[u32; 8]], right: &[[u32; 32]], sums: &mut [[u32; 32]; 8]) {
    let mut registers = [[_mm512_setzero_si512(); 2]; 8];
    for (left, right) in left.iter().zip(right) {
        let (halves, _) = right.as_chunks::<16>();
        let columns = [load_512(&halves[0]), load_512(&halves[1])];
        for (registers, word) in registers.iter_mut().zip(left) {
            let row = _mm512_set1_epi32(word.cast_signed());
            for (register, columns) in registers.iter_mut().zip(columns) {
                *register = _mm512_dpbusd_epi32(*register, columns, row);
            }
        }
    }
    for (sums, registers) in sums.iter_mut().zip(registers) {
        let (halves, _) = sums.as_chunks_mut::<16>();
        for (sums, register) in halves.iter_mut().zip(registers) {
            store_512(_mm512_add_epi32(load_512(sums), register), sums);
        }
    }
}

/// Chains of multiply-add on registers that do not wait for each other: more than latency times throughput.
const CHAINS: usize = 12;
const CHAINS_COUNT: u64 = 12;

impl Avx2 {
    /// Runs `rounds` of `vpmaddwd` on registers and returns how many multiply-adds that were.
    pub(crate) fn spin(self, rounds: u32) -> u64 {
        let Self(()) = self;
        // SAFETY: the value `self` exists only where AVX2 was found.
        black_box(unsafe { spin_avx2(rounds) });
        u64::from(rounds) * CHAINS_COUNT * 16
    }
}

#[target_feature(enable = "avx2")]
fn spin_avx2(rounds: u32) -> [u32; 8] {
    let factor = _mm256_set1_epi32(black_box(0x0003_0005));
    let mut chains = [_mm256_set1_epi32(black_box(0x0007_000b)); CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = _mm256_madd_epi16(*chain, factor);
        }
    }
    let mut out = [0; 8];
    store_256(
        chains
            .into_iter()
            .fold(factor, |sum, chain| _mm256_add_epi32(sum, chain)),
        &mut out,
    );
    out
}

impl Avx512Vnni {
    /// Runs `rounds` of `vpdpbusd` on registers and returns how many multiply-adds that were.
    pub(crate) fn spin(self, rounds: u32) -> u64 {
        let Self(()) = self;
        // SAFETY: the value `self` exists only where AVX-512 F, BW and VNNI were found.
        black_box(unsafe { spin_avx512(rounds) });
        u64::from(rounds) * CHAINS_COUNT * 64
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn spin_avx512(rounds: u32) -> [u32; 16] {
    let left = _mm512_set1_epi32(black_box(0x0102_0304));
    let right = _mm512_set1_epi32(black_box(0x0506_0708));
    let mut chains = [_mm512_set1_epi32(black_box(1)); CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = _mm512_dpbusd_epi32(*chain, left, right);
        }
    }
    let mut out = [0; 16];
    store_512(
        chains
            .into_iter()
            .fold(left, |sum, chain| _mm512_add_epi32(sum, chain)),
        &mut out,
    );
    out
}
