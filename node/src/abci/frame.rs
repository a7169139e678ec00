//! `varint length ‖ message` frames, read through a small window and handed out without a copy.

use std::io::{self, Read};

use bytes::{Buf, Bytes, BytesMut};

/// How much is asked of the socket at a time. A larger window makes small messages dearer, not cheaper.
pub const WINDOW_BYTES: usize = 16 * 1024;

/// How much the buffer grows at a time for a message that is larger than the window, so that
/// a length alone, without the bytes, takes no memory.
const GROWTH_BYTES: usize = 1024 * 1024;

/// The largest message: CometBFT's own limit.
pub const MESSAGE_BYTES_MAX: usize = 100 * 1024 * 1024;

/// A varint of 64 bits has at most this many bytes.
const VARINT_BYTES_MAX: usize = 10;

/// Why a stream of frames can not be read on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] io::Error),
    /// The peer announces more than it may send.
    #[error("a message of {announced} bytes was announced, at most {limit} are read")]
    TooLarge {
        /// Bytes announced.
        announced: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// The length is no varint.
    #[error("the length of a message is no varint of 64 bits")]
    BadLength,
    /// The peer went away in the middle of a message.
    #[error("the connection ended inside a message: {have} bytes of it had come")]
    Cut {
        /// Bytes that had come, length included.
        have: usize,
    },
}

/// Frames read from a source.
#[derive(Debug)]
pub struct Frames<R> {
    source: R,
    buffer: BytesMut,
    limit: usize,
}

impl<R: Read> Frames<R> {
    /// Reads frames of at most `limit` bytes.
    pub fn new(source: R, limit: usize) -> Self {
        Self {
            source,
            buffer: BytesMut::with_capacity(WINDOW_BYTES),
            limit,
        }
    }

    /// The next message, waiting for it; nothing when the peer closed between two messages.
    pub fn wait(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            let missing = match self.ready()? {
                Ready::Message(message) => return Ok(Some(message)),
                Ready::Missing(missing) => missing,
            };
            if self.fill(missing)? == 0 {
                return match self.buffer.len() {
                    0 => Ok(None),
                    have => Err(FrameError::Cut { have }),
                };
            }
        }
    }

    /// The next message if all of it has already been read.
    pub fn ready_message(&mut self) -> Result<Option<Bytes>, FrameError> {
        Ok(match self.ready()? {
            Ready::Message(message) => Some(message),
            Ready::Missing(_) => None,
        })
    }

    fn ready(&mut self) -> Result<Ready, FrameError> {
        let Some((length, head)) = read_varint(&self.buffer)? else {
            return Ok(Ready::Missing(WINDOW_BYTES));
        };
        let too_large = FrameError::TooLarge {
            announced: length,
            limit: self.limit,
        };
        let Some(length) = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.limit)
        else {
            return Err(too_large);
        };
        match head.saturating_add(length).checked_sub(self.buffer.len()) {
            None | Some(0) => {
                self.buffer.advance(head);
                Ok(Ready::Message(self.buffer.split_to(length).freeze()))
            }
            Some(missing) => Ok(Ready::Missing(missing.clamp(WINDOW_BYTES, GROWTH_BYTES))),
        }
    }

    /// Reads once, at most `wanted` bytes; zero at the end of the stream.
    fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        let have = self.buffer.len();
        self.buffer.resize(have.saturating_add(wanted), 0);
        let read = loop {
            match self
                .source
                .read(self.buffer.get_mut(have..).unwrap_or_default())
            {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer
            .truncate(have.saturating_add(*read.as_ref().unwrap_or(&0)));
        read
    }
}

enum Ready {
    Message(Bytes),
    /// About how many bytes to ask for.
    Missing(usize),
}

/// The number and its width, or nothing while it is incomplete.
fn read_varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        let shift = u32::try_from(index).unwrap_or(u32::MAX).saturating_mul(7);
        let group = u64::from(byte & 0x7f);
        let placed = group
            .checked_shl(shift)
            .filter(|placed| placed >> shift == group);
        number |= placed.ok_or(FrameError::BadLength)?;
        if byte & 0x80 == 0 {
            return Ok(Some((number, index.saturating_add(1))));
        }
    }
    if bytes.len() >= VARINT_BYTES_MAX {
        Err(FrameError::BadLength)
    } else {
        Ok(None)
    }
}
