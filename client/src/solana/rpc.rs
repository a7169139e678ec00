//! Solana's JSON-RPC: the methods that we need, nothing assumed about commitment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;

use super::error::SolanaError;
use crate::http::http_client;

mod landing;
mod wire;

pub use landing::{sign_transaction, transaction_bytes};
pub(crate) use wire::is_passing_code;
use wire::{Answer, InContext, RawAccount, call_one};

/// How long an answer may take, if nothing else is said.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How final what is read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Commitment {
    /// Seen by this endpoint; may vanish.
    Processed,
    /// Voted for by two thirds of Solana's stake.
    Confirmed,
    /// Cannot be undone.
    Finalized,
}

impl Commitment {
    /// As JSON-RPC writes it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Confirmed => "confirmed",
            Self::Finalized => "finalized",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        [Self::Processed, Self::Confirmed, Self::Finalized]
            .into_iter()
            .find(|commitment| commitment.text() == text)
    }
}

/// A value with the slot at which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtSlot<T> {
    /// Solana's slot.
    pub slot: u64,
    /// The value.
    pub value: T,
}

/// An account of Solana.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolanaAccount {
    /// Its balance.
    pub lamports: u64,
    /// The program that owns it.
    pub owner: Pubkey,
    /// Its data.
    pub data: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

/// A recent blockhash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blockhash {
    /// It.
    pub hash: Hash,
    /// The last block height at which a transaction with it is taken.
    pub last_valid_height: u64,
}

/// What an endpoint knows of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureStatus {
    /// The slot that holds it.
    pub slot: u64,
    /// How final that is.
    pub commitment: Commitment,
    /// Solana's error, if it failed.
    pub err: Option<Value>,
}

/// How a transaction would end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// Solana's error, if it would fail.
    pub err: Option<Value>,
    /// What programs logged.
    pub logs: Vec<String>,
    /// Compute units used.
    pub units: u64,
}

/// A transaction that is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its first signature: its name.
    pub signature: Signature,
    /// Its slot.
    pub slot: u64,
}

/// Balance of a token account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBalance {
    /// Base units.
    pub amount: u64,
    /// Digits after the point.
    pub decimals: u8,
}

/// One Solana cluster, by the URLs of one or more endpoints. Each request goes to the first one that can be reached.
///
/// To compare endpoints, make one of these for each. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct SolanaRpc {
    endpoints: Arc<[(String, reqwest::Client)]>,
    requests: Arc<AtomicU64>,
}

impl SolanaRpc {
    /// A client of these endpoints, tried in this order.
    ///
    /// # Errors
    /// [`SolanaError::Invalid`] if there is none, or one is no URL of http or https.
    pub fn new<U: AsRef<str>>(urls: &[U]) -> Result<Self, SolanaError> {
        Self::with_timeout(urls, ANSWER_WITHIN)
    }

    /// The same with another time in which each endpoint must answer.
    ///
    /// # Errors
    /// As [`SolanaRpc::new`].
    pub fn with_timeout<U: AsRef<str>>(urls: &[U], within: Duration) -> Result<Self, SolanaError> {
        if urls.is_empty() {
            return Err(SolanaError::invalid(
                "Solana endpoints",
                "none is given; name at least one URL",
            ));
        }
        let endpoint = |url: &U| {
            let url = url.as_ref();
            http_client(url, Some(within))
                .map(|http| (url.to_owned(), http))
                .map_err(|error| SolanaError::invalid("Solana endpoint", error.to_string()))
        };
        Ok(Self {
            endpoints: urls.iter().map(endpoint).collect::<Result<_, _>>()?,
            requests: Arc::default(),
        })
    }

