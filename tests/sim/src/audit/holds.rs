//! Money and what is reserved of it: rows against the books.

use std::collections::BTreeMap;

use io_state_machine::tables;
use io_types::row::{BookingState, OrderState};
use io_types::{AccountId, Asset, Holder, SystemAccount};

use super::{Auditor, ceil, floor, system};
use crate::rows::Rows;
use crate::{Check, same};

impl Auditor {
    /// INV-01, INV-03, INV-22, and every balance.
    pub(super) fn compare_money(&mut self, rows: Rows<'_>) -> Check {
        let mut found: BTreeMap<(Holder, Asset), i128> = BTreeMap::new();
        for (key, row) in rows.list(&tables::ACCOUNTS) {
            found.insert(key, row.balance);
        }
        for asset in Asset::ALL {
            let sum: i128 = found
                .iter()
                .filter(|((_holder, of), _balance)| *of == asset)
                .map(|(_key, balance)| *balance)
                .sum();
            same(&format!("INV-01: sum of all accounts of {asset}"), &sum, &0)?;
        }
        self.money.retain(|_key, balance| *balance != 0);
        found.retain(|_key, balance| *balance != 0);
        for key in self.money.keys().chain(found.keys()) {
            let (got, want) = (found.get(key), self.money.get(key));
            same(&format!("balance of {:?} in {}", key.0, key.1), &got, &want)?;
        }
        for ((holder, asset), balance) in &self.money {
            if *holder != system(SystemAccount::Outside) && *balance < 0 {
                return Err(format!("{holder:?} owes {balance} of {asset}"));
            }
        }
        self.compare_totals(rows)?;
        self.compare_fees(rows)?;
        self.compare_accruals(rows)
    }

    fn compare_totals(&self, rows: Rows<'_>) -> Check {
        for asset in Asset::ALL {
            let row = rows.get(&tables::TOTALS, &asset).unwrap_or_default();
            let place = usize::from(asset.number());
            let withdrawn: u64 = self
                .withdrawn
                .iter()
                .filter(|((of, _account), _sum)| *of == asset)
                .map(|(_key, sum)| *sum)
                .sum();
            same(
                &format!("withdrawn {asset}"),
                &row.withdrawn.get(),
                &withdrawn,
            )?;
            let claimed = self.claimed.get(place).copied().unwrap_or(0);
            same(&format!("claimed {asset}"), &row.claimed.get(), &claimed)?;
            let burned = u128::from(row.burned.get());
            same(&format!("burned {asset}"), &burned, &self.burned[place])?;
            let emitted = if asset == Asset::Io { self.emitted } else { 0 };
            same(
                &format!("emitted {asset}"),
                &u128::from(row.emitted.get()),
                &emitted,
            )?;
            let payouts = self.balance(system(SystemAccount::Payouts), asset);
            same(
                &format!("payouts of {asset} on their way"),
                &payouts,
                &i128::from(withdrawn - claimed),
            )?;
            let outside = -self.balance(system(SystemAccount::Outside), asset);
            let inside = i128::from(row.genesis.get())
                + i128::from(row.deposited.get())
                + i128::from(row.emitted.get())
                - i128::from(row.claimed.get())
                - i128::from(row.burned.get());
            same(&format!("INV-03: {asset} on the chain"), &outside, &inside)?;
        }
        Ok(())
    }

    /// Revenue is what open epochs have counted, and all epochs together have counted all that came in.
    fn compare_fees(&self, rows: Rows<'_>) -> Check {
        let (mut all, mut open) = ([0_u128; 3], [0_i128; 3]);
        for (_epoch, row) in rows.list(&tables::EPOCHS) {
            for (place, fees) in row.fees.iter().enumerate() {
                all[place] += u128::from(fees.get());
                if !row.closed {
                    open[place] += i128::from(fees.get());
                }
            }
        }
        same("fees counted in all epochs", &all, &self.fees_in)?;
        let revenue = Asset::ALL.map(|asset| self.balance(system(SystemAccount::Revenue), asset));
        same("revenue of open epochs", &revenue, &open)
    }

