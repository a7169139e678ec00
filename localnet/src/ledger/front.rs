//! The ledger's JSON-RPC: passes requests to the machine behind it and answers reads of final accounts itself.
//!
//! The machine answers every commitment with its newest state. A bridge must not credit what is not final, so reads at `finalized`
//! (also the default when a request names no commitment) are answered from [`super::store::Accounts`], all accounts of one answer at
//! one slot. Reads at `finalized` that cannot be answered so are refused, never answered with something newer.

use std::{str::FromStr, sync::Arc};

use axum::{Json, Router, extract::State, routing::post};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use surfpool_core::{
    solana_account::{Account, AccountSharedData, ReadableAccount},
    surfnet::locker::SurfnetSvmLocker,
};

use super::{genesis::TOKEN_PROGRAM, store::Accounts};

/// As many as the main cluster's nodes allow.
const ACCOUNTS_PER_REQUEST_MAX: usize = 100;

const INVALID_PARAMS: i64 = -32602;
const METHOD_NOT_FOUND: i64 = -32601;
const INTERNAL: i64 = -32603;
const MIN_CONTEXT_SLOT_NOT_REACHED: i64 = -32016;

/// Methods that list accounts. The machine would answer them at `finalized` with what is not final.
const UNFINALIZED_LISTS: [&str; 6] = [
    "getProgramAccounts",
    "getTokenAccountsByOwner",
    "getTokenAccountsByDelegate",
    "getTokenLargestAccounts",
    "getTokenSupply",
    "getLargestAccounts",
];

/// What the front needs to answer.
#[derive(Clone)]
pub struct Front {
    locker: SurfnetSvmLocker,
    accounts: Accounts,
    http: reqwest::Client,
    inner: Arc<str>,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Front")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// An error answer of JSON-RPC.
#[derive(Debug, PartialEq, Eq)]
struct RpcError {
    code: i64,
    message: String,
    data: Value,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: Value::Null,
        }
    }
}

impl Front {
    /// A front before the machine at `inner` (URL), whose state is `locker` and whose final accounts are `accounts`.
    pub fn new(locker: SurfnetSvmLocker, accounts: Accounts, inner: &str) -> Self {
        Self {
            locker,
            accounts,
            http: reqwest::Client::new(),
            inner: Arc::from(inner),
        }
    }

