//! What a card does with the challenge's own work: the figures of `docs/gpu-checks.md` and of a catalogue entry.
//!
//! All kernels of one comparison run in one process, on the same data, in turns; medians; times by this machine's clock
//! around work that takes milliseconds at least.

use std::time::{Duration, Instant};

use io_challenge::{
    Draw, DrawInput, Engine, EngineError, Nonce, Params, Roots, Seed, Shape, check_openings,
};

use crate::cublaslt::{PANEL_ROWS, Yardstick};
use crate::driver::{Buffer, copy, refused, version};
use crate::engine::CudaEngine;
use crate::error::GpuError;
use crate::kernels::Product;
use crate::ring::{Ring, key};

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// CUDA's number of the card.
    pub ordinal: usize,
    /// N of the products; 32768 for the bars.
    pub size: u32,
    /// How long to work before the first time is taken.
    pub warm_up: Duration,
    /// Rounds in which the kernels take turns.
    pub rounds: u32,
    /// How often a kernel is called for one time; more than once where a call takes less than milliseconds.
    pub repeat: u32,
    /// How many whole pulses to run, one after the other; 0 for none.
    pub pulses: u32,
    /// Bytes of which a pulse fills nine tenths; the card's memory where that is less, so `u64::MAX` for a real pulse.
    pub pulse_bytes: u64,
    /// Walkers of a pulse; 2^18 for a real one.
    pub walkers: u32,
}

impl Measure {
    /// What the bars of the design want of a card: a warm-up of 30 s, 10 rounds, one whole pulse.
    #[must_use]
    pub const fn of_card(ordinal: usize, size: u32) -> Self {
        Self {
            ordinal,
            size,
            warm_up: Duration::from_secs(30),
            rounds: 10,
            repeat: 1,
            pulses: 1,
            pulse_bytes: u64::MAX,
            walkers: 1 << 18,
        }
    }
}

/// What was measured. Times in nanoseconds, medians; rates follow from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The card and its best product.
    pub card: String,
    /// The card's UUID.
    pub uuid: String,
    /// CUDA version of the driver, as 1000·major + 10·minor.
    pub cuda: i32,
    /// Device memory in bytes.
    pub memory_bytes: u64,
    /// The datasheet's dense int8 operations in a second, from multiprocessors and their highest clock, where the rate of
    /// this compute capability is known.
    pub peak_ops: Option<u64>,
    /// N of the products.
    pub size: u32,
    /// One step of the portable product.
    pub portable_ns: u64,
    /// One step of the Hopper product, where the card runs it.
    pub hopper_ns: Option<u64>,
    /// The same multiplications by cuBLASLt, without requantising, where the machine has it.
    pub cublaslt_ns: Option<u64>,
    /// Why there is no time of cuBLASLt.
    pub cublaslt_missing: Option<String>,
    /// Elements in which cuBLASLt's sums, requantised, differ from the card's own result, of those compared.
    pub cublaslt_wrong: Option<(u32, u32)>,
    /// Digesting one result.
    pub digest_ns: u64,
    /// Copying one matrix on the card: it reads and writes N² bytes.
    pub copy_ns: u64,
    /// From opening the card to the end of the first step, the driver's compiler included.
    pub start_ns: u64,
    /// The whole pulses that were asked for, in order, up to the first that failed.
    pub pulses: Vec<Pulse>,
    /// Why that one failed. What was measured before it stands.
    pub pulse_failed: Option<String>,
}

impl Measured {
    /// One step of the product that the card uses in a challenge.
    #[must_use]
    pub fn step_ns(&self) -> u64 {
        self.hopper_ns.unwrap_or(self.portable_ns)
    }

    /// The pulse whose two phases together are the median.
    #[must_use]
    pub fn median_pulse(&self) -> Option<Pulse> {
        let mut pulses = self.pulses.clone();
        pulses.sort_by_key(|pulse| pulse.fill_ns.saturating_add(pulse.walk_ns));
        pulses.get(pulses.len() / 2).copied()
    }
}

/// A whole pulse on nine tenths of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Its sizes.
    pub params: Params,
    /// Phase A, from nothing to `root_a`, self-check included.
    pub fill_ns: u64,
    /// Phase B, from there to `root_b`.
    pub walk_ns: u64,
    /// Bytes that phase B has read.
    pub walk_bytes: u64,
    /// Openings of one verifier.
    pub open_ns: u64,
    /// Whether those openings pass the check.
    pub opens: bool,
}

const SEED: Seed = Seed::from_bytes([0x10; 32]);

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
}

