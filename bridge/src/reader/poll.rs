//! The tasks that poll endpoints, one each.

use std::sync::Arc;
use std::time::Duration;

use solana_pubkey::Pubkey;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::endpoint::{Accounts, Endpoint, EndpointFault, cluster_text};
use super::view::{self, Addresses, LOOK_BYTES, View};
use super::{Bound, Shared};

/// The last good answer of an endpoint, and what is wrong with it now.
#[derive(Debug, Default)]
pub(super) struct Observation {
    seen: Option<(View, Instant)>,
    fault: Option<EndpointFault>,
}

impl Observation {
    pub(super) fn note(&mut self, seen: Result<View, EndpointFault>) {
        match seen {
            Ok(view) => {
                self.seen = Some((view, Instant::now()));
                self.fault = None;
            }
            Err(fault) => {
                // An endpoint that was out of reach for a moment is believed a while; one that shows something false is not.
                let passing = matches!(
                    fault,
                    EndpointFault::Unreachable(_) | EndpointFault::Refused { .. }
                );
                if !passing {
                    self.seen = None;
                }
                self.fault = Some(fault);
            }
        }
    }

    pub(super) fn view(&self) -> Option<&View> {
        self.seen.as_ref().map(|(view, _at)| view)
    }

    pub(super) fn slot(&self) -> Option<u64> {
        self.view().map(|view| view.slot)
    }

    pub(super) fn age(&self) -> Option<Duration> {
        self.seen.as_ref().map(|(_view, at)| at.elapsed())
    }

    pub(super) fn is_fresh(&self, age_max: Duration) -> bool {
        self.age().is_some_and(|age| age <= age_max)
    }

    /// Why it does not count, if it does not or soon will not.
    pub(super) fn fault_text(
        &self,
        age_max: Duration,
        best: Option<u64>,
        behind_max: u64,
    ) -> Option<String> {
        if let Some(fault) = &self.fault {
            return Some(fault.to_string());
        }
        let Some(slot) = self.slot() else {
            return Some(EndpointFault::Silent.to_string());
        };
        let behind = best.unwrap_or(slot).saturating_sub(slot);
        if behind > behind_max {
            return Some(format!("{behind} slots behind the best endpoint"));
        }
        let is_old = !self.is_fresh(age_max);
        is_old.then(|| "its last answer is too old".to_owned())
    }
}

/// Ends its tasks when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Tasks {
    pub(super) fn spawn(shared: &Arc<Shared>, endpoints: Vec<Endpoint>) -> Self {
        let spawn = |(index, endpoint): (usize, Endpoint)| {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                let every = Duration::from_millis(shared.config.poll_ms.max(1));
                let mut poller = Poller::new(endpoint, shared.bound);
                loop {
                    let seen = poller.poll().await;
                    shared.observe(index, seen);
                    tokio::time::sleep(every).await;
                }
            })
        };
        Self(endpoints.into_iter().enumerate().map(spawn).collect())
    }
}

/// Asks an endpoint so many times in a row; the last answer counts.
pub(super) async fn ask(
    endpoint: &Endpoint,
    bound: Bound,
    times: u8,
) -> Result<View, EndpointFault> {
    let mut poller = Poller::new(endpoint.clone(), bound);
    let mut seen = Err(EndpointFault::Silent);
    for _time in 0..times {
        seen = poller.poll().await;
    }
    seen
}

/// Polls one endpoint.
#[derive(Debug)]
pub(super) struct Poller {
    endpoint: Endpoint,
    bound: Bound,
    addresses: Addresses,
    /// Whether the endpoint serves the right cluster; asked again after each fault.
    is_right_cluster: bool,
    queue: Option<Pubkey>,
    last: Option<View>,
}

impl Poller {
    pub(super) fn new(endpoint: Endpoint, bound: Bound) -> Self {
        Self {
            endpoint,
            bound,
            addresses: Addresses::of(&bound.program),
            is_right_cluster: false,
            queue: None,
            last: None,
        }
    }

    pub(super) async fn poll(&mut self) -> Result<View, EndpointFault> {
        let seen = self.look().await;
        match &seen {
            Ok(view) => self.last = Some(view.clone()),
            Err(_) => self.is_right_cluster = false,
        }
        seen
    }

    async fn look(&mut self) -> Result<View, EndpointFault> {
        if !self.is_right_cluster {
            let found = self.endpoint.genesis_hash().await?;
            if found != self.bound.cluster {
                return Err(EndpointFault::OtherCluster {
                    found: cluster_text(&found),
                });
            }
            self.is_right_cluster = true;
        }
        let queue = match self.queue {
            Some(queue) => queue,
            None => self.find_queue().await?,
        };
        // A look without records first: the queue is half a megabyte and seldom changes.
        let short = self.accounts(queue, Some(LOOK_BYTES)).await?;
        if let Some(view) = self.unchanged(&short)? {
            return Ok(view);
        }
        let whole = self.accounts(queue, None).await?;
        let [bridge, queue, data] = parts(&whole);
        let bridge = view::bridge(&self.bound, &self.addresses, bridge)?;
        self.queue = Some(Pubkey::new_from_array(bridge.config.queue));
        Ok(View {
            slot: whole.slot,
            header: view::header(&self.addresses, data)?,
            records: view::records(&self.addresses, &bridge, queue)?,
            first: view::first(&self.addresses, &bridge),
            bridge,
        })
    }

    async fn find_queue(&mut self) -> Result<Pubkey, EndpointFault> {
        let keys = [self.addresses.bridge];
        let found = self.endpoint.accounts(&keys, None).await?;
        let account = found.accounts.first().and_then(Option::as_ref);
        let bridge = view::bridge(&self.bound, &self.addresses, account)?;
        let queue = Pubkey::new_from_array(bridge.config.queue);
        self.queue = Some(queue);
        Ok(queue)
    }

    async fn accounts(
        &self,
        queue: Pubkey,
        first_bytes: Option<usize>,
    ) -> Result<Accounts, EndpointFault> {
        let Addresses {
            program: _,
            bridge,
            program_data,
        } = self.addresses;
        self.endpoint
            .accounts(&[bridge, queue, program_data], first_bytes)
            .await
    }

    /// The new view, if no deposit came since the last one.
    fn unchanged(&self, short: &Accounts) -> Result<Option<View>, EndpointFault> {
        let [bridge, queue, data] = parts(short);
        let bridge = view::bridge(&self.bound, &self.addresses, bridge)?;
        let header = view::header(&self.addresses, data)?;
        view::queue_head(&self.addresses, &bridge, queue)?;
        let Some(last) = &self.last else {
            return Ok(None);
        };
        let (before, now) = (&last.bridge.state, &bridge.state);
        let same =
            (before.deposit_number, before.deposit_hash) == (now.deposit_number, now.deposit_hash);
        Ok(same.then(|| View {
            slot: short.slot,
            bridge,
            header,
            records: Arc::clone(&last.records),
            first: last.first,
        }))
    }
}

fn parts(accounts: &Accounts) -> [Option<&super::endpoint::Account>; 3] {
    let mut found = accounts.accounts.iter().map(Option::as_ref);
    [(); 3].map(|()| found.next().flatten())
}
