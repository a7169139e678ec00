//! Derived index: devices with rewards that were not collected, by owner. Devices never change hands and are never deleted.
//!
//! Only devices that have earned something are in it, so that whoever registers devices to no purpose makes no
//! [`Collect`](io_types::action::Collect) dear.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use io_storage::{Fault, Snapshot, WriteSet};
use io_types::row::{ResultRow, RewardState};
use io_types::{AccountId, DeviceId};

use crate::paged::Page;
use crate::tables::{DEVICE_RESULTS, DEVICES, OLD_REWARDS};

/// Rewards not collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The first 8 bytes of the owner of each device, by its number.
    prefixes: Vec<u64>,
    /// How many results of a device, and whether its older rewards, are not collected: by owner's prefix and device.
    due: BTreeMap<(u64, DeviceId), u32>,
}

fn prefix(owner: AccountId) -> u64 {
    owner
        .0
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn is_due(row: Option<&ResultRow>) -> bool {
    row.is_some_and(|row| row.reward != RewardState::Gone)
}

impl Owners {
    /// Builds it from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        let mut owners = Self::default();
        DEVICES.visit(snapshot, None, &mut |id, device| {
            owners.own(id, device.owner);
            ControlFlow::Continue(())
        })?;
        DEVICE_RESULTS.visit(snapshot, None, &mut |(id, _epoch), row| {
            if is_due(Some(&row)) {
                owners.count(id, 1, 0);
            }
            ControlFlow::Continue(())
        })?;
        OLD_REWARDS.visit(snapshot, None, &mut |id, _row| {
            owners.count(id, 1, 0);
            ControlFlow::Continue(())
        })?;
        Ok(owners)
    }

    /// Follows one commit. Who still reads the index of the block before keeps it.
    pub fn apply(this: &mut Arc<Self>, changes: &WriteSet) -> Result<(), Fault> {
        for (_key, change) in changes.table(DEVICES.id) {
            if let (None, Some(new)) = (&change.old, &change.new) {
                let device = DEVICES.decode(new)?;
                Arc::make_mut(this).own(device.id, device.owner);
            }
        }
        DEVICE_RESULTS.changed_rows(changes, &mut |(first, _epoch), old, new| {
            let of = |page: &Page<ResultRow>, place| Ok(is_due(page.get(place)?.as_ref()));
            for place in 0..64 {
                let (before, after) = (of(old, place)?, of(new, place)?);
                if before != after {
                    let id = DeviceId(first.0 | u64::from(place));
                    Arc::make_mut(this).count(id, u32::from(after), u32::from(before));
                }
            }
            Ok(())
        })?;
        OLD_REWARDS.changed_rows(changes, &mut |first, old, new| {
            for place in (0..64).filter(|place| (old.present() ^ new.present()) >> place & 1 == 1) {
                let after = u32::from(new.present() >> place & 1 == 1);
                let before = 1_u32.saturating_sub(after);
                Arc::make_mut(this).count(DeviceId(first.0 | place), after, before);
            }
            Ok(())
        })
    }

    fn own(&mut self, id: DeviceId, owner: AccountId) {
        let at = usize::try_from(id.0).unwrap_or(usize::MAX);
        if self.prefixes.len() <= at {
            self.prefixes.resize(at.saturating_add(1), 0);
        }
        if let Some(place) = self.prefixes.get_mut(at) {
            *place = prefix(owner);
        }
    }

    fn count(&mut self, id: DeviceId, more: u32, less: u32) {
        let at = usize::try_from(id.0).unwrap_or(usize::MAX);
        let prefix = self.prefixes.get(at).copied().unwrap_or(0);
        let held = self.due.entry((prefix, id)).or_default();
        *held = held.saturating_add(more).saturating_sub(less);
        if *held == 0 {
            self.due.remove(&(prefix, id));
        }
    }

    /// Devices with rewards not collected that may be this owner's, ascending; their rows tell.
    pub fn candidates(&self, owner: AccountId) -> impl Iterator<Item = DeviceId> + '_ {
        let prefix = prefix(owner);
        self.due
            .range((prefix, DeviceId(0))..=(prefix, DeviceId(u64::MAX)))
            .map(|((_prefix, id), _count)| *id)
    }
}
