//! Why an action did not happen: one variant is one rule is one number, never reused, never renumbered.
//!
//! 1xx admission, 2xx ledger, 3xx market, 4xx device, 5xx uptime, 6xx reward, 7xx stake, 8xx verification, 9xx settlement,
//! 10xx price, 11xx governance. The code is a consensus result; the text is not.
#![expect(missing_docs, reason = "the text of each variant says its rule")]

use crate::amount::Amount;
use crate::asset::Asset;
use crate::id::{AccountId, BatchNumber, BookingId, ChallengeId, DeviceId, Height, OrderId};
use crate::time::{ChainTime, Slot};

macro_rules! rejections {
    ($($code:literal $variant:ident $({ $($field:ident : $type:ty),* $(,)? })? $text:literal;)*) => {
        /// A rule that was broken. The first rule that fails decides.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Rejection {
            $(#[error($text)] $variant $({ $($field: $type),* })?,)*
        }

        impl Rejection {
            /// Its number.
            pub fn code(&self) -> u32 {
                match self {
                    $(Self::$variant $({ $($field: _),* })? => $code,)*
                }
            }

            /// Every rule: number, name, text.
            pub const ALL: &'static [(u32, &'static str, &'static str)] = &[$(($code, stringify!($variant), $text)),*];
        }
    };
}

