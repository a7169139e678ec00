//! The ledger process from outside: finality, real time, and state that outlives `kill -9`.

use std::time::{Duration, Instant};

use io_client::solana::{Commitment, program::create_token_account};
use io_localnet::ledger::genesis::TOKEN_PROGRAM;
use serde_json::json;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

use crate::support::{
    Ledger, SLOT_MS, SUPPLY, free_ports, transfer_sol, transfer_token, write_genesis,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_confirmed_at_once_and_final_after_31_slots() {
    let home = tempfile::tempdir().unwrap();
    let (rich, poor, mint) = (Keypair::new(), Pubkey::new_unique(), Pubkey::new_unique());
    write_genesis(home.path(), &rich.pubkey(), &mint);
    let ledger = Ledger::start(home.path(), free_ports()).await;

    let sent = Instant::now();
    let slot = ledger
        .send(&[transfer_sol(&rich.pubkey(), &poor, 1_000_000_000)], &rich)
        .await
        .unwrap();
    assert_eq!(
        ledger.lamports(&poor, Commitment::Confirmed).await.1,
        Some(1_000_000_000)
    );
    let (finalized_slot, before) = ledger.lamports(&poor, Commitment::Finalized).await;
    assert!(finalized_slot < slot, "{finalized_slot} {slot}");
    assert_eq!(before, None, "a write must not be final at once");
    let final_at = loop {
        let (at, lamports) = ledger.lamports(&poor, Commitment::Finalized).await;
        if lamports == Some(1_000_000_000) {
            break at;
        }
        assert_eq!(lamports, None);
        assert!(at < slot + 2, "not final at {at}, written in {slot}");
        tokio::time::sleep(Duration::from_millis(SLOT_MS)).await;
    };
    assert!(final_at >= slot, "final at {final_at}, written in {slot}");
    assert!(
        sent.elapsed() >= Duration::from_millis(SLOT_MS * 30),
        "{:?}",
        sent.elapsed()
    );

    // The canonical token account is where the token programs themselves look for it.
    let open = create_token_account(&rich.pubkey(), &poor, &mint);
    ledger
        .send(
            &[open, transfer_token(&mint, &rich.pubkey(), &poor, 7)],
            &rich,
        )
        .await
        .unwrap();
    assert_eq!(ledger.tokens(&poor, &mint).await, 7);
    assert_eq!(ledger.tokens(&rich.pubkey(), &mint).await, SUPPLY - 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_break_finality_or_change_state_without_a_transaction_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (rich, mint) = (Keypair::new(), Pubkey::new_unique());
    write_genesis(home.path(), &rich.pubkey(), &mint);
    let ledger = Ledger::start(home.path(), free_ports()).await;
    let key = rich.pubkey().to_string();
    assert_eq!(
        ledger
            .refusal("surfnet_setAccount", json!([key, {"lamports": 1}]))
            .await,
        -32601
    );
    assert_eq!(
        ledger
            .refusal("getProgramAccounts", json!([TOKEN_PROGRAM.to_string()]))
            .await,
        -32601
    );
    let ahead = json!([key, {"encoding": "base64", "minContextSlot": 1_000_000}]);
    assert_eq!(ledger.refusal("getAccountInfo", ahead).await, -32016);
    assert_eq!(
        ledger.refusal("getAccountInfo", json!(["no key"])).await,
        -32602
    );
    let many: Vec<&String> = std::iter::repeat_n(&key, 101).collect();
    assert_eq!(
        ledger.refusal("getMultipleAccounts", json!([many])).await,
        -32602
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn state_slot_and_clock_outlive_kill_9_under_load() {
    let home = tempfile::tempdir().unwrap();
    let (rich, other, mint) = (Keypair::new(), Pubkey::new_unique(), Pubkey::new_unique());
    write_genesis(home.path(), &rich.pubkey(), &mint);
    let ports = free_ports();
    let (mut slot, mut arrived) = (0, 0);
    let mut cluster = None;
    for round in 0..3 {
        let mut ledger = Ledger::start(home.path(), ports).await;
        let named = ledger.rpc.genesis_hash().await.unwrap();
        assert_eq!(
            *cluster.get_or_insert(named),
            named,
            "it became another cluster"
        );
        let now = ledger.rpc.slot(Commitment::Processed).await.unwrap();
        assert!(now > slot, "slot {now} after {slot}");
        let error = ledger.clock_error_ms().await;
        assert!(
            error < 2_000,
            "clock is off by {error} ms after start {round}"
        );
        if round == 0 {
            ledger
                .send(
                    &[create_token_account(&rich.pubkey(), &other, &mint)],
                    &rich,
                )
                .await
                .unwrap();
        }
        let [mine, theirs] = [
            ledger.tokens(&rich.pubkey(), &mint).await,
            ledger.tokens(&other, &mint).await,
        ];
        assert_eq!(mine + theirs, SUPPLY, "half a transaction was kept");
        assert!(
            theirs >= arrived,
            "{theirs} are there, {arrived} were confirmed"
        );
        arrived = theirs;

        let load = (1..=40).map(|amount| {
            let instruction = transfer_token(&mint, &rich.pubkey(), &other, amount);
            let (rpc, key) = (ledger.rpc.clone(), rich.insecure_clone());
            async move {
                rpc.send_and_confirm(&[instruction], &[&key], Commitment::Confirmed)
                    .await
                    .unwrap()
            }
        });
        futures_util::future::join_all(load).await;
        arrived += (1..=40).sum::<u64>();
        let error = ledger.clock_error_ms().await;
        assert!(error < 2_000, "clock is off by {error} ms under load");
        slot = ledger.rpc.slot(Commitment::Processed).await.unwrap();
        // These are in the middle of their way when the process dies.
        for amount in 100..110 {
            let last = transfer_token(&mint, &rich.pubkey(), &other, amount);
            let (rpc, key) = (ledger.rpc.clone(), rich.insecure_clone());
            tokio::spawn(async move {
                rpc.send_and_confirm(&[last], &[&key], Commitment::Confirmed)
                    .await
            });
        }
        tokio::time::sleep(Duration::from_millis(10 * round)).await;
        ledger.kill();
    }
}
