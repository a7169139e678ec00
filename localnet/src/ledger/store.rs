//! Where `surfpool` keeps its accounts and transactions: whole transactions only, and with a memory of what is not yet final.
//!
//! `surfpool` writes each account of a transaction on its own and then the transaction's status, all under one write lock. Here the
//! accounts wait in memory until the status arrives, and become one journal record just before it. So a status on disk means that
//! its accounts are on disk, and no account is there without the others of its transaction.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use solana_pubkey::Pubkey;
use surfpool_core::{
    solana_account::AccountSharedData,
    storage::{Storage, StorageError, StorageResult},
    types::SurfnetTransactionStatus,
};

use super::{finality::Finality, journal::Journal, log::Log};

/// The accounts of the ledger. Clones share one content.
#[derive(Debug, Clone)]
pub struct Accounts(Arc<Mutex<Shelf>>);

#[derive(Debug)]
struct Shelf {
    journal: Journal,
    /// As on disk.
    rows: BTreeMap<Pubkey, AccountSharedData>,
    /// Written since, by a transaction that has no status yet.
    pending: BTreeMap<Pubkey, Option<AccountSharedData>>,
    finality: Finality,
    broken: Option<String>,
}

impl Accounts {
    /// Opens the accounts in `path`; `finality_slots` as in the configuration.
    pub fn open(path: &Path, finality_slots: u64) -> io::Result<Self> {
        let (journal, rows) = Journal::open(path)?;
        let finality = Finality::new(finality_slots);
        Ok(Self(Arc::new(Mutex::new(Shelf {
            journal,
            rows,
            pending: BTreeMap::new(),
            finality,
            broken: None,
        }))))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes everything written so far one durable record. The caller holds the machine's write lock, so that no transaction is half done.
    pub fn commit(&self, slot: Option<u64>) -> io::Result<()> {
        let mut shelf = self.shelf();
        shelf.commit()?;
        if let Some(slot) = slot {
            shelf.finality.advance(slot);
        }
        Ok(())
    }

    /// Every account, ordered by key.
    pub fn rows(&self) -> Vec<(Pubkey, AccountSharedData)> {
        self.shelf()
            .rows
            .iter()
            .map(|(key, account)| (*key, account.clone()))
            .collect()
    }

    /// Why the disk refused a write; the ledger must stop then.
    pub fn broken(&self) -> Option<String> {
        self.shelf().broken.clone()
    }

    /// The newest final slot when `slot` is the present one.
    pub fn finalized_slot(&self, slot: u64) -> u64 {
        self.shelf().finality.finalized_slot(slot)
    }

    /// The account as it stood at the end of the final slot `finalized`: `None` if its present content is final.
    pub fn at(&self, key: &Pubkey, finalized: u64) -> Option<Option<AccountSharedData>> {
        self.shelf()
            .finality
            .at(key, finalized)
            .map(Option::<&AccountSharedData>::cloned)
    }
}

impl Shelf {
    fn current(&self, key: &Pubkey) -> Option<&AccountSharedData> {
        match self.pending.get(key) {
            Some(account) => account.as_ref(),
            None => self.rows.get(key),
        }
    }

    fn write(&mut self, key: Pubkey, account: Option<AccountSharedData>) {
        let before = self.current(&key).cloned();
        if before != account {
            self.finality.write(key, before, account.clone());
            self.pending.insert(key, account);
        }
    }

    fn commit(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let changes: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        let rows = &self.rows;
        if let Err(error) = self.journal.append(&changes, |key| rows.get(key)) {
            self.broken = Some(error.to_string());
            return Err(error);
        }
        for (key, account) in changes {
            match account {
                Some(account) => self.rows.insert(key, account),
                None => self.rows.remove(&key),
            };
        }
        Ok(())
    }
}

fn key_of(text: &str) -> StorageResult<Pubkey> {
    // `surfpool` makes every key from a public key; its error type has no better word for anything else.
    Pubkey::from_str(text).or(Err(StorageError::LockError))
}

impl Storage<String, AccountSharedData> for Accounts {
    fn store(&mut self, key: String, value: AccountSharedData) -> StorageResult<()> {
        self.shelf().write(key_of(&key)?, Some(value));
        Ok(())
    }

    fn clear(&mut self) -> StorageResult<()> {
        let mut shelf = self.shelf();
        let keys: Vec<Pubkey> = shelf
            .rows
            .keys()
            .chain(shelf.pending.keys())
            .copied()
            .collect();
        for key in keys {
            shelf.write(key, None);
        }
        Ok(())
    }

