//! `io-node start`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use io_bridge::reader::{Bound, ReaderConfig};
use io_bridge::{Reader, SettlementSigner};
use io_types::TimeScale;
use io_types::genesis::GenesisSpec;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, Failure, show};
use crate::abci::{Server, Stop};
use crate::api::{self, Api};
use crate::chain::{Chain, DATA, JOURNAL, Opening, PAYOUTS};
use crate::comet::{Binary, Child, CometHome, CometRpc, Launch};
use crate::config::{Config, LogFormat};
use crate::validator::{BeaconChain, Identity, PriceReader, Report};
use crate::{disk, logs, supervise};

/// Where CometBFT keeps blocks, its log and what it signed, in a node's home.
const COMET_DATA: &str = "cometbft/data";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  io-node start\n  io-node start --halt-height 100000\n  io-node start --abci-only      (CometBFT runs as a service of its own)"
)]
pub(super) struct Arguments {
    /// Does not run CometBFT: somebody else does, with --proxy_app at this node's socket.
    #[arg(long)]
    abci_only: bool,
    /// Stop before executing this height.
    #[arg(long, value_name = "HEIGHT")]
    halt_height: Option<u64>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let ended = serve(context, arguments);
    if !matches!(ended, Ok(code) if code == ExitCode::SUCCESS) {
        // Whatever broke first, in whichever process: without room it will break again.
        let folders = [DATA, JOURNAL, PAYOUTS, COMET_DATA].map(|folder| context.home.join(folder));
        for words in disk::full(&folders.each_ref().map(PathBuf::as_path)) {
            eprintln!("error: {words}");
        }
    }
    ended
}

fn serve(context: &Context, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut config = context.settings()?.config;
    config.halt_height = arguments.halt_height.unwrap_or(config.halt_height);
    logs::start(&config.log).map_err(Failure::refused)?;
    let home = context.home.as_path();
    let comet = CometHome::new(home.join(show::COMET));
    let binary = if arguments.abci_only {
        None
    } else {
        Some(find_binary(&config)?)
    };
    let spec = read_genesis(&comet)?;
    let bound = Bound::new(&spec.chain_id, &spec.bridge);
    let report = Report::new(identity(home, &config, &comet, &spec, bound)?);
    let opening = Opening {
        halt_height: config.halt_height,
        journal_blocks: config.storage.journal_blocks,
        scale: TimeScale {
            genesis_time: spec.genesis_time,
            chain_start: spec.chain_start,
            epoch_seconds: spec.epoch_seconds,
        },
    };
    let chain = Chain::open(home, opening, report).map_err(Failure::broken)?;
    tracing::info!(
        chain = spec.chain_id,
        height = chain.machine.info().0.0,
        "the state is open"
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::broken)?;
    let (stop, stops) = mpsc::channel();
    watch_signals(&runtime, &stop)?;
    start_readers(&runtime, home, &config, bound, &chain)?;
    start_http(&runtime, &config, &chain, &stop)?;

    let socket = if config.abci.socket.is_empty() {
        "abci.sock"
    } else {
        &config.abci.socket
    };
    let socket = std::path::absolute(home.join(socket)).map_err(Failure::refused)?;
    let application = chain.application(config.storage.retain_blocks);
    let server = Server::start(&socket, application, stop).map_err(Failure::refused)?;
    let child = if let Some(binary) = &binary {
        Some(start_comet(binary, &comet, &config, &server.address())?)
    } else {
        tracing::info!(
            socket = server.address(),
            "waiting for CometBFT, which somebody else runs"
        );
        None
    };
    let stop = supervise::run(server, child, &stops);
    runtime.shutdown_timeout(Duration::from_secs(2));
    if !matches!(stop, Stop::Asked(_)) {
        eprintln!("error: {stop}");
    }
    Ok(supervise::exit_code(&stop))
}

fn find_binary(config: &Config) -> Result<Binary, Failure> {
    let named = Path::new(&config.comet.binary);
    let binary = Binary::find(Some(named).filter(|path| !path.as_os_str().is_empty()))
        .map_err(Failure::refused)?;
    tracing::info!(version = %binary.version, path = %binary.path.display(), "CometBFT");
    Ok(binary)
}

fn read_genesis(comet: &CometHome) -> Result<GenesisSpec, Failure> {
    let path = comet.genesis_file();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::refused(format!(
            "{}: {error}; run `io-node init --genesis FILE` with the network's genesis",
            path.display()
        ))
    })?;
    io_genesis::parse_spec(&text)
        .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))
}

/// Who this node is among the validators; none on a full node.
fn identity(
    home: &Path,
    config: &Config,
    comet: &CometHome,
    spec: &GenesisSpec,
    bound: Bound,
) -> Result<Option<Identity>, Failure> {
    let Some(address) = show::address(config, comet)? else {
        return Ok(None);
    };
    let Some(row) = spec
        .validators
        .iter()
        .find(|validator| validator.address == address)
    else {
        tracing::info!(%address, "this node is no validator at genesis; it adds nothing to votes");
        return Ok(None);
    };
    let key = home.join(&config.keys.settlement);
    let signer = SettlementSigner::open(&key, &home.join(&config.keys.sign_log), bound)
        .map_err(Failure::broken)?;
    if signer.account() != row.settlement_key {
        let (have, want) = (signer.account(), row.settlement_key);
        return Err(Failure::refused(format!(
            "{} is key {have}, genesis names {want}",
            key.display()
        )));
    }
    let path = home.join(&config.keys.beacon);
    let beacon = BeaconChain::load(&path).map_err(Failure::refused)?;
    if beacon.anchor() != row.beacon_anchor {
        let (have, want) = (beacon.anchor(), row.beacon_anchor);
        return Err(Failure::refused(format!(
            "{} has anchor {have}, genesis names {want}",
            path.display()
        )));
    }
    Ok(Some(Identity {
        address,
        signer,
        beacon: Mutex::new(beacon),
    }))
}

