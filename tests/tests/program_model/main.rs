//! The Solana program against a model: sequences of instructions made from bytes, on the real program and the real SPL Token.
//!
//! The runtime is not built with coverage, so new behaviour is told by what an instruction did: its kind, its code, its compute units, and the
//! one before it. Inputs that did something new are changed further. ADR 0097 says why; `./dev fuzz program SECONDS` runs it longer.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use io_fuzz::mutation::mutate;
use io_sim::rng::Rng;
use io_tests::program::{calls, tokens, world};

mod model;
mod script;

/// How long inputs are made without being told otherwise.
const SECONDS: u64 = 4;
/// In which variable a longer time may be given, and whether inputs that did something new are kept in the corpus.
const SECONDS_VARIABLE: &str = "IO_FUZZ_SECONDS";
/// What a corpus may weigh.
const FILES_MAX: usize = 150;
const BYTES_MAX: usize = 200_000;
/// Longer inputs only repeat themselves.
const INPUT_MAX: usize = 600;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/program")
}

fn corpus() -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the corpus of the program is there")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let inputs: Vec<Vec<u8>> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    let bytes: usize = inputs.iter().map(Vec::len).sum();
    assert!(!inputs.is_empty() && inputs.len() <= FILES_MAX && bytes <= BYTES_MAX);
    inputs
}

/// Runs an input; the marks of what it did.
fn survives(input: &[u8]) -> BTreeSet<u64> {
    std::panic::catch_unwind(|| script::run(input)).unwrap_or_else(|_panic| {
        let hex = hex::encode(input);
        panic!("program and model differ, as printed above, for the bytes\n{hex}");
    })
}

#[test]
fn the_program_does_what_the_model_says() {
    let longer = std::env::var(SECONDS_VARIABLE).ok();
    let seconds = longer
        .as_ref()
        .map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let mut inputs = corpus();
    let mut seen = BTreeSet::new();
    for input in &inputs {
        seen.extend(survives(input));
    }
    let from = inputs.len();
    let seed = if longer.is_some() {
        std::process::id().into()
    } else {
        97
    };
    let (mut rng, start, mut runs) = (Rng::new(&[seed]), Instant::now(), 0_u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        let (one, other) = (rng.pick(&inputs).clone(), rng.pick(&inputs).clone());
        let mut input = mutate(&one, &other, &mut rng);
        input.truncate(INPUT_MAX);
        let marks = survives(&input);
        runs += 1;
        if !marks.is_subset(&seen) {
            seen.extend(marks);
            inputs.push(input);
        }
    }
    println!(
        "program: {from} files, {runs} more inputs, {} marks, {} new inputs",
        seen.len(),
        inputs.len() - from
    );
    if longer.is_some() {
        keep(inputs);
    }
}

/// The fewest inputs that together do all that was seen, the short ones first.
fn keep(mut inputs: Vec<Vec<u8>>) {
    inputs.sort_by_key(Vec::len);
    let mut seen = BTreeSet::new();
    for old in std::fs::read_dir(folder()).unwrap() {
        std::fs::remove_file(old.unwrap().path()).unwrap();
    }
    let mut kept = 0;
    for input in inputs {
        let marks = survives(&input);
        if kept < FILES_MAX && !marks.is_subset(&seen) {
            seen.extend(marks);
            kept += 1;
            let name = hex::encode(&io_types::codec::sha256(&input).0[..8]);
            std::fs::write(folder().join(name), input).unwrap();
        }
    }
}
