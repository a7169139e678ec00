//! `io-verifier bench` and `io-verifier replay` as people start them, on a driver without a card and on files.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use io_challenge::{Engine as _, ScalarEngine};
use io_types::action::ProcessorAnswer;
use io_types::catalogue::Catalogue;
use io_types::{AccountId, Hash};
use io_verifier::chain;
use io_verifier::replay::Case;
use io_verifier::terms::Terms;
use serde_json::Value;

use fake::World;

#[path = "../gpu/tests/support/emulated.rs"]
#[expect(dead_code, reason = "this program is not started again on the driver")]
mod emulated;
#[path = "support/fake.rs"]
#[expect(dead_code, reason = "a replay needs the rows alone")]
mod fake;
#[path = "../gpu/tests/support/skip.rs"]
mod skip;

/// Everything small, so that a processor that pretends to be a card is done in seconds.
const SMALL: [&str; 16] = [
    "--size",
    "256",
    "--kept",
    "3",
    "--rounds",
    "1",
    "--card-size",
    "256",
    "--warm-up",
    "0",
    "--pulses",
    "1",
    "--pulse-bytes",
    "300000",
    "--walkers",
    "64",
];

fn program(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_io-verifier"));
    command.args(arguments).envs(settings.iter().copied());
    command.output().unwrap()
}

fn catalogue() -> Catalogue {
    Catalogue {
        classes: vec![fake::class()],
        models: Vec::new(),
    }
}

fn file(folder: &Path, name: &str, content: &impl serde::Serialize) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, serde_json::to_string(content).unwrap()).unwrap();
    path
}

/// Runs `bench` on one emulated card with the yardstick; `None`, said aloud, without a C++ compiler.
fn bench(test: &str, more: &[&str], cards: &str) -> Option<Output> {
    let Some(libraries) = emulated::library() else {
        skip::skip(test, "there is no C++ compiler named c++");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let catalogue = file(folder.path(), "catalogue.json", &catalogue());
    let path = format!("{0}:{0}/yardstick", libraries.display());
    let catalogue = catalogue.to_str().unwrap();
    let mut arguments = vec!["bench", "--backend", "cuda", "--catalogue", catalogue];
    arguments.extend(SMALL);
    arguments.extend(more);
    let settings = [
        ("LD_LIBRARY_PATH", path.as_str()),
        ("IO_EMULATED_CARDS", cards),
    ];
    Some(program(&arguments, &settings))
}

#[test]
fn bench_measures_a_card_against_the_yardstick_and_names_its_class() {
    let test = "bench_measures_a_card_against_the_yardstick_and_names_its_class";
    let Some(output) = bench(test, &["--json"], "1") else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("backend cuda: as asked: CUDA, Emulated card 0, wgmma"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let card = &report["cards"][0];
    assert_eq!(card["driver"], "0.0-emulated");
    assert_eq!(card["cublaslt_wrong"], serde_json::json!([0, 768]));
    for share in [
        "portable_of_cublaslt",
        "hopper_of_cublaslt",
        "digest_of_step",
        "read_of_copy",
    ] {
        assert!(card[share].is_u64(), "{share}: {card}");
    }
    assert_eq!(
        (&card["pulses"][0]["kept"], &card["pulses"][0]["opens"]),
        (&Value::from(4), &Value::from(true))
    );
    assert_eq!(report["skipped"], Value::Null);
    assert_eq!(
        report["grants"].as_array().unwrap().len(),
        2,
        "CPU and card"
    );
    assert_eq!(report["entries"][0]["class"]["id"], 2, "the next number");
}

#[test]
fn bench_prints_a_catalogue_entry_with_card_driver_and_date() {
    let test = "bench_prints_a_catalogue_entry_with_card_driver_and_date";
    let Some(output) = bench(test, &["--calibrate"], "1") else {
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let uuid = "GPU-e0e1e2e3-e4e5-e6e7-e8e9-eaebecedee00";
    let expected = format!("# Emulated card 0 ({uuid}), driver 0.0-emulated, CUDA 12080, 20");
    assert!(text.starts_with(&expected), "{text}");
    for field in [
        "[[class]]",
        "name = \"Emulated card 0\"",
        "n = 256",
        "k = 4",
        "m = 4",
        "w = 64",
        "phase_a_min_ms = 0",
    ] {
        assert!(text.contains(field), "{field}: {text}");
    }
}

#[test]
fn bench_on_a_machine_whose_driver_shows_no_card_says_what_to_do() {
    let test = "bench_on_a_machine_whose_driver_shows_no_card_says_what_to_do";
    let Some(output) = bench(test, &[], "0") else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("there is no card 0, the driver shows 0: check CUDA_VISIBLE_DEVICES"),
        "{said}"
    );
}

/// A challenge that was answered rightly.
fn case() -> Case {
    let world = World::new(
        AccountId([1; 32]),
        1,
        &[(AccountId([50; 32]), String::new())],
    );
    let (mut challenge, device) = (world.challenge, world.device);
    let terms = Terms::new(&challenge, &device, &catalogue()).unwrap();
    challenge.nonces_used = vec![(AccountId([50; 32]), Hash([3; 32]))];
    let seed = terms.seed(&challenge.nonces_used, 0).unwrap();
    let run = ScalarEngine::default().run(&terms.params, &seed).unwrap();
    challenge.answers = vec![ProcessorAnswer {
        root_a: Hash(run.root_a),
        root_b: Hash(run.root_b),
    }];
    Case {
        challenge,
        device,
        catalogue: catalogue(),
    }
}

/// What `replay` says of a case and with which exit code.
fn replay(case: &Case) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "case.json", case);
    let output = program(&["replay", path.to_str().unwrap(), "--backend", "cpu"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("(backend cpu: as asked)"), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

#[test]
fn replay_says_which_phase_differs_first() {
    let right = case();
    let (code, text) = replay(&right);
    assert_eq!(
        (code, text.as_str()),
        (Some(0), "processor 0: right, both phases\n")
    );

    let mut wrong = right.clone();
    wrong.challenge.answers[0].root_b.0[0] ^= 1;
    let (code, text) = replay(&wrong);
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with("processor 0: WRONG, phase B differs first"),
        "{text}"
    );
    assert!(text.ends_with("; phase A is right\n"), "{text}");

    wrong.challenge.answers[0].root_a.0[0] ^= 1;
    let (code, text) = replay(&wrong);
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with("processor 0: WRONG, phase A differs first"),
        "{text}"
    );
}
