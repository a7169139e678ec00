//! How a listener of the RPC proxy behaves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Behaviour of one listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mode {
    /// Answers as the ledger does.
    #[default]
    Pass,
    /// Is unreachable: closes new connections, answers nothing on old ones.
    Drop,
    /// Answers late.
    Delay {
        /// By how many milliseconds.
        ms: u64,
    },
    /// Stopped at this moment: answers what it answered last, and says that it is behind to everything else.
    Stale,
    /// Answers what is not so.
    Lie(Lie),
}

/// What a lying listener changes in its answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Lie {
    /// Turns bits of the last byte of every account's data over. Listeners with different masks disagree with each other.
    Bytes {
        /// Which bits.
        mask: u8,
    },
    /// Shows one deposit more than there is, with a rolling hash that fits.
    Deposit {
        /// Account of the chain that it pretends to credit, 32 bytes in hex.
        account: String,
        /// Base units of IO.
        amount: u64,
    },
    /// Shows every token account and every balance as many base units larger.
    Balance {
        /// By how many.
        amount: u64,
    },
}

impl fmt::Display for Mode {
    /// As the screen shows it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => write!(formatter, "tells the truth"),
            Self::Drop => write!(formatter, "is unreachable"),
            Self::Delay { ms } => write!(formatter, "answers {ms} ms late"),
            Self::Stale => write!(formatter, "stands still"),
            Self::Lie(Lie::Bytes { .. }) => write!(formatter, "lies about bytes"),
            Self::Lie(Lie::Deposit { .. }) => write!(formatter, "shows a deposit that nobody made"),
            Self::Lie(Lie::Balance { .. }) => write!(formatter, "lies about balances"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_people_type_them() {
        let lie = Mode::Lie(Lie::Bytes { mask: 7 });
        let text = serde_json::to_string(&lie).unwrap();
        assert_eq!(text, r#"{"mode":"lie","about":"bytes","mask":7}"#);
        assert_eq!(serde_json::from_str::<Mode>(&text).unwrap(), lie);
        assert_eq!(
            serde_json::from_str::<Mode>(r#"{"mode":"delay","ms":50}"#).unwrap(),
            Mode::Delay { ms: 50 }
        );
    }
}
