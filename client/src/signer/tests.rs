//! Transactions to the byte, and the life of a sequence.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "numbers and text of tests are small and known"
)]

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use io_types::action::{Heartbeats, PauseDevice};
use io_types::id::DeviceId;
use io_types::params::Params;
use io_types::time::Slot;
use serde_json::{Value, json};

use super::*;
use crate::node::tests::status;
use crate::test_server::{Answer, Request, Server};

/// A node that keeps one lane as a chain does: the sequence by blocks, and those that wait for a block.
#[derive(Debug, Default)]
struct Lane {
    in_blocks: u64,
    waiting: u64,
    fee: u64,
    reads: u32,
    sent: Vec<Transaction>,
    /// Its height, if it is not 40.
    height: u64,
    /// Whether no block ever takes what waits.
    loses: bool,
    /// Sequences that others bring into blocks with each scripted answer.
    raced: u64,
    /// What the next submissions are answered instead.
    scripted: Vec<Answer>,
    /// Reads of the account after which what waits enters a block.
    block_after: u32,
}

impl Lane {
    fn answer(&mut self, request: &Request, account: AccountId) -> Answer {
        let line = request.line.as_str();
        if line == "GET /v1/status" {
            return Answer::Json(200, status(self.height.max(40)));
        }
        if line == "GET /v1/params" {
            let mut params = params();
            params["admission"]["fee"] = self.fee.to_string().into();
            return Answer::Json(200, params);
        }
        if line.starts_with("GET /v1/accounts/") {
            self.reads += 1;
            if self.reads >= self.block_after && !self.loses {
                self.in_blocks += std::mem::take(&mut self.waiting);
            }
            let lanes = json!([[3, self.in_blocks]]);
            let view = json!({"account": account, "balances": [], "lanes": lanes, "accruals": [], "height": 41});
            return Answer::Json(200, view);
        }
        if line.starts_with("GET /v1/transactions/") && self.loses {
            return Answer::Json(404, json!({"code": 0, "error": "unknown"}));
        }
        if line.starts_with("GET /v1/transactions/") {
            let hash = line.rsplit('/').next().unwrap();
            let result = json!({"hash": hash, "height": 42, "code": 0, "log": "", "events": []});
            return Answer::Json(200, result);
        }
        self.take(request)
    }

    fn take(&mut self, request: &Request) -> Answer {
        if let Some(answer) = self.scripted.pop() {
            self.in_blocks += self.raced;
            return answer;
        }
        let bytes = BASE64
            .decode(request.body["transaction"].as_str().unwrap())
            .unwrap();
        let transaction = Transaction::decode(&bytes).unwrap();
        let want = self.in_blocks + self.waiting + 1;
        if transaction.body.sequence != want {
            return rejected(105);
        }
        if transaction.body.fee_max.get() < self.fee {
            return rejected(110);
        }
        self.waiting += 1;
        let hash = Transaction::hash_of(&bytes);
        self.sent.push(transaction);
        Answer::Json(
            200,
            json!({"hash": hash, "height": null, "code": 0, "log": "", "events": []}),
        )
    }
}

fn rejected(code: u32) -> Answer {
    Answer::Json(422, json!({"code": code, "error": "no"}))
}

fn params() -> Value {
    let params = Params {
        admission: io_types::params::AdmissionParams::default(),
        market: io_types::params::MarketParams::default(),
        uptime: io_types::params::UptimeParams::default(),
        stake: io_types::params::StakeParams::default(),
        reward: io_types::params::RewardParams::default(),
        verification: io_types::params::VerificationParams::default(),
        price: io_types::params::PriceParams::default(),
        settlement: io_types::params::SettlementParams::default(),
    };
    serde_json::to_value(params).unwrap()
}

async fn signer_of(lane: Lane) -> (Signer, Server, Arc<Mutex<Lane>>) {
    let wallet = Wallet::from_seed([7; 32]);
    let account = wallet.account();
    let lane = Arc::new(Mutex::new(lane));
    let shared = Arc::clone(&lane);
    let server =
        Server::start(move |request| shared.lock().unwrap().answer(request, account)).await;
    let signer = Signer::new(Client::new(&server.url).unwrap(), &wallet).on_lane(3);
    (signer, server, lane)
}

