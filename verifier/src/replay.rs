//! Replays a decided or running challenge and compares the roots with those on chain: phase A on any machine, phase B where
//! the whole fill has room.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use io_challenge::{Digest, Engine, EngineError, Params, Seed};
use io_client::Client;
use io_gpu::GpuError;
use io_types::catalogue::Catalogue;
use io_types::row::{Challenge, Device};
use io_types::{ChallengeId, Hash};
use serde::{Deserialize, Serialize};

use crate::backend::Chosen;
use crate::bench::cpu::memory;
use crate::terms::Terms;

/// All that a replay needs, as a file or from a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The challenge row, with the answer.
    pub challenge: Challenge,
    /// The device row.
    pub device: Device,
    /// The catalogue in force.
    pub catalogue: Catalogue,
}

/// What became of one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The replay ends in the root on chain.
    Right,
    /// It ends in another.
    Wrong {
        /// The root on chain.
        committed: Hash,
        /// The root of the replay.
        computed: Hash,
    },
    /// It was not replayed.
    Skipped {
        /// Why.
        why: String,
    },
}

/// What a replay found of one processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Which.
    pub processor: u16,
    /// Phase A.
    pub phase_a: Phase,
    /// Phase B.
    pub phase_b: Phase,
    /// Whether nothing that was replayed differs.
    pub right: bool,
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "processor {}: ", self.processor)?;
        match (&self.phase_a, &self.phase_b) {
            (Phase::Right, Phase::Right) => write!(f, "right, both phases"),
            (Phase::Right, Phase::Skipped { why }) => {
                write!(f, "phase A is right; phase B was not replayed: {why}")
            }
            (
                Phase::Right,
                Phase::Wrong {
                    committed,
                    computed,
                },
            ) => write!(
                f,
                "WRONG, phase B differs first: root b {committed} committed, {computed} computed; phase A is right"
            ),
            (
                Phase::Wrong {
                    committed,
                    computed,
                },
                _,
            ) => write!(
                f,
                "WRONG, phase A differs first: root a {committed} committed, {computed} computed"
            ),
            (Phase::Skipped { why }, _) => write!(f, "not replayed: {why}"),
        }
    }
}

/// Reads a case: a number is a challenge of the node's chain, all else is a JSON file.
///
/// # Errors
/// A node that does not have it, or a file that is no case.
pub async fn read(what: &str, client: &Client) -> anyhow::Result<Case> {
    if let Ok(id) = what.parse::<ChallengeId>() {
        let challenge = client.challenge(id).await?;
        let device = client.device(challenge.device).await?.device;
        let catalogue = client.catalogue().await?;
        return Ok(Case {
            challenge,
            device,
            catalogue,
        });
    }
    let path = Path::new(what);
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("{what} is neither a challenge's number nor a file that can be read")
    })?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{what} is no case: {{\"challenge\", \"device\", \"catalogue\"}} as the API gives them"
        )
    })
}

/// Replays every processor. A bar on the terminal shows steps and segments.
///
/// # Errors
/// A challenge without an answer, and those of the engine, except that memory for phase B is missing.
pub fn replay(case: &Case, chosen: &mut Chosen) -> anyhow::Result<Vec<Replayed>> {
    let Case {
        challenge,
        device,
        catalogue,
    } = case;
    if challenge.answers.is_empty() {
        bail!("challenge {} has no answer to replay", challenge.id);
    }
    let terms = Terms::new(challenge, device, catalogue)?;
    let room = room(&terms.params, chosen.on_host, memory("MemAvailable:"))?;
    let engine = chosen.engines.first_mut().context("there is no engine")?;
    let mut found = Vec::new();
    for (processor, answer) in (0_u16..).zip(&challenge.answers) {
        let seed = terms.seed(&challenge.nonces_used, processor)?;
        let one = replay_one(&terms.params, &seed, processor, engine.as_mut(), &room)?;
        engine.release();
        let phase_a = compared(answer.root_a, Hash(one.0));
        let phase_b = match one.1 {
            _ if phase_a != Phase::Right => Phase::Skipped {
                why: "its walkers start from the root of phase A".to_owned(),
            },
            Ok(root_b) => compared(answer.root_b, Hash(root_b)),
            Err(why) => Phase::Skipped { why },
        };
        let wrong = |phase: &Phase| matches!(phase, Phase::Wrong { .. });
        found.push(Replayed {
            processor,
            right: !wrong(&phase_a) && !wrong(&phase_b),
            phase_a,
            phase_b,
        });
    }
    Ok(found)
}

