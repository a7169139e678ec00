//! Rows of devices, uptime, stake and rewards.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::action::DeviceSpec;
use crate::amount::Amount;
use crate::catalogue::{ClassId, Pool};
use crate::event::Reason;
use crate::id::{AccountId, BookingId, ChallengeId, DeviceId, Hash, HoldId};
use crate::time::{ChainTime, Epoch, Slot};

/// Where a device is in its life.
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
pub enum DeviceState {
    /// Registered; its first challenge is not passed yet.
    Onboarding,
    /// May be hired.
    Ready,
    /// Serves a booking.
    Hired,
    /// Taken off the market by its owner.
    Paused,
    /// Missed its heartbeats.
    Down,
    /// Failed a check: all checks, no hire.
    Probation,
    /// Shut out by governance.
    Blocked,
    /// Ended for good.
    Retired,
}

/// One device. Table `devices`, key: device id.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Device {
    /// Its number.
    pub id: DeviceId,
    /// Who owns it.
    pub owner: AccountId,
    /// The key of the worker on it.
    pub device_key: AccountId,
    /// What the owner says it is.
    pub spec: DeviceSpec,
    /// Where it is in its life.
    pub state: DeviceState,
    /// Why it is in that state.
    pub reason: Reason,
    /// Chain time of the last change of state.
    pub since: ChainTime,
    /// Compliance tier 0..=3.
    pub compliance: u8,
    /// 0..=10 000.
    pub reputation: u16,
    /// The class granted by the last passed challenge.
    pub class: Option<ClassId>,
    /// Chain time of the last passed challenge.
    pub passed_at: Option<ChainTime>,
    /// Whether the newest decided challenge was failed (false while none is decided).
    pub last_failed: bool,
    /// The challenge that is running, if one is.
    pub challenge: Option<ChallengeId>,
    /// The booking it serves, if it is hired.
    pub booking: Option<BookingId>,
    /// Chain time since which it waits for a booking; ranks equal asks.
    pub waiting_since: ChainTime,
    /// Failed challenges that count as memory failures.
    pub memory_failures: u32,
    /// Chain time of the last of them.
    pub memory_failed_at: ChainTime,
    /// When the next challenge by time is due.
    pub challenge_due: ChainTime,
    /// Registered at.
    pub registered_at: ChainTime,
}

/// A device's hash chain and uptime record. Table `uptime`, key: device.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct UptimeChain {
    /// The last link checked (the anchor at first).
    pub link: Hash,
    /// The slot of that link; the one before the first slot at first.
    pub link_slot: Slot,
    /// The last slot that the chain covers.
    pub last_slot: Slot,
    /// Bits of the newest epochs, newest last: (epoch, one bit for each slot, bit 0 the first); (0, 0) where there is none: no chain
    /// begins in epoch 0.
    pub epochs: [(Epoch, u64); 3],
    /// Epochs in a row with enough slots up, as of the last closed epoch.
    pub full_epochs: u32,
    /// Epochs with enough slots up since its reputation was last raised.
    pub full_unraised: u8,
    /// The first slot in which the device is expected to be up.
    pub expected_from: Slot,
    /// Counted slots missed since the last link, as far as slots are judged.
    pub missed: u32,
    /// Whether so many are missed that the device counts as down.
    pub counted_down: bool,
}

impl UptimeChain {
    /// No bits of any epoch.
    pub const NO_EPOCHS: [(Epoch, u64); 3] = [(Epoch(0), 0); 3];
}

/// A device's stake. Table `stakes`, key: device.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Stake {
    /// The only account that adds and takes.
    pub staker: AccountId,
    /// How much IO.
    pub amount: Amount,
    /// The hold that reserves it.
    pub hold: HoldId,
    /// Set once unstaking has begun.
    pub exit: Option<StakeExit>,
}

/// A cooldown.
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
pub struct StakeExit {
    /// When it began.
    pub begun: ChainTime,
    /// When it may be withdrawn.
    pub ends: ChainTime,
}

/// Rewards of one device of one epoch that were accrued and not collected.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct Accrual {
    /// How much IO.
    pub amount: Amount,
    /// When it can be collected; the greatest number: not before its device passed a pulse.
    pub collectable_at: ChainTime,
}

