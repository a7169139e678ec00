//! The close of an epoch, over as many blocks as its devices need.
//!
//! Two passes over the devices that there were when its last slot was metered. The first re-tests each device, notes its base
//! score, and nominates it for the next epoch. The second gives each its reward, which needs the sums of the first. Then the
//! epoch is closed: safety module, reward vault and fees get their shares. What is given is minted in the same block.

use io_storage::Fault;
use io_types::catalogue::Pool;
use io_types::codec::hash_of;
use io_types::row::{
    Closing, ClosingPass, Device, DeviceResult, DeviceState, EpochRow, NominationCheck, OldRewards,
    ResultRow, RewardState, UptimeChain,
};
use io_types::{Amount, Asset, BasisPoints, DeviceId, Epoch, Event, SystemAccount};

use crate::context::BlockContext;
use crate::error::{broken, must};
use crate::genesis::{SCHEDULE, seconds};
use crate::ledger::{self, Supply};
use crate::paged::{PER_ROW, PagedKey, first_of_row};
use crate::reward::accrual::add;
use crate::reward::open::refusals;
use crate::reward::score::{Pots, SplitRule, base_score, pots};
use crate::reward::{COUNTED_SLOTS_MIN, root, slots_needed};
use crate::state::State;
use crate::tables::{
    BOOKINGS, CLOSING, COUNTERS, DEVICE_RESULTS, DEVICES, EPOCHS, OLD_REWARDS, UPTIME,
};
use crate::{device, stake, uptime};

/// Slots hired and paid for that make a device count as hired.
const HIRED_SLOTS_MIN: u8 = 30;
/// Reputation moves up by one in this many of the distance for a full hour.
const REPUTATION_ONE_IN: u16 = 1024;
/// Epochs between two such moves of one device: each changes a row that the market ranks by and that outsiders can have
/// proven.
const RAISED_EVERY: u64 = 24;
const EPOCH_MS: u64 = 3_600_000;

/// Begins to close an epoch whose slots are all metered; the next one is open from now on.
pub fn begin_close(state: &mut State<'_>, block: &BlockContext, epoch: Epoch) -> Result<(), Fault> {
    let pot = SCHEDULE.pot(
        seconds(block.facts.schedule_start.0),
        seconds(epoch.start().0),
    );
    let closing = Closing {
        epoch,
        pass: ClosingPass::Test,
        next: DeviceId(1),
        last: DeviceId(COUNTERS.get(state, &())?.unwrap_or_default().device),
        pot: Amount::new(pot),
        base_enterprise: 0,
        base_community: 0,
        given: Amount::ZERO,
        succeeded: 0,
        nominated: 0,
        peaks: Vec::new(),
    };
    CLOSING.put(state, &(), &closing);
    let next = super::read(state, epoch.next())?;
    EPOCHS.put(state, &next.epoch.clone(), &next);
    Ok(())
}

/// Whether an epoch is being closed.
pub fn is_closing(state: &State<'_>) -> Result<bool, Fault> {
    CLOSING.contains(state, &())
}

/// Goes on with the close: each device costs one of `budget` in each pass. Says the epoch, if this ended it.
pub fn go_on_closing(
    state: &mut State<'_>,
    block: &BlockContext,
    budget: &mut u64,
) -> Result<Option<Epoch>, Fault> {
    let Some(mut closing) = CLOSING.get(state, &())? else {
        return Ok(None);
    };
    loop {
        let left = closing
            .last
            .0
            .saturating_add(1)
            .saturating_sub(closing.next.0);
        let now = left.min(*budget);
        let from = closing.next;
        closing.next = DeviceId(from.0.saturating_add(now));
        *budget = budget.saturating_sub(now);
        match closing.pass {
            ClosingPass::Test => test(state, block, &mut closing, from)?,
            ClosingPass::Pay => pay(state, block, &mut closing, from)?,
        }
        if now < left {
            CLOSING.put(state, &(), &closing);
            return Ok(None);
        }
        if closing.pass == ClosingPass::Pay {
            CLOSING.delete(state, &());
            let epoch = closing.epoch;
            finish(state, block, closing)?;
            return Ok(Some(epoch));
        }
        closing.pass = ClosingPass::Pay;
        closing.next = DeviceId(1);
    }
}

