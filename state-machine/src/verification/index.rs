//! Derived indices: which challenge is due when, and which device is due for one. Rebuilt from rows at start.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use io_storage::{Fault, Snapshot, Value, WriteSet};
use io_types::row::{Challenge, ChallengeStage, Device, DeviceState};
use io_types::{ChainTime, ChallengeId, DeviceId, Height};

use crate::tables::{CHALLENGES, DEVICES, UPTIME};

/// Challenges by deadline, and devices by the time at which a challenge is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Challenges that are not decided, by the last height of their stage.
    running: BTreeSet<(Height, ChallengeId)>,
    /// Decided challenges by the last height of their disputes.
    decided: BTreeSet<(Height, ChallengeId)>,
    /// Devices that may be challenged now, with the time at which one is due.
    testable: BTreeMap<DeviceId, ChainTime>,
    /// Those of them that have registered a hash chain, so that a worker is there to answer, by that time.
    due: BTreeSet<(ChainTime, DeviceId)>,
    /// Devices with a hash chain.
    alive: BTreeSet<DeviceId>,
}

impl Index {
    /// Builds everything from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        let mut index = Self::default();
        UPTIME.visit(snapshot, None, &mut |device, _row| {
            index.alive.insert(device);
            ControlFlow::Continue(())
        })?;
        DEVICES.visit(snapshot, None, &mut |_id, device| {
            index.put_device(&device);
            ControlFlow::Continue(())
        })?;
        CHALLENGES.visit(snapshot, None, &mut |_id, challenge| {
            index.put_challenge(&challenge);
            ControlFlow::Continue(())
        })?;
        Ok(index)
    }

    /// Follows one commit.
    pub fn apply(&mut self, changes: &WriteSet) -> Result<(), Fault> {
        for (_key, change) in changes.table(CHALLENGES.id) {
            self.change_challenge(change.old.as_ref(), change.new.as_ref())?;
        }
        for (_key, change) in changes.table(DEVICES.id) {
            self.change_device(change.old.as_ref(), change.new.as_ref())?;
        }
        for (key, change) in changes.table(UPTIME.id) {
            self.change_uptime(UPTIME.decode_key(key)?, change.new.is_some());
        }
        Ok(())
    }

    /// Challenges whose stage ends at `height` or before, in that order.
    pub(super) fn due_by(&self, height: Height) -> Vec<ChallengeId> {
        let end = (Height(height.0.saturating_add(1)), ChallengeId(0));
        self.running.range(..end).map(|(_height, id)| *id).collect()
    }

    /// Challenges whose disputes ended before `height`, the oldest first, at most `limit`.
    pub(super) fn decided_before(&self, height: Height, limit: usize) -> Vec<ChallengeId> {
        self.decided
            .range(..(height, ChallengeId(0)))
            .take(limit)
            .map(|(_height, id)| *id)
            .collect()
    }

    /// How many challenges are in the works.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Devices for which a challenge is due at `now`, the longest due first, at most `limit`.
    pub(super) fn due_at(&self, now: ChainTime, limit: usize) -> Vec<DeviceId> {
        let end = (ChainTime(now.0.saturating_add(1)), DeviceId(0));
        self.due
            .range(..end)
            .take(limit)
            .map(|(_time, id)| *id)
            .collect()
    }

    /// Whether a device may be challenged and somebody is there to answer.
    pub(super) fn is_testable(&self, device: DeviceId) -> bool {
        self.testable.contains_key(&device) && self.alive.contains(&device)
    }

    fn change_challenge(&mut self, old: Option<&Value>, new: Option<&Value>) -> Result<(), Fault> {
        if let Some(old) = old {
            let old = CHALLENGES.decode(old)?;
            self.running.remove(&(old.deadline, old.id));
            self.decided.remove(&(old.deadline, old.id));
        }
        if let Some(new) = new {
            self.put_challenge(&CHALLENGES.decode(new)?);
        }
        Ok(())
    }

    fn put_challenge(&mut self, challenge: &Challenge) {
        let place = (challenge.deadline, challenge.id);
        if challenge.stage == ChallengeStage::Decided {
            self.decided.insert(place);
        } else {
            self.running.insert(place);
        }
    }

    fn change_device(&mut self, old: Option<&Value>, new: Option<&Value>) -> Result<(), Fault> {
        if let Some(old) = old {
            let id = DEVICES.decode(old)?.id;
            if let Some(due) = self.testable.remove(&id) {
                self.due.remove(&(due, id));
            }
        }
        if let Some(new) = new {
            self.put_device(&DEVICES.decode(new)?);
        }
        Ok(())
    }

    fn put_device(&mut self, device: &Device) {
        if device.challenge.is_some() || !is_testable_state(device.state) {
            return;
        }
        self.testable.insert(device.id, device.challenge_due);
        if self.alive.contains(&device.id) {
            self.due.insert((device.challenge_due, device.id));
        }
    }

    fn change_uptime(&mut self, id: DeviceId, alive: bool) {
        let due = self.testable.get(&id).map(|due| (*due, id));
        if alive {
            self.alive.insert(id);
            self.due.extend(due);
        } else {
            self.alive.remove(&id);
            if let Some(due) = due {
                self.due.remove(&due);
            }
        }
    }
}

/// States in which time brings challenges. A hired device is the renter's; one that is down has nobody to answer.
fn is_testable_state(state: DeviceState) -> bool {
    match state {
        DeviceState::Onboarding | DeviceState::Ready | DeviceState::Probation => true,
        DeviceState::Hired
        | DeviceState::Paused
        | DeviceState::Down
        | DeviceState::Blocked
        | DeviceState::Retired => false,
    }
}
