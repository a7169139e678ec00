//! Rewards that were given and not collected: rows against the books.

use std::collections::{BTreeMap, BTreeSet};

use io_state_machine::tables;
use io_types::row::RewardState;
use io_types::{AccountId, Asset, ChainTime, DeviceId, Epoch, SystemAccount};

use super::{Auditor, system};
use crate::rows::Rows;
use crate::{Check, same};

/// One reward.
pub(super) type Reward = (AccountId, Epoch, DeviceId);

const NEVER: ChainTime = ChainTime(u64::MAX);

impl Auditor {
    /// The rewards that the rows still have, with the time from which each can be collected.
    ///
    /// Rows name an epoch as long as they have its result. For older ones they have one sum for a device: it must be that of
    /// all its older rewards in the books, less classes of them that went as a whole.
    fn accruals_in(&self, rows: Rows<'_>) -> Result<BTreeMap<Reward, (u64, ChainTime)>, String> {
        let delay = self.spec.params.reward.collect_after_ms;
        let ripe = |epoch: Epoch| ChainTime(epoch.next().start().0 + delay);
        let (mut found, mut named) = (BTreeMap::new(), BTreeSet::new());
        for ((device, epoch), row) in rows.values(&tables::DEVICE_RESULTS) {
            let owner = *self.owners.get(&device).ok_or("a result of no device")?;
            let key = (owner, epoch, device);
            named.insert(key);
            let at = match row.reward {
                RewardState::Gone => continue,
                RewardState::Accrued => ripe(epoch),
                RewardState::Withheld => NEVER,
            };
            found.insert(key, (row.result.reward.get(), at));
        }
        let mut older: BTreeMap<DeviceId, Vec<Reward>> = BTreeMap::new();
        for key in self.accruals.keys().filter(|key| !named.contains(key)) {
            older.entry(key.2).or_default().push(*key);
        }
        for (device, row) in rows.values(&tables::OLD_REWARDS) {
            let keys = older.remove(&device).unwrap_or_default();
            if keys.iter().any(|key| key.1 > row.through) {
                return Err(format!(
                    "device {device} lost a result of an epoch after {}",
                    row.through
                ));
            }
            let sums = (row.ready.get(), row.withheld.get());
            let left = self
                .classes_left(rows, device, &keys, sums)
                .ok_or_else(|| {
                    format!("old rewards {sums:?} of device {device} are no sum of {keys:?}")
                })?;
            for (key, waits) in left {
                let at = if waits { NEVER } else { ripe(key.1) };
                found.insert(key, (self.accruals[&key], at));
            }
        }
        Ok(found)
    }

    /// Which of a device's older rewards are left, and whether they wait for a pulse, if sums of classes of them give `ready`
    /// and `withheld`: those that were old in the block before, those that have just become so, those that waited, those
    /// that were given in this block, in which a later epoch was closed as well.
    fn classes_left(
        &self,
        rows: Rows<'_>,
        device: DeviceId,
        keys: &[Reward],
        sums: (u64, u64),
    ) -> Option<Vec<(Reward, bool)>> {
        const GONE: Option<bool> = None;
        const READY: Option<bool> = Some(false);
        const WAITS: Option<bool> = Some(true);
        let class = |key: &Reward| match self.ripe.get(key) {
            Some(&NEVER) => 2,
            None => 3,
            Some(_) if self.old.contains(key) => 0,
            Some(_) => 1,
        };
        let left = |fates: [Option<bool>; 4]| -> Vec<(Reward, bool)> {
            let fate = |key: &Reward| fates[class(key)].map(|waits| (*key, waits));
            keys.iter().filter_map(fate).collect()
        };
        let sum = |left: &[(Reward, bool)], waiting: bool| -> u64 {
            let of = left.iter().filter(|(_key, waits)| *waits == waiting);
            of.map(|(key, _waits)| self.accruals[key]).sum()
        };
        // Only a passed pulse ends the wait, and only a booking that allows none begins it.
        let waited: &[_] = if self.passed.contains(&device) {
            &[WAITS, READY, GONE]
        } else {
            &[WAITS, GONE]
        };
        let given: &[_] = if allows_no_pulse(rows, device) {
            &[WAITS, READY, GONE]
        } else {
            &[READY, GONE]
        };
        // Who collects what has just become old collects what was old before.
        for (old, young) in [(READY, READY), (GONE, READY), (GONE, GONE)] {
            for waited in waited {
                for given in given {
                    let left = left([old, young, *waited, *given]);
                    if (sum(&left, false), sum(&left, true)) == sums {
                        return Some(left);
                    }
                }
            }
        }
        None
    }

    /// INV-22, and every reward.
    pub(super) fn compare_accruals(&mut self, rows: Rows<'_>) -> Check {
        let found: BTreeMap<Reward, u64> = self
            .accruals_in(rows)?
            .into_iter()
            .map(|(key, (amount, _ripe))| (key, amount))
            .collect();
        // What is gone was collected: the sum below says that it was paid.
        self.accruals.retain(|key, _amount| found.contains_key(key));
        same("accruals", &found, &self.accruals)?;
        let sum: u128 = found.values().map(|amount| u128::from(*amount)).sum();
        let pool = self.balance(system(SystemAccount::RewardPool), Asset::Io);
        same(
            "INV-22: the reward pool",
            &pool,
            &i128::try_from(sum).unwrap(),
        )?;
        let named: BTreeSet<(DeviceId, Epoch)> = rows
            .values(&tables::DEVICE_RESULTS)
            .into_iter()
            .map(|(key, _row)| key)
            .collect();
        self.passed.clear();
        let old = found.keys().filter(|key| !named.contains(&(key.2, key.1)));
        self.old = old.copied().collect();
        if !self.old.is_empty() {
            self.count("blocks with rewards older than the results".to_owned());
        }
        Ok(())
    }

    /// No event says it: a device that failed loses what cannot be collected yet, to the reward vault.
    pub(super) fn forfeit(&mut self, rows: Rows<'_>) -> Check {
        let clock = rows.one(&tables::CLOCK).ok_or("no clock")?;
        let left: BTreeMap<_, _> = self
            .accruals_in(rows)?
            .into_iter()
            .map(|(key, (_amount, ripe))| (key, ripe))
            .collect();
        for (device, is_sure) in std::mem::take(&mut self.failed) {
            let (pool, vault) = (SystemAccount::RewardPool, SystemAccount::RewardVault);
            let of_device: Vec<_> = self
                .accruals
                .iter()
                .filter(|((_account, _epoch, id), _amount)| *id == device)
                .map(|(key, amount)| (*key, *amount))
                .collect();
            for (key, amount) in of_device {
                let ripe = self.ripe.get(&key).copied();
                let is_unripe = ripe.is_none_or(|ripe| ripe > clock.chain_time);
                if !is_unripe {
                    continue;
                }
                if !left.contains_key(&key) {
                    self.pay(system(pool), system(vault), Asset::Io, amount);
                    self.count("rewards forfeited".to_owned());
                } else if is_sure && ripe.is_some() {
                    return Err(format!(
                        "device {device} failed and keeps {amount} of {}",
                        key.1
                    ));
                }
            }
        }
        self.ripe = left;
        Ok(())
    }
}

/// Whether a renter of this device, now or before, allows no pulse.
fn allows_no_pulse(rows: Rows<'_>, device: DeviceId) -> bool {
    let bookings = rows.list(&tables::BOOKINGS).into_iter();
    let mut bookings = bookings.filter(|(_id, booking)| !booking.pulse_ok);
    bookings.any(|(_id, booking)| booking.parts.iter().any(|part| part.device == device))
}