    /// The HTTP service.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", post(serve).get(|| async { "io-localnet ledger\n" }))
            .route("/health", axum::routing::get(|| async { "ok" }))
            .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
            .with_state(self)
    }

    /// Answers one request, or one batch of them.
    async fn answer(&self, request: Value) -> Value {
        let Value::Array(requests) = request else {
            return self.answer_one(request).await;
        };
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.answer_one(request).await);
        }
        Value::Array(answers)
    }

    async fn answer_one(&self, mut request: Value) -> Value {
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let method = request
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        let params = request.get("params").cloned().unwrap_or(Value::Null);
        let answer = if let Some(answer) = self.finalized(&method, &params) {
            answer
        } else {
            take_shortcuts_away(&mut request);
            match self.forward(&request).await {
                Ok(answer) => return answer,
                Err(error) => Err(RpcError::new(
                    INTERNAL,
                    format!("the ledger's machine does not answer: {error}"),
                )),
            }
        };
        match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
            Err(RpcError {
                code,
                message,
                data,
            }) => {
                json!({"jsonrpc": "2.0", "error": {"code": code, "message": message, "data": data}, "id": id})
            }
        }
    }

    async fn forward(&self, request: &Value) -> reqwest::Result<Value> {
        self.http
            .post(&*self.inner)
            .json(request)
            .send()
            .await?
            .json()
            .await
    }

    /// The answer to a request that the machine must not answer; `None` for all others.
    fn finalized(&self, method: &str, params: &Value) -> Option<Result<Value, RpcError>> {
        if method.starts_with("surfnet_") {
            return Some(Err(RpcError::new(
                METHOD_NOT_FOUND,
                format!("{method}: this ledger's state changes by transactions only"),
            )));
        }
        let config = params.get(1).cloned().unwrap_or(Value::Null);
        let list = UNFINALIZED_LISTS.contains(&method);
        // These take their configuration as the third parameter.
        let config = if method.starts_with("getTokenAccountsBy") {
            params.get(2).cloned().unwrap_or(Value::Null)
        } else {
            config
        };
        if is_unfinalized(&config) {
            return None;
        }
        let first = params.get(0).cloned().unwrap_or(Value::Null);
        match method {
            "getAccountInfo" => Some(self.one(&first, &config, |account| encode(account, &config))),
            "getBalance" => Some(self.one(&first, &config, |account| {
                Ok(json!(account.map_or(0, ReadableAccount::lamports)))
            })),
            "getMultipleAccounts" => Some(self.many(&first, &config)),
            "getTokenAccountBalance" => Some(self.token_balance(&first, &config)),
            _ if list => Some(Err(RpcError::new(
                METHOD_NOT_FOUND,
                format!(
                    "{method} at finalized is not served by this ledger; ask with commitment \"confirmed\""
                ),
            ))),
            _ => None,
        }
    }

    /// Reads accounts as they stood at the newest final slot.
    fn read(
        &self,
        keys: &[Pubkey],
        config: &Value,
    ) -> Result<(u64, Vec<Option<AccountSharedData>>), RpcError> {
        let (slot, accounts) = self.locker.with_svm_reader(|svm| {
            let slot = self.accounts.finalized_slot(svm.get_latest_absolute_slot());
            let accounts: Result<Vec<_>, String> = keys
                .iter()
                .map(|key| match self.accounts.at(key, slot) {
                    Some(version) => Ok(version),
                    None => match svm.inner.get_account(key) {
                        Ok(account) => Ok(account.map(AccountSharedData::from)),
                        Err(error) => Err(error.to_string()),
                    },
                })
                .collect();
            (slot, accounts)
        });
        if let Some(wanted) = config
            .get("minContextSlot")
            .and_then(Value::as_u64)
            .filter(|wanted| *wanted > slot)
        {
            return Err(RpcError {
                code: MIN_CONTEXT_SLOT_NOT_REACHED,
                message: format!("Minimum context slot {wanted} has not been reached"),
                data: json!({"contextSlot": slot}),
            });
        }
        match accounts {
            // A closed account lingers in the machine as one without lamports.
            Ok(accounts) => Ok((
                slot,
                accounts
                    .into_iter()
                    .map(|account| account.filter(|account| account.lamports() > 0))
                    .collect(),
            )),
            Err(error) => Err(RpcError::new(INTERNAL, error)),
        }
    }

    fn one(
        &self,
        address: &Value,
        config: &Value,
        value: impl Fn(Option<&AccountSharedData>) -> Result<Value, RpcError>,
    ) -> Result<Value, RpcError> {
        let (slot, accounts) = self.read(&[pubkey(address)?], config)?;
        Ok(in_context(
            slot,
            &value(accounts.first().and_then(Option::as_ref))?,
        ))
    }

    fn many(&self, addresses: &Value, config: &Value) -> Result<Value, RpcError> {
        let addresses = addresses.as_array().ok_or_else(|| {
            RpcError::new(
                INVALID_PARAMS,
                "the first parameter must be a list of addresses",
            )
        })?;
        if addresses.len() > ACCOUNTS_PER_REQUEST_MAX {
            return Err(RpcError::new(
                INVALID_PARAMS,
                format!(
                    "{} addresses asked, at most {ACCOUNTS_PER_REQUEST_MAX} allowed",
                    addresses.len()
                ),
            ));
        }
        let keys = addresses
            .iter()
            .map(pubkey)
            .collect::<Result<Vec<_>, _>>()?;
        let (slot, accounts) = self.read(&keys, config)?;
        let values = accounts
            .iter()
            .map(|account| encode(account.as_ref(), config))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(in_context(slot, &Value::Array(values)))
    }

    fn token_balance(&self, address: &Value, config: &Value) -> Result<Value, RpcError> {
        let not_a_token_account =
            || RpcError::new(INVALID_PARAMS, "Invalid param: not a Token account");
        let (slot, accounts) = self.read(&[pubkey(address)?], config)?;
        let account = accounts.into_iter().flatten().next().ok_or_else(|| {
            RpcError::new(INVALID_PARAMS, "Invalid param: could not find account")
        })?;
        let (mint, amount) = token_account(&account).ok_or_else(not_a_token_account)?;
        let (_, mints) = self.read(&[mint], &Value::Null)?;
        let decimals = mints
            .into_iter()
            .flatten()
            .next()
            .and_then(|mint| mint.data().get(44).copied())
            .ok_or_else(not_a_token_account)?;
        Ok(in_context(
            slot,
            &json!({"amount": amount.to_string(), "decimals": decimals, "uiAmount": null, "uiAmountString": decimal(amount, decimals)}),
        ))
    }
}

async fn serve(State(front): State<Front>, Json(request): Json<Value>) -> Json<Value> {
    Json(front.answer(request).await)
}

/// The machine knows options that no cluster has.
fn take_shortcuts_away(request: &mut Value) {
    if let Some(config) = request
        .get_mut("params")
        .and_then(|params| params.get_mut(1))
        .and_then(Value::as_object_mut)
    {
        config.remove("skipSigVerify");
    }
}

fn is_unfinalized(config: &Value) -> bool {
    matches!(
        config.get("commitment").and_then(Value::as_str),
        Some("processed" | "confirmed" | "recent" | "single" | "singleGossip")
    )
}

fn pubkey(value: &Value) -> Result<Pubkey, RpcError> {
    let text = value
        .as_str()
        .ok_or_else(|| RpcError::new(INVALID_PARAMS, "Invalid param: an address is a string"))?;
    Pubkey::from_str(text)
        .map_err(|error| RpcError::new(INVALID_PARAMS, format!("Invalid param: {text}: {error}")))
}

fn in_context(slot: u64, value: &Value) -> Value {
    json!({"context": {"apiVersion": "4.2.0", "slot": slot}, "value": value})
}

