//! Actions of the challenge: nonces, answers, verdicts, fraud proofs.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::catalogue::ClassId;
use crate::id::{AccountId, ChallengeId, DeviceId, Hash};

/// A drawn verifier commits to both of its nonces: SHA-256("io-chain/nonce/v1\0" ‖ challenge u64 LE ‖ verifier ‖ first ‖ second).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CommitNonce {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// The hash.
    pub commitment: Hash,
}

/// What one processor of the device answered.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ProcessorAnswer {
    /// Root over the step digests of phase A.
    pub root_a: Hash,
    /// Root over the walkers of phase B.
    pub root_b: Hash,
}

/// The device's answer. Signed by the device key, within the class's deadline.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CommitAnswer {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// The verifiers whose first nonces were used, ascending, and those nonces.
    pub nonces: Vec<(AccountId, Hash)>,
    /// One for each processor, in order of index.
    pub processors: Vec<ProcessorAnswer>,
}

/// A drawn verifier reveals both nonces after the answer was committed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RevealNonce {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// The nonce that went into the seed.
    pub first: Hash,
    /// The nonce that drew the openings.
    pub second: Hash,
}

/// What a verifier says.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything checked was right, and the times are those measured.
    Pass,
    /// An opening was wrong.
    WrongAnswer,
    /// Openings did not come in time.
    NoOpenings,
    /// The commit came too late by this verifier's own clock.
    TooSlow,
    /// The device never connected, or its worker reported an infrastructure error.
    Unreachable,
    /// The card was busy with a foreign process.
    Busy,
    /// This verifier's own machine failed; says nothing of the device.
    VerifierFault,
}

/// A verifier's verdict with what it measured.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct VerdictBody {
    /// The judgement.
    pub verdict: Verdict,
    /// From this verifier's last sent nonce to root_A, milliseconds, the slowest processor.
    pub phase_a_ms: u32,
    /// From root_A to the commit, milliseconds, the slowest processor.
    pub phase_b_ms: u32,
    /// Hash of what was sent and received.
    pub transcript: Hash,
    /// Replayed on a GPU (true) or spot-checked (false).
    pub replayed: bool,
    /// The class that the times show, by this verifier.
    pub class: Option<ClassId>,
}

impl VerdictBody {
    /// The commitment: SHA-256("io-chain/verdict/v1\0" ‖ borsh(verifier, device, challenge, salt, body length, body)).
    pub fn commitment(
        &self,
        verifier: &AccountId,
        device: DeviceId,
        challenge: ChallengeId,
        salt: &Hash,
    ) -> Hash {
        let body = crate::codec::encode(self);
        crate::codec::hash_of(
            b"io-chain/verdict/v1\0",
            &(verifier, device, challenge, salt, body),
        )
    }
}

/// A drawn verifier commits to its verdict.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct CommitVerdict {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// See [`VerdictBody::commitment`].
    pub commitment: Hash,
}

/// A drawn verifier reveals its verdict.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RevealVerdict {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// 32 random bytes.
    pub salt: Hash,
    /// What was committed to.
    pub body: VerdictBody,
}

/// Proof that an answer is wrong; checked by the state machine itself. At most 96 KiB, with a bond.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ReportFraud {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// Which processor.
    pub processor: u16,
    /// Canonical bytes of the challenge's fraud proof.
    #[serde(with = "crate::id::hex_bytes")]
    pub proof: Vec<u8>,
}

/// The owner asks for a new challenge of a device that is `Onboarding`, or failed its last one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RequestChallenge {
    /// Which device.
    pub device: DeviceId,
}