/// The first pass, over the devices from `from` up to `closing.next`.
fn test(
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

/// Devices from `from` up to `to` (not included), by rows of 64 of the tables that have such.
fn rows_of_64(from: DeviceId, to: DeviceId) -> impl Iterator<Item = (DeviceId, DeviceId)> {
    let next = move |at: DeviceId| DeviceId(first_of_row(at).0.saturating_add(PER_ROW).min(to.0));
    std::iter::successors((from < to).then_some(from), move |at| {
        Some(next(*at)).filter(|at| *at < to)
    })
    .map(move |at| (at, next(at)))
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

/// The second pass, over the devices from `from` up to `closing.next`: rewards, minted as they are given, and the leaves
/// of the root. The results of an epoch that nobody asks for any more go, device by device; its root stays.
fn pay(
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

fn mint(state: &mut State<'_>, amount: Amount) -> Result<(), Fault> {
    let pool = SystemAccount::RewardPool;
    must(
        "reward: emission",
        ledger::mint(state, pool, Asset::Io, amount, Supply::Emission),
    )
}

fn split_rule(block: &BlockContext, closing: &Closing) -> Result<Pots, Fault> {
    let params = &block.params.reward;
    let rule = SplitRule {
        safety: params.safety,
        enterprise: params.enterprise,
        base_min_enterprise: params.base_min_enterprise,
        base_min_community: params.base_min_community,
    };
    let sums = (closing.base_enterprise, closing.base_community);
    pots(closing.pot, &rule, sums)
        .ok_or_else(|| broken("reward", "the split of a pot does not fit"))
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

/// Closes the row of the epoch, and writes who is nominated into that of the next.
fn finish(state: &mut State<'_>, block: &BlockContext, closing: Closing) -> Result<(), Fault> {
    let Pots { safety, .. } = split_rule(block, &closing)?;
    let Closing {
        epoch,
        pot,
        given,
        succeeded,
        nominated,
        peaks,
        ..
    } = closing;
    let rest = pot
        .checked_sub(given)
        .ok_or_else(|| broken("reward", "more was given than the pot holds"))?;
    let to_vault = rest
        .checked_sub(safety)
        .ok_or_else(|| broken("reward", "more was given than the pools hold"))?;
    mint(state, rest)?;
    let pool = SystemAccount::RewardPool;
    must(
        "reward: safety",
        ledger::transfer(state, pool, SystemAccount::SafetyModule, Asset::Io, safety),
    )?;
    must(
        "reward: Y1",
        ledger::transfer(state, pool, SystemAccount::RewardVault, Asset::Io, to_vault),
    )?;
    let mut row = super::read(state, epoch)?;
    split_fees(state, block, &mut row)?;
    row = EpochRow {
        closed: true,
        pot,
        safety,
        rewarded: given,
        to_vault,
        succeeded,
        results_root: root::root(&peaks),
        ..row
    };
    EPOCHS.put(state, &epoch, &row);
    state.emit(Event::EpochClosed {
        epoch,
        pot,
        rewarded: given,
        succeeded,
        to_vault,
    });
    let next = epoch.next();
    let mut row = super::read(state, next)?;
    row.nominated = nominated;
    EPOCHS.put(state, &next, &row);
    state.emit(Event::EpochOpened {
        epoch: next,
        nominated,
    });
    Ok(())
}

/// Splits the epoch's fees: duty fund, burn, treasury.
fn split_fees(
    state: &mut State<'_>,
    block: &BlockContext,
    row: &mut EpochRow,
) -> Result<(), Fault> {
    let params = &block.params.reward;
    for ((asset, fees), burned) in Asset::ALL.into_iter().zip(row.fees).zip(&mut row.burned) {
        let duty = fees
            .mul_div_floor(params.duty.get(), BasisPoints::WHOLE)
            .unwrap_or(Amount::ZERO);
        let revenue = fees.saturating_sub(duty);
        let burn = revenue
            .mul_div_ceil(params.burn.get(), BasisPoints::WHOLE)
            .unwrap_or(revenue)
            .min(revenue);
        let rest = revenue.saturating_sub(burn);
        let from = SystemAccount::Revenue;
        must(
            "reward: duty",
            ledger::transfer(state, from, SystemAccount::DutyFund, asset, duty),
        )?;
        must(
            "reward: treasury",
            ledger::transfer(state, from, SystemAccount::Treasury, asset, rest),
        )?;
        if asset == Asset::Usdc {
            must(
                "reward: burn",
                ledger::transfer(state, from, SystemAccount::BurnPending, asset, burn),
            )?;
        } else if !burn.is_zero() {
            must("reward: burn", ledger::burn(state, from, asset, burn))?;
            *burned = burn;
            state.emit(Event::Burned {
                asset,
                amount: burn,
            });
        }
    }
    Ok(())
}
