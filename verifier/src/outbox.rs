//! What goes to the chain: actions in order, many in one transaction, each alone if together they are refused.

use std::time::Duration;

use io_client::ClientError;
use io_types::Action;
use tokio::sync::mpsc;

use crate::chain::{Chain, Lane};

/// Most actions in one transaction of ours.
const BATCH_MAX: usize = 64;
/// The pause after a node was out of reach.
const PAUSE: Duration = Duration::from_millis(500);

/// Where actions are put. They are sent in order; one that is lost is put in again by whoever reads the chain.
#[derive(Clone, Debug)]
pub struct Outbox {
    queue: mpsc::UnboundedSender<Action>,
}

impl Outbox {
    /// Starts sending.
    pub fn start<C: Chain>(chain: C) -> Self {
        let (queue, actions) = mpsc::unbounded_channel();
        tokio::spawn(drain(chain, actions));
        Self { queue }
    }

    /// Puts an action in.
    pub fn put(&self, action: Action) {
        if self.queue.send(action).is_err() {
            tracing::error!("nothing is sent any more: the sending task has ended");
        }
    }
}

async fn drain<C: Chain>(chain: C, mut actions: mpsc::UnboundedReceiver<Action>) {
    let mut batch = Vec::new();
    while actions.recv_many(&mut batch, BATCH_MAX).await > 0 {
        // Duties and other actions do not share a transaction.
        let (duties, others): (Vec<_>, Vec<_>) = batch.drain(..).partition(Action::is_duty);
        for group in [duties, others] {
            send(&chain, group).await;
        }
    }
}

async fn send<C: Chain>(chain: &C, actions: Vec<Action>) {
    if actions.is_empty() {
        return;
    }
    match chain.submit(Lane::Challenge, actions.clone()).await {
        Ok(_done) => {
            for action in &actions {
                tracing::debug!(action = action.name(), "done");
            }
        }
        Err(ClientError::Rejected { .. } | ClientError::Expired { .. }) if actions.len() > 1 => {
            for action in actions {
                Box::pin(send(chain, vec![action])).await;
            }
        }
        Err(error) if error.is_refusal() => {
            for action in &actions {
                tracing::warn!(action = action.name(), %error, "refused");
            }
        }
        Err(error) => {
            tracing::warn!(%error, "not sent");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
