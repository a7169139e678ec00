//! The rows of the state: what each table holds, by component. The HTTP API serves these same types as JSON.

pub mod bridge;
pub mod device;
pub mod ledger;
pub mod market;
pub mod verification;

pub use bridge::{
    Batch, BatchTotals, BridgeState, LastSettleRow, Payout, PriceState, SuspendedDeposit,
    ValidatorRow,
};
pub use device::{
    Accrual, Closing, ClosingPass, Device, DeviceResult, DeviceState, EpochRow, NominationCheck,
    OldRewards, ResultRow, RewardState, Stake, StakeExit, UptimeChain,
};
pub use ledger::{AccountRow, AssetTotals, Hold, HoldPurpose, LaneRow};
pub use market::{Booking, BookingPart, BookingState, MatchReport, Order, OrderState, PartEnd};
pub use verification::{
    BeaconState, Challenge, ChallengeStage, ChallengeTrigger, DrawnVerifier, Outcome, VerifierRow,
};
