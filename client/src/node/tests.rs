//! Requests as they go out, and what becomes of each kind of answer.

use io_types::action::{Action, PauseDevice};
use io_types::amount::Amount;
use io_types::catalogue::ModelId;
use io_types::row::{ChallengeStage, DeviceState};
use io_types::transaction::TransactionBody;
use serde_json::{Value, json};

use super::*;
use crate::test_server::{Answer, Server, dead_url};
use crate::wallet::Wallet;

async fn client_of(answer: Answer) -> (Client, Server) {
    let server = Server::start(move |_| answer.clone()).await;
    (Client::new(&server.url).unwrap(), server)
}

fn transaction() -> Transaction {
    let wallet = Wallet::from_seed([1; 32]);
    let body = TransactionBody {
        chain_id: "test".to_owned(),
        signer: wallet.account(),
        lane: 0,
        sequence: 1,
        expires: Height(10),
        fee_max: Amount::ZERO,
        actions: vec![Action::PauseDevice(PauseDevice {
            device: DeviceId(7),
        })],
    };
    body.sign(wallet.key())
}

fn result(code: u32, height: Option<u64>) -> Value {
    json!({"hash": "11".repeat(32), "height": height, "code": code, "log": "because", "events": []})
}

#[test]
fn only_http_urls_are_taken() {
    for url in ["", "127.0.0.1:1", "ftp://127.0.0.1", "http://"] {
        let error = Client::new(url).unwrap_err();
        assert!(
            matches!(&error, ClientError::Invalid { what, .. } if what.contains(url)),
            "{url}: {error}"
        );
    }
    assert_eq!(Client::new("http://h:1/").unwrap().url(), "http://h:1");
}

#[tokio::test]
async fn a_node_that_is_down_is_named_with_advice() {
    let url = dead_url().await;
    let error = Client::new(&url).unwrap().status().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { url: named, .. } if named.starts_with(&url))
    );
    assert!(error.is_passing() && !error.is_refusal());
    let text = error.to_string();
    assert!(text.contains("check that the node runs"), "{text}");
}

#[tokio::test]
async fn each_kind_of_bad_answer_is_its_own_error() {
    let (client, _) = client_of(Answer::Json(404, json!({"code": 0, "error": "no order 7"}))).await;
    let error = client.order(OrderId(7)).await.unwrap_err();
    let url = format!("{}/v1/orders/7", client.url());
    let text = "no order 7".to_owned();
    assert_eq!(error, ClientError::NotFound { url, text });

    let (client, _) = client_of(Answer::Json(
        400,
        json!({"code": 0, "error": "limit is 1000"}),
    ))
    .await;
    let error = client.status().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Refused { status: 400, text, .. } if text == "limit is 1000")
    );

    let (client, _) = client_of(Answer::Text(500, "oops")).await;
    let error = client.status().await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused { status: 500, text, .. } if text == "oops"));
    assert!(error.is_passing());

    let (client, _) = client_of(Answer::Text(200, "<html>")).await;
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::BadAnswer { .. }));

    let (client, _) = client_of(Answer::Nothing).await;
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }));
}

#[tokio::test]
async fn a_rejection_is_an_error_with_the_number_of_its_rule() {
    let body = json!({"code": 201, "error": "5 needed, 3 available"});
    let (client, _) = client_of(Answer::Json(422, body)).await;
    let error = client
        .submit(&transaction(), Wait::Check)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.rule()),
        (Some(201), Some("InsufficientFunds"))
    );
    assert!(matches!(error, ClientError::Rejected { height: None, .. }));

    let (client, _) = client_of(Answer::Json(200, result(405, Some(12)))).await;
    let error = client
        .submit(&transaction(), Wait::Block)
        .await
        .unwrap_err();
    let rejected = ClientError::Rejected {
        code: 405,
        text: "because".to_owned(),
        hash: Some(Hash([0x11; 32])),
        height: Some(Height(12)),
    };
    assert_eq!(error, rejected);
    assert!(error.is_refusal() && !error.is_passing());
}

#[tokio::test]
async fn a_transaction_goes_out_in_base64_with_its_wait() {
    let (client, server) = client_of(Answer::Json(200, result(0, Some(3)))).await;
    let transaction = transaction();
    client.submit(&transaction, Wait::Block).await.unwrap();
    client.submit(&transaction, Wait::Check).await.unwrap();
    let requests = server.requests();
    let lines: Vec<&str> = requests
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(
        lines,
        [
            "POST /v1/transactions?wait=block",
            "POST /v1/transactions?wait=check"
        ]
    );
    let sent = requests[0].body["transaction"].as_str().unwrap();
    let sent = Transaction::decode(&BASE64.decode(sent).unwrap()).unwrap();
    assert_eq!(sent, transaction);
}

