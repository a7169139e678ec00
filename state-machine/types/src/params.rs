//! Consensus parameters. They live in state; no operator file can change them.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::amount::{Amount, BasisPoints};
use crate::time::ChainTime;

/// All parameters, by component. Table `params`, one row. Durations are chain time unless the name says blocks.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Transactions.
    pub admission: AdmissionParams,
    /// Market.
    pub market: MarketParams,
    /// Uptime.
    pub uptime: UptimeParams,
    /// Stake.
    pub stake: StakeParams,
    /// Rewards.
    pub reward: RewardParams,
    /// Verification.
    pub verification: VerificationParams,
    /// Prices.
    pub price: PriceParams,
    /// Settlement.
    pub settlement: SettlementParams,
}

/// Parameters of admission.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionParams {
    /// Fee of a transaction that is not a duty, IO base units.
    pub fee: Amount,
    /// Lanes of an account.
    pub lanes: u16,
    /// How far ahead a transaction may expire, blocks.
    pub expiry_blocks_max: u64,
}

impl Default for AdmissionParams {
    fn default() -> Self {
        Self {
            fee: Amount::new(10_000),
            lanes: 16,
            expiry_blocks_max: 100_000,
        }
    }
}

/// Parameters of the market.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarketParams {
    /// Reservation fee on both sides.
    pub reservation: BasisPoints,
    /// Facilitation fee on each leg in USDC.
    pub facilitation: BasisPoints,
    /// Longest time in blocks that an order may stay open.
    pub open_blocks_max: u32,
    /// Open orders of one renter.
    pub open_orders_max: u32,
    /// Orders tried per block.
    pub match_orders_max: u32,
    /// Steps of matching per block: shelves opened and devices looked at. The order at which they end is still tried whole.
    pub match_steps_max: u32,
    /// Delivery is due that long after the match, ms.
    pub deliver_within_ms: u64,
    /// NotDelivered may be said that long after delivery, ms.
    pub not_delivered_within_ms: u64,
    /// A part is paid at least that often, ms.
    pub pay_every_ms: u64,
    /// A part ends when its device is Down for longer, ms.
    pub down_ends_part_ms: u64,
    /// USDC/USD outside 1 ± this stops orders in USDC.
    pub usdc_band: BasisPoints,
    /// Share of the distance to 10 000 that a finished booking moves reputation: one in.
    pub reputation_booking_one_in: u32,
    /// Share of the reputation that a failed booking takes: one in.
    pub reputation_failure_one_in: u32,
}

impl Default for MarketParams {
    fn default() -> Self {
        Self {
            reservation: BasisPoints(25),
            facilitation: BasisPoints(200),
            open_blocks_max: 86_400,
            open_orders_max: 4096,
            match_orders_max: 100_000,
            match_steps_max: 200_000,
            deliver_within_ms: 600_000,
            not_delivered_within_ms: 900_000,
            pay_every_ms: 86_400_000,
            down_ends_part_ms: 300_000,
            usdc_band: BasisPoints(100),
            reputation_booking_one_in: 64,
            reputation_failure_one_in: 4,
        }
    }
}

/// Parameters of uptime.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UptimeParams {
    /// Slots after a slot's end in which its link still counts.
    pub late_slots: u64,
    /// Missed slots beyond the late window that make a device Down.
    pub down_after_slots: u64,
    /// Slots that a link may skip.
    pub skip_slots_max: u64,
    /// Longest chain, slots.
    pub chain_slots_max: u16,
    /// Registered carriers of heartbeats.
    pub carriers: Vec<crate::id::AccountId>,
}

impl Default for UptimeParams {
    fn default() -> Self {
        Self {
            late_slots: 1,
            down_after_slots: 3,
            skip_slots_max: 60,
            chain_slots_max: 1440,
            carriers: Vec::new(),
        }
    }
}

/// Parameters of stake.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StakeParams {
    /// Least stake for each processor of multiplier at most one, IO.
    pub per_processor: Amount,
    /// Cooldown, ms.
    pub cooldown_ms: u64,
}

impl Default for StakeParams {
    fn default() -> Self {
        Self {
            per_processor: Amount::new(200 * 100_000_000),
            cooldown_ms: 14 * 86_400_000,
        }
    }
}

/// Parameters of rewards (mode `fixed`).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardParams {
    /// The safety module's share of the pot.
    pub safety: BasisPoints,
    /// The enterprise pool's share of the rest.
    pub enterprise: BasisPoints,
    /// Consecutive full epochs that nomination needs.
    pub nomination_epochs: u32,
    /// Share of the counted slots that a full epoch has up.
    pub uptime_share: BasisPoints,
    /// Oldest pass that nomination takes, ms.
    pub pass_age_max_ms: u64,
    /// Rewards can be collected that long after their epoch closed, ms.
    pub collect_after_ms: u64,
    /// Least Σ base of the enterprise pool, thousandths.
    pub base_min_enterprise: u64,
    /// Least Σ base of the community pool, thousandths.
    pub base_min_community: u64,
    /// Epochs closed in one block.
    pub boundaries_per_block_max: u32,
    /// Devices worked off in one block while an epoch is closed; each counts twice, once in each pass.
    pub close_devices_max: u32,
    /// Epochs of device results that are kept.
    pub results_keep_epochs: u64,
    /// The duty fund's share of the fees.
    pub duty: BasisPoints,
    /// The share of revenue that burns.
    pub burn: BasisPoints,
}

