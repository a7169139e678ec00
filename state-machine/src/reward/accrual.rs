//! Accruals: rewards that were given and not collected yet.
//!
//! An accrual stands with the result that it is for. When the result goes, what is left of it moves to `old_rewards`.

use io_storage::{Fault, Snapshot};
use io_types::params::RewardParams;
use io_types::row::{Accrual, OldRewards, RewardState};
use io_types::{Amount, Asset, ChainTime, DeviceId, Epoch, SystemAccount};

use crate::context::BlockContext;
use crate::error::{broken, must};
use crate::ledger;
use crate::state::State;
use crate::tables::{DEVICE_RESULTS, OLD_REWARDS};

/// When an accrual can be collected that waits for the pulse at its booking's end.
pub const WITHHELD: ChainTime = ChainTime(u64::MAX);

/// When rewards of an epoch can be collected.
pub(super) fn collectable_at(params: &RewardParams, epoch: Epoch) -> ChainTime {
    epoch.next().start().plus_ms(params.collect_after_ms)
}

pub(super) fn add(sum: Amount, more: Amount) -> Result<Amount, Fault> {
    sum.checked_add(more)
        .ok_or_else(|| broken("reward", "a sum of rewards does not fit"))
}

/// The key of a device in an epoch, from the first epoch to the last.
fn all(device: DeviceId) -> ((DeviceId, Epoch), (DeviceId, Epoch)) {
    ((device, Epoch(0)), (device, Epoch(u64::MAX)))
}

/// Takes what a device has earned in the epochs up to `through` and can collect now. Says how much, and of how many epochs.
pub(super) fn take(
    state: &mut State<'_>,
    block: &BlockContext,
    device: DeviceId,
    through: Epoch,
) -> Result<(Amount, usize), Fault> {
    let (mut sum, mut epochs) = (Amount::ZERO, 0_usize);
    if let Some(old) = OLD_REWARDS.get(state, &device)?
        && old.through <= through
        && !old.ready.is_zero()
    {
        (sum, epochs) = (old.ready, 1);
        let ready = Amount::ZERO;
        put_old(state, device, OldRewards { ready, ..old })?;
    }
    for (key, mut row) in
        DEVICE_RESULTS.column(state.overlay(), &all(device).0, &(device, through))?
    {
        let ripe = collectable_at(&block.params.reward, key.1) <= block.now;
        if row.reward == RewardState::Accrued && ripe {
            sum = add(sum, row.result.reward)?;
            epochs = epochs.saturating_add(1);
            row.reward = RewardState::Gone;
            DEVICE_RESULTS.put(state, &key, &row)?;
        }
    }
    Ok((sum, epochs))
}

fn put_old(state: &mut State<'_>, device: DeviceId, row: OldRewards) -> Result<(), Fault> {
    if row.ready.is_zero() && row.withheld.is_zero() {
        return OLD_REWARDS.delete(state, &device);
    }
    OLD_REWARDS.put(state, &device, &row)
}

/// A passed pulse: what was withheld of this device can be collected after the usual time.
pub fn release(state: &mut State<'_>, device: DeviceId) -> Result<(), Fault> {
    let (first, last) = all(device);
    for (key, mut row) in DEVICE_RESULTS.column(state.overlay(), &first, &last)? {
        if row.reward == RewardState::Withheld {
            row.reward = RewardState::Accrued;
            DEVICE_RESULTS.put(state, &key, &row)?;
        }
    }
    if let Some(old) = OLD_REWARDS.get(state, &device)? {
        let row = OldRewards {
            ready: add(old.ready, old.withheld)?,
            withheld: Amount::ZERO,
            ..old
        };
        put_old(state, device, row)?;
    }
    Ok(())
}

/// A failed pulse: what is not yet collectable of this device at that time goes to Y1.
pub fn forfeit(
    state: &mut State<'_>,
    params: &RewardParams,
    now: ChainTime,
    device: DeviceId,
) -> Result<(), Fault> {
    let mut sum = Amount::ZERO;
    let (first, last) = all(device);
    for (key, mut row) in DEVICE_RESULTS.column(state.overlay(), &first, &last)? {
        let lost = match row.reward {
            RewardState::Gone => false,
            RewardState::Accrued => collectable_at(params, key.1) > now,
            RewardState::Withheld => true,
        };
        if lost {
            sum = add(sum, row.result.reward)?;
            row.reward = RewardState::Gone;
            DEVICE_RESULTS.put(state, &key, &row)?;
        }
    }
    if let Some(old) = OLD_REWARDS.get(state, &device)? {
        sum = add(sum, old.withheld)?;
        let withheld = Amount::ZERO;
        put_old(state, device, OldRewards { withheld, ..old })?;
    }
    let (from, to) = (SystemAccount::RewardPool, SystemAccount::RewardVault);
    must(
        "reward: forfeit",
        ledger::transfer(state, from, to, Asset::Io, sum),
    )
}

/// The accruals of a device in a committed version, the oldest first. What is left of epochs whose results are gone stands
/// under the last of these.
pub fn accruals(
    snapshot: &dyn Snapshot,
    params: &RewardParams,
    device: DeviceId,
) -> Result<Vec<(Epoch, Accrual)>, Fault> {
    let mut found = Vec::new();
    let mut note = |epoch, amount: Amount, withheld: bool| {
        let ripe = collectable_at(params, epoch);
        let collectable_at = if withheld { WITHHELD } else { ripe };
        let accrual = Accrual {
            amount,
            collectable_at,
        };
        if !amount.is_zero() {
            found.push((epoch, accrual));
        }
    };
    if let Some(old) = OLD_REWARDS.read(snapshot, &device)? {
        note(old.through, old.ready, false);
        note(old.through, old.withheld, true);
    }
    let (first, last) = all(device);
    for ((_device, epoch), row) in DEVICE_RESULTS.column(snapshot, &first, &last)? {
        if row.reward != RewardState::Gone {
            let withheld = row.reward == RewardState::Withheld;
            note(epoch, row.result.reward, withheld);
        }
    }
    Ok(found)
}
