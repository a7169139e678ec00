//! The localnet that sessions talk to: one that runs already, or one of this test's own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Names the home of a localnet that runs already, as `io-localnet up --home` was given it.
const RUNNING: &str = "IO_LOCALNET_HOME";
/// Four validators, a ledger and the rest come up within seconds; a loaded machine needs more.
const UP_WITHIN: Duration = Duration::from_mins(5);
/// Everything ends within this.
const DOWN_WITHIN: Duration = Duration::from_mins(1);

/// A localnet and a folder to work in.
#[derive(Debug)]
pub(crate) struct Localnet {
    folder: tempfile::TempDir,
    home: PathBuf,
    own: Option<Child>,
    facts: Value,
}

impl Localnet {
    /// Finds the running one or starts one, and waits until all of it answers.
    pub(crate) fn ready() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the sessions");
        let running = std::env::var_os(RUNNING).map(PathBuf::from);
        let home = running
            .clone()
            .unwrap_or_else(|| folder.path().join("localnet"));
        let own = running.is_none().then(|| start(&home, folder.path()));
        let mut localnet = Self {
            folder,
            home,
            own,
            facts: Value::Null,
        };
        let started = Instant::now();
        loop {
            if let Some(status) = localnet.status() {
                localnet.facts = status.pointer("/facts").cloned().unwrap_or_default();
                return localnet;
            }
            let ended = localnet
                .own
                .as_mut()
                .and_then(|child| child.try_wait().expect("a child of ours"));
            assert!(
                ended.is_none() && started.elapsed() < UP_WITHIN,
                "the localnet did not come up:\n{}",
                localnet.log()
            );
            thread::sleep(Duration::from_secs(1));
        }
    }

    /// Where the sessions run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a person exports after `./dev up`, as it says.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let fact = |path: &str| {
            let value = self.facts.pointer(path).and_then(Value::as_str);
            value
                .expect("io-localnet status tells its URLs and keys")
                .to_owned()
        };
        vec![
            ("IO_NODE", fact("/nodes/0")),
            ("IO_SOLANA", fact("/solana")),
            ("IO_PROGRAM", fact("/program")),
            ("IO_WALLET", fact("/keys/you/file")),
        ]
    }

    fn status(&self) -> Option<Value> {
        let output = localnet_command(&self.home, "status")
            .arg("--json")
            .output()
            .expect("io-localnet is built");
        output
            .status
            .success()
            .then(|| serde_json::from_slice(&output.stdout).expect("its status is JSON"))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("localnet.log")).unwrap_or_default()
    }
}

impl Drop for Localnet {
    fn drop(&mut self) {
        let Some(mut child) = self.own.take() else {
            return;
        };
        let asked = localnet_command(&self.home, "down").output();
        let started = Instant::now();
        while asked.as_ref().is_ok_and(|output| output.status.success())
            && started.elapsed() < DOWN_WITHIN
        {
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
        if child.kill().is_ok() {
            child.wait().expect("a killed child ends");
        }
    }
}

fn start(home: &Path, folder: &Path) -> Child {
    let log = File::create(folder.join("localnet.log")).expect("a log");
    localnet_command(home, "up")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("io-localnet is built")
}

fn localnet_command(home: &Path, verb: &str) -> Command {
    let program = programs().join("io-localnet");
    assert!(
        program.is_file(),
        "{} is not built; run the tests by ./dev test",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .arg(verb)
        .arg("--home")
        .arg(home)
        .env("PATH", path());
    command
}

/// The folder of the workspace's programs: that of this test is one below it.
fn programs() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its place");
    own.parent()
        .and_then(Path::parent)
        .expect("it lies in a folder of the build")
        .to_owned()
}

/// Where programs are looked for: the workspace's own first.
pub(crate) fn path() -> String {
    let rest = std::env::var("PATH").unwrap_or_default();
    format!("{}:{rest}", programs().display())
}
