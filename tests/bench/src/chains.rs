//! Chains for the benchmarks: a genesis, accounts, signed transactions, and blocks driven without an engine.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use ed25519_dalek::SigningKey;
use io_node::chain::{Chain, Opening, open_machine};
use io_node::validator::Report;
use io_state_machine::Machine;
use io_types::catalogue::{Catalogue, Class, ClassId, Model, ModelId, Pool};
use io_types::codec::sha256;
use io_types::consensus::{Block, LastCommit};
use io_types::extension::InjectedCommit;
use io_types::genesis::{GenesisBalance, GenesisBridge, GenesisSpec, GenesisValidator};
use io_types::params::Params;
use io_types::{
    AccountId, Action, Amount, Asset, BlockTime, ChainTime, Hash, Height, MicroUsd, TimeScale,
    TransactionBody, ValidatorAddress,
};

/// Id of every chain here.
pub const CHAIN: &str = "io-bench";

/// One whole IO, base units.
pub const IO: u64 = 100_000_000;

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A key by what it is for and its number.
pub fn key(role: &str, number: usize) -> SigningKey {
    SigningKey::from_bytes(&sha256(format!("{role} {number}").as_bytes()).0)
}

/// Its account.
pub fn account(key: &SigningKey) -> AccountId {
    AccountId(key.verifying_key().to_bytes())
}

/// Puts money on the chain at genesis.
pub fn balance(account: AccountId, asset: Asset, amount: u64) -> GenesisBalance {
    GenesisBalance {
        account,
        asset,
        amount: Amount::new(amount),
    }
}

/// A validator whose keys come from its number; its beacon has one link.
pub fn validator(number: usize, consensus_key: Hash, beacon_anchor: Hash) -> GenesisValidator {
    let digest = sha256(&consensus_key.0);
    let mut address = [0; 20];
    address.copy_from_slice(&digest.0[..20]);
    GenesisValidator {
        address: ValidatorAddress(address),
        consensus_key,
        power: 10,
        settlement_key: account(&key("settlement", number)),
        operator: account(&key("operator", number)),
        beacon_anchor,
        moniker: format!("validator {number}"),
    }
}

/// A genesis of one model, that begins at `time` and has no verifiers: no challenge falls due.
pub fn genesis(
    time: u64,
    mut validators: Vec<GenesisValidator>,
    balances: Vec<GenesisBalance>,
) -> GenesisSpec {
    validators.sort_by_key(|validator| validator.address);
    let mut params = Params::default();
    params.verification.interval_ms = u64::MAX;
    params.verification.interval_max_ms = u64::MAX;
    let chain_start = ChainTime(time - time % 3_600_000);
    GenesisSpec {
        chain_id: CHAIN.to_owned(),
        genesis_time: BlockTime(time),
        chain_start,
        epoch_seconds: 3_600,
        // 2024-07-01T00:00:00Z.
        schedule_start: ChainTime(1_719_792_000_000),
        params,
        catalogue: catalogue(),
        validators,
        verifiers: Vec::new(),
        balances,
        bridge: GenesisBridge {
            cluster: Hash([7; 32]),
            program: AccountId([8; 32]),
            io_mint: AccountId([9; 32]),
            usdc_mint: AccountId([10; 32]),
        },
        accepted_pairs: Vec::new(),
    }
}

fn catalogue() -> Catalogue {
    let class = Class {
        id: ClassId(1),
        name: "bench".to_owned(),
        rank: 1,
        n: 256,
        k: 6,
        m: 6,
        w: 64,
        r: 128,
        phase_a_ref_ms: 2_000,
        phase_b_ref_ms: 2_000,
        phase_a_min_ms: 0,
        answer_blocks: 20,
    };
    let model = Model {
        id: ModelId(1),
        name: "bench".to_owned(),
        class: ClassId(1),
        multiplier_milli: 1_000,
        pool: Pool::Community,
        price_floor: MicroUsd(10_000),
        price_ceiling: MicroUsd(10_000_000),
        vram_mib: 81_920,
        placeholder: Vec::new(),
    };
    Catalogue {
        classes: vec![class],
        models: vec![model],
    }
}

/// A signed transaction of lane 0.
pub fn signed(key: &SigningKey, sequence: u64, actions: Vec<Action>) -> Vec<u8> {
    let body = TransactionBody {
        chain_id: CHAIN.to_owned(),
        signer: account(key),
        lane: 0,
        sequence,
        expires: Height(1_000),
        fee_max: Amount::new(IO),
        actions,
    };
    body.sign(key).encode()
}

/// A chain on disk before any engine runs it: blocks are decided by the one who calls.
#[derive(Debug)]
pub struct Founding {
    machine: Machine,
    time: u64,
}

impl Founding {
    /// Begins the chain in a home, and makes its first block.
    pub fn new(home: &Path, spec: &GenesisSpec) -> anyhow::Result<Self> {
        let machine = open_machine(home)?;
        machine.init_chain(spec)?;
        let mut founding = Self {
            machine,
            time: spec.genesis_time.0,
        };
        founding.block(Vec::new())?;
        Ok(founding)
    }

    /// Goes on with a chain that is there, with blocks later than `time`.
    pub fn again(home: &Path, time: u64) -> anyhow::Result<Self> {
        let machine = open_machine(home)?;
        Ok(Self { machine, time })
    }

    /// Height and app hash of the last block.
    pub fn info(&self) -> (Height, Hash) {
        self.machine.info()
    }

    /// A block of these transactions, each of which must succeed.
    pub fn block(&mut self, transactions: Vec<Vec<u8>>) -> anyhow::Result<()> {
        self.time += 1;
        let (height, _hash) = self.machine.info();
        let block = Block {
            height: Height(height.0 + 1),
            time: BlockTime(self.time),
            hash: Hash::ZERO,
            proposer: ValidatorAddress([0; 20]),
            last_commit: LastCommit::default(),
            transactions: with_commit(transactions),
        };
        let outcome = self.machine.finalize(&block)?;
        for transaction in &outcome.transactions {
            ensure!(
                transaction.code == 0,
                "a block of the preparation: {}",
                transaction.log
            );
        }
        self.machine.commit(|_patch| {})?;
        Ok(())
    }

    /// Changes rows as no transaction could, and closes the chain.
    pub fn edit(
        self,
        change: impl FnOnce(&mut io_state_machine::state::State<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let store = self.machine.store();
        let changes = {
            let view = store.snapshot();
            let mut state = io_state_machine::state::State::new(&view);
            change(&mut state)?;
            state.into_write_set()?
        };
        let patch = store.stage(changes)?;
        store.commit(patch, store.height() + 1)?;
        Ok(())
    }
}

/// The injected commit of a proposer who has no extension to hand on, then the transactions.
pub fn with_commit(transactions: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut all = vec![InjectedCommit::default().encode()];
    all.extend(transactions);
    all
}

/// Opens the whole application over a home.
pub fn open(home: &Path, spec: &GenesisSpec, report: Report) -> anyhow::Result<Arc<Chain>> {
    let opening = Opening {
        halt_height: 0,
        journal_blocks: 1_000,
        scale: TimeScale {
            genesis_time: spec.genesis_time,
            chain_start: spec.chain_start,
            epoch_seconds: spec.epoch_seconds,
        },
    };
    Chain::open(home, opening, report).with_context(|| "the application's home")
}

/// Copies a closed home.
pub fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else if path.is_file() {
            std::fs::copy(&path, &target)?;
        } else {
            bail!("{} is neither a file nor a folder", path.display());
        }
    }
    Ok(())
}
