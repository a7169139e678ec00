//! Server-sent events: what happened, in order, resumed from an id.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use io_types::Height;
use io_types::api::EventView;
use serde::Deserialize;
use tokio::sync::watch;

use super::Api;
use super::failure::Failure;
use super::pages::Asked;
use crate::journal::{BlockRecord, height_of};

/// A sign of life when nothing happens.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
pub(super) struct FromQuery {
    from: Option<String>,
}

struct Reader {
    api: Api,
    heights: watch::Receiver<Height>,
    /// The next height to read.
    next: Height,
    /// Ids up to this one were given before.
    after: Option<u64>,
    ready: VecDeque<SseEvent>,
}

pub(super) async fn events(
    State(api): State<Api>,
    Asked(FromQuery { from }): Asked<FromQuery>,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Failure> {
    let heights = api.chain.heights();
    let committed = *heights.borrow();
    let parse = |text: &String| {
        text.parse()
            .map_err(|_error| Failure::bad(format!("from = {text}: give the id of an event, or 0")))
    };
    let after: Option<u64> = from.as_ref().map(parse).transpose()?;
    let held = api.chain.journal().range();
    let next = match (after, held) {
        (None, _) | (_, None) => Height(committed.0.saturating_add(1)),
        (Some(0), Some((first, _))) => first,
        (Some(after), Some((first, _))) if height_of(after) < first => {
            return Err(Failure::gone(format!(
                "events before height {first} are no longer kept; go on with from=0"
            )));
        }
        (Some(after), Some(_)) => height_of(after),
    };
    let reader = Reader {
        api,
        heights,
        next,
        after,
        ready: VecDeque::new(),
    };
    Ok(Sse::new(unfold(reader, step)).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)))
}

async fn step(mut reader: Reader) -> Option<(Result<SseEvent, Infallible>, Reader)> {
    loop {
        if let Some(event) = reader.ready.pop_front() {
            return Some((Ok(event), reader));
        }
        if reader.next <= *reader.heights.borrow_and_update() {
            let block = reader.api.chain.journal().block(reader.next);
            match block {
                Ok(Some(block)) => reader.take(&block),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "a stream of events ends");
                    return None;
                }
            }
            reader.next = Height(reader.next.0.saturating_add(1));
        } else if reader.heights.changed().await.is_err() {
            return None;
        }
    }
}

impl Reader {
    fn take(&mut self, block: &BlockRecord) {
        for (id, transaction, event) in block.numbered() {
            if self.after.is_some_and(|after| id <= after) {
                continue;
            }
            let view = EventView {
                id,
                height: block.height,
                chain_time: block.chain_time,
                transaction,
                event: event.clone(),
            };
            match SseEvent::default().id(id.to_string()).json_data(&view) {
                Ok(event) => self.ready.push_back(event),
                Err(error) => tracing::error!(%error, id, "an event can not be written as JSON"),
            }
        }
    }
}
