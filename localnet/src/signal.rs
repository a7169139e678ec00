//! Waiting for the wish to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Returns when the process receives SIGINT (Ctrl-C) or SIGTERM; never, if the system refuses to listen for them.
pub async fn asked_to_stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