    /// The endpoints' URLs.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(|(url, _)| url.as_str())
    }

    /// `getMultipleAccounts`: all of them at one slot, `None` for those that do not exist. With `min_slot`, an endpoint
    /// that is behind it refuses.
    pub async fn accounts(
        &self,
        addresses: &[Pubkey],
        commitment: Commitment,
        min_slot: Option<u64>,
    ) -> Result<AtSlot<Vec<Option<SolanaAccount>>>, SolanaError> {
        let keys: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let mut config = json!({"commitment": commitment.text(), "encoding": "base64"});
        if let (Some(slot), Some(config)) = (min_slot, config.as_object_mut()) {
            config.insert("minContextSlot".to_owned(), slot.into());
        }
        let answer = self
            .call("getMultipleAccounts", json!([keys, config]))
            .await?;
        let InContext { slot, value } = answer.in_context::<Vec<Option<RawAccount>>>()?;
        if value.len() != addresses.len() {
            return Err(answer.bad(&format!("{} accounts for {}", value.len(), addresses.len())));
        }
        let value = value
            .into_iter()
            .map(|account| account.map(RawAccount::read).transpose())
            .collect::<Result<_, _>>()
            .map_err(|why| answer.bad(&why))?;
        Ok(AtSlot { slot, value })
    }

    /// One account, if it exists.
    pub async fn account(
        &self,
        address: &Pubkey,
        commitment: Commitment,
    ) -> Result<Option<SolanaAccount>, SolanaError> {
        let mut accounts = self.accounts(&[*address], commitment, None).await?;
        Ok(accounts.value.pop().flatten())
    }

    /// `getLatestBlockhash`
    pub async fn latest_blockhash(&self, commitment: Commitment) -> Result<Blockhash, SolanaError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            blockhash: String,
            last_valid_block_height: u64,
        }
        let config = json!([{"commitment": commitment.text()}]);
        let answer = self.call("getLatestBlockhash", config).await?;
        let raw = answer.in_context::<Raw>()?.value;
        let hash = raw.blockhash.parse().map_err(|error| answer.bad(&error))?;
        Ok(Blockhash {
            hash,
            last_valid_height: raw.last_valid_block_height,
        })
    }

    /// `getBlockHeight`
    pub async fn block_height(&self, commitment: Commitment) -> Result<u64, SolanaError> {
        let config = json!([{"commitment": commitment.text()}]);
        self.call("getBlockHeight", config).await?.read()
    }

    /// `getSlot`
    pub async fn slot(&self, commitment: Commitment) -> Result<u64, SolanaError> {
        let config = json!([{"commitment": commitment.text()}]);
        self.call("getSlot", config).await?.read()
    }

    /// `getGenesisHash`: which cluster it is.
    pub async fn genesis_hash(&self) -> Result<[u8; 32], SolanaError> {
        let answer = self.call("getGenesisHash", json!([])).await?;
        let hash: Hash = answer
            .read::<String>()?
            .parse()
            .map_err(|error| answer.bad(&error))?;
        Ok(hash.to_bytes())
    }

    /// `getHealth`. An endpoint that is behind refuses.
    pub async fn health(&self) -> Result<(), SolanaError> {
        let answer = self.call("getHealth", json!([])).await?;
        match answer.read::<String>()?.as_str() {
            "ok" => Ok(()),
            other => Err(answer.bad(&format!("health {other:?}"))),
        }
    }

    /// `getVersion`: the endpoint's software.
    pub async fn version(&self) -> Result<String, SolanaError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Raw {
            solana_core: String,
        }
        let answer = self.call("getVersion", json!([])).await?;
        Ok(answer.read::<Raw>()?.solana_core)
    }

    /// `getBalance`, lamports
    pub async fn balance(
        &self,
        address: &Pubkey,
        commitment: Commitment,
    ) -> Result<u64, SolanaError> {
        let params = json!([address.to_string(), {"commitment": commitment.text()}]);
        let answer = self.call("getBalance", params).await?;
        Ok(answer.in_context()?.value)
    }

    /// `getTokenAccountBalance`
    pub async fn token_balance(
        &self,
        address: &Pubkey,
        commitment: Commitment,
    ) -> Result<TokenBalance, SolanaError> {
        #[derive(Deserialize)]
        struct Raw {
            amount: String,
            decimals: u8,
        }
        let params = json!([address.to_string(), {"commitment": commitment.text()}]);
        let answer = self.call("getTokenAccountBalance", params).await?;
        let raw: Raw = answer.in_context()?.value;
        let amount = raw.amount.parse().map_err(|error| answer.bad(&error))?;
        Ok(TokenBalance {
            amount,
            decimals: raw.decimals,
        })
    }

    /// `getMinimumBalanceForRentExemption`, lamports
    pub async fn rent(&self, bytes: usize) -> Result<u64, SolanaError> {
        self.call("getMinimumBalanceForRentExemption", json!([bytes]))
            .await?
            .read()
    }

    /// `getSignatureStatuses`, in the order of the signatures; `None` for those that are not known.
    pub async fn signature_statuses(
        &self,
        signatures: &[Signature],
    ) -> Result<Vec<Option<SignatureStatus>>, SolanaError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            slot: u64,
            err: Option<Value>,
            confirmation_status: Option<String>,
        }
        let names: Vec<String> = signatures.iter().map(ToString::to_string).collect();
        let params = json!([names, {"searchTransactionHistory": true}]);
        let answer = self.call("getSignatureStatuses", params).await?;
        let raw = answer.in_context::<Vec<Option<Raw>>>()?.value;
        if raw.len() != signatures.len() {
            return Err(answer.bad(&format!("{} statuses for {}", raw.len(), signatures.len())));
        }
        let read = |raw: Raw| SignatureStatus {
            slot: raw.slot,
            // Endpoints that keep no word for it have it from history: what is there is final.
            commitment: raw
                .confirmation_status
                .map_or(Some(Commitment::Finalized), |text| {
                    Commitment::from_text(&text)
                })
                .unwrap_or(Commitment::Processed),
            err: raw.err,
        };
        Ok(raw.into_iter().map(|raw| raw.map(read)).collect())
    }

    /// `simulateTransaction`: how a signed transaction would end now.
    pub async fn simulate(
        &self,
        transaction: &VersionedTransaction,
        commitment: Commitment,
    ) -> Result<Simulation, SolanaError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            err: Option<Value>,
            logs: Option<Vec<String>>,
            units_consumed: Option<u64>,
        }
        let bytes = transaction_bytes(transaction)?;
        let params = json!([
            BASE64.encode(bytes),
            {"encoding": "base64", "commitment": commitment.text(), "sigVerify": true}
        ]);
        let answer = self.call("simulateTransaction", params).await?;
        let raw: Raw = answer.in_context()?.value;
        Ok(Simulation {
            err: raw.err,
            logs: raw.logs.unwrap_or_default(),
            units: raw.units_consumed.unwrap_or(0),
        })
    }

    /// `sendTransaction`, after a check at `commitment` by the endpoint.
    ///
    /// # Errors
    /// [`SolanaError::Program`] or [`SolanaError::Failed`] if that check fails: then nothing was sent.
    pub async fn send(
        &self,
        transaction: &VersionedTransaction,
        commitment: Commitment,
    ) -> Result<Signature, SolanaError> {
        let bytes = transaction_bytes(transaction)?;
        let params = json!([
            BASE64.encode(bytes),
            {"encoding": "base64", "preflightCommitment": commitment.text(), "maxRetries": 0}
        ]);
        let answer = self.call("sendTransaction", params).await?;
        answer
            .read::<String>()?
            .parse()
            .map_err(|error| answer.bad(&error))
    }

    /// One request, to the first endpoint that can be reached and serves.
    async fn call(&self, method: &str, params: Value) -> Result<Answer, SolanaError> {
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut last = SolanaError::invalid("Solana endpoints", "none is given");
        for (url, http) in self.endpoints.iter() {
            match call_one(url, http, method, &request).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_passing() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests;
