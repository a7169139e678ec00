//! How a verb ends badly, and the exit code for it.

use io_client::ClientError;
use io_client::proof::ProofError;
use io_client::solana::SolanaError;
use serde_json::json;

/// Why a verb was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// From the chain, a node or Solana.
    Client(ClientError),
    /// A proof that does not hold.
    Proof(ProofError),
    /// The chain's state does not allow it.
    Refused(String),
    /// Something here does not work.
    Broken(String),
    /// Nobody reads on: the reader of stdout has gone.
    Unread,
}

impl Failure {
    /// 1 refused, 2 broken.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Client(error) if error.is_refusal() => 1,
            Self::Client(_) | Self::Proof(ProofError::NoHeader) | Self::Broken(_) => 2,
            Self::Proof(_) | Self::Refused(_) => 1,
            Self::Unread => 0,
        }
    }

    /// What to tell the user, as a sentence or as one line of JSON.
    pub(crate) fn words(&self, as_json: bool) -> Option<String> {
        let text = match self {
            Self::Client(error) => error.to_string(),
            Self::Proof(error) => error.to_string(),
            Self::Refused(text) | Self::Broken(text) => text.clone(),
            Self::Unread => return None,
        };
        let (code, rule) = match self {
            Self::Client(error) => (error.code(), error.rule()),
            Self::Proof(_) | Self::Refused(_) | Self::Broken(_) | Self::Unread => (None, None),
        };
        Some(if as_json {
            json!({"error": text, "code": code, "rule": rule, "exit": self.exit_code()}).to_string()
        } else {
            format!("io: {text}")
        })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<SolanaError> for Failure {
    fn from(error: SolanaError) -> Self {
        Self::Client(error.into())
    }
}

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}
