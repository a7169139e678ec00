//! What relayers do and survive.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use io_bridge::relayer::init::Made;
use io_bridge::relayer::{ClaimFor, Config, Fee, InitError, InitPlan, RelayError, Relayer, Step};
use io_client::Wallet;
use io_client::solana::program::token_address;
use io_client::solana::{BridgeProgram, Commitment, SolanaError, SolanaRpc, bridge_address};
use io_types::{AccountId, Asset};
use solana_pubkey::Pubkey;
use tempfile::TempDir;

use crate::chain::{CHAIN, Chain, GENESIS_IO, account, spec};
use crate::ledger::{Ledger, TREASURY};

pub(crate) const SOL: u64 = 1_000_000_000;
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A ledger with its bridge, a chain, and a folder for keys.
pub(crate) struct Stage {
    pub(crate) ledger: Ledger,
    pub(crate) chain: Chain,
    pub(crate) folder: TempDir,
}

fn plan(ledger: &Ledger, fund: bool) -> InitPlan {
    InitPlan {
        spec: spec(ledger),
        authority: ledger.authority.insecure_clone(),
        deposit_min: [1000, 1000],
        flags: 0,
        vaults: [None, None],
        stake_vault: None,
        fund,
        price: 10,
    }
}

impl Stage {
    /// A ledger with its bridge, and a chain.
    pub(crate) async fn set() -> Self {
        let ledger = Ledger::start().await;
        let plan = plan(&ledger, true);
        let made = plan.carry_out(&rpc(&ledger)).await.unwrap();
        assert!(made.signature.is_some());
        Self {
            chain: Chain::start(plan.spec).await,
            ledger,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A relayer's configuration and key, with so many lamports.
    pub(crate) fn config(&self, seed: u8, lamports: u64) -> Config {
        let wallet = Wallet::from_seed([seed; 32]);
        let key = self.folder.path().join(format!("relayer-{seed}.json"));
        wallet.save(&key).unwrap();
        self.ledger.airdrop(&payer(seed), lamports);
        Config {
            nodes: vec![self.chain.url()],
            solana: vec![self.ledger.url()],
            program: AccountId(self.ledger.program.to_bytes()),
            key,
            pay_to: Some(account(70)),
            members: None,
            poll_ms: 100,
            reserve_lamports: SOL / 100,
            fee: Fee::default(),
            claim: Vec::new(),
        }
    }

    async fn deposit(&self, amount: u64, to: AccountId) {
        let rpc = rpc(&self.ledger);
        let authority = &self.ledger.authority;
        let depositor = solana_signer::Signer::pubkey(authority);
        let bridge = BridgeProgram::read(&rpc, self.ledger.program, Commitment::Confirmed)
            .await
            .unwrap();
        let source = token_address(&depositor, &self.ledger.mints[0]);
        let asset = io_settlement::Asset::Io;
        let step = bridge
            .deposit(&depositor, &source, asset, amount, to.0)
            .unwrap();
        rpc.send_and_confirm(&[step], &[authority], Commitment::Confirmed)
            .await
            .unwrap();
    }
}

fn rpc(ledger: &Ledger) -> SolanaRpc {
    SolanaRpc::new(&[ledger.url()]).unwrap()
}

pub(crate) fn payer(seed: u8) -> Pubkey {
    Pubkey::new_from_array(account(seed).0)
}

pub(crate) fn settled(steps: &[Step]) -> Vec<u64> {
    let numbers = steps.iter().filter_map(|step| match step {
        Step::Settled { number, .. } => Some(*number),
        _ => None,
    });
    numbers.collect()
}

fn waits(steps: &[Step]) -> String {
    let texts = steps.iter().filter_map(|step| match step {
        Step::Waiting(why) => Some(why.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_is_made_once_and_only_for_its_genesis() {
    let ledger = Ledger::start().await;
    let rpc = rpc(&ledger);
    // Without the tokens that the genesis puts on the chain there is no bridge, but all that was made for it stays.
    let error = plan(&ledger, false).carry_out(&rpc).await.unwrap_err();
    let bridge = bridge_address(&ledger.program);
    let vault = token_address(&bridge, &ledger.mints[0]);
    assert!(
        matches!(error, InitError::VaultShort { vault: found, asset: Asset::Io, missing: GENESIS_IO } if found == vault),
        "{error}"
    );
    let sent = ledger.sent();
    let plan = plan(&ledger, true);
    let Made {
        signature, queue, ..
    } = plan.carry_out(&rpc).await.unwrap();
    assert!(signature.is_some());
    assert_eq!(ledger.sent(), sent + 2, "the tokens, and `initialize`");
    assert_eq!(ledger.token_balance(&vault), GENESIS_IO);
    assert_eq!(
        ledger.bridge().config.time,
        io_bridge::relayer::init::facts::time_params(&plan.spec)
    );

    let again = plan.carry_out(&rpc).await.unwrap();
    assert_eq!((again.signature, again.queue), (None, queue));
    let mut other = plan;
    other.spec.chain_id = "another".to_owned();
    let error = other.carry_out(&rpc).await.unwrap_err();
    assert!(
        matches!(
            error,
            InitError::OtherBridge {
                field: "chain id",
                ..
            }
        ),
        "{error}"
    );
    other.spec.bridge.cluster.0 = [9; 32];
    let error = other.carry_out(&rpc).await.unwrap_err();
    assert!(matches!(error, InitError::Cluster { .. }), "{error}");
    other.spec = spec(&ledger);
    other.spec.bridge.program = account(3);
    let error = other.carry_out(&rpc).await.unwrap_err();
    assert!(matches!(error, InitError::NoProgram(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_batch_is_settled_and_an_account_is_paid() {
    let stage = Stage::set().await;
    let mut config = stage.config(30, SOL);
    let receiver = account(51);
    config.claim = vec![ClaimFor {
        account: receiver,
        asset: Asset::Io,
        minimum: 100,
    }];
    let mut relayer = Relayer::new(config.clone()).unwrap();
    assert_eq!(relayer.round().await.unwrap(), []);
    stage.deposit(5000, account(52)).await;

    let body = stage.chain.freeze(
        &stage.ledger.bridge(),
        9000,
        &[(account(52), 500), (receiver, 700)],
        &[0, 1, 2, 3],
    );
    let steps = relayer.round().await.unwrap();
    assert_eq!(settled(&steps), [1]);
    // Three of four equal members are more than two thirds.
    assert!(
        steps.contains(&Step::Posted {
            number: 1,
            count: 3
        }),
        "{steps:?}"
    );
    let bridge = stage.ledger.bridge();
    assert_eq!(
        (bridge.last.number, bridge.last.batch_hash),
        (1, body.hash())
    );
    assert_eq!(bridge.last.relayer, account(70).0);
    assert_eq!(
        (bridge.state.freed_number, bridge.state.counters.minted),
        (1, 9000)
    );
    assert_eq!(stage.ledger.supply(), TREASURY + 9000);
    // The receiver has no token account yet: that is said, and costs nothing.
    let text = waits(&steps);
    assert!(
        text.contains("700 base units of io wait") && text.contains("does not exist"),
        "{text}"
    );

    stage
        .ledger
        .make_token_account(&Pubkey::new_from_array(receiver.0), 0);
    let mut relayer = Relayer::new(config.clone()).unwrap();
    let steps = relayer.round().await.unwrap();
    assert!(
        matches!(&steps[..], [Step::Claimed { account, due: 700, .. }] if *account == receiver),
        "{steps:?}"
    );
    assert_eq!(
        stage.ledger.tokens(&Pubkey::new_from_array(receiver.0), 0),
        700
    );
    // Less than the minimum waits; nothing is paid twice.
    stage.chain.freeze(
        &bridge,
        9000,
        &[(account(52), 500), (receiver, 750)],
        &[0, 1, 2],
    );
    assert_eq!(settled(&relayer.round().await.unwrap()), [2]);
    assert_eq!(
        stage.ledger.tokens(&Pubkey::new_from_array(receiver.0), 0),
        700
    );
    let report = relayer.report().await.unwrap();
    assert_eq!(
        (report.settled, report.newest, report.ready, report.waits),
        (2, 2, None, None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_signed_batch_is_settled_and_the_rents_come_back() {
    let stage = Stage::set().await;
    let mut relayer = Relayer::new(stage.config(30, SOL)).unwrap();
    let bridge = stage.ledger.bridge();
    stage.chain.freeze(&bridge, 10, &[], &[0, 1, 2]);
    stage.chain.freeze(&bridge, 20, &[], &[0, 1, 2]);
    stage.chain.freeze(&bridge, 30, &[], &[0, 1]);
    let steps = relayer.round().await.unwrap();
    assert_eq!(settled(&steps), [2]);
    assert_eq!(stage.ledger.bridge().state.counters.minted, 20);
    let steps = relayer.round().await.unwrap();
    assert!(
        waits(&steps).contains("batch 3 is signed by 20 of 40 power"),
        "{steps:?}"
    );
    // All that was paid are fees and the member set's account; the signatures account is closed.
    let spent = SOL - stage.ledger.lamports(&payer(30));
    assert!(spent < SOL / 300, "{spent} lamports");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lies_about_signatures_gets_nothing_sent() {
    let stage = Stage::set().await;
    let mut relayer = Relayer::new(stage.config(30, SOL)).unwrap();
    stage
        .chain
        .freeze(&stage.ledger.bridge(), 10, &[], &[0, 1, 2]);
    stage.chain.spoil_signature(1);
    let sent = stage.ledger.sent();
    let steps = relayer.round().await.unwrap();
    assert!(
        waits(&steps).contains("batch 1 is signed by 20 of 40 power"),
        "{steps:?}"
    );
    assert_eq!(stage.ledger.sent(), sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_race_is_seen_before_anything_is_sent() {
    let stage = Stage::set().await;
    let mut first = Relayer::new(stage.config(30, SOL)).unwrap();
    let mut second = Relayer::new(stage.config(31, SOL)).unwrap();
    stage
        .chain
        .freeze(&stage.ledger.bridge(), 10, &[], &[0, 1, 2]);
    stage.ledger.freeze_bridge();
    assert_eq!(settled(&first.round().await.unwrap()), [1]);
    // The second one still sees the bridge as it was. It may post signatures, but no settlement is sent.
    let steps = second.round().await.unwrap();
    assert!(steps.contains(&Step::LostRace { number: 1 }), "{steps:?}");
    assert_eq!(settled(&steps), Vec::<u64>::new());
    stage.ledger.thaw_bridge();
    assert_eq!(stage.ledger.bridge().state.counters.minted, 10);
    assert_eq!(settled(&second.round().await.unwrap()), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_sol_the_relayer_waits_and_says_for_what() {
    let stage = Stage::set().await;
    let mut relayer = Relayer::new(stage.config(30, SOL / 1000)).unwrap();
    stage
        .chain
        .freeze(&stage.ledger.bridge(), 10, &[], &[0, 1, 2]);
    let sent = stage.ledger.sent();
    let error = relayer.round().await.unwrap_err();
    let RelayError::NoSol {
        payer: who,
        lamports,
        needed,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (*who, *lamports, *needed),
        (payer(30), SOL / 1000, SOL / 100)
    );
    assert!(error.to_string().contains("send it SOL"));
    let report = relayer.report().await.unwrap();
    assert_eq!((report.ready, report.waits.is_some()), (Some(1), true));
    assert_eq!(stage.ledger.sent(), sent);
    stage.ledger.airdrop(&payer(30), SOL);
    assert_eq!(settled(&relayer.round().await.unwrap()), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_and_program_that_do_not_belong_together_are_refused() {
    let stage = Stage::set().await;
    let mut config = stage.config(30, SOL);
    config.program = account(9);
    let error = Relayer::new(config).unwrap().round().await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
    let mut other = spec(&stage.ledger);
    other.validators.truncate(3);
    let chain = Chain::start(other).await;
    let mut config = stage.config(31, SOL);
    config.nodes = vec!["http://127.0.0.1:1".to_owned(), chain.url()];
    let error = Relayer::new(config.clone())
        .unwrap()
        .round()
        .await
        .unwrap_err();
    assert!(
        matches!(&error, RelayError::Mismatch(why) if why.contains("member set")),
        "{error}"
    );
    // A node that is down is passed over.
    config.nodes = vec!["http://127.0.0.1:1".to_owned(), stage.chain.url()];
    assert_eq!(Relayer::new(config).unwrap().round().await.unwrap(), []);
    assert_eq!(CHAIN, spec(&stage.ledger).chain_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_down_is_waited_for() {
    let stage = Stage::set().await;
    let config = stage.config(30, SOL);
    let mut relayer = Relayer::new(config.clone()).unwrap();
    stage
        .chain
        .freeze(&stage.ledger.bridge(), 10, &[], &[0, 1, 2]);
    stage.ledger.set_down(true);
    let error = relayer.round().await.unwrap_err();
    assert!(
        matches!(&error, RelayError::Solana(SolanaError::Unreachable { .. })),
        "{error}"
    );
    // The program itself shows what it waits for, goes on waiting, and settles as soon as it can.
    let file = config_file(stage.folder.path(), &config);
    let status = program(&file, "status").output().await.unwrap();
    assert_eq!(status.status.code(), Some(2), "out of reach is not refused");
    let mut running = program(&file, "run").spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(running.try_wait().unwrap(), None);
    stage.ledger.set_down(false);
    let started = std::time::Instant::now();
    while stage.ledger.bridge().last.number != 1 {
        assert!(started.elapsed() < PATIENCE, "batch 1 is not settled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.start_kill().unwrap();
    let output = running.wait_with_output().await.unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        words.matches("waiting").count(),
        1,
        "a reason is shown once: {words}"
    );
    assert!(words.contains("cannot reach Solana"), "{words}");
}

/// Writes the configuration as a file for the program.
pub(crate) fn config_file(folder: &Path, config: &Config) -> PathBuf {
    let path = folder.join("relayer.toml");
    std::fs::write(&path, toml::to_string(config).unwrap()).unwrap();
    path
}

pub(crate) fn program(config: &Path, verb: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_io-relayer"));
    command
        .arg(verb)
        .arg("--config")
        .arg(config)
        .kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
