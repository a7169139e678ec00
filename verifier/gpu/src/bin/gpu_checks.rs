//! Measures every card of this machine and writes one JSON document: the figures and bars of `docs/gpu-checks.md`.
//!
//! `gpu_checks FILE [--size N] [--warm-up SECONDS] [--rounds N] [--pulses N] [--pulse-bytes N] [--walkers N]`. What is not said
//! is as the bars want it. Exit code 0: every bar was met; 1: one was missed or could not be measured; 2: there is no card.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::print_stderr,
    reason = "a program for people: rates are floats, words go to standard error"
)]

use std::process::ExitCode;
use std::time::Duration;

use io_gpu::{Facts, Measure, Measured, Pulse, facts, measure};
use serde_json::{Value, json};

/// What a bar wants.
#[derive(Clone, Copy)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// One bar of the design with what was measured, or why it was not.
struct Bar {
    name: &'static str,
    wanted: Wanted,
    measured: Result<f64, String>,
    /// Whether this card is held to it.
    applies: bool,
}

impl Bar {
    fn is_met(&self) -> bool {
        match (&self.measured, self.wanted) {
            (Ok(got), Wanted::AtLeast(bar)) => *got >= bar,
            (Ok(got), Wanted::AtMost(bar)) => *got <= bar,
            (Err(_), _) => false,
        }
    }

    fn line(&self) -> Value {
        let (relation, bar) = match self.wanted {
            Wanted::AtLeast(bar) => (">=", bar),
            Wanted::AtMost(bar) => ("<=", bar),
        };
        json!({
            "bar": self.name, "relation": relation, "wanted": bar, "applies": self.applies, "met": self.is_met(),
            "measured": self.measured.as_ref().ok(), "why_not_measured": self.measured.as_ref().err(),
        })
    }
}

/// 10^12 int8 operations a second of one step.
fn tera(size: u32, nanoseconds: u64) -> f64 {
    2.0 * f64::from(size).powi(3) / nanoseconds as f64 / 1000.0
}

fn ratio(numerator: u64, denominator: u64) -> f64 {
    numerator as f64 / denominator.max(1) as f64
}

fn card(facts: &Facts) -> Value {
    json!({
        "uuid": facts.uuid, "name": facts.name, "pci": facts.pci, "driver": facts.driver,
        "memory_bytes": facts.memory_total, "sm_clock_mhz": facts.sm_clock_mhz,
        "sm_clock_max_mhz": facts.sm_clock_max_mhz, "memory_clock_mhz": facts.memory_clock_mhz,
        "mig": facts.mig, "ecc": facts.ecc, "throttle": facts.throttle, "power_milliwatts": facts.power_milliwatts,
        "temperature": facts.temperature,
        "processes": facts.processes.iter().map(|process| process.pid).collect::<Vec<_>>(),
    })
}

/// Bytes in a nanosecond of a copy, which reads and writes a matrix: 10^9 a second.
fn copied(measured: &Measured) -> f64 {
    2.0 * f64::from(measured.size).powi(2) / measured.copy_ns.max(1) as f64
}

/// Every bar of the design, in its order; those of an H200 are held against an H200 only.
fn bars(measured: &Measured) -> Vec<Bar> {
    let h200 = measured.card.contains("H200");
    let missing = || {
        let why = measured.cublaslt_missing.as_deref();
        format!("no cuBLASLt: {}", why.unwrap_or("it said nothing"))
    };
    let against = |time: u64| measured.cublaslt_ns.map(|anchor| ratio(anchor, time));
    let hopper = match measured.hopper_ns {
        Some(time) => against(time).ok_or_else(missing),
        None => Err("this card has no Hopper product".to_owned()),
    };
    let pulse = measured.median_pulse().ok_or_else(|| {
        let why = measured.pulse_failed.as_deref();
        why.unwrap_or("no pulse was asked for").to_owned()
    });
    let of_pulse = |figure: fn(&Pulse, &Measured) -> f64| {
        pulse
            .as_ref()
            .map(|pulse| figure(pulse, measured))
            .map_err(Clone::clone)
    };
    let bar = |name, wanted, measured, applies| Bar {
        name,
        wanted,
        measured,
        applies,
    };
    vec![
        bar(
            "portable product of cuBLASLt's rate",
            Wanted::AtLeast(0.60),
            against(measured.portable_ns).ok_or_else(missing),
            h200,
        ),
        bar(
            "Hopper product of cuBLASLt's rate",
            Wanted::AtLeast(0.90),
            hopper,
            h200,
        ),
        bar(
            "phase B of the copy bandwidth",
            Wanted::AtLeast(0.60),
            of_pulse(|pulse, measured| ratio(pulse.walk_bytes, pulse.walk_ns) / copied(measured)),
            h200,
        ),
        bar(
            "digest of a step",
            Wanted::AtMost(0.05),
            Ok(ratio(measured.digest_ns, measured.step_ns())),
            h200,
        ),
        bar(
            "seconds of a pulse",
            Wanted::AtMost(1.25 * 7.6),
            of_pulse(|pulse, _| (pulse.fill_ns + pulse.walk_ns) as f64 / 1e9),
            h200,
        ),
        bar(
            "seconds from start to the first step",
            Wanted::AtMost(3.0),
            Ok(measured.start_ns as f64 / 1e9),
            true,
        ),
        bar(
            "elements that differ from cuBLASLt",
            Wanted::AtMost(0.0),
            measured
                .cublaslt_wrong
                .map(|(wrong, _)| f64::from(wrong))
                .ok_or_else(missing),
            true,
        ),
        bar(
            "pulses whose openings fail the check",
            Wanted::AtMost(0.0),
            pulse.map(|_| measured.pulses.iter().filter(|pulse| !pulse.opens).count() as f64),
            true,
        ),
    ]
}