fn watch_signals(runtime: &Runtime, stop: &Sender<Stop>) -> Result<(), Failure> {
    let _inside = runtime.enter();
    for (kind, name) in [
        (SignalKind::interrupt(), "SIGINT"),
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::hangup(), "SIGHUP"),
    ] {
        let mut signals = signal(kind).map_err(Failure::broken)?;
        let stop = stop.clone();
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                if stop.send(Stop::Asked(name.to_owned())).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

fn start_readers(
    runtime: &Runtime,
    home: &Path,
    config: &Config,
    bound: Bound,
    chain: &Arc<Chain>,
) -> Result<(), Failure> {
    let _inside = runtime.enter();
    if !config.prices.sources.is_empty() {
        let reader = PriceReader::new(&config.prices).map_err(Failure::broken)?;
        let (chain, pause) = (
            Arc::clone(chain),
            Duration::from_millis(config.prices.poll_ms),
        );
        runtime.spawn(async move {
            loop {
                chain.report.set_prices(reader.read().await);
                tokio::time::sleep(pause).await;
            }
        });
    }
    let solana = &config.solana;
    if !solana.endpoints.is_empty() {
        let approved = solana
            .approved
            .iter()
            .map(|hash| hash.parse())
            .collect::<Result<_, _>>()
            .map_err(Failure::refused)?;
        let settings = ReaderConfig {
            poll_ms: solana.poll_ms,
            timeout_ms: solana.timeout_ms,
            age_max_ms: solana.age_max_ms,
            behind_slots_max: solana.behind_slots_max,
            approved,
            pin: Some(home.join(&solana.pin)).filter(|_| !solana.pin.is_empty()),
            ..ReaderConfig::new(solana.endpoints.clone())
        };
        chain
            .report
            .set_solana(Reader::start(settings, bound).map_err(Failure::refused)?);
    }
    Ok(())
}

fn start_http(
    runtime: &Runtime,
    config: &Config,
    chain: &Arc<Chain>,
    stop: &Sender<Stop>,
) -> Result<(), Failure> {
    let rpc = CometRpc::new(&config.comet.rpc_listen).map_err(Failure::broken)?;
    let wait = Duration::from_secs(u64::from(config.api.wait_seconds));
    let api = Api {
        chain: Arc::clone(chain),
        rpc,
        moniker: config.moniker.as_str().into(),
        wait,
    };
    let listener = listen(runtime, "api.listen", &config.api.listen)?;
    let told = stop.clone();
    runtime.spawn(async move { ended("the HTTP API", api.serve(listener).await, &told) });
    if !config.metrics.listen.is_empty() {
        let listener = listen(runtime, "metrics.listen", &config.metrics.listen)?;
        let (chain, told) = (Arc::clone(chain), stop.clone());
        runtime.spawn(async move {
            ended(
                "the metrics",
                api::serve_metrics(chain, listener).await,
                &told,
            );
        });
    }
    tracing::info!(
        api = config.api.listen,
        metrics = config.metrics.listen,
        "listening"
    );
    Ok(())
}

fn ended(what: &str, result: std::io::Result<()>, stop: &Sender<Stop>) {
    let why = result
        .err()
        .map_or_else(String::new, |error| format!(": {error}"));
    if stop
        .send(Stop::Fault(format!("{what} ended{why}")))
        .is_err()
    {
        tracing::debug!(what, "ended while the node stops");
    }
}

fn listen(runtime: &Runtime, key: &str, address: &str) -> Result<TcpListener, Failure> {
    let address: SocketAddr = address
        .parse()
        .map_err(|error| Failure::refused(format!("{key} = {address}: {error}")))?;
    let bound = runtime.block_on(TcpListener::bind(address));
    bound.map_err(|error| {
        Failure::refused(format!(
            "{key} = {address}: {error}; choose another port, or stop what uses it"
        ))
    })
}

fn start_comet(
    binary: &Binary,
    comet: &CometHome,
    config: &Config,
    proxy_app: &str,
) -> Result<Child, Failure> {
    let mut flags = vec![
        format!("--moniker={}", config.moniker),
        format!("--log_level={}", config.comet.log_level),
        format!("--p2p.laddr={}", config.comet.p2p_listen),
        format!("--rpc.laddr={}", config.comet.rpc_listen),
    ];
    if !config.comet.persistent_peers.is_empty() {
        flags.push(format!(
            "--p2p.persistent_peers={}",
            config.comet.persistent_peers
        ));
    }
    let json_logs = config.log.format == LogFormat::Json;
    let launch = Launch {
        binary,
        home: comet,
        proxy_app,
        json_logs,
        flags,
    };
    let child = Child::start(&launch).map_err(Failure::broken)?;
    tracing::info!(process = child.id(), "CometBFT is started");
    Ok(child)
}
