//! Four real CometBFT validators, each with an application behind our boundary in a process of its own: blocks come about once
//! a second, all agree, a poisonous transaction stops nobody, and a node that was killed at any moment comes back by replay.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panic"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use io_node::comet::{CometHome, GenesisDocument, Tuning};
use serde_json::Value;

struct Validator {
    home: PathBuf,
    rpc: u16,
    running: Option<Running>,
}

struct Running {
    process: Child,
    comet: u32,
}

impl Validator {
    fn start(&mut self) {
        let program = std::env::current_exe().unwrap();
        let program = program
            .parent()
            .and_then(|deps| deps.parent())
            .unwrap()
            .join("examples/counter");
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home.join("log"))
            .unwrap();
        let mut command = Command::new(&program);
        command.arg(&self.home).stdout(Stdio::piped()).stderr(log);
        let mut process = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let comet = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("it did not start: {}", self.log()));
        self.running = Some(Running { process, comet });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    /// Kills the application without warning and waits for its CometBFT to notice.
    fn kill(&mut self) {
        let mut running = self.running.take().unwrap();
        running.process.kill().unwrap();
        running.process.wait().unwrap();
        wait("CometBFT ends after its application", || {
            !is_alive(running.comet)
        });
    }

    fn get(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.rpc)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        write!(stream, "GET /{path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    fn height(&self) -> u64 {
        let status = self.get("status");
        let height = status
            .as_ref()
            .and_then(|status| status.pointer("/result/sync_info/latest_block_height"));
        height
            .and_then(Value::as_str)
            .map_or(0, |height| height.parse().unwrap())
    }

    fn sum(&self) -> Option<u64> {
        let answer = self.get("abci_query")?;
        let value = answer
            .pointer("/result/response/value")?
            .as_str()?
            .to_owned();
        let bytes =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value).ok()?;
        String::from_utf8(bytes).ok()?.parse().ok()
    }

    fn app_hash(&self, height: u64) -> Option<String> {
        let block = self.get(&format!("block?height={height}"))?;
        Some(
            block
                .pointer("/result/block/header/app_hash")?
                .as_str()?
                .to_owned(),
        )
    }

    /// The code of the answer.
    fn submit(&self, text: &str) -> u64 {
        let answer = self
            .get(&format!("broadcast_tx_sync?tx=%22{text}%22"))
            .expect("the node answers");
        answer
            .pointer("/result/code")
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("{answer}"))
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        if let Some(running) = self.running.as_mut() {
            // Their end is wished for, and so is an end that has come already.
            drop(running.process.kill());
            drop(running.process.wait());
        }
    }
}

fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A dead process that nobody has waited for is dead.
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[track_caller]
fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(90),
            "waited 90 s in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect()
}

fn network(folder: &std::path::Path) -> Vec<Validator> {
    let ports = free_ports(8);
    let homes: Vec<PathBuf> = (0..4)
        .map(|number| folder.join(format!("v{number}")))
        .collect();
    let comets: Vec<CometHome> = homes
        .iter()
        .map(|home| CometHome::new(home.join("cometbft")))
        .collect();
    // The keys come first, since the settings of each name the others.
    let mut peers = Vec::new();
    for (comet, pair) in comets.iter().zip(ports.chunks(2)) {
        comet.init(&tuning(pair, "")).unwrap();
        peers.push(format!(
            "{}@127.0.0.1:{}",
            comet.node_id().unwrap(),
            pair[0]
        ));
        fs::remove_file(comet.config_file()).unwrap();
    }
    let keys = comets.iter().enumerate().map(|(number, comet)| {
        (
            comet.validator_key().unwrap().unwrap(),
            10,
            format!("v{number}"),
        )
    });
    let document = GenesisDocument {
        chain_id: "counter-test".to_owned(),
        genesis_time: "2026-01-01T00:00:00Z".to_owned(),
        validators: keys.collect(),
        app_state: serde_json::json!({}),
    };
    let document = document.to_json().to_string();
    for (comet, pair) in comets.iter().zip(ports.chunks(2)) {
        comet.init(&tuning(pair, &peers.join(","))).unwrap();
        comet.install_genesis(&document).unwrap();
    }
    homes
        .into_iter()
        .zip(ports.chunks(2))
        .map(|(home, pair)| Validator {
            home,
            rpc: pair[1],
            running: None,
        })
        .collect()
}

fn tuning(ports: &[u16], peers: &str) -> Tuning {
    Tuning {
        moniker: "test".to_owned(),
        p2p_listen: format!("tcp://127.0.0.1:{}", ports[0]),
        rpc_listen: format!("tcp://127.0.0.1:{}", ports[1]),
        persistent_peers: peers.to_owned(),
        private_network: true,
        timeout_commit_ms: 800,
    }
}

#[test]
fn four_validators_agree_through_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut validators = network(folder.path());
    validators.iter_mut().for_each(Validator::start);
    wait("four validators make blocks", || {
        validators.iter().all(|validator| validator.height() >= 3)
    });

    assert_eq!(validators[0].submit("add:40"), 0);
    assert_eq!(validators[1].submit("nonsense"), 101);
    // It breaks every proposal that holds it; each proposer leaves it out and the chain goes on.
    assert_eq!(validators[2].submit("add:13"), 0);
    assert_eq!(validators[3].submit("add:2"), 0);
    wait("all have added", || {
        validators
            .iter()
            .all(|validator| validator.sum() == Some(42))
    });

    // One is killed; three of four are enough, and it catches up.
    validators[3].kill();
    let height = validators[0].height();
    assert_eq!(validators[0].submit("add:100"), 0);
    wait("three go on", || {
        validators[0].height() >= height + 3 && validators[1].sum() == Some(142)
    });
    validators[3].start();
    wait("the fourth catches up", || {
        validators[3].height() >= height + 3 && validators[3].sum() == Some(142)
    });

    // All are killed at once; each replays what its application had not made durable.
    let height = validators[0].height();
    validators.iter_mut().for_each(Validator::kill);
    validators.iter_mut().for_each(Validator::start);
    wait("all go on", || {
        validators
            .iter()
            .all(|validator| validator.height() >= height + 3)
    });
    assert!(
        validators
            .iter()
            .all(|validator| validator.sum() == Some(142))
    );
    for height in [3, height, height + 2] {
        let hashes: Vec<Option<String>> = validators
            .iter()
            .map(|validator| validator.app_hash(height))
            .collect();
        assert!(
            hashes[0].is_some() && hashes.iter().all(|hash| *hash == hashes[0]),
            "{height}: {hashes:?}"
        );
    }

    // About one block a second, on a machine that may be busy.
    let (start, first) = (Instant::now(), validators[0].height());
    wait("five blocks", || validators[0].height() >= first + 5);
    let each = start.elapsed() / 5;
    println!("a block each {} ms", each.as_millis());
    assert!(
        each > Duration::from_millis(500) && each < Duration::from_secs(4),
        "a block each {each:?}"
    );

    // Either dying ends both, with a reason.
    let mut running = validators[0].running.take().unwrap();
    let killed = Command::new("kill")
        .args(["-9", &running.comet.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(running.process.wait().unwrap().code(), Some(2));
    assert!(
        validators[0]
            .log()
            .contains("CometBFT was ended by signal 9"),
        "{}",
        validators[0].log()
    );
}
