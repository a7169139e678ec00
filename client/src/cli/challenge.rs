//! `io challenge`: challenges and their verdicts.

use clap::Subcommand;
use io_client::ChallengeFilter;
use io_client::types::id::{AccountId, ChallengeId, DeviceId};
use io_client::types::row::{Challenge, ChallengeStage};

use super::context::Context;
use super::failure::Failure;
use super::output::{Table, facts};
use super::values::{PageArguments, instant, say_more, words};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List challenges.
    #[command(after_help = "Example:\n  $ io challenge list --device 7")]
    List {
        /// Only of this device
        #[arg(long)]
        device: Option<DeviceId>,
        /// Only judged by this verifier
        #[arg(long, value_name = "ACCOUNT")]
        verifier: Option<AccountId>,
        /// Only those still running: in this stage
        #[arg(long, value_parser = stage)]
        stage: Option<ChallengeStage>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Show one challenge: stage, verifiers, times, outcome.
    #[command(after_help = "Example:\n  $ io challenge show 3")]
    Show {
        /// Which challenge
        challenge: ChallengeId,
    },
}

fn stage(text: &str) -> Result<ChallengeStage, String> {
    let name = serde_json::Value::String(text.replace('-', "_"));
    serde_json::from_value(name).map_err(|error| error.to_string())
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let client = context.client()?;
    match &arguments.verb {
        Verb::List {
            device,
            verifier,
            stage,
            page,
        } => {
            let filter = ChallengeFilter {
                device: *device,
                verifier: *verifier,
                stage: *stage,
            };
            let page = client.challenges(&filter, &page.request()).await?;
            context.out.show(&page, |page| list_text(&page.items))?;
            say_more(context.out, page.next.as_ref());
            Ok(())
        }
        Verb::Show { challenge } => {
            let challenge = client.challenge(*challenge).await?;
            context.out.show(&challenge, challenge_text)
        }
    }
}

fn list_text(challenges: &[Challenge]) -> String {
    let mut table = Table::new(&["challenge", "device", "why", "stage", "deadline", "outcome"]);
    for challenge in challenges {
        table.row(vec![
            challenge.id.to_string(),
            challenge.device.to_string(),
            words(&challenge.trigger),
            words(&challenge.stage),
            challenge.deadline.to_string(),
            words(&challenge.outcome),
        ]);
    }
    table.text_or("there is no such challenge")
}

fn challenge_text(challenge: &Challenge) -> String {
    let times = challenge.times_ms.map_or_else(
        || "-".to_owned(),
        |(first, second)| format!("{first} ms and {second} ms"),
    );
    let mut text = facts(&[
        ("challenge", challenge.id.to_string()),
        ("device", challenge.device.to_string()),
        ("why", words(&challenge.trigger)),
        ("triggered at height", challenge.triggered.to_string()),
        (
            "stage",
            format!(
                "{}, until height {}",
                words(&challenge.stage),
                challenge.deadline
            ),
        ),
        ("outcome", words(&challenge.outcome)),
        (
            "decided",
            challenge
                .decided_at
                .map_or_else(|| "-".to_owned(), |time| instant(time.0)),
        ),
        ("phases A and B", times),
        ("redraws", challenge.redraws.to_string()),
    ]);
    let mut table = Table::new(&["verifier", "nonce", "verdict", "A ms", "B ms"]);
    for verifier in &challenge.verifiers {
        let state = |committed: bool, revealed: bool| match (committed, revealed) {
            (_, true) => "revealed",
            (true, false) => "committed",
            (false, false) => "-",
        };
        let body = verifier.verdict.as_ref();
        let verdict = body.map_or_else(
            || state(verifier.verdict_commitment.is_some(), false).to_owned(),
            |body| words(&body.verdict),
        );
        table.row(vec![
            verifier.account.to_string(),
            state(
                verifier.nonce_commitment.is_some(),
                verifier.nonces.is_some(),
            )
            .to_owned(),
            verdict,
            body.map_or_else(|| "-".to_owned(), |body| body.phase_a_ms.to_string()),
            body.map_or_else(|| "-".to_owned(), |body| body.phase_b_ms.to_string()),
        ]);
    }
    text.push_str(&table.text_or("no verifier is drawn yet"));
    text
}
