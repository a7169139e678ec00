//! What the processor of this machine does.

use std::time::{Duration, Instant};

use io_challenge::{
    Draw, DrawInput, Engine as _, EngineError, Nonce, Params, Roots, Seed, check_openings,
};
use serde::Serialize;

use super::Options;
use super::classes::{Rates, lines_bytes, operations};

/// What was measured of the CPU engine, on all cores. The best of the rounds: other programs only ever make one slower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// What computed.
    pub engine: String,
    /// Matrix size N.
    pub size: u32,
    /// Matrices kept.
    pub kept: u32,
    /// Phase A, microseconds, digests included.
    pub phase_a_us: u64,
    /// Phase B, microseconds.
    pub phase_b_us: u64,
    /// Checking the openings of one verifier, microseconds, one core.
    pub check_us: u64,
    /// int8 operations of phase A, millions in a second.
    pub int8_mops: u64,
    /// Bytes read by phase B, millions in a second.
    pub read_mbs: u64,
    /// Memory of the machine in bytes, where the system says so.
    pub memory_bytes: Option<u64>,
}

impl Figures {
    /// The rates by which a class would be granted.
    pub fn rates(&self) -> Rates {
        Rates {
            processor: self.engine.clone(),
            int8_mops: self.int8_mops,
            read_mbs: self.read_mbs,
            memory_bytes: self.memory_bytes,
        }
    }
}

/// Runs a pulse a few times and keeps the best times.
pub(super) fn measure(options: &Options) -> Result<Figures, EngineError> {
    let params = Params::pulse(0, options.size, options.kept, 256);
    let mut engine = io_cpu::engine();
    let (mut phase_a, mut phase_b, mut checked) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for round in 0..options.rounds.max(1) {
        let [b0, b1, b2, b3] = round.to_le_bytes();
        let mut bytes = [7; 32];
        for (to, from) in bytes.iter_mut().zip([b0, b1, b2, b3]) {
            *to = from;
        }
        let seed = Seed::from_bytes(bytes);
        let started = Instant::now();
        let fill = engine.fill(&params, &seed)?;
        phase_a = phase_a.min(started.elapsed());
        let started = Instant::now();
        let walk = engine.walk()?;
        phase_b = phase_b.min(started.elapsed());
        let draw = draw(&params, bytes)?;
        let openings = engine.open(&draw)?;
        let roots = Roots {
            root_a: fill.root_a,
            root_b: walk.root_b,
        };
        let started = Instant::now();
        check_openings(&params, &seed, &roots, &draw, &openings)
            .map_err(|error| EngineError::Device(Box::new(error)))?;
        checked = checked.min(started.elapsed());
    }
    engine.release();
    Ok(Figures {
        engine: engine.name().to_owned(),
        size: params.size,
        kept: params.kept,
        phase_a_us: micros(phase_a),
        phase_b_us: micros(phase_b),
        check_us: micros(checked),
        int8_mops: per_micro(operations(&params), phase_a),
        read_mbs: per_micro(lines_bytes(&params), phase_b),
        memory_bytes: memory("MemTotal:"),
    })
}

fn draw(params: &Params, bytes: [u8; 32]) -> Result<Draw, EngineError> {
    let nonces = [Nonce {
        verifier: bytes,
        value: bytes,
    }];
    let input = DrawInput {
        commit: &bytes,
        nonces: &nonces,
        verifier: &bytes,
    };
    Draw::derive(params, &input).map_err(|error| EngineError::Device(Box::new(error)))
}

/// A line of the system's memory report in bytes; `None` where there is none.
pub(crate) fn memory(field: &str) -> Option<u64> {
    let report = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = report.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Units in a microsecond are millions in a second.
fn per_micro(units: u128, duration: Duration) -> u64 {
    let micros = duration.as_micros().max(1);
    u64::try_from(units.checked_div(micros).unwrap_or(0)).unwrap_or(u64::MAX)
}
