//! What a CPU does: the rate of its products against the limit of its vector units, and small challenges from end to end. What a verifier
//! does at the sizes of an H200 is in `./dev bench opening`.
//!
//! `cargo bench --profile dev -p io-cpu --bench challenge`. Rates are the best of several rounds, times their median; the limit is the measured rate of
//! the multiply-add instruction alone on registers, shown with the measured clock.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::integer_division,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints floats and may stop at the first surprise"
)]

use std::hint::black_box;
use std::time::Instant;

use io_challenge::{
    Draw, DrawInput, Engine as _, Kernels as _, Nonce, Openings, Params, Roots, Seed, SeedMatrix,
    check_openings,
};
use io_cpu::{Level, Simd, spin};

const SEED: Seed = Seed::from_bytes([7; 32]);

/// Seconds of the median and of the best of `rounds` calls. Rates are taken from the best: other programs on the machine
/// only ever make a round slower.
fn timed(rounds: usize, mut call: impl FnMut()) -> (f64, f64) {
    let mut seconds: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (seconds[rounds / 2], seconds[0])
}

fn median(rounds: usize, call: impl FnMut()) -> f64 {
    timed(rounds, call).0
}

fn best(rounds: usize, call: impl FnMut()) -> f64 {
    timed(rounds, call).1
}

/// Cycles per second, from a chain of exclusive-or (1 cycle) and multiply (3 cycles) that cannot overlap.
fn clock() -> f64 {
    let rounds = 50_000_000_u64;
    let seconds = best(5, || {
        let mut value = black_box(3_u64);
        let (mask, odd) = (black_box(0x55_u64), black_box(0x9E37_79B9_7F4A_7C15_u64));
        for _ in 0..rounds {
            value = (value ^ mask).wrapping_mul(odd);
        }
        black_box(value);
    });
    rounds as f64 * 4.0 / seconds
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split(':').nth(1).unwrap_or_default().trim().to_owned()
    };
    format!(
        "{} (family {} model {})",
        field("model name"),
        field("cpu family"),
        field("model\t")
    )
}

fn products(threads: usize, clock: f64) {
    for level in Level::available() {
        if level == Level::Scalar {
            continue;
        }
        let rounds = 2_000_000;
        let mut count = 0;
        let seconds = best(9, || count = spin(level, rounds));
        let limit = count as f64 / seconds;
        let kernels = Simd::with(level).unwrap();
        println!(
            "{}: {:.0} G multiply-adds/s on one core's registers, {:.1} per cycle",
            level.name(),
            limit / 1e9,
            limit / clock
        );
        for size in [256, 1024, 2048, 4096] {
            let mut newer = vec![0; size * size];
            let mut older = vec![0; size * size];
            SEED.expand(SeedMatrix::Newer, 0, &mut newer);
            SEED.expand(SeedMatrix::Older, 0, &mut older);
            let mut out = vec![0; size * size];
            let requantiser = SEED.requantiser(0);
            let pool = |count| {
                rayon::ThreadPoolBuilder::new()
                    .num_threads(count)
                    .build()
                    .unwrap()
            };
            for count in [1, threads] {
                let pool = pool(count);
                let work = (size as f64).powi(3);
                let rounds = if size > 2000 { 7 } else { 25 };
                let seconds = pool.install(|| {
                    best(rounds, || {
                        kernels.multiply(size, &requantiser, &newer, &older, black_box(&mut out));
                    })
                });
                let rate = work / seconds;
                println!(
                    "  N = {size:5}, {count} threads: {:8.2} ms, {:5.0} G/s, {:.2} of the limit",
                    seconds * 1e3,
                    rate / 1e9,
                    rate / (limit * count as f64)
                );
            }
        }
    }
}

/// The whole spot check on an honest run, at a size that a CPU can fill.
fn spot_check() {
    let params = Params {
        size: 2048,
        kept: 6,
        steps: 6,
        walkers: 4096,
        reads: 512,
        ..Params::TEST
    };
    let mut engine = io_cpu::engine();
    let run = engine.run(&params, &SEED).unwrap();
    let nonces = [Nonce {
        verifier: [1; 32],
        value: [2; 32],
    }];
    let input = DrawInput {
        commit: &run.root_b,
        nonces: &nonces,
        verifier: &[1; 32],
    };
    let draw = Draw::derive(&params, &input).unwrap();
    let openings = engine.open(&draw).unwrap();
    let bytes = openings.encode(&params, &draw).unwrap();
    let roots = Roots {
        root_a: run.root_a,
        root_b: run.root_b,
    };
    let seconds = median(21, || {
        let openings = Openings::decode(&params, &draw, &bytes).unwrap();
        check_openings(&params, &SEED, &roots, &draw, &openings).unwrap();
    });
    println!(
        "spot check of one verifier, N = 2048: {} bytes in {:.2} ms on one core",
        bytes.len(),
        seconds * 1e3
    );
}

fn pulse() {
    let params = Params::TEST;
    let mut engine = io_cpu::engine();
    let seconds = median(21, || {
        black_box(engine.run(&params, &SEED).unwrap());
    });
    println!(
        "pulse of the local network (N = 256, K = 6, W = 64, R = 128): {:.2} ms",
        seconds * 1e3
    );
}

fn main() {
    let threads = rayon::current_num_threads();
    let clock = clock();
    println!(
        "{}, {threads} threads, {:.2} GHz measured",
        machine(),
        clock / 1e9
    );
    products(threads, clock);
    pulse();
    spot_check();
}
