//! What `initialize` binds, out of a genesis.

use io_settlement::emission::{Schedule, TimeParams};
use io_settlement::instruction::Initialize;
use io_settlement::members::{Member, MemberSet};
use io_settlement::{Error, PerAsset, batch};
use io_types::Asset;
use io_types::genesis::GenesisSpec;
use serde::Deserialize;

const SECOND_MS: u64 = 1000;

/// The first set epoch of a network.
const FIRST_SET_EPOCH: u64 = 1;

/// Reads a spec, alone or as the app state of the consensus engine's genesis. Errors name line and column.
pub fn parse_spec(text: &str) -> serde_json::Result<GenesisSpec> {
    #[derive(Deserialize)]
    struct Document {
        app_state: GenesisSpec,
    }
    if text.contains("\"app_state\"") {
        serde_json::from_str(text).map(|document: Document| document.app_state)
    } else {
        serde_json::from_str(text)
    }
}

/// Chain time and emission as the program binds them. The program counts real time in seconds: its genesis is the second that holds
/// `genesis_time`, so that its ceiling is never behind the chain's.
pub fn time_params(spec: &GenesisSpec) -> TimeParams {
    let schedule = Schedule::Table;
    let schedule_start = spec.schedule_start.0.div_euclid(SECOND_MS);
    let chain_start = spec.chain_start.0.div_euclid(SECOND_MS);
    TimeParams {
        genesis_time: spec.genesis_time.0.div_euclid(SECOND_MS),
        chain_start,
        epoch_seconds: u64::from(spec.epoch_seconds),
        schedule,
        schedule_start,
        emitted_before: schedule.emitted_at(schedule_start, chain_start),
    }
}

/// The validators' settlement keys as the program's first member set.
///
/// # Errors
/// Those of [`MemberSet::new`].
pub fn member_set(spec: &GenesisSpec) -> Result<MemberSet, Error> {
    let members = spec.validators.iter().map(|validator| Member {
        key: validator.settlement_key.0,
        power: validator.power,
    });
    MemberSet::new(FIRST_SET_EPOCH, members.collect())
}

/// Data of the program's `initialize`: smallest deposits in base units, flags as in [`io_settlement::instruction`].
pub fn initialize(spec: &GenesisSpec, deposit_min: PerAsset<u64>, flags: u8) -> Initialize {
    let on_chain = Asset::BRIDGED.map(|asset| {
        let balances = spec
            .balances
            .iter()
            .filter(|balance| balance.asset == asset);
        balances
            .map(|balance| balance.amount.get())
            .fold(0, u64::saturating_add)
    });
    Initialize {
        cluster_genesis: spec.bridge.cluster.0,
        chain_id: batch::chain_id_hash(&spec.chain_id),
        deposit_min,
        on_chain,
        flags,
        time: time_params(spec),
    }
}
