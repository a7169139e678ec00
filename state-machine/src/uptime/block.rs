//! Judging a slot once its late window is over.

use io_storage::Fault;
use io_types::row::DeviceState;
use io_types::{DeviceId, Reason, Slot};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::device;
use crate::state::State;
use crate::tables::UPTIME;

/// Counts a missed slot for every device that did not show up in it; too many in a row, and the device is `Down`.
///
/// A neutral slot counts for nobody. The cost grows with the devices that are behind, not with all.
pub fn judge_slot(
    state: &mut State<'_>,
    block: &BlockContext,
    derived: &Derived,
    slot: Slot,
    neutral: bool,
) -> Result<(), Fault> {
    if neutral {
        return Ok(());
    }
    for first in derived.uptime.behind(slot) {
        let mut page = UPTIME.page(state, &first)?;
        let mut changed = false;
        for place in page.places() {
            let Some(mut chain) = page.get(place)? else {
                continue;
            };
            if chain.link_slot >= slot || slot < chain.expected_from || chain.counted_down {
                continue;
            }
            chain.missed = chain.missed.saturating_add(1);
            if u64::from(chain.missed) > block.params.uptime.down_after_slots {
                chain.counted_down = true;
                count_down(state, block, DeviceId(first.0 | u64::from(place)))?;
            }
            page.put(place, &chain)?;
            changed = true;
        }
        if changed {
            UPTIME.put_page(state, &first, &page);
        }
    }
    Ok(())
}

/// A device that missed too many slots is `Down`, if it was there to be hired or is.
fn count_down(state: &mut State<'_>, block: &BlockContext, id: DeviceId) -> Result<(), Fault> {
    let mut row = device::read(state, id)?;
    if matches!(row.state, DeviceState::Ready | DeviceState::Hired) {
        let reason = Reason::MissedHeartbeats;
        device::change_state(state, block, &mut row, DeviceState::Down, reason);
        device::write(state, &row);
    }
    Ok(())
}
