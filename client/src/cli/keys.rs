//! `io keys`: wallets.

use clap::Subcommand;
use io_client::Wallet;
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::output::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a new key and write it to the wallet file, which must not exist.
    #[command(after_help = "Example:\n  $ io keys new --wallet renter.json")]
    New,
    /// Show the account of the wallet: the same address as on Solana.
    #[command(after_help = "Example:\n  $ io keys show")]
    Show,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let path = &context.config.wallet;
    let wallet = match arguments.verb {
        Verb::New => {
            let wallet = Wallet::generate();
            wallet.save(path)?;
            let words = format!(
                "written to {}: keep a copy, there is no other way to its money",
                path.display()
            );
            say(&words);
            wallet
        }
        Verb::Show => context.wallet()?,
    };
    let value = json!({"account": wallet.account(), "wallet": path});
    context
        .out
        .show(&value, |_| format!("{}\n", wallet.account()))
}
