//! Stake of devices, and the sum of all stakes that the batches carry to Solana.
//!
//! Owns table `stakes`. Staked money stays in its owner's account under a hold that names the device.

mod action;

use io_storage::Fault;
use io_types::amount::{mul_div_ceil, mul_div_floor};
use io_types::catalogue::{Catalogue, Model};
use io_types::params::StakeParams;
use io_types::row::{Device, Stake};
use io_types::{Amount, DeviceId};

use crate::context::BlockContext;
use crate::error::broken;
use crate::state::State;
use crate::tables::{BRIDGE, STAKES};

/// The model whose M, pool and stake hold for a device: the claimed one if its class was granted or none is granted yet,
/// else the lowest of the granted class.
pub fn terms<'c>(block: &'c BlockContext, device: &Device) -> Option<&'c Model> {
    terms_of(&block.catalogue, device)
}

fn terms_of<'c>(catalogue: &'c Catalogue, device: &Device) -> Option<&'c Model> {
    let claimed = catalogue
        .models
        .binary_search_by_key(&device.spec.model, |model| model.id)
        .ok()
        .and_then(|index| catalogue.models.get(index));
    let Some(granted) = device.class else {
        return claimed;
    };
    if claimed.is_some_and(|model| model.class == granted) {
        return claimed;
    }
    catalogue
        .models
        .iter()
        .filter(|model| model.class == granted)
        .min_by_key(|model| (model.multiplier_milli, model.id))
}

/// Least stake of a device, owner and co-staker together: per processor × max(1, M) × Q, rounded up.
pub fn minimum(block: &BlockContext, device: &Device) -> Amount {
    least(&block.params.stake, &block.catalogue, device)
}

/// The same under other rules than a block's.
pub fn least(params: &StakeParams, catalogue: &Catalogue, device: &Device) -> Amount {
    let multiplier = terms_of(catalogue, device)
        .map_or(0, |model| model.multiplier_milli)
        .max(1000);
    let one = mul_div_ceil(params.per_processor.get(), u64::from(multiplier), 1000);
    let all = one.and_then(|one| mul_div_floor(one, u64::from(device.spec.quantity), 1));
    Amount::new(all.unwrap_or(u64::MAX))
}

/// What of a stake counts: nothing in cooldown.
pub fn counts(stake: Option<&Stake>) -> Amount {
    stake
        .filter(|stake| stake.exit.is_none())
        .map_or(Amount::ZERO, |stake| stake.amount)
}

/// What a device has staked and counts.
pub fn counting(state: &State<'_>, device: DeviceId) -> Result<Amount, Fault> {
    Ok(counts(STAKES.get(state, &device)?.as_ref()))
}

/// A device's stake, if it has one.
pub fn read(state: &State<'_>, device: DeviceId) -> Result<Option<Stake>, Fault> {
    STAKES.get(state, &device)
}

/// Whether a device has the stake that hire and rewards need.
pub fn is_enough(state: &State<'_>, block: &BlockContext, device: &Device) -> Result<bool, Fault> {
    Ok(counting(state, device.id)? >= minimum(block, device))
}

/// Keeps the sum of all stakes.
pub fn count(state: &mut State<'_>, more: Amount, less: Amount) -> Result<(), Fault> {
    let mut bridge = BRIDGE.expect(state, &(), "genesis writes it")?;
    bridge.staked = bridge
        .staked
        .checked_add(more)
        .and_then(|sum| sum.checked_sub(less))
        .ok_or_else(|| broken("stake", "the sum of all stakes is out of range"))?;
    BRIDGE.put(state, &(), &bridge);
    Ok(())
}

/// Takes a share of a device's stake away, to `to`. Says how much.
pub fn slash(
    state: &mut State<'_>,
    device: DeviceId,
    share: io_types::BasisPoints,
    to: io_types::SystemAccount,
) -> Result<Amount, Fault> {
    let Some(mut stake) = STAKES.get(state, &device)? else {
        return Ok(Amount::ZERO);
    };
    let taken = stake.amount.mul_div_floor(
        share.get().min(io_types::BasisPoints::WHOLE),
        io_types::BasisPoints::WHOLE,
    );
    let taken = taken.unwrap_or(Amount::ZERO);
    if taken.is_zero() {
        return Ok(taken);
    }
    crate::ledger::post(state, stake.hold, to, taken)?;
    stake.amount = stake.amount.saturating_sub(taken);
    if stake.amount.is_zero() {
        STAKES.delete(state, &device)?;
    } else {
        STAKES.put(state, &device, &stake)?;
    }
    count(state, Amount::ZERO, taken)?;
    Ok(taken)
}
