//! Devices, stakes, challenges, lanes: rows against the books and against each other.

use std::collections::{BTreeMap, BTreeSet};

use io_state_machine::tables;
use io_types::consensus::Block;
use io_types::row::{BookingState, ChallengeStage, DeviceState, OrderState, PartEnd};
use io_types::{AccountId, DeviceId};

use super::Auditor;
use super::books::is_over;
use crate::rows::Rows;
use crate::{Check, same};

impl Auditor {
    pub(super) fn compare_things(&mut self, block: &Block, rows: Rows<'_>) -> Check {
        let lanes: BTreeMap<(AccountId, u16), u64> = rows
            .list(&tables::LANES)
            .into_iter()
            .map(|(key, row)| (key, row.sequence))
            .collect();
        same("sequences", &lanes, &self.lanes)?;
        self.compare_stakes(rows)?;
        self.compare_devices(rows)?;
        self.count_reports(rows);
        compare_bookings(rows)?;
        compare_challenges(rows)?;
        compare_clock(block, rows)
    }

    fn compare_stakes(&self, rows: Rows<'_>) -> Check {
        let clock = rows.one(&tables::CLOCK).ok_or("no clock")?;
        let mut stakes = BTreeMap::new();
        for (device, row) in rows.values(&tables::STAKES) {
            let hold = rows
                .get(&tables::HOLDS, &row.hold)
                .map(|hold| hold.remaining);
            same("hold of a stake", &hold, &Some(row.amount))?;
            // A cooldown that is over still reserves its stake: only a withdrawal ends it.
            let _free = is_over(row.exit, clock.chain_time);
            stakes.insert(device, (row.staker, row.amount.get()));
        }
        same("stakes", &stakes, &self.stakes)?;
        let verifiers: BTreeMap<AccountId, u64> = rows
            .list(&tables::VERIFIERS)
            .into_iter()
            .map(|(account, row)| (account, row.stake.get()))
            .collect();
        same("stakes of verifiers", &verifiers, &self.verifiers)?;
        let sum: u64 = stakes
            .values()
            .map(|(_staker, amount)| *amount)
            .sum::<u64>()
            + verifiers.values().sum::<u64>();
        let bridge = rows.one(&tables::BRIDGE).ok_or("no bridge")?;
        same("sum of all stakes", &bridge.staked.get(), &sum)
    }

    /// INV-11 and INV-12.
    fn compare_devices(&mut self, rows: Rows<'_>) -> Check {
        let devices = rows.list(&tables::DEVICES);
        let keys: BTreeMap<AccountId, DeviceId> =
            rows.list(&tables::DEVICE_KEYS).into_iter().collect();
        same("devices and device keys", &keys.len(), &devices.len())?;
        let mut owners = BTreeMap::new();
        for (id, row) in &devices {
            owners.insert(*id, row.owner);
            let tested = if row.challenge.is_some() {
                ", tested"
            } else {
                ""
            };
            self.count(format!("device-blocks {:?}{tested}", row.state));
            same(
                "INV-11: device of a key",
                &keys.get(&row.device_key),
                &Some(id),
            )?;
            if row.device_key == row.owner {
                return Err(format!("INV-11: device {id} is owned by its own key"));
            }
            let serves = row.booking.is_some();
            if row.state == DeviceState::Hired && !serves {
                return Err(format!(
                    "INV-12: device {id} is hired and serves no booking"
                ));
            }
            if serves && !matches!(row.state, DeviceState::Hired | DeviceState::Down) {
                return Err(format!("INV-12: device {id} is {:?} and serves", row.state));
            }
            if let Some(booking) = row.booking {
                let booking = rows.get(&tables::BOOKINGS, &booking).ok_or("no booking")?;
                let part = booking.parts.iter().find(|part| part.device == *id);
                let runs = part.is_some_and(|part| part.ended.is_none());
                same("INV-12: a part runs for its device", &runs, &true)?;
            }
            if row.reputation > 10_000 {
                return Err(format!("device {id} has reputation {}", row.reputation));
            }
        }
        same("owners", &owners, &self.owners)
    }
}

