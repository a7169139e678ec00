//! Every input that was ever worth keeping, and a bounded number of mutations of them, through every target.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use io_fuzz::TARGETS;
use io_fuzz::mutation::mutate;
use io_sim::rng::Rng;

/// How long mutations of one target are tried.
const MUTATE_FOR: Duration = Duration::from_secs(3);
/// What a corpus may weigh.
const FILES_MAX: usize = 150;
const BYTES_MAX: usize = 200_000;

/// Panics so far, those too that the node catches at its boundary.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn survives(target: &str, what: &str, run: fn(&[u8]), input: &[u8]) {
    let before = PANICS.load(Ordering::Relaxed);
    let done = std::panic::catch_unwind(|| run(input));
    if done.is_err() || PANICS.load(Ordering::Relaxed) != before {
        let hex = hex::encode(input);
        panic!(
            "target {target}, {what}: the claim printed above does not hold for the bytes\n{hex}"
        );
    }
}

#[test]
fn every_target_survives_its_corpus_and_its_neighbours() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        print(info);
    }));
    for (place, (target, run)) in (0_u64..).zip(TARGETS) {
        let files = corpus(target);
        let bytes: usize = files.iter().map(|(_path, bytes)| bytes.len()).sum();
        assert!(!files.is_empty(), "{target} has no corpus");
        assert!(
            files.len() <= FILES_MAX && bytes <= BYTES_MAX,
            "{target}: {} files of {bytes} bytes; run `./dev fuzz {target} 0`, which minimises",
            files.len()
        );
        for (path, input) in &files {
            survives(target, &path.display().to_string(), *run, input);
        }
        let mut rng = Rng::new(&[place, 97]);
        let (start, mut count) = (Instant::now(), 0_u64);
        while start.elapsed() < MUTATE_FOR {
            let (_path, input) = rng.pick(&files);
            let (_path, other) = rng.pick(&files);
            let input = mutate(input, other, &mut rng);
            survives(target, &format!("mutation {count}"), *run, &input);
            count += 1;
        }
        println!("{target}: {} files, {count} mutations", files.len());
    }
}
