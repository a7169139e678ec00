//! Carries signed batches to Solana, and pays accounts that asked for it.
//!
//! It keeps no state: everything that it does follows from a node's answers and from what stands on Solana, so it may be killed at any
//! moment and several may run at once. It is trusted with nothing: what it sends was signed by the chain's members, and it checks those
//! signatures itself before it spends a fee. A lost race shows in the simulation before anything is sent.

mod batch;
mod claims;
pub mod config;
mod fee;
pub mod init;
mod instructions;
mod members;
mod report;
mod send;
mod settle;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use io_client::node::PageRequest;
use io_client::solana::{BridgeProgram, Commitment, SolanaError, SolanaRpc};
use io_client::{Client, ClientError, Wallet};
use io_settlement::members::{Member, MemberSet};
use io_types::id::AccountId;
use io_types::row::Batch;
use solana_pubkey::Pubkey;
use tokio::time::Instant;

pub use batch::{Choice, Ready, choose};
pub use config::{ClaimFor, Config, ConfigError, Fee};
pub use init::{InitError, InitPlan};
pub use report::Report;

use send::Sender;

/// Batches that are looked at; a newer one contains all older ones.
const BATCHES: usize = 64;
/// The longest pause after errors.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often claims and closings are looked for when nothing was settled.
const CHORES_EVERY: Duration = Duration::from_secs(30);

/// Why a step did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// A node did not answer, or refused.
    #[error("node: {0}")]
    Node(#[from] ClientError),
    /// Solana did not answer, or refused.
    #[error(transparent)]
    Solana(#[from] SolanaError),
    /// Node and Solana do not belong together.
    #[error("{0}")]
    Mismatch(String),
    /// The payer cannot pay.
    #[error(
        "payer {payer} has {lamports} lamports and needs {needed}: send it SOL; nothing is lost meanwhile"
    )]
    NoSol {
        /// Whose.
        payer: Pubkey,
        /// What it has.
        lamports: u64,
        /// What it needs.
        needed: u64,
    },
}

impl RelayError {
    /// Whether somebody else was faster: nothing is left to do.
    fn is_lost_race(&self) -> bool {
        let Self::Solana(error) = self else {
            return false;
        };
        matches!(
            error.program_error(),
            Some(io_settlement::Error::OldNumber | io_settlement::Error::NothingDue)
        )
    }
}

/// What a round did, or what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Signatures were posted.
    Posted {
        /// For which batch.
        number: u64,
        /// How many.
        count: usize,
    },
    /// A batch is settled.
    Settled {
        /// Which one.
        number: u64,
        /// Solana's transaction.
        signature: String,
    },
    /// Somebody else settled first.
    LostRace {
        /// Which batch.
        number: u64,
    },
    /// An account was paid.
    Claimed {
        /// Whose.
        account: AccountId,
        /// Base units that were due.
        due: u64,
        /// Solana's transaction.
        signature: String,
    },
    /// Signatures accounts were closed and their rent came back.
    Closed {
        /// How many.
        count: usize,
    },
    /// Nothing can be done now; why.
    Waiting(String),
}

/// One relayer.
#[derive(Debug)]
pub struct Relayer {
    config: Config,
    nodes: Vec<Client>,
    rpc: SolanaRpc,
    wallet: Wallet,
    program: Pubkey,
    chores_at: Option<Instant>,
    /// When a batch was first seen ready: a clock of our own, should the chain's not be known.
    first_seen: BTreeMap<u64, u64>,
}

