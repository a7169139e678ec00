//! One connection: requests in, responses out in the same order.

use std::io::{self, Write};

use bytes::BytesMut;
use prost::Message;
use tendermint_proto::v0_38::abci::{
    Request, RequestCheckTx, Response, ResponseException, ResponseFlush, request, response,
};

use super::application::Stop;
use super::dispatch::Dispatch;
use super::frame::FrameError;
use super::inbox::Inbox;

/// How many waiting transactions are checked as one batch.
const CHECK_BATCH_MAX: usize = 512;

/// Answers are written once this much has gathered, or as soon as no further request waits.
const WRITE_BYTES: usize = 64 * 1024;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The peer closed it.
    Closed,
    /// The peer does not speak ABCI, or its socket failed; other connections go on.
    Refused(String),
    /// The application can not go on: the process must stop.
    Stopped(Stop),
}

/// Answers what comes into the inbox, to its end.
pub(super) fn serve(inbox: &Inbox, writer: impl Write, dispatch: &Dispatch) -> Ended {
    let mut connection = Connection {
        inbox,
        writer,
        out: BytesMut::new(),
        dispatch,
    };
    match connection.run() {
        Ok(()) => Ended::Closed,
        Err(Failure::Frame(error)) => connection.refuse(error.to_string()),
        Err(Failure::Message(text)) => connection.refuse(text),
        Err(Failure::Stop(stop)) => {
            // CometBFT writes the reason into its own log before it ends.
            connection.except(stop.to_string());
            Ended::Stopped(stop)
        }
    }
}

struct Connection<'a, W> {
    inbox: &'a Inbox,
    writer: W,
    out: BytesMut,
    dispatch: &'a Dispatch,
}

enum Failure {
    Frame(FrameError),
    Message(String),
    Stop(Stop),
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Frame(FrameError::Io(error))
    }
}

impl<W: Write> Connection<'_, W> {
    fn run(&mut self) -> Result<(), Failure> {
        let mut next: Option<request::Value> = None;
        loop {
            let request = match next.take() {
                Some(request) => request,
                None => match self.receive()? {
                    Some(request) => request,
                    None => return Ok(self.flush()?),
                },
            };
            if let request::Value::CheckTx(first) = request {
                next = self.check_run(first)?;
            } else {
                let answer = self.dispatch.answer(request).map_err(Failure::Stop)?;
                self.send(answer)?;
            }
        }
    }

    /// Checks this transaction and those that wait behind it; returns the request that ended the run. CometBFT puts a flush
    /// behind almost every transaction: it ends no run and is answered in its place.
    fn check_run(&mut self, first: RequestCheckTx) -> Result<Option<request::Value>, Failure> {
        let mut batch = vec![first];
        // How many transactions stand before each flush.
        let mut flushes = Vec::new();
        let mut after = None;
        while batch.len() < CHECK_BATCH_MAX {
            let Some(message) = self.inbox.ready()? else {
                break;
            };
            match decode(message)? {
                request::Value::CheckTx(check) => batch.push(check),
                request::Value::Flush(_) => flushes.push(batch.len()),
                other => {
                    after = Some(other);
                    break;
                }
            }
        }
        let mut flushes = flushes.into_iter().peekable();
        for (place, answer) in self.dispatch.check(&batch).into_iter().enumerate() {
            self.send(response::Value::CheckTx(answer))?;
            while flushes
                .next_if(|before| *before == place.saturating_add(1))
                .is_some()
            {
                self.send(response::Value::Flush(ResponseFlush {}))?;
            }
        }
        // While more transactions keep coming these must be in the mempool already, to be proposed and passed on.
        self.flush()?;
        Ok(after)
    }

    /// The next request. Before waiting for one, everything answered so far is written.
    fn receive(&mut self) -> Result<Option<request::Value>, Failure> {
        if let Some(message) = self.inbox.ready()? {
            return decode(message).map(Some);
        }
        self.flush()?;
        self.inbox.wait()?.map(decode).transpose()
    }

    fn send(&mut self, value: response::Value) -> io::Result<()> {
        let response = Response { value: Some(value) };
        response
            .encode_length_delimited(&mut self.out)
            .map_err(io::Error::other)?;
        if self.out.len() >= WRITE_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.writer.write_all(&self.out)?;
            self.out.clear();
        }
        self.writer.flush()
    }

    fn refuse(&mut self, text: String) -> Ended {
        self.except(text.clone());
        Ended::Refused(text)
    }

    /// Tells the peer why this connection ends. It may be gone already, and then there is nobody to tell.
    fn except(&mut self, error: String) {
        let told = self
            .send(response::Value::Exception(ResponseException { error }))
            .and_then(|()| self.flush());
        if let Err(error) = told {
            tracing::debug!(%error, "the peer was gone before it could be told why its connection ends");
        }
    }
}

fn decode(message: bytes::Bytes) -> Result<request::Value, Failure> {
    let bytes = message.len();
    match Request::decode(message) {
        Ok(Request { value: Some(value) }) => Ok(value),
        Ok(Request { value: None }) => Err(Failure::Message(format!(
            "a request of {bytes} bytes is of no kind that ABCI 2.0 (CometBFT 0.38) knows"
        ))),
        Err(error) => Err(Failure::Message(format!(
            "a request of {bytes} bytes can not be decoded: {error}"
        ))),
    }
}
