//! What a signer can ask the chain to do. One payload struct for each, grouped by component.

pub mod device;
pub mod market;
pub mod money;
pub mod verification;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

pub use device::{
    AddStake, Collect, ConnectivityTier, DeviceSpec, Heartbeats, PauseDevice, PayoutAsset,
    RegisterDevice, RegisterUptimeChain, ResumeDevice, RetireDevice, UnstakeDevice, UpdateDevice,
    WithdrawStake, consent, consent_bytes,
};
pub use market::{CancelOrder, Deliver, EndBooking, NotDelivered, PlaceOrder, Spread};
pub use money::{ClaimSuspense, SignSettlement, Transfer, Withdraw};
pub use verification::{
    CommitAnswer, CommitNonce, CommitVerdict, ProcessorAnswer, ReportFraud, RequestChallenge,
    RevealNonce, RevealVerdict, Verdict, VerdictBody,
};

/// One thing a signer asks the chain to do.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Moves money between accounts of this chain.
    Transfer(Transfer),
    /// Moves money to the payouts that the next settlements carry to Solana.
    Withdraw(Withdraw),
    /// Takes a deposit out of suspense; only its depositor may.
    ClaimSuspense(ClaimSuspense),
    /// A validator's signature over a batch, by plain transaction. A duty.
    SignSettlement(SignSettlement),

    /// Registers a device.
    RegisterDevice(RegisterDevice),
    /// Changes what its owner may change.
    UpdateDevice(UpdateDevice),
    /// Takes a device off the market.
    PauseDevice(PauseDevice),
    /// Puts a paused device back.
    ResumeDevice(ResumeDevice),
    /// Ends a device for good.
    RetireDevice(RetireDevice),
    /// Registers the last link of a device's hash chain, signed by the device key. A duty.
    RegisterUptimeChain(RegisterUptimeChain),
    /// Reveals links of hash chains. A duty.
    Heartbeats(Heartbeats),
    /// Adds to a device's stake.
    AddStake(AddStake),
    /// Starts the cooldown of a device's whole stake.
    UnstakeDevice(UnstakeDevice),
    /// Takes out what has cooled down, or what is above the minimum.
    WithdrawStake(WithdrawStake),
    /// Moves collectable rewards to the balance.
    Collect(Collect),

    /// Asks for processors.
    PlaceOrder(PlaceOrder),
    /// Takes back an order that is still open.
    CancelOrder(CancelOrder),
    /// The supplier posts sealed connection details; the booking starts to count. A duty.
    Deliver(Deliver),
    /// The renter says once that nothing usable came.
    NotDelivered(NotDelivered),
    /// The renter ends a booking early.
    EndBooking(EndBooking),

    /// A drawn verifier commits to its nonce. A duty.
    CommitNonce(CommitNonce),
    /// The device's answer: roots and the nonces used. A duty.
    CommitAnswer(CommitAnswer),
    /// A drawn verifier reveals its nonces. A duty.
    RevealNonce(RevealNonce),
    /// A drawn verifier commits to its verdict. A duty.
    CommitVerdict(CommitVerdict),
    /// A drawn verifier reveals its verdict. A duty.
    RevealVerdict(RevealVerdict),
    /// Proof that one element or walker step of an answer is wrong.
    ReportFraud(ReportFraud),
    /// A device's owner asks for a challenge (onboarding again after a failure).
    RequestChallenge(RequestChallenge),
}

impl Action {
    /// Whether this is a duty: free, but only from a registered party, once per slot or draw.
    pub fn is_duty(&self) -> bool {
        match self {
            Self::SignSettlement(_)
            | Self::RegisterUptimeChain(_)
            | Self::Heartbeats(_)
            | Self::Deliver(_)
            | Self::CommitNonce(_)
            | Self::CommitAnswer(_)
            | Self::RevealNonce(_)
            | Self::CommitVerdict(_)
            | Self::RevealVerdict(_) => true,
            Self::Transfer(_)
            | Self::Withdraw(_)
            | Self::ClaimSuspense(_)
            | Self::RegisterDevice(_)
            | Self::UpdateDevice(_)
            | Self::PauseDevice(_)
            | Self::ResumeDevice(_)
            | Self::RetireDevice(_)
            | Self::AddStake(_)
            | Self::UnstakeDevice(_)
            | Self::WithdrawStake(_)
            | Self::Collect(_)
            | Self::PlaceOrder(_)
            | Self::CancelOrder(_)
            | Self::NotDelivered(_)
            | Self::EndBooking(_)
            | Self::ReportFraud(_)
            | Self::RequestChallenge(_) => false,
        }
    }

    /// Its name, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transfer(_) => "transfer",
            Self::Withdraw(_) => "withdraw",
            Self::ClaimSuspense(_) => "claim_suspense",
            Self::SignSettlement(_) => "sign_settlement",
            Self::RegisterDevice(_) => "register_device",
            Self::UpdateDevice(_) => "update_device",
            Self::PauseDevice(_) => "pause_device",
            Self::ResumeDevice(_) => "resume_device",
            Self::RetireDevice(_) => "retire_device",
            Self::RegisterUptimeChain(_) => "register_uptime_chain",
            Self::Heartbeats(_) => "heartbeats",
            Self::AddStake(_) => "add_stake",
            Self::UnstakeDevice(_) => "unstake_device",
            Self::WithdrawStake(_) => "withdraw_stake",
            Self::Collect(_) => "collect",
            Self::PlaceOrder(_) => "place_order",
            Self::CancelOrder(_) => "cancel_order",
            Self::Deliver(_) => "deliver",
            Self::NotDelivered(_) => "not_delivered",
            Self::EndBooking(_) => "end_booking",
            Self::CommitNonce(_) => "commit_nonce",
            Self::CommitAnswer(_) => "commit_answer",
            Self::RevealNonce(_) => "reveal_nonce",
            Self::CommitVerdict(_) => "commit_verdict",
            Self::RevealVerdict(_) => "reveal_verdict",
            Self::ReportFraud(_) => "report_fraud",
            Self::RequestChallenge(_) => "request_challenge",
        }
    }
}
