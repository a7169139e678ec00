//! Frames over WebSocket. Part of worker and verifier, as `terms`.

use borsh::{BorshDeserialize, BorshSerialize};
use io_types::codec::{self, DecodeError};
use io_types::stream::FRAME_BYTES_MAX;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Begins the reason for which a verifier closes a worker whose device key has connected again.
pub const RIVAL: &str = "another worker with this device key has connected";

/// Limits of a connection: no message above [`FRAME_BYTES_MAX`].
pub fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}

/// The message of a frame.
pub fn message<T: BorshSerialize>(frame: &T) -> Message {
    Message::Binary(codec::encode(frame).into())
}

/// What a message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// A frame.
    Frame(T),
    /// Nothing for us: ping, pong.
    Nothing,
    /// The other side closes.
    Closed,
}

/// Reads a message.
///
/// # Errors
/// Text, or bytes that are no frame: the reason for which the connection is closed.
pub fn read<T: BorshSerialize + BorshDeserialize>(message: Message) -> Result<Received<T>, String> {
    match message {
        Message::Binary(bytes) => codec::decode(&bytes, FRAME_BYTES_MAX)
            .map(Received::Frame)
            .map_err(|error: DecodeError| format!("a message is no frame: {error}")),
        Message::Text(_text) => Err("a message is text; frames are binary".to_owned()),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(Received::Nothing),
        Message::Close(_reason) => Ok(Received::Closed),
    }
}
