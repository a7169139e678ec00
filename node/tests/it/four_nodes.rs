//! Four validators: blocks, agreement, money, prices, beacon, a signed settlement, proofs, events; and kills in between.

use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use ed25519_dalek::SigningKey;
use ibc_proto::ibc::core::commitment::v1::MerkleProof;
use io_node::api::AppHashView;
use io_types::action::{Transfer, Withdraw};
use io_types::api::{AccountView, EventView, Page, PayoutFile, PayoutProof, ProvenRow, Supply};
use io_types::row::{Batch, BeaconState, PriceState, ValidatorRow};
use io_types::{AccountId, Action, Amount, Asset, Event, Height};
use prost::Message;

use crate::network::{Node, account, http, network, signed, wait};

fn transfer(to: AccountId, amount: u64, client_id: u64) -> Action {
    Action::Transfer(Transfer {
        to,
        asset: Asset::Io,
        amount: Amount::new(amount),
        client_id,
    })
}

fn io_of(node: &Node, account: AccountId) -> u64 {
    let view: Option<AccountView> = node.get(&format!("/v1/accounts/{account}"));
    let balance =
        view.and_then(|view| view.balances.into_iter().find(|row| row.asset == Asset::Io));
    balance.map_or(0, |row| row.balance.get())
}

#[test]
fn four_nodes_do_the_job_and_survive_kills() {
    let folder = tempfile::tempdir().unwrap();
    let renter = SigningKey::from_bytes(&[21; 32]);
    let friend = account(&SigningKey::from_bytes(&[22; 32]));
    let mut nodes = network(folder.path(), 4, &renter);
    nodes.iter_mut().for_each(Node::start);
    wait("four nodes make blocks", || {
        nodes.iter().all(|node| node.height() >= 2)
    });

    let mut from_start = Listener::open(&nodes[3], "?from=0");
    money_moves_and_mistakes_are_refused(&nodes, &renter, friend);
    prices_and_beacon_come_from_votes(&nodes);
    a_row_is_proven_to_a_header(&nodes, &renter);

    // One is killed; three of four go on, and it catches up by replay.
    nodes[3].kill();
    let height = nodes[0].height();
    let result = nodes[0].submit(&signed(&renter, 3, vec![transfer(friend, 100, 3)]));
    assert_eq!(result.code, 0, "{}", result.log);
    nodes[3].start();
    wait("the fourth catches up", || {
        nodes[3].height() > height && io_of(&nodes[3], friend) == 400
    });

    // All are killed at once.
    let height = nodes[0].height();
    nodes.iter_mut().for_each(Node::kill);
    nodes.iter_mut().for_each(Node::start);
    wait("all go on", || {
        nodes.iter().all(|node| node.height() >= height + 3)
    });
    assert!(nodes.iter().all(|node| io_of(node, friend) == 400));

    blocks_come_about_once_a_second(&nodes[0]);
    a_batch_is_frozen_signed_and_published(&nodes, account(&renter));
    from_start.expect(|event| matches!(event, Event::Transferred { .. }));
    the_same_state_everywhere(&nodes);
    ends_are_told(&mut nodes);
}

fn money_moves_and_mistakes_are_refused(nodes: &[Node], renter: &SigningKey, friend: AccountId) {
    let bytes = signed(renter, 1, vec![transfer(friend, 300, 1)]);
    let mut forged = bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    let refused = nodes[1].submit(&forged);
    assert_eq!(
        (refused.code, refused.height),
        (103, None),
        "{}",
        refused.log
    );
    let refused = nodes[1].submit(io_types::extension::INJECTED_TAG);
    assert_eq!(
        (refused.code, refused.height),
        (113, None),
        "{}",
        refused.log
    );
    let refused = nodes[1].submit(&signed(renter, 7, vec![transfer(friend, 1, 9)]));
    assert_eq!(
        (refused.code, refused.height),
        (105, None),
        "{}",
        refused.log
    );

    let result = nodes[0].submit(&bytes);
    assert_eq!(result.code, 0, "{}", result.log);
    assert!(
        result
            .events
            .iter()
            .any(|event| matches!(event, Event::Transferred { .. })),
        "{:?}",
        result.events
    );
    wait("all nodes have the transfer", || {
        nodes.iter().all(|node| io_of(node, friend) == 300)
    });
    // The same bytes again: the sequence is used.
    let again = nodes[2].submit(&bytes);
    assert_eq!(
        again.height, result.height,
        "known as executed, not executed again"
    );
    let looked_up: io_types::api::TransactionResult = nodes[3]
        .get(&format!("/v1/transactions/{}", result.hash))
        .unwrap();
    assert_eq!((looked_up.height, looked_up.code), (result.height, 0));

    let withdraw = Action::Withdraw(Withdraw {
        asset: Asset::Io,
        amount: Amount::new(50_000_000_000),
        client_id: 2,
    });
    let result = nodes[1].submit(&signed(renter, 2, vec![withdraw]));
    assert_eq!(result.code, 0, "{}", result.log);
    let supply: Supply = nodes[0].get("/v1/supply").unwrap();
    assert_eq!(supply.max, Amount::new(80_000_000_000_000_000));
    let (status, plain) = nodes[0].ask("GET", "/v1/supply/max", "").unwrap();
    assert_eq!((status, plain.as_str()), (200, "800000000.00000000"));
}