/// What of a device's rewards was not collected when the results of their epochs went. Table `old_rewards`, key: device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OldRewards {
    /// The last epoch of which something is in here.
    pub through: Epoch,
    /// IO that can be collected.
    pub ready: Amount,
    /// IO that waits for a pulse.
    pub withheld: Amount,
}

/// One condition of nomination.
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
pub enum NominationCheck {
    /// State is Ready or Hired.
    State,
    /// M > 0.
    Multiplier,
    /// Connectivity tier > 0.
    Connectivity,
    /// Stake at least the minimum.
    Stake,
    /// Enough full epochs in a row.
    Uptime,
    /// Last challenge passed and not older than allowed.
    Challenge,
    /// Not too many memory failures.
    Memory,
    /// At the close: enough slots of this epoch up.
    RetestUptime,
    /// At the close: no failed challenge.
    RetestChallenge,
}

/// One device's result of one epoch.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct DeviceResult {
    /// Whether it was nominated at the opening.
    pub nominated: bool,
    /// Whether it passed the re-test at the close.
    pub succeeded: bool,
    /// The checks that it failed.
    pub failed_checks: Vec<NominationCheck>,
    /// The pool that it earns from, as of the close; none: its model is not in the catalogue, or it is not tested yet.
    pub pool: Option<Pool>,
    /// Slots up of those counted.
    pub slots_up: u8,
    /// Slots hired and paid for.
    pub slots_hired: u8,
    /// Base score, thousandths.
    pub base: u64,
    /// Reward, IO base units.
    pub reward: Amount,
}

/// What becomes of the reward of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum RewardState {
    /// There is none, or it was collected or forfeited.
    #[default]
    Gone,
    /// It is accrued: collectable once its time has come.
    Accrued,
    /// It is accrued, and waits for the pulse at its booking's end.
    Withheld,
}

/// A result with its reward. Table `device_results`, key: device, epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ResultRow {
    /// The result.
    pub result: DeviceResult,
    /// What becomes of its reward.
    pub reward: RewardState,
}

/// What the close of an epoch is busy with.
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
pub enum ClosingPass {
    /// Devices are re-tested, and nominated for the next epoch.
    Test,
    /// Devices that succeeded get their rewards.
    Pay,
}

/// The close of an epoch, while it lasts. Table `closing`, one row.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Closing {
    /// Which epoch.
    pub epoch: Epoch,
    /// The pass over the devices.
    pub pass: ClosingPass,
    /// The first device that this pass has not had yet.
    pub next: DeviceId,
    /// The newest device when it began.
    pub last: DeviceId,
    /// What the schedule gives this hour.
    pub pot: Amount,
    /// Σ base of the enterprise devices that succeeded, thousandths.
    pub base_enterprise: u64,
    /// Σ base of the community devices that succeeded, thousandths.
    pub base_community: u64,
    /// Given to devices so far.
    pub given: Amount,
    /// Devices that were given a reward, or could have been.
    pub succeeded: u64,
    /// Devices nominated for the next epoch so far.
    pub nominated: u64,
    /// Roots of full subtrees of the results so far, by height.
    pub peaks: Vec<Option<Hash>>,
}

/// One epoch. Table `epochs`, key: epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct EpochRow {
    /// Which.
    pub epoch: Epoch,
    /// Whether it is closed and its rewards are given.
    pub closed: bool,
    /// What the schedule gives this hour.
    pub pot: Amount,
    /// The safety module's share.
    pub safety: Amount,
    /// Given to devices.
    pub rewarded: Amount,
    /// Went to the reward vault Y1.
    pub to_vault: Amount,
    /// Slots that count (not neutral).
    pub counted_slots: u8,
    /// One bit for each neutral slot.
    pub neutral: u64,
    /// Devices nominated.
    pub nominated: u64,
    /// Devices that passed the re-test.
    pub succeeded: u64,
    /// Merkle root over the device results, in order of device id.
    pub results_root: Hash,
    /// Fees of the epoch, by asset number: reservation and facilitation on both sides and transaction fees.
    pub fees: [Amount; 3],
    /// Burned of them.
    pub burned: [Amount; 3],
}
