//! `io settlement`: batches for Solana and payout proofs.

use std::path::PathBuf;

use clap::Subcommand;
use io_client::ClientError;
use io_client::money::show;
use io_client::types::asset::Asset;
use io_client::types::id::{AccountId, BatchNumber};
use io_client::types::row::Batch;

use super::context::Context;
use super::failure::Failure;
use super::output::{Table, facts, say};
use super::values::{PageArguments, say_more};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List batches, newest first.
    #[command(after_help = "Example:\n  $ io settlement list")]
    List(PageArguments),
    /// Show one batch: totals, signatures, whether it is settled.
    #[command(after_help = "Example:\n  $ io settlement show 42")]
    Show {
        /// Number of the batch
        number: BatchNumber,
    },
    /// Show the proof of an account's payout against a batch.
    #[command(after_help = "Example:\n  $ io settlement proof 42 io --json")]
    Proof {
        /// Number of the batch
        number: BatchNumber,
        /// io or usdc
        asset: Asset,
        /// Whose; else the wallet's
        account: Option<AccountId>,
    },
    /// Save the leaf set of a batch: with it `io claim --file` works though every node is gone.
    #[command(after_help = "Example:\n  $ io settlement file 42 --out batch-42.json")]
    File {
        /// Number of the batch
        number: BatchNumber,
        /// Where to; else stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let client = context.client()?;
    match &arguments.verb {
        Verb::List(page) => {
            let page = client.settlements(&page.request()).await?;
            context.out.show(&page, |page| list_text(&page.items))?;
            say_more(context.out, page.next.as_ref());
            Ok(())
        }
        Verb::Show { number } => {
            let batch = client.settlement(*number).await?;
            context.out.show(&batch, batch_text)
        }
        Verb::Proof {
            number,
            asset,
            account,
        } => {
            let account = context.account_or_own(*account)?;
            let proof = client.payout_proof(*number, *asset, account).await?;
            context.out.show(&proof, |proof| {
                let siblings: Vec<String> =
                    proof.siblings.iter().map(ToString::to_string).collect();
                facts(&[
                    ("batch", proof.number.to_string()),
                    ("account", proof.account.to_string()),
                    ("paid out in all", show(proof.cumulative, proof.asset)),
                    ("leaf", format!("{} of {}", proof.index, proof.leaves)),
                    ("siblings", siblings.join("\n          ")),
                    ("root", proof.root.to_string()),
                ])
            })
        }
        Verb::File { number, out } => {
            let file = client.payout_file(*number).await?;
            let Some(path) = out else {
                return context.out.show(&file, |file| {
                    serde_json::to_string(file).unwrap_or_default() + "\n"
                });
            };
            let invalid =
                |why: String| ClientError::invalid(format!("leaf set {}", path.display()), why);
            let text = serde_json::to_string(&file).map_err(|error| invalid(error.to_string()))?;
            std::fs::write(path, text).map_err(|error| invalid(error.to_string()))?;
            say(&format!("batch {number} written to {}", path.display()));
            Ok(())
        }
    }
}

fn state(batch: &Batch) -> &'static str {
    let has_quorum = u128::from(batch.signed_power).saturating_mul(3)
        > u128::from(batch.total_power).saturating_mul(2);
    match (batch.settled, has_quorum) {
        (true, _) => "settled",
        (false, true) => "signed",
        (false, false) => "collecting",
    }
}

fn list_text(batches: &[Batch]) -> String {
    let mut table = Table::new(&[
        "batch",
        "epoch",
        "height",
        "state",
        "signed",
        "io paid out",
        "usdc paid out",
    ]);
    for batch in batches {
        let [io, usdc, _credit] = batch.payout_totals;
        table.row(vec![
            batch.number.to_string(),
            batch.epoch.to_string(),
            batch.height.to_string(),
            state(batch).to_owned(),
            format!("{}/{}", batch.signed_power, batch.total_power),
            show(io, Asset::Io),
            show(usdc, Asset::Usdc),
        ]);
    }
    table.text_or("no batch is frozen yet")
}

fn batch_text(batch: &Batch) -> String {
    let [io, usdc, _credit] = batch.payout_totals;
    let signers: Vec<String> = batch
        .signatures
        .iter()
        .map(|(member, _)| member.to_string())
        .collect();
    facts(&[
        ("batch", batch.number.to_string()),
        ("hash", batch.hash.to_string()),
        ("state", state(batch).to_owned()),
        ("frozen at height", batch.height.to_string()),
        ("closes epoch", batch.epoch.to_string()),
        (
            "signed power",
            format!(
                "{} of {} (more than 2/3 needed)",
                batch.signed_power, batch.total_power
            ),
        ),
        ("signers", signers.join("\n                  ")),
        ("set epoch", batch.set_epoch.to_string()),
        ("deposits credited", batch.deposit_number.to_string()),
        ("io paid out", show(io, Asset::Io)),
        ("usdc paid out", show(usdc, Asset::Usdc)),
        ("emitted", show(batch.emitted, Asset::Io)),
    ])
}
