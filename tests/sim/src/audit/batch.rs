//! The bridge: deposits, payouts, batches.

use std::collections::BTreeMap;

use io_state_machine::{BlockOutcome, tables};
use io_types::{Asset, BatchNumber, SystemAccount};
use sha2::{Digest, Sha256};

use super::{Auditor, system};
use crate::rows::Rows;
use crate::solana::Solana;
use crate::world::CHAIN;
use crate::{Check, same};

impl Auditor {
    pub(super) fn compare_bridge(
        &mut self,
        outcome: &BlockOutcome,
        rows: Rows<'_>,
        solana: &Solana,
    ) -> Check {
        let bridge = rows.one(&tables::BRIDGE).ok_or("no bridge")?;
        let credited = usize::try_from(self.credited).unwrap();
        same(
            "last credited deposit",
            &bridge.deposit_number,
            &self.credited,
        )?;
        same(
            "deposit hash",
            &bridge.deposit_hash.0,
            &solana.rolling[credited],
        )?;
        let settled = bridge.last_settle.as_ref().map_or(0, |last| last.number.0);
        same("last settled batch", &settled, &self.settled)?;
        if let Some(last) = &bridge.last_settle {
            let surplus = last.surplus.map(|part| part.map(io_types::Amount::get));
            same(
                "INV-42: surplus of the vaults",
                &surplus,
                &[Some(0), Some(0)],
            )?;
        }
        let waiting: BTreeMap<u64, (Asset, u64)> = rows
            .list(&tables::SUSPENSE)
            .into_iter()
            .map(|(number, row)| (number, (row.asset, row.amount.get())))
            .collect();
        same("suspense", &waiting, &self.suspense)?;
        for asset in Asset::BRIDGED {
            let sum: u64 = waiting
                .values()
                .filter(|(of, _amount)| *of == asset)
                .map(|(_of, amount)| *amount)
                .sum();
            let account = self.balance(system(SystemAccount::Suspense), asset);
            same("money in suspense", &account, &i128::from(sum))?;
        }
        self.compare_payouts(rows)?;
        if let Some(file) = &outcome.frozen {
            self.batches += 1;
            same(
                "number of a batch",
                &file.number,
                &BatchNumber(self.batches),
            )?;
            self.compare_batch(outcome, rows)?;
        }
        same("newest batch", &bridge.newest_batch.0, &self.batches)
    }

    fn compare_payouts(&self, rows: Rows<'_>) -> Check {
        let mut found = BTreeMap::new();
        for ((asset, account), row) in rows.list(&tables::PAYOUTS) {
            if row.frozen > row.pending {
                return Err(format!("{account} has more frozen than pending"));
            }
            let place = self
                .payout_order
                .iter()
                .filter(|(of, _account)| *of == asset)
                .position(|(_of, of)| *of == account);
            same(
                "index of a payout",
                &usize::try_from(row.index).ok(),
                &place,
            )?;
            found.insert((asset, account), row.pending.get());
        }
        same("payouts", &found, &self.withdrawn)
    }

    /// The newest batch commits to every payout, to the totals and to what is on the chain.
    fn compare_batch(&self, outcome: &BlockOutcome, rows: Rows<'_>) -> Check {
        let number = BatchNumber(self.batches);
        let batch = rows
            .get(&tables::SETTLEMENTS, &number)
            .ok_or("the frozen batch has no row")?;
        let body = io_settlement::batch::SettleBody::from_bytes(&batch.body)
            .map_err(|error| format!("{error:?}"))?;
        let file = outcome.frozen.as_ref().ok_or("no file")?;
        for asset in Asset::BRIDGED {
            let place = usize::from(asset.number());
            let leaves: Vec<[u8; 32]> = self
                .payout_order
                .iter()
                .filter(|(of, _account)| *of == asset)
                .map(|key| leaf(asset, &key.1.0, self.withdrawn[key]))
                .collect();
            let total: u64 = self
                .withdrawn
                .iter()
                .filter(|((of, _account), _sum)| *of == asset)
                .map(|(_key, sum)| *sum)
                .sum();
            same(
                "leaves in the file",
                &file.assets[place].len(),
                &leaves.len(),
            )?;
            same("payout root", &body.payouts[place].root, &root(leaves))?;
            same("payout total", &body.payouts[place].total, &total)?;
            let outside = -self.balance(system(SystemAccount::Outside), asset);
            let payouts = self.balance(system(SystemAccount::Payouts), asset);
            let on_chain = i128::from(batch.balances[place].get());
            same("balances in the batch", &on_chain, &(outside - payouts))?;
        }
        same(
            "emitted in the batch",
            &u128::from(body.emitted),
            &self.emitted,
        )?;
        same(
            "burned in the batch",
            &u128::from(body.burned),
            &self.burned[0],
        )?;
        same(
            "deposits in the batch",
            &body.deposit_number,
            &self.credited,
        )?;
        let staked: u64 = self.stakes.values().map(|stake| stake.1).sum::<u64>()
            + self.verifiers.values().sum::<u64>();
        same("stake target", &body.stake_target, &staked)
    }
}

fn sha(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn leaf(asset: Asset, account: &[u8; 32], cumulative: u64) -> [u8; 32] {
    let chain = sha(&[CHAIN.as_bytes()]);
    sha(&[
        &[0],
        &chain,
        &[asset.number()],
        account,
        &cumulative.to_le_bytes(),
    ])
}

fn root(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    while level.len() > 1 {
        if !level.len().is_multiple_of(2) {
            level.push([0; 32]);
        }
        level = level
            .chunks(2)
            .map(|pair| sha(&[&[1], &pair[0], &pair[1]]))
            .collect();
    }
    level.first().copied().unwrap_or([0; 32])
}
