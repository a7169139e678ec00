//! A shorter run with the same failure: fewer faults, fewer people, fewer kinds of actions, fewer transactions.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::ValueEnum as _;

use crate::Failure;
use crate::run::{FaultKind, Setup, run};
use crate::work::Sent;

/// A failing run made shorter.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The run that is left.
    pub setup: Setup,
    /// How many transactions there were, and how many are left.
    pub transactions: (usize, usize),
    /// Its failure.
    pub failure: Failure,
    /// Runs that it took.
    pub runs: u32,
    /// Whether nothing more could be left out one by one; false if time was up before.
    pub is_smallest: bool,
}

/// The text of a failure without its numbers: two failures of one kind have the same.
fn kind(what: &str) -> String {
    what.chars()
        .filter(|letter| !letter.is_ascii_digit())
        .take(48)
        .collect()
}

struct Search<'f> {
    failure: &'f Failure,
    best: Shrunk,
    sent: Vec<Sent>,
    until: Instant,
}

/// Leaves out what the failure does not need, for at most `limit`: it always gives the best it has found.
pub fn shrink(setup: &Setup, failure: &Failure, sent: &[Sent], limit: Duration) -> Shrunk {
    let mut best = setup.clone();
    best.blocks = failure.height;
    best.only = Some(sent.iter().map(|sent| sent.at).collect());
    let mut search = Search {
        failure,
        best: Shrunk {
            setup: best,
            transactions: (sent.len(), sent.len()),
            failure: failure.clone(),
            runs: 0,
            is_smallest: false,
        },
        sent: sent.to_vec(),
        until: Instant::now() + limit,
    };
    search.best.is_smallest = search.all().is_some();
    search.best
}

impl Search<'_> {
    /// None as soon as time is up.
    fn all(&mut self) -> Option<()> {
        self.faults()?;
        // What goes wrong outside of the chain often needs no transaction at all.
        self.attempt_only(BTreeSet::new())?;
        self.groups(|sent| format!("{}", sent.signer))?;
        self.groups(|sent| sent.what.to_owned())?;
        self.groups(|sent| format!("{}", sent.at.0 / 8))?;
        self.one_by_one()?;
        self.faults()
    }

    /// Runs an attempt; if it fails in the same way it is the best from now on.
    fn attempt(&mut self, setup: Setup) -> Option<bool> {
        if Instant::now() > self.until {
            return None;
        }
        self.best.runs += 1;
        let report = run(&setup);
        let Some(found) = report.failure else {
            return Some(false);
        };
        if kind(&found.what) != kind(&self.failure.what) {
            return Some(false);
        }
        // What was never sent in this run need not be named.
        let sent: BTreeSet<(u64, u32)> = report.sent.iter().map(|sent| sent.at).collect();
        self.best.transactions.1 = sent.len();
        self.best.setup = Setup {
            blocks: found.height,
            only: Some(sent),
            ..setup
        };
        self.sent = report.sent;
        self.best.failure = found;
        Some(true)
    }

    fn faults(&mut self) -> Option<()> {
        for fault in FaultKind::value_variants() {
            let mut setup = self.best.setup.clone();
            if setup.without.insert(*fault) {
                self.attempt(setup)?;
            }
        }
        Some(())
    }

    /// Leaves out all transactions that have something in common, group by group.
    fn groups(&mut self, name: impl Fn(&Sent) -> String) -> Option<()> {
        let names: BTreeSet<String> = self.sent.iter().map(&name).collect();
        for out in names {
            let left = self.sent.iter().filter(|sent| name(sent) != out);
            let only: BTreeSet<(u64, u32)> = left.map(|sent| sent.at).collect();
            if only.len() < self.sent.len() {
                self.attempt_only(only)?;
            }
        }
        Some(())
    }

    /// Halves, quarters, down to single ones.
    fn one_by_one(&mut self) -> Option<()> {
        let mut size = self.sent.len().div_ceil(2).max(1);
        loop {
            let (mut place, mut dropped) = (0, false);
            while place < self.sent.len() {
                let all = self.sent.iter().enumerate();
                let only = all
                    .filter(|(at, _sent)| *at < place || *at >= place + size)
                    .map(|(_at, sent)| sent.at)
                    .collect();
                if self.attempt_only(only)? {
                    dropped = true;
                } else {
                    place += size;
                }
            }
            if size == 1 && !dropped {
                return Some(());
            }
            size = size.div_ceil(2).max(1);
        }
    }

    fn attempt_only(&mut self, only: BTreeSet<(u64, u32)>) -> Option<bool> {
        self.attempt(Setup {
            only: Some(only),
            ..self.best.setup.clone()
        })
    }
}

/// What to type to see a run's failure again.
pub fn replay(setup: &Setup, blocks: u64) -> String {
    let mut words = vec![format!(
        "./dev sim --seed {} --ledger {} --blocks {blocks}",
        setup.seed, setup.outside.name
    )];
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    };
    if !setup.without.is_empty() {
        let names: Vec<String> = setup
            .without
            .iter()
            .map(|fault| name(fault.to_possible_value()))
            .collect();
        words.push(format!("--without {}", names.join(",")));
    }
    if let Some(plant) = setup.plant {
        words.push(format!("--plant {}", name(plant.to_possible_value())));
    }
    if let Some(only) = &setup.only {
        words.push(format!("--only {}", to_text(only)));
    }
    words.join(" ")
}

/// The transactions of a shortened run as the command line takes them: `height:place,…`, or `none`.
pub fn to_text(only: &BTreeSet<(u64, u32)>) -> String {
    if only.is_empty() {
        return "none".to_owned();
    }
    let each = only
        .iter()
        .map(|(height, place)| format!("{height}:{place}"));
    each.collect::<Vec<_>>().join(",")
}

/// Reads [`to_text`].
pub fn from_text(text: &str) -> Result<BTreeSet<(u64, u32)>, String> {
    let mut only = BTreeSet::new();
    if text == "none" {
        return Ok(only);
    }
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
