//! Starts the ledger, keeps it running and ends it.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use solana_hash::Hash;
use surfpool_core::{
    storage::StorageFifoMap,
    surfnet::{
        BlockHeader, GeyserEvent,
        locker::SurfnetSvmLocker,
        svm::{SurfnetSvm, SurfnetSvmConfig},
    },
};
use surfpool_types::{RpcConfig, SimnetCommand, SimnetConfig, SimnetEvent, SurfpoolConfig};

use super::{
    LedgerConfig, LedgerGenesis, clock,
    front::Front,
    log::Log,
    store::{Accounts, Transactions},
};

const ACCOUNTS_FILE: &str = "accounts";
const BLOCKS_FILE: &str = "blocks";
const TRANSACTIONS_FILE: &str = "transactions";
const BIRTH_FILE: &str = "birth.json";
/// Transactions and blocks that can be looked up after a restart.
const HISTORY: usize = 1_000;

/// Written last at the first start: where it is absent, nothing else in the folder counts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Birth {
    unix_ms: u64,
    slot: u64,
    starts: u64,
    /// What `getGenesisHash` answers, hexadecimal: it names this ledger for as long as its state is kept.
    cluster: String,
}

impl Birth {
    /// Another folder, another genesis or another moment is another cluster.
    fn new(genesis: &Path, unix_ms: u64, slot: u64) -> std::io::Result<Self> {
        let mut hash = Sha256::new();
        hash.update(b"io-localnet/cluster\0");
        hash.update(std::fs::read(genesis)?);
        hash.update(unix_ms.to_le_bytes());
        let cluster = hex::encode(hash.finalize());
        Ok(Self {
            unix_ms,
            slot,
            starts: 1,
            cluster,
        })
    }

    fn cluster_hash(&self) -> anyhow::Result<Hash> {
        let bytes: [u8; 32] = hex::decode(&self.cluster)?
            .try_into()
            .map_err(|_bytes| anyhow!("{BIRTH_FILE} names no cluster"))?;
        Ok(Hash::new_from_array(bytes))
    }
}

/// The channels of a machine that was opened and not yet started.
struct Opened {
    svm: SurfnetSvm,
    accounts: Accounts,
    events: crossbeam_channel::Receiver<SimnetEvent>,
    geyser: crossbeam_channel::Receiver<GeyserEvent>,
}

/// Runs a ledger until it is told to stop (SIGTERM, SIGINT).
///
/// Errors: the folder is in use or not writable, the genesis is wrong, a port is taken, the disk refuses a write.
pub async fn run(config: &LedgerConfig) -> anyhow::Result<()> {
    std::fs::create_dir_all(&config.home)
        .with_context(|| format!("cannot make {}", config.home.display()))?;
    let lock = File::create(config.home.join("lock"))?;
    lock.try_lock().map_err(|_taken| {
        anyhow!(
            "another ledger runs in {}; stop it or give --home another folder",
            config.home.display()
        )
    })?;
    serve(config).await
}

