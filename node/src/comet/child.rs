//! CometBFT as a child process.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::binary::Binary;
use super::home::CometHome;

/// Between two looks at a child that was asked to end.
const POLL: Duration = Duration::from_millis(50);

/// What CometBFT says when its consensus has stopped for good. The process stays, and does nothing any more.
const FAILURE: &str = "CONSENSUS FAILURE!!!";

/// Bytes of its reason that are shown.
const REASON_MAX: usize = 400;

/// Why the child can not be run.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It did not start.
    #[error("can not start {path}: {source}")]
    Start {
        /// The program.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system would not say how it is.
    #[error("can not watch CometBFT: {0}")]
    Watch(#[from] io::Error),
}

/// How to start CometBFT.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The program.
    pub binary: &'a Binary,
    /// Its folder.
    pub home: &'a CometHome,
    /// Where the application listens, `unix://PATH`.
    pub proxy_app: &'a str,
    /// Lines as JSON.
    pub json_logs: bool,
    /// Further flags, from the node's own settings.
    pub flags: Vec<String>,
}

/// A running CometBFT. Dropping it ends it.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    ended: Option<ExitStatus>,
    failure: Arc<OnceLock<String>>,
}

impl Child {
    /// Starts it, with its words on our standard error.
    pub fn start(launch: &Launch<'_>) -> Result<Self, ChildError> {
        let failed = |source| ChildError::Start {
            path: launch.binary.path.display().to_string(),
            source,
        };
        let mut command = Command::new(&launch.binary.path);
        command.arg("start").arg("--home").arg(launch.home.folder());
        command
            .arg("--proxy_app")
            .arg(launch.proxy_app)
            .args(["--abci", "socket"])
            .args(&launch.flags);
        if launch.json_logs {
            // There is no flag for the format; CometBFT reads its settings from CMT_ variables too.
            command.env("CMT_LOG_FORMAT", "json");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // A group of its own: Ctrl-C reaches us alone, and we end it in our order.
        command.process_group(0);
        let mut process = command.spawn().map_err(failed)?;
        let failure = Arc::new(OnceLock::new());
        if let Some(words) = process.stdout.take() {
            let failure = Arc::clone(&failure);
            let thread = thread::Builder::new().name("cometbft-words".to_owned());
            thread
                .spawn(move || pass_on(words, &failure))
                .map_err(failed)?;
        }
        Ok(Self {
            process,
            ended: None,
            failure,
        })
    }

    /// Why its consensus has stopped for good, if it has. The process runs on, and makes no block any more.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, ChildError> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Asks it to end, and ends it if it has not after `patience`.
    pub fn end(&mut self, patience: Duration) -> Result<ExitStatus, ChildError> {
        if self.ended()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() >= patience {
                tracing::warn!(
                    seconds = patience.as_secs(),
                    "CometBFT did not end when asked; it is killed"
                );
                self.process.kill()?;
                return Ok(self
                    .process
                    .wait()
                    .inspect(|status| self.ended = Some(*status))?);
            }
            thread::sleep(POLL);
        }
    }

    /// Says in words how it ended.
    pub fn tell(status: ExitStatus) -> String {
        match (status.code(), status.signal()) {
            (Some(code), _) => {
                format!("CometBFT ended with exit code {code}; its last words stand above")
            }
            (None, Some(signal)) => format!("CometBFT was ended by signal {signal}"),
            (None, None) => "CometBFT ended".to_owned(),
        }
    }

    /// The process is not reaped before `ended` says so, so the number is still its own.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("the process id does not fit"))?;
        Ok(kill_process(id, signal)?)
    }
}

/// Puts its words on our standard error, line by line, and listens for its failure.
fn pass_on(words: ChildStdout, failure: &OnceLock<String>) {
    let mut words = BufReader::new(words);
    let mut line = Vec::new();
    while words
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        if let Some(reason) = failure_in(&String::from_utf8_lossy(&line)) {
            // The first one is the cause.
            failure.get_or_init(|| reason);
        }
        // Nobody may be reading ours any more; it must be read on all the same, or CometBFT stands still.
        drop(io::stderr().write_all(&line));
        line.clear();
    }
}

/// The reason in a line that tells of a failure.
fn failure_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(FAILURE)?;
    let (_, rest) = rest.split_once("err").unwrap_or(("", rest));
    let rest = rest.trim_start_matches(['"', '=', ':']).trim();
    let reason = rest.split("stack").next().unwrap_or(rest);
    let reason = reason.trim_end_matches([' ', '"', ',', '}']);
    Some(reason.chars().take(REASON_MAX).collect())
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.end(Duration::from_secs(5)) {
            tracing::error!(%error, "CometBFT could not be ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::failure_in;

    #[test]
    fn a_failure_is_found_in_text_and_in_json() {
        let text = "E[2026-11-21|12:44:23.895] CONSENSUS FAILURE!!!      module=consensus err=\"write x: no space left\" stack=\"goroutine\"\n";
        let json = r#"{"level":"error","module":"consensus","_msg":"CONSENSUS FAILURE!!!","err":"write x: no space left","stack":"goroutine"}"#;
        for line in [text, json] {
            assert_eq!(failure_in(line).as_deref(), Some("write x: no space left"));
        }
        assert_eq!(failure_in("I[..] finalized block err=\"x\""), None);
    }
}
