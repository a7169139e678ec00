//! What can be asked to break, and to heal.

use serde::{Deserialize, Serialize};

use super::{Lie, Mode};

/// A fault, as typed and as sent to the running localnet.
///
/// A PROCESS is a name that `io-localnet status` shows, such as `validator-1`. An RPC is a listener such as `validator-1/a`, a validator
/// for both of its listeners, or `all`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Kill a process (SIGKILL). It is started again.
    Kill {
        /// Which.
        process: String,
    },
    /// Kill a validator's consensus engine (SIGKILL), the child of its node.
    KillEngine {
        /// Which validator.
        process: String,
    },
    /// Stop a process where it stands (SIGSTOP).
    Pause {
        /// Which.
        process: String,
    },
    /// Let a paused process go on.
    Resume {
        /// Which.
        process: String,
    },
    /// Kill a process and what it started (SIGKILL), and keep it down.
    Stop {
        /// Which.
        process: String,
    },
    /// Start a stopped process again.
    Start {
        /// Which.
        process: String,
    },
    /// Cut the connections between these validators and all others.
    Partition {
        /// One side of the cut.
        #[arg(required = true)]
        validators: Vec<String>,
    },
    /// Let nothing through between these validators and all others; their connections stay open.
    Silence {
        /// One side of the silence.
        #[arg(required = true)]
        validators: Vec<String>,
    },
    /// Make an RPC answer late.
    SlowRpc {
        /// Which.
        rpc: String,
        /// By how many milliseconds.
        #[arg(default_value_t = 2_000)]
        ms: u64,
    },
    /// Make an RPC unreachable.
    DropRpc {
        /// Which.
        rpc: String,
    },
    /// Make an RPC stand still: it repeats what it answered until now.
    StaleRpc {
        /// Which.
        rpc: String,
    },
    /// Make an RPC lie.
    LieRpc {
        /// Which.
        rpc: String,
        /// About what.
        #[command(subcommand)]
        about: AboutWhat,
    },
    /// End every fault: RPCs tell the truth, links carry, paused and stopped processes go on.
    Heal,
}

/// What a lying RPC lies about.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AboutWhat {
    /// Turn bits of the last byte of every account over.
    Bytes {
        /// Which bits; listeners with different masks disagree with each other.
        #[arg(default_value_t = 1)]
        mask: u8,
    },
    /// Show a deposit that nobody made, with a rolling hash that fits.
    Deposit {
        /// Whom it pretends to credit: 32 bytes in hex.
        account: String,
        /// Base units of IO.
        #[arg(default_value_t = 100_000_000)]
        amount: u64,
    },
    /// Show balances that are too large.
    Balance {
        /// By how many base units.
        #[arg(default_value_t = 100_000_000)]
        amount: u64,
    },
}

impl Fault {
    /// The RPC listeners that change, and how; `None` if the fault is none of an RPC.
    pub fn rpc(&self) -> Option<(&str, Mode)> {
        match self {
            Self::SlowRpc { rpc, ms } => Some((rpc, Mode::Delay { ms: *ms })),
            Self::DropRpc { rpc } => Some((rpc, Mode::Drop)),
            Self::StaleRpc { rpc } => Some((rpc, Mode::Stale)),
            Self::LieRpc { rpc, about } => {
                let lie = match about.clone() {
                    AboutWhat::Bytes { mask } => Lie::Bytes { mask },
                    AboutWhat::Deposit { account, amount } => Lie::Deposit { account, amount },
                    AboutWhat::Balance { amount } => Lie::Balance { amount },
                };
                Some((rpc, Mode::Lie(lie)))
            }
            Self::Kill { .. }
            | Self::KillEngine { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Stop { .. }
            | Self::Start { .. }
            | Self::Partition { .. }
            | Self::Silence { .. }
            | Self::Heal => None,
        }
    }
}
