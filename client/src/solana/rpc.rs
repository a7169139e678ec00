//! Solana's JSON-RPC: the methods that we need, nothing assumed about commitment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;

use super::error::SolanaError;
use crate::node::{chain_of, http_client};

/// How long an answer may take, if nothing else is said.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How often a sent transaction is looked up.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// A transaction that is not seen is sent again after so many looks.
const LOOKS_PER_SEND: u32 = 5;
/// A blockhash serves 150 blocks, so an endpoint that counts blocks says when one is too old. One that does not is given up after this.
const LAND_WITHIN: Duration = Duration::from_mins(2);

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

    /// Signs the instructions with a fresh blockhash, sends them, and sends them again until they are in a block of that
    /// commitment or never can be. The first of the keys pays.
    ///
    /// # Errors
    /// Those of [`SolanaRpc::send`]; [`SolanaError::Expired`]; [`SolanaError::Unreachable`], after which it may be executed or not.
    pub async fn send_and_confirm(
        &self,
        instructions: &[Instruction],
        keys: &[&Keypair],
        commitment: Commitment,
    ) -> Result<Landed, SolanaError> {
        let blockhash = self.latest_blockhash(Commitment::Confirmed).await?;
        let transaction = sign_transaction(instructions, keys, &blockhash.hash)?;
        let signature = self.send(&transaction, Commitment::Confirmed).await?;
        self.confirm(&transaction, signature, &blockhash, commitment)
            .await
    }

    async fn confirm(
        &self,
        transaction: &VersionedTransaction,
        signature: Signature,
        blockhash: &Blockhash,
        commitment: Commitment,
    ) -> Result<Landed, SolanaError> {
        let started = tokio::time::Instant::now();
        let mut looks = 0_u32;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            looks = looks.saturating_add(1);
            // The height is read first: what is not known after it is too old can never land.
            let height = self.block_height(Commitment::Confirmed).await?;
            match self.signature_statuses(&[signature]).await?.pop().flatten() {
                Some(status) if status.commitment >= commitment => {
                    return match status.err {
                        None => Ok(Landed {
                            signature,
                            slot: status.slot,
                        }),
                        Some(err) => {
                            let name = Some(signature.to_string());
                            Err(SolanaError::of_transaction(&err, &[], name))
                        }
                    };
                }
                None if height > blockhash.last_valid_height || started.elapsed() > LAND_WITHIN => {
                    return Err(SolanaError::Expired {
                        signature: signature.to_string(),
                    });
                }
                None if looks.is_multiple_of(LOOKS_PER_SEND) => {
                    // Endpoints drop transactions under load. The status says how it ends, not this.
                    if let Err(error) = self.send(transaction, Commitment::Confirmed).await {
                        tracing::debug!(%signature, %error, "sent again");
                    }
                }
                Some(_) | None => {}
            }
        }
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

/// The result of a request, with what its errors must name.
struct Answer {
    url: String,
    method: String,
    result: Value,
}

#[derive(Debug)]
struct InContext<T> {
    slot: u64,
    value: T,
}

