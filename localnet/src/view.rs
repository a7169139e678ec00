//! What a network does, gathered once and shown as a screen or as lines.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use io_client::{
    BookingFilter, ChallengeFilter, Client, ClientError, DeviceFilter, OrderFilter,
    money::show,
    node::all_pages,
    solana::{BridgeProgram, Commitment, SolanaError, SolanaRpc},
    types::{
        Amount, Asset,
        api::Status,
        row::{
            BookingState, BridgeState, Challenge, ChallengeStage, DeviceState, OrderState, Outcome,
        },
    },
};
use solana_pubkey::Pubkey;

use crate::network::Network;

/// A network at one moment. What could not be read is absent.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Status of each node, in order.
    pub nodes: Vec<Option<Status>>,
    /// The market, if a node answered.
    pub market: Option<Market>,
    /// The bridge as the chain sees it.
    pub bridge: Option<BridgeState>,
    /// The bridge as Solana has it, final.
    pub solana: Option<Solana>,
    /// Processes that run, of all; how often any was started again; how many stand still.
    pub processes: (usize, usize, u32, usize),
    /// Faults in force, as words.
    pub faults: Vec<String>,
}

/// What happened on the market since genesis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Market {
    /// Orders placed.
    pub orders: usize,
    /// Orders that were matched.
    pub matched: usize,
    /// Orders that wait.
    pub open: usize,
    /// Bookings being served.
    pub serving: usize,
    /// Bookings that are over.
    pub ended: usize,
    /// Minutes of chain time served, over all devices.
    pub minutes: u64,
    /// Devices by state.
    pub devices: BTreeMap<String, usize>,
    /// Challenges passed.
    pub passed: usize,
    /// Challenges that ended otherwise.
    pub not_passed: usize,
    /// Challenges in the works.
    pub running: usize,
    /// Rewards given, IO.
    pub rewards: Amount,
}

/// The Solana side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solana {
    /// The ledger's present slot.
    pub slot: u64,
    /// Number of the last settlement that is final.
    pub settled: u64,
    /// The slot that holds it.
    pub settled_slot: u64,
    /// IO claimed in all, base units.
    pub claimed_io: u64,
}

/// Reads everything. Takes at most as long as the slowest answer.
pub async fn gather(network: &Network) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for node in &network.nodes {
        snapshot.nodes.push(node.status().await.ok());
    }
    let up = network
        .nodes
        .iter()
        .zip(&snapshot.nodes)
        .find(|(_, status)| status.is_some());
    if let Some((node, _)) = up {
        snapshot.market = market(node)
            .await
            .inspect_err(|error| tracing::warn!(%error, "the market cannot be read"))
            .ok();
        snapshot.bridge = node
            .bridge()
            .await
            .inspect_err(|error| tracing::warn!(%error, "the bridge cannot be read"))
            .ok();
    }
    let program = network.plan.solana().program;
    snapshot.solana = solana(&network.ledger, program)
        .await
        .inspect_err(|error| tracing::warn!(%error, "the ledger cannot be read"))
        .ok();
    let processes = network.running.supervisor.status();
    snapshot.processes = (
        processes
            .iter()
            .filter(|process| process.pid.is_some())
            .count(),
        processes.len(),
        processes.iter().map(|process| process.restarts).sum(),
        processes.iter().filter(|process| process.paused).count(),
    );
    let rpc = network
        .running
        .proxy
        .status()
        .into_iter()
        .filter(|listener| listener.mode != crate::faults::Mode::Pass);
    snapshot
        .faults
        .extend(rpc.map(|listener| format!("RPC {}: {}", listener.name, listener.mode)));
    snapshot.faults.extend(
        network
            .running
            .links
            .cut()
            .into_iter()
            .map(|(from, to)| format!("{from} and {to} are cut")),
    );
    snapshot
}

async fn market(node: &Client) -> Result<Market, ClientError> {
    let mut market = Market::default();
    for order in all_pages(async |page| node.orders(&OrderFilter::default(), &page).await).await? {
        market.orders += 1;
        match order.state {
            OrderState::Open => market.open += 1,
            OrderState::Matched(_) => market.matched += 1,
            OrderState::Cancelled | OrderState::Expired => {}
        }
    }
    for booking in
        all_pages(async |page| node.bookings(&BookingFilter::default(), &page).await).await?
    {
        match booking.state {
            BookingState::Ended => market.ended += 1,
            BookingState::AwaitingDelivery | BookingState::Serving => market.serving += 1,
        }
        market.minutes += booking
            .parts
            .iter()
            .map(|part| u64::from(part.served))
            .sum::<u64>();
    }
    for view in all_pages(async |page| node.devices(&DeviceFilter::default(), &page).await).await? {
        *market
            .devices
            .entry(state_name(view.device.state).to_owned())
            .or_default() += 1;
    }
    for challenge in
        all_pages(async |page| node.challenges(&ChallengeFilter::default(), &page).await).await?
    {
        count(&mut market, &challenge);
    }
    for epoch in all_pages(async |page| node.epochs(&page).await).await? {
        market.rewards = market
            .rewards
            .checked_add(epoch.rewarded)
            .unwrap_or(market.rewards);
    }
    Ok(market)
}

fn count(market: &mut Market, challenge: &Challenge) {
    match (challenge.stage, challenge.outcome) {
        (ChallengeStage::Decided, Some(Outcome::Passed(_))) => market.passed += 1,
        (ChallengeStage::Decided, _) => market.not_passed += 1,
        _ => market.running += 1,
    }
}

