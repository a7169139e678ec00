//! `kill -9` of any process of a localnet: the job goes on, nothing is paid twice, nothing is lost.
//!
//! Beside the kills, a fail point ends each relayer right after it has sent a settlement, as long as the localnet runs. The fail
//! points inside node and relayer have tests of their own, each with the part alone.

use std::time::Duration;

use io_client::solana::Commitment;

use crate::chain::{Chain, LATER, SOON, more_than, until};
use crate::engine::Engines;
use crate::localnet::{Localnet, is_alive, kill};
use crate::money::Money;

/// Lets each relayer die once more: right after it has sent a settlement, whose fate it then does not know.
const FAIL_POINT: (&str, &str) = ("IO_FAILPOINT", "relayer:after_settle");
/// The rule: heights go on within this, whatever was killed.
const GOES_ON_WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Process,
    /// CometBFT, the child of a node.
    Engine,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_localnet_survives_kill_9_of_any_process() {
    let localnet = Localnet::start(&[], &[FAIL_POINT]);
    let (chain, engines) = (Chain::new(&localnet), Engines::new(&localnet));
    it_works(&chain).await;
    let mut money = Money::before(&chain).await;

    money.deposit(&chain).await;
    let judge = kills(&localnet, &chain, "verifier-2", Victim::Process).await;

    money.withdraw(&chain).await;
    kills(&localnet, &chain, "worker-2", Victim::Process).await;
    let slot = chain.slot().await.expect("a node answers");
    until("worker-2 proves uptime again", SOON, async || {
        let seen = chain.uptime_slot("worker-2").await?;
        more_than(slot, seen)
    })
    .await;

    money.deposit(&chain).await;
    let height = kills(&localnet, &chain, "validator-1", Victim::Process).await;
    until("validator-1 votes again", SOON, async || {
        engines.votes_above(1, height).await
    })
    .await;

    money.withdraw(&chain).await;
    money.deposit(&chain).await;
    let height = kills(&localnet, &chain, "validator-2", Victim::Engine).await;
    until("validator-2 votes again", SOON, async || {
        engines.votes_above(2, height).await
    })
    .await;

    let batch = a_batch_waits(&chain).await;
    kills(&localnet, &chain, "relayer", Victim::Process).await;
    until("the waiting batch is settled", SOON, async || {
        let bridge = chain.solana(Commitment::Finalized).await?;
        more_than(batch - 1, bridge.bridge.last.number)
    })
    .await;

    money.withdraw(&chain).await;
    money.deposit(&chain).await;
    let slot = chain.solana_slot().await.expect("the ledger answers");
    kills(&localnet, &chain, "ledger", Victim::Process).await;
    until("the ledger goes on", SOON, async || {
        let now = chain.solana_slot().await?;
        more_than(slot, now)
    })
    .await;
    money.deposit(&chain).await;

    let what = "verifier-2 judges a challenge that began after it was killed";
    until(what, LATER, async || {
        let judged = chain.judged_above("verifier-2", judge).await?;
        judged.then_some(()).ok_or("there is none".to_owned())
    })
    .await;
    money.is_neither_lost_nor_doubled(&chain).await;
    // One death by kill, and at least two settlements at the fail point.
    let relayer = localnet.process("relayer").expect("a status");
    assert!(
        relayer.restarts >= 3,
        "the fail point was missed: {relayer:?}"
    );
    engines.never_forked().await;
    localnet.end();
}

/// Waits until the localnet does its whole job.
async fn it_works(chain: &Chain) {
    until("an order is matched", LATER, async || {
        more_than(0, chain.matched().await?)
    })
    .await;
    until("a settlement is final and attested", LATER, async || {
        let bridge = chain.solana(Commitment::Finalized).await?;
        more_than(0, bridge.bridge.last.number)?;
        let attested = chain.books().await?.last_settle();
        more_than(0, attested.map_or(0, |last| last.number))
    })
    .await;
}

/// Kills, and checks what holds for every victim. Gives the height of the moment of death.
async fn kills(localnet: &Localnet, chain: &Chain, name: &str, victim: Victim) -> u64 {
    let before = until(&format!("{name} runs"), SOON, async || {
        let process = localnet.process(name)?;
        process.pid.is_some().then_some(()).ok_or("it is down")?;
        Ok(process)
    })
    .await;
    let height = chain.height().await;
    let engine = name
        .starts_with("validator")
        .then(|| localnet.engine(name).expect("a node with its CometBFT"));
    let process = before.pid.expect("it runs");
    kill(
        engine
            .filter(|_engine| victim == Victim::Engine)
            .unwrap_or(process),
    );
    eprintln!("          killed: {name} at height {height}");

    until("heights go on", GOES_ON_WITHIN, async || {
        more_than(height + 1, chain.height().await)
    })
    .await;
    until(&format!("{name} was started again"), SOON, async || {
        let now = localnet.process(name)?;
        if now.pid.is_some_and(|pid| pid != process) && now.restarts > before.restarts {
            return Ok(());
        }
        Err(format!("before {before:?}, now {now:?}"))
    })
    .await;
    for pid in engine.into_iter().chain([process]) {
        assert!(!is_alive(pid), "process {pid} of the old {name} still runs");
    }
    chain.all_agree_above(height + 1, SOON).await;
    chain.height().await
}

/// Waits until a batch is frozen that Solana has not settled, and gives its number.
async fn a_batch_waits(chain: &Chain) -> u64 {
    until(
        "a frozen batch waits for its settlement",
        LATER,
        async || {
            let newest = chain.books().await?.bridge.newest_batch.0;
            let settled = chain
                .solana(Commitment::Confirmed)
                .await?
                .bridge
                .last
                .number;
            more_than(settled, newest).map(|()| newest)
        },
    )
    .await
}
