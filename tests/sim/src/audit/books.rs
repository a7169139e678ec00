//! What each event does to the books.

use io_state_machine::tables;
use io_types::row::{Outcome, PartEnd, StakeExit};
use io_types::{AccountId, Asset, Event, Holder, SystemAccount};

use super::{Auditor, BookingBook, OrderBook, ceil, floor, system};
use crate::rows::Rows;
use crate::solana::Solana;
use crate::{Check, same};

/// What a transaction may not do.
const NO_SOLANA: &str = "a transaction brings what happened on Solana";

impl Auditor {
    /// `solana` is there for what a block does by itself: no transaction brings a deposit or a settlement.
    pub(super) fn event(&mut self, event: &Event, proven: bool, solana: Option<&Solana>) -> Check {
        let name = format!("{event:?}");
        let name = name.split([' ', '{']).next().unwrap_or_default();
        self.count(match event {
            Event::PartEnded { end, .. } => format!("event {name} {end:?}"),
            Event::ChallengeDecided { outcome, .. } => format!("event {name} {outcome:?}"),
            _other => format!("event {name}"),
        });
        match event {
            Event::Transferred {
                from,
                to,
                asset,
                amount,
            } => self.pay((*from).into(), (*to).into(), *asset, amount.get()),
            Event::Withdrawn {
                account,
                asset,
                amount,
            } => {
                if self.forgets_withdrawals {
                    return Ok(());
                }
                let payouts = system(SystemAccount::Payouts);
                self.pay((*account).into(), payouts, *asset, amount.get());
                let key = (*asset, *account);
                if !self.withdrawn.contains_key(&key) {
                    self.payout_order.push(key);
                }
                *self.withdrawn.entry(key).or_default() += amount.get();
            }
            Event::Deposited {
                number,
                holder,
                asset,
                amount,
            } => self.deposit(
                *number,
                *holder,
                (*asset, amount.get()),
                solana.ok_or(NO_SOLANA)?,
            )?,
            Event::SuspenseClaimed {
                number,
                to,
                asset,
                amount,
            } => {
                same(
                    "a claim from suspense",
                    &self.suspense.remove(number),
                    &Some((*asset, amount.get())),
                )?;
                let from = system(SystemAccount::Suspense);
                self.pay(from, (*to).into(), *asset, amount.get());
            }
            Event::Settled { number, .. } => self.settled(number.0, solana.ok_or(NO_SOLANA)?)?,
            Event::Collected { account, amount } => {
                let pool = system(SystemAccount::RewardPool);
                self.pay(pool, (*account).into(), Asset::Io, amount.get());
            }
            Event::VerifierPenalised {
                verifier, amount, ..
            } => {
                let to = if proven {
                    SystemAccount::SlashCustody
                } else {
                    SystemAccount::Treasury
                };
                self.pay((*verifier).into(), system(to), Asset::Io, amount.get());
                let stake = self.verifiers.entry(*verifier).or_default();
                *stake = stake
                    .checked_sub(amount.get())
                    .ok_or("a verifier lost more than its stake")?;
            }
            Event::FraudProven {
                device, reporter, ..
            } => {
                self.failed.entry(*device).or_insert(false);
                self.fraud(*device, *reporter);
            }
            Event::ChallengeDecided {
                device,
                outcome: Outcome::Passed(_),
                ..
            } => {
                self.passed.insert(*device);
            }
            Event::ChallengeDecided {
                device,
                outcome: Outcome::Failed,
                ..
            } => {
                self.failed.insert(*device, true);
            }
            _other => {
                self.stake_event(event)?;
                self.market_event(event)?;
                self.epoch_event(event)?;
            }
        }
        Ok(())
    }

    fn deposit(
        &mut self,
        number: u64,
        holder: Holder,
        (asset, amount): (Asset, u64),
        solana: &Solana,
    ) -> Check {
        self.credited += 1;
        same("number of a credited deposit", &number, &self.credited)?;
        let record = solana
            .records
            .get(usize::try_from(number).unwrap() - 1)
            .ok_or("a deposit was credited that nobody made")?;
        same(
            "a credited deposit",
            &(asset.number(), amount),
            &(record.asset, record.amount),
        )?;
        let valid = ed25519_dalek::VerifyingKey::from_bytes(&record.account)
            .is_ok_and(|key| !key.is_weak());
        let wanted = if valid {
            Holder::Account(AccountId(record.account))
        } else {
            self.suspense.insert(number, (asset, amount));
            system(SystemAccount::Suspense)
        };
        same("who got a deposit", &holder, &wanted)?;
        self.pay(system(SystemAccount::Outside), wanted, asset, amount);
        Ok(())
    }

