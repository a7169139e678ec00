//! What follows from a spec for the Solana side.

use io_settlement::emission::{Schedule, TimeParams};
use io_settlement::instruction::Initialize;
use io_settlement::members::{Member, MemberSet};
use io_settlement::{Bytes32, Error, PerAsset, batch, deposit};
use io_types::asset::Asset;
use io_types::genesis::GenesisSpec;

const SECOND_MS: u64 = 1000;

/// The first set epoch of a network.
const FIRST_SET_EPOCH: u64 = 1;

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

/// The validators' settlement keys as the program's first member set. Errors: those of [`MemberSet::new`].
pub fn member_set(spec: &GenesisSpec) -> Result<MemberSet, Error> {
    let members = spec.validators.iter().map(|validator| Member {
        key: validator.settlement_key.0,
        power: validator.power,
    });
    MemberSet::new(FIRST_SET_EPOCH, members.collect())
}

/// Data of the program's `initialize` for this spec.
pub fn initialize(spec: &GenesisSpec, deposit_min: PerAsset<u64>, flags: u8) -> Initialize {
    Initialize {
        cluster_genesis: spec.bridge.cluster.0,
        chain_id: batch::chain_id_hash(&spec.chain_id),
        deposit_min,
        on_chain: on_chain(spec),
        flags,
        time: time_params(spec),
    }
}

/// What the genesis puts on the chain, base units per bridged asset; the vaults must hold it.
pub(crate) fn on_chain(spec: &GenesisSpec) -> PerAsset<u64> {
    Asset::BRIDGED.map(|asset| {
        let amounts = spec
            .balances
            .iter()
            .filter(|balance| balance.asset == asset)
            .map(|balance| balance.amount.get());
        amounts.fold(0, u64::saturating_add)
    })
}

/// Figures that people compare before they trust a genesis.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// The chain's id.
    pub chain_id: String,
    /// Block time of genesis.
    pub genesis_time: String,
    /// Chain time of genesis.
    pub chain_start: String,
    /// Real seconds of an epoch.
    pub epoch_seconds: u32,
    /// First instant of month 1 of the schedule.
    pub schedule_start: String,
    /// What the schedule gave before, IO base units.
    pub emitted_before: u64,
    /// The pot of the first epoch, IO base units.
    pub first_pot: u64,
    /// IO that the vaults must hold, base units.
    pub on_chain_io: u64,
    /// USDC that the vault must hold, base units.
    pub on_chain_usdc: u64,
    /// Validators and their power, in order of address.
    pub validators: Vec<(String, u64)>,
    /// Verifiers.
    pub verifiers: usize,
    /// Classes and models of the catalogue.
    pub classes: usize,
    /// Models of the catalogue.
    pub models: usize,
    /// Pairs of models accepted by name.
    pub accepted_pairs: usize,
    /// Hash of the program's first member set, hexadecimal.
    pub member_set: String,
    /// The rolling hash before any deposit, hexadecimal.
    pub first_deposit_hash: String,
    /// SHA-256 of the spec's JSON, hexadecimal: what operators sign off.
    pub spec_sha256: String,
}

impl Facts {
    /// Of a spec that passed [`crate::check`]. Errors: the settlement keys form no member set.
    pub fn of(spec: &GenesisSpec) -> Result<Self, Error> {
        let time = time_params(spec);
        let [on_chain_io, on_chain_usdc] = on_chain(spec);
        let mints: PerAsset<Bytes32> = [spec.bridge.io_mint.0, spec.bridge.usdc_mint.0];
        let chain_id = batch::chain_id_hash(&spec.chain_id);
        let first = deposit::first_hash(
            &spec.bridge.cluster.0,
            &spec.bridge.program.0,
            &chain_id,
            &mints,
        );
        let validators = spec.validators.iter();
        Ok(Self {
            chain_id: spec.chain_id.clone(),
            genesis_time: crate::clock::format(spec.genesis_time.0),
            chain_start: crate::clock::format(spec.chain_start.0),
            epoch_seconds: spec.epoch_seconds,
            schedule_start: crate::clock::format(spec.schedule_start.0),
            emitted_before: time.emitted_before,
            first_pot: time.pot(time.chain_start),
            on_chain_io,
            on_chain_usdc,
            validators: validators
                .map(|one| (one.moniker.clone(), one.power))
                .collect(),
            verifiers: spec.verifiers.len(),
            classes: spec.catalogue.classes.len(),
            models: spec.catalogue.models.len(),
            accepted_pairs: spec.accepted_pairs.len(),
            member_set: hex::encode(member_set(spec)?.hash()),
            first_deposit_hash: hex::encode(first),
            spec_sha256: io_types::codec::sha256(crate::spec_json(spec).as_bytes()).to_string(),
        })
    }
}
