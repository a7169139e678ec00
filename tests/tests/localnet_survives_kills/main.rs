//! `kill -9` of any process of a localnet: the job goes on, nothing is paid twice, nothing is lost.
//!
//! Beside the kills, a fail point ends each relayer right after it has sent a settlement, as long as the localnet runs. The fail
//! points inside node and relayer have tests of their own, each with the part alone.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

mod chain;
mod localnet;

use std::time::Duration;

use io_client::solana::Commitment;
use io_client::types::BatchNumber;

use chain::{Books, Chain, IO, until};
use localnet::{Localnet, is_alive, kill};

/// The rule: heights go on within this, whatever was killed.
const GOES_ON_WITHIN: Duration = Duration::from_secs(20);
/// For what takes seconds on an idle machine.
const SOON: Duration = Duration::from_mins(2);
/// For what waits for the end of an epoch, and for challenges.
const LATER: Duration = Duration::from_mins(4);

/// Whole IO of each deposit; each sum of some is a sum of no others.
const DEPOSITS: [u64; 5] = [2, 3, 7, 13, 31];
/// Who withdraws, and how much whole IO; the relayer claims for suppliers.
const WITHDRAWALS: [(&str, u64); 3] = [("supplier-0", 17), ("supplier-1", 19), ("supplier-2", 23)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Process,
    /// CometBFT, the child of a node.
    Engine,
}

/// What was before the first kill, base units of IO.
struct Before {
    /// Of the account that deposits: on the chain, on Solana.
    you: [u64; 2],
    /// On the chain at genesis.
    genesis: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_localnet_survives_kill_9_of_any_process() {
    let localnet = Localnet::start();
    let chain = Chain::new(&localnet);
    let before = it_works(&chain).await;
    let [first, second, third, fourth, fifth] = DEPOSITS;
    let [one, two, three] = WITHDRAWALS;

    chain.deposit(first).await;
    let judge = kills(&localnet, &chain, "verifier-2", Victim::Process).await;

    chain.withdraw(one).await;
    kills(&localnet, &chain, "worker-2", Victim::Process).await;
    let slot = chain.slot().await.expect("a node answers");
    until("worker-2 proves uptime again", SOON, async || {
        let seen = chain.uptime_slot("worker-2").await?;
        more_than(slot, seen)
    })
    .await;

    chain.deposit(second).await;
    let height = kills(&localnet, &chain, "validator-1", Victim::Process).await;
    until("validator-1 votes again", SOON, async || {
        chain.votes_above("validator-1", height).await
    })
    .await;

    chain.withdraw(two).await;
    chain.deposit(third).await;
    let height = kills(&localnet, &chain, "validator-2", Victim::Engine).await;
    until("validator-2 votes again", SOON, async || {
        chain.votes_above("validator-2", height).await
    })
    .await;

    let batch = a_batch_waits(&chain).await;
    kills(&localnet, &chain, "relayer", Victim::Process).await;
    until("the waiting batch is settled", SOON, async || {
        let bridge = chain.solana(Commitment::Finalized).await?;
        more_than(batch - 1, bridge.bridge.last.number)
    })
    .await;

    chain.withdraw(three).await;
    chain.deposit(fourth).await;
    let slot = chain.solana_slot().await.expect("the ledger answers");
    kills(&localnet, &chain, "ledger", Victim::Process).await;
    until("the ledger goes on", SOON, async || {
        let now = chain.solana_slot().await?;
        more_than(slot, now)
    })
    .await;
    chain.deposit(fifth).await;

    let what = "verifier-2 judges a challenge that began after it was killed";
    until(what, LATER, async || {
        let judged = chain.judged_above("verifier-2", judge).await?;
        judged.then_some(()).ok_or("there is none".to_owned())
    })
    .await;
    nothing_is_lost_or_paid_twice(&chain, &before).await;
    // One death by kill, and at least two settlements at the fail point.
    let relayer = localnet.process("relayer").expect("a status");
    assert!(
        relayer.restarts >= 3,
        "the fail point was missed: {relayer:?}"
    );
    localnet.end();
}

/// Waits until the localnet does its whole job.
async fn it_works(chain: &Chain) -> Before {
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
    until("books of both sides", SOON, async || {
        let books = chain.books().await?;
        books.check();
        Ok(Before {
            you: [
                chain.balance(chain.you()).await?,
                chain.tokens(chain.you()).await?,
            ],
            genesis: books.at_genesis(0),
        })
    })
    .await
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

/// Waits until everything that was sent has arrived on the other side, and compares both sides.
async fn nothing_is_lost_or_paid_twice(chain: &Chain, before: &Before) {
    let deposited = DEPOSITS.iter().sum::<u64>() * IO;
    let withdrawn = WITHDRAWALS.iter().map(|(_who, whole)| whole).sum::<u64>() * IO;
    let deposits = u64::try_from(DEPOSITS.len()).expect("a few");

    until(
        "both sides agree on every deposit and every payout",
        LATER,
        async || {
            let Books { bridge, .. } = chain.books().await.inspect(Books::check)?;
            let solana = chain.solana(Commitment::Confirmed).await?.bridge;
            let [claimed, _usdc] = solana.state.counters.claimed;
            let [payable, _usdc] = solana.state.counters.payout_total;
            assert!(claimed <= payable, "{claimed} claimed of {payable}");
            assert_eq!(solana.state.deposit_number, deposits);
            same("credited deposits", bridge.deposit_number, deposits)?;
            same("settled deposits", solana.state.freed_number, deposits)?;
            same("claimed", claimed, payable)?;
            let attested = bridge.last_settle.as_ref().map_or(0, |row| row.number.0);
            same("attested settlement", attested, solana.last.number)?;
            assert_eq!(bridge.deposit_hash.0, solana.state.deposit_hash);
            more_than(withdrawn - 1, payable)?;

            let mut sum = 0;
            for (account, due, paid) in chain.payouts(BatchNumber(solana.last.number)).await? {
                same("payouts and claims of an account", paid, due)?;
                // Suppliers began with nothing on Solana, and nobody else withdraws.
                same("tokens of an account", chain.tokens(account).await?, due)?;
                sum += due;
            }
            same("sum of all leaves", sum, payable)
        },
    )
    .await;

    let books = until("the books of the chain", SOON, async || chain.books().await).await;
    books.check();
    assert_eq!(books.at_genesis(deposited), before.genesis, "{books:?}");
    let [on_chain, on_solana] = before.you;
    let balance = chain.balance(chain.you()).await;
    assert_eq!(balance, Ok(on_chain + deposited), "each deposit once");
    let tokens = chain.tokens(chain.you()).await;
    assert_eq!(tokens, Ok(on_solana - deposited), "each deposit once");
}

fn more_than(least: u64, is: u64) -> Result<(), String> {
    (is > least)
        .then_some(())
        .ok_or_else(|| format!("{is}, not more than {least}"))
}

fn same(what: &str, is: u64, want: u64) -> Result<(), String> {
    (is == want)
        .then_some(())
        .ok_or_else(|| format!("{what}: {is}, awaited {want}"))
}
