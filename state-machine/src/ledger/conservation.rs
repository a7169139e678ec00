//! Conservation of money, computed from rows and from nothing that the ledger keeps for itself.
//!
//! Every block: from the old and new rows of its write set (INV-01, INV-02, INV-03 as differences). At each freeze and in
//! tests: from all rows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use io_storage::{Fault, Snapshot, WriteSet};
use io_types::row::{AccountRow, AssetTotals, Hold};
use io_types::{Asset, Holder, SystemAccount};

use crate::error::broken;
use crate::tables::{ACCOUNTS, HOLDS, TOTALS};

const PLACE: &str = "conservation of money";

/// Sums of one asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sums {
    all: i128,
    outside: i128,
    entered: i128,
}

/// Held money by holder and asset: by accounts less by holds. Must be zero everywhere.
type HeldGap = BTreeMap<(Holder, Asset), i128>;

#[derive(Debug, Default)]
struct Audit {
    sums: BTreeMap<Asset, Sums>,
    held: HeldGap,
}

/// Checks what a block changed.
pub fn check_block(before: &dyn Snapshot, changes: &WriteSet) -> Result<(), Fault> {
    let mut audit = Audit::default();
    audit.changes(changes)?;
    audit.verdict()?;
    // Totals only grow.
    for (key, change) in changes.table(TOTALS.id) {
        let asset = TOTALS.decode_key(key)?;
        let old = TOTALS.read(before, &asset)?.unwrap_or_default();
        let new = change
            .new
            .as_deref()
            .map(|bytes| TOTALS.decode(bytes))
            .transpose()?
            .unwrap_or_default();
        if !grows(&old, &new) {
            return Err(broken(
                PLACE,
                format!("a running total of {asset} fell: {old:?} to {new:?}"),
            ));
        }
    }
    Ok(())
}

/// Checks all rows of a commit with a block's changes on top.
pub fn check_snapshot(before: &dyn Snapshot, changes: &WriteSet) -> Result<(), Fault> {
    let mut audit = Audit::default();
    let mut failure = Ok(());
    let mut keep = |result: Result<(), Fault>| match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(fault) => {
            failure = Err(fault);
            ControlFlow::Break(())
        }
    };
    ACCOUNTS.visit(before, None, &mut |(holder, asset), row| {
        keep(audit.account(holder, asset, &row, 1))
    })?;
    HOLDS.visit(before, None, &mut |_id, hold| keep(audit.hold(&hold, 1)))?;
    TOTALS.visit(before, None, &mut |asset, totals| {
        keep(audit.totals(asset, &totals, 1))
    })?;
    failure?;
    audit.changes(changes)?;
    audit.verdict()
}

/// Checks the rows of genesis.
pub fn check_full(genesis: &WriteSet) -> Result<(), Fault> {
    let mut audit = Audit::default();
    audit.changes(genesis)?;
    audit.verdict()
}

fn grows(old: &AssetTotals, new: &AssetTotals) -> bool {
    let AssetTotals {
        genesis,
        deposited,
        withdrawn,
        claimed,
        emitted,
        reminted,
        burned,
        credit_burned,
        issued,
    } = new;
    *genesis >= old.genesis
        && *deposited >= old.deposited
        && *withdrawn >= old.withdrawn
        && *claimed >= old.claimed
        && *emitted >= old.emitted
        && *reminted >= old.reminted
        && *burned >= old.burned
        && *credit_burned >= old.credit_burned
        && *issued >= old.issued
}

fn add(sum: &mut i128, value: i128) -> Result<(), Fault> {
    *sum = sum
        .checked_add(value)
        .ok_or_else(|| broken(PLACE, "a sum does not fit"))?;
    Ok(())
}

fn times(value: i128, sign: i128) -> Result<i128, Fault> {
    value
        .checked_mul(sign)
        .ok_or_else(|| broken(PLACE, "a product does not fit"))
}

