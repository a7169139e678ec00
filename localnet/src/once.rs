//! `up --once`: runs until the whole road was travelled twice, and says how long each stretch took.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use anyhow::Context;
use io_client::{
    money::show,
    solana::{BridgeProgram, Commitment, token_address},
    types::{Amount, Asset},
};
use io_settlement::{Asset as BridgeAsset, Bytes32, address::SIGNATURES_SEED, batch::Kind};
use serde_json::{Value, json};
use solana_pubkey::Pubkey;

use crate::{
    cli::say,
    network::Network,
    plan::{SUPPLIERS, names},
    view::{Snapshot, clock},
};

/// Settlements that must be final.
const SETTLEMENTS: usize = 2;

/// How far a run has come. What an earlier run of the same folder reached does not count.
#[derive(Debug, Default)]
pub struct Road {
    reached: Vec<(&'static str, Duration)>,
    /// Numbers of final settlements of this run, as they were seen.
    settlements: Vec<u64>,
    /// The figures at the first moment at which all of them could be read.
    begun: Option<Figures>,
    now: Figures,
    newest: Option<Snapshot>,
}

/// What only grows while a network runs.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    height: u64,
    orders: usize,
    matched: usize,
    minutes: u64,
    passed: usize,
    rewards: Amount,
    settled: u64,
    /// What Solana paid to suppliers, base units of IO.
    paid: u64,
}

impl Figures {
    /// Of a moment; `None` if a part of it could not be read.
    fn of(snapshot: &Snapshot, paid: Option<u64>) -> Option<Self> {
        let market = snapshot.market.as_ref()?;
        Some(Self {
            height: snapshot.height(),
            orders: market.orders,
            matched: market.matched,
            minutes: market.minutes,
            passed: market.passed,
            rewards: market.rewards,
            settled: snapshot.solana?.settled,
            paid: paid?,
        })
    }

    fn since(self, begun: Self) -> Self {
        Self {
            height: self.height.saturating_sub(begun.height),
            orders: self.orders.saturating_sub(begun.orders),
            matched: self.matched.saturating_sub(begun.matched),
            minutes: self.minutes.saturating_sub(begun.minutes),
            passed: self.passed.saturating_sub(begun.passed),
            rewards: self.rewards.saturating_sub(begun.rewards),
            settled: self.settled.saturating_sub(begun.settled),
            paid: self.paid.saturating_sub(begun.paid),
        }
    }
}

/// What a run must show, in the order in which it comes.
const MILESTONES: [&str; 9] = [
    "first block",
    "first device on offer",
    "first order matched",
    "first minute served",
    "first challenge passed",
    "first reward",
    "first settlement final",
    "second settlement final",
    "first reward claimed on Solana",
];

impl Road {
    /// Takes note of a moment; says what is new. `paid` is what Solana paid to suppliers, base units of IO; a moment of which a part
    /// could not be read changes no figure.
    pub fn pass(&mut self, snapshot: &Snapshot, paid: Option<u64>, at: Duration) -> Vec<String> {
        self.newest = Some(snapshot.clone());
        let Some(figures) = Figures::of(snapshot, paid) else {
            return Vec::new();
        };
        let begun = *self.begun.get_or_insert(figures);
        self.now = figures.since(begun);
        if self.now.settled > 0 && self.settlements.last() != Some(&figures.settled) {
            self.settlements.push(figures.settled);
        }
        let mut news = Vec::new();
        for (name, reached) in MILESTONES.into_iter().zip(self.figures()) {
            if reached && self.reached.iter().all(|(other, _)| *other != name) {
                self.reached.push((name, at));
                news.push(format!("{:>6}  {name}", clock(at)));
            }
        }
        news
    }

    /// For each milestone, whether it is reached.
    fn figures(&self) -> [bool; 9] {
        let snapshot = self.newest.clone().unwrap_or_default();
        let market = snapshot.market.clone().unwrap_or_default();
        let now = self.now;
        [
            now.height > 0,
            market
                .devices
                .iter()
                .any(|(state, count)| *count > 0 && matches!(state.as_str(), "ready" | "hired")),
            now.matched > 0,
            now.minutes > 0,
            now.passed > 0,
            now.rewards > Amount::ZERO,
            !self.settlements.is_empty(),
            self.settlements.len() >= SETTLEMENTS,
            now.paid > 0,
        ]
    }