    fn get(&self, key: &String) -> StorageResult<Option<AccountSharedData>> {
        Ok(self.shelf().current(&key_of(key)?).cloned())
    }

    fn take(&mut self, key: &String) -> StorageResult<Option<AccountSharedData>> {
        let key = key_of(key)?;
        let mut shelf = self.shelf();
        let account = shelf.current(&key).cloned();
        shelf.write(key, None);
        Ok(account)
    }

    fn keys(&self) -> StorageResult<Vec<String>> {
        Ok(self.into_iter()?.map(|(key, _)| key).collect())
    }

    fn into_iter(
        &self,
    ) -> StorageResult<Box<dyn Iterator<Item = (String, AccountSharedData)> + '_>> {
        let shelf = self.shelf();
        let mut rows: BTreeMap<Pubkey, AccountSharedData> = shelf.rows.clone();
        for (key, account) in &shelf.pending {
            match account {
                Some(account) => rows.insert(*key, account.clone()),
                None => rows.remove(key),
            };
        }
        Ok(Box::new(
            rows.into_iter()
                .map(|(key, account)| (key.to_string(), account)),
        ))
    }

    fn count(&self) -> StorageResult<u64> {
        u64::try_from(self.into_iter()?.count()).or(Err(StorageError::LockError))
    }

    fn clone_box(&self) -> Box<dyn Storage<String, AccountSharedData>> {
        Box::new(self.clone())
    }
}

/// The statuses of transactions, each written only after the accounts of its transaction.
#[derive(Debug, Clone)]
pub struct Transactions {
    accounts: Accounts,
    statuses: Log<String, SurfnetTransactionStatus>,
}

impl Transactions {
    /// Statuses go to `statuses`, after a commit of `accounts`.
    pub fn new(accounts: Accounts, statuses: Log<String, SurfnetTransactionStatus>) -> Self {
        Self { accounts, statuses }
    }
}

impl Storage<String, SurfnetTransactionStatus> for Transactions {
    fn store(&mut self, key: String, value: SurfnetTransactionStatus) -> StorageResult<()> {
        self.accounts
            .commit(None)
            .or(Err(StorageError::LockError))?;
        self.statuses.store(key, value)
    }
    fn clear(&mut self) -> StorageResult<()> {
        self.statuses.clear()
    }
    fn get(&self, key: &String) -> StorageResult<Option<SurfnetTransactionStatus>> {
        self.statuses.get(key)
    }
    fn take(&mut self, key: &String) -> StorageResult<Option<SurfnetTransactionStatus>> {
        self.statuses.take(key)
    }
    fn keys(&self) -> StorageResult<Vec<String>> {
        self.statuses.keys()
    }
    fn into_iter(
        &self,
    ) -> StorageResult<Box<dyn Iterator<Item = (String, SurfnetTransactionStatus)> + '_>> {
        self.statuses.into_iter()
    }
    fn count(&self) -> StorageResult<u64> {
        self.statuses.count()
    }
    fn clone_box(&self) -> Box<dyn Storage<String, SurfnetTransactionStatus>> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use surfpool_core::solana_account::{Account, ReadableAccount};

    use super::*;

    fn account(lamports: u64) -> AccountSharedData {
        Account {
            lamports,
            ..Account::default()
        }
        .into()
    }

    #[test]
    fn accounts_of_an_unfinished_transaction_are_not_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts");
        let (one, two) = (
            Pubkey::new_from_array([1; 32]),
            Pubkey::new_from_array([2; 32]),
        );
        let mut accounts = Accounts::open(&path, 31).unwrap();
        accounts.store(one.to_string(), account(1)).unwrap();
        accounts.store(two.to_string(), account(2)).unwrap();
        accounts.commit(None).unwrap();
        accounts.store(one.to_string(), account(3)).unwrap();
        accounts.take(&two.to_string()).unwrap();
        assert_eq!(
            accounts.get(&one.to_string()).unwrap().unwrap().lamports(),
            3
        );
        assert_eq!(accounts.count().unwrap(), 1);
        drop(accounts);
        let reopened = Accounts::open(&path, 31).unwrap();
        assert_eq!(reopened.rows(), [(one, account(1)), (two, account(2))]);
    }

    #[test]
    fn a_write_of_the_same_content_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts");
        let key = Pubkey::new_from_array([1; 32]);
        let mut accounts = Accounts::open(&path, 31).unwrap();
        accounts.store(key.to_string(), account(1)).unwrap();
        accounts.commit(Some(50)).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        accounts.store(key.to_string(), account(1)).unwrap();
        accounts.commit(Some(51)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
        assert_eq!(accounts.at(&key, accounts.finalized_slot(82)), None);
    }
}
