//! Answers of others: Solana's endpoints, CometBFT, another node. They come over HTTP from this machine, to the clients as they are.
//!
//! Endpoints of Solana are judged twice: by bytes that say anything, and as liars: one of two shows accounts that differ from the truth,
//! and nothing untrue may be reported.

mod server;
mod solana;

use std::sync::OnceLock;
use std::time::Duration;

use io_bridge::ReaderConfig;
use io_bridge::reader::{Asker, Bound};
use io_client::events::SseParser;
use io_client::proof::{self, Trust};
use io_client::solana::rpc::Commitment;
use io_client::{Client, ClientError, DeviceFilter, PageRequest, SolanaRpc};
use io_node::comet::{CometRpc, RpcError};
use io_types::api::ProvenRow;
use io_types::{AccountId, BookingId, ChallengeId, DeviceId, Epoch, Hash, OrderId};
use serde_json::Value;

use crate::bytes::Input;
use server::Server;

/// Everything that is opened once.
struct Desk {
    runtime: tokio::runtime::Runtime,
    server: Server,
    solana: SolanaRpc,
    node: Client,
    comet: CometRpc,
    asker: Asker,
}

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        let server = Server::start();
        let url = server.url();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let config = ReaderConfig {
            endpoints: vec![format!("{url}/one"), format!("{url}/two")],
            poll_ms: 1000,
            timeout_ms: 20_000,
            age_max_ms: 60_000,
            behind_slots_max: 150,
            approved: Vec::new(),
            pin: None,
        };
        Desk {
            solana: SolanaRpc::with_timeout(&[&url], Duration::from_secs(20)).unwrap(),
            node: Client::new(&url).unwrap(),
            comet: CometRpc::new(&url.replace("http://", "tcp://")).unwrap(),
            asker: Asker::new(config, solana::bound()).unwrap(),
            server,
            runtime,
        }
    })
}

/// The target. The first byte says who is asked; the rest are answers, apart by zero bytes.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 8 {
        0 => events(&mut input),
        1 => proven(input.rest()),
        2 => liar(&mut input),
        3 => endpoints(input.rest()),
        4 => comet(&mut input),
        5 => node(&mut input),
        _solana => solana_client(&mut input),
    }
}

/// The same frames in whatever pieces they come, or the same refusal.
fn events(input: &mut Input<'_>) {
    let step = usize::from(input.byte() % 16) + 1;
    let bytes = input.rest();
    let whole = SseParser::default().feed(bytes);
    let mut parser = SseParser::default();
    let mut pieces = Ok(Vec::new());
    for piece in bytes.chunks(step) {
        let Ok(frames) = &mut pieces else {
            break;
        };
        match parser.feed(piece) {
            Ok(more) => frames.extend(more),
            Err(why) => pieces = Err(why),
        }
    }
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces, "pieces of {step} bytes"),
        (whole, pieces) => assert_eq!(whole.is_err(), pieces.is_err(), "pieces of {step} bytes"),
    }
}

/// A proven row that anybody made.
fn proven(bytes: &[u8]) {
    let Ok(row) = serde_json::from_slice::<ProvenRow>(bytes) else {
        return;
    };
    if let Ok(value) = proof::check_row(&row) {
        assert_eq!(hex::encode(&value), row.value.to_ascii_lowercase());
        let json = proof::value_json(&row.table, &value);
        assert!(json.is_none() || proof::TABLES.contains(&row.table.as_str()));
    }
    if let Ok(header) = proof::check_header(&row, &Trust::default()) {
        assert_eq!(header.height.0, row.height.0 + 1);
    }
}

/// One of two endpoints shows something else than the truth.
fn liar(input: &mut Input<'_>) {
    let desk = desk();
    let truth = solana::Accounts::true_ones();
    let mut lie = truth.clone();
    let lies_first = input.byte() & 1 == 0;
    let behind = input.byte() % 8;
    lie.forget(u64::from(behind));
    let edits = input.byte() % 5;
    for _edit in 0..edits {
        lie.edit(input);
    }
    let answers = if lies_first {
        [&lie, &truth]
    } else {
        [&truth, &lie]
    };
    let answers = answers.into_iter().flat_map(solana::Accounts::answers);
    desk.server.expect(answers.collect());
    let seen = match desk.runtime.block_on(desk.asker.ask(1, 2)) {
        Ok(seen) => seen,
        // Who is only behind does not lie.
        Err(why) => return assert!(edits > 0, "{why}"),
    };
    let wanted = truth.records();
    assert!(
        wanted.starts_with(&seen.records),
        "untrue deposits: {:?}",
        seen.records
    );
    if let Some(last) = seen.last_settle {
        assert_eq!(last, truth.bridge().last, "an untrue settlement");
    }
}

