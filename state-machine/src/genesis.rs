//! The first rows, from a checked genesis.

use std::collections::BTreeMap;

use io_settlement::batch::chain_id_hash;
use io_settlement::deposit::first_hash;
use io_settlement::emission::Schedule;
use io_storage::Fault;
use io_types::genesis::{GenesisSpec, GenesisVerifier};
use io_types::params::ChainFacts;
use io_types::row::{BeaconState, BridgeState, HoldPurpose, ValidatorRow, VerifierRow};
use io_types::{AccountId, Amount, Asset, BatchNumber, Hash, TimeScale};

use crate::context::{BlockContext, Clock};
use crate::error::must;
use crate::ledger::{self, Entry};
use crate::state::State;
use crate::tables::{
    BEACON, BRIDGE, CATALOGUE, CHAIN, CLOCK, PARAMS, PRICE, VALIDATORS, VERIFIERS,
};

/// The emission schedule of a network. (A second kind is a later genesis field.)
pub const SCHEDULE: Schedule = Schedule::Table;

/// Milliseconds to the seconds in which the emission schedule counts.
pub fn seconds(ms: u64) -> u64 {
    ms.div_euclid(1000)
}

/// Writes the rows of genesis. The spec was checked by `io-genesis`; what would break money is checked again here.
pub fn write(spec: &GenesisSpec, state: &mut State<'_>) -> Result<(), Fault> {
    write_facts(spec, state);
    write_bridge(spec, state)?;
    for balance in &spec.balances {
        let entered = ledger::enter(
            state,
            balance.account,
            balance.asset,
            balance.amount,
            Entry::Genesis,
        );
        must("genesis: balances", entered)?;
    }
    write_verifiers(&spec.verifiers, state)?;
    let block = BlockContext::load(state, io_types::Height(0), spec.genesis_time, Hash::ZERO)?;
    crate::reward::open_first_epoch(state, &block);
    Ok(())
}

/// Facts, parameters, catalogue, clock, price and beacon.
fn write_facts(spec: &GenesisSpec, state: &mut State<'_>) {
    let start = spec.chain_start;
    let emitted_before = SCHEDULE.emitted_at(seconds(spec.schedule_start.0), seconds(start.0));
    let facts = ChainFacts {
        chain_id: spec.chain_id.clone(),
        scale: TimeScale {
            genesis_time: spec.genesis_time,
            chain_start: start,
            epoch_seconds: spec.epoch_seconds,
        },
        schedule_start: spec.schedule_start,
        emitted_before: Amount::new(emitted_before),
    };
    CHAIN.put(state, &(), &facts);
    PARAMS.put(state, &(), &spec.params);
    CATALOGUE.put(state, &(), &spec.catalogue);
    let clock = Clock {
        block_time: spec.genesis_time,
        chain_time: start,
        next_slot: start.slot(),
        open_epoch: start.epoch(),
        seen_slots: vec![start.slot()],
        matched_through: None,
    };
    CLOCK.put(state, &(), &clock);
    let price = crate::price::at_genesis(&spec.params.price, spec.genesis_time);
    PRICE.put(state, &(), &price);
    let beacon = BeaconState {
        window: 0,
        value: Hash(chain_id_hash(&spec.chain_id)),
        links: Vec::new(),
        withheld: Vec::new(),
    };
    BEACON.put(state, &(), &beacon);
}

/// Validators, and the set that signs settlements.
fn write_bridge(spec: &GenesisSpec, state: &mut State<'_>) -> Result<(), Fault> {
    let mut members: BTreeMap<AccountId, u64> = BTreeMap::new();
    for validator in &spec.validators {
        let row = ValidatorRow {
            address: validator.address,
            consensus_key: validator.consensus_key,
            power: validator.power,
            settlement_key: validator.settlement_key,
            operator: validator.operator,
            beacon_link: validator.beacon_anchor,
            moniker: validator.moniker.clone(),
        };
        VALIDATORS.put(state, &validator.address, &row);
        if members
            .insert(validator.settlement_key, validator.power)
            .is_some()
        {
            return Err(Fault::new(
                "genesis",
                format!("settlement key {} stands twice", validator.settlement_key),
                "run `io-genesis check` on the genesis file",
            ));
        }
    }
    let bridge = &spec.bridge;
    let mints = [bridge.io_mint, bridge.usdc_mint];
    let first = first_hash(
        &bridge.cluster.0,
        &bridge.program.0,
        &chain_id_hash(&spec.chain_id),
        &mints.map(|mint| mint.0),
    );
    let row = BridgeState {
        cluster: bridge.cluster,
        program: bridge.program,
        mints,
        members: members.into_iter().collect(),
        set_epoch: 1,
        deposit_number: 0,
        deposit_hash: Hash(first),
        last_settle: None,
        withdrawals_closed: None,
        newest_batch: BatchNumber(0),
        staked: Amount::ZERO,
        payout_rows: [0, 0],
        payout_totals: [Amount::ZERO; 2],
    };
    BRIDGE.put(state, &(), &row);
    Ok(())
}

/// Verifiers stake from their balance at genesis.
fn write_verifiers(verifiers: &[GenesisVerifier], state: &mut State<'_>) -> Result<(), Fault> {
    for GenesisVerifier {
        account,
        url,
        stake,
    } in verifiers
    {
        let held = ledger::hold(
            state,
            *account,
            Asset::Io,
            *stake,
            HoldPurpose::Verifier(*account),
        );
        let hold = match held {
            Ok(hold) => hold,
            Err(error) => {
                return Err(Fault::new(
                    "genesis",
                    format!("verifier {account} cannot stake {stake}: {error}"),
                    "give it that balance in the genesis file",
                ));
            }
        };
        let row = VerifierRow {
            account: *account,
            url: url.clone(),
            stake: *stake,
            hold,
            active: true,
            lost: Amount::ZERO,
            missed: 0,
        };
        VERIFIERS.put(state, account, &row);
        crate::stake::count(state, *stake, Amount::ZERO)?;
    }
    Ok(())
}
