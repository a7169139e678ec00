//! One JSON-RPC endpoint, and everything that can be wrong with its answers.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use io_settlement::Error;
use io_types::id::Hash;
use serde::Deserialize;
use serde_json::{Value, json};
use solana_pubkey::Pubkey;

use super::ReaderError;

/// The largest account of Solana has 10 MiB, 13.4 MiB in base64; of three that are asked for, one may be that large.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Why an endpoint does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    /// No answer yet.
    #[error("no answer yet")]
    Silent,
    /// It does not answer in time, or at all.
    #[error("out of reach: {0}")]
    Unreachable(String),
    /// It answers with an error.
    #[error("it refuses: {message} (code {code})")]
    Refused {
        /// JSON-RPC's code.
        code: i64,
        /// Its words.
        message: String,
    },
    /// Its answer is not what Solana answers.
    #[error("its answer is not understood: {0}")]
    BadAnswer(String),
    /// It serves another cluster.
    #[error("it serves the cluster {found}, not the one of genesis")]
    OtherCluster {
        /// The cluster's genesis hash, base58.
        found: String,
    },
    /// An account is not there.
    #[error("the {what} {address} does not exist at finalized; was the program initialized?")]
    Missing {
        /// Which one.
        what: &'static str,
        /// Where it should be.
        address: String,
    },
    /// An account belongs to somebody else.
    #[error("the {what} belongs to {owner}")]
    WrongOwner {
        /// Which one.
        what: &'static str,
        /// Its owner.
        owner: String,
    },
    /// An account's bytes are not what they must be.
    #[error("the {what} is broken: {error}")]
    Broken {
        /// Which one.
        what: &'static str,
        /// The rule.
        error: Error,
    },
    /// The program's data header is not one.
    #[error("the program's data header is broken")]
    BrokenHeader,
    /// The bridge is not the one of genesis.
    #[error("the bridge names another {field} than the genesis")]
    OtherBridge {
        /// Which fact.
        field: &'static str,
    },
    /// The queue contradicts itself.
    #[error("record {number} of the deposit queue does not follow from the one before")]
    BrokenQueue {
        /// Which record.
        number: u64,
    },
}

/// An account's owner and data, as far as they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The program that owns it.
    pub owner: Pubkey,
    /// Its data.
    pub data: Vec<u8>,
}

/// Accounts at one slot.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Solana's slot.
    pub slot: u64,
    /// In the order in which they were asked for; none for those that do not exist.
    pub accounts: Vec<Option<Account>>,
}

/// An endpoint in this process, for a simulation that has no ports: it answers what Solana would, or does not.
pub trait Source: std::fmt::Debug + Send + Sync {
    /// The cluster's genesis hash.
    ///
    /// # Errors
    /// [`EndpointFault`], as over HTTP.
    fn genesis_hash(&self) -> Result<[u8; 32], EndpointFault>;

    /// All of them at one slot that the endpoint calls finalized; with `first_bytes`, only so many of each.
    ///
    /// # Errors
    /// [`EndpointFault`], as over HTTP.
    fn accounts(
        &self,
        keys: &[Pubkey],
        first_bytes: Option<usize>,
    ) -> Result<Accounts, EndpointFault>;
}

/// Where an endpoint's answers come from.
#[derive(Clone, Debug)]
enum Road {
    Http { url: String, http: reqwest::Client },
    Inside(Arc<dyn Source>),
}

/// One endpoint.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    name: String,
    road: Road,
}

impl Endpoint {
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, ReaderError> {
        let fault = |why: String| ReaderError::Url {
            url: url.split(['?', '@']).next().unwrap_or_default().to_owned(),
            why,
        };
        let parsed = reqwest::Url::parse(url).map_err(|error| fault(error.to_string()))?;
        if !["http", "https"].contains(&parsed.scheme()) {
            return Err(fault(format!("scheme {:?} is not spoken", parsed.scheme())));
        }
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let port = parsed
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        let mut builder = reqwest::Client::builder().timeout(timeout);
        if host == "localhost" || host == "[::1]" || host.starts_with("127.") {
            builder = builder.no_proxy();
        }
        Ok(Self {
            name: format!("{}://{host}{port}", parsed.scheme()),
            road: Road::Http {
                url: url.to_owned(),
                http: builder.build().map_err(|error| fault(error.to_string()))?,
            },
        })
    }

    pub(super) fn inside(name: String, source: Arc<dyn Source>) -> Self {
        Self {
            name,
            road: Road::Inside(source),
        }
    }

