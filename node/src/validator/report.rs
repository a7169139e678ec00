//! The local cache that a vote extension is put together from.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ed25519_dalek::{Signer, SigningKey};
use io_settlement::batch::{Kind, SettleBody};
use io_types::extension::{EXTENSION_BYTES_MAX, PricesPart, VoteExtension};
use io_types::{AccountId, BatchNumber, Hash, Signature, ValidatorAddress};

use super::beacon::BeaconChain;
use super::prices::now_ms;
use super::sign_log::SignLog;
use super::solana::Seen;

/// A price that was published longer ago is left out, ms.
const PRICE_AGE_MAX_MS: u64 = 60_000;

/// Who this validator is.
#[derive(Debug)]
pub struct Identity {
    /// Address of its consensus key.
    pub address: ValidatorAddress,
    /// Signs settlements.
    pub settlement: SigningKey,
    /// What was signed.
    pub sign_log: SignLog,
    /// Its beacon chain.
    pub beacon: BeaconChain,
}

/// What the last committed state asks of a validator; see `io_state_machine::ExtensionDuties`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duties {
    /// Number of the first deposit that is not credited.
    pub deposit_first: u64,
    /// Rolling hash before it.
    pub deposit_hash: Hash,
    /// Batches that lack this key's signature: number and body.
    pub batches: Vec<(BatchNumber, Vec<u8>)>,
    /// The last beacon link seen.
    pub beacon_link: Option<Hash>,
}

#[derive(Debug, Default)]
struct Parts {
    prices: Option<PricesPart>,
    prices_note: Option<String>,
    seen: Option<Seen>,
    solana_note: Option<String>,
    duties: Option<Duties>,
    signatures: Vec<(BatchNumber, Signature)>,
    signing_note: Option<String>,
    beacon: Option<Hash>,
}

/// The parts of the next extension. Readers write, a vote reads; nothing waits under its locks.
#[derive(Debug)]
pub struct Report {
    /// None on a node that is no validator.
    identity: Option<Mutex<Identity>>,
    address: Option<(ValidatorAddress, AccountId)>,
    parts: Mutex<Parts>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread left behind is whole: every write below is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Report {
    /// An empty cache.
    pub fn new(identity: Option<Identity>) -> Self {
        let address = identity.as_ref().map(|identity| {
            (identity.address, AccountId(identity.settlement.verifying_key().to_bytes()))
        });
        Self { identity: identity.map(Mutex::new), address, parts: Mutex::default() }
    }

    /// Address and settlement key, on a validator.
    pub fn address(&self) -> Option<(ValidatorAddress, AccountId)> {
        self.address
    }

    /// Takes what the price sources say, or why they say nothing.
    pub fn set_prices(&self, prices: Result<PricesPart, String>) {
        let mut parts = locked(&self.parts);
        match prices {
            Ok(prices) => (parts.prices, parts.prices_note) = (Some(prices), None),
            // The last price goes on counting until it is too old.
            Err(note) => parts.prices_note = Some(format!("prices: {note}")),
        }
    }

    /// Takes what was seen of Solana, or why nothing was.
    pub fn set_seen(&self, seen: Result<Seen, String>) {
        let mut parts = locked(&self.parts);
        match seen {
            Ok(seen) => (parts.seen, parts.solana_note) = (Some(seen), None),
            Err(note) => parts.solana_note = Some(format!("solana: {note}")),
        }
    }

    /// What was last seen of Solana.
    pub fn seen(&self) -> Option<Seen> {
        locked(&self.parts).seen.clone()
    }

    /// Signs and looks up what the new state asks for. Slow: it syncs the sign log; never called by a vote.
    pub fn refresh(&self, duties: Option<Duties>) {
        let (mut signatures, mut note, mut beacon) = (Vec::new(), None, None);
        if let (Some(duties), Some(identity)) = (&duties, &self.identity) {
            let mut identity = locked(identity);
            for (number, body) in &duties.batches {
                match sign(&mut identity, body) {
                    Ok(signature) => signatures.push((*number, signature)),
                    Err(why) => note = Some(format!("batch {number} is not signed: {why}")),
                }
            }
            beacon = duties.beacon_link.and_then(|last| identity.beacon.next(last));
        }
        if let Some(note) = &note {
            tracing::error!(note, "a settlement is not signed");
        }
        let mut parts = locked(&self.parts);
        parts.duties = duties;
        parts.signatures = signatures;
        parts.signing_note = note;
        parts.beacon = beacon;
    }

    /// The extension as of now, from memory alone. Empty when nothing is known, or when it would not be valid.
    pub fn extension(&self) -> Vec<u8> {
        if self.identity.is_none() {
            return Vec::new();
        }
        let parts = locked(&self.parts);
        let prices = parts.prices.filter(|prices| now_ms().saturating_sub(prices.published_ms) <= PRICE_AGE_MAX_MS);
        let solana = parts.seen.as_ref().zip(parts.duties.as_ref());
        let solana = solana.and_then(|(seen, duties)| seen.part(duties.deposit_first, duties.deposit_hash).ok());
        let extension =
            VoteExtension { version: 1, prices, solana, signatures: parts.signatures.clone(), beacon: parts.beacon };
        drop(parts);
        let bytes = extension.encode();
        // What an honest node sends, every honest node accepts: the same check as the others make, before them.
        let is_valid = bytes.len() <= EXTENSION_BYTES_MAX && VoteExtension::decode(&bytes).is_ok();
        if is_valid { bytes } else { Vec::new() }
    }

    /// One line for each thing that does not work, for people.
    pub fn notes(&self) -> Vec<String> {
        let parts = locked(&self.parts);
        let mut notes: Vec<String> =
            [&parts.prices_note, &parts.solana_note, &parts.signing_note].into_iter().flatten().cloned().collect();
        if let (Some(seen), Some(duties)) = (&parts.seen, &parts.duties) {
            match seen.part(duties.deposit_first, duties.deposit_hash) {
                Err(why) => notes.push(format!("solana: {why}")),
                Ok(part) if !part.rolling.is_empty() => {
                    notes.push(format!("solana: {} deposits from number {} on wait for credit", part.rolling.len(), part.first));
                }
                Ok(_) => {}
            }
        }
        notes
    }
}

fn sign(identity: &mut Identity, body: &[u8]) -> Result<Signature, String> {
    let body = SettleBody::from_bytes(body).map_err(|error| error.to_string())?;
    let permit = identity.sign_log.permit(Kind::Settle.byte(), body.set_epoch, body.number, Hash(body.hash()));
    permit.map_err(|error| error.to_string())?;
    Ok(Signature(identity.settlement.sign(&body.message()).to_bytes()))
}