fn pause() -> Vec<Action> {
    vec![Action::PauseDevice(PauseDevice {
        device: DeviceId(0x0102),
    })]
}

fn sequences(lane: &Mutex<Lane>) -> Vec<u64> {
    let lane = lane.lock().unwrap();
    lane.sent
        .iter()
        .map(|transaction| transaction.body.sequence)
        .collect()
}

#[tokio::test]
async fn a_transaction_is_these_bytes() {
    let lane = Lane {
        in_blocks: 4,
        fee: 10_000,
        ..Lane::default()
    };
    let (signer, _, _) = signer_of(lane).await;
    let transaction = signer.sign(pause()).await.unwrap();
    // Borsh by hand: each line one field, numbers little endian.
    let body = [
        "0400000074657374", // chain id "test"
        "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c", // signer
        "0300",             // lane
        "0500000000000000", // sequence: after 4
        "4700000000000000", // expires: 41 + 30
        "1027000000000000", // fee limit
        "01000000",         // one action
        "06",               // PauseDevice
        "0201000000000000", // device
    ]
    .concat();
    let bytes = hex::encode(transaction.encode());
    assert_eq!(bytes[..body.len()], body);
    assert_eq!(bytes.len(), body.len() + 128, "then the signature");
    let signed = [b"io-chain/tx/v1\0".as_slice(), &hex::decode(&body).unwrap()].concat();
    assert!(signer.account().verify(&signed, &transaction.signature));
    assert_eq!(Transaction::decode(&transaction.encode()), Ok(transaction));
}

#[tokio::test]
async fn sends_take_one_sequence_after_the_other_and_read_the_account_once() {
    let lane = Lane {
        in_blocks: 9,
        block_after: 100,
        ..Lane::default()
    };
    let (signer, server, lane) = signer_of(lane).await;
    for _ in 0..3 {
        signer.post(pause()).await.unwrap();
    }
    let done = signer.send(pause()).await.unwrap();
    assert_eq!(done.height, Some(Height(42)));
    assert_eq!(sequences(&lane), [10, 11, 12, 13]);
    assert_eq!(server.count("GET /v1/accounts/"), 1);
}