    fn settled(&mut self, number: u64, solana: &Solana) -> Check {
        let (last, _deposits) = solana
            .history
            .get(&number)
            .ok_or("the chain takes a batch for settled that is not")?;
        for (place, asset) in Asset::BRIDGED.into_iter().enumerate() {
            let more = last.counters.claimed[place] - self.claimed[place];
            self.claimed[place] = last.counters.claimed[place];
            let (from, to) = (SystemAccount::Payouts, SystemAccount::Outside);
            self.pay(system(from), system(to), asset, more);
        }
        self.settled = number;
        Ok(())
    }

    /// A tenth of the stake goes to custody; half of that at most, out of the duty fund, to the reporter.
    fn fraud(&mut self, device: io_types::DeviceId, reporter: AccountId) {
        let params = self.spec.params.verification.clone();
        let mut slashed = 0;
        if let Some((staker, amount)) = self.stakes.get_mut(&device) {
            slashed = floor(*amount, params.fraud_slash.get(), 10_000);
            *amount -= slashed;
            let staker = *staker;
            if *amount == 0 {
                self.stakes.remove(&device);
            }
            let custody = system(SystemAccount::SlashCustody);
            self.pay(staker.into(), custody, Asset::Io, slashed);
        }
        let fund = system(SystemAccount::DutyFund);
        let has = u64::try_from(self.balance(fund, Asset::Io)).unwrap();
        let fee = params.fraud_fee.get().min(slashed / 2).min(has);
        self.pay(fund, reporter.into(), Asset::Io, fee);
    }

    fn stake_event(&mut self, event: &Event) -> Check {
        match event {
            Event::DeviceRegistered { device, owner } => {
                self.owners.insert(*device, *owner);
            }
            Event::StakeAdded {
                device,
                staker,
                amount,
                total,
            } => {
                let stake = self.stakes.entry(*device).or_insert((*staker, 0));
                stake.1 += amount.get();
                same(
                    "stake after adding",
                    &(stake.0, stake.1),
                    &(*staker, total.get()),
                )?;
            }
            Event::StakeWithdrawn {
                device,
                staker,
                amount,
            } => {
                let stake = self
                    .stakes
                    .get_mut(device)
                    .ok_or("a stake was withdrawn that is not there")?;
                same("who withdraws a stake", &stake.0, staker)?;
                stake.1 = stake
                    .1
                    .checked_sub(amount.get())
                    .ok_or("more stake was withdrawn than is there")?;
                if stake.1 == 0 {
                    self.stakes.remove(device);
                }
            }
            _other => {}
        }
        Ok(())
    }

    fn market_event(&mut self, event: &Event) -> Check {
        match event {
            Event::OrderPlaced {
                order,
                renter,
                held,
                asset,
            } => {
                let book = OrderBook {
                    renter: *renter,
                    asset: *asset,
                    held: held.get(),
                };
                self.orders.insert(*order, book);
            }
            Event::OrderCancelled { order } | Event::OrderExpired { order } => {
                self.orders
                    .remove(order)
                    .ok_or("an order ended that was not open")?;
            }
            Event::Booked {
                booking,
                order,
                renter,
                devices,
                total,
                asset,
            } => {
                let held = self
                    .orders
                    .remove(order)
                    .ok_or("an order was booked that was not open")?;
                same(
                    "renter and asset",
                    &(held.renter, held.asset),
                    &(*renter, *asset),
                )?;
                if total.get() > held.held {
                    return Err(format!(
                        "booking {booking} costs {total}, {} held",
                        held.held
                    ));
                }
                let book = BookingBook {
                    renter: *renter,
                    asset: *asset,
                    total: total.get(),
                    gross: devices.iter().map(|device| (*device, 0)).collect(),
                    refunds: 0,
                    treasury: 0,
                    fees: 0,
                    ended: false,
                };
                self.bookings.insert(*booking, book);
            }
            Event::Worked {
                booking,
                device,
                gross,
                net,
                asset,
                ..
            } => {
                let book = self.bookings.get_mut(booking).ok_or("no such booking")?;
                *book.gross.get_mut(device).ok_or("no such part")? += gross.get();
                let renter = Holder::from(book.renter);
                same("asset of a payment", asset, &book.asset)?;
                let supplier = self.owners[device];
                let fee = gross
                    .get()
                    .checked_sub(net.get())
                    .ok_or("net above gross")?;
                self.pay(renter, supplier.into(), *asset, net.get());
                self.pay(renter, system(SystemAccount::Revenue), *asset, fee);
            }
            Event::Earned {
                booking,
                device,
                amount,
                ..
            } => same(
                "all that a part has earned",
                &amount.get(),
                &self.bookings[booking].gross[device],
            )?,
            Event::Refunded {
                booking, amount, ..
            } => {
                self.bookings
                    .get_mut(booking)
                    .ok_or("no such booking")?
                    .refunds += amount.get();
            }
            _other => {}
        }
        Ok(())
    }

