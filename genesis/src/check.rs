//! Every rule that a spec must keep. The node applies them again when it starts a chain.

mod catalogue;
mod pairs;
mod people;

use io_settlement::emission::{Schedule, TimeParams};
use io_types::asset::Asset;
use io_types::genesis::GenesisSpec;
use io_types::id::Hash;
use io_types::params::Params;
use io_types::time::EPOCH_MS;

pub use pairs::{UnfairPair, unfair_pairs};

use crate::clock;
use crate::problem::Problem;

const CHAIN_ID_MIN: usize = 3;
const CHAIN_ID_MAX: usize = 50;
const EPOCH_SECONDS_MAX: u32 = 3600;
const WHOLE: u64 = 10_000;

/// Every rule that the spec breaks; none if it is sound.
pub fn check(spec: &GenesisSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    network(spec, &mut problems);
    bridge(spec, &mut problems);
    people::check(spec, &mut problems);
    catalogue::check(&spec.catalogue, &mut problems);
    params(spec, &mut problems);
    pairs::check(spec, &mut problems);
    problems
}

fn network(spec: &GenesisSpec, problems: &mut Vec<Problem>) {
    let id = &spec.chain_id;
    let letters = id
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !letters || !(CHAIN_ID_MIN..=CHAIN_ID_MAX).contains(&id.len()) {
        problems.push(Problem::ChainId { id: id.clone() });
    }
    if spec.epoch_seconds == 0 || spec.epoch_seconds > EPOCH_SECONDS_MAX {
        problems.push(Problem::EpochSeconds {
            seconds: spec.epoch_seconds,
        });
    }
    let chain_start = spec.chain_start.0;
    let into_hour = chain_start.rem_euclid(EPOCH_MS);
    if into_hour != 0 {
        problems.push(Problem::ChainStart {
            text: clock::format(chain_start),
            hour: clock::format(chain_start.saturating_sub(into_hour)),
        });
    }
    if !is_month_start(spec.schedule_start.0) {
        problems.push(Problem::ScheduleStart {
            text: clock::format(spec.schedule_start.0),
        });
    }
}

/// Asks the schedule itself, with everything else at a value that it takes.
fn is_month_start(ms: u64) -> bool {
    let schedule_start = ms.div_euclid(1000);
    let probe = TimeParams {
        genesis_time: 0,
        chain_start: 0,
        epoch_seconds: 1,
        schedule: Schedule::Table,
        schedule_start,
        emitted_before: 0,
    };
    ms.rem_euclid(1000) == 0 && probe.check().is_ok()
}

fn bridge(spec: &GenesisSpec, problems: &mut Vec<Problem>) {
    let bridge = &spec.bridge;
    let facts = [
        ("cluster", bridge.cluster.0),
        ("program", bridge.program.0),
        ("io_mint", bridge.io_mint.0),
        ("usdc_mint", bridge.usdc_mint.0),
    ];
    for (field, bytes) in facts {
        if bytes == Hash::ZERO.0 {
            problems.push(Problem::BridgeUnset { field });
        }
    }
    if bridge.io_mint == bridge.usdc_mint && bridge.io_mint.0 != Hash::ZERO.0 {
        problems.push(Problem::SameMint {
            mint: bridge.io_mint,
        });
    }
}

