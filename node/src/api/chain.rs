//! Status, parameters, and the single rows.

use axum::Json;
use axum::extract::State;
use borsh::{BorshDeserialize, BorshSerialize};
use io_bridge::reader::ReaderStatus;
use io_state_machine::context::Clock;
use io_state_machine::table::Table;
use io_state_machine::tables::{
    BEACON, BRIDGE, CATALOGUE, CHAIN, CLOCK, PARAMS, PRICE, SETTLEMENTS, SPECS, VALIDATORS,
    VERIFIERS,
};
use io_storage::View;
use io_types::api::Status;
use io_types::catalogue::Catalogue;
use io_types::params::ChainFacts;
use io_types::row::{BeaconState, BridgeState, PriceState, ValidatorRow, VerifierRow};
use io_types::{BatchNumber, Hash, Height, Params};
use serde::Serialize;

use super::failure::Failure;
use super::pages::the_row;
use super::{Api, MIN_CLIENT_VERSION};
use crate::chain::Chain;
use crate::metrics::Gauge;

pub(super) async fn status(State(api): State<Api>) -> Result<Json<Status>, Failure> {
    let catching_up = api.rpc.is_catching_up().await;
    let mut notes = api.chain.report.notes();
    if let Err(error) = &catching_up {
        notes.push(error.to_string());
    }
    let view = api.chain.machine.store().snapshot();
    notes.extend(api.chain.voters.notes(&rows(&view, &VALIDATORS)?));
    let facts = the_row(&view, &CHAIN)?;
    let Clock {
        block_time,
        chain_time,
        ..
    } = the_row(&view, &CLOCK)?;
    Ok(Json(Status {
        chain_id: facts.chain_id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        min_client_version: MIN_CLIENT_VERSION.to_owned(),
        height: Height(view.height()),
        app_hash: Hash(view.app_hash()),
        block_time,
        chain_time,
        epoch: chain_time.epoch(),
        slot: chain_time.slot(),
        scale: facts.scale,
        catching_up: catching_up.unwrap_or(true),
        moniker: api.moniker.to_string(),
        notes,
    }))
}

fn row<V: BorshSerialize + BorshDeserialize>(
    api: &Api,
    table: &Table<(), V>,
) -> Result<Json<V>, Failure> {
    let view = api.chain.machine.store().snapshot();
    the_row(&view, table).map(Json)
}

pub(super) async fn params(State(api): State<Api>) -> Result<Json<Params>, Failure> {
    row(&api, &PARAMS)
}

pub(super) async fn catalogue(State(api): State<Api>) -> Result<Json<Catalogue>, Failure> {
    row(&api, &CATALOGUE)
}

pub(super) async fn facts(State(api): State<Api>) -> Result<Json<ChainFacts>, Failure> {
    row(&api, &CHAIN)
}

pub(super) async fn price(State(api): State<Api>) -> Result<Json<PriceState>, Failure> {
    row(&api, &PRICE)
}

pub(super) async fn bridge(State(api): State<Api>) -> Result<Json<BridgeState>, Failure> {
    row(&api, &BRIDGE)
}

pub(super) async fn beacon(State(api): State<Api>) -> Result<Json<BeaconState>, Failure> {
    row(&api, &BEACON)
}

/// Every row of a small table.
fn all<K: io_state_machine::table::Key, V: BorshSerialize + BorshDeserialize>(
    api: &Api,
    table: &Table<K, V>,
) -> Result<Json<Vec<V>>, Failure> {
    let view = api.chain.machine.store().snapshot();
    Ok(Json(rows(&view, table)?))
}

fn rows<K: io_state_machine::table::Key, V: BorshSerialize + BorshDeserialize>(
    view: &View<'_>,
    table: &Table<K, V>,
) -> Result<Vec<V>, io_storage::Fault> {
    let mut rows = Vec::new();
    table.visit(view, None, &mut |_key, row| {
        rows.push(row);
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(rows)
}

pub(super) async fn verifiers(State(api): State<Api>) -> Result<Json<Vec<VerifierRow>>, Failure> {
    all(&api, &VERIFIERS)
}

pub(super) async fn validators(State(api): State<Api>) -> Result<Json<Vec<ValidatorRow>>, Failure> {
    all(&api, &VALIDATORS)
}

/// What the app hash is made of: where two nodes differ, this says in which table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct AppHashView {
    /// The height.
    pub height: Height,
    /// The app hash after it; the header of the next height carries it.
    pub app_hash: Hash,
    /// Each table, in the order of the list that the hash commits to.
    pub tables: Vec<TableView>,
}

/// One table under the app hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct TableView {
    /// Its number.
    pub id: u8,
    /// Its name.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Levels of its tree.
    pub depth: u8,
    /// Its root.
    pub root: Hash,
}

