//! Uptime by hash chains: each slot a device reveals the link before the last one; one SHA-256 checks it.
//!
//! Owns table `uptime`. A link counts for its slot alone; slots that it skips stay missed.

mod action;
mod block;

use std::collections::{BTreeMap, BTreeSet};

use io_storage::{Fault, Snapshot, WriteSet};
use io_types::row::UptimeChain;
use io_types::{DeviceId, Epoch, Slot};

use crate::paged::{Page, first_of_row};
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

/// Rows of 64 devices by the oldest last link in them, without devices that are counted as down already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// By the first device of a row.
    oldest: BTreeMap<DeviceId, Slot>,
    by_oldest: BTreeSet<(Slot, DeviceId)>,
}

impl Index {
    /// Builds it from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        let mut index = Self::default();
        UPTIME.visit(snapshot, None, &mut |device, chain| {
            if !chain.counted_down {
                let first = first_of_row(device);
                let held = index.oldest.get(&first);
                let oldest = held.map_or(chain.link_slot, |held| chain.link_slot.min(*held));
                index.set(first, Some(oldest));
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(index)
    }

    /// Follows one commit.
    pub fn apply(&mut self, changes: &WriteSet) -> Result<(), Fault> {
        UPTIME.changed_rows(changes, &mut |first, _old, new| {
            let oldest = oldest(new)?;
            self.set(first, oldest);
            Ok(())
        })
    }

    fn set(&mut self, first: DeviceId, oldest: Option<Slot>) {
        let before = match oldest {
            Some(slot) => self.oldest.insert(first, slot),
            None => self.oldest.remove(&first),
        };
        if before != oldest {
            if let Some(slot) = before {
                self.by_oldest.remove(&(slot, first));
            }
            if let Some(slot) = oldest {
                self.by_oldest.insert((slot, first));
            }
        }
    }

    /// The first devices of rows with a device whose last link is for a slot before this one.
    pub fn behind(&self, slot: Slot) -> impl Iterator<Item = DeviceId> + '_ {
        self.by_oldest
            .range(..(slot, DeviceId(0)))
            .map(|(_slot, first)| *first)
    }
}

fn oldest(page: &Page<UptimeChain>) -> Result<Option<Slot>, Fault> {
    let mut oldest: Option<Slot> = None;
    for place in page.places() {
        if let Some(chain) = page.get(place)?.filter(|chain| !chain.counted_down) {
            oldest = Some(oldest.map_or(chain.link_slot, |slot| slot.min(chain.link_slot)));
        }
    }
    Ok(oldest)
}
