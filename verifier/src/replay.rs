//! Replays phase A of a decided or running challenge and compares the roots with those on chain.

use std::path::Path;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use io_challenge::Engine;
use io_client::Client;
use io_types::catalogue::Catalogue;
use io_types::row::{Challenge, Device};
use io_types::{ChallengeId, Hash};
use serde::{Deserialize, Serialize};

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

/// What a replay found of one processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Which.
    pub processor: u16,
    /// The root on chain.
    pub committed: Hash,
    /// The root of the replay.
    pub computed: Hash,
    /// Whether they are equal.
    pub right: bool,
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

/// Replays every processor. A bar on the terminal shows the steps.
///
/// # Errors
/// A challenge without an answer, and those of the engine.
pub fn replay(case: &Case, engine: &mut dyn Engine) -> anyhow::Result<Vec<Replayed>> {
    let Case {
        challenge,
        device,
        catalogue,
    } = case;
    if challenge.answers.is_empty() {
        bail!("challenge {} has no answer to replay", challenge.id);
    }
    let terms = Terms::new(challenge, device, catalogue)?;
    let mut found = Vec::new();
    for (processor, answer) in (0_u16..).zip(&challenge.answers) {
        let seed = terms.seed(&challenge.nonces_used, processor)?;
        let bar = bar(processor, terms.params.steps);
        let mut digests = Vec::new();
        engine.replay(&terms.params, &seed, &mut |_step, digest| {
            digests.push(*digest);
            bar.inc(1);
            true
        })?;
        bar.finish_and_clear();
        let computed = Hash(io_challenge::root_a(&digests));
        found.push(Replayed {
            processor,
            committed: answer.root_a,
            computed,
            right: computed == answer.root_a,
        });
    }
    Ok(found)
}

/// Hidden by itself when standard error is no terminal.
fn bar(processor: u16, steps: u32) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(steps));
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} steps, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(format!("processor {processor}"));
    bar
}
