//! A server for tests of this crate: answers HTTP as a test scripts it, and remembers what it was asked.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "numbers and text of tests are small and known"
)]

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Method and path with query: `GET /v1/status`.
    pub(crate) line: String,
    /// The body, or null.
    pub(crate) body: Value,
}

/// What goes out.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status and JSON.
    Json(u16, Value),
    /// Status and text.
    Text(u16, &'static str),
    /// An event stream: these pieces, one write each, then the end.
    Stream(Vec<String>),
    /// The connection is closed without a word.
    Nothing,
}

/// A running server. It ends with the test's runtime.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts one on a free port of loopback. `answer` is called for each request in order of arrival.
    pub(crate) async fn start(mut answer: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
        };
        let requests = Arc::clone(&server.requests);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(request) = read(&mut stream).await else {
                    continue;
                };
                requests.lock().unwrap().push(request.clone());
                write(&mut stream, answer(&request)).await;
            }
        });
        server
    }

    /// Everything that was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How often a line that begins so was asked.
    pub(crate) fn count(&self, line: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|request| request.line.starts_with(line))
            .count()
    }
}

/// A URL on which nobody listens.
pub(crate) async fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().unwrap())
            });
            let body = &bytes[end + 4..];
            if body.len() >= length.unwrap_or(0) {
                let first = head.lines().next().unwrap();
                return Some(Request {
                    line: first.strip_suffix(" HTTP/1.1").unwrap().to_owned(),
                    body: serde_json::from_slice(body).unwrap_or_default(),
                });
            }
        }
        let count = stream.read(&mut chunk).await.unwrap();
        if count == 0 {
            return None;
        }
        bytes.extend(&chunk[..count]);
    }
}

async fn write(stream: &mut TcpStream, answer: Answer) {
    let (status, kind, pieces) = match answer {
        Answer::Json(status, body) => (status, "application/json", vec![body.to_string()]),
        Answer::Text(status, body) => (status, "text/plain", vec![body.to_owned()]),
        Answer::Stream(pieces) => (200, "text/event-stream", pieces),
        Answer::Nothing => return,
    };
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in pieces {
        stream.write_all(piece.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
}
