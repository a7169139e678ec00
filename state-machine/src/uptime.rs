//! Uptime by hash chains: each slot a device reveals the link before the last one; one SHA-256 checks it.
//!
//! Owns table `uptime`. A link counts for its slot alone; slots that it skips stay missed.

mod action;
mod block;

use std::collections::BTreeSet;

use io_storage::{Fault, Snapshot, WriteSet};
use io_types::row::UptimeChain;
use io_types::{DeviceId, Epoch, Slot};

use crate::tables::UPTIME;

pub use block::judge_slot;

/// Whether the record has the slot up.
pub fn is_up(chain: &UptimeChain, slot: Slot) -> bool {
    bits(chain, slot.epoch()) & bit(slot) != 0
}

/// The bits of an epoch.
pub fn bits(chain: &UptimeChain, epoch: Epoch) -> u64 {
    chain
        .epochs
        .iter()
        .find(|(of, _bits)| *of == epoch)
        .map_or(0, |(_epoch, bits)| *bits)
}

/// The bit of a slot in its epoch's record.
pub fn bit(slot: Slot) -> u64 {
    1_u64
        .checked_shl(u32::try_from(slot.index_in_epoch()).unwrap_or(u32::MAX))
        .unwrap_or(0)
}

/// Devices by the slot of their last link, without those that are counted as down already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    by_last_link: BTreeSet<(Slot, DeviceId)>,
}

impl Index {
    /// Builds it from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        let mut index = Self::default();
        UPTIME.visit(snapshot, None, &mut |device, chain| {
            index.insert(device, &chain);
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(index)
    }

    /// Follows one commit.
    pub fn apply(&mut self, changes: &WriteSet) -> Result<(), Fault> {
        for (key, change) in changes.table(UPTIME.id) {
            let device = UPTIME.decode_key(key)?;
            if let Some(old) = &change.old {
                self.by_last_link
                    .remove(&(UPTIME.decode(old)?.link_slot, device));
            }
            if let Some(new) = &change.new {
                self.insert(device, &UPTIME.decode(new)?);
            }
        }
        Ok(())
    }

    fn insert(&mut self, device: DeviceId, chain: &UptimeChain) {
        if !chain.counted_down {
            self.by_last_link.insert((chain.link_slot, device));
        }
    }

    /// Devices whose last link is for a slot before this one.
    pub fn behind(&self, slot: Slot) -> impl Iterator<Item = DeviceId> + '_ {
        self.by_last_link
            .range(..(slot, DeviceId(0)))
            .map(|(_slot, device)| *device)
    }
}
