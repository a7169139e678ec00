//! A node that serves what a chain would: batches frozen from balances, signed by its members, with payout proofs.

use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ed25519_dalek::{Signer as _, SigningKey};
use io_bridge::relayer::init::facts;
use io_settlement::Asset as BridgeAsset;
use io_settlement::account::Bridge;
use io_settlement::batch::{Payout, SettleBody, chain_id_hash};
use io_settlement::payout::{Tree, leaf};
use io_types::api::{ApiError, Page, PayoutProof, Status};
use io_types::catalogue::Catalogue;
use io_types::genesis::{GenesisBalance, GenesisBridge, GenesisSpec, GenesisValidator};
use io_types::params::{
    AdmissionParams, MarketParams, PriceParams, RewardParams, SettlementParams, StakeParams,
    UptimeParams, VerificationParams,
};
use io_types::row::{Batch, BridgeState};
use io_types::{
    AccountId, Amount, Asset, BatchNumber, BlockTime, ChainTime, Epoch, Hash, Height, Params,
    Signature, Slot, TimeScale, ValidatorAddress,
};
use tokio::task::JoinHandle;

use crate::ledger::{CLUSTER, Ledger};

pub(crate) const CHAIN: &str = "io-relay-test";
/// IO that the genesis puts on the chain, base units.
pub(crate) const GENESIS_IO: u64 = 5_000_000_000;

/// Keys of four members, in the set's order.
fn member_keys() -> Vec<SigningKey> {
    let mut keys: Vec<SigningKey> = (1..=4)
        .map(|seed| SigningKey::from_bytes(&[seed; 32]))
        .collect();
    keys.sort_by_key(|key| key.verifying_key().to_bytes());
    keys
}

pub(crate) fn account(seed: u8) -> AccountId {
    AccountId(
        SigningKey::from_bytes(&[seed; 32])
            .verifying_key()
            .to_bytes(),
    )
}

/// A genesis with four members of power 10 each, an hour old.
pub(crate) fn spec(ledger: &Ledger) -> GenesisSpec {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let genesis = u64::try_from(now.as_millis()).unwrap() - 3 * 3_600_000;
    let hour = genesis - genesis.rem_euclid(3_600_000);
    let keys = member_keys();
    let validators = keys
        .iter()
        .zip(0_u8..)
        .map(|(key, place)| GenesisValidator {
            address: ValidatorAddress([place; 20]),
            consensus_key: Hash([place; 32]),
            power: 10,
            settlement_key: AccountId(key.verifying_key().to_bytes()),
            operator: account(60 + place),
            beacon_anchor: Hash([1; 32]),
            moniker: format!("validator-{place}"),
        });
    let [io_mint, usdc_mint] = ledger.mints.map(|mint| AccountId(mint.to_bytes()));
    GenesisSpec {
        chain_id: CHAIN.to_owned(),
        genesis_time: BlockTime(genesis),
        chain_start: ChainTime(hour),
        epoch_seconds: 3600,
        schedule_start: ChainTime(1_719_792_000_000),
        params: Params {
            admission: AdmissionParams::default(),
            market: MarketParams::default(),
            uptime: UptimeParams::default(),
            stake: StakeParams::default(),
            reward: RewardParams::default(),
            verification: VerificationParams::default(),
            price: PriceParams::default(),
            settlement: SettlementParams::default(),
        },
        catalogue: Catalogue::default(),
        validators: validators.collect(),
        verifiers: Vec::new(),
        balances: vec![GenesisBalance {
            account: account(50),
            asset: Asset::Io,
            amount: Amount::new(GENESIS_IO),
        }],
        bridge: GenesisBridge {
            cluster: Hash(CLUSTER),
            program: AccountId(ledger.program.to_bytes()),
            io_mint,
            usdc_mint,
        },
        accepted_pairs: Vec::new(),
    }
}

struct Inner {
    spec: GenesisSpec,
    batches: Vec<Batch>,
    /// Payouts of IO of each batch, in leaf order.
    payouts: Vec<Vec<(AccountId, u64)>>,
}