impl Default for RewardParams {
    fn default() -> Self {
        Self {
            safety: BasisPoints(0),
            enterprise: BasisPoints(9500),
            nomination_epochs: 5,
            uptime_share: BasisPoints(9500),
            pass_age_max_ms: 86_400_000,
            collect_after_ms: 86_400_000,
            base_min_enterprise: 0,
            base_min_community: 0,
            boundaries_per_block_max: 24,
            close_devices_max: 4_000,
            results_keep_epochs: 48,
            duty: BasisPoints(1000),
            burn: BasisPoints(5000),
        }
    }
}

/// Parameters of verification.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerificationParams {
    /// Blocks of a beacon window.
    pub window_blocks: u64,
    /// Verifiers drawn.
    pub quorum: u16,
    /// Blocks to commit nonces.
    pub nonce_blocks: u64,
    /// Blocks for openings and verdict commitments after the answer.
    pub verdict_blocks: u64,
    /// Blocks to reveal.
    pub reveal_blocks: u64,
    /// Mean time between challenges of one device, ms.
    pub interval_ms: u64,
    /// Longest time without one, ms.
    pub interval_max_ms: u64,
    /// Share above the reference that phase A may take.
    pub phase_a_slack: BasisPoints,
    /// Share above the reference that phase B may take.
    pub phase_b_slack: BasisPoints,
    /// Milliseconds on top of both.
    pub slack_ms: u32,
    /// Redraws without a decision.
    pub redraws_max: u8,
    /// A verifier's task bond, IO.
    pub task_bond: Amount,
    /// What a verifier loses that does not show up, IO.
    pub no_show_fee: Amount,
    /// Bond of a fraud report, IO.
    pub fraud_bond: Amount,
    /// Share of a device's stake that a proven false answer costs.
    pub fraud_slash: BasisPoints,
    /// Fixed fee of the reporter, IO, from the duty fund; at most half of the slash.
    pub fraud_fee: Amount,
    /// Blocks after the decision in which a fraud proof is taken.
    pub dispute_blocks: u64,
    /// Challenges in the works at one time.
    pub running_max: u32,
}

impl Default for VerificationParams {
    fn default() -> Self {
        Self {
            window_blocks: 5,
            quorum: 5,
            nonce_blocks: 5,
            verdict_blocks: 40,
            reveal_blocks: 5,
            interval_ms: 14_400_000,
            interval_max_ms: 72_000_000,
            phase_a_slack: BasisPoints(2000),
            phase_b_slack: BasisPoints(2500),
            slack_ms: 500,
            redraws_max: 3,
            task_bond: Amount::new(10_000_000_000),
            no_show_fee: Amount::new(100_000_000),
            fraud_bond: Amount::new(1_000_000_000),
            fraud_slash: BasisPoints(1000),
            fraud_fee: Amount::new(1_000_000_000),
            dispute_blocks: 100,
            running_max: 10_000,
        }
    }
}

/// Parameters of prices. Ages are block time.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceParams {
    /// Oldest publish time that counts, ms of block time.
    pub publish_age_max_ms: u64,
    /// Largest move in one block.
    pub move_max: BasisPoints,
    /// Older than this is stale, ms of block time.
    pub stale_ms: u64,
    /// Price at genesis, micro-USD per IO.
    pub genesis_price: u64,
    /// First window of the average, minutes of block time.
    pub short_minutes: u64,
    /// Second window, minutes of block time.
    pub long_minutes: u64,
}

impl Default for PriceParams {
    fn default() -> Self {
        Self {
            publish_age_max_ms: 60_000,
            move_max: BasisPoints(1000),
            stale_ms: 600_000,
            genesis_price: 150_000,
            short_minutes: 30,
            long_minutes: 60,
        }
    }
}

/// Parameters of settlement.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettlementParams {
    /// Deposits credited in one block.
    pub deposits_per_block_max: u16,
    /// Least withdrawal by bridged asset number, base units.
    pub withdraw_min: [Amount; 2],
    /// Batches whose signatures are still collected.
    pub open_batches: u64,
}

impl Default for SettlementParams {
    fn default() -> Self {
        Self {
            deposits_per_block_max: 16,
            withdraw_min: [Amount::new(1_000_000), Amount::new(10_000)],
            open_batches: 4,
        }
    }
}

/// Fixed facts of the chain. Table `chain`, one row.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ChainFacts {
    /// The chain's id.
    pub chain_id: String,
    /// How block time becomes chain time.
    pub scale: crate::time::TimeScale,
    /// First instant of month 1 of the emission schedule: the first instant of a UTC month.
    pub schedule_start: ChainTime,
    /// What the schedule gave before `chain_start`, IO base units.
    pub emitted_before: Amount,
}
