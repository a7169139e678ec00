//! Fault: this node is broken and must stop. It is never an answer to a user and never a result of a block.

use std::fmt;

/// Why this node must stop: where it noticed, what it found, and what its operator can do.
///
/// A fault concerns one machine (a bad disk, a corrupt database, a bug), not a transaction. Whoever gets one passes it
/// on; only the process boundary may end it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault(Box<Report>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    place: String,
    finding: String,
    remedy: String,
}

/// What to do about a fault that no operator can cause.
pub const REPORT_BUG: &str = "this is a bug: keep the data folder and the log, and report it";

/// What to do about a database that cannot be trusted any more.
pub const RESTORE: &str =
    "move the data folder away and restore from a snapshot, or replay the chain from genesis";

impl Fault {
    /// A fault noticed at `place` (a part of the program or a table), what was found there, and what to do about it.
    pub fn new(
        place: impl Into<String>,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self(Box::new(Report {
            place: place.into(),
            finding: finding.into(),
            remedy: remedy.into(),
        }))
    }

    /// A broken invariant of our own code.
    pub fn bug(place: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(place, finding, REPORT_BUG)
    }

    /// Stored bytes that contradict each other.
    pub fn corrupt(place: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(place, finding, RESTORE)
    }

    /// Where it was noticed.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// What was found.
    pub fn finding(&self) -> &str {
        &self.0.finding
    }

    /// What the operator can do.
    pub fn remedy(&self) -> &str {
        &self.0.remedy
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            place,
            finding,
            remedy,
        } = self.0.as_ref();
        write!(f, "{place}: {finding}; {remedy}")
    }
}