/// Three matrices of the challenge's own data: operands of a late step and its result.
struct Bench {
    shape: Shape,
    repeat: u32,
    newer: Buffer,
    older: Buffer,
    out: Buffer,
}

impl Bench {
    fn new(engine: &CudaEngine, shape: &Shape, repeat: u32) -> Result<Self, GpuError> {
        let buffer = || Buffer::new(engine.context(), shape.matrix_bytes());
        let mut bench = Self {
            shape: *shape,
            repeat,
            newer: buffer()?,
            older: buffer()?,
            out: buffer()?,
        };
        let key = key(engine.kernels(), SEED.as_bytes())?;
        for (index, matrix) in [(0, &bench.older), (1, &bench.newer)] {
            engine.kernels().expand(
                key.address(),
                index,
                matrix.address(),
                shape.matrix_bytes(),
            )?;
        }
        bench.product(engine)?;
        wait(engine)?;
        // The operands of step 1 are results and seeds of the chain, not zeros: cards run faster on zeros.
        std::mem::swap(&mut bench.older, &mut bench.newer);
        std::mem::swap(&mut bench.newer, &mut bench.out);
        Ok(bench)
    }

    fn product(&self, engine: &CudaEngine) -> Result<(), GpuError> {
        let addresses = (
            self.newer.address(),
            self.older.address(),
            self.out.address(),
        );
        engine
            .kernels()
            .product(addresses, self.shape.params().size, SEED.requantiser(1))
    }

    /// Nanoseconds of one call of enqueued work.
    fn time(
        &self,
        engine: &CudaEngine,
        work: &dyn Fn() -> Result<(), GpuError>,
    ) -> Result<u64, GpuError> {
        let repeat = self.repeat.max(1);
        wait(engine)?;
        let start = Instant::now();
        for _ in 0..repeat {
            work()?;
        }
        wait(engine)?;
        Ok(nanoseconds(start) / u64::from(repeat))
    }
}

fn wait(engine: &CudaEngine) -> Result<(), GpuError> {
    engine
        .kernels()
        .stream
        .synchronize()
        .map_err(refused("waiting for a kernel"))
}

/// Measures one card.
///
/// # Errors
/// Why the card cannot be used, or was lost on the way.
pub fn measure(options: &Measure) -> Result<Measured, EngineError> {
    let Measure {
        ordinal,
        size,
        warm_up,
        rounds,
        repeat,
        pulses,
        pulse_bytes,
        walkers,
    } = *options;
    let params = Params {
        size,
        kept: 3,
        steps: 3,
        ..Params::TEST
    };
    let shape = params.shape()?;
    let start = Instant::now();
    let mut best = CudaEngine::open(ordinal)?;
    let bench = Bench::new(&best, &shape, repeat)?;
    let start_ns = nanoseconds(start);
    let portable = CudaEngine::open_with(ordinal, Some(Product::Portable))?;
    // A yardstick that does not work is one that the machine does not have; the reason is kept.
    let (yardstick, cublaslt_missing) = match Yardstick::new(best.context(), size) {
        Ok(Some(yardstick)) => (Some(yardstick), None),
        Ok(None) => (None, Some("it is not installed".to_owned())),
        Err(error) => (None, Some(error.to_string())),
    };
    let sums = yardstick
        .as_ref()
        .map(|yardstick| Buffer::new(best.context(), yardstick.sums_bytes()))
        .transpose()?;
    let anchor = yardstick.as_ref().zip(sums.as_ref());
    let warm = Instant::now();
    while warm.elapsed() < warm_up {
        bench.product(&best)?;
        wait(&best)?;
    }
    let times = take_turns(&bench, (&best, &portable), anchor, rounds)?;
    let cublaslt_wrong = anchor
        .map(|(yardstick, sums)| compare(&best, &bench, yardstick, sums))
        .transpose()?;
    drop((bench, sums, yardstick, portable));
    let memory_bytes = best.memory_bytes()?;
    let pulse = Params::for_memory(0, size, memory_bytes.min(pulse_bytes), walkers);
    let (mut done, mut pulse_failed) = (Vec::new(), None);
    for round in 0..pulses {
        match run_pulse(&mut best, &pulse, round) {
            Ok(pulse) => done.push(pulse),
            Err(error) => {
                pulse_failed = Some(error.to_string());
                break;
            }
        }
    }
    Ok(Measured {
        card: best.name().to_owned(),
        uuid: best.uuid().to_owned(),
        cuda: version(),
        memory_bytes,
        peak_ops: best.peak_ops()?,
        size,
        portable_ns: median(times.portable),
        hopper_ns: (!times.hopper.is_empty()).then(|| median(times.hopper)),
        cublaslt_ns: (!times.cublaslt.is_empty()).then(|| median(times.cublaslt)),
        cublaslt_missing,
        cublaslt_wrong,
        digest_ns: median(times.digest),
        copy_ns: median(times.copy),
        start_ns,
        pulses: done,
        pulse_failed,
    })
}

