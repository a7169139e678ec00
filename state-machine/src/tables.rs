//! Every table of the state, in one place: number, name, kind of leaf, key and value types.

use io_storage::{Leaf, TableId, TableSpec};
use io_types::catalogue::Catalogue;
use io_types::params::ChainFacts;
use io_types::row::{
    AccountRow, AssetTotals, Batch, BeaconState, Booking, BridgeState, Challenge, Closing, Device,
    EpochRow, Hold, LaneRow, OldRewards, Order, Payout, PriceState, ResultRow, Stake,
    SuspendedDeposit, UptimeChain, ValidatorRow, VerifierRow,
};
use io_types::{
    AccountId, Asset, BatchNumber, BookingId, ChallengeId, DeviceId, Epoch, Hash, HoldId, Holder,
    OrderId, Params, ValidatorAddress,
};

use crate::context::Clock;
use crate::paged::Paged;
use crate::state::Counters;
use crate::table::Table;

/// Consensus parameters: one row.
pub const PARAMS: Table<(), Params> = Table::new(1);
/// The catalogue: one row.
pub const CATALOGUE: Table<(), Catalogue> = Table::new(2);
/// Fixed facts of the chain: one row.
pub const CHAIN: Table<(), ChainFacts> = Table::new(3);
/// How far chain time has been worked off: one row.
pub const CLOCK: Table<(), Clock> = Table::new(4);
/// Next numbers of everything: one row.
pub const COUNTERS: Table<(), Counters> = Table::new(5);
/// Money by holder and asset.
pub const ACCOUNTS: Table<(Holder, Asset), AccountRow> = Table::new(10);
/// Sequences by account and lane.
pub const LANES: Table<(AccountId, u16), LaneRow> = Table::new(11);
/// Money reserved.
pub const HOLDS: Table<HoldId, Hold> = Table::new(12);
/// Running totals by asset.
pub const TOTALS: Table<Asset, AssetTotals> = Table::new(13);
/// Client ids that were used, with the hash of what was done.
pub const CLIENT_IDS: Table<(AccountId, u64), Hash> = Table::new(14);
/// Devices.
pub const DEVICES: Table<DeviceId, Device> = Table::new(20);
/// Devices by their key.
pub const DEVICE_KEYS: Table<AccountId, DeviceId> = Table::new(21);
/// Hash chains and uptime records.
pub const UPTIME: Paged<DeviceId, UptimeChain> = Paged::new(22);
/// Stakes.
pub const STAKES: Paged<DeviceId, Stake> = Paged::new(23);
/// Rewards not collected of epochs whose results are gone.
pub const OLD_REWARDS: Paged<DeviceId, OldRewards> = Paged::new(24);
/// Epochs.
pub const EPOCHS: Table<Epoch, EpochRow> = Table::new(25);
/// Results of devices by epoch, with what is not collected of them.
pub const DEVICE_RESULTS: Paged<(DeviceId, Epoch), ResultRow> = Paged::new(26);
/// The close of an epoch, while it lasts: one row.
pub const CLOSING: Table<(), Closing> = Table::new(27);
/// Orders.
pub const ORDERS: Table<OrderId, Order> = Table::new(30);
/// Bookings.
pub const BOOKINGS: Table<BookingId, Booking> = Table::new(31);
/// How many orders of an account are open.
pub const OPEN_ORDERS: Table<AccountId, u32> = Table::new(32);
/// Challenges.
pub const CHALLENGES: Table<ChallengeId, Challenge> = Table::new(40);
/// Verifiers.
pub const VERIFIERS: Table<AccountId, VerifierRow> = Table::new(41);
/// The beacon: one row.
pub const BEACON: Table<(), BeaconState> = Table::new(42);
/// Batches for Solana.
pub const SETTLEMENTS: Table<BatchNumber, Batch> = Table::new(50);
/// Payouts by asset and account.
pub const PAYOUTS: Table<(Asset, AccountId), Payout> = Table::new(51);
/// The bridge: one row.
pub const BRIDGE: Table<(), BridgeState> = Table::new(52);
/// Deposits that could not be credited.
pub const SUSPENSE: Table<u64, SuspendedDeposit> = Table::new(53);
/// Validators.
pub const VALIDATORS: Table<ValidatorAddress, ValidatorRow> = Table::new(54);
/// Prices: one row.
pub const PRICE: Table<(), PriceState> = Table::new(60);

const fn spec(id: u8, name: &'static str, leaf: Leaf) -> TableSpec {
    TableSpec {
        id: TableId(id),
        name,
        leaf,
    }
}

/// The list that the app hash commits to. Tables that outsiders want proven have one leaf for each row, and so have those
/// whose rows are pages themselves.
pub static SPECS: &[TableSpec] = &[
    spec(1, "params", Leaf::Row),
    spec(2, "catalogue", Leaf::Row),
    spec(3, "chain", Leaf::Row),
    spec(4, "clock", Leaf::Page),
    spec(5, "counters", Leaf::Page),
    spec(10, "accounts", Leaf::Row),
    spec(11, "lanes", Leaf::Page),
    spec(12, "holds", Leaf::Page),
    spec(13, "totals", Leaf::Row),
    spec(14, "client_ids", Leaf::Page),
    spec(20, "devices", Leaf::Row),
    spec(21, "device_keys", Leaf::Page),
    spec(22, "uptime", Leaf::Row),
    spec(23, "stakes", Leaf::Row),
    spec(24, "old_rewards", Leaf::Row),
    spec(25, "epochs", Leaf::Row),
    spec(26, "device_results", Leaf::Row),
    spec(27, "closing", Leaf::Page),
    spec(30, "orders", Leaf::Page),
    spec(31, "bookings", Leaf::Row),
    spec(32, "open_orders", Leaf::Page),
    spec(40, "challenges", Leaf::Page),
    spec(41, "verifiers", Leaf::Page),
    spec(42, "beacon", Leaf::Page),
    spec(50, "settlements", Leaf::Row),
    spec(51, "payouts", Leaf::Page),
    spec(52, "bridge", Leaf::Row),
    spec(53, "suspense", Leaf::Page),
    spec(54, "validators", Leaf::Row),
    spec(60, "price", Leaf::Page),
];
