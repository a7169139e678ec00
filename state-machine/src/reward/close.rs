//! The close of an epoch, over as many blocks as its devices need.
//!
//! Two passes over the devices that there were when its last slot was metered. The first re-tests each device, notes its base
//! score, and nominates it for the next epoch. The second gives each its reward, which needs the sums of the first. Then the
//! epoch is closed: safety module, reward vault and fees get their shares. What is given is minted in the same block.

use io_storage::Fault;
use io_types::codec::hash_of;
use io_types::row::{
    Accrual, Closing, ClosingPass, Device, DeviceResult, DeviceState, EpochRow, NominationCheck,
};
use io_types::{Amount, Asset, BasisPoints, ChainTime, DeviceId, Epoch, Event, SystemAccount};

use crate::context::BlockContext;
use crate::error::{broken, must};
use crate::genesis::{SCHEDULE, seconds};
use crate::ledger::{self, Supply};
use crate::reward::open::{no_result, refusals};
use crate::reward::score::{Pots, SplitRule, base_score, pots};
use crate::reward::{COUNTED_SLOTS_MIN, WITHHELD, root, slots_needed};
use crate::state::State;
use crate::tables::{
    ACCRUALS, BOOKINGS, CLOSING, COUNTERS, DEVICE_RESULTS, DEVICES, EPOCHS, UPTIME,
};
use crate::{device, stake, uptime};

/// Slots hired and paid for that make a device count as hired.
const HIRED_SLOTS_MIN: u8 = 30;
/// Reputation moves up by one in this many of the distance for a full hour.
const REPUTATION_ONE_IN: u16 = 1024;

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
    for (id, device) in DEVICES.list(state, &from, Some(&closing.next), usize::MAX)? {
        if device.state == DeviceState::Retired {
            continue;
        }
        let key = (closing.epoch, id);
        let mut result = DEVICE_RESULTS.get(state, &key)?.unwrap_or_else(no_result);
        let full_epochs = retest(state, block, &row, (&device, &mut result))?;
        DEVICE_RESULTS.put(state, &key, &result);
        if let Some(pool) = result.pool.filter(|_pool| result.succeeded) {
            let sum = match pool {
                io_types::catalogue::Pool::Enterprise => &mut closing.base_enterprise,
                io_types::catalogue::Pool::Community => &mut closing.base_community,
            };
            *sum = sum
                .checked_add(result.base)
                .ok_or_else(|| broken("reward", "base scores do not fit"))?;
        }
        let key = (closing.epoch.next(), id);
        let mut result = DEVICE_RESULTS.get(state, &key)?.unwrap_or_else(no_result);
        result.failed_checks = refusals(state, block, &device, full_epochs)?;
        result.nominated = result.failed_checks.is_empty();
        closing.nominated = closing
            .nominated
            .saturating_add(u64::from(result.nominated));
        DEVICE_RESULTS.put(state, &key, &result);
    }
    Ok(())
}

/// Counts the slots up, keeps the row of full epochs and the reputation, and says whether the device succeeded. Returns its
/// full epochs in a row.
fn retest(
    state: &mut State<'_>,
    block: &BlockContext,
    row: &EpochRow,
    (device, result): (&Device, &mut DeviceResult),
) -> Result<u32, Fault> {
    let counts = row.counted_slots >= COUNTED_SLOTS_MIN;
    let needed = slots_needed(block, row.counted_slots);
    let (mut up, mut full_epochs) = (0, 0);
    if let Some(mut chain) = UPTIME.get(state, &device.id)? {
        up = (uptime::bits(&chain, row.epoch) & !row.neutral).count_ones();
        if counts {
            let full = u64::from(up) >= needed;
            chain.full_epochs = if full {
                chain.full_epochs.saturating_add(1)
            } else {
                0
            };
            if full {
                raise_reputation(state, device);
            }
        }
        chain.epochs.retain(|(epoch, _bits)| *epoch > row.epoch);
        full_epochs = chain.full_epochs;
        UPTIME.put(state, &device.id, &chain);
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
    Ok(full_epochs)
}

fn raise_reputation(state: &mut State<'_>, device: &Device) {
    let distance = 10_000_u16.saturating_sub(device.reputation);
    if distance > 0 {
        let raised = device
            .reputation
            .saturating_add(distance.div_ceil(REPUTATION_ONE_IN))
            .min(10_000);
        let row = Device {
            reputation: raised,
            ..device.clone()
        };
        device::write(state, &row);
    }
}

/// The second pass, over the devices from `from` up to `closing.next`: accruals, minted as they are given, and the leaves
/// of the root. The results of an epoch that nobody asks for any more go, device by device; its root stays.
fn pay(
    state: &mut State<'_>,
    block: &BlockContext,
    closing: &mut Closing,
    from: DeviceId,
) -> Result<(), Fault> {
    let epoch = closing.epoch;
    let pots = split_rule(block, closing)?;
    let mut minted = Amount::ZERO;
    let range = ((epoch, from), (epoch, closing.next));
    for ((_epoch, id), mut result) in
        DEVICE_RESULTS.list(state, &range.0, Some(&range.1), usize::MAX)?
    {
        if let Some(pool) = result.pool.filter(|_pool| result.succeeded) {
            let device = device::read(state, id)?;
            if device.last_failed {
                // It failed a challenge since the first pass: what it did not get goes to the vault.
                result.succeeded = false;
                result.failed_checks.push(NominationCheck::RetestChallenge);
            } else {
                closing.succeeded = closing.succeeded.saturating_add(1);
                result.reward = pots
                    .reward(pool, result.base)
                    .ok_or_else(|| broken("reward", "a reward does not fit"))?;
                minted = minted
                    .checked_add(result.reward)
                    .ok_or_else(|| broken("reward", "rewards do not fit"))?;
                accrue(state, block, epoch, (&device, result.reward))?;
            }
            DEVICE_RESULTS.put(state, &(epoch, id), &result);
        }
        let leaf = hash_of(b"io-chain/device-result/v1\0", &(id, &result));
        root::add(&mut closing.peaks, leaf);
    }
    closing.given = closing
        .given
        .checked_add(minted)
        .ok_or_else(|| broken("reward", "rewards do not fit"))?;
    mint(state, minted)?;
    let old = Epoch(
        epoch
            .0
            .saturating_sub(block.params.reward.results_keep_epochs),
    );
    let range = ((old, from), (old, closing.next));
    for (key, _result) in DEVICE_RESULTS.list(state, &range.0, Some(&range.1), usize::MAX)? {
        DEVICE_RESULTS.delete(state, &key);
    }
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

fn accrue(
    state: &mut State<'_>,
    block: &BlockContext,
    epoch: Epoch,
    (device, reward): (&Device, Amount),
) -> Result<(), Fault> {
    if reward.is_zero() {
        return Ok(());
    }
    let collectable_at = if is_withheld(state, device)? {
        WITHHELD
    } else {
        collectable_at(block, epoch)
    };
    ACCRUALS.put(
        state,
        &(device.owner, epoch, device.id),
        &Accrual {
            amount: reward,
            collectable_at,
        },
    );
    state.emit(Event::Rewarded {
        epoch,
        device: device.id,
        account: device.owner,
        amount: reward,
    });
    Ok(())
}

fn collectable_at(block: &BlockContext, epoch: Epoch) -> ChainTime {
    epoch
        .next()
        .start()
        .plus_ms(block.params.reward.collect_after_ms)
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