    /// What is missing; empty when the run is complete.
    pub fn missing(&self) -> Vec<String> {
        let open = MILESTONES
            .into_iter()
            .zip(self.figures())
            .filter(|(_, reached)| !reached);
        let mut missing: Vec<String> = open.map(|(name, _)| name.to_owned()).collect();
        match self.newest.as_ref().and_then(Snapshot::invariant) {
            Some(Ok(_)) => {}
            Some(Err(why)) => missing.push(format!("the invariant of settlement: {why}")),
            None => missing.push("a settlement attested by the chain".to_owned()),
        }
        missing
    }
}

/// What Solana paid to suppliers so far, base units of IO; final.
pub async fn paid_to_suppliers(network: &Network) -> anyhow::Result<u64> {
    let bridge = BridgeProgram::read(
        &network.ledger,
        network.plan.solana().program,
        Commitment::Finalized,
    )
    .await?;
    let mut sum = 0_u64;
    for name in names("supplier", SUPPLIERS) {
        let account = network.plan.wallet(&name).account();
        sum = sum.saturating_add(
            bridge
                .paid(
                    &network.ledger,
                    BridgeAsset::Io,
                    &account.0,
                    Commitment::Finalized,
                )
                .await?,
        );
    }
    Ok(sum)
}

/// Prints what was reached and when, and the figures of both sides.
pub async fn report(network: &Network, road: &Road, started: Instant) -> anyhow::Result<()> {
    let snapshot = road.newest.clone().unwrap_or_default();
    let now = road.now;
    let mut text = String::from("\ntime    milestone of this run\n");
    for (name, at) in &road.reached {
        writeln!(text, "{:>6}  {name}", clock(*at))?;
    }
    let signature = settle_signature(network)
        .await
        .unwrap_or_else(|error| format!("not found: {error:#}"));
    let invariant = match snapshot.invariant() {
        Some(Ok([io, usdc])) => format!(
            "holds; surplus {} and {}",
            show(io, Asset::Io),
            show(usdc, Asset::Usdc)
        ),
        Some(Err(why)) => format!("BROKEN: {why}"),
        None => "not checked: nothing is settled".to_owned(),
    };
    let settled: Vec<String> = road.settlements.iter().map(u64::to_string).collect();
    let mut rows = vec![
        ("orders placed", now.orders.to_string()),
        ("orders matched", now.matched.to_string()),
        ("minutes served", now.minutes.to_string()),
        ("challenges passed", now.passed.to_string()),
        ("rewards given", show(now.rewards, Asset::Io)),
        ("batches final on Solana", settled.join(", ")),
        ("Solana signature", signature),
        ("invariant of page 5.7", invariant),
        (
            "rewards claimed on Solana",
            show(Amount::new(now.paid), Asset::Io),
        ),
    ];
    for name in names("supplier", SUPPLIERS) {
        rows.push(("balance on both sides", balances(network, &name).await?));
    }
    text.push('\n');
    for (name, value) in rows {
        writeln!(text, "{name:<26} {value}")?;
    }
    writeln!(
        text,
        "
ran {}",
        clock(started.elapsed())
    )?;
    say(&text)
}

async fn balances(network: &Network, name: &str) -> anyhow::Result<String> {
    let account = network.plan.wallet(name).account();
    let node = network.nodes.first().context("a network without nodes")?;
    let view = node.account(account).await?;
    let on_chain = |asset| {
        view.balances
            .iter()
            .find(|balance| balance.asset == asset)
            .map_or(Amount::ZERO, |balance| balance.balance)
    };
    let [io_mint, usdc_mint] = network.plan.solana().mints;
    let wallet = network.plan.address(name);
    let mut solana = Vec::new();
    for (mint, asset) in [(io_mint, Asset::Io), (usdc_mint, Asset::Usdc)] {
        let balance = network
            .ledger
            .token_balance(&token_address(&wallet, &mint), Commitment::Finalized)
            .await?;
        solana.push(show(Amount::new(balance.amount), asset));
    }
    Ok(format!(
        "{name}: chain {} and {}, Solana {}",
        show(on_chain(Asset::Io), Asset::Io),
        show(on_chain(Asset::Usdc), Asset::Usdc),
        solana.join(" and ")
    ))
}