    /// The schedule gives.
    fn mint(&mut self, amount: u64) {
        let (outside, pool) = (SystemAccount::Outside, SystemAccount::RewardPool);
        self.pay(system(outside), system(pool), Asset::Io, amount);
        self.emitted += u128::from(amount);
    }

    fn epoch_event(&mut self, event: &Event) -> Check {
        let pool = system(SystemAccount::RewardPool);
        match event {
            Event::Rewarded {
                epoch,
                device,
                account,
                amount,
            } => {
                same("who is rewarded", account, &self.owners[device])?;
                let key = (*account, *epoch, *device);
                if self.accruals.insert(key, amount.get()).is_some() {
                    return Err(format!("device {device} was rewarded twice for {epoch}"));
                }
                // A close may take many blocks: what is given is minted in the block that gives it.
                self.mint(amount.get());
                *self.given.entry(*epoch).or_default() += amount.get();
            }
            Event::EpochClosed {
                epoch,
                pot,
                to_vault,
                ..
            } => {
                let given = self.given.remove(epoch).unwrap_or(0);
                let rest = pot.get().checked_sub(given);
                self.mint(rest.ok_or("more was given than the pot")?);
                let vault = system(SystemAccount::RewardVault);
                self.pay(pool, vault, Asset::Io, to_vault.get());
            }
            _other => {}
        }
        Ok(())
    }

    /// Takes from rows what no event says: fees earned, gross of failed first hours, the split of an epoch's fees.
    pub(super) fn facts(&mut self, rows: Rows<'_>) -> Check {
        for (id, row) in rows.list(&tables::BOOKINGS) {
            let book = self.bookings.get_mut(&id).ok_or("a booking nobody made")?;
            let earned = row
                .fees_earned
                .get()
                .checked_sub(book.fees)
                .ok_or_else(|| format!("fees of booking {id} went back"))?;
            book.fees = row.fees_earned.get();
            let mut treasury = 0;
            for part in &row.parts {
                let first_hour = part.served < 60;
                if matches!(part.ended, Some((PartEnd::SupplierFailed, _reason))) && first_hour {
                    let minutes = u64::from(row.hours) * 60;
                    let served = u64::from(part.served).min(minutes);
                    let gross = floor(part.part.get(), served, minutes);
                    treasury += gross - book.gross[&part.device];
                }
            }
            let more = treasury - book.treasury;
            book.treasury = treasury;
            let (renter, asset) = (Holder::from(book.renter), book.asset);
            self.pay(renter, system(SystemAccount::Revenue), asset, earned);
            self.pay(renter, system(SystemAccount::Treasury), asset, more);
        }
        self.forfeit(rows)?;
        self.close_epochs(rows)
    }

    fn close_epochs(&mut self, rows: Rows<'_>) -> Check {
        let params = self.spec.params.reward.clone();
        for (epoch, row) in rows.list(&tables::EPOCHS) {
            let fees = row.fees.map(io_types::Amount::get);
            if let Some(before) = self.closed.get(&epoch) {
                same(
                    &format!("fees of epoch {epoch}, which is closed"),
                    &fees,
                    before,
                )?;
                continue;
            }
            if !row.closed {
                continue;
            }
            self.closed.insert(epoch, fees);
            let safety = system(SystemAccount::SafetyModule);
            let pool = system(SystemAccount::RewardPool);
            self.pay(pool, safety, Asset::Io, row.safety.get());
            let given = u128::from(row.safety.get())
                + u128::from(row.rewarded.get())
                + u128::from(row.to_vault.get());
            same("the pot, given away", &given, &u128::from(row.pot.get()))?;
            for (asset, fees) in Asset::ALL.into_iter().zip(fees) {
                let duty = floor(fees, params.duty.get(), 10_000);
                let burn = ceil(fees - duty, params.burn.get(), 10_000);
                let from = system(SystemAccount::Revenue);
                self.pay(from, system(SystemAccount::DutyFund), asset, duty);
                self.pay(
                    from,
                    system(SystemAccount::Treasury),
                    asset,
                    fees - duty - burn,
                );
                let to = if asset == Asset::Usdc {
                    SystemAccount::BurnPending
                } else {
                    self.burned[usize::from(asset.number())] += u128::from(burn);
                    SystemAccount::Outside
                };
                self.pay(from, system(to), asset, burn);
            }
        }
        Ok(())
    }
}

/// Whether a cooldown is over at a time.
pub(super) fn is_over(exit: Option<StakeExit>, now: io_types::ChainTime) -> bool {
    exit.is_some_and(|exit| exit.ends <= now)
}
