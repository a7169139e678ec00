//! `io watch`: the event stream with readable lines.

use io_client::types::api::EventView;
use io_client::types::event::Event;

use super::context::Context;
use super::failure::Failure;
use super::values::{event_text, instant};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  $ io watch\n  $ io watch --kind booked --kind delivered --count 2\n  $ io watch --after 0 --json"
)]
pub(crate) struct Arguments {
    /// Begin after the event with this id (0: with the first) instead of now
    #[arg(long, value_name = "ID")]
    after: Option<u64>,
    /// Only events of this kind, as in the JSON: booked, settled. May be repeated
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Stop after so many
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let mut stream = context.client()?.events(arguments.after);
    // A node that is down now is an error; one that goes away later is waited for.
    stream.connect().await?;
    let mut shown = 0_u64;
    while arguments.count.is_none_or(|count| shown < count) {
        let view = stream.next().await?;
        if !arguments.kind.is_empty() && !arguments.kind.contains(&kind(&view.event)) {
            continue;
        }
        context.out.show_line(&view, line)?;
        shown = shown.saturating_add(1);
    }
    Ok(())
}

fn kind(event: &Event) -> String {
    let json = serde_json::to_value(event).unwrap_or_default();
    let kind = json.get("kind").and_then(serde_json::Value::as_str);
    kind.unwrap_or_default().to_owned()
}

fn line(view: &EventView) -> String {
    format!(
        "{}  {}  {}",
        view.height,
        instant(view.chain_time.0),
        event_text(&view.event)
    )
}
