//! Rewards of mode `fixed`: nomination when an epoch opens, re-test when it closes, accrual, collection; and the split of
//! the epoch's fees.
//!
//! Owns tables `epochs`, `closing`, `device_results`, `old_rewards`.
//!
//! - INV-21: what an epoch gives, with what goes to Y1 and to the safety module, is its pot.
//! - INV-22: the reward pool holds exactly the rewards that were accrued and not collected.

mod accrual;
mod action;
mod close;
mod open;
mod pay;
mod retest;
mod root;
mod score;

use io_storage::Fault;
use io_types::row::EpochRow;
use io_types::{Amount, Asset, DeviceId, Epoch, Hash, Slot};

use crate::context::BlockContext;
use crate::error::broken;
use crate::state::State;
use crate::tables::{CLOCK, DEVICE_RESULTS, EPOCHS};
use crate::uptime;

pub use accrual::{WITHHELD, accruals, forfeit, release};
pub use close::{begin_close, go_on_closing, is_closing};
pub use open::open_first_epoch;
pub use score::{Pots, Share, Split, SplitRule, base_score, pots, split};

/// Epochs with fewer counted slots have no re-test.
pub const COUNTED_SLOTS_MIN: u8 = 30;

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
    let key = (device, slot.epoch());
    let mut row = DEVICE_RESULTS.get(state, &key)?.unwrap_or_default();
    row.result.slots_hired = row.result.slots_hired.saturating_add(1);
    DEVICE_RESULTS.put(state, &key, &row)
}

/// Slots that a device needs up, of those counted: ⌈share · counted⌉.
pub fn slots_needed(block: &BlockContext, counted: u8) -> u64 {
    let share = block.params.reward.uptime_share.get();
    io_types::amount::mul_div_ceil(u64::from(counted), share, io_types::BasisPoints::WHOLE)
        .unwrap_or(u64::MAX)
}