/// A node on a port of its own.
pub(crate) struct Chain {
    inner: Arc<Mutex<Inner>>,
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Chain {
    pub(crate) async fn start(spec: GenesisSpec) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            spec,
            batches: Vec::new(),
            payouts: Vec::new(),
        }));
        let app = Router::new()
            .route("/v1/status", get(status))
            .route("/v1/bridge", get(bridge))
            .route("/v1/settlements", get(settlements))
            .route(
                "/v1/settlements/{number}/payouts/{asset}/{account}",
                get(proof),
            )
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { inner, port, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Freezes a batch that credits every deposit that the bridge shows, pays these accounts, and is signed by the members at these places.
    pub(crate) fn freeze(
        &self,
        bridge: &Bridge,
        emitted: u64,
        payouts: &[(AccountId, u64)],
        signers: &[usize],
    ) -> SettleBody {
        let mut inner = self.inner.lock().unwrap();
        let number = u64::try_from(inner.batches.len()).unwrap() + 1;
        let none = Payout {
            root: [0; 32],
            total: 0,
        };
        let io = Payout {
            root: tree(payouts).root(),
            total: payouts.iter().map(|(_account, amount)| amount).sum(),
        };
        let body = SettleBody {
            cluster_genesis: CLUSTER,
            program_id: inner.spec.bridge.program.0,
            chain_id: chain_id_hash(CHAIN),
            set_epoch: 1,
            number,
            height: number * 60,
            app_hash: [7; 32],
            epoch: number,
            payouts: [io, none],
            emitted,
            reminted: 0,
            burned: 0,
            credit_burned: 0,
            stake_target: 0,
            deposit_number: bridge.state.deposit_number,
            deposit_hash: bridge.state.deposit_hash,
            market_hash: [0; 32],
            next_set: [0; 32],
        };
        let keys = member_keys();
        let signatures = signers.iter().map(|place| {
            let key = &keys[*place];
            let signature = Signature(key.sign(&body.message()).to_bytes());
            (AccountId(key.verifying_key().to_bytes()), signature)
        });
        let batch = Batch {
            number: BatchNumber(number),
            body: body.to_bytes().to_vec(),
            hash: Hash(body.hash()),
            height: Height(body.height),
            epoch: Epoch(body.epoch),
            set_epoch: 1,
            signatures: signatures.collect(),
            signed_power: 10 * u64::try_from(signers.len()).unwrap(),
            total_power: 40,
            settled: false,
            balances: [Amount::ZERO; 3],
            emitted: Amount::new(emitted),
            reminted: Amount::ZERO,
            burned: [Amount::ZERO; 3],
            deposited: [Amount::ZERO; 3],
            payout_totals: [Amount::new(io.total), Amount::ZERO, Amount::ZERO],
            deposit_number: body.deposit_number,
        };
        inner.batches.push(batch);
        inner.payouts.push(payouts.to_vec());
        body
    }

    /// Spoils a signature of the newest batch.
    pub(crate) fn spoil_signature(&self, place: usize) {
        let mut inner = self.inner.lock().unwrap();
        inner.batches.last_mut().unwrap().signatures[place].1.0[0] ^= 1;
    }
}

fn tree(payouts: &[(AccountId, u64)]) -> Tree {
    let chain = chain_id_hash(CHAIN);
    let leaves = payouts
        .iter()
        .map(|(account, sum)| leaf(&chain, BridgeAsset::Io, &account.0, *sum));
    Tree::new(leaves.collect())
}

type Shared = State<Arc<Mutex<Inner>>>;

async fn status(State(inner): Shared) -> Json<Status> {
    let inner = inner.lock().unwrap();
    let spec = &inner.spec;
    Json(Status {
        chain_id: CHAIN.to_owned(),
        version: "0.1.0".to_owned(),
        min_client_version: "0.1.0".to_owned(),
        height: Height(100),
        app_hash: Hash::ZERO,
        block_time: spec.genesis_time,
        chain_time: spec.chain_start,
        epoch: spec.chain_start.epoch(),
        slot: Slot(0),
        scale: TimeScale {
            genesis_time: spec.genesis_time,
            chain_start: spec.chain_start,
            epoch_seconds: spec.epoch_seconds,
        },
        catching_up: false,
        moniker: "test".to_owned(),
        notes: Vec::new(),
    })
}

async fn bridge(State(inner): Shared) -> Json<BridgeState> {
    let inner = inner.lock().unwrap();
    let spec = &inner.spec;
    let set = facts::member_set(spec).unwrap();
    Json(BridgeState {
        cluster: spec.bridge.cluster,
        program: spec.bridge.program,
        mints: [spec.bridge.io_mint, spec.bridge.usdc_mint],
        members: set
            .members()
            .iter()
            .map(|member| (AccountId(member.key), member.power))
            .collect(),
        set_epoch: 1,
        deposit_number: 0,
        deposit_hash: Hash::ZERO,
        last_settle: None,
        withdrawals_closed: None,
        newest_batch: BatchNumber(u64::try_from(inner.batches.len()).unwrap()),
        staked: Amount::ZERO,
        payout_rows: [0, 0],
        payout_totals: [Amount::ZERO; 2],
    })
}

async fn settlements(State(inner): Shared) -> Json<Page<Batch>> {
    let inner = inner.lock().unwrap();
    Json(Page {
        items: inner.batches.iter().rev().cloned().collect(),
        next: None,
        height: Height(100),
    })
}

async fn proof(
    State(inner): Shared,
    Path((number, asset, account)): Path<(u64, Asset, AccountId)>,
) -> Response {
    let inner = inner.lock().unwrap();
    let place = usize::try_from(number).unwrap() - 1;
    let payouts = &inner.payouts[place];
    let found = payouts
        .iter()
        .position(|(owner, _sum)| *owner == account && asset == Asset::Io);
    let Some(index) = found else {
        let error = ApiError {
            code: 0,
            error: "no such payout".to_owned(),
        };
        return (StatusCode::NOT_FOUND, Json(error)).into_response();
    };
    let tree = tree(payouts);
    let index = u64::try_from(index).unwrap();
    Json(PayoutProof {
        number: BatchNumber(number),
        asset,
        account,
        cumulative: Amount::new(payouts[usize::try_from(index).unwrap()].1),
        index,
        leaves: u64::try_from(payouts.len()).unwrap(),
        siblings: tree.proof(index).unwrap().into_iter().map(Hash).collect(),
        root: Hash(tree.root()),
    })
    .into_response()
}
