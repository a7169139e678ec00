//! The first pass of a close: re-test, base score, reputation, nomination.

use io_storage::Fault;
use io_types::catalogue::Pool;
use io_types::row::{
    Closing, Device, DeviceResult, DeviceState, EpochRow, NominationCheck, UptimeChain,
};
use io_types::{DeviceId, Epoch};

use crate::context::BlockContext;
use crate::error::broken;
use crate::paged::PagedKey;
use crate::reward::close::rows_of_64;
use crate::reward::open::refusals;
use crate::reward::score::base_score;
use crate::reward::{COUNTED_SLOTS_MIN, slots_needed};
use crate::state::State;
use crate::tables::{DEVICE_RESULTS, DEVICES, UPTIME};
use crate::{device, stake, uptime};

/// Slots hired and paid for that make a device count as hired.
const HIRED_SLOTS_MIN: u8 = 30;
/// Reputation moves up by one in this many of the distance for a full hour.
const REPUTATION_ONE_IN: u16 = 1024;
/// Epochs between two such moves of one device: each changes a row that the market ranks by and that outsiders can have
/// proven.
const RAISED_EVERY: u64 = 24;

/// The first pass, over the devices from `from` up to `closing.next`.
pub(super) fn pass(
    state: &mut State<'_>,
    block: &BlockContext,
    closing: &mut Closing,
    from: DeviceId,
) -> Result<(), Fault> {
    let row = super::read(state, closing.epoch)?;
    for (from, to) in rows_of_64(from, closing.next) {
        let devices = DEVICES.list(state, &from, Some(&to), usize::MAX)?;
        let (now, next) = ((from, closing.epoch), (from, closing.epoch.next()));
        let mut chains = UPTIME.page(state, &from)?;
        let mut results = DEVICE_RESULTS.page(state, &now)?;
        let mut results_next = DEVICE_RESULTS.page(state, &next)?;
        for (id, device) in devices {
            if device.state == DeviceState::Retired {
                continue;
            }
            let place = id.place();
            let mut chain = chains.get(place)?;
            let mut result = results.get(place)?.unwrap_or_default();
            let tested = (&device, &mut result.result);
            retest(state, block, &row, tested, chain.as_mut())?;
            results.put(place, &result)?;
            count(closing, &result.result)?;
            let mut result = results_next.get(place)?.unwrap_or_default();
            let full_epochs = chain.as_ref().map_or(0, |chain| chain.full_epochs);
            let failed = refusals(state, block, &device, full_epochs)?;
            result.result.nominated = failed.is_empty();
            result.result.failed_checks = failed;
            let nominated = u64::from(result.result.nominated);
            closing.nominated = closing.nominated.saturating_add(nominated);
            results_next.put(place, &result)?;
            if let Some(chain) = chain {
                chains.put(place, &chain)?;
            }
        }
        UPTIME.put_page(state, &from, &chains);
        DEVICE_RESULTS.put_page(state, &now, &results);
        DEVICE_RESULTS.put_page(state, &next, &results_next);
    }
    Ok(())
}

/// Adds the base score of a device that succeeded to the sum of its pool.
fn count(closing: &mut Closing, result: &DeviceResult) -> Result<(), Fault> {
    let Some(pool) = result.pool.filter(|_pool| result.succeeded) else {
        return Ok(());
    };
    let sum = match pool {
        Pool::Enterprise => &mut closing.base_enterprise,
        Pool::Community => &mut closing.base_community,
    };
    *sum = sum
        .checked_add(result.base)
        .ok_or_else(|| broken("reward", "base scores do not fit"))?;
    Ok(())
}

/// Counts the slots up, keeps the row of full epochs and the reputation, and says in the result whether the device
/// succeeded.
fn retest(
    state: &mut State<'_>,
    block: &BlockContext,
    row: &EpochRow,
    (device, result): (&Device, &mut DeviceResult),
    chain: Option<&mut UptimeChain>,
) -> Result<(), Fault> {
    let counts = row.counted_slots >= COUNTED_SLOTS_MIN;
    let needed = slots_needed(block, row.counted_slots);
    let mut up = 0;
    if let Some(chain) = chain {
        up = (uptime::bits(chain, row.epoch) & !row.neutral).count_ones();
        if counts && u64::from(up) >= needed {
            chain.full_epochs = chain.full_epochs.saturating_add(1);
            chain.full_unraised = chain.full_unraised.saturating_add(1);
        } else if counts {
            chain.full_epochs = 0;
        }
        if is_turn(row.epoch, device.id) {
            raise_reputation(state, device, std::mem::take(&mut chain.full_unraised));
        }
        for old in chain
            .epochs
            .iter_mut()
            .filter(|(epoch, _bits)| *epoch <= row.epoch)
        {
            *old = (Epoch(0), 0);
        }
        chain.epochs.sort_unstable();
    }
    result.slots_up = u8::try_from(up).unwrap_or(u8::MAX);
    if result.nominated && counts {
        if u64::from(up) < needed {
            result.failed_checks.push(NominationCheck::RetestUptime);
        }
        if device.last_failed {
            result.failed_checks.push(NominationCheck::RetestChallenge);
        }
        result.succeeded = result.failed_checks.is_empty();
    }
    let hired = result.slots_hired >= HIRED_SLOTS_MIN;
    let model = stake::terms(block, device);
    result.pool = model.map(|model| model.pool);
    result.base = base_score(
        model.map_or(0, |model| model.multiplier_milli),
        device.spec.quantity,
        device.spec.connectivity,
        hired,
    )
    .ok_or_else(|| broken("reward", "a base score does not fit"))?;
    Ok(())
}

/// Whether a device's reputation is raised at the close of this epoch: once in [`RAISED_EVERY`], not all at the same.
fn is_turn(epoch: Epoch, device: DeviceId) -> bool {
    epoch.0.wrapping_add(device.0).is_multiple_of(RAISED_EVERY)
}

/// Raises a device's reputation, once for each of so many full epochs.
fn raise_reputation(state: &mut State<'_>, device: &Device, full_epochs: u8) {
    let mut reputation = device.reputation;
    for _epoch in 0..full_epochs {
        let distance = 10_000_u16.saturating_sub(reputation);
        reputation = reputation.saturating_add(distance.div_ceil(REPUTATION_ONE_IN));
    }
    if reputation != device.reputation {
        let row = Device {
            reputation,
            ..device.clone()
        };
        device::write(state, &row);
    }
}
