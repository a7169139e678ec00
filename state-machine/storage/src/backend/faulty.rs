//! A store that crashes on purpose, for tests of what survives.

use super::{Backend, Batch, Disk, Family, MemoryBackend, VisitBytes};
use crate::Fault;

/// What becomes of the batch during which the store crashes. A batch is atomic, so these are all the outcomes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The batch is lost.
    Lost,
    /// The batch is durable, but the writer was never told.
    Unacknowledged,
}

/// A memory store that crashes at one write. After the crash it answers nothing; open a new store over the same [`Disk`].
#[derive(Debug)]
pub struct FaultyBackend {
    disk: Disk,
    store: MemoryBackend,
    writes_left: u64,
    crash: Crash,
    is_down: bool,
}

impl FaultyBackend {
    /// A store over `disk` that completes `writes` batches and crashes in the next one.
    pub fn new(disk: &Disk, writes: u64, crash: Crash) -> Self {
        Self {
            disk: disk.clone(),
            store: MemoryBackend::new(disk),
            writes_left: writes,
            crash,
            is_down: false,
        }
    }

    fn check_up(&self) -> Result<(), Fault> {
        if self.is_down {
            return Err(Fault::new(
                "faulty store",
                "it crashed as planned",
                "reopen over the same disk",
            ));
        }
        Ok(())
    }
}

impl Backend for FaultyBackend {
    fn families(&self) -> Result<Vec<Family>, Fault> {
        self.check_up()?;
        self.store.families()
    }

    fn scan(&self, family: Family, visit: &mut VisitBytes<'_>) -> Result<(), Fault> {
        self.check_up()?;
        self.store.scan(family, visit)
    }

    fn write(&mut self, batch: Batch<'_>) -> Result<(), Fault> {
        self.check_up()?;
        if let Some(left) = self.writes_left.checked_sub(1) {
            self.writes_left = left;
            return self.store.write(batch);
        }
        self.is_down = true;
        match self.crash {
            Crash::Lost => {}
            Crash::Unacknowledged => self.disk.write(batch)?,
        }
        self.check_up()
    }
}
