//! The measurements and the script of `docs/gpu-checks.md` on the emulated driver: everything but the times is as on a card,
//! so that a mistake in them costs no time on a real one.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use io_gpu::{Measure, measure};
use serde_json::Value;

use crate::emulated::{CHILD, library, on_emulated_driver};
use crate::skip::skip;

#[path = "support/emulated.rs"]
mod emulated;
#[path = "support/skip.rs"]
mod skip;
#[path = "support/suite.rs"]
mod suite;

/// Small enough for a card that is a processor.
const SMALL: Measure = Measure {
    size: 256,
    warm_up: Duration::ZERO,
    rounds: 1,
    pulse_bytes: 300_000,
    walkers: 64,
    ..Measure::of_card(1, 256)
};

/// The driver's folder and the library's, as a loader wants them.
fn with_yardstick(folder: &Path) -> String {
    format!("{0}:{0}/yardstick", folder.display())
}

#[test]
fn a_child_measures() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let measured = measure(&SMALL).expect("the emulated card can be measured");
    assert_eq!(
        (measured.card.as_str(), measured.size),
        ("CUDA, Emulated card 1, wgmma", 256)
    );
    let times = [
        measured.portable_ns,
        measured.digest_ns,
        measured.copy_ns,
        measured.start_ns,
    ];
    assert!(times.iter().all(|time| *time > 0), "{measured:?}");
    let hopper = measured.hopper_ns.unwrap();
    assert!(hopper > measured.copy_ns, "{measured:?}");
    assert_eq!(measured.step_ns(), hopper);
    // 3 multiprocessors at 1.98 GHz, 8192 operations each in a clock.
    assert_eq!(measured.peak_ops, Some(3 * 1_980_000_000 * 8192));
    let pulse = measured.median_pulse().unwrap();
    // Nine tenths of 300 000 bytes are 4 matrices of 65 536.
    assert_eq!(
        (pulse.params.kept, pulse.params.steps, pulse.opens),
        (4, 4, true)
    );
    assert_eq!(pulse.walk_bytes, 4 * 65_536 * 32);
    assert_eq!(measured.pulse_failed, None);
    if std::env::var_os("IO_WITH_YARDSTICK").is_some() {
        // Every third of 256 rows, that is all sums of rows 0, 97 and 194.
        assert_eq!(measured.cublaslt_wrong, Some((0, 3 * 256)));
        assert!(measured.cublaslt_ns.unwrap() > 0 && measured.cublaslt_missing.is_none());
    } else {
        assert_eq!(
            (measured.cublaslt_ns, measured.cublaslt_wrong),
            (None, None)
        );
        let why = measured.cublaslt_missing.unwrap();
        assert_eq!(why, "it is not installed");
    }
    println!("MEASURED");
}

/// Runs the child above under settings.
fn measures(test: &str, settings: &[(&str, &str)]) {
    let Some(output) = on_emulated_driver(test, "a_child_measures", settings) else {
        return;
    };
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.contains("MEASURED"),
        "{out}\n{error}"
    );
}

#[test]
fn the_measurements_run_without_cublaslt_and_say_that_it_is_missing() {
    let test = "the_measurements_run_without_cublaslt_and_say_that_it_is_missing";
    measures(test, &[]);
}

#[test]
fn the_yardstick_multiplies_the_same_matrices() {
    let test = "the_yardstick_multiplies_the_same_matrices";
    let Some(folder) = library() else {
        skip(test, "there is no C++ compiler named c++");
        return;
    };
    let path = with_yardstick(folder);
    measures(
        test,
        &[("LD_LIBRARY_PATH", &path), ("IO_WITH_YARDSTICK", "1")],
    );
}

#[test]
fn a_child_cannot_run_its_pulse() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let walkers = 1 << 20;
    let measured = measure(&Measure { walkers, ..SMALL }).expect("the products were measured");
    assert!(measured.pulses.is_empty() && measured.portable_ns > 0);
    let why = measured.pulse_failed.unwrap();
    assert!(why.contains("bytes of device memory are needed"), "{why}");
    println!("KEPT");
}

#[test]
fn what_was_measured_before_a_pulse_fails_is_kept() {
    let test = "what_was_measured_before_a_pulse_fails_is_kept";
    let settings = [("IO_EMULATED_MEMORY", "40000000")];
    let Some(output) = on_emulated_driver(test, "a_child_cannot_run_its_pulse", &settings) else {
        return;
    };
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("KEPT"),
        "{out}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Every bar that the design sets for a card, and what only makes sense with them.
const BARS: [&str; 8] = [
    "portable product of cuBLASLt's rate",
    "Hopper product of cuBLASLt's rate",
    "phase B of the copy bandwidth",
    "digest of a step",
    "seconds of a pulse",
    "seconds from start to the first step",
    "elements that differ from cuBLASLt",
    "pulses whose openings fail the check",
];

/// What `checks --pack` makes, with this program's suite in place of the one for cards.
fn packed(folder: &Path) {
    let checks = Path::new(env!("CARGO_MANIFEST_DIR")).join("checks");
    std::fs::copy(checks, folder.join("checks")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_gpu_checks"), folder.join("gpu_checks")).unwrap();
    std::fs::write(folder.join("commit"), "0123abcd\n").unwrap();
    let program = std::env::current_exe().unwrap();
    let suite = folder.join("card");
    let script = format!(
        "#!/bin/sh\nexec '{}' --test-threads 1 suite::all_cards\n",
        program.display()
    );
    std::fs::write(&suite, script).unwrap();
    std::fs::set_permissions(&suite, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_script_writes_every_bar_into_one_file() {
    let test = "the_script_writes_every_bar_into_one_file";
    let Some(libraries) = library() else {
        skip(test, "there is no C++ compiler named c++");
        return;
    };
    let folder = libraries.join("packed");
    std::fs::create_dir_all(&folder).unwrap();
    packed(&folder);
    let file = folder.join("gpu-checks.json");
    let options = "--size 256 --warm-up 0 --rounds 1 --pulses 1 --pulse-bytes 300000 --walkers 64";
    let output = Command::new(folder.join("checks"))
        .arg(&file)
        .env("LD_LIBRARY_PATH", with_yardstick(libraries))
        .env("IO_GPU_CHECKS_OPTIONS", options)
        .env("IO_EMULATED_CARDS", "1")
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(document["commit"], "0123abcd");
    assert_eq!(document["suite_passed"], true);
    assert_eq!(document["measured"]["before"][0]["driver"], "0.0-emulated");
    let results = document["measured"]["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "one card");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gpu-checks.md");
    let page = std::fs::read_to_string(page).unwrap();
    for result in results {
        let bars = result["bars"].as_array().unwrap();
        let names: Vec<_> = bars
            .iter()
            .map(|bar| bar["bar"].as_str().unwrap())
            .collect();
        assert_eq!(names, BARS);
        for bar in bars {
            assert!(bar["measured"].is_number(), "{bar}");
            let name = bar["bar"].as_str().unwrap();
            assert!(
                page.contains(&format!("`{name}`")),
                "{name} is not explained"
            );
        }
        assert_eq!(result["pulses"].as_array().unwrap().len(), 1);
    }
}