#[tokio::test]
async fn sends_from_many_tasks_share_no_sequence() {
    let lane = Lane {
        block_after: 100,
        ..Lane::default()
    };
    let (signer, _, lane) = signer_of(lane).await;
    let signer = Arc::new(signer);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move { signer.post(pause()).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(sequences(&lane), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn another_program_on_the_lane_costs_one_more_try() {
    let (signer, server, lane) = signer_of(Lane::default()).await;
    signer.post(pause()).await.unwrap();
    // Somebody else took two sequences, and blocks hold them.
    lane.lock().unwrap().in_blocks = 3;
    lane.lock().unwrap().waiting = 0;
    signer.post(pause()).await.unwrap();
    assert_eq!(sequences(&lane), [1, 4]);
    assert_eq!(server.count("POST"), 3);
}

#[tokio::test]
async fn a_sequence_that_waits_in_the_pool_is_waited_for() {
    let lane = Lane {
        waiting: 1,
        block_after: 4,
        ..Lane::default()
    };
    let (signer, _, lane) = signer_of(lane).await;
    // The account shows 0, somebody's 1 waits: refused, then read until a block holds it.
    signer.post(pause()).await.unwrap();
    assert_eq!(sequences(&lane), [2]);
}

#[tokio::test]
async fn a_wrong_sequence_is_tried_again_only_once() {
    let lane = Lane {
        scripted: vec![rejected(105), rejected(105)],
        raced: 1,
        ..Lane::default()
    };
    let (signer, server, _) = signer_of(lane).await;
    let error = signer.post(pause()).await.unwrap_err();
    assert_eq!(error.code(), Some(105));
    assert_eq!(server.count("POST"), 2);
}

#[tokio::test]
async fn a_fee_that_rose_is_read_again() {
    let lane = Lane {
        fee: 5,
        ..Lane::default()
    };
    let (signer, server, lane) = signer_of(lane).await;
    signer.post(pause()).await.unwrap();
    lane.lock().unwrap().fee = 8;
    signer.post(pause()).await.unwrap();
    let fees: Vec<u64> = lane
        .lock()
        .unwrap()
        .sent
        .iter()
        .map(|sent| sent.body.fee_max.get())
        .collect();
    assert_eq!(fees, [5, 8]);
    assert_eq!(server.count("GET /v1/params"), 2);
}

#[tokio::test]
async fn other_rejections_are_not_tried_again_and_leave_the_sequence_free() {
    let lane = Lane {
        scripted: vec![rejected(402)],
        ..Lane::default()
    };
    let (signer, server, lane) = signer_of(lane).await;
    let error = signer.send(pause()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.rule()),
        (Some(402), Some("NotYourDevice"))
    );
    assert_eq!(server.count("POST"), 1);
    signer.post(pause()).await.unwrap();
    assert_eq!(sequences(&lane), [1]);
}

#[tokio::test]
async fn a_transaction_that_may_be_executed_is_never_sent_twice() {
    let lane = Lane {
        scripted: vec![Answer::Nothing],
        ..Lane::default()
    };
    let (signer, server, lane) = signer_of(lane).await;
    let error = signer.send(pause()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }));
    assert_eq!(server.count("POST"), 1);
    // It was taken after all: the next send reads the account anew.
    lane.lock().unwrap().in_blocks = 1;
    signer.post(pause()).await.unwrap();
    assert_eq!(sequences(&lane), [2]);
}

#[tokio::test]
async fn a_sequence_that_no_block_took_is_used_again() {
    let lane = Lane {
        loses: true,
        ..Lane::default()
    };
    let (signer, _, lane) = signer_of(lane).await;
    // The node is at height 40, and at 41 when it shows the account.
    let signer = signer.expiring_after(0);
    lane.lock().unwrap().height = 50;
    let error = signer.send(pause()).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Expired {
                expires: Height(41),
                ..
            }
        ),
        "{error}"
    );
    lane.lock().unwrap().waiting = 0;
    lane.lock().unwrap().loses = false;
    signer.send(pause()).await.unwrap();
    assert_eq!(sequences(&lane), [1, 1]);
}

#[tokio::test]
async fn duties_live_short_and_other_transactions_longer() {
    let (signer, _, _) = signer_of(Lane::default()).await;
    let duty = Action::Heartbeats(Heartbeats {
        slot: Slot(1),
        entries: Vec::new(),
    });
    assert_eq!(
        signer.sign(vec![duty.clone()]).await.unwrap().body.expires,
        Height(41 + 10)
    );
    assert_eq!(
        signer.sign(pause()).await.unwrap().body.expires,
        Height(40 + 30)
    );
    let signer = signer.expiring_after(200_000);
    let capped = 100_000;
    assert_eq!(
        signer.sign(vec![duty]).await.unwrap().body.expires,
        Height(40 + capped)
    );
}

#[tokio::test]
async fn duties_offer_no_fee() {
    let lane = Lane {
        fee: 9,
        ..Lane::default()
    };
    let (signer, _, _) = signer_of(lane).await;
    let duty = Action::Heartbeats(Heartbeats {
        slot: Slot(1),
        entries: Vec::new(),
    });
    assert_eq!(
        signer.sign(vec![duty]).await.unwrap().body.fee_max,
        Amount::ZERO
    );
    assert_eq!(
        signer.sign(pause()).await.unwrap().body.fee_max,
        Amount::new(9)
    );
}

#[test]
fn client_ids_differ_and_are_exact_in_every_json_reader() {
    let ids: std::collections::BTreeSet<u64> = (0..1000).map(|_| client_id()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| *id < 1 << 53));
}
