//! A small client of Solana's JSON-RPC: what setting up a ledger and watching it needs, and no more.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;

/// How long to wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to one RPC endpoint.
#[derive(Debug, Clone)]
pub struct Rpc {
    url: String,
    http: reqwest::Client,
}

/// An account as the RPC shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcAccount {
    /// Its balance.
    pub lamports: u64,
    /// The program that may change it.
    pub owner: Pubkey,
    /// Its content.
    pub data: Vec<u8>,
}

impl Rpc {
    /// A client of the endpoint at `url`. Errors: the system has no TLS roots to start an HTTP client with.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build()?;
        Ok(Self {
            url: url.to_owned(),
            http,
        })
    }

    /// Calls a method and returns its result. Errors: no answer, or the endpoint's own error with its code.
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.http.post(&self.url).json(&request).send().await;
        let mut answer: Value = answer
            .with_context(|| format!("{method} at {}", self.url))?
            .json()
            .await?;
        match answer.get("error") {
            None => Ok(answer
                .get_mut("result")
                .map(Value::take)
                .unwrap_or_default()),
            Some(error) => bail!("{method} at {}: {error}", self.url),
        }
    }

    /// Waits until the endpoint answers, at most `limit`.
    pub async fn wait_until_ready(&self, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            match self.call("getHealth", json!([])).await {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() > limit => {
                    return Err(error.context(format!("no ledger within {limit:?}")));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The present slot at a commitment.
    pub async fn slot(&self, commitment: &str) -> anyhow::Result<u64> {
        let slot = self
            .call("getSlot", json!([{"commitment": commitment}]))
            .await?;
        slot.as_u64()
            .ok_or_else(|| anyhow!("getSlot answered {slot}"))
    }

    /// An account at a commitment, and the slot of the answer.
    pub async fn account(
        &self,
        key: &Pubkey,
        commitment: &str,
    ) -> anyhow::Result<(u64, Option<RpcAccount>)> {
        let params = json!([key.to_string(), {"encoding": "base64", "commitment": commitment}]);
        let answer = self.call("getAccountInfo", params).await?;
        let slot = answer
            .pointer("/context/slot")
            .and_then(Value::as_u64)
            .context("an answer without its slot")?;
        Ok((
            slot,
            answer
                .get("value")
                .map(parse_account)
                .transpose()?
                .flatten(),
        ))
    }

    /// Lamports of an account at a commitment.
    pub async fn balance(&self, key: &Pubkey, commitment: &str) -> anyhow::Result<u64> {
        let answer = self
            .call(
                "getBalance",
                json!([key.to_string(), {"commitment": commitment}]),
            )
            .await?;
        answer
            .get("value")
            .and_then(Value::as_u64)
            .context("a balance that is no number")
    }

    /// Base units in a token account at a commitment.
    pub async fn token_balance(&self, key: &Pubkey, commitment: &str) -> anyhow::Result<u64> {
        let answer = self
            .call(
                "getTokenAccountBalance",
                json!([key.to_string(), {"commitment": commitment}]),
            )
            .await?;
        let amount = answer
            .pointer("/value/amount")
            .and_then(Value::as_str)
            .context("a token balance that is no text")?;
        Ok(amount.parse()?)
    }

    /// Signs, sends and waits until the transaction is executed and confirmed. `signers` starts with the one who pays.
    ///
    /// Errors: refused before execution, failed in execution (with the program's error), or not confirmed within 15 s.
    pub async fn send(
        &self,
        instructions: &[Instruction],
        signers: &[&Keypair],
    ) -> anyhow::Result<Signature> {
        let payer = signers
            .first()
            .context("a transaction needs someone who pays")?
            .pubkey();
        let latest = self
            .call("getLatestBlockhash", json!([{"commitment": "confirmed"}]))
            .await?;
        let hash: Hash = latest
            .pointer("/value/blockhash")
            .and_then(Value::as_str)
            .context("no blockhash")?
            .parse()?;
        let message = Message::new_with_blockhash(instructions, Some(&payer), &hash);
        let transaction =
            VersionedTransaction::try_new(VersionedMessage::Legacy(message), signers)?;
        let bytes = bincode_of(&transaction)?;
        let config = json!({"encoding": "base64", "preflightCommitment": "confirmed"});
        self.call("sendTransaction", json!([BASE64.encode(bytes), config]))
            .await?;
        let signature = transaction
            .signatures
            .first()
            .copied()
            .context("a transaction without a signature")?;
        self.wait_until_confirmed(&signature).await?;
        Ok(signature)
    }

    async fn wait_until_confirmed(&self, signature: &Signature) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(15) {
            let answer = self
                .call("getSignatureStatuses", json!([[signature.to_string()]]))
                .await?;
            let status = answer.pointer("/value/0").cloned().unwrap_or_default();
            if let Some(error) = status.get("err").filter(|error| !error.is_null()) {
                bail!("transaction {signature} failed: {error}");
            }
            let level = status.get("confirmationStatus").and_then(Value::as_str);
            if matches!(level, Some("confirmed" | "finalized")) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("transaction {signature} is not confirmed after 15 s")
    }
}

fn bincode_of(transaction: &VersionedTransaction) -> anyhow::Result<Vec<u8>> {
    wincode::serialize(transaction).map_err(|error| anyhow!("cannot encode a transaction: {error}"))
}

fn parse_account(value: &Value) -> anyhow::Result<Option<RpcAccount>> {
    if value.is_null() {
        return Ok(None);
    }
    let text = value
        .pointer("/data/0")
        .and_then(Value::as_str)
        .context("an account without data")?;
    Ok(Some(RpcAccount {
        lamports: value
            .get("lamports")
            .and_then(Value::as_u64)
            .context("an account without lamports")?,
        owner: value
            .get("owner")
            .and_then(Value::as_str)
            .context("an account without owner")?
            .parse()?,
        data: BASE64.decode(text)?,
    }))
}
