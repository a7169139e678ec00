//! Rows of verification.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::action::{ProcessorAnswer, VerdictBody};
use crate::amount::Amount;
use crate::catalogue::ClassId;
use crate::id::{AccountId, ChallengeId, DeviceId, Hash, Height, ValidatorAddress};
use crate::time::ChainTime;

/// A verifier. Table `verifiers`, key: account.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct VerifierRow {
    /// Its key.
    pub account: AccountId,
    /// Where workers dial: ws:// or wss://.
    pub url: String,
    /// Its stake: weight in draws and medians, IO.
    pub stake: Amount,
    /// The hold that reserves it; task bonds are taken from it.
    pub hold: crate::id::HoldId,
    /// Whether it may be drawn.
    pub active: bool,
    /// Task bonds lost so far, IO.
    pub lost: Amount,
    /// Tasks missed so far.
    pub missed: u64,
}

/// Why a challenge was drawn.
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
pub enum ChallengeTrigger {
    /// A new device.
    Onboarding,
    /// Time: Poisson, or too long without one.
    Time,
    /// The end of a booking.
    BookingEnd,
    /// The owner asked.
    Request,
}

/// Where a challenge is in its life. Each stage ends at its deadline at the latest.
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
pub enum ChallengeStage {
    /// Waits for the beacon of the first window that begins after its trigger.
    AwaitingBeacon,
    /// Drawn verifiers commit to their nonces.
    Nonces,
    /// The device computes and commits.
    Answer,
    /// Verifiers have sent their second nonces; openings are checked; verdicts are committed.
    Verdicts,
    /// Nonces and verdicts are revealed.
    Reveals,
    /// Decided.
    Decided,
}

/// How a challenge ended.
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
pub enum Outcome {
    /// The device holds what it claims, at that class.
    Passed(ClassId),
    /// The device failed.
    Failed,
    /// The device did not answer in time.
    NoAnswer,
    /// No decision, three times: no slash.
    NotPassed,
    /// Not a failure of the device: infrastructure, a busy card, a renter.
    Excused,
}

/// One verifier's part in a challenge.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DrawnVerifier {
    /// Who.
    pub account: AccountId,
    /// Its stake at the draw.
    pub stake: Amount,
    /// Commitment to its nonces.
    pub nonce_commitment: Option<Hash>,
    /// Revealed nonces (first, second).
    pub nonces: Option<(Hash, Hash)>,
    /// Commitment to its verdict.
    pub verdict_commitment: Option<Hash>,
    /// Its revealed verdict.
    pub verdict: Option<VerdictBody>,
}

/// One challenge. Table `challenges`, key: challenge id.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Challenge {
    /// Its number.
    pub id: ChallengeId,
    /// Whom it tests.
    pub device: DeviceId,
    /// Why.
    pub trigger: ChallengeTrigger,
    /// Height of the trigger.
    pub triggered: Height,
    /// The class whose sizes are used.
    pub class: ClassId,
    /// The beacon that drew it; zero before.
    pub beacon: Hash,
    /// Where it is in its life.
    pub stage: ChallengeStage,
    /// The last height of this stage.
    pub deadline: Height,
    /// Who judges, ascending by key.
    pub verifiers: Vec<DrawnVerifier>,
    /// The height at which the answer was committed.
    pub answered: Option<Height>,
    /// Verifiers whose first nonces the answer used, and those nonces, ascending.
    pub nonces_used: Vec<(AccountId, Hash)>,
    /// The device's answer, one for each processor.
    pub answers: Vec<ProcessorAnswer>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Chain time of the decision.
    pub decided_at: Option<ChainTime>,
    /// How often it was drawn again.
    pub redraws: u8,
    /// Verifiers of earlier draws.
    pub earlier: Vec<AccountId>,
    /// Stake-weighted medians of phases A and B, milliseconds.
    pub times_ms: Option<(u32, u32)>,
    /// Set when a fraud proof was accepted.
    pub fraud_reporter: Option<AccountId>,
}

/// The beacon of the present window. Table `beacon`, one row.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BeaconState {
    /// Number of the last closed window (height / window length).
    pub window: u64,
    /// Its beacon.
    pub value: Hash,
    /// Links revealed in the window that is open, ascending by validator.
    pub links: Vec<(ValidatorAddress, Hash)>,
    /// Validators that withheld their link in the last closed window.
    pub withheld: Vec<ValidatorAddress>,
}