impl AppHashView {
    /// As of a view.
    ///
    /// # Errors
    /// A table of the list is not in the store.
    pub fn of(view: &View<'_>) -> Result<Self, io_storage::Fault> {
        let head = view.head();
        let mut tables = Vec::new();
        for spec in SPECS {
            let rows = view.len(spec.id)?;
            let (depth, root) = head
                .tables
                .get(&spec.id)
                .map_or((0, [0; 32]), |table| (table.depth, table.root));
            tables.push(TableView {
                id: spec.id.0,
                name: spec.name.to_owned(),
                rows,
                depth,
                root: Hash(root),
            });
        }
        Ok(Self {
            height: Height(view.height()),
            app_hash: Hash(view.app_hash()),
            tables,
        })
    }
}

pub(super) async fn app_hash(State(api): State<Api>) -> Result<Json<AppHashView>, Failure> {
    let view = api.chain.machine.store().snapshot();
    Ok(Json(AppHashView::of(&view)?))
}

/// The metrics, with what is read from the state now.
pub(super) fn metrics(chain: &Chain) -> String {
    let solana = chain.report.solana_status();
    let view = chain.machine.store().snapshot();
    let bridge = BRIDGE.read(&view, &()).ok().flatten();
    let price = PRICE.read(&view, &()).ok().flatten();
    let clock = CLOCK.read(&view, &()).ok().flatten();
    let newest = bridge
        .as_ref()
        .map_or(BatchNumber(0), |bridge| bridge.newest_batch);
    let batch = SETTLEMENTS.read(&view, &newest).ok().flatten();
    let validators = rows(&view, &VALIDATORS).unwrap_or_default();
    let voters = chain.voters.metrics(&validators, &view);
    drop(view);
    let credited = bridge.as_ref().map_or(0, |bridge| bridge.deposit_number);
    let settled = bridge
        .as_ref()
        .and_then(|bridge| bridge.last_settle.as_ref())
        .map_or(0, |last| last.number.0);
    let closed = bridge
        .as_ref()
        .is_some_and(|bridge| bridge.withdrawals_closed.is_some());
    let age = match (&price, &clock) {
        (Some(price), Some(clock)) => clock.block_time.0.saturating_sub(price.updated.0),
        _other => 0,
    };
    let missing = batch.as_ref().map_or(0, |batch| {
        batch.total_power.saturating_sub(batch.signed_power)
    });
    let gauges = [
        (
            "io_node_price_age_ms",
            "Block time since the last accepted price.",
            age,
        ),
        (
            "io_node_deposit_number",
            "Number of the last credited deposit.",
            credited,
        ),
        (
            "io_node_batch_newest",
            "Number of the newest settlement batch.",
            newest.0,
        ),
        (
            "io_node_batch_settled",
            "Number of the last batch settled on Solana.",
            settled,
        ),
        (
            "io_node_batch_missing_power",
            "Power that has not signed the newest batch.",
            missing,
        ),
        (
            "io_node_withdrawals_closed",
            "1 while withdrawals are closed by the invariant.",
            u64::from(closed),
        ),
    ];
    let gauges = [&gauges[..], &solana_gauges(solana.as_ref(), credited)].concat();
    chain.metrics.render(&gauges, &voters.unwrap_or_default())
}

/// What this validator sees of Solana; `credited` deposits are on the chain.
fn solana_gauges(status: Option<&ReaderStatus>, credited: u64) -> [Gauge; 5] {
    let seen = status.and_then(|status| status.deposit_number);
    let slot = status.and_then(|status| status.slot).unwrap_or(0);
    [
        (
            "io_node_deposits_lag",
            "Final deposits that this validator sees and the chain has not credited.",
            seen.unwrap_or(credited).saturating_sub(credited),
        ),
        (
            "io_node_solana_slot",
            "Finalized slot that this validator last saw.",
            slot,
        ),
        (
            "io_node_solana_lag_slots",
            "Slots behind the best endpoint.",
            status.map_or(0, |status| status.lag_slots),
        ),
        (
            "io_node_solana_reporting",
            "1 while this validator reports what it sees of Solana.",
            u64::from(status.is_some_and(|status| status.reporting)),
        ),
        (
            "io_node_solana_alarm",
            "1 while the endpoints disagree, or the program was upgraded.",
            u64::from(status.is_some_and(|status| status.alarm.is_some())),
        ),
    ]
}
