//! An HTTP server on loopback that answers what it is told to, one body after the other.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Where the id of the request belongs in a body.
pub(super) const ID: &[u8] = b"@ID@";

type Answers = Arc<Mutex<VecDeque<Vec<u8>>>>;

pub(super) struct Server {
    port: u16,
    answers: Answers,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Answers::default();
        let told = Arc::clone(&answers);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, answers) = (stream.unwrap(), Arc::clone(&told));
                std::thread::spawn(move || serve(&stream, &answers));
            }
        });
        Self { port, answers }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next answers, in order; the last one is said again and again. The first byte of a body may choose the status.
    pub(super) fn expect(&self, answers: Vec<Vec<u8>>) {
        *self.answers.lock().unwrap() = answers.into();
    }
}

/// Until the client closes.
fn serve(stream: &TcpStream, answers: &Answers) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let request = request(&mut reader)?;
        let mut queue = answers.lock().unwrap();
        let body = if queue.len() > 1 {
            queue.pop_front()
        } else {
            queue.front().cloned()
        };
        drop(queue);
        let body = body.unwrap_or_default();
        let (status, body) = match body.split_first() {
            Some((1, rest)) => ("500 Internal Server Error", rest),
            Some((2, rest)) => ("404 Not Found", rest),
            Some((3, rest)) => ("422 Unprocessable Entity", rest),
            _whole => ("200 OK", body.as_slice()),
        };
        let body = with_id(body, &request);
        let mut answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend(body);
        writer.write_all(&answer).ok()?;
    }
}

/// The body of the next request.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn with_id(body: &[u8], request: &[u8]) -> Vec<u8> {
    let Some(at) = body.windows(ID.len()).position(|window| window == ID) else {
        return body.to_vec();
    };
    let request: serde_json::Value = serde_json::from_slice(request).unwrap_or_default();
    let id = request["id"].to_string().into_bytes();
    [&body[..at], &id, &body[at + ID.len()..]].concat()
}
