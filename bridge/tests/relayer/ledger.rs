//! A Solana runtime with the program, SPL Token and the ed25519 precompile behind JSON-RPC.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use io_client::solana::program::token_address;
use io_settlement::account::Bridge;
use io_settlement::address::{CLOCK_SYSVAR, UPGRADEABLE_LOADER};
use litesvm::LiteSVM;
use serde_json::{Value, json};
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer as _;
use solana_transaction::versioned::VersionedTransaction;
use tokio::task::JoinHandle;

const PROGRAM_ELF: &[u8] = include_bytes!("../../program/settlement.so");
const TOKEN: Pubkey = Pubkey::new_from_array(io_settlement::address::TOKEN_PROGRAM);
const MINT_LEN: usize = 82;

pub(crate) const CLUSTER: [u8; 32] = [0xc1; 32];
/// What the authority's own token accounts hold, base units.
pub(crate) const TREASURY: u64 = 1_000_000_000_000_000;

struct Inner {
    svm: LiteSVM,
    height: u64,
    /// Answers of the bridge account that stand still, as those of an endpoint that is behind.
    stale_bridge: Option<(Pubkey, Vec<u8>)>,
    sent: usize,
    is_down: bool,
}

/// One ledger on a port of its own.
pub(crate) struct Ledger {
    inner: Arc<Mutex<Inner>>,
    port: u16,
    task: JoinHandle<()>,
    pub(crate) program: Pubkey,
    pub(crate) authority: Keypair,
    pub(crate) mints: [Pubkey; 2],
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn keypair(seed: u8) -> Keypair {
    Keypair::new_from_array([seed; 32])
}

impl Ledger {
    /// The program with its upgrade authority, both mints, and the authority's token accounts.
    pub(crate) async fn start() -> Self {
        let (program, authority) = (keypair(100).pubkey(), keypair(101));
        let mut svm = LiteSVM::new();
        svm.airdrop(&authority.pubkey(), 100_000_000_000).unwrap();
        svm.add_program(program, PROGRAM_ELF).unwrap();
        let loader = Pubkey::new_from_array(UPGRADEABLE_LOADER);
        let data = Pubkey::find_program_address(&[program.as_ref()], &loader).0;
        let mut account = svm.get_account(&data).unwrap();
        account.data[12] = 1;
        account.data[13..45].copy_from_slice(authority.pubkey().as_ref());
        svm.set_account(data, account).unwrap();
        let inner = Inner {
            svm,
            height: 0,
            stale_bridge: None,
            sent: 0,
            is_down: false,
        };
        let inner = Arc::new(Mutex::new(inner));
        let app = Router::new()
            .fallback(post(answer))
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let mut ledger = Self {
            inner,
            port,
            task,
            program,
            authority,
            mints: [keypair(102).pubkey(), keypair(103).pubkey()],
        };
        ledger.make_mint(&keypair(102), 8);
        ledger.make_mint(&keypair(103), 6);
        ledger
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap();
        inner.tick();
        inner
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn airdrop(&self, key: &Pubkey, lamports: u64) {
        self.lock().svm.airdrop(key, lamports).unwrap();
    }

    pub(crate) fn lamports(&self, key: &Pubkey) -> u64 {
        self.lock().svm.get_balance(key).unwrap_or(0)
    }

    /// Transactions that were sent, not simulated.
    pub(crate) fn sent(&self) -> usize {
        self.lock().sent
    }

    pub(crate) fn bridge(&self) -> Bridge {
        let key = io_client::solana::bridge_address(&self.program);
        Bridge::read(&self.lock().svm.get_account(&key).unwrap().data).unwrap()
    }

    /// From now on the bridge account is shown as it is now, whatever happens to it.
    pub(crate) fn freeze_bridge(&self) {
        let key = io_client::solana::bridge_address(&self.program);
        let mut inner = self.lock();
        let data = inner.svm.get_account(&key).unwrap().data;
        inner.stale_bridge = Some((key, data));
    }

    pub(crate) fn thaw_bridge(&self) {
        self.lock().stale_bridge = None;
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.lock().is_down = is_down;
    }

    pub(crate) fn exists(&self, key: &Pubkey) -> bool {
        self.lock()
            .svm
            .get_account(key)
            .is_some_and(|account| account.lamports > 0)
    }

    /// Balance of an owner's associated token account, base units.
    pub(crate) fn tokens(&self, owner: &Pubkey, asset: usize) -> u64 {
        let key = token_address(owner, &self.mints[asset]);
        self.token_balance(&key)
    }

    pub(crate) fn token_balance(&self, key: &Pubkey) -> u64 {
        let account = self.lock().svm.get_account(key);
        account.map_or(0, |account| {
            u64::from_le_bytes(account.data[64..72].try_into().unwrap())
        })
    }

    /// Supply of IO, base units.
    pub(crate) fn supply(&self) -> u64 {
        let account = self.lock().svm.get_account(&self.mints[0]).unwrap();
        u64::from_le_bytes(account.data[36..44].try_into().unwrap())
    }

    /// Makes an owner's associated token account.
    pub(crate) fn make_token_account(&self, owner: &Pubkey, asset: usize) {
        let payer = self.authority.pubkey();
        let make =
            io_client::solana::program::create_token_account(&payer, owner, &self.mints[asset]);
        self.execute(&[make], &[&self.authority]);
    }

    fn make_mint(&mut self, mint: &Keypair, decimals: u8) {
        let payer = self.authority.pubkey();
        let rent = self.lock().svm.minimum_balance_for_rent_exemption(MINT_LEN);
        let mut create = 0_u32.to_le_bytes().to_vec();
        create.extend_from_slice(&rent.to_le_bytes());
        create.extend_from_slice(&82_u64.to_le_bytes());
        create.extend_from_slice(TOKEN.as_ref());
        let mut init = vec![20, decimals];
        init.extend_from_slice(payer.as_ref());
        init.push(0);
        let own = token_address(&payer, &mint.pubkey());
        let mut mint_to = vec![7];
        mint_to.extend_from_slice(&TREASURY.to_le_bytes());
        let steps = [
            Instruction {
                program_id: Pubkey::default(),
                accounts: vec![
                    AccountMeta::new(payer, true),
                    AccountMeta::new(mint.pubkey(), true),
                ],
                data: create,
            },
            Instruction {
                program_id: TOKEN,
                accounts: vec![AccountMeta::new(mint.pubkey(), false)],
                data: init,
            },
            io_client::solana::program::create_token_account(&payer, &payer, &mint.pubkey()),
            Instruction {
                program_id: TOKEN,
                accounts: vec![
                    AccountMeta::new(mint.pubkey(), false),
                    AccountMeta::new(own, false),
                    AccountMeta::new_readonly(payer, true),
                ],
                data: mint_to,
            },
        ];
        self.execute(&steps, &[&self.authority, mint]);
    }

    fn execute(&self, steps: &[Instruction], keys: &[&Keypair]) {
        let mut inner = self.lock();
        let hash = inner.svm.latest_blockhash();
        let message = Message::new_with_blockhash(steps, Some(&keys[0].pubkey()), &hash);
        let transaction =
            VersionedTransaction::try_new(VersionedMessage::Legacy(message), keys).unwrap();
        inner.svm.send_transaction(transaction).unwrap();
        inner.svm.expire_blockhash();
    }
}

impl Inner {
    /// The runtime's clock follows this machine's.
    fn tick(&mut self) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let key = Pubkey::new_from_array(CLOCK_SYSVAR);
        let mut clock = self.svm.get_account(&key).unwrap();
        clock.data[32..40].copy_from_slice(&now.to_le_bytes());
        self.svm.set_account(key, clock).unwrap();
    }