/// An account in the encoding that the request asks for.
fn encode(account: Option<&AccountSharedData>, config: &Value) -> Result<Value, RpcError> {
    let Some(account) = account else {
        return Ok(Value::Null);
    };
    let Account {
        lamports,
        data,
        owner,
        executable,
        rent_epoch,
    } = account.clone().into();
    let shown = match config.get("dataSlice") {
        None | Some(Value::Null) => data.as_slice(),
        Some(slice) => {
            let bound = |name| {
                slice
                    .get(name)
                    .and_then(Value::as_u64)
                    .and_then(|bound| usize::try_from(bound).ok())
            };
            let (Some(offset), Some(length)) = (bound("offset"), bound("length")) else {
                return Err(RpcError::new(
                    INVALID_PARAMS,
                    "dataSlice needs offset and length",
                ));
            };
            let start = offset.min(data.len());
            let end = start.saturating_add(length).min(data.len());
            data.get(start..end).unwrap_or_default()
        }
    };
    let encoded = match config.get("encoding").and_then(Value::as_str) {
        Some("base64") => json!([BASE64.encode(shown), "base64"]),
        None if shown.len() <= 128 => json!(bs58::encode(shown).into_string()),
        Some("base58") if shown.len() <= 128 => {
            json!([bs58::encode(shown).into_string(), "base58"])
        }
        None | Some("base58") => {
            return Err(RpcError::new(
                INVALID_PARAMS,
                "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
            ));
        }
        Some(other) => {
            return Err(RpcError::new(
                INVALID_PARAMS,
                format!(
                    "encoding {other} at finalized is not served by this ledger; ask for base64"
                ),
            ));
        }
    };
    Ok(json!({
        "data": encoded, "executable": executable, "lamports": lamports,
        "owner": owner.to_string(), "rentEpoch": rent_epoch, "space": data.len(),
    }))
}

/// Mint and amount of a token account.
fn token_account(account: &AccountSharedData) -> Option<(Pubkey, u64)> {
    let data = account.data();
    if account.owner() != &TOKEN_PROGRAM || data.len() != 165 {
        return None;
    }
    let mint = Pubkey::new_from_array(data.get(..32)?.try_into().ok()?);
    Some((mint, u64::from_le_bytes(data.get(64..72)?.try_into().ok()?)))
}

/// `amount` base units in whole tokens, without trailing zeros.
fn decimal(amount: u64, decimals: u8) -> String {
    let width = usize::from(decimals);
    let digits = format!("{amount:0>width$}", width = width.saturating_add(1));
    let (whole, part) = digits.split_at(digits.len().saturating_sub(width));
    match part.trim_end_matches('0') {
        "" => whole.to_owned(),
        part => format!("{whole}.{part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_commitment_means_finalized() {
        assert!(!is_unfinalized(&Value::Null));
        assert!(!is_unfinalized(&json!({"encoding": "base64"})));
        assert!(!is_unfinalized(&json!({"commitment": "finalized"})));
        assert!(is_unfinalized(&json!({"commitment": "confirmed"})));
        assert!(is_unfinalized(&json!({"commitment": "processed"})));
    }

    #[test]
    fn a_slice_shows_its_bytes_and_the_whole_length() {
        let account: AccountSharedData = Account {
            lamports: 1,
            data: vec![1, 2, 3, 4],
            ..Account::default()
        }
        .into();
        let shown = |offset: u64, length: u64| {
            encode(
                Some(&account),
                &json!({"encoding": "base64", "dataSlice": {"offset": offset, "length": length}}),
            )
            .unwrap()
        };
        assert_eq!(shown(1, 2)["data"][0], BASE64.encode([2, 3]));
        assert_eq!(shown(3, 9)["data"][0], BASE64.encode([4]));
        assert_eq!(shown(9, 9)["data"][0], "");
        assert_eq!(shown(1, 2)["space"], 4);
    }

    #[test]
    fn an_encoding_that_is_not_served_is_refused() {
        let account: AccountSharedData = Account {
            lamports: 1,
            data: vec![0; 129],
            ..Account::default()
        }
        .into();
        for config in [
            json!({"encoding": "jsonParsed"}),
            json!({"encoding": "base58"}),
            Value::Null,
        ] {
            assert_eq!(
                encode(Some(&account), &config).unwrap_err().code,
                INVALID_PARAMS
            );
        }
    }

    #[test]
    fn amounts_are_written_without_trailing_zeros() {
        assert_eq!(decimal(150_000_000, 8), "1.5");
        assert_eq!(decimal(1, 8), "0.00000001");
        assert_eq!(decimal(0, 8), "0");
        assert_eq!(decimal(7, 0), "7");
    }

    #[test]
    fn signatures_are_always_checked() {
        let mut request = json!({"method": "sendTransaction", "params": ["x", {"encoding": "base64", "skipSigVerify": true}]});
        take_shortcuts_away(&mut request);
        assert_eq!(request["params"][1], json!({"encoding": "base64"}));
    }
}