fn prices_and_beacon_come_from_votes(nodes: &[Node]) {
    wait("the price of the votes is in force", || {
        let price: Option<PriceState> = nodes[1].get("/v1/price");
        price.is_some_and(|price| price.spot == 400_000 && price.usdc == 1_000_000)
    });
    let anchors: Vec<&str> = nodes
        .iter()
        .map(|node| node.facts["beacon_anchor"].as_str().unwrap())
        .collect();
    wait("every validator has revealed a link", || {
        let rows: Vec<ValidatorRow> = nodes[2].get("/v1/validators").unwrap_or_default();
        rows.len() == 4
            && rows
                .iter()
                .all(|row| !anchors.contains(&row.beacon_link.to_string().as_str()))
    });
    wait("a window closes with nothing withheld", || {
        let beacon: Option<BeaconState> = nodes[2].get("/v1/beacon");
        beacon.is_some_and(|beacon| beacon.window >= 2 && beacon.withheld.is_empty())
    });
}

/// Proof of an account's row, the app hash of another node's header of the next height.
fn a_row_is_proven_to_a_header(nodes: &[Node], renter: &SigningKey) {
    let key = format!("00{}00", hex::encode(account(renter).0));
    let proven: ProvenRow = nodes[0].get(&format!("/v1/prove/accounts/{key}")).unwrap();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(&proven.proof)
        .unwrap();
    let merkle = MerkleProof::decode(bytes.as_slice()).unwrap();
    let [row, table] = &merkle.proofs[..] else {
        panic!("two steps")
    };
    let exist = |proof: &ics23::CommitmentProof| match &proof.proof {
        Some(ics23::commitment_proof::Proof::Exist(exist)) => exist.clone(),
        _ => panic!("no proof of existence"),
    };
    let proof = io_storage::Proof {
        height: proven.height.0,
        row: exist(row),
        table: exist(table),
    };
    let id = io_state_machine::tables::ACCOUNTS.id;
    let specs = io_state_machine::tables::SPECS;
    let value = proof
        .verify(specs, id, &hex::decode(&key).unwrap(), &proven.app_hash.0)
        .unwrap();
    assert_eq!(hex::encode(value), proven.value);
    assert!(
        proven.signed_header.is_some() && proven.validators.is_some(),
        "a proof comes with the header that carries its app hash"
    );
    let carrier = proven.height.0 + 1;
    wait("the header that carries the app hash", || {
        let answer = http(
            rpc_port(&nodes[1]),
            "GET",
            &format!("/block?height={carrier}"),
            "",
        );
        let block =
            answer.and_then(|(_, body)| serde_json::from_str::<serde_json::Value>(&body).ok());
        let hash = block.and_then(|block| {
            Some(
                block
                    .pointer("/result/block/header/app_hash")?
                    .as_str()?
                    .to_lowercase(),
            )
        });
        hash.is_some_and(|hash| {
            assert_eq!(hash, proven.app_hash.to_string());
            true
        })
    });
    let (status, _) = nodes[0].ask("GET", "/v1/prove/accounts/00", "").unwrap();
    assert_eq!(status, 404);
    let (status, _) = nodes[0].ask("GET", "/v1/prove/clock/00", "").unwrap();
    assert_eq!(status, 400, "pages are not proven row by row");
}

fn rpc_port(node: &Node) -> u16 {
    let text = std::fs::read_to_string(node.home.join("node.toml")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("rpc_listen"))
        .unwrap();
    line.trim_end_matches('"')
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap()
}

fn blocks_come_about_once_a_second(node: &Node) {
    let (start, first) = (Instant::now(), node.height());
    wait("eight blocks", || node.height() >= first + 8);
    let each = start.elapsed() / 8;
    println!("a block each {} ms", each.as_millis());
    assert!(
        each > Duration::from_millis(500) && each < Duration::from_secs(5),
        "a block each {each:?}"
    );
}

