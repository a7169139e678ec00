//! `io watch`: the event stream with readable lines.

use io_client::types::api::EventView;
use io_client::types::id::{AccountId, DeviceId};
use serde_json::Value;

use super::context::Context;
use super::failure::Failure;
use super::values::{event_text, instant};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  $ io watch\n  $ io watch --kind booked --kind delivered --count 2\n  $ io watch --mine --kind rewarded\n  $ io watch --after 0 --json"
)]
pub(crate) struct Arguments {
    /// Begin after the event with this id (0: with the first) instead of now
    #[arg(long, value_name = "ID")]
    after: Option<u64>,
    /// Only events of this kind, as in the JSON: booked, settled. May be repeated
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only events that name this account
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "mine")]
    account: Option<AccountId>,
    /// Only events that name the wallet's account
    #[arg(long)]
    mine: bool,
    /// Only events of this device
    #[arg(long)]
    device: Option<DeviceId>,
    /// Stop after so many
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let account = match arguments.account {
        None if arguments.mine => Some(context.wallet()?.account()),
        named => named,
    };
    let mut stream = context.client()?.events(arguments.after);
    // A node that is down now is an error; one that goes away later is waited for.
    stream.connect().await?;
    let mut shown = 0_u64;
    while arguments.count.is_none_or(|count| shown < count) {
        let view = stream.next().await?;
        let event = serde_json::to_value(&view.event).unwrap_or_default();
        let is_wanted = (arguments.kind.is_empty()
            || arguments
                .kind
                .iter()
                .any(|kind| event.get("kind").is_some_and(|own| own == kind)))
            && account.is_none_or(|account| names(&event, &account.to_string().into()))
            && arguments
                .device
                .is_none_or(|device| is_of_device(&event, device));
        if !is_wanted {
            continue;
        }
        context.out.show_line(&view, line)?;
        shown = shown.saturating_add(1);
    }
    Ok(())
}

/// Whether a value stands anywhere in an event.
fn names(event: &Value, wanted: &Value) -> bool {
    match event {
        Value::Array(items) => items.iter().any(|item| names(item, wanted)),
        Value::Object(fields) => fields.values().any(|field| names(field, wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => event == wanted,
    }
}

fn is_of_device(event: &Value, device: DeviceId) -> bool {
    let fields = [event.get("device"), event.get("devices")];
    fields
        .into_iter()
        .flatten()
        .any(|field| names(field, &device.0.into()))
}

fn line(view: &EventView) -> String {
    format!(
        "{}  {}  {}",
        view.height,
        instant(view.chain_time.0),
        event_text(&view.event)
    )
}

#[cfg(test)]
mod tests {
    use io_client::types::amount::Amount;
    use io_client::types::asset::Asset;
    use io_client::types::event::Event;
    use io_client::types::id::{BookingId, OrderId};

    use super::*;

    #[test]
    fn events_are_found_by_whom_they_name_and_by_their_devices() {
        let renter = AccountId([3; 32]);
        let booked = Event::Booked {
            booking: BookingId(5),
            order: OrderId(7),
            renter,
            devices: vec![DeviceId(8), DeviceId(9)],
            total: Amount::new(8),
            asset: Asset::Io,
        };
        let event = serde_json::to_value(booked).unwrap();
        assert!(names(&event, &renter.to_string().into()));
        assert!(!names(&event, &AccountId([4; 32]).to_string().into()));
        assert!(is_of_device(&event, DeviceId(9)));
        assert!(!is_of_device(&event, DeviceId(5)), "that is the booking");

        let rewarded = serde_json::json!({"kind": "rewarded", "epoch": 4, "device": 8});
        assert!(is_of_device(&rewarded, DeviceId(8)));
        assert!(!is_of_device(&rewarded, DeviceId(4)));
    }
}