/// The transaction that applied the last final settlement: the newest one that names the batch's signatures account.
async fn settle_signature(network: &Network) -> anyhow::Result<String> {
    let program = network.plan.solana().program;
    let last = BridgeProgram::read(&network.ledger, program, Commitment::Finalized)
        .await?
        .bridge
        .last;
    let node = network.nodes.first().context("a network without nodes")?;
    let batch = node
        .settlement(io_client::types::id::BatchNumber(last.number))
        .await?;
    let account = signatures_address(&program, batch.set_epoch, &last.batch_hash);
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "getSignaturesForAddress",
        "params": [account.to_string(), {"limit": 20, "commitment": "confirmed"}],
    });
    let answer = reqwest::Client::new()
        .post(network.plan.ledger_url())
        .json(&request)
        .send()
        .await?;
    let answer: Value = answer.json().await?;
    let rows = answer
        .get("result")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let settled = rows.iter().find(|row| {
        row.get("slot").and_then(Value::as_u64) == Some(last.slot)
            && row.get("err").is_none_or(Value::is_null)
    });
    let signature = settled
        .and_then(|row| row.get("signature"))
        .and_then(Value::as_str);
    Ok(signature
        .with_context(|| format!("no transaction of slot {} names {account}", last.slot))?
        .to_owned())
}

fn signatures_address(program: &Pubkey, set_epoch: u64, hash: &Bytes32) -> Pubkey {
    let seeds: [&[u8]; 4] = [
        SIGNATURES_SEED,
        &[Kind::Settle.byte()],
        &set_epoch.to_le_bytes(),
        hash,
    ];
    Pubkey::find_program_address(&seeds, program).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Market, Solana};

    /// Of a run in which `much` of everything happened.
    fn snapshot(much: usize, settled: u64) -> Snapshot {
        Snapshot {
            market: Some(Market {
                orders: much,
                matched: much,
                minutes: u64::try_from(much).unwrap(),
                passed: much,
                rewards: Amount::new(u64::try_from(much).unwrap()),
                ..Market::default()
            }),
            solana: Some(Solana {
                slot: 9,
                settled,
                settled_slot: 8,
                claimed_io: 0,
            }),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_milestone_is_told_once_with_its_time() {
        let mut road = Road::default();
        assert!(
            road.pass(&snapshot(0, 0), Some(0), Duration::ZERO)
                .is_empty()
        );
        let news = road.pass(&snapshot(1, 1), Some(0), Duration::from_secs(61));
        assert!(
            news.contains(&"  1:01  first order matched".to_owned()),
            "{news:?}"
        );
        assert!(news.contains(&"  1:01  first settlement final".to_owned()));
        assert!(
            road.pass(&snapshot(1, 1), Some(0), Duration::from_secs(62))
                .is_empty()
        );
        assert!(
            road.pass(&snapshot(2, 2), None, Duration::from_secs(62))
                .is_empty(),
            "what cannot be read is not zero"
        );
        let news = road.pass(&snapshot(2, 2), Some(7), Duration::from_secs(63));
        assert_eq!(
            news,
            [
                "  1:03  second settlement final",
                "  1:03  first reward claimed on Solana"
            ]
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut road = Road::default();
        road.pass(&snapshot(0, 0), Some(0), Duration::ZERO);
        road.pass(&snapshot(1, 1), Some(0), Duration::ZERO);
        assert_eq!(
            road.missing(),
            [
                "first block",
                "first device on offer",
                "second settlement final",
                "first reward claimed on Solana",
                "a settlement attested by the chain"
            ]
        );
    }

    #[test]
    fn what_an_earlier_run_reached_does_not_count() {
        let mut road = Road::default();
        road.pass(&snapshot(5, 5), Some(9), Duration::ZERO);
        road.pass(&snapshot(5, 6), Some(9), Duration::ZERO);
        let missing = road.missing();
        for open in [
            "first order matched",
            "first minute served",
            "first challenge passed",
            "first reward",
            "second settlement final",
            "first reward claimed on Solana",
        ] {
            assert!(missing.iter().any(|name| name == open), "{missing:?}");
        }
        assert!(!missing.iter().any(|name| name == "first settlement final"));
    }
}
