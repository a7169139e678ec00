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

/// A pot in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pots {
    /// The safety module's share.
    pub safety: Amount,
    /// The enterprise pool, and Σ base of its devices that succeeded (or the least of it).
    pub enterprise: (Amount, u64),
    /// The community pool, and the same of it.
    pub community: (Amount, u64),
}

/// Parts of a pot: safety = ⌊pot·s⌋, enterprise = ⌊rest·e⌋, community = the remainder. `sums` are Σ base of those that
/// succeeded, enterprise and community.
///
/// `None` if a number does not fit.
pub fn pots(pot: Amount, rule: &SplitRule, sums: (u64, u64)) -> Option<Pots> {
    let safety = pot.mul_div_floor(rule.safety.get(), BasisPoints::WHOLE)?;
    let rest = pot.checked_sub(safety)?;
    let enterprise = rest.mul_div_floor(rule.enterprise.get(), BasisPoints::WHOLE)?;
    let community = rest.checked_sub(enterprise)?;
    Some(Pots {
        safety,
        enterprise: (enterprise, sums.0.max(rule.base_min_enterprise)),
        community: (community, sums.1.max(rule.base_min_community)),
    })
}

impl Pots {
    /// What a device gets: ⌊pool·base / max(Σ base of the pool, its minimum)⌋. `None` if it does not fit.
    pub fn reward(&self, pool: Pool, base: u64) -> Option<Amount> {
        let (amount, whole) = match pool {
            Pool::Enterprise => self.enterprise,
            Pool::Community => self.community,
        };
        mul_div_floor(amount.get(), base, whole.max(1)).map(Amount::new)
    }
}

/// Splits a pot over devices; what is not given is left over.
///
/// `None` if a sum does not fit.
pub fn split(pot: Amount, rule: &SplitRule, devices: &[Share]) -> Option<Split> {
    let sum = |pool: Pool| {
        let of_pool = devices.iter().filter(move |share| share.pool == pool);
        of_pool
            .map(|share| share.base)
            .try_fold(0_u64, u64::checked_add)
    };
    let pots = pots(pot, rule, (sum(Pool::Enterprise)?, sum(Pool::Community)?))?;
    let mut left = pot.checked_sub(pots.safety)?;
    let mut rewards = Vec::with_capacity(devices.len());
    for share in devices {
        let reward = pots.reward(share.pool, share.base)?;
        left = left.checked_sub(reward)?;
        rewards.push(reward);
    }
    Some(Split {
        safety: pots.safety,
        rewards,
        to_vault: left,
    })
}