    /// Scheme, host and port.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn genesis_hash(&self) -> Result<[u8; 32], EndpointFault> {
        let (url, http) = match &self.road {
            Road::Http { url, http } => (url, http),
            Road::Inside(source) => return source.genesis_hash(),
        };
        let answer = call(url, http, "getGenesisHash", json!([])).await?;
        let text = answer.as_str().unwrap_or_default();
        let bytes = bs58::decode(text).into_vec().ok();
        bytes
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or_else(|| EndpointFault::BadAnswer(format!("genesis hash {text:?}")))
    }

    /// All of them at one finalized slot; with `first_bytes`, only so many of each.
    pub(super) async fn accounts(
        &self,
        keys: &[Pubkey],
        first_bytes: Option<usize>,
    ) -> Result<Accounts, EndpointFault> {
        #[derive(Deserialize)]
        struct Context {
            slot: u64,
        }
        #[derive(Deserialize)]
        struct Raw {
            context: Context,
            value: Vec<Option<RawAccount>>,
        }
        let (url, http) = match &self.road {
            Road::Http { url, http } => (url, http),
            Road::Inside(source) => return source.accounts(keys, first_bytes),
        };
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let mut config = json!({"commitment": "finalized", "encoding": "base64"});
        if let (Some(length), Some(config)) = (first_bytes, config.as_object_mut()) {
            config.insert(
                "dataSlice".to_owned(),
                json!({"offset": 0, "length": length}),
            );
        }
        let params = json!([names, config]);
        let answer = call(url, http, "getMultipleAccounts", params).await?;
        let bad = |why: String| EndpointFault::BadAnswer(why);
        let raw = Raw::deserialize(&answer).map_err(|error| bad(error.to_string()))?;
        if raw.value.len() != keys.len() {
            return Err(bad(format!(
                "{} accounts for {}",
                raw.value.len(),
                keys.len()
            )));
        }
        let read =
            |account: Option<RawAccount>| account.map(|raw| raw.read(first_bytes)).transpose();
        let accounts: Result<Vec<_>, String> = raw.value.into_iter().map(read).collect();
        Ok(Accounts {
            slot: raw.context.slot,
            accounts: accounts.map_err(bad)?,
        })
    }
}

async fn call(
    url: &str,
    http: &reqwest::Client,
    method: &str,
    params: Value,
) -> Result<Value, EndpointFault> {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let response = http.post(url).json(&request).send().await;
    let response = response.map_err(|error| unreachable_because(&error))?;
    let status = response.status();
    let bytes = io_client::body_within(response, ANSWER_BYTES_MAX)
        .await
        .map_err(EndpointFault::Unreachable)?;
    let mut body: Value = serde_json::from_slice(&bytes).map_err(|error| {
        if status.is_success() {
            EndpointFault::BadAnswer(error.to_string())
        } else {
            EndpointFault::Unreachable(format!("HTTP {status}"))
        }
    })?;
    if let Some(error) = body.get("error") {
        let message = error
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default();
        return Err(EndpointFault::Refused {
            code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
            message: message.chars().take(200).collect(),
        });
    }
    if body.get("id") != Some(&json!(1)) {
        return Err(EndpointFault::BadAnswer(
            "it answers another request".to_owned(),
        ));
    }
    Ok(body.get_mut("result").map(Value::take).unwrap_or_default())
}

/// The innermost cause, without the URL, which may hold a secret.
fn unreachable_because(error: &reqwest::Error) -> EndpointFault {
    if error.is_timeout() {
        return EndpointFault::Unreachable("no answer in time".to_owned());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    EndpointFault::Unreachable(cause.to_string())
}

#[derive(Deserialize)]
struct RawAccount {
    owner: String,
    data: (String, String),
}

impl RawAccount {
    /// Endpoints that do not know `dataSlice` send all of it; the rest is cut off, so that both kinds say the same.
    fn read(self, first_bytes: Option<usize>) -> Result<Account, String> {
        let (text, encoding) = self.data;
        if encoding != "base64" {
            return Err(format!(
                "account data in {encoding:?}, base64 was asked for"
            ));
        }
        let mut data = base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|error| format!("account data: {error}"))?;
        if let Some(length) = first_bytes {
            data.truncate(length);
        }
        Ok(Account {
            owner: self
                .owner
                .parse()
                .map_err(|error| format!("owner {:?}: {error}", self.owner))?,
            data,
        })
    }
}

/// A cluster's genesis hash as people know it.
pub(super) fn cluster_text(hash: &[u8; 32]) -> String {
    bs58::encode(hash).into_string()
}

/// The header hash as people write it.
pub(super) fn header_text(hash: &[u8; 32]) -> Hash {
    Hash(*hash)
}
