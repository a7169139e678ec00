//! Two worlds that never mix: a user's mistake, and a broken node.

use io_storage::Fault;
use io_types::Rejection;

/// Why an action did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The user broke a rule: the same answer on every node.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// This node is broken: it stops, it never votes.
    #[error("{0}")]
    Faulted(#[from] Fault),
}

/// A rule of our own that does not hold: the state contradicts itself, so the node must stop.
pub fn broken(place: &str, finding: impl Into<String>) -> Fault {
    Fault::bug(place, finding)
}

/// Turns a rejection where no user asked for anything into a fault.
pub fn must(place: &str, result: Result<(), ActionError>) -> Result<(), Fault> {
    match result {
        Ok(()) => Ok(()),
        Err(ActionError::Faulted(fault)) => Err(fault),
        Err(ActionError::Rejected(rejection)) => Err(broken(
            place,
            format!("a step that cannot be refused was: {rejection}"),
        )),
    }
}