async fn serve(config: &LedgerConfig) -> anyhow::Result<()> {
    // The SVM's locks block, which a worker thread may do only in such a section.
    let Opened {
        svm,
        accounts,
        events,
        geyser,
    } = tokio::task::block_in_place(|| open(config))?;
    let locker = SurfnetSvmLocker::new(svm);
    let (commands, commands_in) = crossbeam_channel::unbounded();
    let machine = start_machine(
        config,
        locker.clone(),
        commands.clone(),
        (commands_in, geyser),
    )?;
    tokio::task::block_in_place(|| wait_until_started(&events))?;
    // The machine blocks when nobody takes its events.
    std::thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || events.iter().for_each(log_event))?;
    let inner = format!("http://127.0.0.1:{}", config.inner_port);
    lock_cheatcodes(&inner).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let anchor = clock::spawn(
        locker.clone(),
        accounts.clone(),
        config.slot_ms,
        Arc::clone(&stop),
    )?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", config.rpc_port))
        .await
        .with_context(|| {
            format!(
                "cannot listen on 127.0.0.1:{}; give --rpc-port another port",
                config.rpc_port
            )
        })?;
    tracing::info!(rpc_port = config.rpc_port, ws_port = config.ws_port, home = %config.home.display(), "ledger is ready");
    let router = Front::new(locker.clone(), accounts.clone(), &inner).router();
    let server = axum::serve(listener, router);
    let outcome = tokio::select! {
        served = server => served.context("the JSON-RPC server ended"),
        () = crate::signal::asked_to_stop() => Ok(()),
        what = until_broken(&accounts) => Err(anyhow!("the ledger's disk refused a write: {what}")),
        () = until_ended(&machine) => Err(anyhow!("the ledger's machine ended on its own")),
    };
    stop.store(true, Ordering::Relaxed);
    tokio::task::block_in_place(|| {
        drop(anchor.join());
        let svm = locker.0.blocking_write();
        let committed = accounts.commit(Some(svm.get_latest_absolute_slot()));
        drop(svm);
        // Only closes files; state is on disk already.
        if commands.send(SimnetCommand::Terminate(None)).is_ok() {
            std::thread::sleep(Duration::from_millis(200));
        }
        outcome.and(committed.map_err(anyhow::Error::from))
    })
}

fn open(config: &LedgerConfig) -> anyhow::Result<Opened> {
    let birth_file = config.home.join(BIRTH_FILE);
    let birth = match std::fs::read(&birth_file) {
        Ok(bytes) => Some(serde_json::from_slice::<Birth>(&bytes).with_context(|| {
            format!(
                "{} is damaged; start with an empty folder",
                birth_file.display()
            )
        })?),
        Err(_) => None,
    };
    if birth.is_none() {
        remove_remains(&config.home)?;
    }
    let accounts = Accounts::open(&config.home.join(ACCOUNTS_FILE), config.finality_slots)?;
    let blocks: Log<u64, BlockHeader> = Log::open(&config.home.join(BLOCKS_FILE), HISTORY)?;
    let statuses = Log::open(&config.home.join(TRANSACTIONS_FILE), HISTORY)?;
    let persisted_slot = blocks.last().map_or(0, |(slot, _)| slot);
    let (mut svm, events, geyser) = SurfnetSvm::new(SurfnetSvmConfig {
        slot_time: config.slot_ms,
        instruction_profiling_enabled: false,
        max_profiles: 1,
        ..SurfnetSvmConfig::default()
    })
    .map_err(|error| anyhow!("cannot make the ledger's machine: {error}"))?;
    svm.inner.db = Some(Box::new(accounts.clone()));
    svm.transactions = Box::new(Transactions::new(accounts.clone(), statuses));
    svm.blocks = Box::new(blocks);
    // A profile holds every account of its transaction twice; nobody reads them.
    svm.executed_transaction_profiles = Box::new(StorageFifoMap::new(1));
    svm.profile_tag_map = Box::new(StorageFifoMap::new(1));
    let now = clock::unix_ms();
    let birth = match birth {
        None => {
            LedgerGenesis::read(&config.genesis)?.apply(&mut svm)?;
            accounts.commit(Some(svm.get_latest_absolute_slot()))?;
            Birth::new(&config.genesis, now, svm.get_latest_absolute_slot())?
        }
        Some(birth) => {
            load(&mut svm, &accounts)?;
            let resumed = clock::resume(
                (birth.slot, birth.unix_ms),
                persisted_slot,
                birth.starts,
                config.slot_ms,
                now,
            );
            clock::set(&mut svm, resumed, now);
            Birth {
                starts: birth.starts.saturating_add(1),
                ..birth
            }
        }
    };
    svm.cached_genesis_hash = Some(birth.cluster_hash()?);
    let fresh = birth_file.with_extension("new");
    std::fs::write(&fresh, serde_json::to_vec(&birth)?)?;
    std::fs::rename(&fresh, &birth_file)?;
    Ok(Opened {
        svm,
        accounts,
        events,
        geyser,
    })
}

