//! Opening transactions: decoding and the signature, all that needs no state and much time.
//!
//! It runs on other threads ahead of the serial execution, and never twice for the same bytes: what was found sound for
//! the mempool is not checked again in the block. What comes out is a function of the bytes alone, so neither threads nor
//! memory of earlier checks can change a result.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use io_storage::Fault;
use io_types::{Hash, Rejection, Transaction};
use rayon::prelude::{IntoParallelRefMutIterator as _, ParallelIterator as _};

use crate::admission::{self, Signed};

/// Encoded bytes of the sound transactions that are remembered: more than a full mempool of one node hands to a block.
const REMEMBERED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Transactions that one thread opens in a row.
const STRETCH: usize = 32;
/// A stretch of a block, and its transactions once a thread has opened them.
type Stretch<'t> = (&'t [Vec<u8>], OnceLock<Vec<Opened>>);

/// A transaction's hash, and what came of opening it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// SHA-256 of its bytes.
    pub hash: Hash,
    /// The transaction, or why it is none.
    pub signed: Result<Arc<Signed>, Rejection>,
}

/// Sound transactions by the hash of their bytes; the oldest make room.
#[derive(Debug, Default)]
struct Sound {
    by_hash: BTreeMap<Hash, (u64, usize, Arc<Signed>)>,
    by_age: BTreeMap<u64, Hash>,
    next: u64,
    bytes: usize,
}

