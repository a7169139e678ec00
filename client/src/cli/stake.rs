//! `io stake`: a device's stake.

use clap::Subcommand;
use io_client::types::action::{Action, AddStake, UnstakeDevice, WithdrawStake};
use io_client::types::id::DeviceId;

use super::context::Context;
use super::failure::Failure;
use super::values::AmountArgument;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add IO to a device's stake.
    #[command(after_help = "Example:\n  $ io stake add 7 200 io")]
    Add {
        /// Which device
        device: DeviceId,
        #[command(flatten)]
        amount: AmountArgument,
    },
    /// Start the cooldown of a device's whole stake. It cannot be undone.
    #[command(after_help = "Example:\n  $ io stake remove 7")]
    Remove {
        /// Which device
        device: DeviceId,
    },
    /// Take out of a stake: after the cooldown all of it, before it what is above the minimum.
    #[command(after_help = "Example:\n  $ io stake withdraw 7 12.5 io")]
    Withdraw {
        /// Which device
        device: DeviceId,
        #[command(flatten)]
        amount: AmountArgument,
    },
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let action = match &arguments.verb {
        Verb::Add { device, amount } => Action::AddStake(AddStake {
            device: *device,
            amount: amount.io()?.amount,
        }),
        Verb::Remove { device } => Action::UnstakeDevice(UnstakeDevice { device: *device }),
        Verb::Withdraw { device, amount } => Action::WithdrawStake(WithdrawStake {
            device: *device,
            amount: amount.io()?.amount,
        }),
    };
    context.send(action).await?;
    Ok(())
}
