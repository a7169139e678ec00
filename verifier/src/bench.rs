//! Measures this machine on the challenge's own work: the CPU always, the cards where there are any.

pub mod calibration;
pub mod card;
pub mod classes;
pub mod cpu;
mod table;

use std::path::PathBuf;

use anyhow::Context as _;
use io_gpu::{Measured, Selection};
use io_types::catalogue::Catalogue;
use io_types::params::VerificationParams;
use serde::Serialize;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::backend::Backend;
use calibration::Entry;
use card::Card;
use classes::Grant;

/// What a machine without a card cannot say.
const OF_CARDS: [&str; 4] = [
    "int8 rate against cuBLASLt",
    "random read against copy bandwidth",
    "digest share",
    "full pulse",
];

/// What to measure, and how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Matrix size N on the CPU, a power of two from 256.
    #[arg(long, default_value_t = 1024)]
    pub size: u32,
    /// Matrices kept on the CPU, from 3.
    #[arg(long, default_value_t = 4)]
    pub kept: u32,
    /// Rounds: the CPU's best time counts, and the median of a card.
    #[arg(long, default_value_t = 10)]
    pub rounds: u32,
    /// Matrix size N on cards; 32768, or 16384 where a card has 16 GB or less.
    #[arg(long)]
    pub card_size: Option<u32>,
    /// Seconds for which a card works before the first time is taken.
    #[arg(long, default_value_t = 30)]
    pub warm_up: u64,
    /// Whole pulses on each card.
    #[arg(long, default_value_t = 3)]
    pub pulses: u32,
    /// Bytes of which a pulse fills nine tenths; the card's memory.
    #[arg(long)]
    pub pulse_bytes: Option<u64>,
    /// Walkers of a pulse.
    #[arg(long, default_value_t = 1 << 18)]
    pub walkers: u32,
    /// Catalogue as the API gives it, JSON; without it the node is asked.
    #[arg(long)]
    pub catalogue: Option<PathBuf>,
    /// Prints the catalogue entry that each card's pulses give, instead of the report.
    #[arg(long)]
    pub calibrate: bool,
}

/// What was measured, and what it would earn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// When, by this machine's clock, UTC.
    pub date: String,
    /// What was chosen and why.
    pub backend: String,
    /// The CPU.
    pub cpu: cpu::Figures,
    /// Every card.
    pub cards: Vec<Card>,
    /// What was left out because there is no card.
    pub skipped: Option<Skipped>,
    /// Which class each processor would be granted.
    pub grants: Vec<Grant>,
    /// Why no class is named.
    pub classes_skipped: Option<String>,
    /// A catalogue entry for each card whose pulse was right.
    pub entries: Vec<Entry>,
    #[serde(skip)]
    measured: Vec<(Measured, Option<String>)>,
}

/// Figures that were not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Their names.
    pub figures: Vec<&'static str>,
    /// Why.
    pub why: String,
}

/// Now, as `2026-11-21T09:30:00.000000Z`.
fn now() -> String {
    let mut text = String::new();
    match SystemTime.format_time(&mut Writer::new(&mut text)) {
        Ok(()) => text,
        Err(_error) => "unknown".to_owned(),
    }
}

/// Measures the CPU, then each card that the backend allows. `say` hears what goes on.
///
/// # Errors
/// Sizes that no challenge has, a CPU without the memory, or `--backend cuda` without a usable card.
pub fn measure(backend: Backend, options: &Options, say: &dyn Fn(&str)) -> anyhow::Result<Report> {
    let (cards, why) = match io_gpu::select(backend.into())? {
        Selection::Cuda { engines, why } => (engines.len(), why),
        Selection::Cpu { why } => (0, why),
    };
    say(&why);
    say("measuring the CPU");
    let mut report = Report {
        date: now(),
        backend: why.clone(),
        cpu: cpu::measure(options)?,
        cards: Vec::new(),
        skipped: (cards == 0).then(|| Skipped {
            figures: OF_CARDS.to_vec(),
            why,
        }),
        grants: Vec::new(),
        classes_skipped: None,
        entries: Vec::new(),
        measured: Vec::new(),
    };
    for ordinal in 0..cards {
        say(&format!(
            "measuring card {ordinal}: {} s of warm-up, {} rounds, {} pulses",
            options.warm_up, options.rounds, options.pulses
        ));
        let card = match card::measure(options, ordinal) {
            Ok((measured, figures)) => {
                report.measured.push((measured, figures.driver.clone()));
                Card::Measured(Box::new(figures))
            }
            Err(error) => Card::Failed { ordinal, error },
        };
        report.cards.push(card);
    }
    Ok(report)
}

impl Report {
    /// Why there is no catalogue entry, for people.
    pub fn why_no_entry(&self) -> String {
        let of = |card: &Card| match card {
            Card::Failed { error, .. } => Some(error.clone()),
            Card::Measured(figures) => figures.pulse_failed.clone(),
        };
        let skipped = self.skipped.as_ref().map(|skipped| skipped.why.clone());
        let first = self.cards.iter().find_map(of).or(skipped);
        first.unwrap_or_else(|| "no pulse was asked for, or its openings are wrong".to_owned())
    }
}

/// Names the class of each processor, and makes the catalogue entries. Without a catalogue the report says why.
pub fn grade(report: &mut Report, rules: Result<(Catalogue, VerificationParams), String>) {
    let catalogue = rules.as_ref().ok().map(|(catalogue, _params)| catalogue);
    report.entries = report
        .measured
        .iter()
        .filter_map(|(measured, driver)| {
            calibration::entry(measured, driver.clone(), &report.date, catalogue)
        })
        .collect();
    match rules {
        Err(why) => report.classes_skipped = Some(why),
        Ok((catalogue, params)) => {
            let cards = report.cards.iter().filter_map(|card| match card {
                Card::Measured(figures) => figures.rates(),
                Card::Failed { .. } => None,
            });
            let all = std::iter::once(report.cpu.rates()).chain(cards);
            report.grants = all
                .map(|rates| classes::grant(&rates, &catalogue, &params))
                .collect();
        }
    }
}

/// The catalogue in a file, with the parameters that a new network has.
///
/// # Errors
/// A file that cannot be read or is no catalogue.
pub fn read_catalogue(path: &std::path::Path) -> anyhow::Result<(Catalogue, VerificationParams)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let catalogue = serde_json::from_str(&text).with_context(|| {
        format!("{shown} is no catalogue as the API gives it under /v1/catalogue")
    })?;
    Ok((catalogue, VerificationParams::default()))
}

#[cfg(test)]
mod tests;
