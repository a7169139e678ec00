//! Numbers for people, in Prometheus' text form. They never flow back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use io_state_machine::BlockOutcome;

use crate::journal::BlockRecord;

/// Upper bounds of the buckets of durations, microseconds.
const BUCKETS_US: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000,
];

#[derive(Debug, Default)]
struct Durations {
    buckets: Vec<u64>,
    count: u64,
    sum_us: u64,
}

impl Durations {
    fn note(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.buckets.resize(BUCKETS_US.len(), 0);
        for (count, bound) in self.buckets.iter_mut().zip(BUCKETS_US) {
            if micros <= *bound {
                *count = count.saturating_add(1);
            }
        }
        self.count = self.count.saturating_add(1);
        self.sum_us = self.sum_us.saturating_add(micros);
    }

    fn write(&self, text: &mut String, name: &str, help: &str) {
        head(text, name, "histogram", help);
        for (count, bound) in self.buckets.iter().zip(BUCKETS_US) {
            line(
                text,
                &format!("{name}_bucket{{le=\"{}\"}}", seconds(*bound)),
                count,
            );
        }
        line(text, &format!("{name}_bucket{{le=\"+Inf\"}}"), self.count);
        line(text, &format!("{name}_sum"), seconds(self.sum_us));
        line(text, &format!("{name}_count"), self.count);
    }
}

#[derive(Debug, Default)]
struct Numbers {
    execute: Durations,
    commit: Durations,
    height: u64,
    block_time_ms: u64,
    transactions: BTreeMap<u32, u64>,
    refused: BTreeMap<u32, u64>,
    events: u64,
    extensions: u64,
    extensions_empty: u64,
    batch_frozen: u64,
}

/// Counters and durations since the process began.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Numbers>);

/// What is read from elsewhere at the moment of asking: name, meaning, value.
pub type Gauge = (&'static str, &'static str, u64);

/// One number for each value of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Its name.
    pub name: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// Its meaning.
    pub help: &'static str,
    /// The label.
    pub label: &'static str,
    /// Value of the label, number.
    pub values: Vec<(String, u64)>,
}

impl Metrics {
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        // Numbers that a panicking thread left half counted are still numbers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn executed(&self, duration: Duration, outcome: &BlockOutcome) {
        let mut numbers = self.lock();
        numbers.execute.note(duration);
        if let Some(frozen) = &outcome.frozen {
            numbers.batch_frozen = frozen.number.0;
        }
    }

    pub(crate) fn committed(&self, duration: Duration, record: &BlockRecord) {
        let mut numbers = self.lock();
        numbers.commit.note(duration);
        numbers.height = record.height.0;
        numbers.block_time_ms = record.time.0;
        for tx in record.transactions.iter().skip(1) {
            let count = numbers.transactions.entry(tx.code).or_default();
            *count = count.saturating_add(1);
        }
        let events = u64::try_from(record.numbered().count()).unwrap_or(0);
        numbers.events = numbers.events.saturating_add(events);
    }

    pub(crate) fn refused(&self, code: u32) {
        let mut numbers = self.lock();
        let count = numbers.refused.entry(code).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn extended(&self, extension: &[u8]) {
        let mut numbers = self.lock();
        numbers.extensions = numbers.extensions.saturating_add(1);
        if extension.is_empty() {
            numbers.extensions_empty = numbers.extensions_empty.saturating_add(1);
        }
    }

    /// Everything, with numbers from elsewhere.
    pub fn render(&self, gauges: &[Gauge], labelled: &[Labelled]) -> String {
        let mut text = String::new();
        let numbers = self.lock();
        let own = [
            (
                "io_node_height",
                "gauge",
                "Height of the last commit.",
                numbers.height,
            ),
            (
                "io_node_block_time_ms",
                "gauge",
                "Time of the last block, ms since 1970.",
                numbers.block_time_ms,
            ),
            (
                "io_node_events_total",
                "counter",
                "Events of all blocks.",
                numbers.events,
            ),
            (
                "io_node_extensions_total",
                "counter",
                "Vote extensions made.",
                numbers.extensions,
            ),
            (
                "io_node_extensions_empty_total",
                "counter",
                "Of them, empty ones.",
                numbers.extensions_empty,
            ),
            (
                "io_node_batch_frozen",
                "gauge",
                "Number of the last batch frozen since start.",
                numbers.batch_frozen,
            ),
        ];
        for (name, kind, help, value) in own {
            head(&mut text, name, kind, help);
            line(&mut text, name, value);
        }
        for (name, help, value) in gauges {
            head(&mut text, name, "gauge", help);
            line(&mut text, name, value);
        }
        for one in labelled {
            one.write(&mut text);
        }
        numbers.execute.write(
            &mut text,
            "io_node_execute_seconds",
            "FinalizeBlock, a reused proposal run included.",
        );
        numbers.commit.write(
            &mut text,
            "io_node_commit_seconds",
            "Commit: journal, database, publication.",
        );
        by_code(
            "io_node_transactions_total",
            "Transactions in blocks by result.",
            &numbers.transactions,
        )
        .write(&mut text);
        by_code(
            "io_node_refused_total",
            "Transactions refused by the mempool, by rule.",
            &numbers.refused,
        )
        .write(&mut text);
        text
    }
}

impl Labelled {
    fn write(&self, text: &mut String) {
        let Self {
            name,
            kind,
            help,
            label,
            values,
        } = self;
        head(text, name, kind, help);
        for (value, number) in values {
            // Names that people chose may hold anything.
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            let value = value.replace('\n', " ");
            line(text, &format!("{name}{{{label}=\"{value}\"}}"), number);
        }
    }
}

fn by_code(name: &'static str, help: &'static str, counts: &BTreeMap<u32, u64>) -> Labelled {
    let counts = counts
        .iter()
        .map(|(code, count)| (code.to_string(), *count));
    Labelled {
        name,
        kind: "counter",
        help,
        label: "code",
        values: counts.collect(),
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    push(
        text,
        format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
    );
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    push(text, format_args!("{name} {value}\n"));
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes every text");
}

/// Microseconds as seconds, without floats.
fn seconds(micros: u64) -> String {
    let whole = micros.checked_div(1_000_000).unwrap_or(0);
    let rest = micros.checked_rem(1_000_000).unwrap_or(0);
    format!("{whole}.{rest:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fill_the_buckets_above_them() {
        let metrics = Metrics::default();
        metrics.lock().execute.note(Duration::from_millis(3));
        metrics.lock().execute.note(Duration::from_secs(9));
        metrics.refused(103);
        let text = metrics.render(
            &[("io_node_x", "An x.", 7)],
            &[Labelled {
                name: "io_node_y",
                kind: "gauge",
                help: "A y.",
                label: "who",
                values: vec![("a \"b\"".to_owned(), 8)],
            }],
        );
        for expected in [
            "io_node_execute_seconds_bucket{le=\"0.002500\"} 0\n",
            "io_node_execute_seconds_bucket{le=\"0.005000\"} 1\n",
            "io_node_execute_seconds_bucket{le=\"+Inf\"} 2\n",
            "io_node_execute_seconds_sum 9.003000\n",
            "io_node_refused_total{code=\"103\"} 1\n",
            "# TYPE io_node_x gauge\nio_node_x 7\n",
            "io_node_y{who=\"a \\\"b\\\"\"} 8\n",
            "io_node_refused_total{code=\"103\"} 1\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }
}
