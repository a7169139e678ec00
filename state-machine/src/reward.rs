//! Rewards of mode `fixed`: nomination when an epoch opens, re-test when it closes, accrual, collection; and the split of
//! the epoch's fees.
//!
//! Owns tables `epochs`, `closing`, `device_results`, `accruals`.
//!
//! - INV-21: what an epoch gives, with what goes to Y1 and to the safety module, is its pot.
//! - INV-22: the reward pool holds exactly the accruals that were not collected.

mod action;
mod close;
mod open;
mod root;
mod score;

use io_storage::Fault;
use io_types::row::{Accrual, EpochRow};
use io_types::{Amount, Asset, ChainTime, DeviceId, Epoch, Hash, Slot, SystemAccount};

use crate::context::BlockContext;
use crate::error::{broken, must};
use crate::ledger;
use crate::state::State;
use crate::tables::{ACCRUALS, CLOCK, DEVICE_RESULTS, EPOCHS};
use crate::uptime;

pub use close::{begin_close, go_on_closing, is_closing};
pub use open::open_first_epoch;
pub use score::{Pots, Share, Split, SplitRule, base_score, pots, split};

/// Epochs with fewer counted slots have no re-test.
pub const COUNTED_SLOTS_MIN: u8 = 30;
/// An accrual that waits for the pulse at its booking's end.
pub const WITHHELD: ChainTime = ChainTime(u64::MAX);

/// An empty row of an epoch.
fn empty(epoch: Epoch) -> EpochRow {
    EpochRow {
        epoch,
        closed: false,
        pot: Amount::ZERO,
        safety: Amount::ZERO,
        rewarded: Amount::ZERO,
        to_vault: Amount::ZERO,
        counted_slots: 0,
        neutral: 0,
        nominated: 0,
        succeeded: 0,
        results_root: Hash::ZERO,
        fees: [Amount::ZERO; 3],
        burned: [Amount::ZERO; 3],
    }
}

fn read(state: &State<'_>, epoch: Epoch) -> Result<EpochRow, Fault> {
    Ok(EPOCHS.get(state, &epoch)?.unwrap_or_else(|| empty(epoch)))
}

/// Counts a fee that was paid to `revenue` in the open epoch.
pub fn count_fee(
    state: &mut State<'_>,
    _block: &BlockContext,
    asset: Asset,
    fee: Amount,
) -> Result<(), Fault> {
    let epoch = CLOCK.expect(state, &(), "genesis writes it")?.open_epoch;
    let mut row = read(state, epoch)?;
    let [io, usdc, credit] = &mut row.fees;
    let sum = match asset {
        Asset::Io => io,
        Asset::Usdc => usdc,
        Asset::Credit => credit,
    };
    *sum = sum
        .checked_add(fee)
        .ok_or_else(|| broken("reward", "the fees of an epoch do not fit"))?;
    EPOCHS.put(state, &epoch, &row);
    Ok(())
}

/// Notes a metered slot in its epoch.
pub fn note_slot(
    state: &mut State<'_>,
    _block: &BlockContext,
    slot: Slot,
    neutral: bool,
) -> Result<(), Fault> {
    let mut row = read(state, slot.epoch())?;
    if neutral {
        row.neutral |= uptime::bit(slot);
    } else {
        row.counted_slots = row.counted_slots.saturating_add(1);
    }
    EPOCHS.put(state, &row.epoch.clone(), &row);
    Ok(())
}

/// Counts a slot that a device was hired and paid for.
pub fn note_hired(state: &mut State<'_>, device: DeviceId, slot: Slot) -> Result<(), Fault> {
    let key = (slot.epoch(), device);
    let mut row = DEVICE_RESULTS
        .get(state, &key)?
        .unwrap_or_else(open::no_result);
    row.slots_hired = row.slots_hired.saturating_add(1);
    DEVICE_RESULTS.put(state, &key, &row);
    Ok(())
}

/// Slots that a device needs up, of those counted: ⌈share · counted⌉.
pub fn slots_needed(block: &BlockContext, counted: u8) -> u64 {
    let share = block.params.reward.uptime_share.get();
    io_types::amount::mul_div_ceil(u64::from(counted), share, io_types::BasisPoints::WHOLE)
        .unwrap_or(u64::MAX)
}

/// A device's accruals that wait for a pulse.
fn withheld(
    state: &State<'_>,
    owner: io_types::AccountId,
    device: DeviceId,
) -> Result<Vec<(Epoch, Accrual)>, Fault> {
    let first = (owner, Epoch(0), DeviceId(0));
    let last = (owner, Epoch(u64::MAX), DeviceId(u64::MAX));
    let rows = ACCRUALS.list(state, &first, Some(&last), usize::MAX)?;
    let of_device = rows
        .into_iter()
        .filter(|((_owner, _epoch, id), row)| *id == device && row.collectable_at == WITHHELD);
    Ok(of_device
        .map(|((_owner, epoch, _id), row)| (epoch, row))
        .collect())
}

/// A passed pulse: what was withheld of this device can be collected after the usual time.
pub fn release(
    state: &mut State<'_>,
    block: &BlockContext,
    owner: io_types::AccountId,
    device: DeviceId,
) -> Result<(), Fault> {
    for (epoch, row) in withheld(state, owner, device)? {
        let collectable_at = epoch
            .next()
            .start()
            .plus_ms(block.params.reward.collect_after_ms);
        ACCRUALS.put(
            state,
            &(owner, epoch, device),
            &Accrual {
                collectable_at,
                ..row
            },
        );
    }
    Ok(())
}

/// A failed pulse: what is not yet collectable of this device goes to Y1.
pub fn forfeit(
    state: &mut State<'_>,
    block: &BlockContext,
    owner: io_types::AccountId,
    device: DeviceId,
) -> Result<(), Fault> {
    let first = (owner, Epoch(0), DeviceId(0));
    let last = (owner, Epoch(u64::MAX), DeviceId(u64::MAX));
    for ((account, epoch, id), row) in ACCRUALS.list(state, &first, Some(&last), usize::MAX)? {
        if id == device && row.collectable_at > block.now {
            let (from, to) = (SystemAccount::RewardPool, SystemAccount::RewardVault);
            must(
                "reward: forfeit",
                ledger::transfer(state, from, to, Asset::Io, row.amount),
            )?;
            ACCRUALS.delete(state, &(account, epoch, id));
        }
    }
    Ok(())
}