#[tokio::test]
async fn filters_and_pages_are_in_the_query() {
    let page = json!({"items": [], "next": null, "height": 5});
    let (client, server) = client_of(Answer::Json(200, page)).await;
    let owner = Wallet::from_seed([2; 32]).account();
    let filter = DeviceFilter {
        owner: Some(owner),
        state: Some(DeviceState::Ready),
        model: Some(ModelId(3)),
    };
    let page = PageRequest {
        after: Some("a b".to_owned()),
        limit: Some(7),
    };
    client.devices(&filter, &page).await.unwrap();
    client
        .devices(&DeviceFilter::default(), &PageRequest::default())
        .await
        .unwrap();
    client.epochs(&page).await.unwrap();
    let filter = ChallengeFilter {
        stage: Some(ChallengeStage::AwaitingBeacon),
        ..ChallengeFilter::default()
    };
    client
        .challenges(&filter, &PageRequest::default())
        .await
        .unwrap();
    let lines: Vec<String> = server
        .requests()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert_eq!(
        lines[0],
        format!("GET /v1/devices?owner={owner}&state=ready&model=3&after=a+b&limit=7")
    );
    assert_eq!(lines[1].trim_end_matches(['?', '&']), "GET /v1/devices");
    assert_eq!(lines[2], "GET /v1/epochs?after=a+b&limit=7");
    assert_eq!(
        lines[3].trim_end_matches('&'),
        "GET /v1/challenges?stage=awaiting_beacon"
    );
}

#[tokio::test]
async fn all_pages_are_read_once_each() {
    let server = Server::start(|request| {
        let (items, next) = if request.line.contains("after=2") {
            (json!([epoch_row(3)]), Value::Null)
        } else {
            (json!([epoch_row(1), epoch_row(2)]), json!("2"))
        };
        Answer::Json(200, json!({"items": items, "next": next, "height": 5}))
    })
    .await;
    let client = Client::new(&server.url).unwrap();
    let epochs = all_pages(async |page| client.epochs(&page).await)
        .await
        .unwrap();
    let numbers: Vec<u64> = epochs.iter().map(|epoch| epoch.epoch.0).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(server.requests().len(), 2);
}

fn epoch_row(number: u64) -> Value {
    json!({
        "epoch": number, "closed": false, "pot": "1", "safety": "0", "rewarded": "0", "to_vault": "0", "counted_slots": 60,
        "neutral": 0, "nominated": 0, "succeeded": 0, "results_root": "00".repeat(32), "fees": ["0", "0", "0"],
        "burned": ["0", "0", "0"]
    })
}

#[tokio::test]
async fn a_transaction_is_awaited_through_outages_until_it_lands_or_expires() {
    let mut looks = 0;
    let server = Server::start(move |request| {
        if request.line == "GET /v1/status" {
            return Answer::Json(200, status(5));
        }
        looks += 1;
        match looks {
            1 => Answer::Json(404, json!({"code": 0, "error": "unknown"})),
            2 => Answer::Nothing,
            3 => Answer::Json(200, result(0, None)),
            _ => Answer::Json(200, result(0, Some(6))),
        }
    })
    .await;
    let client = Client::new(&server.url).unwrap();
    let patience = Duration::from_secs(20);
    let done = client
        .await_transaction(Hash::ZERO, Height(9), patience)
        .await
        .unwrap();
    assert_eq!(done.height, Some(Height(6)));

    let expired = client_that_is_past(10)
        .await
        .await_transaction(Hash::ZERO, Height(9), patience)
        .await;
    let expires = Height(9);
    assert_eq!(
        expired,
        Err(ClientError::Expired {
            hash: Hash::ZERO,
            expires
        })
    );

    let waits = client_that_is_past(9)
        .await
        .await_transaction(Hash::ZERO, expires, Duration::ZERO)
        .await;
    assert!(
        matches!(waits, Err(ClientError::Unreachable { why, .. }) if why.contains("may still be executed"))
    );
}

#[test]
fn a_client_that_is_too_old_is_told_both_versions() {
    let client = Client::new("http://h:1").unwrap();
    let status = |least: &str| -> Status {
        let mut status = status(1);
        status["min_client_version"] = json!(least);
        serde_json::from_value(status).unwrap()
    };
    let own = env!("CARGO_PKG_VERSION");
    for least in ["0.0.9", "0.1.0", own] {
        assert_eq!(client.check_version(&status(least)), Ok(()));
    }
    for least in ["0.1.1", "0.10.0", "1.0.0"] {
        let error = client
            .check_version(&status(least))
            .unwrap_err()
            .to_string();
        assert!(error.contains(own) && error.contains(least), "{error}");
    }
}

async fn client_that_is_past(height: u64) -> Client {
    let server = Server::start(move |request| match request.line.as_str() {
        "GET /v1/status" => Answer::Json(200, status(height)),
        _ => Answer::Json(404, json!({"code": 0, "error": "unknown"})),
    })
    .await;
    Client::new(&server.url).unwrap()
}

/// A node's status at a height.
pub(crate) fn status(height: u64) -> Value {
    json!({
        "chain_id": "test", "version": "0.1.0", "min_client_version": "0.1.0", "height": height, "app_hash": "00".repeat(32),
        "block_time": 0, "chain_time": 0, "epoch": 0, "slot": 0,
        "scale": {"genesis_time": 0, "chain_start": 0, "epoch_seconds": 3600},
        "catching_up": false, "moniker": "t", "notes": []
    })
}
