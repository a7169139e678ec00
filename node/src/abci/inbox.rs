//! Requests that wait for their answer. A thread reads them off the socket however long the application takes, because
//! CometBFT burns a processor while a write to that socket waits: the timer that flushes its requests fires anew every
//! 20 ns for as long as nobody takes the flush (docs/adr/0099).

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::frame::{FrameError, Frames, MESSAGE_BYTES_MAX};

/// Requests are read ahead until they hold this many bytes, about a full block of transactions: a commit waits until all
/// that were read before it are checked.
pub(super) const READ_AHEAD_BYTES: usize = 4 * 1024 * 1024;

/// A message that is smaller is copied out of the buffer it was read into, which would live as long as the message.
const SMALL_BYTES: usize = 8 * 1024;

/// Memory that a message holds, about: itself, its place in the queue and what an allocation costs.
fn held_by(message: &Bytes) -> usize {
    message.len().saturating_add(64)
}

/// Messages in the order in which they came, between the thread that reads and the one that answers.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Something came, or the stream ended.
    filled: Condvar,
    /// There is room, or nobody answers any more.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Bytes>,
    bytes: usize,
    /// How the stream ended, behind the last message.
    end: Option<Result<(), FrameError>>,
    is_closed: bool,
}

impl State {
    /// The next message, or none and whether the stream has ended there.
    fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(message) = self.messages.pop_front() {
            self.bytes = self.bytes.saturating_sub(held_by(&message));
            return Ok(Some(message));
        }
        let Some(end) = self.end.take() else {
            return Ok(None);
        };
        self.end = Some(Ok(()));
        end.map(|()| None)
    }
}

impl Inbox {
    /// Reads messages until the stream ends, breaks or nobody answers any more.
    pub(super) fn fill(&self, source: impl Read) {
        let _ended = Ending(self);
        let mut frames = Frames::new(source, MESSAGE_BYTES_MAX);
        let end = loop {
            match frames.wait() {
                Ok(Some(first)) => {
                    if !self.put(first, &mut frames) {
                        return;
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.lock().end = Some(end);
        self.filled.notify_one();
    }

    /// Adds a message and those that were read with it, once there is room. False when nobody answers any more.
    fn put(&self, first: Bytes, frames: &mut Frames<impl Read>) -> bool {
        let mut state = self.lock();
        while state.bytes >= READ_AHEAD_BYTES && !state.is_closed {
            state = self
                .emptied
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let mut next = Some(first);
        while let Some(message) = next {
            let message = if message.len() < SMALL_BYTES {
                Bytes::copy_from_slice(&message)
            } else {
                message
            };
            state.bytes = state.bytes.saturating_add(held_by(&message));
            state.messages.push_back(message);
            // What is wrong with the rest is found again by who waits for it.
            next = frames.ready_message().unwrap_or(None);
        }
        self.filled.notify_one();
        !state.is_closed
    }

    /// The next message if it has been read already.
    pub(super) fn ready(&self) -> Result<Option<Bytes>, FrameError> {
        let taken = self.lock().take();
        self.emptied.notify_one();
        taken
    }

    /// The next message, waiting for it; nothing when the peer closed the stream after the last one.
    pub(super) fn wait(&self) -> Result<Option<Bytes>, FrameError> {
        let mut state = self.lock();
        while state.messages.is_empty() && state.end.is_none() {
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let taken = state.take();
        drop(state);
        self.emptied.notify_one();
        taken
    }

    /// Nobody answers any more. A thread that waits for bytes ends when its stream is shut down.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.emptied.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing runs under this lock that could leave the queue half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the stream when the thread that reads it ends, however it does.
struct Ending<'a>(&'a Inbox);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.lock().end.get_or_insert(Ok(()));
        self.0.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// Messages of 1 KiB that are as much as is read ahead, with what each costs beside its bytes.
    const COUNT: usize = READ_AHEAD_BYTES.div_euclid(1024 + 64);

    fn frame(length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encode_length_delimiter(length, &mut bytes).unwrap();
        bytes.resize(bytes.len().saturating_add(length), 7);
        bytes
    }

    #[test]
    fn a_writer_never_waits_for_answers_until_a_block_is_read_ahead() {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        let inbox = Arc::new(Inbox::default());
        let filling = thread::spawn({
            let inbox = Arc::clone(&inbox);
            move || inbox.fill(reader)
        });
        // Far more than a socket holds, and nobody takes anything.
        for _message in 0..COUNT {
            writer.write_all(&frame(1024)).unwrap();
        }
        drop(writer);
        for _message in 0..COUNT {
            assert_eq!(inbox.wait().unwrap().unwrap().len(), 1024);
        }
        assert!(inbox.wait().unwrap().is_none());
        assert!(inbox.wait().unwrap().is_none(), "an end stays an end");
        filling.join().unwrap();
    }

    #[test]
    fn what_is_read_ahead_is_bounded() {
        let inbox = Inbox::default();
        let stream = frame(1024).repeat(3 * COUNT);
        thread::scope(|scope| {
            scope.spawn(|| inbox.fill(stream.as_slice()));
            let mut read = 0;
            while let Some(message) = inbox.wait().unwrap() {
                read += message.len();
                let ahead = inbox.lock().bytes;
                assert!(ahead < READ_AHEAD_BYTES + 64 * 1024, "{ahead}");
            }
            assert_eq!(read, 3 * COUNT * 1024);
        });
    }

    #[test]
    fn a_broken_stream_is_told_after_what_came_before_it() {
        let inbox = Inbox::default();
        let mut stream = frame(3);
        stream.extend([0xff; 11]);
        inbox.fill(stream.as_slice());
        assert_eq!(inbox.ready().unwrap().unwrap().len(), 3);
        assert!(matches!(inbox.ready(), Err(FrameError::BadLength)));
        assert!(inbox.ready().unwrap().is_none());
        assert!(inbox.wait().unwrap().is_none());
    }

    #[test]
    fn a_reader_that_waits_for_room_ends_when_nobody_answers_any_more() {
        let inbox = Inbox::default();
        let stream = frame(1024).repeat(3 * COUNT);
        thread::scope(|scope| {
            let filling = scope.spawn(|| inbox.fill(stream.as_slice()));
            inbox.wait().unwrap().unwrap();
            inbox.close();
            filling.join().unwrap();
        });
    }
}
