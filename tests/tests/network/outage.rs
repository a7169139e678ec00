//! Solana is down for two epochs: the chain goes on, everyone waits and says why, and afterwards everything settles once.

use std::process::Command;

use crate::chain::{Chain, LATER, SOON, more_than, until};
use crate::engine::Engines;
use crate::localnet::{Localnet, programs};
use crate::money::Money;

/// Epochs that end while Solana is away.
const EPOCHS: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn solana_is_down_for_two_epochs_and_everything_settles_once() {
    let localnet = Localnet::start(&["--no-people"], &[]);
    let (chain, engines) = (Chain::new(&localnet), Engines::new(&localnet));
    let mut money = Money::before(&chain).await;

    // One deposit is on its way, and one withdrawal is in a block, when Solana goes away.
    money.deposit(&chain).await;
    money.withdraw(&chain).await;
    let (height, epoch) = (chain.height().await, epoch(&chain).await);
    let frozen = chain.books().await.expect("books").bridge.newest_batch.0;
    localnet.fault(&["stop", "ledger"]);

    until(
        "each validator says that it waits for Solana",
        SOON,
        async || {
            for status in chain.statuses().await {
                let notes = status.ok_or("a node does not answer")?.notes;
                let waits = notes.iter().any(|note| note.contains("endpoint(s) answer"));
                waits.then_some(()).ok_or(format!("notes: {notes:?}"))?;
            }
            Ok(())
        },
    )
    .await;
    until(
        "the relayer says that it waits for Solana",
        SOON,
        async || {
            let log = localnet.log_of("relayer");
            let last = log.lines().last().unwrap_or_default().to_owned();
            (last.contains("WARN") && last.contains(&localnet.fact("/solana")))
                .then_some(())
                .ok_or(last)
        },
    )
    .await;
    relayer_status_tells(&localnet);
    money.withdraw(&chain).await;
    until("two epochs end without Solana", LATER, async || {
        more_than(epoch + EPOCHS, self::epoch(&chain).await)
    })
    .await;
    let now = chain.height().await;
    assert!(now > height + EPOCHS * 20, "from height {height} to {now}");
    let books = chain.books().await.expect("books");
    books.check();
    assert!(
        books.bridge.newest_batch.0 >= frozen + EPOCHS,
        "a batch for each epoch: {:?}",
        books.bridge
    );

    localnet.fault(&["start", "ledger"]);
    until("each validator reports of Solana again", SOON, async || {
        for status in chain.statuses().await {
            let notes = status.ok_or("a node does not answer")?.notes;
            let reports = notes.iter().all(|note| note.starts_with("solana: slot "));
            reports.then_some(()).ok_or(format!("notes: {notes:?}"))?;
        }
        Ok(())
    })
    .await;
    money.deposit(&chain).await;
    money.is_neither_lost_nor_doubled(&chain).await;
    engines.never_forked().await;
    localnet.end();
}

async fn epoch(chain: &Chain) -> u64 {
    let statuses = chain.statuses().await;
    let epochs = statuses.iter().flatten().map(|status| status.epoch.0);
    epochs.max().expect("a node answers")
}

/// What an operator sees who asks the relayer: which URL does not answer, by exit code 2.
fn relayer_status_tells(localnet: &Localnet) {
    let asked = Command::new(programs().join("io-relayer"))
        .arg("status")
        .arg("--config")
        .arg(localnet.home().join("relayer.toml"))
        .output()
        .expect("io-relayer is built");
    let words = String::from_utf8_lossy(&asked.stderr);
    assert_eq!(asked.status.code(), Some(2), "{words}");
    assert!(words.contains(&localnet.fact("/solana")), "{words}");
}
