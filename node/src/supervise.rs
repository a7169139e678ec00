//! Two processes that live and die together: this one and CometBFT.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::abci::{Server, Stop};
use crate::comet::Child;

/// Between two looks at the child.
const POLL: Duration = Duration::from_millis(100);

/// How long CometBFT may take to finish what it does and close its databases.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until there is a reason to stop, ends the other process and then the server, and returns the reason.
///
/// Without a child (`--abci-only`) somebody else runs CometBFT, and connections come and go.
pub fn run(server: Server, mut child: Option<Child>, stops: &Receiver<Stop>) -> Stop {
    let stop = loop {
        match stops.recv_timeout(POLL) {
            Ok(stop) => break stop,
            Err(RecvTimeoutError::Disconnected) => {
                break Stop::Fault("nothing is left to wait for".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        match child.as_mut().map(Child::ended) {
            None | Some(Ok(None)) => {}
            // It ends when the application refuses to go on; that reason may be on its way.
            Some(Ok(Some(status))) => {
                break stops
                    .recv_timeout(POLL)
                    .unwrap_or_else(|_| Stop::Fault(Child::tell(status)));
            }
            Some(Err(error)) => break Stop::Fault(error.to_string()),
        }
        if let Some(why) = child.as_ref().and_then(Child::failure) {
            // Our own reason, if the application gave one, says more than what CometBFT made of it.
            break stops.recv_timeout(POLL).unwrap_or_else(|_| {
                Stop::Fault(format!(
                    "CometBFT's consensus has stopped: {why}; it would make no block any more"
                ))
            });
        }
    };
    tracing::info!(%stop, "stopping");
    if let Some(child) = child.as_mut()
        && let Err(error) = child.end(PATIENCE)
    {
        tracing::error!(%error, "CometBFT could not be ended");
    }
    drop(server);
    stop
}

/// 0 when asked to end, 1 when told to stop here, 2 when broken.
pub fn exit_code(stop: &Stop) -> ExitCode {
    match stop {
        Stop::Asked(_) => ExitCode::SUCCESS,
        Stop::Planned(_) => ExitCode::from(1),
        Stop::Fault(_) => ExitCode::from(2),
    }
}
