//! The local cache that a vote extension is put together from.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use io_bridge::reader::ReaderStatus;
use io_bridge::{Reader, SettlementSigner, Watermark};
use io_state_machine::{BridgeData, ExtensionDuties};
use io_types::extension::{EXTENSION_BYTES_MAX, PricesPart, VoteExtension};
use io_types::{AccountId, BatchNumber, Hash, Signature, ValidatorAddress};

use super::beacon::BeaconChain;
use super::prices::now_ms;

/// A price that was published longer ago is left out, ms.
const PRICE_AGE_MAX_MS: u64 = 60_000;

/// Who this validator is.
#[derive(Debug)]
pub struct Identity {
    /// Address of its consensus key.
    pub address: ValidatorAddress,
    /// Signs settlements, and remembers what it signed.
    pub signer: SettlementSigner,
    /// Its beacon chain.
    pub beacon: Mutex<BeaconChain>,
}

#[derive(Debug, Default)]
struct Parts {
    prices: Option<PricesPart>,
    prices_note: Option<String>,
    watermark: Option<Watermark>,
    signatures: Vec<(BatchNumber, Signature)>,
    signing_note: Option<String>,
    beacon: Option<Hash>,
}

/// The parts of the next extension. Readers write, a vote reads; nothing waits under its locks.
#[derive(Debug)]
pub struct Report {
    /// None on a node that is no validator.
    identity: Option<Identity>,
    /// Set once the runtime is there; absent where no endpoint is configured.
    solana: OnceLock<Reader>,
    parts: Mutex<Parts>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread left behind is whole: every write below is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Report {
    /// An empty cache.
    pub fn new(identity: Option<Identity>) -> Self {
        Self {
            identity,
            solana: OnceLock::new(),
            parts: Mutex::default(),
        }
    }

    /// Address and settlement key, on a validator.
    pub fn address(&self) -> Option<(ValidatorAddress, AccountId)> {
        self.identity
            .as_ref()
            .map(|identity| (identity.address, identity.signer.account()))
    }

    /// Takes the reader of Solana. The first one stays.
    pub fn set_solana(&self, reader: Reader) {
        if self.solana.set(reader).is_err() {
            tracing::error!("a second reader of Solana was given");
        }
    }

    /// Takes what the price sources say, or why they say nothing.
    pub fn set_prices(&self, prices: Result<PricesPart, String>) {
        let mut parts = locked(&self.parts);
        match prices {
            Ok(prices) => {
                parts.prices = Some(prices);
                parts.prices_note = None;
            }
            // The last price goes on counting until it is too old.
            Err(note) => parts.prices_note = Some(format!("prices: {note}")),
        }
    }

    /// Signs and looks up what the new state asks for. Slow, since the signer syncs its log: never called by a vote.
    pub fn refresh(&self, duties: &ExtensionDuties) {
        let ExtensionDuties {
            deposit_first,
            deposit_hash,
            batches,
            beacon_link,
            settled: _,
        } = duties;
        let watermark = Watermark {
            number: deposit_first.saturating_sub(1),
            hash: *deposit_hash,
        };
        let (mut signatures, mut note, mut beacon) = (Vec::new(), None, None);
        if let Some(identity) = &self.identity {
            for (number, body) in batches {
                match identity.signer.sign(body) {
                    Ok(signature) => signatures.push(signature),
                    Err(error) => note = Some(format!("batch {number} is not signed: {error}")),
                }
            }
            beacon = beacon_link.and_then(|last| locked(&identity.beacon).next(last));
        }
        if let Some(note) = &note {
            tracing::error!(note, "a settlement is not signed");
        }
        let mut parts = locked(&self.parts);
        parts.watermark = Some(watermark);
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
        let is_fresh =
            |prices: &PricesPart| now_ms().saturating_sub(prices.published_ms) <= PRICE_AGE_MAX_MS;
        let prices = parts.prices.filter(is_fresh);
        let solana = self.solana.get().zip(parts.watermark);
        let solana = solana.and_then(|(reader, watermark)| reader.part(watermark));
        let extension = VoteExtension {
            version: 1,
            prices,
            solana,
            signatures: parts.signatures.clone(),
            beacon: parts.beacon,
        };
        drop(parts);
        let bytes = extension.encode();
        // What an honest node sends, every honest node accepts: the same check as the others make, before them.
        let is_valid = bytes.len() <= EXTENSION_BYTES_MAX && VoteExtension::decode(&bytes).is_ok();
        if is_valid { bytes } else { Vec::new() }
    }

    /// What a proposer hands on of Solana: records that the chain waits for, and the last settlement.
    pub fn bridge_data(&self) -> BridgeData {
        let watermark = locked(&self.parts).watermark;
        let Some((reader, watermark)) = self.solana.get().zip(watermark) else {
            return BridgeData::default();
        };
        let io_bridge::Supply {
            deposits,
            last_settle,
        } = reader.supply(watermark);
        BridgeData {
            deposits,
            last_settle,
        }
    }

    /// State of the reader of Solana, where there is one.
    pub fn solana_status(&self) -> Option<ReaderStatus> {
        let watermark = locked(&self.parts).watermark;
        self.solana.get().map(|reader| reader.status(watermark))
    }

    /// One line for each thing that people should know.
    pub fn notes(&self) -> Vec<String> {
        let parts = locked(&self.parts);
        let watermark = parts.watermark;
        let mut notes: Vec<String> = [&parts.prices_note, &parts.signing_note]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        drop(parts);
        if let Some(reader) = self.solana.get() {
            notes.extend(reader.notes(watermark));
        }
        notes
    }
}
