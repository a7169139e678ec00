//! JSON-RPC itself: one request to one endpoint, and what its answer means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;

use super::SolanaAccount;
use crate::http::{body_within, chain_of};
use crate::solana::error::SolanaError;

/// The largest account of Solana has 10 MiB, 13.4 MiB in base64; nobody asks for two such.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// The result of a request, with what its errors must name.
pub(super) struct Answer {
    url: String,
    method: String,
    result: Value,
}

#[derive(Debug)]
pub(super) struct InContext<T> {
    pub(super) slot: u64,
    pub(super) value: T,
}

impl Answer {
    pub(super) fn bad(&self, why: &(impl ToString + ?Sized)) -> SolanaError {
        SolanaError::BadAnswer {
            url: self.url.clone(),
            method: self.method.clone(),
            why: why.to_string(),
        }
    }

    pub(super) fn read<T: for<'de> Deserialize<'de>>(&self) -> Result<T, SolanaError> {
        T::deserialize(&self.result).map_err(|error| self.bad(&error))
    }

    pub(super) fn in_context<T: for<'de> Deserialize<'de>>(
        &self,
    ) -> Result<InContext<T>, SolanaError> {
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
pub(super) struct RawAccount {
    lamports: u64,
    owner: String,
    data: (String, String),
    executable: bool,
}

impl RawAccount {
    pub(super) fn read(self) -> Result<SolanaAccount, String> {
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

pub(super) async fn call_one(
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
    let body = body_within(response, ANSWER_BYTES_MAX)
        .await
        .map_err(unreachable)?;
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