/// Whether the whole run has room. An engine on a card asks the card itself; the system would only give memory that it does
/// not have.
fn room(
    params: &Params,
    on_host: bool,
    available: Option<u64>,
) -> anyhow::Result<Result<(), String>> {
    let shape = params.shape()?;
    let tables = shape
        .table_bytes()
        .saturating_mul(u64::from(shape.segments()));
    let fill = shape.matrix_bytes().saturating_mul(u64::from(params.kept));
    let needed = fill.saturating_add(tables);
    Ok(match available.filter(|_free| on_host) {
        Some(free) if free < needed => Err(format!(
            "it needs {} MiB of memory, {} MiB are available: replay on a larger machine, or on a card at least as large",
            needed >> 20_u32,
            free >> 20_u32
        )),
        Some(_) | None => Ok(()),
    })
}

/// The root of phase A, and that of phase B or why there is none.
fn replay_one(
    params: &Params,
    seed: &Seed,
    processor: u16,
    engine: &mut dyn Engine,
    room: &Result<(), String>,
) -> anyhow::Result<(Digest, Result<Digest, String>)> {
    let bar = bar(&format!("processor {processor}, phase A"), params.steps);
    let filled = match room {
        Err(why) => Err(why.clone()),
        Ok(()) => match engine.fill_watched(params, seed, &mut |_step, _digest| bar.inc(1)) {
            Ok(fill) => Ok(fill.root_a),
            Err(error) if is_memory(&error) => Err(error.to_string()),
            Err(error) => return Err(error.into()),
        },
    };
    let root_a = match filled {
        Ok(root_a) => root_a,
        Err(why) => {
            let mut digests = Vec::new();
            engine.replay(params, seed, &mut |_step, digest| {
                digests.push(*digest);
                bar.inc(1);
                true
            })?;
            bar.finish_and_clear();
            return Ok((io_challenge::root_a(&digests), Err(why)));
        }
    };
    bar.finish_and_clear();
    let segments = params.shape()?.segments();
    let bar = self::bar(&format!("processor {processor}, phase B"), segments);
    let walked = engine.walk_watched(&mut |_segment, _digest| bar.inc(1));
    bar.finish_and_clear();
    match walked {
        Ok(walk) => Ok((root_a, Ok(walk.root_b))),
        Err(error) if is_memory(&error) => Ok((root_a, Err(error.to_string()))),
        Err(error) => Err(error.into()),
    }
}

/// Whether an engine only lacks memory.
fn is_memory(error: &EngineError) -> bool {
    match error {
        EngineError::Memory(_) => true,
        EngineError::Device(inner) => matches!(
            inner.downcast_ref(),
            Some(GpuError::Memory { .. } | GpuError::Busy { .. })
        ),
        EngineError::Params(_)
        | EngineError::Draw(_)
        | EngineError::NotFilled
        | EngineError::NotWalked
        | EngineError::Hardware { .. } => false,
    }
}

fn compared(committed: Hash, computed: Hash) -> Phase {
    if committed == computed {
        Phase::Right
    } else {
        Phase::Wrong {
            committed,
            computed,
        }
    }
}

/// Hidden by itself when standard error is no terminal.
fn bar(what: &str, length: u32) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(length));
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len}, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_larger_than_the_machine_is_not_begun() {
        let params = Params::TEST;
        // Six matrices of 65536 bytes and four tables of 64 states.
        let needed = 6 * 65_536 + 4 * 64 * 32;
        assert_eq!(room(&params, true, Some(needed)).unwrap(), Ok(()));
        let why = room(&params, true, Some(needed - 1)).unwrap().unwrap_err();
        assert!(why.contains("larger machine"), "{why}");
        assert_eq!(
            room(&params, false, Some(0)).unwrap(),
            Ok(()),
            "a card asks itself"
        );
        assert_eq!(room(&params, true, None).unwrap(), Ok(()));
    }

    #[test]
    fn without_room_for_phase_b_phase_a_is_replayed_all_the_same() {
        let (params, seed) = (Params::TEST, Seed::from_bytes([1; 32]));
        let mut engine = io_challenge::ScalarEngine::default();
        let run = engine.run(&params, &seed).unwrap();
        let full = replay_one(&params, &seed, 0, &mut engine, &Ok(())).unwrap();
        assert_eq!(full, (run.root_a, Ok(run.root_b)));
        let why = "no room".to_owned();
        let part = replay_one(&params, &seed, 0, &mut engine, &Err(why.clone())).unwrap();
        assert_eq!(part, (run.root_a, Err(why)));
    }

    #[test]
    fn only_missing_memory_leaves_phase_b_out() {
        let (needed, free) = (2, 1);
        assert!(is_memory(&EngineError::Memory(1)));
        assert!(is_memory(&GpuError::Memory { needed, free }.into()));
        assert!(!is_memory(&GpuError::NoDriver.into()));
        assert!(!is_memory(&EngineError::NotFilled));
    }
}
