//! The daemon: on each new block it reads its device, sends what is due, and tells the prover and the jobs.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use io_client::{ClientError, Wallet};
use io_types::api::DeviceView;
use io_types::row::Device;
use io_types::{Action, DeviceId, Height};
use tokio::sync::{mpsc, watch};

use crate::backend;
use crate::chain::{Chain, Lane, NodeChain};
use crate::compute::Engines;
use crate::config::Config;
use crate::home::Home;
use crate::job::Runner;
use crate::link::Identity;
use crate::prover::{Notice, Prover, ProverEnd, ProverSettings};
use crate::register;
use crate::uptime::Uptime;

/// How long to wait before a node that is not there is asked again.
const NODE_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop` resolves.
///
/// # Errors
/// What a supplier must mend: the wallet, the folder, the device, cards that are not there; or another worker with this key.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    // Verifiers behind a reverse proxy are dialled by TLS. Only the first call of a process installs anything.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("the TLS provider was installed before");
    }
    let wallet = Wallet::load(&config.wallet)?;
    let chain = NodeChain::new(&config.node, &wallet)?;
    run_on(config, chain, &wallet, stop).await
}

/// The same over a chain that is there already.
///
/// # Errors
/// As [`run`].
pub async fn run_on<C: Chain>(
    config: Config,
    chain: C,
    wallet: &Wallet,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let home = Home::lock(&config.data)?;
    let device = match config.device() {
        Some(device) => device,
        None => register::noted(&home, wallet.account())?.context(
            "no device is set and none was registered from this folder: run `io-worker register`, or set `device`",
        )?,
    };
    tokio::pin!(stop);
    let (chain_id, view) = tokio::select! {
        first = first_look(&chain, device) => first?,
        () = &mut stop => return Ok(()),
    };
    let row = view.device;
    if row.device_key != wallet.account() {
        bail!(
            "device {device} has the key {}, this wallet is {}: correct `wallet` or `device`",
            row.device_key,
            wallet.account()
        );
    }
    let chosen = backend::choose(config.backend, row.spec.quantity).map_err(anyhow::Error::msg)?;
    let on_cards = chosen.why.starts_with("backend cuda");
    if !on_cards && !config.declared {
        bail!(
            "no cards can be used for the {} processors of device {device} ({}); on a network of test classes set `declared = true`",
            row.spec.quantity,
            chosen.why
        );
    }
    tracing::info!(%device, key = %wallet.account(), node = %config.node, engines = %chosen.why, "started");
    let identity = Arc::new(Identity {
        key: wallet.key().clone(),
        chain_id,
        device,
    });
    let settings = ProverSettings {
        nonce_grace: config.nonce_grace(),
        self_check_elements: config.self_check_elements,
        watch_cards: on_cards,
    };
    let (notices, prover_notices) = mpsc::channel(64);
    let prover = Prover::run(
        chain.clone(),
        settings,
        Engines::new(chosen.engines),
        identity,
        prover_notices,
    );
    let (views, job_views) = watch::channel(None);
    let runner = Runner::open(chain.clone(), config.clone(), Home::open(&config.data)?)?;
    let keeper = Keeper {
        chain,
        device,
        home,
        notices,
        views,
        poll: config.poll(),
        sending: Arc::new(AtomicBool::new(false)),
    };
    let result = tokio::select! {
        result = prover => result.map_err(|end: ProverEnd| anyhow::Error::new(end).context("another worker with this device key runs; stop one of the two")),
        result = keeper.run() => result,
        result = jobs(runner, job_views) => result,
        () = &mut stop => Ok(()),
    };
    tracing::info!("stopped");
    result
}

/// Waits for the node; a device that does not exist is an error.
async fn first_look<C: Chain>(chain: &C, device: DeviceId) -> anyhow::Result<(String, DeviceView)> {
    loop {
        let seen = async {
            Ok::<_, ClientError>((chain.status().await?.chain_id, chain.device(device).await?))
        };
        match seen.await {
            Ok(seen) => return Ok(seen),
            Err(error @ ClientError::NotFound { .. }) => {
                return Err(
                    anyhow::Error::new(error).context(format!("device {device} does not exist"))
                );
            }
            Err(error) => tracing::warn!(%error, "waiting for the node"),
        }
        tokio::time::sleep(NODE_PAUSE).await;
    }
}

/// Hooks may take minutes; heartbeats do not wait for them.
async fn jobs<C: Chain>(
    mut runner: Runner<C>,
    mut views: watch::Receiver<Option<Device>>,
) -> anyhow::Result<()> {
    while views.changed().await.is_ok() {
        let device = views.borrow_and_update().clone();
        if let Some(device) = device {
            runner.follow(&device).await?;
        }
    }
    Ok(())
}

struct Keeper<C> {
    chain: C,
    device: DeviceId,
    home: Home,
    notices: mpsc::Sender<Notice>,
    views: watch::Sender<Option<Device>>,
    poll: Duration,
    sending: Arc<AtomicBool>,
}

impl<C: Chain> Keeper<C> {
    async fn run(self) -> anyhow::Result<()> {
        let mut uptime = Uptime::open(&self.home, self.device)?;
        let mut seen = Height(0);
        let mut poll = tokio::time::interval(self.poll);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            poll.tick().await;
            match self.look(&mut uptime, seen).await? {
                Ok(height) => seen = height,
                Err(error) => tracing::warn!(%error, "the chain was not read"),
            }
        }
    }

    /// Reads the device after a new block, and acts on it.
    async fn look(
        &self,
        uptime: &mut Uptime,
        seen: Height,
    ) -> anyhow::Result<Result<Height, ClientError>> {
        let status = match self.chain.status().await {
            Ok(status) => status,
            Err(error) => return Ok(Err(error)),
        };
        if status.height == seen {
            return Ok(Ok(seen));
        }
        let read = async {
            Ok((
                self.chain.device(self.device).await?,
                self.chain.params().await?,
            ))
        };
        let (view, params) = match read.await {
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        if !self.sending.load(Ordering::Acquire) {
            let due = uptime.due(&self.home, &status, &params.uptime, view.uptime.as_ref())?;
            self.send(due);
        }
        let challenge = match view.device.challenge {
            Some(id) => match self.chain.challenge(id).await {
                Ok(row) => Some(Box::new((row, view.device.clone()))),
                Err(error) => return Ok(Err(error)),
            },
            None => None,
        };
        self.notices
            .send(Notice::Challenge(challenge))
            .await
            .context("the prover has ended")?;
        self.views.send_replace(Some(view.device));
        Ok(Ok(status.height))
    }

    /// Sends duties beside the loop, one transaction at a time.
    fn send(&self, actions: Vec<Action>) {
        if actions.is_empty() {
            return;
        }
        self.sending.store(true, Ordering::Release);
        let (chain, sending) = (self.chain.clone(), Arc::clone(&self.sending));
        tokio::spawn(async move {
            if let Err(error) = chain.submit(Lane::Uptime, actions).await {
                tracing::info!(%error, "links were not taken; they are sent again with the next block");
            }
            sending.store(false, Ordering::Release);
        });
    }
}
