//! The state machine behind the ABCI boundary: translate, call, remember for people. No rule of the chain lives here.

mod consensus;
mod mempool;
mod payouts;
mod translate;
mod views;
mod voters;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use io_state_machine::Machine;
use io_types::{Height, TimeScale};
use tokio::sync::watch;

use crate::abci::Application;
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::validator::Report;

pub use payouts::{PayoutError, PayoutFiles};
pub use voters::Voters;

/// The database's folder in a node's home.
pub const DATA: &str = "data/state";
/// The journal's folder.
pub const JOURNAL: &str = "data/journal";
/// The payout files' folder.
pub const PAYOUTS: &str = "data/payouts";
/// A file that holds the height at which a running node stops.
pub const HALT_FILE: &str = "data/halt";

/// Why the chain can not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database or what is in it.
    #[error("{0}")]
    Fault(#[from] io_storage::Fault),
    /// The journal.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The payout files.
    #[error("{0}")]
    Payouts(#[from] PayoutError),
}

/// Everything that the boundary, the API and the verbs share.
#[derive(Debug)]
pub struct Chain {
    /// The rules and the state.
    pub machine: Machine,
    /// What came of each block.
    journal: Mutex<Journal>,
    /// Leaf sets of batches.
    pub payouts: PayoutFiles,
    /// What this validator adds to its votes.
    pub report: Report,
    /// Numbers for people.
    pub metrics: Metrics,
    /// What each validator adds to its votes.
    pub voters: Voters,
    /// Calls that look at more than one part of the machine (state, works, derived indices) must not meet a commit between
    /// two of them: they read-lock this, a commit write-locks it. It guards no data.
    turnstile: RwLock<()>,
    /// Held by the one thread that prepares the next vote extension, so that an older state never overwrites a newer one.
    duties: Mutex<()>,
    /// How block time becomes chain time.
    scale: TimeScale,
    /// The last committed height; changes wake those who wait.
    height: watch::Sender<Height>,
    /// Stop before this height; 0: never.
    halt_height: u64,
    halt_file: PathBuf,
}

/// Opens the state of a home.
///
/// # Errors
/// A fault that names the folder and says what to do.
#[cfg(feature = "rocksdb")]
pub fn open_machine(home: &Path) -> Result<Machine, io_storage::Fault> {
    use io_state_machine::{Options, tables::SPECS};
    use io_storage::{Store, backend::RocksBackend};

    let backend = RocksBackend::open(&home.join(DATA), SPECS)?;
    Machine::open(Store::open(SPECS, Box::new(backend))?, Options::default())
}

/// How to open a chain.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Stop before this height; 0: never.
    pub halt_height: u64,
    /// Blocks that the journal keeps.
    pub journal_blocks: u64,
    /// How block time becomes chain time, from genesis.
    pub scale: TimeScale,
}

impl Chain {
    /// Opens everything of a home.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[cfg(feature = "rocksdb")]
    pub fn open(home: &Path, options: Opening, report: Report) -> Result<Arc<Self>, OpenError> {
        Self::over(open_machine(home)?, home, options, report)
    }

    /// Opens everything of a home but the state, which is given.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn over(
        machine: Machine,
        home: &Path,
        options: Opening,
        report: Report,
    ) -> Result<Arc<Self>, OpenError> {
        let Opening {
            halt_height,
            journal_blocks,
            scale,
        } = options;
        let (height, _) = machine.info();
        let journal = Journal::open(&home.join(JOURNAL), height, journal_blocks)?;
        let chain = Self {
            machine,
            journal: Mutex::new(journal),
            payouts: PayoutFiles::open(&home.join(PAYOUTS))?,
            report,
            metrics: Metrics::default(),
            voters: Voters::default(),
            turnstile: RwLock::default(),
            duties: Mutex::default(),
            scale,
            height: watch::Sender::new(height),
            halt_height,
            halt_file: home.join(HALT_FILE),
        };
        Ok(Arc::new(chain))
    }

    /// The application in its three parts.
    pub fn application(self: &Arc<Self>, retain_blocks: u64) -> Application {
        Application {
            consensus: Box::new(consensus::ChainConsensus::new(
                Arc::clone(self),
                retain_blocks,
            )),
            mempool: Arc::new(mempool::ChainMempool::new(Arc::clone(self))),
            views: Arc::new(views::ChainViews::new(Arc::clone(self))),
        }
    }

    /// The last committed height, and its changes.
    pub fn heights(&self) -> watch::Receiver<Height> {
        self.height.subscribe()
    }

    /// The journal. Held for one read or write.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        // A panic inside the journal leaves files that its next opening repairs, and an index that is at worst short.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps commits out for a moment.
    pub(crate) fn between_commits(&self) -> RwLockReadGuard<'_, ()> {
        self.turnstile
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps out everybody who must not meet a commit.
    fn committing(&self) -> RwLockWriteGuard<'_, ()> {
        self.turnstile
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this node stops before a height, if it does.
    fn halt_before(&self, height: u64) -> Option<String> {
        if self.halt_height != 0 && height >= self.halt_height {
            return Some(format!("halt_height is {}", self.halt_height));
        }
        let asked = std::fs::read_to_string(&self.halt_file).ok()?;
        let asked: u64 = asked.trim().parse().ok()?;
        (height >= asked).then(|| {
            format!(
                "`io-node halt` asked to stop before height {asked}; remove {} to go on",
                self.halt_file.display()
            )
        })
    }
}
