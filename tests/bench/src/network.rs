//! CometBFT nodes of one network on this machine, each over an application of this process.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use io_genesis::EngineParams;
use io_node::abci::{Application, Server, Stop};
use io_node::comet::{Binary, Child, CometHome, Launch, Tuning};
use io_types::Hash;
use io_types::genesis::GenesisSpec;
use serde_json::{Value, json};

/// Transactions in one request.
const BATCH: usize = 200;

/// Patience with a network that makes its first blocks, or an answer.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug)]
struct Node {
    home: CometHome,
    socket: PathBuf,
    peer: String,
    rpc: u16,
}

/// Nodes that do not run yet: their keys and their settings, which are those of `io-node init`.
#[derive(Debug)]
pub struct Network {
    binary: Binary,
    nodes: Vec<Node>,
}

impl Network {
    /// New nodes in a folder. `timeout_commit_ms` is the pause after each block.
    pub fn new(
        folder: &Path,
        binary: &Binary,
        count: usize,
        timeout_commit_ms: u32,
    ) -> anyhow::Result<Self> {
        let ports = free_ports(2 * count)?;
        let mut nodes = Vec::new();
        for (number, ports) in ports.chunks(2).enumerate() {
            let (p2p, rpc) = (ports[0], ports[1]);
            let home = CometHome::new(folder.join(format!("c{number}")));
            home.init(&Tuning {
                moniker: format!("c{number}"),
                p2p_listen: format!("tcp://127.0.0.1:{p2p}"),
                rpc_listen: format!("tcp://127.0.0.1:{rpc}"),
                persistent_peers: String::new(),
                private_network: true,
                timeout_commit_ms,
            })?;
            // Many transactions in one request: the clients must not be what is measured.
            let file = home.config_file();
            let text = std::fs::read_to_string(&file)?;
            let text = text.replace("[rpc]\n", "[rpc]\nmax_request_batch_size = 0\n");
            std::fs::write(&file, text)?;
            nodes.push(Node {
                peer: format!("{}@127.0.0.1:{p2p}", home.node_id()?),
                socket: folder.join(format!("c{number}.sock")),
                home,
                rpc,
            });
        }
        Ok(Self {
            binary: binary.clone(),
            nodes,
        })
    }

    /// The consensus keys, public halves.
    pub fn keys(&self) -> anyhow::Result<Vec<Hash>> {
        let key = |node: &Node| {
            let key = node.home.validator_key()?.context("a home without a key")?;
            Ok(Hash(key.to_bytes()))
        };
        self.nodes.iter().map(key).collect()
    }

    /// Starts them over these applications, at `height`, and waits for their second block. `blocks` says how many the
    /// first of them has.
    pub fn start(
        &self,
        applications: Vec<Application>,
        spec: &GenesisSpec,
        height: u64,
        blocks: impl Fn() -> u64,
    ) -> anyhow::Result<Running> {
        let document = document(spec, height)?;
        let peers: Vec<&str> = self.nodes.iter().map(|node| node.peer.as_str()).collect();
        let (stop, stops) = mpsc::channel();
        let mut running = Running {
            children: Vec::new(),
            servers: Vec::new(),
            stops,
            ports: self.nodes.iter().map(|node| node.rpc).collect(),
        };
        for (node, application) in self.nodes.iter().zip(applications) {
            node.home.install_genesis(&document)?;
            let server = Server::start(&node.socket, application, stop.clone())?;
            let launch = Launch {
                binary: &self.binary,
                home: &node.home,
                proxy_app: &server.address(),
                json_logs: false,
                flags: vec![
                    "--log_level=none".to_owned(),
                    format!("--p2p.persistent_peers={}", peers.join(",")),
                ],
            };
            running.children.push(Child::start(&launch)?);
            running.servers.push(server);
        }
        running.wait("the first blocks", || blocks() >= 2)?;
        Ok(running)
    }
}