impl Audit {
    fn changes(&mut self, changes: &WriteSet) -> Result<(), Fault> {
        for (key, change) in changes.table(ACCOUNTS.id) {
            let (holder, asset) = ACCOUNTS.decode_key(key)?;
            for (bytes, sign) in [(&change.new, 1), (&change.old, -1)] {
                if let Some(bytes) = bytes {
                    self.account(holder, asset, &ACCOUNTS.decode(bytes)?, sign)?;
                }
            }
            if let Some(bytes) = &change.new {
                sound(holder, asset, &ACCOUNTS.decode(bytes)?)?;
            }
        }
        for (_key, change) in changes.table(HOLDS.id) {
            for (bytes, sign) in [(&change.new, 1), (&change.old, -1)] {
                if let Some(bytes) = bytes {
                    self.hold(&HOLDS.decode(bytes)?, sign)?;
                }
            }
        }
        for (key, change) in changes.table(TOTALS.id) {
            let asset = TOTALS.decode_key(key)?;
            for (bytes, sign) in [(&change.new, 1), (&change.old, -1)] {
                if let Some(bytes) = bytes {
                    self.totals(asset, &TOTALS.decode(bytes)?, sign)?;
                }
            }
        }
        Ok(())
    }

    fn account(
        &mut self,
        holder: Holder,
        asset: Asset,
        row: &AccountRow,
        sign: i128,
    ) -> Result<(), Fault> {
        let sums = self.sums.entry(asset).or_default();
        add(&mut sums.all, times(row.balance, sign)?)?;
        if holder == Holder::System(SystemAccount::Outside) {
            add(&mut sums.outside, times(row.balance, sign)?)?;
        }
        if !row.held.is_zero() {
            add(
                self.held.entry((holder, asset)).or_default(),
                times(i128::from(row.held.get()), sign)?,
            )?;
        }
        Ok(())
    }

    fn hold(&mut self, hold: &Hold, sign: i128) -> Result<(), Fault> {
        let gap = self.held.entry((hold.owner, hold.asset)).or_default();
        add(
            gap,
            times(i128::from(hold.remaining.get()), sign)?.saturating_neg(),
        )
    }

    fn totals(&mut self, asset: Asset, totals: &AssetTotals, sign: i128) -> Result<(), Fault> {
        let AssetTotals {
            genesis,
            deposited,
            withdrawn: _,
            claimed,
            emitted,
            reminted,
            burned,
            credit_burned,
            issued,
        } = totals;
        let entered = &mut self.sums.entry(asset).or_default().entered;
        for amount in [genesis, deposited, emitted, reminted, issued] {
            add(entered, times(i128::from(amount.get()), sign)?)?;
        }
        for amount in [claimed, burned, credit_burned] {
            add(
                entered,
                times(i128::from(amount.get()), sign)?.saturating_neg(),
            )?;
        }
        Ok(())
    }

    fn verdict(self) -> Result<(), Fault> {
        for (
            asset,
            Sums {
                all,
                outside,
                entered,
            },
        ) in self.sums
        {
            if all != 0 {
                return Err(broken(
                    PLACE,
                    format!("INV-01: all accounts of {asset} sum to {all}, not 0"),
                ));
            }
            if outside.checked_neg() != Some(entered) {
                return Err(broken(
                    PLACE,
                    format!(
                        "INV-03: {entered} of {asset} came in by the totals, {outside} stands outside"
                    ),
                ));
            }
        }
        match self.held.into_iter().find(|(_key, gap)| *gap != 0) {
            Some(((holder, asset), gap)) => Err(broken(
                PLACE,
                format!("INV-02: {holder:?} has {gap} more of {asset} held than its holds say"),
            )),
            None => Ok(()),
        }
    }
}

fn sound(holder: Holder, asset: Asset, row: &AccountRow) -> Result<(), Fault> {
    let outside = holder == Holder::System(SystemAccount::Outside);
    if !outside && row.balance < i128::from(row.held.get()) {
        return Err(broken(
            PLACE,
            format!(
                "{holder:?} has {} of {asset}, {} of it held",
                row.balance, row.held
            ),
        ));
    }
    Ok(())
}
