//! A ledger process for a test, and the few instructions that tests send.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use io_client::solana::{Commitment, SolanaError, SolanaRpc, token_address};
use io_localnet::ledger::genesis::TOKEN_PROGRAM;
use serde_json::{Value, json};
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;

const SYSTEM_PROGRAM: Pubkey = Pubkey::new_from_array([0; 32]);
const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");
pub(crate) const SLOT_MS: u64 = 50;
pub(crate) const SUPPLY: u64 = 1_000_000;

pub(crate) struct Ledger {
    child: Child,
    url: String,
    pub(crate) rpc: SolanaRpc,
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ledger {
    pub(crate) async fn start(home: &Path, ports: [u16; 3]) -> Self {
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

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn send(
        &self,
        instructions: &[Instruction],
        key: &Keypair,
    ) -> Result<u64, SolanaError> {
        let landed = self
            .rpc
            .send_and_confirm(instructions, &[key], Commitment::Confirmed)
            .await?;
        Ok(landed.slot)
    }

    /// Slot of the answer, and the lamports if the account exists.
    pub(crate) async fn lamports(
        &self,
        key: &Pubkey,
        commitment: Commitment,
    ) -> (u64, Option<u64>) {
        let mut answer = self.rpc.accounts(&[*key], commitment, None).await.unwrap();
        (
            answer.slot,
            answer.value.pop().unwrap().map(|account| account.lamports),
        )
    }

    /// How far the ledger's clock is from all times between question and answer.
    pub(crate) async fn clock_error_ms(&self) -> u128 {
        let asked = unix_ms();
        let account = self
            .rpc
            .account(&CLOCK, Commitment::Confirmed)
            .await
            .unwrap();
        let clock = u64::from_le_bytes(account.unwrap().data[32..40].try_into().unwrap());
        let clock = u128::from(clock) * 1000;
        asked
            .saturating_sub(clock)
            .max(clock.saturating_sub(unix_ms()))
    }

    pub(crate) async fn tokens(&self, owner: &Pubkey, mint: &Pubkey) -> u64 {
        self.rpc
            .token_balance(&token_address(owner, mint), Commitment::Confirmed)
            .await
            .unwrap()
            .amount
    }

    /// The code of the error that a raw request gets.
    pub(crate) async fn refusal(&self, method: &str, params: Value) -> i64 {
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

fn unix_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

pub(crate) fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

pub(crate) fn transfer_sol(from: &Pubkey, to: &Pubkey, lamports: u64) -> Instruction {
    let mut data = 2_u32.to_le_bytes().to_vec();
    data.extend_from_slice(&lamports.to_le_bytes());
    Instruction::new_with_bytes(
        SYSTEM_PROGRAM,
        &data,
        vec![AccountMeta::new(*from, true), AccountMeta::new(*to, false)],
    )
}

pub(crate) fn transfer_token(
    mint: &Pubkey,
    from: &Pubkey,
    to: &Pubkey,
    amount: u64,
) -> Instruction {
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

pub(crate) fn write_genesis(home: &Path, rich: &Pubkey, mint: &Pubkey) {
    let text = format!(
        "[[mint]]\naddress = \"{mint}\"\ndecimals = 8\nauthority = \"{rich}\"\n\
         [[account]]\naddress = \"{rich}\"\nlamports = 100000000000\n\
         [[token]]\nmint = \"{mint}\"\nowner = \"{rich}\"\namount = {SUPPLY}\n"
    );
    std::fs::write(home.join("genesis.toml"), text).unwrap();
}