#[derive(Default)]
struct Times {
    portable: Vec<u64>,
    hopper: Vec<u64>,
    cublaslt: Vec<u64>,
    digest: Vec<u64>,
    copy: Vec<u64>,
}

/// In each round every kernel has one turn, on the same data.
fn take_turns(
    bench: &Bench,
    (best, portable): (&CudaEngine, &CudaEngine),
    anchor: Option<(&Yardstick, &Buffer)>,
    rounds: u32,
) -> Result<Times, GpuError> {
    let mut times = Times::default();
    let ring = Ring::new(best.context(), &bench.shape, 0)?;
    let stream = &best.kernels().stream;
    let (newer, older) = (bench.newer.address(), bench.older.address());
    for _ in 0..rounds {
        let time = bench.time(portable, &|| bench.product(portable))?;
        times.portable.push(time);
        if best.kernels().product_kind() == Product::Hopper {
            let time = bench.time(best, &|| bench.product(best))?;
            times.hopper.push(time);
        }
        if let Some((yardstick, sums)) = anchor {
            let multiply = || yardstick.product(stream, newer, older, sums.address());
            times.cublaslt.push(bench.time(best, &multiply)?);
        }
        let digest = || ring.digest_of(best.kernels(), &bench.shape, bench.out.address());
        times.digest.push(bench.time(best, &digest)?);
        let copied = || copy(stream, &bench.newer, &bench.out);
        times.copy.push(bench.time(best, &copied)?);
    }
    Ok(times)
}

/// Compares the library's last panel with the card's own result, by a row of each hundred.
fn compare(
    engine: &CudaEngine,
    bench: &Bench,
    yardstick: &Yardstick,
    sums: &Buffer,
) -> Result<(u32, u32), GpuError> {
    let size = u64::from(bench.shape.params().size);
    let rows = u64::from(PANEL_ROWS).min(size);
    let stream = &engine.kernels().stream;
    bench.product(engine)?;
    yardstick.product(
        stream,
        bench.newer.address(),
        bench.older.address(),
        sums.address(),
    )?;
    let requantiser = SEED.requantiser(1);
    let (mut wrong, mut compared) = (0, 0);
    for row in (0..rows).step_by(97) {
        let bytes = bench.out.read(stream, (size - rows + row) * size, size)?;
        let words = sums.read(stream, row * size * 4, size * 4)?;
        for (byte, word) in bytes.iter().zip(words.as_chunks::<4>().0) {
            compared += 1;
            wrong += u32::from(*byte != requantiser.apply(i32::from_le_bytes(*word)));
        }
    }
    Ok((wrong, compared))
}

fn run_pulse(engine: &mut CudaEngine, params: &Params, round: u32) -> Result<Pulse, EngineError> {
    let mut seed = *SEED.as_bytes();
    seed[..4].copy_from_slice(&round.to_le_bytes());
    let seed = Seed::from_bytes(seed);
    let start = Instant::now();
    let fill = engine.fill(params, &seed)?;
    let fill_ns = nanoseconds(start);
    let start = Instant::now();
    let walk = engine.walk()?;
    let walk_ns = nanoseconds(start);
    let nonces = [Nonce {
        verifier: [1; 32],
        value: [2; 32],
    }];
    let input = DrawInput {
        commit: &walk.root_b,
        nonces: &nonces,
        verifier: &[1; 32],
    };
    let draw =
        Draw::derive(params, &input).map_err(|error| EngineError::Device(Box::new(error)))?;
    let start = Instant::now();
    let openings = engine.open(&draw)?;
    let open_ns = nanoseconds(start);
    engine.release();
    let roots = Roots {
        root_a: fill.root_a,
        root_b: walk.root_b,
    };
    let opens = check_openings(params, &seed, &roots, &draw, &openings).is_ok();
    let walk_bytes = u64::from(params.reads) * u64::from(params.walkers) * 128;
    Ok(Pulse {
        params: *params,
        fill_ns,
        walk_ns,
        walk_bytes,
        open_ns,
        opens,
    })
}