fn pulse(pulse: &Pulse) -> Value {
    json!({
        "kept": pulse.params.kept, "walkers": pulse.params.walkers, "reads": pulse.params.reads,
        "phase_a_seconds": pulse.fill_ns as f64 / 1e9, "phase_b_seconds": pulse.walk_ns as f64 / 1e9,
        "phase_b_gigabytes_per_second": ratio(pulse.walk_bytes, pulse.walk_ns),
        "open_seconds": pulse.open_ns as f64 / 1e9, "openings_pass": pulse.opens,
    })
}

fn report(measured: &Measured) -> (Value, bool) {
    let size = measured.size;
    let bars = bars(measured);
    let all_met = bars.iter().all(|bar| !bar.applies || bar.is_met());
    let value = json!({
        "card": measured.card, "uuid": measured.uuid, "cuda": measured.cuda, "size": size,
        "memory_bytes": measured.memory_bytes, "peak_tops": measured.peak_ops.map(|peak| peak as f64 / 1e12),
        "portable_tops": tera(size, measured.portable_ns),
        "hopper_tops": measured.hopper_ns.map(|time| tera(size, time)),
        "cublaslt_tops": measured.cublaslt_ns.map(|time| tera(size, time)),
        "cublaslt_missing": measured.cublaslt_missing,
        "cublaslt_wrong_of_compared": measured.cublaslt_wrong,
        "digest_milliseconds": measured.digest_ns as f64 / 1e6,
        "copy_gigabytes_per_second": copied(measured),
        "start_seconds": measured.start_ns as f64 / 1e9,
        "pulses": measured.pulses.iter().map(pulse).collect::<Vec<_>>(),
        "pulse_failed": measured.pulse_failed,
        "bars": bars.iter().map(Bar::line).collect::<Vec<_>>(),
    });
    (value, all_met)
}

/// The file, and what to measure.
fn options(mut words: impl Iterator<Item = String>) -> Result<(String, Measure), String> {
    let file = words.next().ok_or("name the file to write")?;
    let mut options = Measure {
        pulses: 3,
        ..Measure::of_card(0, 32_768)
    };
    while let Some(name) = words.next() {
        let word = words
            .next()
            .ok_or_else(|| format!("{name} wants a number"))?;
        let bytes: u64 = word
            .parse()
            .map_err(|error| format!("{name} {word}: {error}"))?;
        let number = u32::try_from(bytes);
        let small = || number.map_err(|error| format!("{name} {word}: {error}"));
        match name.as_str() {
            "--size" => options.size = small()?,
            "--warm-up" => options.warm_up = Duration::from_secs(bytes),
            "--rounds" => options.rounds = small()?,
            "--pulses" => options.pulses = small()?,
            "--pulse-bytes" => options.pulse_bytes = bytes,
            "--walkers" => options.walkers = small()?,
            other => return Err(format!("{other} is no option")),
        }
    }
    Ok((file, options))
}

/// Measures, writes the file, and says whether all bars were met.
fn run() -> Result<bool, String> {
    let (file, options) = options(std::env::args().skip(1))?;
    let cards = facts().map_err(|error| error.to_string())?;
    if cards.is_empty() {
        return Err("the driver shows no card".to_owned());
    }
    let (mut all_met, mut results) = (true, Vec::new());
    for ordinal in 0..cards.len() {
        match measure(&Measure { ordinal, ..options }) {
            Ok(measured) => {
                let (value, met) = report(&measured);
                all_met &= met;
                results.push(value);
            }
            Err(error) => {
                all_met = false;
                results.push(json!({"ordinal": ordinal, "error": error.to_string()}));
            }
        }
    }
    let after = facts().unwrap_or_default();
    let describe = |list: &[Facts]| list.iter().map(card).collect::<Vec<_>>();
    let document =
        json!({"before": describe(&cards), "after": describe(&after), "results": results});
    std::fs::write(&file, format!("{document:#}\n")).map_err(|error| format!("{file}: {error}"))?;
    Ok(all_met)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