impl Sound {
    fn add(&mut self, hash: Hash, bytes: usize, signed: Arc<Signed>) {
        if self.by_hash.contains_key(&hash) {
            return;
        }
        self.by_hash.insert(hash, (self.next, bytes, signed));
        self.by_age.insert(self.next, hash);
        self.next = self.next.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        while self.bytes > REMEMBERED_BYTES_MAX
            && let Some((_age, oldest)) = self.by_age.pop_first()
        {
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, hash: &Hash) {
        if let Some((age, bytes, _signed)) = self.by_hash.remove(hash) {
            self.by_age.remove(&age);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}

/// Opens transactions, on all threads of the pool or on this one. The result is the same.
#[derive(Debug, Default)]
pub struct Opener {
    parallel: bool,
    sound: Mutex<Sound>,
}

impl Opener {
    /// An opener that has seen nothing.
    pub fn new(parallel: bool) -> Self {
        Self {
            parallel,
            sound: Mutex::default(),
        }
    }

    fn sound(&self) -> MutexGuard<'_, Sound> {
        // Nothing runs under this lock that could leave the maps half written.
        self.sound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens one transaction.
    pub fn open(&self, bytes: &[u8]) -> Opened {
        let hash = Transaction::hash_of(bytes);
        self.known(hash).unwrap_or_else(|| self.check(hash, bytes))
    }

    /// What was found sound before.
    fn known(&self, hash: Hash) -> Option<Opened> {
        let signed = Arc::clone(&self.sound().by_hash.get(&hash)?.2);
        let signed = Ok(signed);
        Some(Opened { hash, signed })
    }

    fn check(&self, hash: Hash, bytes: &[u8]) -> Opened {
        let signed = admission::open(bytes).map(Arc::new);
        if let Ok(signed) = &signed {
            self.sound().add(hash, bytes.len(), Arc::clone(signed));
        }
        Opened { hash, signed }
    }

    /// Opens many that wait for nothing. Only those that are not known go to the pool: a mempool that is checked again
    /// after a block waits for nobody.
    pub fn open_all(&self, transactions: &[&[u8]]) -> Vec<Opened> {
        if !self.parallel {
            return transactions.iter().map(|bytes| self.open(bytes)).collect();
        }
        let hashed = transactions.iter().map(|bytes| {
            let hash = Transaction::hash_of(bytes);
            (*bytes, self.known(hash).ok_or(hash))
        });
        let mut all: Vec<(&[u8], Result<Opened, Hash>)> = hashed.collect();
        let mut unknown: Vec<_> = all.iter_mut().filter(|(_, one)| one.is_err()).collect();
        unknown.par_iter_mut().for_each(|(bytes, one)| {
            if let Err(hash) = one {
                *one = Ok(self.check(*hash, bytes));
            }
        });
        let opened = |(bytes, one): (&[u8], Result<Opened, Hash>)| {
            one.unwrap_or_else(|hash| self.check(hash, bytes))
        };
        all.into_iter().map(opened).collect()
    }

    /// Hands every transaction to `execute` in order, on this thread, while other threads open those that follow.
    ///
    /// # Errors
    /// The first of `execute`; the rest is not handed over.
    pub fn each<'t>(
        &self,
        transactions: &'t [Vec<u8>],
        mut execute: impl FnMut(&'t [u8], &Opened) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.parallel {
            return transactions
                .iter()
                .try_for_each(|bytes| execute(bytes, &self.open(bytes)));
        }
        let stretches: Vec<Stretch<'_>> = transactions
            .chunks(STRETCH)
            .map(|stretch| (stretch, OnceLock::new()))
            .collect();
        let open = |stretch: &[Vec<u8>]| stretch.iter().map(|bytes| self.open(bytes)).collect();
        rayon::in_place_scope(|scope| {
            for (stretch, opened) in &stretches {
                scope.spawn(move |_scope| {
                    opened.get_or_init(|| open(stretch));
                });
            }
            // A stretch that no thread has begun is opened here, so this waits only for one that is being opened.
            stretches.iter().try_for_each(|(stretch, opened)| {
                let opened = opened.get_or_init(|| open(stretch));
                let mut pairs = stretch.iter().zip(opened);
                pairs.try_for_each(|(bytes, opened)| execute(bytes, opened))
            })
        })
    }

    /// Forgets transactions that are in a committed block: their sequence is used, so they never come again.
    pub fn forget<'h>(&self, hashes: impl Iterator<Item = &'h Hash>) {
        let mut sound = self.sound();
        hashes.for_each(|hash| sound.remove(hash));
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use io_types::{AccountId, Amount, Height, TransactionBody};

    use super::*;

    fn transaction(number: u8) -> Vec<u8> {
        let key = SigningKey::from_bytes(&[number; 32]);
        let body = TransactionBody {
            chain_id: "test-1".to_owned(),
            signer: AccountId(key.verifying_key().to_bytes()),
            lane: 0,
            sequence: 1,
            expires: Height(1),
            fee_max: Amount::ZERO,
            actions: Vec::new(),
        };
        body.sign(&key).encode()
    }

    fn codes(opener: &Opener, transactions: &[Vec<u8>]) -> Vec<(Hash, u32)> {
        let mut codes = Vec::new();
        let done = opener.each(transactions, |bytes, opened| {
            assert_eq!(opened.hash, Transaction::hash_of(bytes));
            let code = opened.signed.as_ref().err().map_or(0, Rejection::code);
            codes.push((opened.hash, code));
            Ok(())
        });
        done.unwrap();
        codes
    }

    #[test]
    fn threads_and_memory_change_no_result_and_no_order() {
        let mut all: Vec<Vec<u8>> = (1..=200).map(transaction).collect();
        // Another signature, other bytes, no transaction at all.
        *all[70].last_mut().unwrap() ^= 1;
        all[71].push(0);
        all[72].clear();
        let (one, many) = (Opener::new(false), Opener::new(true));
        let first = codes(&one, &all);
        assert_eq!(
            first.iter().filter(|(_hash, code)| *code != 0).count(),
            3,
            "{first:?}"
        );
        assert_eq!((first[70].1, first[71].1, first[72].1), (103, 101, 101));
        let slices: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        let at_once = |opener: &Opener| -> Vec<(Hash, u32)> {
            let opened = opener.open_all(&slices).into_iter();
            let code = |one: Opened| (one.hash, one.signed.err().map_or(0, |why| why.code()));
            opened.map(code).collect()
        };
        // The first time a part of them is known, the second time all that can be.
        let half = Opener::new(true);
        half.open_all(&slices[..90]);
        for _again in 0..2 {
            assert_eq!(codes(&one, &all), first);
            assert_eq!(codes(&many, &all), first);
            assert_eq!(at_once(&one), first);
            assert_eq!(at_once(&half), first);
        }
    }

    #[test]
    fn what_is_sound_is_remembered_until_it_is_forgotten() {
        let opener = Opener::new(false);
        let bytes = transaction(1);
        let first = opener.open(&bytes).signed.unwrap();
        let again = opener.open(&bytes).signed.unwrap();
        assert!(Arc::ptr_eq(&first, &again), "it was checked twice");
        opener.forget([Transaction::hash_of(&bytes)].iter());
        let anew = opener.open(&bytes).signed.unwrap();
        assert!(!Arc::ptr_eq(&first, &anew), "it was not forgotten");
        let mut forged = bytes;
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(opener.open(&forged).signed.unwrap_err().code(), 103);
        assert_eq!(
            opener.sound().by_hash.len(),
            1,
            "only what is sound is kept"
        );
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_make_room() {
        let mut sound = Sound::default();
        let signed = Opener::new(false).open(&transaction(1)).signed.unwrap();
        let half = REMEMBERED_BYTES_MAX >> 1;
        for number in 1..=3 {
            sound.add(Hash([number; 32]), half, Arc::clone(&signed));
        }
        let held: Vec<Hash> = sound.by_hash.keys().copied().collect();
        assert_eq!(held, [Hash([2; 32]), Hash([3; 32])]);
        assert_eq!((sound.bytes, sound.by_age.len()), (2 * half, 2));
    }

    #[test]
    fn a_fault_ends_the_walk() {
        for opener in [Opener::new(false), Opener::new(true)] {
            let all: Vec<Vec<u8>> = (1..=100).map(transaction).collect();
            let mut seen = 0;
            let ended = opener.each(&all, |_bytes, _opened| {
                seen += 1;
                if seen == 40 {
                    return Err(Fault::bug("test", "broken"));
                }
                Ok(())
            });
            assert!(ended.is_err());
            assert_eq!(seen, 40);
        }
    }
}
