//! Submitting a transaction, and what became of it.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use io_types::api::{SubmitRequest, TransactionResult};
use io_types::{Hash, Transaction};
use serde::Deserialize;

use super::Api;
use super::failure::Failure;
use super::pages::{Asked, Named};

#[derive(Debug, Deserialize)]
pub(super) struct WaitQuery {
    wait: Option<String>,
}

pub(super) async fn submit(
    State(api): State<Api>,
    Asked(WaitQuery { wait }): Asked<WaitQuery>,
    body: axum::body::Bytes,
) -> Result<Json<TransactionResult>, Failure> {
    let until_block = match wait.as_deref() {
        None | Some("block") => true,
        Some("check") => false,
        Some(other) => return Err(Failure::bad(format!("wait = {other}: give check or block"))),
    };
    let SubmitRequest { transaction } = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad(format!("no transaction: {error}")))?;
    let bytes = BASE64
        .decode(&transaction)
        .map_err(|error| Failure::bad(format!("transaction: no base64: {error}")))?;
    let hash = Transaction::hash_of(&bytes);
    // Heights are watched from before the hand-over, so that no block is missed.
    let mut heights = api.chain.heights();
    heights.mark_unchanged();
    if let Some(checked) = api.rpc.submit(&bytes).await?
        && checked.code != 0
    {
        let code = u32::try_from(checked.code).unwrap_or(u32::MAX);
        return Ok(Json(TransactionResult {
            hash,
            height: None,
            code,
            log: checked.log,
            events: Vec::new(),
        }));
    }
    let waiting = TransactionResult {
        hash,
        height: None,
        code: 0,
        log: String::new(),
        events: Vec::new(),
    };
    if !until_block {
        return Ok(Json(waiting));
    }
    let look = async {
        loop {
            if let Some(result) = look_up(&api, hash)? {
                return Ok::<_, Failure>(result);
            }
            if heights.changed().await.is_err() {
                return Err(Failure::not_yet(
                    "this node is stopping; ask another one what became of the transaction",
                ));
            }
        }
    };
    // Not in time is no failure: the client sees that there is no height, and can ask again.
    tokio::time::timeout(api.wait, look)
        .await
        .unwrap_or(Ok(waiting))
        .map(Json)
}

pub(super) async fn read(
    State(api): State<Api>,
    Named(hash): Named<Hash>,
) -> Result<Json<TransactionResult>, Failure> {
    let result = look_up(&api, hash)?;
    result.map(Json).ok_or_else(|| {
        Failure::absent(format!(
            "no block that this node keeps holds transaction {hash}"
        ))
    })
}

fn look_up(api: &Api, hash: Hash) -> Result<Option<TransactionResult>, Failure> {
    // Written before its commit: only what is committed is told.
    let committed = *api.chain.heights().borrow();
    let found = api.chain.journal().transaction(hash)?;
    Ok(found
        .filter(|(height, _)| *height <= committed)
        .map(|(height, tx)| TransactionResult {
            hash,
            height: Some(height),
            code: tx.code,
            log: tx.log,
            events: tx.events,
        }))
}
