//! What the program must do, in sums and limits alone. No account, no byte and no address is known here.

use std::collections::BTreeMap;

/// Accounts that deposit and that are paid, of each asset.
pub(crate) const PEOPLE: usize = 3;
/// How many settled roots stay good.
const ROOTS_KEPT: usize = 8;
/// Smallest deposits.
pub(crate) const DEPOSIT_MIN: [u64; 2] = [1000, 2000];
/// Seconds after which signatures that came to nothing may be closed.
const SIGNATURES_AGE: u64 = 24 * 3600;
/// Power of all members; each has 10.
const POWER: u64 = 40;

/// A result: fine, or a number of a rule (SPL Token's own 1 says that somebody has too little).
pub(crate) type Outcome = Result<(), u32>;

/// Signatures over one batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signed {
    /// One bit for each member.
    pub(crate) members: u8,
    pub(crate) settled: bool,
    pub(crate) since: u64,
}

/// Totals of a batch, and how it is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) name: [u8; 32],
    pub(crate) is_ours: bool,
    pub(crate) set_epoch: u64,
    pub(crate) number: u64,
    pub(crate) roots: [[u8; 32]; 2],
    pub(crate) payouts: [u64; 2],
    pub(crate) emitted: u64,
    pub(crate) reminted: u64,
    pub(crate) burned: u64,
    pub(crate) credit_burned: u64,
    pub(crate) stake_target: u64,
    pub(crate) deposit: u64,
    pub(crate) deposit_is_true: bool,
}

/// Both sides of the bridge in numbers.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) number: u64,
    pub(crate) wallets: [[u64; PEOPLE]; 2],
    pub(crate) received: [[u64; PEOPLE]; 2],
    pub(crate) vaults: [u64; 2],
    pub(crate) stake_vault: u64,
    pub(crate) io_supply: u64,
    pub(crate) deposits: u64,
    pub(crate) freed: u64,
    pub(crate) deposited: [u64; 2],
    pub(crate) claimed: [u64; 2],
    pub(crate) payout_total: [u64; 2],
    pub(crate) minted: u64,
    pub(crate) burned: u64,
    pub(crate) credit_burned: u64,
    pub(crate) staked: u64,
    pub(crate) roots: [Vec<[u8; 32]>; 2],
    pub(crate) signed: BTreeMap<[u8; 32], Signed>,
}

impl Model {
    pub(crate) fn deposit(&mut self, asset: usize, who: usize, amount: u64) -> Outcome {
        if amount < DEPOSIT_MIN[asset] {
            return Err(300);
        }
        let wallet = &mut self.wallets[asset][who];
        *wallet = wallet.checked_sub(amount).ok_or(1_u32)?;
        self.vaults[asset] += amount;
        self.deposited[asset] += amount;
        self.deposits += 1;
        Ok(())
    }

    /// Signatures of these members; each counts once.
    pub(crate) fn sign(&mut self, name: [u8; 32], members: u8) {
        let now = self.now;
        let signed = self.signed.entry(name).or_insert(Signed {
            since: now,
            ..Signed::default()
        });
        signed.members |= members;
    }

    pub(crate) fn close(&mut self, name: [u8; 32]) -> Outcome {
        let signed = self.signed.get(&name).ok_or(118_u32)?;
        if !signed.settled && self.now - signed.since < SIGNATURES_AGE {
            return Err(406);
        }
        self.signed.remove(&name);
        Ok(())
    }

    /// `ceiling`: what the schedule allows to have been emitted by now.
    pub(crate) fn settle(&mut self, batch: &Batch, ceiling: u64) -> Outcome {
        if !batch.is_ours {
            return Err(502);
        }
        if batch.set_epoch != 1 {
            return Err(503);
        }
        if batch.number <= self.number {
            return Err(504);
        }
        let signed = self.signed.get_mut(&batch.name).ok_or(118_u32)?;
        if u64::from(signed.members.count_ones()) * 10 * 3 <= POWER * 2 {
            return Err(505);
        }
        if batch.deposit < self.freed || batch.deposit > self.deposits {
            return Err(506);
        }
        if !batch.deposit_is_true {
            return Err(507);
        }
        signed.settled = true;
        self.move_io(batch, ceiling);
        self.number = batch.number;
        self.freed = batch.deposit;
        self.payout_total = batch.payouts;
        for (kept, root) in self.roots.iter_mut().zip(batch.roots) {
            kept.push(root);
            let old = kept.len().saturating_sub(ROOTS_KEPT);
            kept.drain(..old);
        }
        Ok(())
    }

    fn move_io(&mut self, batch: &Batch, ceiling: u64) {
        let due = batch.emitted.min(ceiling) + batch.reminted.min(self.credit_burned);
        let mint = due.saturating_sub(self.minted);
        self.minted += mint;
        self.io_supply += mint;
        self.vaults[0] += mint;

        let freed = self
            .staked
            .saturating_sub(batch.stake_target)
            .min(self.stake_vault);
        self.staked -= freed;
        self.stake_vault -= freed;
        self.vaults[0] += freed;

        // What people may still claim is nobody else's.
        let owed = batch.payouts[0].saturating_sub(self.claimed[0]);
        let mut free = self.vaults[0].saturating_sub(owed);
        for (total, done) in [
            (batch.burned, &mut self.burned),
            (batch.credit_burned, &mut self.credit_burned),
        ] {
            let burn = total.saturating_sub(*done).min(free);
            *done += burn;
            free -= burn;
            self.io_supply -= burn;
            self.vaults[0] -= burn;
        }
        let taken = batch.stake_target.saturating_sub(self.staked).min(free);
        self.staked += taken;
        self.stake_vault += taken;
        self.vaults[0] -= taken;
    }

    /// A leaf of `cumulative` for a person, proven against `root`.
    pub(crate) fn claim(
        &mut self,
        asset: usize,
        who: usize,
        (cumulative, root): (u64, [u8; 32]),
    ) -> Outcome {
        if !self.roots[asset].contains(&root) {
            return Err(600);
        }
        let due = cumulative.saturating_sub(self.received[asset][who]);
        if due == 0 {
            return Err(601);
        }
        let allowed = self.payout_total[asset].saturating_sub(self.claimed[asset]);
        let amount = due.min(allowed).min(self.vaults[asset]);
        if amount == 0 {
            return Err(602);
        }
        self.received[asset][who] += amount;
        self.claimed[asset] += amount;
        self.vaults[asset] -= amount;
        Ok(())
    }
}
