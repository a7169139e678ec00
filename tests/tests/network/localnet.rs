//! A localnet of a test's own, started through the built `io-localnet`, and the hands that break it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// All parts come up within seconds; a loaded machine needs more.
const UP_WITHIN: Duration = Duration::from_mins(4);
/// Everything ends within this.
const DOWN_WITHIN: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(200);

/// A running localnet. Dropping it ends every process; if the test fails, the folder with state and logs is kept and named.
#[derive(Debug)]
pub(crate) struct Localnet {
    folder: Option<TempDir>,
    home: PathBuf,
    child: Child,
    facts: Value,
}

/// A process as `io-localnet status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u64,
}

impl Localnet {
    /// Starts one with these flags and variables, and waits until all of it answers.
    pub(crate) fn start(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the localnet");
        let home = folder.path().join("home");
        let log = File::create(folder.path().join("localnet.log")).expect("a log");
        let child = ending_with_us(&command(&home, "up"))
            .arg("--plain")
            .args(flags)
            .envs(variables.iter().copied())
            .env("PATH", search_path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("io-localnet is built");
        let mut localnet = Self {
            folder: Some(folder),
            home,
            child,
            facts: Value::Null,
        };
        let started = Instant::now();
        loop {
            if let Ok(status) = localnet.status() {
                localnet.facts = status["facts"].clone();
                return localnet;
            }
            let ended = localnet.child.try_wait().expect("a child of ours");
            assert!(
                ended.is_none() && started.elapsed() < UP_WITHIN,
                "the localnet did not come up within {} s:\n{}",
                UP_WITHIN.as_secs(),
                localnet.log()
            );
            thread::sleep(LOOK);
        }
    }

    /// Its folder of state.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A text that it tells of itself, as `/solana`.
    pub(crate) fn fact(&self, pointer: &str) -> String {
        let value = self.facts.pointer(pointer).and_then(Value::as_str);
        value
            .unwrap_or_else(|| panic!("io-localnet tells no {pointer}: {}", self.facts))
            .to_owned()
    }

    /// URLs of the four nodes.
    pub(crate) fn nodes(&self) -> [String; 4] {
        [0, 1, 2, 3].map(|index| self.fact(&format!("/nodes/{index}")))
    }

    /// The process of that name.
    pub(crate) fn process(&self, name: &str) -> Result<Process, String> {
        let status = self.status()?;
        let all = status["processes"].as_array().cloned().unwrap_or_default();
        let found = all
            .iter()
            .find(|process| process["name"] == name)
            .ok_or_else(|| format!("io-localnet shows no {name}"))?;
        let pid = found["pid"].as_u64().map(u32::try_from);
        Ok(Process {
            name: name.to_owned(),
            pid: pid.transpose().map_err(|error| error.to_string())?,
            restarts: found["restarts"].as_u64().unwrap_or(0),
        })
    }

    /// CometBFT's process id: the child of that node.
    pub(crate) fn engine(&self, node: &str) -> Result<u32, String> {
        let pid = self.process(node)?.pid;
        let pid = pid.ok_or_else(|| format!("{node} does not run now"))?;
        let all = processes();
        let child = all.iter().find(|other| parent_of(**other) == Some(pid));
        child
            .copied()
            .ok_or_else(|| format!("{node} has no child process"))
    }

    /// Breaks or heals something, as `io-localnet faults` is told. Panics if it refuses.
    pub(crate) fn fault(&self, words: &[&str]) {
        let done = command(&self.home, "faults").args(words).output();
        let done = done.expect("io-localnet is built");
        let (said, refused) = (
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr),
        );
        assert!(done.status.success(), "faults {words:?}: {refused}");
        eprintln!("          {}", said.trim_end());
    }

    /// What a process has said so far.
    pub(crate) fn log_of(&self, process: &str) -> String {
        let file = self.home.join("logs").join(format!("{process}.log"));
        std::fs::read_to_string(file).expect("the log of a process")
    }

    /// Ends everything in good order. Panics if a process is left.
    pub(crate) fn end(mut self) {
        self.stop();
        let left = self.left();
        assert!(left.is_empty(), "these processes did not end: {left:?}");
    }

    fn status(&self) -> Result<Value, String> {
        let output = command(&self.home, "status")
            .arg("--json")
            .output()
            .map_err(|error| format!("io-localnet does not run: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }

    fn log(&self) -> String {
        let file = self.home.with_file_name("localnet.log");
        std::fs::read_to_string(file).unwrap_or_default()
    }

    fn stop(&mut self) {
        let asked = command(&self.home, "down").output();
        let is_asked = asked.is_ok_and(|output| output.status.success());
        let started = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if !is_asked || started.elapsed() > DOWN_WITHIN {
                kill(self.child.id());
                self.child.wait().expect("a killed child ends");
            }
            thread::sleep(LOOK);
        }
    }

    /// Processes that still name the folder of this localnet in their command line.
    fn left(&self) -> Vec<u32> {
        let home = self.home.display().to_string();
        let mut all = processes();
        all.retain(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&home)
        });
        all
    }
}

impl Drop for Localnet {
    fn drop(&mut self) {
        self.stop();
        for pid in self.left() {
            kill(pid);
        }
        if let Some(folder) = self.folder.take().filter(|_folder| thread::panicking()) {
            eprintln!(
                "state and logs of the localnet are kept in {}; it said last:\n{}",
                folder.keep().display(),
                self.log()
                    .lines()
                    .rev()
                    .take(3)
                    .collect::<Vec<_>>()
                    .join("\n")
            );
        }
    }
}

/// `kill -9`: the process gets no chance to write a word.
pub(crate) fn kill(pid: u32) {
    let done = Command::new("sh")
        .args(["-c", &format!("kill -9 {pid}")])
        .output();
    let done = done.expect("a shell");
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() || !is_alive(pid),
        "cannot kill process {pid}: {words}"
    );
}

/// Whether a process runs; one that has ended and that nobody waited for does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _parent)| state != "Z" && state != "X")
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid).map(|(_state, parent)| parent)
}

/// State and parent.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("a system with /proc");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The command with the system's word that it is told to end when this test ends, however that may be.
fn ending_with_us(command: &Command) -> Command {
    let mut whole = Command::new("setpriv");
    whole
        .args(["--pdeathsig", "TERM"])
        .arg(command.get_program())
        .args(command.get_args());
    whole
}

fn command(home: &Path, verb: &str) -> Command {
    let program = programs().join("io-localnet");
    assert!(
        program.is_file(),
        "{} is not built; run the tests by ./dev test",
        program.display()
    );
    let mut command = Command::new(program);
    command.arg(verb).arg("--home").arg(home);
    command
}

/// The folder of the workspace's programs: that of this test is one below it.
pub(crate) fn programs() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its place");
    let folder = own.parent().and_then(Path::parent);
    folder.expect("it lies in a folder of the build").to_owned()
}

/// Where programs are looked for: the workspace's own first.
pub(crate) fn search_path() -> String {
    let rest = std::env::var("PATH").unwrap_or_default();
    format!("{}:{rest}", programs().display())
}
