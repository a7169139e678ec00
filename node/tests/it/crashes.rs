//! A node that dies at the worst moments: around execute, journal, commit and the settlement signature. Each time it comes
//! back, the job goes on, nothing is done twice and nothing is lost.

use std::os::unix::process::ExitStatusExt;

use base64::Engine;
use ed25519_dalek::SigningKey;
use io_types::action::{Transfer, Withdraw};
use io_types::api::{AccountView, Page, TransactionResult};
use io_types::row::Batch;
use io_types::{Action, Amount, Asset, Transaction};

use crate::network::{Node, account, is_alive, network, signed, wait};

/// SIGABRT.
const ABORTED: i32 = 6;

pub(crate) fn hand_over(node: &Node, bytes: &[u8]) {
    let body = serde_json::json!({ "transaction": base64::engine::general_purpose::STANDARD.encode(bytes) });
    // The node may die before it answers; that is the point.
    drop(node.ask("POST", "/v1/transactions?wait=check", &body.to_string()));
}

/// Waits until the armed place was reached, and until CometBFT has noticed.
fn dies(node: &mut Node) {
    let mut process = node.process.take().unwrap();
    let status = process.wait().unwrap();
    assert_eq!(status.signal(), Some(ABORTED), "{}", node.log());
    let comet = node.comet();
    wait("CometBFT ends after its application", || !is_alive(comet));
}

pub(crate) fn outcome(node: &Node, bytes: &[u8]) -> Option<TransactionResult> {
    node.get(&format!("/v1/transactions/{}", Transaction::hash_of(bytes)))
}

#[test]
fn a_node_killed_around_execute_commit_and_sign_does_nothing_twice_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let renter = SigningKey::from_bytes(&[31; 32]);
    let friend = account(&SigningKey::from_bytes(&[32; 32]));
    let mut nodes = network(folder.path(), 1, &renter);
    let node = &mut nodes[0];

    let mut sent = 0;
    for place in [
        "before_execute",
        "after_execute",
        "before_journal",
        "before_commit",
        "after_commit",
    ] {
        sent += 1;
        let action = Transfer {
            to: friend,
            asset: Asset::Io,
            amount: Amount::new(100),
            client_id: sent,
        };
        let bytes = signed(&renter, sent, vec![Action::Transfer(action)]);
        // First at the very first block, later in the middle of the chain.
        let turn = if sent == 1 { 1 } else { 3 };
        node.start_armed(&format!("node:{place}@{turn}"));
        if turn > 1 {
            wait("the node answers", || node.height() > 0);
            hand_over(node, &bytes);
        }
        dies(node);
        node.start();
        wait("it comes back", || node.height() > 0);
        let height = node.height();
        wait("the transaction is executed", || {
            hand_over(node, &bytes);
            outcome(node, &bytes).is_some_and(|result| result.code == 0)
        });
        wait("the chain goes on", || node.height() >= height + 2);
        node.kill();
    }

    // A settlement: the log is written, the signature is not out.
    let withdraw = Withdraw {
        asset: Asset::Io,
        amount: Amount::new(10_000_000_000),
        client_id: 99,
    };
    let bytes = signed(&renter, sent + 1, vec![Action::Withdraw(withdraw)]);
    node.start_armed("signer:after_log");
    wait("it comes back", || node.height() > 0);
    hand_over(node, &bytes);
    dies(node);
    node.start();
    wait("the withdrawal is executed", || {
        hand_over(node, &bytes);
        outcome(node, &bytes).is_some_and(|result| result.code == 0)
    });
    wait("the batch is signed after all", || {
        let page: Option<Page<Batch>> = node.get("/v1/settlements?limit=1");
        page.is_some_and(|page| {
            page.items
                .first()
                .is_some_and(|batch| batch.signed_power == batch.total_power)
        })
    });

    let view: AccountView = node.get(&format!("/v1/accounts/{friend}")).unwrap();
    assert_eq!(
        view.balances[0].balance,
        Amount::new(100 * sent),
        "each transfer once"
    );
    let view: AccountView = node
        .get(&format!("/v1/accounts/{}", account(&renter)))
        .unwrap();
    assert_eq!(view.lanes, [(0, sent + 1)]);
    a_damaged_database_is_named(node);
}

/// The node refuses to start on it, says what and where, and changes nothing.
fn a_damaged_database_is_named(node: &mut Node) {
    node.kill();
    let file = node.home.join("data/state/CURRENT");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"garbage").unwrap();
    node.start();
    let code = node.process.take().unwrap().wait().unwrap().code();
    assert_eq!(code, Some(2), "{}", node.log());
    let log = node.log();
    let words = log
        .lines()
        .rev()
        .find(|line| line.starts_with("error: "))
        .unwrap();
    assert!(
        words.contains("database") && words.contains("data/state"),
        "{words}"
    );
    std::fs::write(&file, good).unwrap();
    node.start();
    wait("it comes back with the database that it had", || {
        node.height() > 0
    });
}
