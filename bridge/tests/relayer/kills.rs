//! What a relayer that dies leaves behind: around every kind of sending, another one goes on and nothing happens twice.

use std::path::Path;
use std::time::Duration;

use io_bridge::relayer::{ClaimFor, Relayer, Step};
use io_settlement::address::SIGNATURES_SEED;
use io_settlement::batch::{Kind, SettleBody};
use io_types::Asset;
use solana_pubkey::Pubkey;

use crate::chain::account;
use crate::ledger::TREASURY;
use crate::scenes::{PATIENCE, SOL, Stage, config_file, payer, program, settled};

/// Runs a relayer that dies at this place, and waits until it has.
async fn dies_at(config: &Path, point: &str) {
    let mut killed = program(config, "run")
        .env("IO_FAILPOINT", point)
        .spawn()
        .unwrap();
    let status = tokio::time::timeout(PATIENCE, killed.wait())
        .await
        .unwrap_or_else(|_elapsed| panic!("{point} is never reached"))
        .unwrap();
    assert!(!status.success(), "{point}");
}

fn signatures_account(stage: &Stage, body: &SettleBody) -> Pubkey {
    let epoch = body.set_epoch.to_le_bytes();
    let seeds: [&[u8]; 4] = [
        SIGNATURES_SEED,
        &[Kind::Settle.byte()],
        &epoch,
        &body.hash(),
    ];
    Pubkey::find_program_address(&seeds, &stage.ledger.program).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_relayer_is_followed_by_another_that_goes_on() {
    let stage = Stage::set().await;
    let config = config_file(stage.folder.path(), &stage.config(30, SOL));
    let points = [
        "relayer:before_post",
        "relayer:after_post",
        "relayer:before_settle",
        "relayer:after_settle",
    ];
    for (number, point) in (1..).zip(points) {
        let emitted = 1000 * number;
        stage
            .chain
            .freeze(&stage.ledger.bridge(), emitted, &[], &[0, 1, 2]);
        dies_at(&config, point).await;
        let is_done = point == "relayer:after_settle";
        assert_eq!(
            stage.ledger.bridge().last.number == number,
            is_done,
            "{point}"
        );

        let mut next = program(&config, "run").spawn().unwrap();
        let started = std::time::Instant::now();
        while stage.ledger.bridge().last.number != number {
            assert!(
                started.elapsed() < PATIENCE,
                "{point}: batch {number} is not settled"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        next.kill().await.unwrap();
        assert_eq!(
            stage.ledger.bridge().state.counters.minted,
            emitted,
            "{point}"
        );
        assert_eq!(stage.ledger.supply(), TREASURY + emitted, "{point}");
    }
    let output = program(&config, "status")
        .arg("--json")
        .output()
        .await
        .unwrap();
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["settled"], &report["newest"]),
        (&4.into(), &4.into())
    );
    let payer = payer(30);
    assert!(stage.ledger.exists(&payer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relayer_that_is_killed_around_a_claim_pays_once() {
    let stage = Stage::set().await;
    let receiver = account(51);
    let owner = Pubkey::new_from_array(receiver.0);
    stage.ledger.make_token_account(&owner, 0);
    let mut config = stage.config(30, SOL);
    config.claim = vec![ClaimFor {
        account: receiver,
        asset: Asset::Io,
        minimum: 1,
    }];
    let file = config_file(stage.folder.path(), &config);
    let freeze = |cumulative| {
        let bridge = stage.ledger.bridge();
        stage
            .chain
            .freeze(&bridge, 9000, &[(receiver, cumulative)], &[0, 1, 2])
    };
    let paid = || stage.ledger.tokens(&owner, 0);

    // Settled, and dead before the claim is out: the next one pays.
    freeze(700);
    dies_at(&file, "relayer:before_claim").await;
    assert_eq!((stage.ledger.bridge().last.number, paid()), (1, 0));
    let steps = Relayer::new(config.clone()).unwrap().round().await.unwrap();
    assert!(
        matches!(&steps[..], [Step::Claimed { account, due: 700, .. }] if *account == receiver),
        "{steps:?}"
    );
    assert_eq!(paid(), 700);

    // Dead with the claim's fate unknown: it has landed, and the next one finds nothing due.
    freeze(900);
    dies_at(&file, "relayer:after_claim").await;
    assert_eq!((stage.ledger.bridge().last.number, paid()), (2, 900));
    let sent = stage.ledger.sent();
    let steps = Relayer::new(config).unwrap().round().await.unwrap();
    assert_eq!((steps, stage.ledger.sent()), (vec![], sent));
    assert_eq!(paid(), 900);
    assert_eq!(stage.ledger.bridge().state.counters.claimed, [900, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relayer_that_is_killed_around_a_close_gets_its_rent_once() {
    let stage = Stage::set().await;
    let config = stage.config(30, SOL);
    let file = config_file(stage.folder.path(), &config);
    let bridge = stage.ledger.bridge();
    let body = stage.chain.freeze(&bridge, 10, &[], &[0, 1, 2]);
    let marks = signatures_account(&stage, &body);
    // One posts and dies, another settles with the account that the first one paid for.
    dies_at(&file, "relayer:before_settle").await;
    let other = Relayer::new(stage.config(31, SOL)).unwrap().round().await;
    assert_eq!(settled(&other.unwrap()), [1]);
    let rent = stage.ledger.lamports(&marks);
    assert!(rent > 0, "the signatures account stays its payer's");

    let before = stage.ledger.lamports(&payer(30));
    dies_at(&file, "relayer:before_close").await;
    assert_eq!(
        (
            stage.ledger.lamports(&marks),
            stage.ledger.lamports(&payer(30))
        ),
        (rent, before)
    );
    dies_at(&file, "relayer:after_close").await;
    let after = stage.ledger.lamports(&payer(30));
    assert!(!stage.ledger.exists(&marks));
    // All of it but one transaction's fee.
    assert!(
        after > before && before + rent - after < SOL / 10_000,
        "{before} lamports before, {after} after, rent {rent}"
    );
    let sent = stage.ledger.sent();
    let steps = Relayer::new(config).unwrap().round().await.unwrap();
    assert_eq!((steps, stage.ledger.sent()), (vec![], sent));
    assert_eq!(stage.ledger.lamports(&payer(30)), after);
}
