//! What the HTTP API under `/v1` takes and gives, as JSON. Node and client share these types.
//!
//! | route | gives |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `POST /v1/transactions` [`SubmitRequest`], `?wait=check` or `?wait=block` (default) | [`TransactionResult`] |
//! | `GET /v1/transactions/{hash}` | [`TransactionResult`] |
//! | `GET /v1/accounts/{account}` | [`AccountView`] |
//! | `GET /v1/params`, `/v1/catalogue`, `/v1/chain`, `/v1/price`, `/v1/bridge`, `/v1/beacon` | the row |
//! | `GET /v1/devices?owner=&state=&model=&after=&limit=`, `/v1/devices/{id}` | [`Page`] of [`DeviceView`], [`DeviceView`] |
//! | `GET /v1/orders?renter=&state=open&after=&limit=`, `/v1/orders/{id}` | [`crate::row::Order`] |
//! | `POST /v1/orders/quote` [`crate::action::PlaceOrder`] | [`Quote`] |
//! | `GET /v1/bookings?renter=&supplier=&device=&state=&after=&limit=`, `/v1/bookings/{id}` | [`crate::row::Booking`] |
//! | `GET /v1/epochs?after=&limit=` (newest first), `/v1/epochs/{epoch}` | [`crate::row::EpochRow`] |
//! | `GET /v1/epochs/{epoch}/devices?after=&limit=` | [`Page`] of [`DeviceResultView`] |
//! | `GET /v1/challenges?device=&verifier=&stage=&after=&limit=`, `/v1/challenges/{id}` | [`crate::row::Challenge`] |
//! | `GET /v1/verifiers`, `/v1/validators` | lists of rows |
//! | `GET /v1/settlements?after=&limit=` (newest first), `/v1/settlements/{number}` | [`crate::row::Batch`] |
//! | `GET /v1/settlements/{number}/payouts` | [`PayoutFile`], the whole leaf set |
//! | `GET /v1/settlements/{number}/payouts/{asset}/{account}` | [`PayoutProof`] |
//! | `GET /v1/supply` | [`Supply`]; `/v1/supply/total`, `/circulating`, `/max` plain numbers |
//! | `GET /v1/prove/{table}/{key in hex}` | [`ProvenRow`] |
//! | `GET /v1/events?from={id}` | server-sent events, `id:` and `data:` [`EventView`] |
//!
//! Errors: HTTP status and [`ApiError`]. Lists take `limit` up to 1000 (default 100) and `after`, the `next` of the last page.

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, MicroUsd};
use crate::asset::Asset;
use crate::event::Event;
use crate::id::{AccountId, BatchNumber, DeviceId, Hash, Height};
use crate::row::{Accrual, Booking, Device, DeviceResult, MatchReport, Payout, Stake, UptimeChain};
use crate::time::{BlockTime, ChainTime, Epoch, Slot, TimeScale};

/// Largest page of a list.
pub const LIMIT_MAX: usize = 1000;
/// Page of a list when none is asked for.
pub const LIMIT_DEFAULT: usize = 100;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// Code of the rejection, or 0 if the request itself was wrong.
    pub code: u32,
    /// What, where, what to do.
    pub error: String,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Give this as `after` for the next page; absent on the last.
    pub next: Option<String>,
    /// Height at which the page was read.
    pub height: Height,
}

/// State of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The chain.
    pub chain_id: String,
    /// Version of the node.
    pub version: String,
    /// Least version of a client that it serves.
    pub min_client_version: String,
    /// Last committed height.
    pub height: Height,
    /// App hash after it.
    pub app_hash: Hash,
    /// Time of that block.
    pub block_time: BlockTime,
    /// Chain time of that block.
    pub chain_time: ChainTime,
    /// Epoch of that block.
    pub epoch: Epoch,
    /// Slot of that block.
    pub slot: Slot,
    /// How block time becomes chain time.
    pub scale: TimeScale,
    /// Whether the node still catches up.
    pub catching_up: bool,
    /// Shown to people.
    pub moniker: String,
    /// This node's view of the Solana side: lag, errors, one line each.
    pub notes: Vec<String>,
}

/// A transaction to submit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitRequest {
    /// Its bytes, base64.
    pub transaction: String,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionResult {
    /// SHA-256 of its bytes.
    pub hash: Hash,
    /// The height of its block; absent while it waits.
    pub height: Option<Height>,
    /// 0, or the code of the rejection.
    pub code: u32,
    /// Text of the rejection.
    pub log: String,
    /// What happened.
    pub events: Vec<Event>,
}

