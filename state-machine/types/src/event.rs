//! What happened: typed events. They are no consensus result; people and programs read them.
#![expect(
    missing_docs,
    reason = "the fields of an event are named by what they hold"
)]

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::action::VerdictBody;
use crate::amount::{Amount, MicroUsd};
use crate::asset::{Asset, Holder};
use crate::catalogue::ClassId;
use crate::id::{AccountId, BatchNumber, BookingId, ChallengeId, DeviceId, Hash, OrderId};
use crate::row::{ChallengeTrigger, DeviceState, Outcome, PartEnd};
use crate::time::{Epoch, Slot};

/// Why a state changed; the range of the code names the party at fault:
/// 0 nobody, 1xxx renter, 2xxx supplier, 3xxx network, 4xxx verifier.
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
pub enum Reason {
    /// The usual course of things.
    Normal,
    /// 1001: the renter ended the booking.
    RenterEnded,
    /// 1002: the renter said that nothing usable came.
    RenterNotDelivered,
    /// 2001: heartbeats were missed.
    MissedHeartbeats,
    /// 2002: connection details did not come in time.
    NotDelivered,
    /// 2003: a challenge was failed.
    FailedChallenge,
    /// 2004: a fraud proof was accepted.
    Fraud,
    /// 2005: the answer did not come in time.
    NoAnswer,
    /// 2006: the owner paused or retired it.
    Owner,
    /// 2007: the stake is below the minimum.
    Understaked,
    /// 3001: no decision by the network.
    NoDecision,
    /// 4001: a verifier missed its duty.
    VerifierMissed,
}

impl Reason {
    /// The code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 0,
            Self::RenterEnded => 1001,
            Self::RenterNotDelivered => 1002,
            Self::MissedHeartbeats => 2001,
            Self::NotDelivered => 2002,
            Self::FailedChallenge => 2003,
            Self::Fraud => 2004,
            Self::NoAnswer => 2005,
            Self::Owner => 2006,
            Self::Understaked => 2007,
            Self::NoDecision => 3001,
            Self::VerifierMissed => 4001,
        }
    }
}

