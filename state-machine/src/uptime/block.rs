//! Judging a slot once its late window is over.

use io_storage::Fault;
use io_types::row::DeviceState;
use io_types::{Reason, Slot};

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
    for id in derived.uptime.behind(slot) {
        let Some(mut chain) = UPTIME.get(state, &id)? else {
            continue;
        };
        if chain.link_slot >= slot || slot < chain.expected_from || chain.counted_down {
            continue;
        }
        chain.missed = chain.missed.saturating_add(1);
        if u64::from(chain.missed) > block.params.uptime.down_after_slots {
            chain.counted_down = true;
            let mut row = device::read(state, id)?;
            if matches!(row.state, DeviceState::Ready | DeviceState::Hired) {
                device::change_state(
                    state,
                    block,
                    &mut row,
                    DeviceState::Down,
                    Reason::MissedHeartbeats,
                );
                device::write(state, &row);
            }
        }
        UPTIME.put(state, &id, &chain);
    }
    Ok(())
}