    fn account(&self, key: &Value) -> Value {
        let key: Pubkey = key.as_str().unwrap().parse().unwrap();
        let Some(mut account) = self
            .svm
            .get_account(&key)
            .filter(|account| account.lamports > 0)
        else {
            return Value::Null;
        };
        if let Some((stale, data)) = &self.stale_bridge
            && *stale == key
        {
            account.data.clone_from(data);
        }
        json!({
            "lamports": account.lamports, "owner": account.owner.to_string(),
            "data": [BASE64.encode(&account.data), "base64"], "executable": account.executable,
            "rentEpoch": 0, "space": account.data.len()
        })
    }

    fn simulate(&self, transaction: VersionedTransaction) -> (Value, Vec<String>, u64) {
        match self.svm.simulate_transaction(transaction) {
            Ok(done) => (
                Value::Null,
                done.meta.logs,
                done.meta.compute_units_consumed,
            ),
            Err(failed) => (
                error_json(&format!("{:?}", failed.err)),
                failed.meta.logs,
                0,
            ),
        }
    }

    /// Error code and data, or the result.
    fn call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let context = json!({"slot": self.height, "apiVersion": "4.2.2"});
        let transaction = || {
            let bytes = BASE64.decode(params[0].as_str().unwrap()).unwrap();
            assert!(
                bytes.len() <= 1232,
                "a transaction of {} bytes",
                bytes.len()
            );
            wincode::deserialize::<VersionedTransaction>(&bytes).unwrap()
        };
        let value = match method {
            "getGenesisHash" => return Ok(json!(bs58::encode(CLUSTER).into_string())),
            "getBlockHeight" => return Ok(json!(self.height)),
            "getMinimumBalanceForRentExemption" => {
                let length = usize::try_from(params[0].as_u64().unwrap()).unwrap();
                return Ok(json!(self.svm.minimum_balance_for_rent_exemption(length)));
            }
            "getMultipleAccounts" => params[0]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| self.account(key))
                .collect(),
            "getLatestBlockhash" => json!({
                "blockhash": self.svm.latest_blockhash().to_string(), "lastValidBlockHeight": self.height + 150
            }),
            "getBalance" => {
                let key: Pubkey = params[0].as_str().unwrap().parse().unwrap();
                json!(self.svm.get_balance(&key).unwrap_or(0))
            }
            "getTokenAccountBalance" => {
                let key: Pubkey = params[0].as_str().unwrap().parse().unwrap();
                let data = self.svm.get_account(&key).unwrap().data;
                let amount = u64::from_le_bytes(data[64..72].try_into().unwrap());
                json!({"amount": amount.to_string(), "decimals": 8})
            }
            "getSignatureStatuses" => {
                let status = |name: &Value| {
                    let name: Signature = name.as_str().unwrap().parse().unwrap();
                    self.svm.get_transaction(&name).map_or(Value::Null, |done| {
                        let err = done
                            .as_ref()
                            .err()
                            .map(|failed| error_json(&format!("{:?}", failed.err)));
                        json!({"slot": self.height, "err": err, "confirmationStatus": "confirmed"})
                    })
                };
                params[0].as_array().unwrap().iter().map(status).collect()
            }
            "simulateTransaction" => {
                let (err, logs, units) = self.simulate(transaction());
                json!({"err": err, "logs": logs, "unitsConsumed": units})
            }
            "sendTransaction" => {
                let (err, logs, _units) = self.simulate(transaction());
                if !err.is_null() {
                    let data = json!({"err": err, "logs": logs});
                    return Err(
                        json!({"code": -32002, "message": "simulation failed", "data": data}),
                    );
                }
                let transaction = transaction();
                let name = transaction.signatures[0].to_string();
                let result = self.svm.send_transaction(transaction);
                assert!(result.is_ok(), "{result:?}");
                self.svm.expire_blockhash();
                self.sent += 1;
                return Ok(json!(name));
            }
            other => panic!("{other} is not needed"),
        };
        Ok(json!({"context": context, "value": value}))
    }
}

/// `InstructionError(2, Custom(504))` as JSON-RPC writes it.
fn error_json(text: &str) -> Value {
    let numbers: Vec<u64> = text
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    match numbers[..] {
        [instruction, code] if text.contains("Custom") => {
            json!({"InstructionError": [instruction, {"Custom": code}]})
        }
        _ => json!(text),
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, Json(request): Json<Value>) -> Response {
    let mut inner = inner.lock().unwrap();
    if inner.is_down {
        return (StatusCode::SERVICE_UNAVAILABLE, "no").into_response();
    }
    inner.tick();
    inner.height += 1;
    let method = request["method"].as_str().unwrap().to_owned();
    let mut answer = json!({"jsonrpc": "2.0", "id": request["id"]});
    match inner.call(&method, &request["params"]) {
        Ok(result) => answer["result"] = result,
        Err(error) => answer["error"] = error,
    }
    Json(answer).into_response()
}
