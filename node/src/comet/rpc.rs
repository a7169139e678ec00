//! CometBFT's RPC, as far as this process uses it: handing over transactions, and signed headers for proofs.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// More validators than CometBFT lets a set have.
const VALIDATORS_MAX: usize = 10_000;

/// Why CometBFT did not answer as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// It is not there, or does not answer.
    #[error("CometBFT at {url} does not answer: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        why: String,
    },
    /// It refuses.
    #[error("CometBFT refuses: {0}")]
    Refused(String),
    /// It answers, but not as CometBFT does. What was asked for may have been done.
    #[error(
        "CometBFT answered {method} with what is not understood: {why}; compare the versions of node and engine"
    )]
    BadAnswer {
        /// The method.
        method: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// What the mempool said of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// 0, or the code of the rejection.
    pub code: u64,
    /// Its text.
    pub log: String,
}

/// A client of the own CometBFT.
#[derive(Clone, Debug)]
pub struct CometRpc {
    url: String,
    http: reqwest::Client,
}

impl CometRpc {
    /// A client of the RPC that listens at `tcp://HOST:PORT`.
    pub fn new(listen: &str) -> Result<Self, RpcError> {
        let rest = listen.strip_prefix("tcp://").unwrap_or(listen);
        // What listens everywhere is asked on loopback.
        let rest = rest
            .strip_prefix("0.0.0.0:")
            .map_or_else(|| rest.to_owned(), |port| format!("127.0.0.1:{port}"));
        let url = format!("http://{rest}");
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .build();
        let http = http.map_err(|error| RpcError::Unreachable {
            url: url.clone(),
            why: error.to_string(),
        })?;
        Ok(Self { url, http })
    }

    /// Puts a transaction into the mempool, and into those of the peers. None: it is known there already.
    pub async fn submit(&self, transaction: &[u8]) -> Result<Option<Checked>, RpcError> {
        let answer = self
            .call(
                "broadcast_tx_sync",
                json!({ "tx": BASE64.encode(transaction) }),
            )
            .await;
        match answer {
            Ok(answer) => Ok(Some(Checked {
                // An answer without a code is none: 0 would say that all went well.
                code: answer.get("code").and_then(Value::as_u64).ok_or_else(|| {
                    RpcError::BadAnswer {
                        method: "broadcast_tx_sync",
                        why: "it has no code".to_owned(),
                    }
                })?,
                log: answer
                    .get("log")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
            })),
            Err(RpcError::Refused(why)) if why.contains("tx already exists in cache") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The signed header of a height: `{header, commit}`; none if there is no such block yet.
    pub async fn signed_header(&self, height: u64) -> Result<Option<Value>, RpcError> {
        let answer = self
            .call("commit", json!({ "height": height.to_string() }))
            .await;
        optional(answer.map(|answer| answer.get("signed_header").cloned()))
    }

    /// The validators of a height, all of them; none if there is no such block yet.
    pub async fn validators(&self, height: u64) -> Result<Option<Value>, RpcError> {
        let mut all = Vec::new();
        loop {
            let page = all.len().checked_div(100).unwrap_or(0).saturating_add(1);
            let asked = json!({ "height": height.to_string(), "page": page.to_string(), "per_page": "100" });
            let Some(answer) = optional(self.call("validators", asked).await.map(Some))? else {
                return Ok(None);
            };
            let members = answer
                .get("validators")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let total = answer
                .get("total")
                .and_then(Value::as_str)
                .and_then(|total| total.parse().ok())
                .unwrap_or(0);
            let is_last = members.is_empty();
            all.extend(members);
            if is_last || all.len() >= total {
                return Ok(Some(Value::Array(all)));
            }
            if all.len() > VALIDATORS_MAX {
                return Err(RpcError::BadAnswer {
                    method: "validators",
                    why: format!("more than {VALIDATORS_MAX} of them, {total} announced"),
                });
            }
        }
    }

    /// Whether the node still catches up with its peers.
    pub async fn is_catching_up(&self) -> Result<bool, RpcError> {
        let status = self.call("status", json!({})).await?;
        Ok(status
            .pointer("/sync_info/catching_up")
            .and_then(Value::as_bool)
            .unwrap_or(true))
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let unreachable = |error: reqwest::Error| RpcError::Unreachable {
            url: self.url.clone(),
            why: error.without_url().to_string(),
        };
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self
            .http
            .post(&self.url)
            .json(&request)
            .send()
            .await
            .map_err(unreachable)?;
        let mut answer: Value = answer.json().await.map_err(unreachable)?;
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let text = |field: &str| {
                error
                    .get(field)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            return Err(RpcError::Refused(format!(
                "{} {}",
                text("message"),
                text("data")
            )));
        }
        Ok(answer
            .get_mut("result")
            .map(Value::take)
            .unwrap_or_default())
    }
}

/// A height that is not there yet is no error.
fn optional(answer: Result<Option<Value>, RpcError>) -> Result<Option<Value>, RpcError> {
    match answer {
        Err(RpcError::Refused(why)) if why.contains("must be less than or equal to") => Ok(None),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    /// All of a request, so that closing the connection cuts nothing off.
    fn read_request(stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
    }

    /// A client of something that always answers with this result.
    fn client(result: &Value) -> CometRpc {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        let body = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                read_request(&stream);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(body.as_bytes()).unwrap();
            }
        });
        CometRpc::new(&url).unwrap()
    }

    #[tokio::test]
    async fn an_answer_without_a_code_is_not_taken_for_success() {
        for result in [
            json!({}),
            json!({ "code": "0" }),
            json!({ "code": -1 }),
            Value::Null,
        ] {
            let bad = RpcError::BadAnswer {
                method: "broadcast_tx_sync",
                why: "it has no code".to_owned(),
            };
            assert_eq!(client(&result).submit(b"tx").await, Err(bad));
        }
        let fine = Checked {
            code: 0,
            log: String::new(),
        };
        let said = client(&json!({ "code": 0, "log": "" })).submit(b"tx").await;
        assert_eq!(said, Ok(Some(fine)));
    }

    #[tokio::test]
    async fn validators_that_never_end_are_refused() {
        let page: Vec<Value> = (0..100)
            .map(|power| json!({ "voting_power": power }))
            .collect();
        let total = u64::MAX.to_string();
        let endless = client(&json!({ "validators": page, "total": total }));
        let bad = RpcError::BadAnswer {
            method: "validators",
            why: format!("more than 10000 of them, {} announced", u64::MAX),
        };
        assert_eq!(endless.validators(3).await, Err(bad));
    }
}