/// One thing that happened. In JSON: {"kind": "...", fields}.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Money moved by a transfer action.
    Transferred {
        from: AccountId,
        to: AccountId,
        asset: Asset,
        amount: Amount,
    },
    /// A transaction fee was taken.
    FeePaid { payer: AccountId, amount: Amount },
    /// A deposit was credited.
    Deposited {
        number: u64,
        holder: Holder,
        asset: Asset,
        amount: Amount,
    },
    /// A deposit left suspense.
    SuspenseClaimed {
        number: u64,
        to: AccountId,
        asset: Asset,
        amount: Amount,
    },
    /// Money is on its way to Solana.
    Withdrawn {
        account: AccountId,
        asset: Asset,
        amount: Amount,
    },
    /// A batch was frozen.
    BatchFrozen {
        number: BatchNumber,
        epoch: Epoch,
        hash: Hash,
    },
    /// A batch has the power it needs.
    BatchSigned {
        number: BatchNumber,
        power: u64,
        total: u64,
    },
    /// A validator signed two different batches of one number.
    BatchEquivocation {
        number: BatchNumber,
        member: AccountId,
    },
    /// Solana applied a batch, by attestation.
    Settled {
        number: BatchNumber,
        solana_slot: u64,
    },
    /// The bridge's invariant does not hold; withdrawals are closed.
    InvariantViolated { what: String },

    /// A device was registered.
    DeviceRegistered { device: DeviceId, owner: AccountId },
    /// A device's owner changed its ask or payout asset.
    DeviceUpdated {
        device: DeviceId,
        ask: MicroUsd,
        payout_asset: Asset,
    },
    /// A device changed its state.
    DeviceStateChanged {
        device: DeviceId,
        from: DeviceState,
        to: DeviceState,
        reason: Reason,
        code: u16,
    },
    /// A hash chain was registered.
    UptimeChainRegistered {
        device: DeviceId,
        first_slot: Slot,
        last_slot: Slot,
    },
    /// Stake was added.
    StakeAdded {
        device: DeviceId,
        staker: AccountId,
        amount: Amount,
        total: Amount,
    },
    /// A cooldown began.
    UnstakeBegun {
        device: DeviceId,
        ends: crate::time::ChainTime,
    },
    /// Stake was taken out.
    StakeWithdrawn {
        device: DeviceId,
        staker: AccountId,
        amount: Amount,
    },

    /// An order entered the book.
    OrderPlaced {
        order: OrderId,
        renter: AccountId,
        held: Amount,
        asset: Asset,
    },
    /// An order was taken back.
    OrderCancelled { order: OrderId },
    /// An order's time ran out.
    OrderExpired { order: OrderId },
    /// An order was filled.
    Booked {
        booking: BookingId,
        order: OrderId,
        renter: AccountId,
        devices: Vec<DeviceId>,
        total: Amount,
        asset: Asset,
    },
    /// A booking was paid for in full (prepaid).
    Paid {
        booking: BookingId,
        amount: Amount,
        asset: Asset,
    },
    /// Connection details were posted.
    Delivered {
        booking: BookingId,
        device: DeviceId,
    },
    /// Served minutes were paid to the supplier.
    Worked {
        booking: BookingId,
        device: DeviceId,
        minutes: u32,
        gross: Amount,
        net: Amount,
        asset: Asset,
    },
    /// Money went back to the renter.
    Refunded {
        booking: BookingId,
        amount: Amount,
        asset: Asset,
    },
    /// What the supplier has earned in all from this part.
    Earned {
        booking: BookingId,
        device: DeviceId,
        amount: Amount,
        asset: Asset,
    },
    /// One device's part of a booking is over.
    PartEnded {
        booking: BookingId,
        device: DeviceId,
        end: PartEnd,
        reason: Reason,
    },
    /// A booking is over.
    BookingEnded { booking: BookingId },

    /// An epoch opened.
    EpochOpened { epoch: Epoch, nominated: u64 },
    /// An epoch closed.
    EpochClosed {
        epoch: Epoch,
        pot: Amount,
        rewarded: Amount,
        succeeded: u64,
        to_vault: Amount,
    },
    /// A device's reward was accrued.
    Rewarded {
        epoch: Epoch,
        device: DeviceId,
        account: AccountId,
        amount: Amount,
    },
    /// Rewards were collected.
    Collected { account: AccountId, amount: Amount },
    /// Money was burned.
    Burned { asset: Asset, amount: Amount },

    /// A challenge was triggered.
    ChallengeTriggered {
        challenge: ChallengeId,
        device: DeviceId,
        trigger: ChallengeTrigger,
    },
    /// Verifiers were drawn.
    ChallengeDrawn {
        challenge: ChallengeId,
        device: DeviceId,
        verifiers: Vec<AccountId>,
        deadline: crate::id::Height,
    },
    /// Enough nonces are committed: the device may begin.
    ChallengeBegun {
        challenge: ChallengeId,
        device: DeviceId,
        deadline: crate::id::Height,
    },
    /// The device committed its answer.
    ChallengeAnswered {
        challenge: ChallengeId,
        device: DeviceId,
    },
    /// A verdict was revealed.
    VerdictRevealed {
        challenge: ChallengeId,
        verifier: AccountId,
        body: VerdictBody,
    },
    /// A challenge was decided.
    ChallengeDecided {
        challenge: ChallengeId,
        device: DeviceId,
        outcome: Outcome,
    },
    /// A class was granted.
    ClassGranted { device: DeviceId, class: ClassId },
    /// A verifier missed a duty and lost that much.
    VerifierPenalised {
        challenge: ChallengeId,
        verifier: AccountId,
        amount: Amount,
        reason: Reason,
    },
    /// A fraud proof was accepted.
    FraudProven {
        challenge: ChallengeId,
        device: DeviceId,
        reporter: AccountId,
    },

    /// The price in force changed.
    PriceUpdated { spot: u64, t30: u64, usdc: u64 },
    /// No fresh price: what depends on one waits.
    PriceStale { age_ms: u64 },
    /// Validators withheld their beacon links in a window.
    BeaconWithheld {
        window: u64,
        validators: Vec<crate::id::ValidatorAddress>,
    },
}
