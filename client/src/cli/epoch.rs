//! `io epoch`: hours, and what their devices earned.

use clap::Subcommand;
use io_client::money::show;
use io_client::types::api::{DeviceResultView, Page};
use io_client::types::asset::Asset;
use io_client::types::row::EpochRow;
use io_client::types::time::Epoch;
use serde_json::json;

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
    /// List epochs, newest first.
    #[command(after_help = "Example:\n  $ io epoch list --limit 24")]
    List(PageArguments),
    /// Show one epoch and the results of its devices.
    #[command(after_help = "Example:\n  $ io epoch show 490000")]
    Show {
        /// Which epoch: hours of chain time since 1970
        epoch: u64,
        #[command(flatten)]
        page: PageArguments,
    },
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let client = context.client()?;
    match &arguments.verb {
        Verb::List(page) => {
            let page = client.epochs(&page.request()).await?;
            context.out.show(&page, |page| list_text(&page.items))?;
            say_more(context.out, page.next.as_ref());
        }
        Verb::Show { epoch, page } => {
            let epoch = client.epoch(Epoch(*epoch)).await?;
            let devices = client.epoch_devices(epoch.epoch, &page.request()).await?;
            let value = json!({"epoch": epoch, "devices": devices});
            context.out.show(&value, |_| epoch_text(&epoch, &devices))?;
            say_more(context.out, devices.next.as_ref());
        }
    }
    Ok(())
}

fn list_text(epochs: &[EpochRow]) -> String {
    let mut table = Table::new(&[
        "epoch",
        "begins",
        "state",
        "pot",
        "to devices",
        "nominated",
        "succeeded",
    ]);
    for epoch in epochs {
        table.row(vec![
            epoch.epoch.to_string(),
            instant(epoch.epoch.start().0),
            if epoch.closed { "closed" } else { "open" }.to_owned(),
            show(epoch.pot, Asset::Io),
            show(epoch.rewarded, Asset::Io),
            epoch.nominated.to_string(),
            epoch.succeeded.to_string(),
        ]);
    }
    table.text_or("no epoch has opened yet")
}

fn epoch_text(epoch: &EpochRow, devices: &Page<DeviceResultView>) -> String {
    let mut text = facts(&[
        (
            "epoch",
            format!("{}, from {}", epoch.epoch, instant(epoch.epoch.start().0)),
        ),
        (
            "state",
            if epoch.closed { "closed" } else { "open" }.to_owned(),
        ),
        ("pot", show(epoch.pot, Asset::Io)),
        ("to devices", show(epoch.rewarded, Asset::Io)),
        ("to the reward vault", show(epoch.to_vault, Asset::Io)),
        ("counted slots", epoch.counted_slots.to_string()),
        (
            "devices",
            format!(
                "{} nominated, {} succeeded",
                epoch.nominated, epoch.succeeded
            ),
        ),
        ("results root", epoch.results_root.to_string()),
    ]);
    let mut table = Table::new(&[
        "device",
        "nominated",
        "succeeded",
        "slots up",
        "hired",
        "reward",
        "failed checks",
    ]);
    for view in &devices.items {
        let result = &view.result;
        table.row(vec![
            view.device.to_string(),
            if result.nominated { "yes" } else { "no" }.to_owned(),
            if result.succeeded { "yes" } else { "no" }.to_owned(),
            result.slots_up.to_string(),
            result.slots_hired.to_string(),
            show(result.reward, Asset::Io),
            words(&result.failed_checks),
        ]);
    }
    text.push_str(&table.text_or("no device has a result yet"));
    text
}
