//! What a card does, in whole numbers: the figures of `docs/gpu-checks.md` for one's own machine.

use std::time::Duration;

use io_gpu::{Measure, Measured, Pulse, facts};
use serde::Serialize;

use super::Options;
use super::classes::{Rates, lines_bytes, operations};

/// Above this much memory a card has matrices of 32768, below it of 16384.
const SMALL_CARD_BYTES: u64 = 17 << 30;

/// One card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Card {
    /// It worked.
    Measured(Box<Figures>),
    /// It did not.
    Failed {
        /// CUDA's number of the card.
        ordinal: usize,
        /// Why, and what to do.
        error: String,
    },
}

/// What was measured of a card; medians. Shares are in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The card and its best product.
    pub card: String,
    /// Its UUID.
    pub uuid: String,
    /// Version of the driver, where NVML says it.
    pub driver: Option<String>,
    /// CUDA version of the driver, as 1000·major + 10·minor.
    pub cuda: i32,
    /// Device memory in bytes.
    pub memory_bytes: u64,
    /// Matrix size N.
    pub size: u32,
    /// The portable product, 10^9 int8 operations in a second.
    pub portable_gops: u64,
    /// The Hopper product, where the card runs it.
    pub hopper_gops: Option<u64>,
    /// cuBLASLt on the same matrices, where the machine has it.
    pub cublaslt_gops: Option<u64>,
    /// Why there is no rate of cuBLASLt.
    pub cublaslt_missing: Option<String>,
    /// Elements in which cuBLASLt differs, and elements compared.
    pub cublaslt_wrong: Option<(u32, u32)>,
    /// The portable product's share of cuBLASLt's rate.
    pub portable_of_cublaslt: Option<u64>,
    /// The Hopper product's share of cuBLASLt's rate.
    pub hopper_of_cublaslt: Option<u64>,
    /// Digesting a result, share of a step.
    pub digest_of_step: u64,
    /// Bytes that a copy on the card reads and writes, millions in a second.
    pub copy_mbs: u64,
    /// Random reads of phase B, share of the copy's bandwidth.
    pub read_of_copy: Option<u64>,
    /// From opening the card to the end of the first step, milliseconds.
    pub start_ms: u64,
    /// Whole pulses, in order.
    pub pulses: Vec<PulseFigures>,
    /// Why a pulse failed.
    pub pulse_failed: Option<String>,
}

/// One whole pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PulseFigures {
    /// Matrices kept.
    pub kept: u32,
    /// Phase A, milliseconds.
    pub phase_a_ms: u64,
    /// Phase B, milliseconds.
    pub phase_b_ms: u64,
    /// int8 operations of phase A, millions in a second.
    pub int8_mops: u64,
    /// Bytes read by phase B, millions in a second.
    pub read_mbs: u64,
    /// Openings of one verifier, milliseconds.
    pub open_ms: u64,
    /// Whether those openings are right.
    pub opens: bool,
}

fn ratio(numerator: u128, denominator: u64) -> u64 {
    let quotient = numerator.checked_div(u128::from(denominator.max(1)));
    u64::try_from(quotient.unwrap_or(0)).unwrap_or(u64::MAX)
}

fn thousandths(numerator: u64, denominator: u64) -> u64 {
    ratio(u128::from(numerator).saturating_mul(1000), denominator)
}

fn millis(nanoseconds: u64) -> u64 {
    ratio(u128::from(nanoseconds), 1_000_000)
}

/// Units in nanoseconds are thousands of millions in a second.
fn millions(units: u128, nanoseconds: u64) -> u64 {
    ratio(units.saturating_mul(1000), nanoseconds)
}

impl PulseFigures {
    fn of(pulse: &Pulse) -> Self {
        Self {
            kept: pulse.params.kept,
            phase_a_ms: millis(pulse.fill_ns),
            phase_b_ms: millis(pulse.walk_ns),
            int8_mops: millions(operations(&pulse.params), pulse.fill_ns),
            read_mbs: millions(lines_bytes(&pulse.params), pulse.walk_ns),
            open_ms: millis(pulse.open_ns),
            opens: pulse.opens,
        }
    }
}

impl Figures {
    pub(super) fn of(measured: &Measured, driver: Option<String>) -> Self {
        let n = u128::from(measured.size);
        let step = n.saturating_pow(3).saturating_mul(2);
        let gops = |time: u64| ratio(step, time);
        let anchor = measured.cublaslt_ns;
        let copy_mbs = millions(n.saturating_mul(n).saturating_mul(2), measured.copy_ns);
        let median = measured
            .median_pulse()
            .map(|pulse| PulseFigures::of(&pulse));
        Self {
            card: measured.card.clone(),
            uuid: measured.uuid.clone(),
            driver,
            cuda: measured.cuda,
            memory_bytes: measured.memory_bytes,
            size: measured.size,
            portable_gops: gops(measured.portable_ns),
            hopper_gops: measured.hopper_ns.map(gops),
            cublaslt_gops: anchor.map(gops),
            cublaslt_missing: measured.cublaslt_missing.clone(),
            cublaslt_wrong: measured.cublaslt_wrong,
            portable_of_cublaslt: anchor.map(|anchor| thousandths(anchor, measured.portable_ns)),
            hopper_of_cublaslt: anchor
                .zip(measured.hopper_ns)
                .map(|(anchor, hopper)| thousandths(anchor, hopper)),
            digest_of_step: thousandths(measured.digest_ns, measured.step_ns()),
            copy_mbs,
            read_of_copy: median.map(|pulse| thousandths(pulse.read_mbs, copy_mbs)),
            start_ms: millis(measured.start_ns),
            pulses: measured.pulses.iter().map(PulseFigures::of).collect(),
            pulse_failed: measured.pulse_failed.clone(),
        }
    }

    /// The rates by which a class would be granted: those of the slowest pulse.
    pub fn rates(&self) -> Option<Rates> {
        let int8_mops = self.pulses.iter().map(|pulse| pulse.int8_mops).min()?;
        let read_mbs = self.pulses.iter().map(|pulse| pulse.read_mbs).min()?;
        Some(Rates {
            processor: self.card.clone(),
            int8_mops,
            read_mbs,
            memory_bytes: Some(self.memory_bytes),
        })
    }
}

/// Measures one card.
pub(super) fn measure(options: &Options, ordinal: usize) -> Result<(Measured, Figures), String> {
    let of = |uuid: &str| {
        let cards = facts().unwrap_or_default();
        cards.into_iter().find(|card| card.uuid == uuid)
    };
    let opened = io_gpu::CudaEngine::open(ordinal).map_err(|error| error.to_string())?;
    let memory = opened.memory_bytes().map_err(|error| error.to_string())?;
    drop(opened);
    let size = options.card_size.unwrap_or(if memory < SMALL_CARD_BYTES {
        16_384
    } else {
        32_768
    });
    let measured = io_gpu::measure(&Measure {
        warm_up: Duration::from_secs(options.warm_up),
        rounds: options.rounds,
        pulses: options.pulses,
        pulse_bytes: options.pulse_bytes.unwrap_or(u64::MAX),
        walkers: options.walkers,
        ..Measure::of_card(ordinal, size)
    })
    .map_err(|error| error.to_string())?;
    let driver = of(&measured.uuid).and_then(|card| card.driver);
    let figures = Figures::of(&measured, driver);
    Ok((measured, figures))
}