/// The genesis of an engine that begins at `height` on a chain that is there already.
fn document(spec: &GenesisSpec, height: u64) -> anyhow::Result<String> {
    let params = EngineParams {
        block_bytes_max: 4_000_000,
        evidence_blocks: 100_000,
        evidence_seconds: 172_800,
    };
    let mut document: Value = serde_json::from_str(&io_genesis::engine_genesis(spec, &params))?;
    document["initial_height"] = json!(height.to_string());
    document["consensus_params"]["abci"]["vote_extensions_enable_height"] =
        json!(height.to_string());
    document["app_state"] = json!({});
    Ok(document.to_string())
}

/// What a burst took.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// From the first transaction handed over to the end.
    pub time: Duration,
    /// Processor time of all nodes, their applications and the clients in that time.
    pub processor: Duration,
}

/// Nodes that run. Dropping it ends the engines, then their applications.
#[derive(Debug)]
pub struct Running {
    children: Vec<Child>,
    servers: Vec<Server>,
    stops: Receiver<Stop>,
    ports: Vec<u16>,
}

impl Running {
    /// Hands the transactions to all nodes in equal parts, and measures until `done`.
    pub fn burst(
        &mut self,
        transactions: &[Vec<u8>],
        done: impl Fn() -> bool,
    ) -> anyhow::Result<Spent> {
        let part = transactions.len().div_ceil(self.ports.len()).max(1);
        let bodies: Vec<Vec<String>> = transactions
            .chunks(part)
            .map(|part| part.chunks(BATCH).map(requests).collect())
            .collect();
        let before = self.processor_time()?;
        let begun = Instant::now();
        thread::scope(|scope| {
            let senders: Vec<_> = bodies
                .iter()
                .zip(&self.ports)
                .map(|(bodies, port)| {
                    scope.spawn(move || bodies.iter().try_for_each(|body| post(*port, body)))
                })
                .collect();
            senders.into_iter().try_for_each(|sender| {
                let sent = sender.join();
                sent.unwrap_or_else(|_panic| bail!("a sender panicked"))
            })
        })?;
        self.wait("the transactions", done)?;
        Ok(Spent {
            time: begun.elapsed(),
            processor: self.processor_time()?.saturating_sub(before),
        })
    }

    /// Processor time that the engines and this process have used so far, user and system.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        let engines = self.children.iter().map(|child| child.id().to_string());
        engines
            .chain(["self".to_owned()])
            .map(|process| used(&process))
            .sum()
    }

    fn wait(&mut self, what: &str, done: impl Fn() -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !done() {
            if let Ok(stop) = self.stops.try_recv() {
                bail!("an application stopped: {stop}");
            }
            for child in &mut self.children {
                if let Some(status) = child.ended()? {
                    bail!("{}", Child::tell(status));
                }
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "waited {} s in vain for {what} ({} applications run)",
                PATIENCE.as_secs(),
                self.servers.len()
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Processor time of one process. The kernel counts it in hundredths of a second for everybody who asks.
fn used(process: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name stands in brackets and may hold anything; fields 14 and 15 of proc(5) are the 12th and 13th after it.
    let (_name, fields) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// One request for many transactions.
fn requests(transactions: &[Vec<u8>]) -> String {
    let all = transactions.iter().enumerate().map(|(id, transaction)| {
        json!({
            "jsonrpc": "2.0",
            "id": id,
            "method": "broadcast_tx_async",
            "params": { "tx": BASE64.encode(transaction) },
        })
    });
    Value::Array(all.collect()).to_string()
}

fn post(port: u16, body: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("CometBFT's RPC")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(
        answer.starts_with("HTTP/1.1 200") && !answer.contains("\"error\""),
        "CometBFT refuses: {}",
        answer.chars().take(600).collect::<String>()
    );
    Ok(())
}

/// Ports that were free a moment ago.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let held = (0..count)
        .map(|_port| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<Vec<_>, _>>()?;
    let ports = held.iter().map(|held| Ok(held.local_addr()?.port()));
    ports.collect()
}
