//! Solana's token accounts: what lies in the vaults is what was brought, made and not taken away, and what the chain says that it owes.

use std::collections::BTreeMap;

use io_state_machine::BlockOutcome;
use io_types::{AccountId, Asset, SystemAccount};

use super::{Auditor, system};
use crate::solana::{Picture, Solana};
use crate::{Check, same};

/// What the books said when a batch was frozen, base units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frozen {
    /// What everybody owns on the chain, by bridged asset; what was withdrawn is no longer theirs.
    held: [i128; 2],
    /// Deposits that were credited.
    credited: usize,
    /// IO emitted.
    emitted: u128,
    /// IO burned, without what was burned for credits.
    burned: u128,
    /// All that was ever withdrawn, by bridged asset.
    withdrawn: [u128; 2],
}

impl Auditor {
    /// Notes what the books say of the batch that this block has frozen.
    pub(super) fn note_freeze(&mut self, outcome: &BlockOutcome) {
        let Some(file) = &outcome.frozen else {
            return;
        };
        let each = Asset::BRIDGED.map(|asset| {
            let outside = self.balance(system(SystemAccount::Outside), asset);
            let payouts = self.balance(system(SystemAccount::Payouts), asset);
            (-outside - payouts, self.all_withdrawn(asset))
        });
        let frozen = Frozen {
            held: each.map(|(held, _withdrawn)| held),
            credited: usize::try_from(self.credited).unwrap(),
            emitted: self.emitted,
            burned: self.burned[0],
            withdrawn: each.map(|(_held, withdrawn)| withdrawn),
        };
        self.frozen.insert(file.number.0, frozen);
    }

    fn all_withdrawn(&self, asset: Asset) -> u128 {
        let of = self
            .withdrawn
            .iter()
            .filter(|((of, _to), _sum)| *of == asset);
        of.map(|(_key, sum)| u128::from(*sum)).sum()
    }

    /// Every token account on Solana, to the base unit.
    pub(super) fn compare_vaults(&self, solana: &Solana) -> Check {
        let (picture, holdings) = solana.accounts();
        let claims: BTreeMap<_, _> = solana.claims.clone();
        same("what claims brought on Solana", &holdings.received, &claims)?;
        for ((asset, account), sum) in &claims {
            let asset = Asset::BRIDGED[usize::from(*asset)];
            let key = (asset, AccountId(*account));
            let owed = self.withdrawn.get(&key).copied().unwrap_or(0);
            if *sum > owed {
                return Err(format!(
                    "{sum} of {asset} was claimed on Solana, {owed} was withdrawn"
                ));
            }
        }
        let mut sent: BTreeMap<_, u64> = BTreeMap::new();
        for record in &solana.records {
            *sent.entry((record.asset, record.depositor)).or_default() += record.amount;
        }
        same("what depositors sent on Solana", &holdings.sent, &sent)?;
        for asset in Asset::BRIDGED {
            let place = usize::from(asset.number());
            let begun = self.spec.balances.iter().filter(|row| row.asset == asset);
            let begun: i128 = begun.map(|row| i128::from(row.amount.get())).sum();
            let came: i128 = sum(&sent, asset);
            let went: i128 = sum(&claims, asset);
            let made = if place == 0 { holdings.io_made } else { 0 };
            let lies = i128::from(picture.vaults[place]) + staked(&picture, place);
            same(
                &format!("what lies in the vaults of {asset} on Solana"),
                &lies,
                &(begun + came - went + made),
            )?;
        }
        self.compare_settled(solana)
    }

    /// What the last settlement left there covers what the chain's books said when its batch was frozen, and nothing is left over.
    fn compare_settled(&self, solana: &Solana) -> Check {
        let Some((last, deposits)) = solana.history.values().next_back() else {
            return Ok(());
        };
        let body = solana.signed.get(&last.batch_hash);
        let body = body.ok_or("a batch is settled that the chain never showed")?;
        let frozen = self.frozen.get(&last.number);
        let frozen = frozen.ok_or("a batch is settled that was never frozen")?;
        let done = &last.counters;
        for asset in Asset::BRIDGED {
            let place = usize::from(asset.number());
            let total = u128::from(done.payout_total[place]);
            same(
                "payouts allowed on Solana",
                &total,
                &frozen.withdrawn[place],
            )?;
            let waiting = solana.records[frozen.credited..*deposits]
                .iter()
                .filter(|record| record.asset == asset.number());
            let waiting: i128 = waiting.map(|record| i128::from(record.amount)).sum();
            let unclaimed = i128::from(done.payout_total[place]) - i128::from(done.claimed[place]);
            // What the schedule or the vault holds back stays due.
            let (unmade, unburned) = if place == 0 {
                let due = frozen.emitted + u128::from(body.reminted);
                let burned = frozen.burned + u128::from(body.credit_burned);
                let gone = i128::from(done.burned) + i128::from(done.credit_burned);
                (
                    i128::try_from(due).unwrap() - i128::from(done.minted),
                    i128::try_from(burned).unwrap() - gone,
                )
            } else {
                (0, 0)
            };
            if unmade < 0 || unburned < 0 {
                return Err(format!(
                    "Solana made or burned more IO than the chain: {unmade} and {unburned} are left to do"
                ));
            }
            let lies = i128::from(last.vaults[place])
                + if place == 0 {
                    i128::from(last.stake_vault)
                } else {
                    0
                };
            let wanted = frozen.held[place] + unclaimed + waiting - unmade + unburned;
            let what = format!(
                "what settlement {} left in the vaults of {asset}",
                last.number
            );
            same(&what, &lies, &wanted)?;
        }
        Ok(())
    }
}

/// Staked IO lies in a vault of its own.
fn staked(picture: &Picture, place: usize) -> i128 {
    if place == 0 {
        i128::from(picture.stake_vault)
    } else {
        0
    }
}

fn sum(of: &BTreeMap<(u8, [u8; 32]), u64>, asset: Asset) -> i128 {
    let of = of
        .iter()
        .filter(|((found, _who), _sum)| *found == asset.number());
    of.map(|(_key, sum)| i128::from(*sum)).sum()
}
