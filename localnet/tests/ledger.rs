//! The ledger process from outside: finality, real time, and state that outlives `kill -9`.
#![expect(
    clippy::disallowed_methods,
    reason = "a test of a process waits in real time"
)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use io_localnet::{
    ledger::genesis::{ASSOCIATED_TOKEN_PROGRAM, TOKEN_PROGRAM, associated_token_address},
    rpc::Rpc,
};
use serde_json::json;
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
    rpc: Rpc,
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
        let rpc = Rpc::new(&format!("http://127.0.0.1:{rpc_port}")).unwrap();
        rpc.wait_until_ready(Duration::from_secs(60)).await.unwrap();
        Self { child, rpc }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn clock_error_ms(&self) -> u128 {
        let (_, account) = self.rpc.account(&CLOCK, "confirmed").await.unwrap();
        let data = account.unwrap().data;
        let clock = u64::from_le_bytes(data[32..40].try_into().unwrap());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis();
        now.abs_diff(u128::from(clock) * 1000)
    }

    async fn tokens(&self, owner: &Pubkey, mint: &Pubkey) -> u64 {
        self.rpc
            .token_balance(&associated_token_address(owner, mint), "confirmed")
            .await
            .unwrap()
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
        [from, to].map(|owner| AccountMeta::new(associated_token_address(owner, mint), false));
    Instruction::new_with_bytes(
        TOKEN_PROGRAM,
        &data,
        vec![source, target, AccountMeta::new_readonly(*from, true)],
    )
}

fn open_token_account(payer: &Pubkey, owner: &Pubkey, mint: &Pubkey) -> Instruction {
    let accounts = vec![
        AccountMeta::new(*payer, true),
        AccountMeta::new(associated_token_address(owner, mint), false),
        AccountMeta::new_readonly(*owner, false),
        AccountMeta::new_readonly(*mint, false),
        AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
        AccountMeta::new_readonly(TOKEN_PROGRAM, false),
    ];
    Instruction::new_with_bytes(ASSOCIATED_TOKEN_PROGRAM, &[1], accounts)
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
    let rpc = &ledger.rpc;

    rpc.send(
        &[transfer_sol(&rich.pubkey(), &poor, 1_000_000_000)],
        &[&rich],
    )
    .await
    .unwrap();
    let (confirmed_slot, account) = rpc.account(&poor, "confirmed").await.unwrap();
    assert_eq!(account.unwrap().lamports, 1_000_000_000);
    let (finalized_slot, account) = rpc.account(&poor, "finalized").await.unwrap();
    assert_eq!(account, None, "a write must not be final at once");
    assert!(
        finalized_slot + 25 < confirmed_slot,
        "{finalized_slot} {confirmed_slot}"
    );
    let start = Instant::now();
    let final_at = loop {
        let (slot, account) = rpc.account(&poor, "finalized").await.unwrap();
        if let Some(account) = account {
            assert_eq!(account.lamports, 1_000_000_000);
            break slot;
        }
        assert!(start.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(SLOT_MS)).await;
    };
    assert!(
        final_at <= confirmed_slot + 3,
        "final at {final_at}, confirmed at {confirmed_slot}"
    );
    assert!(
        start.elapsed() >= Duration::from_millis(SLOT_MS * 25),
        "{:?}",
        start.elapsed()
    );

    // The canonical token account is where the token programs themselves look for it.
    let open = open_token_account(&rich.pubkey(), &poor, &mint);
    rpc.send(
        &[open, transfer_token(&mint, &rich.pubkey(), &poor, 7)],
        &[&rich],
    )
    .await
    .unwrap();
    assert_eq!(ledger.tokens(&poor, &mint).await, 7);
    assert_eq!(ledger.tokens(&rich.pubkey(), &mint).await, SUPPLY - 7);

    let refused = rpc
        .call(
            "surfnet_setAccount",
            json!([poor.to_string(), {"lamports": 1}]),
        )
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("-32601"), "{refused}");
    let refused = rpc
        .call("getProgramAccounts", json!([TOKEN_PROGRAM.to_string()]))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("-32601"), "{refused}");
    let ahead = json!([poor.to_string(), {"encoding": "base64", "minContextSlot": confirmed_slot + 10_000}]);
    let refused = rpc.call("getAccountInfo", ahead).await.unwrap_err();
    assert!(refused.to_string().contains("-32016"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_slot_and_clock_outlive_kill_9_under_load() {
    let home = tempfile::tempdir().unwrap();
    let (rich, other, mint) = (Keypair::new(), Pubkey::new_unique(), Pubkey::new_unique());
    write_genesis(home.path(), &rich.pubkey(), &mint);
    let ports = free_ports();
    let mut slot = 0;
    let mut sent = 0;
    for round in 0..3 {
        let mut ledger = Ledger::start(home.path(), ports).await;
        let now = ledger.rpc.slot("processed").await.unwrap();
        assert!(now > slot, "slot {now} after {slot}");
        let error = ledger.clock_error_ms().await;
        assert!(
            error < 2_000,
            "clock is off by {error} ms after start {round}"
        );
        if round == 0 {
            ledger
                .rpc
                .send(
                    &[open_token_account(&rich.pubkey(), &other, &mint)],
                    &[&rich],
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
            theirs >= sent,
            "{theirs} arrived of {sent} that were confirmed"
        );

        let deadline = Instant::now() + Duration::from_secs(3);
        sent = theirs;
        while Instant::now() < deadline {
            // Amounts differ, because equal transactions in one block are one transaction.
            let amount = sent % 7 + 1;
            ledger
                .rpc
                .send(
                    &[transfer_token(&mint, &rich.pubkey(), &other, amount)],
                    &[&rich],
                )
                .await
                .unwrap();
            sent += amount;
        }
        let error = ledger.clock_error_ms().await;
        assert!(error < 2_000, "clock is off by {error} ms under load");
        slot = ledger.rpc.slot("processed").await.unwrap();
        // The last transfer is in the middle of its way when the process dies.
        let (rpc, last) = (
            ledger.rpc.clone(),
            transfer_token(&mint, &rich.pubkey(), &other, 100),
        );
        let key = rich.insecure_clone();
        let cut = tokio::spawn(async move { rpc.send(&[last], &[&key]).await.is_ok() });
        tokio::time::sleep(Duration::from_millis(5 * round)).await;
        ledger.kill();
        sent += u64::from(cut.await.unwrap()) * 100;
    }
}
