//! What a Solana RPC can do to the chain: make it wait. A deposit counts once it is final, as the endpoints of most validators show it.

use std::time::Duration;

use io_client::solana::Commitment;

use crate::chain::{Chain, IO, same, until};
use crate::localnet::Localnet;

/// Finality takes 6 s here, a late answer some more.
const SOON: Duration = Duration::from_mins(2);
/// In that time a deposit that everybody believes is credited twice over.
const QUIET: Duration = Duration::from_secs(20);
/// Base units of the deposit that nobody made: a sum that no other deposits add up to.
const FORGED: u64 = 77_000_000_077;

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_counts_once_it_is_final_whatever_single_rpcs_say() {
    let localnet = Localnet::start(&["--no-people"], &[]);
    let chain = Chain::new(&localnet);
    let before = until("a balance", SOON, async || chain.balance(chain.you()).await).await;
    let forge = |rpc: &str| {
        let account = hex::encode(chain.you().0);
        localnet.fault(&["lie-rpc", rpc, "deposit", &account, &FORGED.to_string()]);
    };

    chain.deposit(1).await;
    is_credited_when_final(&chain, 1, "every RPC tells the truth").await;

    localnet.fault(&["slow-rpc", "all", "1500"]);
    chain.deposit(2).await;
    is_credited_when_final(&chain, 2, "every RPC is slow").await;
    localnet.fault(&["heal"]);

    localnet.fault(&["stale-rpc", "validator-0/a"]);
    chain.deposit(4).await;
    is_credited_when_final(&chain, 3, "one RPC of validator-0 stands still").await;
    localnet.fault(&["drop-rpc", "validator-0"]);
    chain.deposit(8).await;
    is_credited_when_final(&chain, 4, "validator-0 reaches no RPC").await;
    localnet.fault(&["heal"]);

    forge("validator-3");
    chain.deposit(16).await;
    is_credited_when_final(&chain, 5, "both RPCs of validator-3 tell the same lie").await;
    let balance = chain.balance(chain.you()).await.expect("a node answers");
    assert_eq!(
        balance,
        before + 31 * IO,
        "what validator-3 saw was credited"
    );
    localnet.fault(&["heal"]);

    let firsts = [
        "validator-0/a",
        "validator-1/a",
        "validator-2/a",
        "validator-3/a",
    ];
    firsts.into_iter().for_each(forge);
    chain.deposit(32).await;
    is_credited_when_final(
        &chain,
        6,
        "one RPC of each validator shows a deposit too many",
    )
    .await;
    let balance = chain.balance(chain.you()).await.expect("a node answers");
    assert_eq!(
        balance,
        before + 63 * IO,
        "what one RPC of each saw was credited"
    );

    nobody_is_believed_who_is_contradicted(&localnet, &chain, before, &firsts).await;
    localnet.end();
}

/// Deposit 7, while one RPC of each validator contradicts the other.
async fn nobody_is_believed_who_is_contradicted(
    localnet: &Localnet,
    chain: &Chain,
    before: u64,
    liars: &[&str],
) {
    for rpc in liars {
        localnet.fault(&["lie-rpc", rpc, "bytes"]);
    }
    until(
        "every validator says that it is lied to",
        SOON,
        async || {
            let statuses = chain.statuses().await;
            let alarmed =
                |notes: &[String]| notes.iter().any(|note| note.contains("one of them lies"));
            let all = statuses
                .iter()
                .flatten()
                .filter(|status| alarmed(&status.notes))
                .count();
            same(
                "validators with an alarm",
                u64::try_from(all).expect("four"),
                4,
            )
        },
    )
    .await;
    chain.deposit(64).await;
    until("the deposit is final", SOON, async || {
        let finalized = chain.solana(Commitment::Finalized).await?;
        same("final deposits", finalized.bridge.state.deposit_number, 7)
    })
    .await;
    tokio::time::sleep(QUIET).await;
    let balance = chain.balance(chain.you()).await.expect("a node answers");
    assert_eq!(
        balance,
        before + 63 * IO,
        "credited while endpoints disagree"
    );
    localnet.fault(&["heal"]);
    is_credited(chain, 7, "the liars were replaced").await;

    until("both sides agree on the deposits", SOON, async || {
        let books = chain.books().await?;
        books.check();
        let solana = chain.solana(Commitment::Finalized).await?.bridge.state;
        assert_eq!(books.bridge.deposit_hash.0, solana.deposit_hash);
        same("credited deposits", books.bridge.deposit_number, 7)
    })
    .await;
    let balance = chain.balance(chain.you()).await.expect("a node answers");
    assert_eq!(
        balance,
        before + 127 * IO,
        "each deposit once, and no other"
    );
}

/// Waits for the credit of a deposit that was just confirmed. Panics if the chain credits what is not final, or if nothing was left to
/// wait for: then this test would say nothing.
async fn is_credited_when_final(chain: &Chain, number: u64, under: &str) {
    let finalized = chain
        .solana(Commitment::Finalized)
        .await
        .expect("the ledger answers");
    let finalized = finalized.bridge.state.deposit_number;
    assert!(
        finalized < number,
        "deposit {number} was final at once ({under})"
    );
    is_credited(chain, number, under).await;
}

async fn is_credited(chain: &Chain, number: u64, under: &str) {
    let what = format!("deposit {number} is credited: {under}");
    until(&what, SOON, async || {
        // In this order: finality only grows, so the later look may not show less.
        let credited = chain.books().await?.bridge.deposit_number;
        let finalized = chain.solana(Commitment::Finalized).await?;
        let finalized = finalized.bridge.state.deposit_number;
        assert!(
            credited <= finalized,
            "the chain credited deposit {credited}, and {finalized} is final ({under})"
        );
        same("credited", credited, number)
    })
    .await;
}