/// One asset of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceView {
    /// Which asset.
    pub asset: Asset,
    /// All that is owned, held money included.
    pub balance: Amount,
    /// The part that holds reserve.
    pub held: Amount,
    /// What can be spent.
    pub available: Amount,
    /// Withdrawn in all since genesis.
    pub payout: Option<Payout>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Whose.
    pub account: AccountId,
    /// By asset.
    pub balances: Vec<BalanceView>,
    /// Last used sequence of each lane that was used: (lane, sequence).
    pub lanes: Vec<(u16, u64)>,
    /// Rewards not collected, by device, the oldest first: (epoch, device, accrual). What is older than the kept results is
    /// one entry under its last epoch. At most 1 000; the rest comes into view as these are collected.
    pub accruals: Vec<(Epoch, DeviceId, Accrual)>,
    /// The height at which this was read.
    pub height: Height,
}

/// A device with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The device.
    pub device: Device,
    /// Its stake.
    pub stake: Option<Stake>,
    /// Least stake by its present terms, IO.
    pub stake_min: Amount,
    /// Its hash chain and record.
    pub uptime: Option<UptimeChain>,
}

/// A device's result of one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceResultView {
    /// Which device.
    pub device: DeviceId,
    /// Its result.
    pub result: DeviceResult,
}

/// What an order would do if it were sent now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Devices that would be hired; empty: it would not fill.
    pub devices: Vec<DeviceId>,
    /// Their cost for all hours, micro-USD, without fees.
    pub cost: MicroUsd,
    /// What would be taken with fees, base units of the order's asset.
    pub total: Option<Amount>,
    /// What would be held, base units.
    pub hold: Option<Amount>,
    /// Why it would not fill.
    pub report: MatchReport,
}

/// One leaf of a payout tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutLeafView {
    /// Its index.
    pub index: u64,
    /// Whose.
    pub account: AccountId,
    /// Sum since genesis, base units.
    pub cumulative: Amount,
}

/// The leaf set of one batch: with it claims work without the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutFile {
    /// Which batch.
    pub number: BatchNumber,
    /// Leaves by bridged asset number.
    pub assets: Vec<Vec<PayoutLeafView>>,
}

/// A payout with its proof against the root of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutProof {
    /// Which batch.
    pub number: BatchNumber,
    /// Which asset.
    pub asset: Asset,
    /// Whose.
    pub account: AccountId,
    /// Sum since genesis, base units.
    pub cumulative: Amount,
    /// Index of the leaf.
    pub index: u64,
    /// Leaves of the tree.
    pub leaves: u64,
    /// Siblings from leaf to root.
    pub siblings: Vec<Hash>,
    /// The root.
    pub root: Hash,
}

/// Supply of IO, base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// Most that can ever exist.
    pub max: Amount,
    /// Emitted by this chain's schedule so far, the time before `chain_start` included.
    pub emitted: Amount,
    /// Emitted on this chain.
    pub emitted_here: Amount,
    /// Burned on this chain.
    pub burned: Amount,
    /// On this chain.
    pub on_chain: Amount,
    /// Of that, in the accounts of the chain itself.
    pub system: Vec<(crate::asset::SystemAccount, Amount)>,
    /// Staked.
    pub staked: Amount,
}

/// A row with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenRow {
    /// Name of the table.
    pub table: String,
    /// Key, hexadecimal.
    pub key: String,
    /// Value, hexadecimal of its borsh bytes.
    pub value: String,
    /// Height whose state was read; the app hash stands in the header of `height + 1`.
    pub height: Height,
    /// App hash of that state.
    pub app_hash: Hash,
    /// `ibc.core.commitment.v1.MerkleProof` in base64: row to table root, table root to app hash.
    pub proof: String,
    /// The signed header of `height + 1` as CometBFT's RPC gives it, if it exists yet.
    pub signed_header: Option<serde_json::Value>,
    /// The validator set of that header as CometBFT's RPC gives it.
    pub validators: Option<serde_json::Value>,
}

/// An event with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// height · 2²⁰ + place in the block: rises, and resumes a stream.
    pub id: u64,
    /// Its block.
    pub height: Height,
    /// Chain time of its block.
    pub chain_time: ChainTime,
    /// The transaction that caused it; absent for what a block does by itself.
    pub transaction: Option<Hash>,
    /// What happened.
    pub event: Event,
}

/// A booking by name, for lists.
pub type BookingView = Booking;