fn a_batch_is_frozen_signed_and_published(nodes: &[Node], renter: AccountId) {
    let newest = || {
        let page: Page<Batch> = nodes[1].get("/v1/settlements?limit=1")?;
        page.items.into_iter().next()
    };
    wait("a batch signed by all", || {
        newest().is_some_and(|batch| batch.signed_power == 40 && batch.total_power == 40)
    });
    let batch = newest().unwrap();
    for node in nodes {
        let path = format!("/v1/settlements/{}/payouts", batch.number);
        let file: PayoutFile = node.get(&path).unwrap();
        assert_eq!(file.assets[0].len(), 1);
        let proof: PayoutProof = node.get(&format!("{path}/io/{renter}")).unwrap();
        assert_eq!(
            (proof.cumulative, proof.index, proof.leaves),
            (Amount::new(50_000_000_000), 0, 1)
        );
        let body = io_settlement::batch::SettleBody::from_bytes(&batch.body).unwrap();
        let leaf = io_settlement::payout::leaf(
            &body.chain_id,
            io_settlement::Asset::Io,
            &renter.0,
            proof.cumulative.get(),
        );
        let siblings: Vec<[u8; 32]> = proof.siblings.iter().map(|hash| hash.0).collect();
        assert!(io_settlement::payout::verify(
            &body.payouts[0].root,
            leaf,
            proof.index,
            &siblings
        ));
    }
    let (_, metrics) = http(nodes[0].metrics, "GET", "/metrics", "").unwrap();
    assert!(
        metrics.contains("io_node_batch_missing_power 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("io_node_extensions_empty_total 0\n"),
        "{metrics}"
    );
}

/// The same app hash, table by table, at a height that all have reached.
fn the_same_state_everywhere(nodes: &[Node]) {
    wait("two nodes are seen at one height", || {
        let views: Vec<AppHashView> = nodes
            .iter()
            .filter_map(|node| node.get("/v1/app-hash"))
            .collect();
        let same = views
            .windows(2)
            .filter(|pair| pair[0].height == pair[1].height)
            .count();
        for pair in views
            .windows(2)
            .filter(|pair| pair[0].height == pair[1].height)
        {
            assert_eq!(pair[0], pair[1]);
        }
        same >= 2
    });
}

/// Exit codes and last words.
fn ends_are_told(nodes: &mut [Node]) {
    // Asked to end: 0, and CometBFT is gone.
    let comet = nodes[0].comet();
    assert_eq!(nodes[0].stop(), Some(0), "{}", nodes[0].log());
    assert!(!crate::network::is_alive(comet));
    // Told to halt: 1, before the height, again after a restart, until it is taken back.
    let height = nodes[1].height() + 2;
    let told = crate::network::verb(&nodes[1].home, &["halt", "--height", &height.to_string()]);
    assert!(told.status.success());
    let code = nodes[1].process.take().unwrap().wait().unwrap().code();
    assert_eq!(code, Some(1), "{}", nodes[1].log());
    let explained = crate::network::verb_json(&nodes[1].home, &["explain-app-hash", "--offline"]);
    assert_eq!(explained["height"].as_u64(), Some(height - 1));
    // CometBFT dies: 2, with the reason.
    let killed = Command::new("kill")
        .args(["-9", &nodes[2].comet().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let code = nodes[2].process.take().unwrap().wait().unwrap().code();
    assert_eq!(code, Some(2));
    assert!(
        nodes[2].log().contains("CometBFT was ended by signal 9"),
        "{}",
        nodes[2].log()
    );
    // One block is undone, here and there; the same block comes again.
    let before: Height = Height(height - 1);
    let rolled = crate::network::verb(&nodes[1].home, &["rollback"]);
    assert!(
        rolled.status.success(),
        "{}",
        String::from_utf8_lossy(&rolled.stderr)
    );
    let explained = crate::network::verb_json(&nodes[1].home, &["explain-app-hash", "--offline"]);
    assert_eq!(explained["height"].as_u64(), Some(before.0 - 1));
    assert!(
        crate::network::verb(&nodes[1].home, &["halt", "--cancel"])
            .status
            .success()
    );
    for node in &mut nodes[..3] {
        node.start();
    }
    wait("all go on after the ends", || {
        nodes.iter().all(|node| node.height() > before.0 + 2)
    });
    the_same_state_everywhere(nodes);
}

/// A stream of events, read in the background.
struct Listener {
    events: std::sync::mpsc::Receiver<EventView>,
    seen: Vec<EventView>,
}

impl Listener {
    fn open(node: &Node, query: &str) -> Self {
        use std::io::{BufRead, BufReader, Write};
        let (sender, events) = std::sync::mpsc::channel();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", node.api)).unwrap();
        write!(
            stream,
            "GET /v1/events{query} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        )
        .unwrap();
        std::thread::spawn(move || {
            // The stream ends when its node is killed.
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(data) = line.strip_prefix("data: ") {
                    let event = serde_json::from_str(data)
                        .unwrap_or_else(|error| panic!("{error}: {data}"));
                    if sender.send(event).is_err() {
                        return;
                    }
                }
            }
        });
        Self {
            events,
            seen: Vec::new(),
        }
    }

    #[track_caller]
    fn expect(&mut self, wanted: impl Fn(&Event) -> bool) {
        self.seen.extend(self.events.try_iter());
        assert!(
            self.seen.iter().any(|view| wanted(&view.event)),
            "{} events, none of them fits",
            self.seen.len()
        );
        assert!(
            self.seen.windows(2).all(|pair| pair[0].id < pair[1].id),
            "ids rise"
        );
    }
}
