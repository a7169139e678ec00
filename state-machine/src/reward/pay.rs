//! The second pass of a close: rewards, the root over the results, results that go.

use io_storage::Fault;
use io_types::catalogue::Pool;
use io_types::codec::hash_of;
use io_types::row::{Closing, Device, NominationCheck, OldRewards, ResultRow, RewardState};
use io_types::{Amount, DeviceId, Epoch, Event};

use crate::context::BlockContext;
use crate::device;
use crate::error::broken;
use crate::paged::PagedKey;
use crate::reward::accrual::add;
use crate::reward::close::{mint, rows_of_64, split_rule};
use crate::reward::root;
use crate::reward::score::Pots;
use crate::state::State;
use crate::tables::{BOOKINGS, DEVICE_RESULTS, OLD_REWARDS};

const EPOCH_MS: u64 = 3_600_000;

/// The second pass, over the devices from `from` up to `closing.next`: rewards, minted as they are given, and the leaves
/// of the root. The results of an epoch that nobody asks for any more go, device by device; its root stays.
pub(super) fn pass(
    state: &mut State<'_>,
    block: &BlockContext,
    closing: &mut Closing,
    from: DeviceId,
) -> Result<(), Fault> {
    let pots = split_rule(block, closing)?;
    let mut minted = Amount::ZERO;
    for (from, to) in rows_of_64(from, closing.next) {
        let key = (from, closing.epoch);
        let mut results = DEVICE_RESULTS.page(state, &key)?;
        for (id, place) in places(from, to) {
            let Some(mut row) = results.get(place)? else {
                continue;
            };
            if let Some(pool) = row.result.pool.filter(|_pool| row.result.succeeded) {
                give(state, (id, &mut row), (&pots, pool), closing)?;
                minted = add(minted, row.result.reward)?;
                results.put(place, &row)?;
            }
            let leaf = hash_of(b"io-chain/device-result/v1\0", &(id, &row.result));
            root::add(&mut closing.peaks, leaf);
        }
        DEVICE_RESULTS.put_page(state, &key, &results);
        drop_old(state, block, closing.epoch, (from, to))?;
    }
    closing.given = add(closing.given, minted)?;
    mint(state, minted)
}

/// Devices from `from` up to `to` (not included), all of one row of 64, with their places.
fn places(from: DeviceId, to: DeviceId) -> impl Iterator<Item = (DeviceId, u8)> {
    (from.0..to.0).map(|id| (DeviceId(id), DeviceId(id).place()))
}

/// Gives a device that succeeded its reward.
fn give(
    state: &mut State<'_>,
    (id, row): (DeviceId, &mut ResultRow),
    (pots, pool): (&Pots, Pool),
    closing: &mut Closing,
) -> Result<(), Fault> {
    let device = device::read(state, id)?;
    let result = &mut row.result;
    if device.last_failed {
        // It failed a challenge since the first pass: what it did not get goes to the vault.
        result.succeeded = false;
        result.failed_checks.push(NominationCheck::RetestChallenge);
        return Ok(());
    }
    closing.succeeded = closing.succeeded.saturating_add(1);
    result.reward = pots
        .reward(pool, result.base)
        .ok_or_else(|| broken("reward", "a reward does not fit"))?;
    if result.reward.is_zero() {
        return Ok(());
    }
    row.reward = if is_withheld(state, &device)? {
        RewardState::Withheld
    } else {
        RewardState::Accrued
    };
    state.emit(Event::Rewarded {
        epoch: closing.epoch,
        device: id,
        account: device.owner,
        amount: row.result.reward,
    });
    Ok(())
}

/// Drops results that are kept no longer. What of their rewards was not collected stays, as one sum for each device.
fn drop_old(
    state: &mut State<'_>,
    block: &BlockContext,
    epoch: Epoch,
    (from, to): (DeviceId, DeviceId),
) -> Result<(), Fault> {
    let params = &block.params.reward;
    // A reward must be ripe when it loses its epoch, unless it is withheld.
    let ripens_in = params.collect_after_ms.div_ceil(EPOCH_MS).saturating_add(1);
    let kept = params.results_keep_epochs.max(ripens_in);
    let Some(last) = epoch.0.checked_sub(kept) else {
        return Ok(());
    };
    let range = ((from, Epoch(0)), (from, Epoch(last)));
    let old = DEVICE_RESULTS.pages(state.overlay(), &range.0, &range.1)?;
    if old.is_empty() {
        return Ok(());
    }
    let mut sums = OLD_REWARDS.page(state, &from)?;
    for (key, mut results) in old {
        for (_id, place) in places(from, to) {
            let Some(row) = results.get(place)? else {
                continue;
            };
            results.remove(place);
            if row.reward == RewardState::Gone {
                continue;
            }
            let mut sum = sums.get(place)?.unwrap_or(OldRewards {
                through: key.1,
                ready: Amount::ZERO,
                withheld: Amount::ZERO,
            });
            let part = match row.reward {
                RewardState::Withheld => &mut sum.withheld,
                RewardState::Accrued | RewardState::Gone => &mut sum.ready,
            };
            *part = add(*part, row.result.reward)?;
            sum.through = key.1;
            sums.put(place, &sum)?;
        }
        DEVICE_RESULTS.put_page(state, &key, &results);
    }
    OLD_REWARDS.put_page(state, &from, &sums);
    Ok(())
}

/// Rewards of hired epochs whose order allows no pulse wait for the full pulse at the booking's end.
fn is_withheld(state: &State<'_>, device: &Device) -> Result<bool, Fault> {
    match device.booking {
        Some(id) => Ok(BOOKINGS
            .get(state, &id)?
            .is_some_and(|booking| !booking.pulse_ok)),
        None => Ok(false),
    }
}
