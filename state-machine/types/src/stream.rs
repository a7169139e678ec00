//! Frames between a worker and a verifier: binary WebSocket messages, borsh, at most 1 MiB each.
//!
//! The worker dials the verifier's URL and sends [`WorkerFrame`]s; the verifier answers with [`VerifierFrame`]s. The first
//! frame of the verifier is `Hello` with its nonce; the first of the worker is `Hello`, signed by the device key.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec;
use crate::id::{AccountId, ChallengeId, DeviceId, Hash, Signature};

/// Version of the frames.
pub const STREAM_VERSION: u16 = 1;
/// Largest frame, bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Most payload bytes of one opening chunk.
pub const CHUNK_BYTES_MAX: usize = 512 * 1024;

/// From the worker.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum WorkerFrame {
    /// Who is there. Signature by the device key over [`hello_bytes`].
    Hello {
        /// [`STREAM_VERSION`].
        version: u16,
        /// Which device.
        device: DeviceId,
        /// Its key.
        key: AccountId,
        /// By that key.
        signature: Signature,
    },
    /// Phase A of every processor is done; the verifier's clock of phase A stops.
    PhaseA {
        /// Which challenge.
        challenge: ChallengeId,
        /// Root of phase A, one for each processor.
        roots: Vec<Hash>,
    },
    /// The answer is complete and was sent to the chain; the verifier's clock of phase B stops.
    Committed {
        /// Which challenge.
        challenge: ChallengeId,
        /// The commit hash of each processor.
        commits: Vec<Hash>,
    },
    /// A piece of the openings of one processor: `part` of `parts`, pieces in order.
    Openings {
        /// Which challenge.
        challenge: ChallengeId,
        /// Which processor.
        processor: u16,
        /// Number of this piece, from 0.
        part: u32,
        /// Number of pieces.
        parts: u32,
        /// Bytes of the challenge's opening encoding.
        bytes: Vec<u8>,
    },
    /// The device cannot answer, and why: infrastructure, a busy card. Not a failure.
    Unable {
        /// Which challenge.
        challenge: ChallengeId,
        /// Text for people.
        why: String,
    },
    /// Nothing new; keeps the connection alive.
    Alive,
}

/// From the verifier.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum VerifierFrame {
    /// Who is there, and what the worker must sign.
    Hello {
        /// [`STREAM_VERSION`].
        version: u16,
        /// The verifier.
        verifier: AccountId,
        /// Fresh random bytes.
        nonce: Hash,
    },
    /// The worker's hello was right.
    Welcome,
    /// The verifier's first nonce: it goes into the seed. The verifier's clock starts.
    Nonce {
        /// Which challenge.
        challenge: ChallengeId,
        /// The nonce.
        first: Hash,
    },
    /// The second nonce, after the answer is final: it draws this verifier's openings.
    Draw {
        /// Which challenge.
        challenge: ChallengeId,
        /// The nonce.
        second: Hash,
    },
    /// Why the verifier closes: another worker with this key, a wrong signature, a frame out of order.
    Closing {
        /// Text for people.
        why: String,
    },
    /// Nothing new; keeps the connection alive.
    Alive,
}

/// What the device key signs in its hello.
pub fn hello_bytes(chain_id: &str, verifier: &AccountId, nonce: &Hash) -> Vec<u8> {
    let mut bytes = b"io-chain/hello/v1\0".to_vec();
    bytes.extend(codec::encode(&(chain_id, verifier, nonce)));
    bytes
}

/// What a drawn verifier commits to: SHA-256("io-chain/nonce/v1\0" ‖ borsh(challenge, verifier, first, second)).
pub fn nonce_commitment(
    challenge: ChallengeId,
    verifier: &AccountId,
    first: &Hash,
    second: &Hash,
) -> Hash {
    codec::hash_of(
        b"io-chain/nonce/v1\0",
        &(challenge, verifier, first, second),
    )
}