fn bodies(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// Both endpoints say anything.
fn endpoints(bytes: &[u8]) {
    let desk = desk();
    desk.server.expect(bodies(bytes));
    if let Ok(seen) = desk.runtime.block_on(desk.asker.ask(1, 2)) {
        let numbers: Vec<u64> = seen.records.iter().map(|slot| slot.record.n).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{numbers:?}"
        );
    }
}

fn comet(input: &mut Input<'_>) {
    let desk = desk();
    let what = input.byte() % 4;
    let bodies = bodies(input.rest());
    let first: Option<Value> = bodies.first().and_then(|body| {
        let body = body
            .strip_prefix(&[1])
            .or_else(|| body.strip_prefix(&[2]))
            .unwrap_or(body);
        let body = body.strip_prefix(&[3]).unwrap_or(body);
        let text = String::from_utf8_lossy(body).replacen("@ID@", "1", 1);
        serde_json::from_str(&text).ok()
    });
    desk.server.expect(bodies);
    desk.runtime.block_on(async {
        match what {
            0 => {
                if let Ok(Some(checked)) = desk.comet.submit(b"transaction").await {
                    let said = first.as_ref().and_then(|body| body.pointer("/result/code"));
                    assert_eq!(
                        said.and_then(Value::as_u64),
                        Some(checked.code),
                        "a code that nobody said"
                    );
                }
            }
            1 => drop(desk.comet.signed_header(7).await),
            2 => match desk.comet.validators(7).await {
                Ok(Some(found)) => assert!(found.is_array()),
                Ok(None)
                | Err(
                    RpcError::Refused(_)
                    | RpcError::Unreachable { .. }
                    | RpcError::BadAnswer { .. },
                ) => {}
            },
            _status => drop(desk.comet.is_catching_up().await),
        }
    });
}

fn node(input: &mut Input<'_>) {
    let desk = desk();
    let what = input.byte() % 20;
    desk.server.expect(bodies(input.rest()));
    let page = PageRequest::default();
    let (node, account) = (&desk.node, AccountId([3; 32]));
    let done: Result<(), ClientError> = desk.runtime.block_on(async {
        match what {
            0 => node
                .status()
                .await
                .map(|status| drop(node.check_version(&status))),
            1 => node.account(account).await.map(drop),
            2 => node.params().await.map(drop),
            3 => node.catalogue().await.map(drop),
            4 => node.chain().await.map(drop),
            5 => node.price().await.map(drop),
            6 => node.bridge().await.map(drop),
            7 => node.beacon().await.map(drop),
            8 => node
                .devices(&DeviceFilter::default(), &page)
                .await
                .map(drop),
            9 => node.device(DeviceId(1)).await.map(drop),
            10 => node.order(OrderId(1)).await.map(drop),
            11 => node.booking(BookingId(1)).await.map(drop),
            12 => node.epoch(Epoch(1)).await.map(drop),
            13 => node.challenge(ChallengeId(1)).await.map(drop),
            14 => node.verifiers().await.map(drop),
            15 => node.validators().await.map(drop),
            16 => node.settlements(&page).await.map(drop),
            17 => node.transaction(Hash([1; 32])).await.map(drop),
            18 => node.supply().await.map(drop),
            _prove => node.prove("accounts", &[1]).await.map(drop),
        }
    });
    if let Err(error) = done {
        assert!(!error.to_string().is_empty());
        assert!(error.code() != Some(0), "a rejection without a rule");
    }
}

fn solana_client(input: &mut Input<'_>) {
    let desk = desk();
    let what = input.byte() % 12;
    desk.server.expect(bodies(input.rest()));
    let (solana, end) = (&desk.solana, Commitment::Finalized);
    let key = solana::bridge_address();
    desk.runtime.block_on(async {
        match what {
            0 => {
                if let Ok(found) = solana.accounts(&[key, key], end, Some(5)).await {
                    assert_eq!(found.value.len(), 2);
                }
            }
            1 => drop(solana.latest_blockhash(end).await),
            2 => drop(solana.block_height(end).await),
            3 => drop(solana.genesis_hash().await),
            4 => drop(solana.health().await),
            5 => drop(solana.version().await),
            6 => drop(solana.balance(&key, end).await),
            7 => drop(solana.token_balance(&key, end).await),
            8 => drop(solana.rent(100).await),
            9 => {
                if let Ok(found) = solana.signature_statuses(&[solana::signature(); 2]).await {
                    assert_eq!(found.len(), 2);
                }
            }
            10 => drop(solana.account(&key, end).await),
            _slot => drop(solana.slot(end).await),
        }
    });
}

/// The bound that the reader of this target is held to.
pub fn reader_bound() -> Bound {
    solana::bound()
}

/// Good answers of an endpoint, to begin from.
pub fn endpoint_answers() -> Vec<Vec<u8>> {
    solana::Accounts::true_ones().answers()
}
