//! `io transfer`, `io withdraw`, `io collect`, `io supply`.

use io_client::client_id;
use io_client::money::show;
use io_client::types::action::{Action, Collect, Transfer, Withdraw};
use io_client::types::amount::Amount;
use io_client::types::api::Supply;
use io_client::types::asset::Asset;
use io_client::types::id::AccountId;
use io_client::types::time::Epoch;

use super::context::Context;
use super::failure::Failure;
use super::output::{facts, say};
use super::values::{AmountArgument, words};

/// A number that makes a repeat harmless.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OnceArgument {
    /// Your own number for it: the same number again is refused. Random if not given
    #[arg(long, value_name = "NUMBER")]
    client_id: Option<u64>,
}

impl OnceArgument {
    pub(crate) fn get(&self) -> u64 {
        self.client_id.unwrap_or_else(client_id)
    }
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  $ io transfer 9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin 12.5 io"
)]
pub(crate) struct TransferArguments {
    /// Who receives
    to: AccountId,
    #[command(flatten)]
    amount: AmountArgument,
    #[command(flatten)]
    once: OnceArgument,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  $ io withdraw 12.5 io")]
pub(crate) struct WithdrawArguments {
    #[command(flatten)]
    amount: AmountArgument,
    #[command(flatten)]
    once: OnceArgument,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  $ io collect")]
pub(crate) struct CollectArguments {
    /// The last hour to collect; else all that can be
    #[arg(long, value_name = "EPOCH")]
    through: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  $ io supply --json")]
pub(crate) struct SupplyArguments {}

pub(crate) async fn transfer(
    context: &Context,
    arguments: &TransferArguments,
) -> Result<(), Failure> {
    let money = arguments.amount.money()?;
    let action = Transfer {
        to: arguments.to,
        asset: money.asset,
        amount: money.amount,
        client_id: arguments.once.get(),
    };
    context.send(Action::Transfer(action)).await?;
    Ok(())
}

pub(crate) async fn withdraw(
    context: &Context,
    arguments: &WithdrawArguments,
) -> Result<(), Failure> {
    let money = arguments.amount.money()?;
    let action = Withdraw {
        asset: money.asset,
        amount: money.amount,
        client_id: arguments.once.get(),
    };
    context.send(Action::Withdraw(action)).await?;
    say("the next batch carries it to Solana; once that is settled: io claim");
    Ok(())
}

pub(crate) async fn collect(
    context: &Context,
    arguments: &CollectArguments,
) -> Result<(), Failure> {
    let through = match arguments.through {
        Some(epoch) => Epoch(epoch),
        None => context.client()?.status().await?.epoch,
    };
    context.send(Action::Collect(Collect { through })).await?;
    Ok(())
}

pub(crate) async fn supply(context: &Context, arguments: &SupplyArguments) -> Result<(), Failure> {
    let SupplyArguments {} = arguments;
    let supply = context.client()?.supply().await?;
    context.out.show(&supply, supply_text)
}

fn supply_text(supply: &Supply) -> String {
    let io = |amount: Amount| show(amount, Asset::Io);
    let mut pairs = vec![
        ("most there can be", io(supply.max)),
        ("emitted", io(supply.emitted)),
        ("emitted on this chain", io(supply.emitted_here)),
        ("burned on this chain", io(supply.burned)),
        ("on this chain", io(supply.on_chain)),
        ("staked", io(supply.staked)),
    ];
    let system: Vec<(String, Amount)> = supply
        .system
        .iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(account, amount)| (format!("of the chain: {}", words(account)), *amount))
        .collect();
    pairs.extend(
        system
            .iter()
            .map(|(name, amount)| (name.as_str(), io(*amount))),
    );
    facts(&pairs)
}
