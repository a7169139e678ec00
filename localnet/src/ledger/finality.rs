//! What the ledger held some slots ago, for as long as a change is not final.
//!
//! Only accounts that changed lately are here; all others are final as they stand.

use std::collections::{BTreeMap, VecDeque};

use solana_pubkey::Pubkey;
use surfpool_core::solana_account::AccountSharedData;

/// Recent versions of the accounts that changed within the last `depth` slots.
#[derive(Debug)]
pub struct Finality {
    slot: u64,
    depth: u64,
    versions: BTreeMap<Pubkey, VecDeque<(u64, Option<AccountSharedData>)>>,
}

impl Finality {
    /// An empty history: everything written before is final. `depth` counts slots.
    pub fn new(depth: u64) -> Self {
        Self {
            slot: 0,
            depth,
            versions: BTreeMap::new(),
        }
    }

    /// Notes that an account changes from `before` to `after` in the slot after the last one announced by [`Self::advance`]:
    /// the announcement may lag one slot, and nothing may be final too early.
    pub fn write(
        &mut self,
        key: Pubkey,
        before: Option<AccountSharedData>,
        after: Option<AccountSharedData>,
    ) {
        let slot = self.slot.saturating_add(1);
        let versions = self
            .versions
            .entry(key)
            .or_insert_with(|| VecDeque::from([(0, before)]));
        match versions.back_mut() {
            Some(last) if last.0 == slot => last.1 = after,
            _ => versions.push_back((slot, after)),
        }
    }

    /// Announces the present slot and forgets what became final.
    pub fn advance(&mut self, slot: u64) {
        self.slot = self.slot.max(slot);
        let finalized = self.finalized_slot(self.slot);
        self.versions.retain(|_, versions| {
            while versions.get(1).is_some_and(|(slot, _)| *slot <= finalized) {
                versions.pop_front();
            }
            versions.len() > 1
        });
    }

    /// The newest final slot when `slot` is the present one.
    pub fn finalized_slot(&self, slot: u64) -> u64 {
        slot.saturating_sub(self.depth)
    }

    /// The account as it stood at the end of slot `finalized`: `None` if its present content is final.
    pub fn at(&self, key: &Pubkey, finalized: u64) -> Option<Option<&AccountSharedData>> {
        let versions = self.versions.get(key)?;
        let version = versions
            .iter()
            .rev()
            .find(|(slot, _)| *slot <= finalized)
            .or(versions.front())?;
        Some(version.1.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use surfpool_core::solana_account::{Account, ReadableAccount};

    use super::*;

    const KEY: Pubkey = Pubkey::new_from_array([1; 32]);

    fn lamports(lamports: u64) -> Option<AccountSharedData> {
        let account = Account {
            lamports,
            ..Account::default()
        };
        (lamports > 0).then(|| account.into())
    }

    /// Lamports at the newest final slot, 0 for no account; `None` if the present content is final.
    fn seen(finality: &Finality, slot: u64) -> Option<u64> {
        finality
            .at(&KEY, finality.finalized_slot(slot))
            .map(|version| version.map_or(0, ReadableAccount::lamports))
    }

    #[test]
    fn a_write_is_shown_only_when_its_slot_is_final() {
        let mut finality = Finality::new(31);
        finality.advance(100);
        finality.write(KEY, lamports(1), lamports(2));
        finality.advance(101);
        finality.write(KEY, lamports(2), lamports(3));
        assert_eq!(seen(&finality, 101), Some(1));
        assert_eq!(seen(&finality, 131), Some(1));
        assert_eq!(seen(&finality, 132), Some(2));
        assert_eq!(seen(&finality, 133), Some(3));
    }

    #[test]
    fn two_writes_in_one_slot_become_final_together() {
        let mut finality = Finality::new(31);
        finality.write(KEY, lamports(0), lamports(2));
        finality.write(KEY, lamports(2), lamports(3));
        assert_eq!(seen(&finality, 31), Some(0));
        assert_eq!(seen(&finality, 32), Some(3));
    }

    #[test]
    fn a_final_account_is_forgotten() {
        let mut finality = Finality::new(31);
        finality.write(KEY, lamports(2), None);
        finality.advance(31);
        assert_eq!(seen(&finality, 31), Some(2));
        finality.advance(32);
        assert_eq!(seen(&finality, 32), None);
        assert_eq!(finality.versions.len(), 0);
    }
}
