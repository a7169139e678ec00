//! Why the Solana side failed: where, what, what to do.

use serde_json::Value;

/// Why a request to Solana, or a transaction there, did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SolanaError {
    /// No endpoint could be reached; this is the last one.
    #[error(
        "cannot reach Solana at {url} for {method}: {why}; check the URL and that the endpoint serves"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// JSON-RPC method.
        method: String,
        /// What went wrong.
        why: String,
    },
    /// The endpoint answered with an error.
    #[error("Solana at {url} refused {method}: {message} (code {code})")]
    Rpc {
        /// Where.
        url: String,
        /// JSON-RPC method.
        method: String,
        /// JSON-RPC's code.
        code: i64,
        /// What the endpoint says.
        message: String,
    },
    /// The endpoint answered, but not as Solana does.
    #[error("Solana at {url} answered {method} with what is not understood: {why}")]
    BadAnswer {
        /// Where.
        url: String,
        /// JSON-RPC method.
        method: String,
        /// What went wrong.
        why: String,
    },
    /// The bridge program refused.
    #[error("the bridge program refused instruction {instruction}: {error}")]
    Program {
        /// Index of the instruction in its transaction.
        instruction: u64,
        /// Which of its rules.
        error: io_settlement::Error,
        /// The transaction, if it entered a block.
        signature: Option<String>,
    },
    /// The transaction failed for another reason.
    #[error("the Solana transaction failed: {why}{}", logs_text(.logs))]
    Failed {
        /// Solana's own error, as JSON.
        why: String,
        /// What programs logged.
        logs: Vec<String>,
        /// The transaction, if it entered a block.
        signature: Option<String>,
    },
    /// The transaction's blockhash grew too old: it was not executed and never will be.
    #[error(
        "Solana transaction {signature} was not taken into a block in time and never will be; send it again"
    )]
    Expired {
        /// The transaction.
        signature: String,
    },
    /// A value, a key or an account cannot be used.
    #[error("{what}: {why}")]
    Invalid {
        /// Which one.
        what: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
}

fn logs_text(logs: &[String]) -> String {
    let last: Vec<&str> = logs
        .iter()
        .rev()
        .take(4)
        .rev()
        .map(String::as_str)
        .collect();
    if last.is_empty() {
        String::new()
    } else {
        format!("; last logs: {}", last.join(" | "))
    }
}

impl SolanaError {
    pub(crate) fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            what: what.into(),
            why: why.into(),
        }
    }

    /// The error of a transaction as Solana gives it: `{"InstructionError": [0, {"Custom": 301}]}`.
    pub fn of_transaction(err: &Value, logs: &[String], signature: Option<String>) -> Self {
        let parts = err.get("InstructionError").and_then(Value::as_array);
        let instruction = parts
            .and_then(|parts| parts.first())
            .and_then(Value::as_u64);
        let code = parts
            .and_then(|parts| parts.get(1))
            .and_then(|kind| kind.get("Custom"))
            .and_then(Value::as_u64)
            .and_then(|code| u32::try_from(code).ok());
        let error = code.and_then(io_settlement::Error::from_code);
        match (instruction, error) {
            (Some(instruction), Some(error)) => Self::Program {
                instruction,
                error,
                signature,
            },
            _ => Self::Failed {
                why: err.as_str().map_or_else(|| err.to_string(), str::to_owned),
                logs: logs.to_vec(),
                signature,
            },
        }
    }

    /// The rule of the bridge program that was broken, if it was one of its.
    pub fn program_error(&self) -> Option<io_settlement::Error> {
        match self {
            Self::Program { error, .. } => Some(*error),
            Self::Unreachable { .. }
            | Self::Rpc { .. }
            | Self::BadAnswer { .. }
            | Self::Failed { .. }
            | Self::Expired { .. }
            | Self::Invalid { .. } => None,
        }
    }

    /// Whether Solana looked at the request and said no. Otherwise something is broken, out of reach, or badly typed.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Rpc { .. }
            | Self::Program { .. }
            | Self::Failed { .. }
            | Self::Expired { .. } => true,
            Self::Unreachable { .. } | Self::BadAnswer { .. } | Self::Invalid { .. } => false,
        }
    }

    /// Whether the same may succeed later without a change.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Expired { .. } => true,
            Self::Rpc { code, .. } => super::rpc::is_passing_code(*code),
            Self::BadAnswer { .. }
            | Self::Program { .. }
            | Self::Failed { .. }
            | Self::Invalid { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn custom_codes_are_the_programs_own_rules() {
        let err = json!({"InstructionError": [1, {"Custom": 301}]});
        let error = SolanaError::of_transaction(&err, &[], None);
        assert_eq!(error.program_error(), Some(io_settlement::Error::QueueFull));
        assert!(error.to_string().contains("wait for the next settlement"));
        assert!(error.is_refusal());
    }

    #[test]
    fn other_failures_keep_solanas_words_and_the_last_logs() {
        let err = json!({"InstructionError": [0, {"Custom": 1}]});
        let logs: Vec<String> = (0..9).map(|number| format!("log {number}")).collect();
        let error = SolanaError::of_transaction(&err, &logs, Some("abc".to_owned()));
        assert_eq!(error.program_error(), None);
        let text = error.to_string();
        assert!(text.contains("\"Custom\":1") && text.contains("log 8"));
        assert!(!text.contains("log 3"));

        let error = SolanaError::of_transaction(&json!("BlockhashNotFound"), &[], None);
        assert_eq!(
            error.to_string(),
            "the Solana transaction failed: BlockhashNotFound"
        );
    }
}
