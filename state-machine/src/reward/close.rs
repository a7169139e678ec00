//! The close of an epoch, over as many blocks as its devices need.
//!
//! Two passes over the devices that there were when its last slot was metered. The first re-tests each device, notes its base
//! score, and nominates it for the next epoch. The second gives each its reward, which needs the sums of the first. Then the
//! epoch is closed: safety module, reward vault and fees get their shares. What is given is minted in the same block.

use io_storage::Fault;
use io_types::row::{Closing, ClosingPass, EpochRow};
use io_types::{Amount, Asset, BasisPoints, DeviceId, Epoch, Event, SystemAccount};

use crate::context::BlockContext;
use crate::error::{broken, must};
use crate::genesis::{SCHEDULE, seconds};
use crate::ledger::{self, Supply};
use crate::paged::{PER_ROW, first_of_row};
use crate::reward::score::{Pots, SplitRule, pots};
use crate::reward::{pay, retest, root};
use crate::state::State;
use crate::tables::{CLOSING, COUNTERS, EPOCHS};

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
            ClosingPass::Test => retest::pass(state, block, &mut closing, from)?,
            ClosingPass::Pay => pay::pass(state, block, &mut closing, from)?,
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

pub(super) fn mint(state: &mut State<'_>, amount: Amount) -> Result<(), Fault> {
    let pool = SystemAccount::RewardPool;
    must(
        "reward: emission",
        ledger::mint(state, pool, Asset::Io, amount, Supply::Emission),
    )
}

pub(super) fn split_rule(block: &BlockContext, closing: &Closing) -> Result<Pots, Fault> {
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

/// Devices from `from` up to `to` (not included), by rows of 64 of the tables that have such.
pub(super) fn rows_of_64(
    from: DeviceId,
    to: DeviceId,
) -> impl Iterator<Item = (DeviceId, DeviceId)> {
    let next = move |at: DeviceId| DeviceId(first_of_row(at).0.saturating_add(PER_ROW).min(to.0));
    std::iter::successors((from < to).then_some(from), move |at| {
        Some(next(*at)).filter(|at| *at < to)
    })
    .map(move |at| (at, next(at)))
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
