//! What happens on the chain, in order, as server-sent events.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use io_types::api::EventView;

use crate::error::ClientError;
use crate::http::{body_within, chain_of, http_client, refusal};

/// First wait before a new connection; it doubles up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait before a new connection.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// A connection on which nothing comes for so long, not even a sign of life, is given up.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// A line or an event that is longer is no event of a node.
const FRAME_BYTES_MAX: usize = 8 << 20;

type Bytes = BoxStream<'static, Result<Vec<u8>, String>>;

/// Events in order of id, each once. It reconnects by itself and goes on after the last event that it gave.
pub struct EventStream {
    url: String,
    after: Option<u64>,
    http: Option<reqwest::Client>,
    body: Option<Bytes>,
    parser: SseParser,
    ready: std::collections::VecDeque<EventView>,
    wait: Duration,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream")
            .field("url", &self.url)
            .field("after", &self.after)
            .field("connected", &self.body.is_some())
            .finish_non_exhaustive()
    }
}

impl EventStream {
    pub(crate) fn new(url: String, after: Option<u64>) -> Self {
        Self {
            url,
            after,
            http: None,
            body: None,
            parser: SseParser::default(),
            ready: std::collections::VecDeque::new(),
            wait: WAIT_MIN,
        }
    }

    /// Id of the last event given: with it another stream can go on from here.
    pub fn last_id(&self) -> Option<u64> {
        self.after
    }

    /// Connects, once and now, so that nothing that happens from here on is missed and a node that is down is seen.
    ///
    /// # Errors
    /// Those of a request. [`EventStream::next`] works whether this was called or not.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        let http = if let Some(http) = &self.http {
            http.clone()
        } else {
            let http = http_client(&self.url, None)?;
            self.http.insert(http).clone()
        };
        let mut request = http.get(&self.url).header("accept", "text/event-stream");
        if let Some(after) = self.after {
            request = request.query(&[("from", after)]);
        }
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            url: self.url.clone(),
            why: chain_of(&error.without_url()),
        };
        let response = tokio::time::timeout(SILENCE_MAX, request.send())
            .await
            .map_err(|elapsed| ClientError::Unreachable {
                url: self.url.clone(),
                why: elapsed.to_string(),
            })?
            .map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            let body = body_within(response, FRAME_BYTES_MAX)
                .await
                .map_err(|why| ClientError::Unreachable {
                    url: self.url.clone(),
                    why,
                })?;
            return Err(refusal(&self.url, status.as_u16(), &body));
        }
        self.parser = SseParser::default();
        self.body = Some(
            response
                .bytes_stream()
                .map(|chunk| match chunk {
                    Ok(bytes) => Ok(bytes.to_vec()),
                    Err(error) => Err(chain_of(&error.without_url())),
                })
                .boxed(),
        );
        Ok(())
    }

    /// The next event. Waits as long as it takes: a node out of reach is tried again, with growing pauses.
    ///
    /// # Errors
    /// What another try cannot mend: the node refuses the request, or sends what is no event.
    pub async fn next(&mut self) -> Result<EventView, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.after = Some(event.id);
                return Ok(event);
            }
            match self.read().await {
                Ok(()) => {}
                Err(error) if error.is_passing() => {
                    self.body = None;
                    tracing::warn!(%error, wait_ms = self.wait.as_millis(), "event stream broken, connecting again");
                    tokio::time::sleep(self.wait).await;
                    self.wait = self.wait.saturating_mul(2).min(WAIT_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads one chunk and keeps the events that it completes.
    async fn read(&mut self) -> Result<(), ClientError> {
        let broken = |url: &str, why: String| ClientError::Unreachable {
            url: url.to_owned(),
            why,
        };
        let Some(body) = self.body.as_mut() else {
            return self.connect().await;
        };
        let chunk = match tokio::time::timeout(SILENCE_MAX, body.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(why))) => return Err(broken(&self.url, why)),
            Ok(None) => return Err(broken(&self.url, "the stream ended".to_owned())),
            Err(elapsed) => return Err(broken(&self.url, elapsed.to_string())),
        };
        self.wait = WAIT_MIN;
        let bad = |why: String| ClientError::BadAnswer {
            url: self.url.clone(),
            why,
        };
        for frame in self.parser.feed(&chunk).map_err(bad)? {
            if frame.data.is_empty() {
                continue;
            }
            let event: EventView =
                serde_json::from_str(&frame.data).map_err(|error| bad(error.to_string()))?;
            let newest = self.ready.back().map(|last| last.id).or(self.after);
            if newest.is_none_or(|newest| event.id > newest) {
                self.ready.push_back(event);
            }
        }
        Ok(())
    }
}

/// One event of the wire format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseFrame {
    /// The lines `event:`; empty if there is none.
    pub kind: String,
    /// The lines `id:`; empty if there is none.
    pub id: String,
    /// The lines `data:`, joined by line feeds.
    pub data: String,
}

/// Takes the wire format apart, in whatever pieces it comes.
#[derive(Clone, Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    after_cr: bool,
    frame: SseFrame,
    has_data: bool,
}

impl SseParser {
    /// Takes the next bytes and gives the events that they complete.
    ///
    /// # Errors
    /// Text that says why the bytes are no event stream: too long, or not UTF-8.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<SseFrame>, String> {
        let mut frames = Vec::new();
        for byte in bytes {
            let is_second = self.after_cr && *byte == b'\n';
            self.after_cr = *byte == b'\r';
            match byte {
                b'\n' if is_second => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    let line = String::from_utf8(line)
                        .map_err(|error| format!("a line is not UTF-8: {error}"))?;
                    frames.extend(self.take_line(&line)?);
                }
                other => {
                    if self.line.len() >= FRAME_BYTES_MAX {
                        return Err(format!("a line has more than {FRAME_BYTES_MAX} bytes"));
                    }
                    self.line.push(*other);
                }
            }
        }
        Ok(frames)
    }

    fn take_line(&mut self, line: &str) -> Result<Option<SseFrame>, String> {
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            return Ok(std::mem::take(&mut self.has_data).then_some(frame));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.frame.data.push('\n');
                }
                if self.frame.data.len().saturating_add(value.len()) > FRAME_BYTES_MAX {
                    return Err(format!("an event has more than {FRAME_BYTES_MAX} bytes"));
                }
                self.frame.data.push_str(value);
                self.has_data = true;
            }
            "id" => value.clone_into(&mut self.frame.id),
            "event" => value.clone_into(&mut self.frame.kind),
            // Comments keep the connection alive; other fields mean nothing to us.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