impl Answer {
    fn bad(&self, why: &(impl ToString + ?Sized)) -> SolanaError {
        SolanaError::BadAnswer {
            url: self.url.clone(),
            method: self.method.clone(),
            why: why.to_string(),
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(&self) -> Result<T, SolanaError> {
        T::deserialize(&self.result).map_err(|error| self.bad(&error))
    }

    fn in_context<T: for<'de> Deserialize<'de>>(&self) -> Result<InContext<T>, SolanaError> {
        #[derive(Deserialize)]
        struct Context {
            slot: u64,
        }
        #[derive(Deserialize)]
        struct Raw<T> {
            context: Context,
            value: T,
        }
        let Raw { context, value } = self.read::<Raw<T>>()?;
        Ok(InContext {
            slot: context.slot,
            value,
        })
    }
}

#[derive(Deserialize)]
struct RawAccount {
    lamports: u64,
    owner: String,
    data: (String, String),
    executable: bool,
}

impl RawAccount {
    fn read(self) -> Result<SolanaAccount, String> {
        let (data, encoding) = self.data;
        if encoding != "base64" {
            return Err(format!("account data in {encoding}, base64 was asked for"));
        }
        Ok(SolanaAccount {
            lamports: self.lamports,
            owner: self
                .owner
                .parse()
                .map_err(|error| format!("owner {}: {error}", self.owner))?,
            data: BASE64
                .decode(data)
                .map_err(|error| format!("account data: {error}"))?,
            executable: self.executable,
        })
    }
}

async fn call_one(
    url: &str,
    http: &reqwest::Client,
    method: &str,
    request: &Value,
) -> Result<Answer, SolanaError> {
    let unreachable = |why: String| SolanaError::Unreachable {
        url: url.to_owned(),
        method: method.to_owned(),
        why,
    };
    let response = http
        .post(url)
        .json(request)
        .send()
        .await
        .map_err(|error| unreachable(chain_of(&error.without_url())))?;
    let status = response.status();
    let body = response
        .bytes()
        .await
        .map_err(|error| unreachable(chain_of(&error.without_url())))?;
    let mut body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(_) if !status.is_success() => return Err(unreachable(format!("HTTP {status}"))),
        Err(error) => {
            return Err(SolanaError::BadAnswer {
                url: url.to_owned(),
                method: method.to_owned(),
                why: error.to_string(),
            });
        }
    };
    if let Some(error) = body.get("error") {
        return Err(rpc_error(url, method, error));
    }
    let answer = Answer {
        url: url.to_owned(),
        method: method.to_owned(),
        result: body.get_mut("result").map(Value::take).unwrap_or_default(),
    };
    if body.get("id") != request.get("id") {
        return Err(answer.bad("it answers another request"));
    }
    Ok(answer)
}

fn rpc_error(url: &str, method: &str, error: &Value) -> SolanaError {
    // A failed check before sending carries the transaction's own error.
    let data = error.get("data");
    let err = data.and_then(|data| data.get("err"));
    if let Some(err) = err.filter(|err| !err.is_null()) {
        let logs = data.and_then(|data| data.get("logs"));
        let logs = logs.and_then(|logs| Vec::<String>::deserialize(logs).ok());
        return SolanaError::of_transaction(err, &logs.unwrap_or_default(), None);
    }
    let message = error.get("message").and_then(Value::as_str);
    SolanaError::Rpc {
        url: url.to_owned(),
        method: method.to_owned(),
        code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
        message: message.map_or_else(|| error.to_string(), str::to_owned),
    }
}

/// Block not available, node behind, slot not yet reached, internal error: another endpoint or a later try may serve.
pub(crate) fn is_passing_code(code: i64) -> bool {
    matches!(code, -32004 | -32005 | -32016 | -32603 | 429)
}

/// A signed transaction of these instructions. The first of the keys pays.
///
/// # Errors
/// [`SolanaError::Invalid`] if a key is missing or one too many.
pub fn sign_transaction(
    instructions: &[Instruction],
    keys: &[&Keypair],
    blockhash: &Hash,
) -> Result<VersionedTransaction, SolanaError> {
    let payer = keys.first().map(Signer::pubkey);
    let message = Message::new_with_blockhash(instructions, payer.as_ref(), blockhash);
    VersionedTransaction::try_new(VersionedMessage::Legacy(message), keys)
        .map_err(|error| SolanaError::invalid("Solana transaction", error.to_string()))
}

/// A transaction's bytes as they go over the wire.
///
/// # Errors
/// [`SolanaError::Invalid`] if it cannot be encoded.
pub fn transaction_bytes(transaction: &VersionedTransaction) -> Result<Vec<u8>, SolanaError> {
    wincode::serialize(transaction)
        .map_err(|error| SolanaError::invalid("Solana transaction", error.to_string()))
}

#[cfg(test)]
mod tests;