rejections! {
    101 Undecodable { why: String } "the transaction cannot be decoded: {why}";
    102 WrongChain { got: String, want: String } "the transaction is for chain {got:?}, this is {want:?}";
    103 BadSignature { signer: AccountId } "the signature is not by {signer} over these bytes";
    104 BadKey { account: AccountId } "{account} is no valid ed25519 key (not on the curve, or of small order)";
    105 WrongSequence { lane: u16, got: u64, want: u64 } "lane {lane} is at sequence {want}, the transaction has {got}: read the account and sign again";
    106 Expired { expires: Height, height: Height } "the transaction expired at height {expires}, this is {height}";
    107 ExpiresTooLate { expires: Height, max: Height } "the transaction expires at height {expires}, at most {max} is taken";
    108 NoActions { max: usize } "a transaction has 1 to {max} actions";
    109 TooManyActions { count: usize, max: usize } "{count} actions in one transaction, at most {max}";
    110 FeeAboveLimit { fee: Amount, max: Amount } "the fee is {fee} IO base units, the transaction allows {max}";
    111 FeeUnpaid { fee: Amount, available: Amount } "the fee is {fee} IO base units, {available} are available";
    112 NoSuchLane { lane: u16, lanes: u16 } "lane {lane} does not exist: use 0 to {lanes} (exclusive)";
    113 ReservedTag "the transaction begins with the tag of the injected commit, which only a proposer makes";
    115 MixedDuty "duties and other actions do not share a transaction";
    116 StaleDuty { what: String } "this duty was done already or is not due: {what}";

    201 InsufficientFunds { asset: Asset, need: Amount, available: Amount } "{need} base units of {asset} needed, {available} available";
    202 ZeroAmount "the amount is zero";
    203 CreditNotTransferable "credits cannot be transferred or withdrawn";
    204 DuplicateClientId { client_id: u64 } "client id {client_id} was used before by this signer";
    205 AmountOverflow { asset: Asset } "the sum of {asset} does not fit";
    206 TransferToSelf "sender and receiver are the same account";

    301 NoModels "an order names 1 to 16 models of the catalogue, ascending, each once";
    302 UnknownModel { model: u16 } "model {model} is not in the catalogue";
    303 BadQuantity { quantity: u16 } "{quantity} processors: at least 1";
    304 BadHours { hours: u16 } "{hours} hours: 1 to 8760";
    305 BadPriceLimit "the price limit is zero or so large that the cost does not fit";
    306 BadCountries "countries are at most 64 codes of two capital letters, ascending, each once";
    307 BadLimits { what: &'static str } "out of range: {what}";
    308 OpenTooLong { blocks: u32, max: u32 } "open for {blocks} blocks: 1 to {max}";
    309 TooManyOrders { max: u32 } "this account has {max} open orders already";
    310 NoFreshPrice "there is no fresh IO price, and this order is paid in IO";
    311 UnknownOrder { order: OrderId } "order {order} does not exist";
    312 NotYourOrder { order: OrderId } "order {order} belongs to another account";
    313 OrderNotOpen { order: OrderId } "order {order} is not open";
    314 UnknownBooking { booking: BookingId } "booking {booking} does not exist";
    315 NotYourBooking { booking: BookingId } "booking {booking} belongs to others";
    316 NotInBooking { booking: BookingId, device: DeviceId } "device {device} is not in booking {booking}, or its part is over";
    317 AlreadyDelivered { booking: BookingId, device: DeviceId } "device {device} has delivered to booking {booking}";
    318 SealedTooLong { len: usize, max: usize } "sealed details have {len} bytes: 1 to {max}";
    319 TooLateToComplain { until: ChainTime } "NotDelivered was due by chain time {until} ms";
    320 BookingOver { booking: BookingId } "booking {booking} is over";
    321 CreditOrdersClosed "orders in credits are not open on this network";
    322 NothingDelivered { booking: BookingId } "booking {booking} has no delivered part to complain about";

    401 UnknownDevice { device: DeviceId } "device {device} does not exist";
    402 NotYourDevice { device: DeviceId } "device {device} belongs to another account";
    403 BadSpec { what: &'static str } "the device's description is out of range: {what}";
    404 DeviceKeyTaken { key: AccountId } "device key {key} is in use by another device, or owns one";
    405 DeviceHired { device: DeviceId } "device {device} is hired: wait until its booking ends";
    406 DeviceRetired { device: DeviceId } "device {device} is retired";
    407 NotPaused { device: DeviceId } "device {device} is not paused";
    408 AskOutsideBand { ask: u64, floor: u64, ceiling: u64 } "ask {ask} micro-USD is outside {floor} to {ceiling} of its model";
    409 CannotPause { device: DeviceId } "device {device} is not Ready, Down or Onboarding, so it cannot be paused";
    410 BadPayoutAsset { asset: Asset } "suppliers are paid in io or usdc, not {asset}";
    411 NoConsent { key: AccountId } "device key {key} has not signed for this owner on this chain: `io-worker consent` makes the signature";

    501 NoUptimeChain { device: DeviceId } "device {device} has no hash chain: register one";
    502 BadChain { what: &'static str } "the hash chain is out of range: {what}";
    503 NotDeviceKey { device: DeviceId } "only the device key of device {device} may do this";
    504 NoNewLinks "no entry of this batch does anything new";
    505 SlotNotOpen { slot: Slot } "links of slot {slot} are not taken at this time";
    506 NotACarrier "only a registered carrier carries links of several devices";
    507 EmptyBatch "the batch has no entries, or more than 10 000";

    601 NothingToCollect "there is nothing to collect yet";

    701 NotTheStaker { device: DeviceId, staker: AccountId } "the stake of device {device} belongs to {staker}";
    702 OwnerStakesFirst { device: DeviceId } "the first stake of device {device} comes from its owner";
    703 InCooldown { device: DeviceId, ends: ChainTime } "the stake of device {device} is in cooldown until chain time {ends} ms";
    704 NoStake { device: DeviceId } "device {device} has no stake";
    705 BelowMinimum { device: DeviceId, free: Amount } "only {free} base units of the stake of device {device} are above its minimum: unstake to take more";
    706 StakeWhileHired { device: DeviceId } "device {device} is hired: its stake stays";

    801 UnknownChallenge { challenge: ChallengeId } "challenge {challenge} does not exist";
    802 WrongStage { challenge: ChallengeId, stage: String } "challenge {challenge} is in stage {stage}, this is not its time";
    803 NotDrawn { challenge: ChallengeId, verifier: AccountId } "{verifier} was not drawn for challenge {challenge}";
    804 AlreadyCommitted { challenge: ChallengeId } "this was committed or revealed before in challenge {challenge}";
    805 RevealMismatch { challenge: ChallengeId } "what was revealed does not hash to what was committed in challenge {challenge}";
    806 TooFewNonces { challenge: ChallengeId, got: usize, need: usize } "challenge {challenge}: {got} nonces used, {need} needed";
    807 WrongProcessors { challenge: ChallengeId, got: usize, want: u16 } "challenge {challenge}: {got} answers, the device has {want} processors";
    808 ProofRefused { why: String } "the fraud proof does not hold: {why}";
    809 DisputeOver { challenge: ChallengeId } "the time for fraud proofs of challenge {challenge} is over";
    810 FraudAlreadyProven { challenge: ChallengeId } "fraud in challenge {challenge} was proven before";
    811 ChallengeRunning { device: DeviceId } "device {device} is under challenge already";
    812 ChallengeNotAllowed { device: DeviceId } "device {device} is in a state in which no challenge can be asked for";
    813 BadNonces { challenge: ChallengeId } "challenge {challenge}: nonces are not ascending, or not of drawn verifiers that committed";

    901 BelowWithdrawMinimum { amount: Amount, min: Amount } "{amount} base units is below the least withdrawal of {min}";
    902 NotBridged { asset: Asset } "{asset} does not exist on Solana";
    903 WithdrawalsClosed { why: String } "withdrawals are closed: {why}";
    904 UnknownBatch { number: BatchNumber } "batch {number} does not exist or is closed";
    905 NotAMember { member: AccountId } "{member} is no member of the set that signs this batch";
    906 BadBatchSignature { number: BatchNumber } "the signature is not over batch {number}";
    907 AlreadySigned { number: BatchNumber } "this member signed batch {number} before";
    908 UnknownSuspense { deposit: u64 } "deposit {deposit} is not in suspense";
    909 NotDepositor { deposit: u64 } "deposit {deposit} was made by another account";
}
