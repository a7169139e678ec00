//! The close of an epoch: re-test, the split of the pot, accruals, the split of the fees.

use io_settlement::payout::Tree;
use io_storage::Fault;
use io_types::codec::hash_of;
use io_types::row::{Accrual, Device, DeviceResult, EpochRow, NominationCheck};
use io_types::{
    Amount, Asset, BasisPoints, ChainTime, DeviceId, Epoch, Event, Hash, SystemAccount,
};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::error::{broken, must};
use crate::genesis::{SCHEDULE, seconds};
use crate::ledger::{self, Supply};
use crate::reward::score::{Share, Split, SplitRule, base_score, split};
use crate::reward::{COUNTED_SLOTS_MIN, WITHHELD, slots_needed};
use crate::state::State;
use crate::tables::{ACCRUALS, BOOKINGS, DEVICE_RESULTS, EPOCHS, UPTIME};
use crate::{device, stake, uptime};

/// Slots hired and paid for that make a device count as hired.
const HIRED_SLOTS_MIN: u8 = 30;
/// Reputation moves up by one in this many of the distance for a full hour.
const REPUTATION_ONE_IN: u16 = 1024;

/// Closes an epoch.
pub fn close_epoch(
    state: &mut State<'_>,
    block: &BlockContext,
    _derived: &Derived,
    epoch: Epoch,
) -> Result<(), Fault> {
    let mut row = super::read(state, epoch)?;
    let mut tested = Vec::new();
    for device in super::open::active_devices(state)? {
        let known = DEVICE_RESULTS.get(state, &(epoch, device.id))?;
        let result = known.unwrap_or_else(super::open::no_result);
        let result = retest(state, block, &row, &device, result)?;
        tested.push((device, result));
    }
    pay(state, block, &mut row, &mut tested)?;
    split_fees(state, block, &mut row)?;
    finish(state, block, row, tested)
}

/// Counts the slots up, keeps the row of full epochs and the reputation, and says whether the device succeeded.
fn retest(
    state: &mut State<'_>,
    block: &BlockContext,
    row: &EpochRow,
    device: &Device,
    mut result: DeviceResult,
) -> Result<DeviceResult, Fault> {
    let counts = row.counted_slots >= COUNTED_SLOTS_MIN;
    let needed = slots_needed(block, row.counted_slots);
    let mut up = 0;
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
                raise_reputation(state, device.id)?;
            }
        }
        chain.epochs.retain(|(epoch, _bits)| *epoch > row.epoch);
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
    let multiplier = stake::terms(block, device).map_or(0, |model| model.multiplier_milli);
    result.base = base_score(
        multiplier,
        device.spec.quantity,
        device.spec.connectivity,
        hired,
    )
    .ok_or_else(|| broken("reward", "a base score does not fit"))?;
    Ok(result)
}

fn raise_reputation(state: &mut State<'_>, id: DeviceId) -> Result<(), Fault> {
    let mut row = device::read(state, id)?;
    let distance = 10_000_u16.saturating_sub(row.reputation);
    row.reputation = row
        .reputation
        .saturating_add(distance.div_ceil(REPUTATION_ONE_IN))
        .min(10_000);
    device::write(state, &row);
    Ok(())
}

/// Mints the pot and gives it: safety module, accruals of those that succeeded, the rest to Y1.
fn pay(
    state: &mut State<'_>,
    block: &BlockContext,
    row: &mut EpochRow,
    tested: &mut [(Device, DeviceResult)],
) -> Result<(), Fault> {
    row.pot = Amount::new(SCHEDULE.pot(
        seconds(block.facts.schedule_start.0),
        seconds(row.epoch.start().0),
    ));
    must(
        "reward: emission",
        ledger::mint(
            state,
            SystemAccount::RewardPool,
            Asset::Io,
            row.pot,
            Supply::Emission,
        ),
    )?;
    let params = &block.params.reward;
    let rule = SplitRule {
        safety: params.safety,
        enterprise: params.enterprise,
        base_min_enterprise: params.base_min_enterprise,
        base_min_community: params.base_min_community,
    };
    let winners: Vec<&mut (Device, DeviceResult)> = tested
        .iter_mut()
        .filter(|(_device, result)| result.succeeded)
        .collect();
    let mut shares = Vec::with_capacity(winners.len());
    for (device, result) in winners.iter().map(|winner| (&winner.0, &winner.1)) {
        let pool = stake::terms(block, device).map(|model| model.pool);
        let pool = pool.ok_or_else(|| broken("reward", "a device that succeeded has no model"))?;
        shares.push(Share {
            pool,
            base: result.base,
        });
    }
    let Split {
        safety,
        rewards,
        to_vault,
    } = split(row.pot, &rule, &shares)
        .ok_or_else(|| broken("reward", "the split of a pot does not fit"))?;
    for ((device, result), reward) in winners
        .into_iter()
        .map(|winner| (&winner.0, &mut winner.1))
        .zip(rewards)
    {
        result.reward = reward;
        row.rewarded = row
            .rewarded
            .checked_add(reward)
            .ok_or_else(|| broken("reward", "rewards do not fit"))?;
        accrue(state, block, row.epoch, device, reward)?;
    }
    row.safety = safety;
    row.to_vault = to_vault;
    let pool = SystemAccount::RewardPool;
    must(
        "reward: safety",
        ledger::transfer(state, pool, SystemAccount::SafetyModule, Asset::Io, safety),
    )?;
    must(
        "reward: Y1",
        ledger::transfer(state, pool, SystemAccount::RewardVault, Asset::Io, to_vault),
    )
}

fn accrue(
    state: &mut State<'_>,
    block: &BlockContext,
    epoch: Epoch,
    device: &Device,
    reward: Amount,
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

fn finish(
    state: &mut State<'_>,
    block: &BlockContext,
    mut row: EpochRow,
    tested: Vec<(Device, DeviceResult)>,
) -> Result<(), Fault> {
    let leaf = |(device, result): &(Device, DeviceResult)| {
        hash_of(b"io-chain/device-result/v1\0", &(device.id, result)).0
    };
    row.results_root = Hash(Tree::new(tested.iter().map(leaf).collect()).root());
    for (device, result) in tested {
        row.succeeded = row.succeeded.saturating_add(u64::from(result.succeeded));
        DEVICE_RESULTS.put(state, &(row.epoch, device.id), &result);
    }
    row.closed = true;
    EPOCHS.put(state, &row.epoch.clone(), &row);
    let EpochRow {
        epoch,
        pot,
        rewarded,
        succeeded,
        to_vault,
        ..
    } = row;
    state.emit(Event::EpochClosed {
        epoch,
        pot,
        rewarded,
        succeeded,
        to_vault,
    });
    forget(
        state,
        Epoch(
            epoch
                .0
                .saturating_sub(block.params.reward.results_keep_epochs),
        ),
    )
}

/// Drops the results of an epoch that nobody asks for any more; its root stays.
fn forget(state: &mut State<'_>, epoch: Epoch) -> Result<(), Fault> {
    let first = (epoch, DeviceId(0));
    for (key, _result) in DEVICE_RESULTS.list(
        state,
        &first,
        Some(&(epoch.next(), DeviceId(0))),
        usize::MAX,
    )? {
        DEVICE_RESULTS.delete(state, &key);
    }
    Ok(())
}