fn compare_bookings(rows: Rows<'_>) -> Check {
    for (id, row) in rows.list(&tables::BOOKINGS) {
        let mut reserved = rows
            .get(&tables::HOLDS, &row.fee_hold)
            .map_or(0, |hold| hold.remaining.get());
        let over = row.parts.iter().all(|part| part.ended.is_some());
        same(
            "a booking is over with its last part",
            &(row.state == BookingState::Ended),
            &over,
        )?;
        let mut devices = BTreeSet::new();
        for part in &row.parts {
            reserved += rows
                .get(&tables::HOLDS, &part.hold)
                .map_or(0, |hold| hold.remaining.get());
            let device = rows
                .get(&tables::DEVICES, &part.device)
                .ok_or("no device")?;
            let serves = device.booking == Some(id);
            same(
                "INV-12: a device serves its part",
                &serves,
                &part.ended.is_none(),
            )?;
            if !devices.insert(part.device) {
                return Err(format!("booking {id} has device {} twice", part.device));
            }
            let minutes = u32::from(row.hours) * 60;
            // A renter who ends in the first hour pays the hour, with the minutes that were slashed in it.
            let first_hour = part.ended.map(|(end, _reason)| end) == Some(PartEnd::EndedByRenter)
                && part.served == 60;
            if part.served > minutes || (part.served + part.slashed > minutes && !first_hour) {
                return Err(format!("part of {} has too many minutes", part.device));
            }
        }
        if over && reserved != 0 {
            return Err(format!("booking {id} is over and holds {reserved}"));
        }
    }
    Ok(())
}

/// INV-40: a device has at most one challenge that is not decided, and its row names it.
fn compare_challenges(rows: Rows<'_>) -> Check {
    let mut running = BTreeMap::new();
    for (id, row) in rows.list(&tables::CHALLENGES) {
        let decided = row.stage == ChallengeStage::Decided;
        same(
            "a decided challenge has an outcome",
            &row.outcome.is_some(),
            &decided,
        )?;
        if !decided && running.insert(row.device, id).is_some() {
            return Err(format!("INV-40: device {} has two challenges", row.device));
        }
        if !row.verifiers.is_sorted_by_key(|drawn| drawn.account) {
            return Err(format!("verifiers of challenge {id} are not in order"));
        }
    }
    let named: BTreeMap<_, _> = rows
        .list(&tables::DEVICES)
        .into_iter()
        .filter_map(|(id, row)| row.challenge.map(|challenge| (id, challenge)))
        .collect();
    same("INV-40: challenges that devices name", &named, &running)
}

fn compare_clock(block: &Block, rows: Rows<'_>) -> Check {
    let clock = rows.one(&tables::CLOCK).ok_or("no clock")?;
    same("block time", &clock.block_time, &block.time)?;
    same(
        "the open epoch",
        &clock.open_epoch,
        &clock.next_slot.epoch(),
    )?;
    let open: Vec<_> = rows
        .list(&tables::EPOCHS)
        .into_iter()
        .filter(|(_epoch, row)| !row.closed)
        .map(|(epoch, _row)| epoch)
        .collect();
    // The one before is open until all its devices are worked off.
    let closing = rows.one(&tables::CLOSING).map(|closing| closing.epoch);
    let expected: Vec<_> = closing.into_iter().chain([clock.open_epoch]).collect();
    same("epochs that are open", &open, &expected)
}

impl Auditor {
    /// For the report: why open orders wait.
    pub(super) fn count_reports(&mut self, rows: Rows<'_>) {
        for (_id, order) in rows.list(&tables::ORDERS) {
            if let (OrderState::Open, Some(report)) = (order.state, order.report) {
                for (name, count) in [
                    ("model", report.model),
                    ("state", report.state),
                    ("stake", report.stake),
                    ("price", report.price),
                    ("quantity", report.quantity),
                    ("desk", report.desk),
                    ("no price", u64::from(report.no_price)),
                    ("reputation", report.reputation),
                ] {
                    *self.seen.entry(format!("waits for {name}")).or_default() += count;
                }
            }
        }
    }
}
