//! Plain HTTP: connections, and what an answer means.

use std::time::Duration;

use io_types::api::ApiError;
use serde::de::DeserializeOwned;

use crate::error::ClientError;

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A node's longest answer is the leaf set of a batch with a million accounts.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 << 20;

/// An HTTP client for `url`. Proxies of the environment are not asked for what runs on this machine.
pub(crate) fn http_client(
    url: &str,
    answer_within: Option<Duration>,
) -> Result<reqwest::Client, ClientError> {
    let invalid = |why: String| ClientError::invalid(format!("URL {url:?}"), why);
    let parsed = reqwest::Url::parse(url)
        .map_err(|error| invalid(format!("{error}; use one as http://127.0.0.1:26680")))?;
    if !["http", "https"].contains(&parsed.scheme()) {
        return Err(invalid("only http and https are spoken".to_owned()));
    }
    let host = parsed.host_str().unwrap_or_default();
    let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_WITHIN);
    if let Some(timeout) = answer_within {
        builder = builder.timeout(timeout);
    }
    if host == "localhost" || host == "[::1]" || host.starts_with("127.") {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| invalid(chain_of(&error)))
}

/// An error with all that caused it, in one line.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The whole body of an answer, if it has at most `most` bytes. No more than that is ever held.
///
/// # Errors
/// Text for people: the connection broke, or the body is too long.
pub async fn body_within(mut response: reqwest::Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let piece = response.chunk().await;
        let Some(piece) = piece.map_err(|error| chain_of(&error.without_url()))? else {
            return Ok(body);
        };
        if body.len().saturating_add(piece.len()) > most {
            return Err(format!("the answer has more than {most} bytes"));
        }
        body.extend_from_slice(&piece);
    }
}

/// Turns what came back into the value, or says why there is none.
pub(crate) async fn answer<T: DeserializeOwned>(
    url: &str,
    response: reqwest::Result<reqwest::Response>,
) -> Result<T, ClientError> {
    let unreachable = |error: reqwest::Error| ClientError::Unreachable {
        url: url.to_owned(),
        why: chain_of(&error.without_url()),
    };
    let response = response.map_err(unreachable)?;
    let status = response.status();
    let body = body_within(response, ANSWER_BYTES_MAX)
        .await
        .map_err(|why| ClientError::Unreachable {
            url: url.to_owned(),
            why,
        })?;
    if !status.is_success() {
        return Err(refusal(url, status.as_u16(), &body));
    }
    serde_json::from_slice(&body).map_err(|error| ClientError::BadAnswer {
        url: url.to_owned(),
        why: error.to_string(),
    })
}

/// The error of an answer whose HTTP status is no success.
pub(crate) fn refusal(url: &str, status: u16, body: &[u8]) -> ClientError {
    let url = url.to_owned();
    let (code, text) = match serde_json::from_slice(body) {
        Ok(ApiError { code, error }) => (code, error),
        Err(_) => (0, String::from_utf8_lossy(body).chars().take(200).collect()),
    };
    if code != 0 {
        return ClientError::Rejected {
            code,
            text,
            hash: None,
            height: None,
        };
    }
    match status {
        404 => ClientError::NotFound { url, text },
        502..=504 => ClientError::Unreachable {
            url,
            why: format!("HTTP {status}: {text}"),
        },
        _ => ClientError::Refused { url, status, text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Answer, Server};

    #[tokio::test]
    async fn a_body_that_is_too_long_is_given_up() {
        // Pieces without an announced length: nobody knows when it ends.
        let server = Server::start(|_| Answer::Stream(vec!["12345".to_owned(); 4])).await;
        let client = http_client(&server.url, None).unwrap();
        let get = async || client.get(&server.url).send().await.unwrap();
        let told = "the answer has more than 19 bytes".to_owned();
        assert_eq!(body_within(get().await, 19).await, Err(told));
        let whole = b"12345123451234512345".to_vec();
        assert_eq!(body_within(get().await, 20).await, Ok(whole));
    }
}
