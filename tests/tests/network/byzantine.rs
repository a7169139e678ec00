//! A validator whose vote extensions are always empty, and one that signs other batches than the chain froze.
//!
//! The validator's own programs are untouched: its CometBFT is led to a socket of this test, which hands everything on to the node and
//! rewrites one answer, `ExtendVote`. CometBFT then signs and sends what a node of that mind would have sent.

mod proxy;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use io_client::types::{AccountId, BatchNumber};
use io_client::{Wallet, solana::Commitment};

use crate::chain::{Chain, LATER, SOON, more_than, until};
use crate::engine::Engines;
use crate::localnet::Localnet;
use crate::money::Money;
use proxy::{Mind, Proxy};

const NAME: &str = "validator-3";
/// Power of a validator; the others have three times as much, which is just enough.
const POWER: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn empty_extensions_and_wrong_signatures_cost_nothing_but_their_owners_voice() {
    let localnet = Localnet::start(&["--no-people"], &[]);
    let (chain, engines) = (Chain::new(&localnet), Engines::new(&localnet));
    let mut money = Money::before(&chain).await;
    let home = localnet.home().join(NAME);
    let key = Wallet::load(home.join("keys/settlement.json")).expect("its settlement key");
    let proxy = Proxy::start(&home, key.key().clone());
    turns_byzantine(&home, &proxy);
    localnet.fault(&["kill", NAME]);

    proxy.set(Mind::Empty);
    until("its extensions are empty", SOON, async || {
        more_than(0, proxy.rewritten())
    })
    .await;
    money.deposit(&chain).await;
    money.withdraw(&chain).await;
    the_others_settle(&chain, key.account()).await;
    let silent = "io_node_votes_without_extension";
    until(
        "operators see whose extensions are empty",
        SOON,
        async || {
            more_than(20, metric(&localnet, silent, NAME).await?)?;
            noted(&chain, &format!("{NAME}: its last ")).await
        },
    )
    .await;
    assert_eq!(metric(&localnet, silent, "validator-1").await, Ok(0));

    let before = proxy.rewritten();
    proxy.set(Mind::OtherBatches);
    money.deposit(&chain).await;
    money.withdraw(&chain).await;
    until("it signs other batches", LATER, async || {
        more_than(before, proxy.rewritten())
    })
    .await;
    the_others_settle(&chain, key.account()).await;
    let void = "io_node_signatures_void_total";
    until(
        "operators see whose signatures are void",
        SOON,
        async || {
            more_than(0, metric(&localnet, void, NAME).await?)?;
            noted(&chain, &format!("{NAME}: its signature of batch ")).await
        },
    )
    .await;
    assert_eq!(metric(&localnet, void, "validator-1").await, Ok(0));
    let log = localnet.log_of("validator-0");
    let words = "signed something else than this batch";
    let told = log
        .lines()
        .any(|line| line.contains(words) && line.contains(NAME));
    assert!(told, "the log of validator-0 does not tell");

    proxy.set(Mind::Honest);
    until("it signs again and is counted", LATER, async || {
        let newest = chain.books().await?.bridge.newest_batch;
        let batch = chain.batch(newest).await?;
        more_than(3 * POWER, batch.signed_power)
    })
    .await;
    money.is_neither_lost_nor_doubled(&chain).await;
    engines.never_forked().await;
    localnet.end();
}

/// Waits until a batch that is frozen from now on is settled: with the signatures of the three others, without that of `byzantine`.
async fn the_others_settle(chain: &Chain, byzantine: AccountId) {
    let newest = chain.books().await.expect("books").bridge.newest_batch.0;
    until(
        "the others sign a new batch, and it is settled",
        LATER,
        async || {
            let bridge = chain.solana(Commitment::Confirmed).await?.bridge;
            more_than(newest, bridge.last.number)?;
            let batch = chain.batch(BatchNumber(bridge.last.number)).await?;
            assert_eq!(batch.signed_power, 3 * POWER, "{batch:?}");
            let mut signers = batch.signatures.iter().map(|(signer, _signature)| *signer);
            assert!(signers.all(|signer| signer != byzantine), "{batch:?}");
            Ok(())
        },
    )
    .await;
}

/// Puts a program in the place of its CometBFT that begins the same, with another socket.
fn turns_byzantine(home: &Path, proxy: &Proxy) {
    let program = home.join("cometbft.sh");
    let text = format!(
        "#!/bin/sh\n\
         PATH=\"$PATH:${{IO_CHAIN_TOOLS:-$HOME/.cache/io-chain/tools}}/bin\"\n\
         is_socket=no\n\
         for word in \"$@\"; do\n\
           shift\n\
           [ $is_socket = no ] || word='unix://{}'\n\
           is_socket=no\n\
           [ \"$word\" != --proxy_app ] || is_socket=yes\n\
           set -- \"$@\" \"$word\"\n\
         done\n\
         exec cometbft \"$@\"\n",
        proxy.socket().display()
    );
    std::fs::write(&program, text).expect("a program");
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&program, executable).expect("it may be run");
    let file = home.join("node.toml");
    let settings = std::fs::read_to_string(&file).expect("a node's settings");
    let (unset, set) = (
        "\nbinary = \"\"\n",
        format!("\nbinary = \"{}\"\n", program.display()),
    );
    assert!(settings.contains(unset), "{settings}");
    std::fs::write(&file, settings.replace(unset, &set)).expect("settings");
}

/// What validator-0 counts of a validator.
async fn metric(localnet: &Localnet, name: &str, validator: &str) -> Result<u64, String> {
    let answer = reqwest::get(localnet.fact("/metrics/0")).await;
    let text = answer.map_err(|error| error.to_string())?.text().await;
    let text = text.map_err(|error| error.to_string())?;
    let head = format!("{name}{{validator=\"{validator}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&head));
    let number = line.ok_or_else(|| format!("no {head}in\n{text}"))?;
    number.parse().map_err(|error| format!("{number}: {error}"))
}

/// Whether validator-0's status has such a note.
async fn noted(chain: &Chain, begins: &str) -> Result<(), String> {
    let [first, ..] = chain.statuses().await;
    let notes = first.ok_or("validator-0 does not answer")?.notes;
    let found = notes.iter().any(|note| note.starts_with(begins));
    found.then_some(()).ok_or(format!("notes: {notes:?}"))
}
