//! `io status`: node, price and bridge at a glance.

use io_client::money::show_usd;
use io_client::types::amount::MicroUsd;
use io_client::types::api::Status;
use io_client::types::row::{BridgeState, PriceState};
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::output::facts;
use super::values::instant;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  $ io status\n  $ io status --json")]
pub(crate) struct Arguments {}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let Arguments {} = arguments;
    let client = context.client()?;
    let status = client.status().await?;
    let (price, bridge) = (client.price().await?, client.bridge().await?);
    let value = json!({"status": status, "price": price, "bridge": bridge});
    context.out.show(&value, |_| text(&status, &price, &bridge))
}

fn text(status: &Status, price: &PriceState, bridge: &BridgeState) -> String {
    let usd = |micro: u64| format!("{} usd", show_usd(MicroUsd(micro)));
    let settled = bridge.last_settle.as_ref().map_or_else(
        || "none".to_owned(),
        |last| format!("batch {} in Solana's slot {}", last.number, last.slot),
    );
    let catching_up = if status.catching_up {
        ", catching up"
    } else {
        ""
    };
    let mut pairs = vec![
        ("chain", status.chain_id.clone()),
        (
            "node",
            format!("{} (version {})", status.moniker, status.version),
        ),
        ("height", format!("{}{catching_up}", status.height)),
        ("block time", instant(status.block_time.0)),
        ("chain time", instant(status.chain_time.0)),
        ("epoch", format!("{}, slot {}", status.epoch, status.slot)),
        ("app hash", status.app_hash.to_string()),
        (
            "io",
            format!(
                "{} now, {} over 30 minutes",
                usd(price.spot),
                usd(price.t30)
            ),
        ),
        ("usdc", usd(price.usdc)),
        ("bridge program", bridge.program.to_string()),
        ("deposits credited", bridge.deposit_number.to_string()),
        ("newest batch", bridge.newest_batch.to_string()),
        ("last settled", settled),
    ];
    if let Some(why) = &bridge.withdrawals_closed {
        pairs.push(("withdrawals closed", why.clone()));
    }
    pairs.extend(status.notes.iter().map(|note| ("note", note.clone())));
    facts(&pairs)
}
