//! Fewer transactions with the same failure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::run::{Setup, run};

/// A failing run made shorter.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The transactions that are left.
    pub only: BTreeSet<(u64, u32)>,
    /// How many there were.
    pub before: usize,
    /// Its failure.
    pub failure: Failure,
}

/// The text of a failure without its numbers: two failures of one kind have the same.
fn kind(what: &str) -> String {
    what.chars()
        .filter(|letter| !letter.is_ascii_digit())
        .take(60)
        .collect()
}

/// Drops transactions while the run still fails in the same way, for at most `limit`.
pub fn shrink(setup: &Setup, failure: &Failure, sent: &[(u64, u32)], limit: Duration) -> Shrunk {
    let begun = Instant::now();
    let mut best = Shrunk {
        only: sent.iter().copied().collect(),
        before: sent.len(),
        failure: failure.clone(),
    };
    let mut size = sent.len().div_ceil(2).max(1);
    loop {
        let mut place = 0;
        let mut dropped = false;
        while place < best.only.len() {
            if begun.elapsed() > limit {
                return best;
            }
            let left: BTreeSet<(u64, u32)> = best
                .only
                .iter()
                .enumerate()
                .filter(|(at, _)| *at < place || *at >= place + size)
                .map(|(_at, key)| *key)
                .collect();
            let attempt = Setup {
                blocks: best.failure.height,
                only: Some(left.clone()),
                ..setup.clone()
            };
            match run(&attempt).failure {
                Some(found) if kind(&found.what) == kind(&failure.what) => {
                    best.only = left;
                    best.failure = found;
                    dropped = true;
                }
                _other => place += size,
            }
        }
        if size == 1 && !dropped {
            return best;
        }
        size = size.div_ceil(2).max(1);
    }
}

/// The transactions of a shortened run as the command line takes them: `height:place,…`.
pub fn to_text(only: &BTreeSet<(u64, u32)>) -> String {
    let each = only
        .iter()
        .map(|(height, place)| format!("{height}:{place}"));
    each.collect::<Vec<_>>().join(",")
}

/// Reads [`to_text`].
pub fn from_text(text: &str) -> Result<BTreeSet<(u64, u32)>, String> {
    let mut only = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let pair = part
            .split_once(':')
            .and_then(|(height, place)| Some((height.parse().ok()?, place.parse().ok()?)));
        only.insert(
            pair.ok_or_else(|| format!("{part:?} is no transaction: write height:place, as 12:3"))?,
        );
    }
    Ok(only)
}