async fn solana(ledger: &SolanaRpc, program: Pubkey) -> Result<Solana, SolanaError> {
    let slot = ledger.slot(Commitment::Processed).await?;
    let bridge = BridgeProgram::read(ledger, program, Commitment::Finalized)
        .await?
        .bridge;
    Ok(Solana {
        slot,
        settled: bridge.last.number,
        settled_slot: bridge.last.slot,
        claimed_io: *io_settlement::Asset::Io.of(&bridge.state.counters.claimed),
    })
}

fn state_name(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Onboarding => "onboarding",
        DeviceState::Ready => "ready",
        DeviceState::Hired => "hired",
        DeviceState::Paused => "paused",
        DeviceState::Down => "down",
        DeviceState::Probation => "on probation",
        DeviceState::Blocked => "blocked",
        DeviceState::Retired => "retired",
    }
}

impl Snapshot {
    /// The invariant of page 5.7 at the last attested settlement: the surplus of each asset, or what is wrong. `None` before the first.
    pub fn invariant(&self) -> Option<Result<[Amount; 2], String>> {
        let bridge = self.bridge.as_ref()?;
        if let Some(why) = &bridge.withdrawals_closed {
            return Some(Err(why.clone()));
        }
        let last = bridge.last_settle.as_ref()?;
        Some(match last.surplus {
            [Some(io), Some(usdc)] => Ok([io, usdc]),
            [None, _] => Err("IO: less on Solana than owed".to_owned()),
            [_, None] => Err("USDC: less on Solana than owed".to_owned()),
        })
    }

    /// Several lines for people.
    pub fn lines(&self, since: Instant) -> Vec<String> {
        let mut lines = vec![self.chain_line(since.elapsed())];
        lines.extend(self.market_lines());
        lines.push(self.settlement_line());
        lines.push(self.process_line());
        lines
    }

    /// One line for logs.
    pub fn line(&self) -> String {
        let market = self.market.clone().unwrap_or_default();
        let settled = self.solana.map_or(0, |solana| solana.settled);
        format!(
            "height {} · orders {} matched {} · minutes {} · challenges {} · rewards {} · settled {settled}",
            self.height(),
            market.orders,
            market.matched,
            market.minutes,
            market.passed,
            show(market.rewards, Asset::Io),
        )
    }

    /// The greatest height that a node has; 0 if none answers.
    pub fn height(&self) -> u64 {
        self.nodes
            .iter()
            .flatten()
            .map(|status| status.height.0)
            .max()
            .unwrap_or(0)
    }

    fn chain_line(&self, running: Duration) -> String {
        let up = self.nodes.iter().flatten().count();
        let Some(best) = self
            .nodes
            .iter()
            .flatten()
            .max_by_key(|status| status.height)
        else {
            return format!("{:<11} no node answers", "chain");
        };
        // Nodes at one height must agree; those a block behind say nothing.
        let agree = self
            .nodes
            .iter()
            .flatten()
            .filter(|status| status.height == best.height)
            .all(|status| status.app_hash == best.app_hash);
        let hash: String = best.app_hash.to_string().chars().take(12).collect();
        format!(
            "{:<11} height {} · app hash {hash}… · epoch {} slot {}/60 · {up}/{} nodes{} · up {}",
            "chain",
            best.height,
            best.epoch,
            best.slot.index_in_epoch(),
            self.nodes.len(),
            if agree { "" } else { " THAT DISAGREE" },
            clock(running),
        )
    }

    fn market_lines(&self) -> Vec<String> {
        let Some(market) = &self.market else {
            return vec![format!("{:<11} cannot be read", "market")];
        };
        let devices: Vec<String> = market
            .devices
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        vec![
            format!(
                "{:<11} {} placed · {} matched · {} open",
                "orders", market.orders, market.matched, market.open
            ),
            format!(
                "{:<11} {} serving · {} ended · {} minutes served",
                "bookings", market.serving, market.ended, market.minutes
            ),
            format!(
                "{:<11} {}",
                "devices",
                if devices.is_empty() {
                    "none yet".to_owned()
                } else {
                    devices.join(" · ")
                }
            ),
            format!(
                "{:<11} {} passed · {} not passed · {} in the works",
                "challenges", market.passed, market.not_passed, market.running
            ),
            format!(
                "{:<11} {} given",
                "rewards",
                show(market.rewards, Asset::Io)
            ),
        ]
    }

    fn settlement_line(&self) -> String {
        let newest = self
            .bridge
            .as_ref()
            .map_or(0, |bridge| bridge.newest_batch.0);
        let ledger = match self.solana {
            Some(Solana {
                slot,
                settled,
                settled_slot,
                claimed_io,
            }) => {
                let claimed = show(Amount::new(claimed_io), Asset::Io);
                format!(
                    "{settled} final at slot {settled_slot} · {claimed} claimed · ledger at slot {slot}"
                )
            }
            None => "the ledger does not answer".to_owned(),
        };
        let invariant = match self.invariant() {
            None => "nothing settled yet".to_owned(),
            Some(Ok(_)) => "invariant holds".to_owned(),
            Some(Err(why)) => format!("INVARIANT BROKEN: {why}"),
        };
        format!(
            "{:<11} batch {newest} frozen · {ledger} · {invariant}",
            "settlement"
        )
    }

    fn process_line(&self) -> String {
        let (running, all, restarts, paused) = self.processes;
        let faults = if self.faults.is_empty() {
            "none".to_owned()
        } else {
            self.faults.join("; ")
        };
        format!(
            "{:<11} {running}/{all} run · started again {restarts} times · {paused} paused · faults: {faults}",
            "processes"
        )
    }
}

/// Minutes and seconds.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds.div_euclid(60), seconds.rem_euclid(60))
}