/// Shares, which are in basis points.
fn shares(params: &Params) -> [(&'static str, u64); 10] {
    [
        ("market.reservation", params.market.reservation.get()),
        ("market.facilitation", params.market.facilitation.get()),
        ("market.usdc_band", params.market.usdc_band.get()),
        ("reward.safety", params.reward.safety.get()),
        ("reward.enterprise", params.reward.enterprise.get()),
        ("reward.uptime_share", params.reward.uptime_share.get()),
        ("reward.duty", params.reward.duty.get()),
        ("reward.burn", params.reward.burn.get()),
        (
            "verification.fraud_slash",
            params.verification.fraud_slash.get(),
        ),
        ("price.move_max", params.price.move_max.get()),
    ]
}

/// Figures with the least value that each may have.
fn least(params: &Params) -> [(&'static str, u64, u64); 17] {
    let verification = &params.verification;
    [
        ("admission.lanes", u64::from(params.admission.lanes), 1),
        (
            "admission.expiry_blocks_max",
            params.admission.expiry_blocks_max,
            10,
        ),
        (
            "market.match_orders_max",
            u64::from(params.market.match_orders_max),
            1,
        ),
        (
            "market.match_steps_max",
            u64::from(params.market.match_steps_max),
            1,
        ),
        ("uptime.down_after_slots", params.uptime.down_after_slots, 1),
        (
            "uptime.chain_slots_max",
            u64::from(params.uptime.chain_slots_max),
            60,
        ),
        (
            "reward.close_devices_max",
            u64::from(params.reward.close_devices_max),
            1,
        ),
        (
            "reward.boundaries_per_block_max",
            u64::from(params.reward.boundaries_per_block_max),
            1,
        ),
        ("verification.window_blocks", verification.window_blocks, 5),
        ("verification.nonce_blocks", verification.nonce_blocks, 5),
        (
            "verification.verdict_blocks",
            verification.verdict_blocks,
            5,
        ),
        ("verification.reveal_blocks", verification.reveal_blocks, 5),
        ("verification.quorum", u64::from(verification.quorum), 3),
        ("price.genesis_price", params.price.genesis_price, 1),
        ("price.short_minutes", params.price.short_minutes, 1),
        (
            "settlement.deposits_per_block_max",
            u64::from(params.settlement.deposits_per_block_max),
            1,
        ),
        ("settlement.open_batches", params.settlement.open_batches, 1),
    ]
}

fn params(spec: &GenesisSpec, problems: &mut Vec<Problem>) {
    let params = &spec.params;
    for (field, value) in shares(params) {
        if value > WHOLE {
            problems.push(Problem::Param {
                field,
                value,
                rule: "a share is in basis points, 10 000 at most",
            });
        }
    }
    for (field, value, min) in least(params) {
        if value < min {
            problems.push(Problem::Param {
                field,
                value,
                rule: match min {
                    1 => "it must be above 0",
                    3 => "it must be 3 or more",
                    5 => "it must be 5 or more, so that no single proposer can censor",
                    10 => "it must be 10 or more",
                    _ => "it must be 60 or more",
                },
            });
        }
    }
    if params.price.long_minutes < params.price.short_minutes {
        problems.push(Problem::Param {
            field: "price.long_minutes",
            value: params.price.long_minutes,
            rule: "the second window must not be shorter than the first",
        });
    }
    if usize::from(params.verification.quorum) > spec.verifiers.len() {
        problems.push(Problem::Quorum {
            quorum: params.verification.quorum,
            verifiers: spec.verifiers.len(),
        });
    }
}

/// Pushes a problem at the first key that does not follow the one before.
fn ascending<K: Ord + Clone>(
    keys: impl Iterator<Item = K>,
    what: (&'static str, &'static str),
    show: impl Fn(&K) -> String,
    problems: &mut Vec<Problem>,
) {
    let mut last: Option<K> = None;
    for key in keys {
        if last.as_ref().is_some_and(|last| *last >= key) {
            problems.push(Problem::Order {
                list: what.0,
                by: what.1,
                key: show(&key),
            });
            return;
        }
        last = Some(key);
    }
}

/// What may exist of an asset at genesis, base units.
fn supply_max(asset: Asset, emitted_before: u64) -> u64 {
    const GENESIS_IO: u64 = 500_000_000 * 100_000_000;
    match asset {
        Asset::Io => GENESIS_IO.saturating_add(emitted_before),
        Asset::Usdc => u64::MAX,
        Asset::Credit => 0,
    }
}

#[cfg(test)]
mod tests;
