//! Derived indices: which challenge is due when, and which device is due for one. Rebuilt from rows at start.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use io_storage::{Fault, Snapshot, Value, WriteSet};
use io_types::row::{Challenge, ChallengeStage, Device, DeviceState};
use io_types::{ChainTime, ChallengeId, DeviceId, Height};

use crate::paged::first_of_row;
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
    /// Devices with a hash chain: by the first of 64, one bit for each.
    alive: BTreeMap<DeviceId, u64>,
}

impl Index {
    /// Builds everything from rows.
    pub fn rebuild(snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        let mut index = Self::default();
        UPTIME.visit(snapshot, None, &mut |device, _row| {
            index.set_alive(device, true);
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
        UPTIME.changed_rows(changes, &mut |first, old, new| {
            for place in (0..64).filter(|place| (old.present() ^ new.present()) >> place & 1 == 1) {
                let alive = new.present() >> place & 1 == 1;
                self.change_uptime(DeviceId(first.0 | place), alive);
            }
            Ok(())
        })
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
        self.testable.contains_key(&device) && self.is_alive(device)
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
        if self.is_alive(device.id) {
            self.due.insert((device.challenge_due, device.id));
        }
    }

    fn change_uptime(&mut self, id: DeviceId, alive: bool) {
        let due = self.testable.get(&id).map(|due| (*due, id));
        self.set_alive(id, alive);
        if alive {
            self.due.extend(due);
        } else if let Some(due) = due {
            self.due.remove(&due);
        }
    }

    fn is_alive(&self, id: DeviceId) -> bool {
        let bits = self.alive.get(&first_of_row(id));
        bits.is_some_and(|bits| bits & bit_of(id) != 0)
    }

    fn set_alive(&mut self, id: DeviceId, alive: bool) {
        let bits = self.alive.entry(first_of_row(id)).or_default();
        if alive {
            *bits |= bit_of(id);
        } else {
            *bits &= !bit_of(id);
        }
        if *bits == 0 {
            self.alive.remove(&first_of_row(id));
        }
    }
}

/// The bit of a device among its 64.
fn bit_of(id: DeviceId) -> u64 {
    1_u64.rotate_left(u32::try_from(id.0 & 63).unwrap_or(0))
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
