//! The daemon.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use io_client::Wallet;
use io_types::catalogue::Catalogue;
use io_types::params::VerificationParams;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::backend;
use crate::chain::{Chain, NodeChain};
use crate::config::Config;
use crate::judge::Judge;
use crate::record::Records;
use crate::server::{Roster, Server};

/// How long to wait before a node that is not there is asked again.
const NODE_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop` resolves.
///
/// # Errors
/// What an operator must mend: the wallet, the folder, the address, a backend that was asked for by name.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let wallet = Wallet::load(&config.wallet)?;
    let chain = NodeChain::new(&config.node, &wallet)?;
    let listener = TcpListener::bind(&config.bind).await.with_context(|| {
        format!(
            "cannot listen on {}; set `bind` to a free address",
            config.bind
        )
    })?;
    tracing::info!(verifier = %wallet.account(), bind = %listener.local_addr()?, node = %config.node, "started");
    run_on(config, chain, listener, stop).await
}

/// The same over a chain and a listener that are there already.
///
/// # Errors
/// As [`run`].
pub async fn run_on<C: Chain>(
    config: Config,
    chain: C,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let chosen = backend::choose(config.backend, 1).map_err(anyhow::Error::msg)?;
    tracing::info!(backend = %chosen.why, "replays");
    drop(chosen);
    let records = Records::open(&config.data.join("challenges"))?;
    tokio::pin!(stop);
    let (chain_id, rules) = tokio::select! {
        first = first_look(&chain) => first,
        () = &mut stop => return Ok(()),
    };
    let roster = Arc::new(Roster::default());
    let (inbox, inbound) = mpsc::channel(1024);
    let server = Server {
        chain: chain.clone(),
        chain_id,
        roster: Arc::clone(&roster),
        inbox,
        workers_max: config.workers_max,
    };
    let (judge, results) = Judge::new(chain, config, roster, records, rules);
    let serving = tokio::spawn(server.serve(listener));
    let result = tokio::select! {
        result = judge.run(inbound, results) => result.map_err(anyhow::Error::from),
        () = &mut stop => Ok(()),
    };
    serving.abort();
    tracing::info!("stopped");
    result
}

/// Waits for the node.
async fn first_look<C: Chain>(chain: &C) -> (String, (Catalogue, VerificationParams)) {
    loop {
        let seen = async {
            Ok::<_, io_client::ClientError>((
                chain.status().await?.chain_id,
                (chain.catalogue().await?, chain.params().await?.verification),
            ))
        };
        match seen.await {
            Ok(seen) => return seen,
            Err(error) => tracing::warn!(%error, "waiting for the node"),
        }
        tokio::time::sleep(NODE_PAUSE).await;
    }
}