/// A first start that was killed leaves files that nothing vouches for.
fn remove_remains(home: &Path) -> anyhow::Result<()> {
    for name in [ACCOUNTS_FILE, BLOCKS_FILE, TRANSACTIONS_FILE] {
        match std::fs::remove_file(home.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("cannot remove {}", home.join(name).display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives the machine the accounts on disk, programs last: the loader wants their code to be there. The machine's indices follow.
fn load(svm: &mut SurfnetSvm, accounts: &Accounts) -> anyhow::Result<()> {
    use surfpool_core::solana_account::ReadableAccount;
    let (programs, data): (Vec<_>, Vec<_>) = accounts
        .rows()
        .into_iter()
        .partition(|(_, account)| account.executable());
    for (key, account) in data.into_iter().chain(programs) {
        svm.set_account(&key, account.into())
            .map_err(|error| anyhow!("the machine refuses account {key} from disk: {error}"))?;
    }
    Ok(())
}

type Channels = (
    crossbeam_channel::Receiver<SimnetCommand>,
    crossbeam_channel::Receiver<GeyserEvent>,
);

fn start_machine(
    config: &LedgerConfig,
    locker: SurfnetSvmLocker,
    commands: crossbeam_channel::Sender<SimnetCommand>,
    (commands_in, geyser): Channels,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let surfpool = SurfpoolConfig {
        simnets: vec![SimnetConfig {
            offline_mode: true,
            remote_rpc_url: None,
            slot_time: config.slot_ms,
            instruction_profiling_enabled: false,
            max_profiles: 1,
            ..SimnetConfig::default()
        }],
        rpc: RpcConfig {
            bind_host: "127.0.0.1".to_owned(),
            bind_port: config.inner_port,
            ws_port: config.ws_port,
            ..RpcConfig::default()
        },
        ..SurfpoolConfig::default()
    };
    // Its loop blocks its thread for ever, so it gets a runtime of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new()
        .name("machine".to_owned())
        .spawn(move || {
            let run = surfpool_core::runloops::start_local_surfnet_runloop(
                locker,
                surfpool,
                commands,
                commands_in,
                geyser,
            );
            if let Err(error) = runtime.block_on(run) {
                tracing::error!(%error, "the ledger's machine failed");
            }
        })?;
    Ok(thread)
}

fn wait_until_started(events: &crossbeam_channel::Receiver<SimnetEvent>) -> anyhow::Result<()> {
    loop {
        match events.recv_timeout(Duration::from_mins(1)) {
            Ok(SimnetEvent::CoreStarted(_)) => return Ok(()),
            Ok(SimnetEvent::Aborted(why)) => bail!("the ledger's machine did not start: {why}"),
            Ok(event) => log_event(event),
            Err(_) => bail!("the ledger's machine did not start; is one of its ports in use?"),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most of the machine's many events say nothing to an operator"
)]
fn log_event(event: SimnetEvent) {
    match event {
        SimnetEvent::ErrorLog(_, text) => tracing::warn!("{text}"),
        SimnetEvent::WarnLog(_, text) => tracing::warn!("{text}"),
        SimnetEvent::InfoLog(_, text) => tracing::debug!("{text}"),
        _ => {}
    }
}

/// Closes the machine's doors to its own state: what `surfpool` calls cheatcodes.
async fn lock_cheatcodes(inner: &str) -> anyhow::Result<()> {
    let request = serde_json::json!({
        "jsonrpc": "2.0", "id": 1, "method": "surfnet_disableCheatcode", "params": ["all", {"lockout": true}],
    });
    let answer: serde_json::Value = reqwest::Client::new()
        .post(inner)
        .json(&request)
        .send()
        .await?
        .json()
        .await?;
    match answer.get("error") {
        None => Ok(()),
        Some(error) => bail!("the ledger's machine does not lock: {error}"),
    }
}

async fn until_broken(accounts: &Accounts) -> String {
    loop {
        if let Some(what) = accounts.broken() {
            return what;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_ended(machine: &std::thread::JoinHandle<()>) {
    while !machine.is_finished() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
