//! Why a request or a transaction did not succeed: what, where, what to do.

use io_types::id::{Hash, Height};
use io_types::rejection::Rejection;

use crate::solana::SolanaError;

/// Why something did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// A rule of the chain was broken. With a height, the sequence and the fee are taken; without one, nothing is.
    #[error("rejected with code {code}: {text}")]
    Rejected {
        /// Number of the rule: see [`Rejection`].
        code: u32,
        /// What the node says of it.
        text: String,
        /// The transaction.
        hash: Option<Hash>,
        /// The block that holds it, if one does.
        height: Option<Height>,
    },
    /// What was asked for is not there.
    #[error("{text} (asked {url})")]
    NotFound {
        /// Where.
        url: String,
        /// What the node says of it.
        text: String,
    },
    /// The node did not take the request.
    #[error("{url} refused the request (HTTP {status}): {text}")]
    Refused {
        /// Where.
        url: String,
        /// HTTP status.
        status: u16,
        /// What the node says of it.
        text: String,
    },
    /// The node is down, slow, or the URL is wrong. A transaction that was being sent may be executed nevertheless.
    #[error("cannot reach {url}: {why}; check that the node runs and that the URL is right")]
    Unreachable {
        /// Where.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// The node answered, but not as this version of its API does.
    #[error(
        "{url} answered what this client does not understand: {why}; compare the versions of node and client"
    )]
    BadAnswer {
        /// Where.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// No block held the transaction by its last height: it was not executed and never will be.
    #[error("transaction {hash} expired at height {expires} and was not executed; send it again")]
    Expired {
        /// The transaction.
        hash: Hash,
        /// Its last height.
        expires: Height,
    },
    /// A file, a key or a value that was typed cannot be used.
    #[error("{what}: {why}")]
    Invalid {
        /// Which one.
        what: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The Solana side failed.
    #[error(transparent)]
    Solana(#[from] SolanaError),
}

impl ClientError {
    /// The error of a file, a key or a value that cannot be used.
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            what: what.into(),
            why: why.into(),
        }
    }

    /// Code of the chain's rejection, if the chain rejected.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Rejected { code, .. } => Some(*code),
            Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::BadAnswer { .. }
            | Self::Expired { .. }
            | Self::Invalid { .. }
            | Self::Solana(_) => None,
        }
    }

    /// Name of the rule that was broken, if the chain rejected and this version knows the rule.
    pub fn rule(&self) -> Option<&'static str> {
        let code = self.code()?;
        Rejection::ALL
            .iter()
            .find(|(number, _, _)| *number == code)
            .map(|(_, name, _)| *name)
    }

    /// Whether the other side looked at the request and said no. Otherwise something is broken, out of reach, or badly typed.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Rejected { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Expired { .. } => true,
            Self::Unreachable { .. } | Self::BadAnswer { .. } | Self::Invalid { .. } => false,
            Self::Solana(error) => error.is_refusal(),
        }
    }

    /// Whether the same request may succeed later without a change: something was out of reach.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Solana(error) => error.is_passing(),
            Self::Rejected { .. }
            | Self::NotFound { .. }
            | Self::BadAnswer { .. }
            | Self::Expired { .. }
            | Self::Invalid { .. } => false,
        }
    }
}
