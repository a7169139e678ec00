//! CometBFT as a child process.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::binary::Binary;
use super::home::CometHome;

/// Between two looks at a child that was asked to end.
const POLL: Duration = Duration::from_millis(50);

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
}

impl Child {
    /// Starts it, with its words on our standard error.
    pub fn start(launch: &Launch<'_>) -> Result<Self, ChildError> {
        let failed = |source| ChildError::Start {
            path: launch.binary.path.display().to_string(),
            source,
        };
        let words = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
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
        command.stdin(Stdio::null()).stdout(Stdio::from(words));
        // A group of its own: Ctrl-C reaches us alone, and we end it in our order.
        command.process_group(0);
        let process = command.spawn().map_err(failed)?;
        Ok(Self {
            process,
            ended: None,
        })
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

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.end(Duration::from_secs(5)) {
            tracing::error!(%error, "CometBFT could not be ended");
        }
    }
}
