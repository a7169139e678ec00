//! Indices that follow from the rows of the last commit. They are no tables: they are rebuilt at start, and kept by each
//! commit's write set. They always show the state *before* the block in the works; what the block itself changed is read
//! from its [`State`](crate::state::State).

use std::sync::Arc;

use io_storage::{Fault, Snapshot, WriteSet};

/// All derived indices. Each belongs to the component that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// Devices by model and rank, open orders by renter, bookings that run, devices by next challenge.
    pub market: crate::market::Index,
    /// Devices by their last link.
    pub uptime: crate::uptime::Index,
    /// Devices with rewards not collected, by owner.
    pub owners: Arc<crate::device::Owners>,
    /// Running challenges and devices by due time.
    pub verification: crate::verification::Index,
}

impl Derived {
    /// Builds everything from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        Ok(Self {
            market: crate::market::Index::rebuild(snapshot)?,
            uptime: crate::uptime::Index::rebuild(snapshot)?,
            owners: Arc::new(crate::device::Owners::rebuild(snapshot)?),
            verification: crate::verification::Index::rebuild(snapshot)?,
        })
    }

    /// Follows one commit; `after` is the version that it made.
    pub fn apply(&mut self, changes: &WriteSet, after: &dyn Snapshot) -> Result<(), Fault> {
        if crate::market::Index::rules_changed(changes) {
            *self = Self::rebuild(after)?;
            return Ok(());
        }
        self.market.apply(changes, after)?;
        self.uptime.apply(changes)?;
        crate::device::Owners::apply(&mut self.owners, changes)?;
        self.verification.apply(changes)
    }
}
