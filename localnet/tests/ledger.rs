//! The ledger process from outside: finality, real time, and state that outlives `kill -9`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's own functions may stop it"
)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use io_client::solana::{
    Commitment, SolanaError, SolanaRpc, program::create_token_account, token_address,
};
use io_localnet::ledger::genesis::TOKEN_PROGRAM;
use serde_json::{Value, json};
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

const SYSTEM_PROGRAM: Pubkey = Pubkey::new_from_array([0; 32]);
const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");
const SLOT_MS: u64 = 50;
const SUPPLY: u64 = 1_000_000;

struct Ledger {
    child: Child,
    url: String,
    rpc: SolanaRpc,
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ledger {
    async fn start(home: &Path, ports: [u16; 3]) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(home.join("log"))
            .unwrap();
        let [rpc_port, ws_port, inner_port] = ports.map(|port| port.to_string());
        let child = Command::new(env!("CARGO_BIN_EXE_io-localnet"))
            .args(["ledger", "--home"])
            .arg(home.join("state"))
            .arg("--genesis")
            .arg(home.join("genesis.toml"))
            .args([
                "--rpc-port",
                &rpc_port,
                "--ws-port",
                &ws_port,
                "--inner-port",
                &inner_port,
            ])
            .args(["--slot-ms", &SLOT_MS.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{rpc_port}");
        let rpc = SolanaRpc::new(&[&url]).unwrap();
        let start = Instant::now();
        while rpc.health().await.is_err() {
            assert!(
                start.elapsed() < Duration::from_mins(1),
                "the ledger does not start"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { child, url, rpc }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn send(&self, instructions: &[Instruction], key: &Keypair) -> Result<u64, SolanaError> {
        let landed = self
            .rpc
            .send_and_confirm(instructions, &[key], Commitment::Confirmed)
            .await?;
        Ok(landed.slot)
    }

    /// Slot of the answer, and the lamports if the account exists.
    async fn lamports(&self, key: &Pubkey, commitment: Commitment) -> (u64, Option<u64>) {
        let mut answer = self.rpc.accounts(&[*key], commitment, None).await.unwrap();
        (
            answer.slot,
            answer.value.pop().unwrap().map(|account| account.lamports),
        )
    }

    async fn clock_error_ms(&self) -> u128 {
        let account = self
            .rpc
            .account(&CLOCK, Commitment::Confirmed)
            .await
            .unwrap();
        let clock = u64::from_le_bytes(account.unwrap().data[32..40].try_into().unwrap());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis();
        now.abs_diff(u128::from(clock) * 1000)
    }

    async fn tokens(&self, owner: &Pubkey, mint: &Pubkey) -> u64 {
        self.rpc
            .token_balance(&token_address(owner, mint), Commitment::Confirmed)
            .await
            .unwrap()
            .amount
    }

    /// The code of the error that a raw request gets.
    async fn refusal(&self, method: &str, params: Value) -> i64 {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = reqwest::Client::new()
            .post(&self.url)
            .json(&request)
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["error"]["code"].as_i64().unwrap()
    }
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn transfer_sol(from: &Pubkey, to: &Pubkey, lamports: u64) -> Instruction {
    let mut data = 2_u32.to_le_bytes().to_vec();
    data.extend_from_slice(&lamports.to_le_bytes());
    Instruction::new_with_bytes(
        SYSTEM_PROGRAM,
        &data,
        vec![AccountMeta::new(*from, true), AccountMeta::new(*to, false)],
    )
}

fn transfer_token(mint: &Pubkey, from: &Pubkey, to: &Pubkey, amount: u64) -> Instruction {
    let mut data = vec![3];
    data.extend_from_slice(&amount.to_le_bytes());
    let [source, target] =
        [from, to].map(|owner| AccountMeta::new(token_address(owner, mint), false));
    Instruction::new_with_bytes(
        TOKEN_PROGRAM,
        &data,
        vec![source, target, AccountMeta::new_readonly(*from, true)],
    )
}

fn write_genesis(home: &Path, rich: &Pubkey, mint: &Pubkey) {
    let text = format!(
        "[[mint]]\naddress = \"{mint}\"\ndecimals = 8\nauthority = \"{rich}\"\n\
         [[account]]\naddress = \"{rich}\"\nlamports = 100000000000\n\
         [[token]]\nmint = \"{mint}\"\nowner = \"{rich}\"\namount = {SUPPLY}\n"
    );
    std::fs::write(home.join("genesis.toml"), text).unwrap();
}

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
    for round in 0..3 {
        let mut ledger = Ledger::start(home.path(), ports).await;
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
