//! Homes, a genesis, and running nodes.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use ed25519_dalek::SigningKey;
use io_genesis::{
    Beginning, Declaration, Folder, Network as Template, Signers, engine_genesis, keys,
};
use io_types::api::TransactionResult;
use io_types::genesis::{GenesisBalance, GenesisVerifier};
use io_types::{AccountId, Action, Amount, Asset, BlockTime, ChainTime, Height, TransactionBody};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The chain of these tests.
pub(crate) const CHAIN_ID: &str = "io-node-test";

/// The program under test.
pub(crate) fn io_node(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_io-node"));
    command.arg("--home").arg(home);
    command
}

/// Runs a verb to its end.
pub(crate) fn verb(home: &Path, arguments: &[&str]) -> Output {
    io_node(home).args(arguments).output().unwrap()
}

/// The same, whose answer is one JSON object.
pub(crate) fn verb_json(home: &Path, arguments: &[&str]) -> Value {
    let output = verb(home, &[&["--json"], arguments].concat());
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One node: its home, its API, and its process while it runs.
pub(crate) struct Node {
    pub(crate) home: PathBuf,
    pub(crate) api: u16,
    pub(crate) metrics: u16,
    pub(crate) facts: Value,
    /// A command that runs its program, as `nsenter`; empty for none.
    pub(crate) within: Vec<String>,
    pub(crate) process: Option<Child>,
}

impl Node {
    pub(crate) fn start(&mut self) {
        self.start_armed("");
    }

    /// Starts it with a place at which it ends as by a power cut; empty for none.
    pub(crate) fn start_armed(&mut self, failpoint: &str) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home.join("log"))
            .unwrap();
        let mut command = io_node(&self.home);
        if let Some((program, arguments)) = self.within.split_first() {
            let inner = command;
            command = Command::new(program);
            command.args(arguments);
            command.arg(inner.get_program()).args(inner.get_args());
        }
        command.arg("start").env("IO_FAILPOINT", failpoint);
        self.process = Some(command.stderr(log).spawn().unwrap());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    /// Process id of its CometBFT, from its log.
    pub(crate) fn comet(&self) -> u32 {
        let log = self.log();
        let (_, last) = log
            .rsplit_once("CometBFT is started process=")
            .expect("it was started");
        last.lines().next().unwrap().trim().parse().unwrap()
    }

    /// Ends the node as a power cut would, and waits until its CometBFT has noticed.
    pub(crate) fn kill(&mut self) {
        let comet = self.comet();
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        wait("CometBFT ends after its application", || !is_alive(comet));
    }

    /// Asks it to end, and returns its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut process = self.process.take().unwrap();
        let asked = Command::new("kill")
            .args(["-TERM", &process.id().to_string()])
            .status()
            .unwrap();
        assert!(asked.success());
        process.wait().unwrap().code()
    }

    /// Status and body of an answer; none while nobody answers.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        http(self.api, method, path, body)
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let (status, body) = self.ask("GET", path, "")?;
        (status == 200).then(|| {
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
        })
    }

    pub(crate) fn height(&self) -> u64 {
        let status: Option<io_types::api::Status> = self.get("/v1/status");
        status.map_or(0, |status| status.height.0)
    }

    /// Submits a transaction and waits for its block.
    pub(crate) fn submit(&self, bytes: &[u8]) -> TransactionResult {
        let body = serde_json::json!({ "transaction": base64::engine::general_purpose::STANDARD.encode(bytes) });
        let (status, body) = self
            .ask("POST", "/v1/transactions", &body.to_string())
            .expect("the node answers");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = self.process.as_mut() {
            // Its end is wished for, and so is an end that has come already.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

pub(crate) fn http(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .unwrap();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    Some((
        status,
        if is_chunked {
            unchunk(body)
        } else {
            body.to_owned()
        },
    ))
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}

pub(crate) fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A dead process that nobody has waited for is dead.
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[track_caller]
pub(crate) fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(150),
            "waited 150 s in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect()
}

/// A home with loopback ports and a fixed price.
pub(crate) fn init(home: &Path, moniker: &str, ports: &[u16]) -> Node {
    let [p2p, rpc, api, metrics] = *ports else {
        panic!("four ports")
    };
    let sets = [
        format!("comet.p2p_listen=tcp://127.0.0.1:{p2p}"),
        format!("comet.rpc_listen=tcp://127.0.0.1:{rpc}"),
        format!("api.listen=127.0.0.1:{api}"),
        format!("metrics.listen=127.0.0.1:{metrics}"),
        "comet.private_network=true".to_owned(),
        "prices.sources=fixed:0.40/1".to_owned(),
    ];
    let mut arguments = vec!["init", "--moniker", moniker, "--beacon-links", "10000"];
    for set in &sets {
        arguments.extend(["--set", set.as_str()]);
    }
    let facts = verb_json(home, &arguments);
    Node {
        home: home.to_owned(),
        api,
        metrics,
        facts,
        within: Vec::new(),
        process: None,
    }
}

/// Homes of one network, and a renter with money on the chain at genesis.
pub(crate) fn network(folder: &Path, count: usize, renter: &SigningKey) -> Vec<Node> {
    let ports = free_ports(4 * count);
    let nodes: Vec<Node> = ports
        .chunks(4)
        .enumerate()
        .map(|(number, ports)| {
            init(
                &folder.join(format!("n{number}")),
                &format!("n{number}"),
                ports,
            )
        })
        .collect();
    let genesis = genesis(&folder.join("network"), &nodes, renter);
    let peers: Vec<String> = nodes
        .iter()
        .zip(ports.chunks(4))
        .map(|(node, ports)| {
            format!(
                "{}@127.0.0.1:{}",
                node.facts["node_id"].as_str().unwrap(),
                ports[0]
            )
        })
        .collect();
    for node in &nodes {
        let output = verb(
            &node.home,
            &["init", "--genesis", genesis.to_str().unwrap()],
        );
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let file = node.home.join("node.toml");
        let text = fs::read_to_string(&file).unwrap();
        let line = format!("persistent_peers = \"{}\"", peers.join(","));
        fs::write(&file, text.replace("persistent_peers = \"\"", &line)).unwrap();
    }
    nodes
}

/// The network's genesis file, made as operators make it.
fn genesis(net: &Path, nodes: &[Node], renter: &SigningKey) -> PathBuf {
    let now = u64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap();
    let chain_start = ChainTime(now - now % 3_600_000);
    let beginning = Beginning {
        chain_id: CHAIN_ID.to_owned(),
        genesis_time: BlockTime(now),
        chain_start,
    };
    Folder::create(net, Template::Localnet, &beginning).unwrap();
    // No Solana in these tests, but the chain must name one.
    let file = net.join("network.toml");
    let mut text = fs::read_to_string(&file)
        .unwrap()
        .replace(&"0".repeat(64), &"1".repeat(64));
    for (field, byte) in [("program", 2), ("io_mint", 3), ("usdc_mint", 4)] {
        let unset = format!("{field} = \"{}\"", AccountId([0; 32]));
        text = text.replace(&unset, &format!("{field} = \"{}\"", AccountId([byte; 32])));
    }
    fs::write(&file, text).unwrap();
    for (asset, amount) in [(Asset::Io, 1_000_000_000_000), (Asset::Usdc, 5_000_000_000)] {
        let balance = GenesisBalance {
            account: account(renter),
            asset,
            amount: Amount::new(amount),
        };
        Folder::add_balance(net, &balance).unwrap();
    }
    for number in 0..3 {
        let account = account(&SigningKey::from_bytes(&[100 + number; 32]));
        let (asset, stake) = (Asset::Io, Amount::new(100_000_000_000));
        Folder::add_balance(
            net,
            &GenesisBalance {
                account,
                asset,
                amount: stake,
            },
        )
        .unwrap();
        let url = format!("ws://127.0.0.1:{}", 9_000 + u32::from(number));
        Folder::add_verifier(
            net,
            &GenesisVerifier {
                account,
                url,
                stake,
            },
        )
        .unwrap();
    }
    for node in nodes {
        declare(net, node);
    }
    let collected = Folder::read(net).unwrap();
    let spec = collected
        .spec()
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    let file = net.join("genesis.json");
    fs::write(&file, engine_genesis(&spec, collected.template().engine())).unwrap();
    file
}

/// Adds a node as a validator, signed by its keys.
fn declare(net: &Path, node: &Node) {
    let key = |file: &str| keys::read_keypair(&node.home.join(file)).unwrap();
    let signers = Signers {
        consensus: keys::read_consensus_key(
            &node.home.join("cometbft/config/priv_validator_key.json"),
        )
        .unwrap(),
        settlement: key("keys/settlement.json"),
        operator: key("keys/operator.json"),
    };
    let moniker = node.facts["moniker"].as_str().unwrap();
    let anchor = node.facts["beacon_anchor"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let declaration = Declaration::sign(CHAIN_ID, moniker, 10, anchor, &signers);
    Folder::add_validator(net, &declaration).unwrap();
}

pub(crate) fn account(key: &SigningKey) -> AccountId {
    AccountId(key.verifying_key().to_bytes())
}

/// A transaction's bytes.
pub(crate) fn signed(key: &SigningKey, sequence: u64, actions: Vec<Action>) -> Vec<u8> {
    let body = TransactionBody {
        chain_id: CHAIN_ID.to_owned(),
        signer: account(key),
        lane: 0,
        sequence,
        expires: Height(50_000),
        fee_max: Amount::new(1_000_000),
        actions,
    };
    body.sign(key).encode()
}
