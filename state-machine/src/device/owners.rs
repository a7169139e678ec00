//! Derived index: devices by owner. Devices never change hands and are never deleted, so it only grows.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use io_storage::{Fault, Snapshot, WriteSet};
use io_types::{AccountId, DeviceId};

use crate::tables::DEVICES;

/// Devices by the first 8 bytes of their owner: 16 bytes for a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners(BTreeSet<(u64, DeviceId)>);

fn prefix(owner: AccountId) -> u64 {
    owner
        .0
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl Owners {
    /// Builds it from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        let mut owners = BTreeSet::new();
        DEVICES.visit(snapshot, None, &mut |id, device| {
            owners.insert((prefix(device.owner), id));
            ControlFlow::Continue(())
        })?;
        Ok(Self(owners))
    }

    /// Follows one commit. Who still reads the index of the block before keeps it.
    pub fn apply(this: &mut Arc<Self>, changes: &WriteSet) -> Result<(), Fault> {
        for (_key, change) in changes.table(DEVICES.id) {
            if let (None, Some(new)) = (&change.old, &change.new) {
                let device = DEVICES.decode(new)?;
                Arc::make_mut(this)
                    .0
                    .insert((prefix(device.owner), device.id));
            }
        }
        Ok(())
    }

    /// Devices that may be this owner's, ascending; their rows tell.
    pub fn candidates(&self, owner: AccountId) -> impl Iterator<Item = DeviceId> + '_ {
        let prefix = prefix(owner);
        self.0
            .range((prefix, DeviceId(0))..=(prefix, DeviceId(u64::MAX)))
            .map(|(_prefix, id)| *id)
    }
}
