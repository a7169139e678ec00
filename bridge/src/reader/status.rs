//! What a reader shows of itself.

use serde::Serialize;

use super::AGREEING_MIN;
use super::agree::Disagreement;

/// State of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointStatus {
    /// Scheme, host and port: paths may hold secrets.
    pub name: String,
    /// Slot of its last good answer.
    pub slot: Option<u64>,
    /// Milliseconds since then.
    pub age_ms: Option<u64>,
    /// Why it does not count; none if it does.
    pub fault: Option<String>,
}

/// State of the reader, for metrics and `/v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReaderStatus {
    /// Whether a part is reported now.
    pub reporting: bool,
    /// Why not.
    pub why_not: Option<String>,
    /// Slot of what is reported.
    pub slot: Option<u64>,
    /// Slots between that and the best endpoint's.
    pub lag_slots: u64,
    /// Number of the last deposit that the endpoints agree on.
    pub deposit_number: Option<u64>,
    /// Number of the last settlement that they agree on; 0 before the first.
    pub settled: Option<u64>,
    /// Something that an operator must look at: an upgrade of the program, a disagreement, a false chain.
    pub alarm: Option<String>,
    /// Each endpoint.
    pub endpoints: Vec<EndpointStatus>,
}

/// Why nothing is reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Uncertain {
    #[error("{agreeing} endpoint(s) answer, {AGREEING_MIN} needed")]
    Few { agreeing: usize },
    #[error(transparent)]
    Disagree(#[from] Disagreement),
    #[error(
        "the chain credited deposit {number} with another rolling hash than Solana shows: the chain or Solana's endpoints are false"
    )]
    OtherHistory { number: u64 },
    #[error(
        "the chain's last credited deposit {number} is not in the queue any more; this node is far behind"
    )]
    Gone { number: u64 },
}

impl Uncertain {
    /// Whether an operator must look at it.
    pub(super) fn is_alarm(&self) -> bool {
        matches!(self, Self::Disagree(_) | Self::OtherHistory { .. })
    }
}