impl Relayer {
    /// A relayer of this configuration. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ConfigError`]: a key file or a URL cannot be used.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let wallet = config.wallet()?;
        let nodes = config.clients()?;
        let rpc = config.rpc()?;
        Ok(Self {
            program: Pubkey::new_from_array(config.program.0),
            config,
            nodes,
            rpc,
            wallet,
            chores_at: None,
            first_seen: BTreeMap::new(),
        })
    }

    /// Works until the process ends. What it waits for is logged whenever it changes.
    pub async fn run(mut self) {
        let every = Duration::from_millis(self.config.poll_ms);
        let mut pause = every;
        let mut shown = String::new();
        loop {
            match self.round().await {
                Ok(steps) => {
                    pause = every;
                    for step in steps {
                        show(&step, &mut shown);
                    }
                }
                Err(error) => {
                    show(&Step::Waiting(error.to_string()), &mut shown);
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Does what can be done now.
    ///
    /// # Errors
    /// [`RelayError`]; what was done before stands.
    pub async fn round(&mut self) -> Result<Vec<Step>, RelayError> {
        let node = self.node().await?;
        let program = BridgeProgram::read(&self.rpc, self.program, Commitment::Confirmed).await?;
        let page = PageRequest {
            after: None,
            limit: Some(BATCHES),
        };
        let batches = node.settlements(&page).await?.items;
        let set = self.member_set(&node, &program).await?;
        let mut steps = Vec::new();
        let mut is_settled = false;
        match choose(&batches, &program.bridge, &set) {
            Choice::Nothing => {}
            Choice::Waits { why } => steps.push(Step::Waiting(why)),
            Choice::Ready(ready) => {
                let number = ready.body.number;
                let price = self.price(&node, &ready).await;
                let sender = self.sender(price);
                self.afford().await?;
                match settle::carry(self, &sender, &program, &set, &ready, &mut steps).await {
                    Ok(()) => is_settled = true,
                    Err(error) if error.is_lost_race() => steps.push(Step::LostRace { number }),
                    Err(error) => return Err(error),
                }
            }
        }
        let is_due = self.chores_at.is_none_or(|at| at.elapsed() >= CHORES_EVERY);
        if is_settled || is_due {
            self.chores_at = Some(Instant::now());
            self.chores(&node, &batches, &mut steps).await?;
        }
        Ok(steps)
    }

    /// Claims and closings. Their prices are the lowest: nothing waits for them.
    async fn chores(
        &self,
        node: &Client,
        batches: &[Batch],
        steps: &mut Vec<Step>,
    ) -> Result<(), RelayError> {
        let program = BridgeProgram::read(&self.rpc, self.program, Commitment::Confirmed).await?;
        let sender = self.sender(self.config.fee.start);
        settle::close_old(self, &sender, batches, steps).await?;
        for claim in &self.config.claim {
            claims::pay(self, &sender, (node, &program), claim, steps).await?;
        }
        Ok(())
    }

    /// The first node that answers and has caught up.
    async fn node(&self) -> Result<Client, RelayError> {
        let mut last = RelayError::Mismatch("no node is configured".to_owned());
        for node in &self.nodes {
            match node.status().await {
                Ok(status) if !status.catching_up => return Ok(node.clone()),
                Ok(_) => {
                    last = RelayError::Mismatch(format!("node {} still catches up", node.url()));
                }
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// The members that sign, if the node and the program name the same ones.
    async fn member_set(
        &self,
        node: &Client,
        program: &BridgeProgram,
    ) -> Result<MemberSet, RelayError> {
        let bridge = node.bridge().await?;
        let mismatch = |why: String| RelayError::Mismatch(format!("node {}: {why}", node.url()));
        if bridge.program.0 != self.program.to_bytes() {
            let text = format!(
                "its chain settles on program {}, not {}",
                bridge.program, self.program
            );
            return Err(mismatch(text));
        }
        if bridge.cluster.0 != program.bridge.config.cluster_genesis {
            return Err(mismatch(
                "its chain settles on another Solana cluster".to_owned(),
            ));
        }
        let members = bridge.members.iter().map(|(key, power)| Member {
            key: key.0,
            power: *power,
        });
        let set = MemberSet::new(bridge.set_epoch, members.collect())
            .map_err(|error| mismatch(format!("its member set is none: {error}")))?;
        let state = &program.bridge.state;
        if set.hash() != state.set_hash {
            return Err(mismatch(format!(
                "its member set {} is not the program's set {}",
                set.set_epoch(),
                state.set_epoch
            )));
        }
        Ok(set)
    }

    /// Priority price for a batch: rises with its age.
    async fn price(&mut self, node: &Client, ready: &Ready) -> u64 {
        let now = unix_ms();
        let seen = *self.first_seen.entry(ready.body.number).or_insert(now);
        self.first_seen
            .retain(|number, _at| *number >= ready.body.number);
        // The close of the batch's epoch in block time; without it, when we first saw it.
        let since = match node.status().await {
            Ok(status) => {
                let closed = io_types::Epoch(ready.body.epoch).next().start();
                status.scale.block_time(closed).0
            }
            Err(_) => seen,
        };
        fee::price(&self.config.fee, now.saturating_sub(since.min(now)))
    }

    fn sender(&self, price: u64) -> Sender<'_> {
        Sender {
            rpc: &self.rpc,
            payer: self.wallet.keypair(),
            price,
        }
    }

    /// Refuses to begin what cannot be paid to its end.
    async fn afford(&self) -> Result<(), RelayError> {
        let payer = Pubkey::new_from_array(self.wallet.account().0);
        let lamports = self.rpc.balance(&payer, Commitment::Confirmed).await?;
        let needed = self.config.reserve_lamports;
        if lamports < needed {
            return Err(RelayError::NoSol {
                payer,
                lamports,
                needed,
            });
        }
        Ok(())
    }
}

fn show(step: &Step, shown: &mut String) {
    match step {
        Step::Posted { number, count } => tracing::info!(number, count, "signatures posted"),
        Step::Settled { number, signature } => tracing::info!(number, signature, "settled"),
        Step::LostRace { number } => tracing::info!(number, "another relayer settled first"),
        Step::Claimed {
            account,
            due,
            signature,
        } => tracing::info!(%account, due, signature, "claimed"),
        Step::Closed { count } => tracing::info!(count, "signatures accounts closed"),
        Step::Waiting(why) => {
            if why != shown {
                tracing::warn!(why, "waiting");
                shown.clone_from(why);
            }
            return;
        }
    }
    shown.clear();
}

/// This machine's clock, milliseconds since 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
