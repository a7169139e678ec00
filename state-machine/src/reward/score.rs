//! The arithmetic of rewards: base scores and the split of an hour's pot. Pure functions over numbers.

use io_types::amount::mul_div_floor;
use io_types::catalogue::Pool;
use io_types::{Amount, BasisPoints};

/// Base score in exact thousandths: ((0.02·tier/4 + 2·M·Q)·100 + 0.05·hired)·10.
///
/// `multiplier_milli` is M in thousandths. `None` if it does not fit.
pub fn base_score(multiplier_milli: u32, quantity: u16, tier: u8, hired: bool) -> Option<u64> {
    // ×1000 for thousandths: tier gives 0.02/4·100·10·1000 = 5000 each, 2·M·Q gives 2·100·10 for each thousandth of M.
    let connectivity = u64::from(tier).checked_mul(5000)?;
    let work = u64::from(multiplier_milli)
        .checked_mul(u64::from(quantity))?
        .checked_mul(2000)?;
    connectivity
        .checked_add(work)?
        .checked_add(if hired { 500 } else { 0 })
}

/// One device that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its pool.
    pub pool: Pool,
    /// Its base score, thousandths.
    pub base: u64,
}

/// How a pot was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The safety module's share.
    pub safety: Amount,
    /// Of each device, in the order given.
    pub rewards: Vec<Amount>,
    /// What is left: empty pools and rounding.
    pub to_vault: Amount,
}

/// The rule's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitRule {
    /// The safety module's share of the pot.
    pub safety: BasisPoints,
    /// The enterprise pool's share of the rest.
    pub enterprise: BasisPoints,
    /// Least Σ base of the enterprise pool.
    pub base_min_enterprise: u64,
    /// Least Σ base of the community pool.
    pub base_min_community: u64,
}

/// Splits a pot: safety = ⌊pot·s⌋, enterprise = ⌊rest·e⌋, community = the remainder,
/// reward = ⌊pool·base / max(Σ base of the pool, its minimum)⌋; what is not given is left over.
///
/// `None` if a sum does not fit.
pub fn split(pot: Amount, rule: &SplitRule, devices: &[Share]) -> Option<Split> {
    let safety = pot.mul_div_floor(rule.safety.get(), BasisPoints::WHOLE)?;
    let rest = pot.checked_sub(safety)?;
    let enterprise = rest.mul_div_floor(rule.enterprise.get(), BasisPoints::WHOLE)?;
    let community = rest.checked_sub(enterprise)?;
    let sum = |pool: Pool| {
        let of_pool = devices.iter().filter(move |share| share.pool == pool);
        of_pool
            .map(|share| share.base)
            .try_fold(0_u64, u64::checked_add)
    };
    let sum_enterprise = sum(Pool::Enterprise)?.max(rule.base_min_enterprise);
    let sum_community = sum(Pool::Community)?.max(rule.base_min_community);
    let mut left = rest;
    let mut rewards = Vec::with_capacity(devices.len());
    for share in devices {
        let (pool, whole) = match share.pool {
            Pool::Enterprise => (enterprise, sum_enterprise),
            Pool::Community => (community, sum_community),
        };
        let reward = Amount::new(mul_div_floor(pool.get(), share.base, whole.max(1))?);
        left = left.checked_sub(reward)?;
        rewards.push(reward);
    }
    Some(Split {
        safety,
        rewards,
        to_vault: left,
    })
}