    /// INV-02, INV-31, INV-32: held money by what it is held for.
    pub(super) fn compare_holds(&mut self, rows: Rows<'_>) -> Check {
        let mut held: BTreeMap<(Holder, Asset), u128> = BTreeMap::new();
        let mut add = |holder: AccountId, asset, amount: u128| {
            *held.entry((holder.into(), asset)).or_default() += amount;
        };
        for book in self.orders.values() {
            add(book.renter, book.asset, u128::from(book.held));
        }
        for (id, row) in rows.list(&tables::BOOKINGS) {
            let book = self.bookings.get_mut(&id).ok_or("a booking nobody made")?;
            let paid: u64 = row.parts.iter().map(|part| part.part.get()).sum();
            same(
                "parts and fees of a booking",
                &(paid + row.fees.get()),
                &book.total,
            )?;
            if row.state == BookingState::Ended && !book.ended {
                let open = book.open();
                same(
                    &format!("INV-32: left of booking {id}, which is over"),
                    &open,
                    &0,
                )?;
                self.end_of_booking(&row)?;
                self.bookings.get_mut(&id).ok_or("gone")?.ended = true;
            }
        }
        for book in self.bookings.values() {
            add(book.renter, book.asset, book.open());
        }
        for (staker, amount) in self.stakes.values() {
            add(*staker, Asset::Io, u128::from(*amount));
        }
        for (verifier, amount) in &self.verifiers {
            add(*verifier, Asset::Io, u128::from(*amount));
        }
        held.retain(|_key, amount| *amount != 0);
        let mut found: BTreeMap<(Holder, Asset), u128> = BTreeMap::new();
        for (key, row) in rows.list(&tables::ACCOUNTS) {
            if !row.held.is_zero() {
                found.insert(key, u128::from(row.held.get()));
            }
            if key.0 != system(SystemAccount::Outside) && row.balance < i128::from(row.held.get()) {
                return Err(format!("INV-02: {key:?} holds more than it has"));
            }
        }
        for key in held.keys().chain(found.keys()) {
            same(&format!("held of {key:?}"), &found.get(key), &held.get(key))?;
        }
        let mut holds: BTreeMap<(Holder, Asset), u128> = BTreeMap::new();
        for (_id, hold) in rows.list(&tables::HOLDS) {
            *holds.entry((hold.owner, hold.asset)).or_default() += u128::from(hold.remaining.get());
        }
        holds.retain(|_key, amount| *amount != 0);
        same("INV-02: holds", &holds, &held)?;
        self.compare_orders(rows)
    }

    /// Fees of a booking that is over, and the supplier's share, by the design's formulas.
    fn end_of_booking(&self, row: &io_types::row::Booking) -> Check {
        use io_types::row::PartEnd;
        let minutes = u64::from(row.hours) * 60;
        let complained = row
            .parts
            .iter()
            .any(|part| matches!(part.ended, Some((PartEnd::NotDelivered, _reason))));
        let mut due = 0;
        let weight: u128 = row
            .parts
            .iter()
            .map(|part| u128::from(part.part.get()))
            .sum();
        for part in &row.parts {
            let served = match part.ended {
                Some((PartEnd::Completed | PartEnd::EndedByRenter, _)) => minutes,
                Some((PartEnd::SupplierFailed, _)) if part.served >= 60 => {
                    u64::from(part.served).min(minutes)
                }
                _none => 0,
            };
            due += u128::from(row.fees.get()) * u128::from(part.part.get()) * u128::from(served)
                / (weight * u128::from(minutes)).max(1);
        }
        let mut due = u64::try_from(due).unwrap().min(row.fees.get());
        if complained {
            due = due.max(row.reservation.get());
        }
        // A part that complains after it has served an hour gives back what it earned only in money, not in fees taken.
        if row.fees_earned.get() < due || (!complained && row.fees_earned.get() != due) {
            return Err(format!(
                "booking {} took fees of {}, by its minutes {due}",
                row.id, row.fees_earned
            ));
        }
        for part in &row.parts {
            let gross = self.bookings[&row.id].gross[&part.device];
            same("gross of a part", &part.paid.get(), &gross)?;
            let most = floor(
                part.part.get(),
                u64::from(part.served).min(minutes),
                minutes,
            );
            if gross > most {
                return Err(format!(
                    "part of {} was paid {gross}, served {most}",
                    part.device
                ));
            }
            let _least_fee = ceil(gross, self.spec.params.market.reservation.get(), 10_000);
        }
        Ok(())
    }

    fn compare_orders(&self, rows: Rows<'_>) -> Check {
        let mut open: BTreeMap<AccountId, u32> = BTreeMap::new();
        for (id, row) in rows.list(&tables::ORDERS) {
            let hold = rows
                .get(&tables::HOLDS, &row.hold)
                .map(|hold| hold.remaining.get());
            if row.state == OrderState::Open {
                *open.entry(row.renter).or_default() += 1;
                let book = self.orders.get(&id).map(|book| book.held);
                same(&format!("INV-31: hold of order {id}"), &hold, &book)?;
            } else {
                same(&format!("INV-31: hold of closed order {id}"), &hold, &None)?;
            }
        }
        let found: BTreeMap<AccountId, u32> = rows.list(&tables::OPEN_ORDERS).into_iter().collect();
        same("open orders by renter", &found, &open)
    }
}
