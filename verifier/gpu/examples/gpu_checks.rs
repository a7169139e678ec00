//! Measures every card of this machine and prints one JSON document: the figures and bars of `docs/gpu-checks.md`.
//!
//! `cargo run -p io-gpu --example gpu_checks -- [SECONDS OF WARM-UP] [ROUNDS]`. Exit code 1 when there is no card or a bar
//! is missed.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for people: rates are floats, data goes to standard output"
)]

use std::process::ExitCode;
use std::time::Duration;

use io_gpu::{Facts, Measure, Measured, facts, measure};
use serde_json::{Value, json};

/// 10^12 int8 operations a second of one step.
fn tera(size: u32, nanoseconds: u64) -> f64 {
    2.0 * f64::from(size).powi(3) / nanoseconds as f64 / 1000.0
}

fn ratio(numerator: u64, denominator: u64) -> f64 {
    numerator as f64 / denominator as f64
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

/// The bars of the design that this card can be held to, each with what was measured.
fn bars(measured: &Measured) -> Vec<(&'static str, f64, &'static str, f64)> {
    let mut bars = Vec::new();
    if let Some(anchor) = measured.cublaslt_ns {
        bars.push((
            "portable product of cuBLASLt's rate",
            ratio(anchor, measured.portable_ns),
            ">=",
            0.60,
        ));
        if let Some(hopper) = measured.hopper_ns {
            bars.push((
                "Hopper product of cuBLASLt's rate",
                ratio(anchor, hopper),
                ">=",
                0.90,
            ));
        }
    }
    let step = measured.hopper_ns.unwrap_or(measured.portable_ns);
    bars.push((
        "digest of a step",
        ratio(measured.digest_ns, step),
        "<=",
        0.05,
    ));
    bars.push((
        "seconds from start to the first step",
        measured.start_ns as f64 / 1e9,
        "<=",
        3.0,
    ));
    if let Some(pulse) = measured.pulse {
        let matrix = 2.0 * f64::from(measured.size).powi(2);
        let copied = matrix / measured.copy_ns as f64;
        let read = pulse.walk_bytes as f64 / pulse.walk_ns as f64;
        bars.push(("phase B of the copy bandwidth", read / copied, ">=", 0.60));
        if measured.card.contains("H200") {
            let seconds = (pulse.fill_ns + pulse.walk_ns) as f64 / 1e9;
            bars.push(("seconds of a pulse on an H200", seconds, "<=", 1.25 * 7.6));
        }
        bars.push((
            "openings that fail the check",
            f64::from(u8::from(!pulse.opens)),
            "<=",
            0.0,
        ));
    }
    if let Some((wrong, _)) = measured.cublaslt_wrong {
        bars.push((
            "elements that differ from cuBLASLt",
            f64::from(wrong),
            "<=",
            0.0,
        ));
    }
    bars
}

fn report(measured: &Measured) -> (Value, bool) {
    let size = measured.size;
    let pulse = measured.pulse.map(|pulse| {
        json!({
            "kept": pulse.params.kept, "walkers": pulse.params.walkers, "reads": pulse.params.reads,
            "phase_a_seconds": pulse.fill_ns as f64 / 1e9, "phase_b_seconds": pulse.walk_ns as f64 / 1e9,
            "phase_b_gigabytes_per_second": pulse.walk_bytes as f64 / pulse.walk_ns as f64,
            "open_seconds": pulse.open_ns as f64 / 1e9, "openings_pass": pulse.opens,
        })
    });
    let mut all_met = true;
    let bars: Vec<_> = bars(measured)
        .into_iter()
        .map(|(name, got, relation, bar)| {
            let met = if relation == ">=" {
                got >= bar
            } else {
                got <= bar
            };
            all_met &= met;
            json!({"bar": name, "measured": got, "relation": relation, "wanted": bar, "met": met})
        })
        .collect();
    let value = json!({
        "card": measured.card, "uuid": measured.uuid, "cuda": measured.cuda, "size": size,
        "portable_tops": tera(size, measured.portable_ns),
        "hopper_tops": measured.hopper_ns.map(|time| tera(size, time)),
        "cublaslt_tops": measured.cublaslt_ns.map(|time| tera(size, time)),
        "cublaslt_missing": measured.cublaslt_missing,
        "cublaslt_wrong_of_compared": measured.cublaslt_wrong,
        "digest_milliseconds": measured.digest_ns as f64 / 1e6,
        "copy_gigabytes_per_second": 2.0 * f64::from(size).powi(2) / measured.copy_ns as f64,
        "start_seconds": measured.start_ns as f64 / 1e9,
        "pulse": pulse, "bars": bars,
    });
    (value, all_met)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| {
        arguments
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(default)
    };
    let (warm_up, rounds) = (number(30), number(10));
    let cards = match facts() {
        Ok(cards) => cards,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut all_met = true;
    let mut results = Vec::new();
    for ordinal in 0..cards.len() {
        let options = Measure {
            ordinal,
            size: 32_768,
            warm_up: Duration::from_secs(u64::from(warm_up)),
            rounds,
            repeat: 1,
            pulse: true,
        };
        match measure(&options) {
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
    let found = !results.is_empty();
    let document =
        json!({"before": describe(&cards), "after": describe(&after), "results": results});
    println!("{document:#}");
    if all_met && found {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
