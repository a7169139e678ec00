//! What this validator sees of Solana, as its reader last left it.

use std::time::{Duration, Instant};

use io_settlement::account::LastSettle;
use io_types::Hash;
use io_types::extension::{DEPOSITS_MAX, SolanaPart};

/// What is older says nothing.
const FRESH: Duration = Duration::from_secs(60);

/// One deposit of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub number: u64,
    /// io-settlement's encoding.
    pub bytes: Vec<u8>,
    /// The rolling hash with it as the last one.
    pub rolling: Hash,
}

/// What was read in one look.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// Solana's finalized slot.
    pub slot: u64,
    /// Deposits in the queue's ring, ascending by number without gaps.
    pub records: Vec<Record>,
    /// The last settlement; none before the first.
    pub last_settle: Option<LastSettle>,
}

impl Seen {
    /// What this validator says: deposits from number `first` on, provided that its history before it is the chain's.
    ///
    /// # Errors
    /// Why it says nothing; for people.
    pub fn part(&self, first: u64, hash_before: Hash) -> Result<SolanaPart, String> {
        let age = self.at.elapsed();
        if age > FRESH {
            return Err(format!("Solana was last read {} s ago", age.as_secs()));
        }
        let before = first.saturating_sub(1);
        let known = self.records.iter().find(|record| record.number == before);
        if let Some(record) = known.filter(|record| record.rolling != hash_before) {
            return Err(format!(
                "this validator's Solana has another deposit {before} than the chain (rolling hash {}, the chain has {hash_before})",
                record.rolling
            ));
        }
        let rolling = self.from(first).map(|record| record.rolling).collect();
        let last_settle = self.last_settle.as_ref().map(|last| Hash(last.hash()));
        Ok(SolanaPart { first, rolling, last_settle })
    }

    /// Deposits from a number on, as many as an extension holds; none if the next one is missing.
    pub fn from(&self, first: u64) -> impl Iterator<Item = &Record> {
        let next = self.records.iter().skip_while(move |record| record.number < first);
        next.zip(first..).take_while(|(record, number)| record.number == *number).map(|(record, _)| record).take(DEPOSITS_MAX)
    }
}
