//! Many seeds, each in a process of its own, so that none can take the others or the summary with it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::{Arguments, say};

/// Seeds between two lines of progress.
const PROGRESS: u64 = 100;

/// What is known of all seeds so far.
#[derive(Debug, Default)]
struct Sum {
    ran: u64,
    failed: Vec<u64>,
    blocks: u64,
    entered: u64,
    seen: BTreeMap<String, u64>,
}

struct Pool<'a> {
    arguments: &'a Arguments,
    to: u64,
    begun: Instant,
    next: Mutex<u64>,
    sum: Mutex<Sum>,
}

/// Runs the seeds from..to and prints a summary, whatever becomes of them. Whether all were run and clean.
pub(crate) fn seeds((from, to): (u64, u64), arguments: &Arguments) -> bool {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = Pool {
        arguments,
        to,
        begun: Instant::now(),
        next: Mutex::new(from),
        sum: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.unwrap_or(processors).max(1) {
            scope.spawn(|| {
                while let Some(seed) = pool.take() {
                    pool.run(seed);
                }
            });
        }
    });
    let sum = pool
        .sum
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for (name, count) in &sum.seen {
        say(&format!("  {name}: {count}"));
    }
    if !sum.failed.is_empty() {
        say(&format!("failed seeds: {:?}", sum.failed));
        say("  replay one: ./dev sim --seed N");
    }
    if sum.ran < to - from {
        say(&format!(
            "time was up: {} of {} seeds were run; go on with --seeds {}..{to}",
            sum.ran,
            to - from,
            from + sum.ran
        ));
    }
    say(&format!(
        "{} seeds, {} failed, {} blocks, {} transactions in blocks, {} kinds of things, {} s",
        sum.ran,
        sum.failed.len(),
        sum.blocks,
        sum.entered,
        sum.seen.len(),
        pool.begun.elapsed().as_secs()
    ));
    sum.failed.is_empty() && sum.ran == to - from
}

impl Pool<'_> {
    /// The next seed; none if all are taken or time is up.
    fn take(&self) -> Option<u64> {
        let limit = Duration::from_secs(self.arguments.minutes.saturating_mul(60));
        let mut next = self
            .next
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let seed = *next;
        if seed >= self.to || self.begun.elapsed() > limit {
            return None;
        }
        *next += 1;
        Some(seed)
    }

    fn command(&self, seed: u64) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        let seconds = self.arguments.shrink_seconds.to_string();
        command
            .args(["--seed", &seed.to_string(), "--shrink-seconds", &seconds])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(blocks) = self.arguments.blocks {
            command.args(["--blocks", &blocks.to_string()]);
        }
        for (name, values) in [
            ("--without", names(&self.arguments.without)),
            ("--plant", names(self.arguments.plant.as_slice())),
            ("--ledger", names(self.arguments.ledger.as_slice())),
        ] {
            for value in values {
                command.args([name, &value]);
            }
        }
        Ok(command)
    }

    fn run(&self, seed: u64) {
        let output = self.command(seed).and_then(|mut command| command.output());
        let mut sum = self
            .sum
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        sum.ran += 1;
        let is_clean = match output {
            Ok(output) => {
                let told = String::from_utf8_lossy(&output.stdout);
                let has_ended = sum.add(&told);
                if !has_ended {
                    let words = String::from_utf8_lossy(&output.stderr);
                    let words = words.trim();
                    say(&format!(
                        "FAILED seed {seed}: its process died, {}: {words}",
                        output.status
                    ));
                    let kind = self
                        .arguments
                        .ledger
                        .unwrap_or_else(|| crate::Kind::of(seed));
                    let name = kind.outside().name;
                    say(&format!(
                        "  replay: ./dev sim --seed {seed} --ledger {name}"
                    ));
                }
                has_ended && output.status.success()
            }
            Err(error) => {
                say(&format!(
                    "FAILED seed {seed}: its process cannot be run: {error}"
                ));
                false
            }
        };
        if !is_clean {
            sum.failed.push(seed);
        }
        if sum.ran.is_multiple_of(PROGRESS) {
            say(&format!(
                "… {} seeds, {} failed, {} s",
                sum.ran,
                sum.failed.len(),
                self.begun.elapsed().as_secs()
            ));
        }
    }
}

fn names<V: clap::ValueEnum>(values: &[V]) -> Vec<String> {
    let named = values.iter().filter_map(clap::ValueEnum::to_possible_value);
    named.map(|value| value.get_name().to_owned()).collect()
}

impl Sum {
    /// Adds what a seed's process has told. Whether it told all to the last line.
    fn add(&mut self, told: &str) -> bool {
        let mut has_ended = false;
        for line in told.lines() {
            let count = line
                .strip_prefix("  ")
                .and_then(|line| line.rsplit_once(": "))
                .and_then(|(name, count)| Some((name, count.parse::<u64>().ok()?)));
            if let Some((name, count)) = count {
                *self.seen.entry(name.to_owned()).or_default() += count;
            } else if let Some(rest) = line.strip_prefix("1 seeds, ") {
                let numbers: Vec<u64> = rest
                    .split([' ', ','])
                    .filter_map(|word| word.parse().ok())
                    .collect();
                if let [_failed, blocks, entered] = numbers[..] {
                    self.blocks += blocks;
                    self.entered += entered;
                    has_ended = true;
                }
            } else {
                say(line);
            }
        }
        has_ended
    }
}
