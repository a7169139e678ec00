//! What several endpoints agree on.

use std::collections::BTreeSet;
use std::fmt;

use io_settlement::Bytes32;
use io_settlement::account::LastSettle;
use io_settlement::deposit::Slot;
use tokio::time::Instant;

use super::endpoint::header_text;
use super::view::View;

/// Why endpoints that answer do not agree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The program is not a version that governance approved.
    #[error(
        "{endpoint} shows the program with header hash {found}, which is not approved: it was upgraded, or the endpoint lies; \
             check the program, then approve the hash"
    )]
    Upgraded {
        /// Which endpoint.
        endpoint: String,
        /// The header's digest.
        found: io_types::Hash,
    },
    /// Two versions of the program.
    #[error("{first} and {second} show different versions of the program")]
    Header {
        /// One endpoint.
        first: String,
        /// Another.
        second: String,
    },
    /// One of them lies about deposits.
    #[error(
        "{lower} and {higher} show different histories of deposits at number {number}: one of them lies"
    )]
    Deposits {
        /// The endpoint with fewer deposits.
        lower: String,
        /// The other.
        higher: String,
        /// The lower one's last deposit.
        number: u64,
    },
    /// They cannot be compared.
    #[error("{lower} is at deposit {number}, which the queue of {higher} does not hold any more")]
    FarBehind {
        /// The endpoint with fewer deposits.
        lower: String,
        /// The other.
        higher: String,
        /// The lower one's last deposit.
        number: u64,
    },
    /// One of them lies about the last settlement.
    #[error("{first} and {second} show different settlements number {number}: one of them lies")]
    LastSettle {
        /// One endpoint.
        first: String,
        /// Another.
        second: String,
        /// The settlement.
        number: u64,
    },
}

/// What is reported: the view with fewer deposits, which all others confirm.
pub(super) struct Agreed {
    /// The lowest slot among the views compared.
    pub(super) slot: u64,
    pub(super) header: Bytes32,
    /// When it was compared.
    pub(super) read_at: Instant,
    view: View,
    /// None while the endpoints have not all seen the same settlement.
    last: Option<LastSettle>,
}

impl fmt::Debug for Agreed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Agreed")
            .field("slot", &self.slot)
            .field("number", &self.number())
            .field("settled", &self.settled())
            .finish_non_exhaustive()
    }
}

impl Agreed {
    /// Number of the last deposit.
    pub(super) fn number(&self) -> u64 {
        self.view.bridge.state.deposit_number
    }

    /// The rolling hash after deposit `number`, if it is still known.
    pub(super) fn hash_at(&self, number: u64) -> Option<Bytes32> {
        self.view.hash_at(number)
    }

    /// The records after `number`, at most `count`.
    pub(super) fn after(&self, number: u64, count: usize) -> impl Iterator<Item = &Slot> {
        let next = number.saturating_add(1);
        self.view
            .records
            .range(next..)
            .take(count)
            .map(|(_number, slot)| slot)
    }

    /// The last settlement, once there is one that all have seen.
    pub(super) fn last_settle(&self) -> Option<&LastSettle> {
        self.last.as_ref().filter(|last| last.number > 0)
    }

    /// Whether a later view still shows all of this: what is final does not go away.
    pub(super) fn is_confirmed_by(&self, view: &View) -> bool {
        let deposit_hash = self.view.bridge.state.deposit_hash;
        let now = &view.bridge.last;
        let knows_last = |last: &LastSettle| now.number > last.number || now == last;
        view.header == self.header
            && view.hash_at(self.number()) == Some(deposit_hash)
            && self.last.as_ref().is_none_or(knows_last)
    }

    /// Its number; 0 before the first.
    pub(super) fn settled(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.number)
    }
}

/// Compares views of different endpoints. `approved` holds the versions of the program that count; empty: any, if all show the same.
pub(super) fn agree(
    views: &[(&str, &View)],
    approved: &BTreeSet<Bytes32>,
    now: Instant,
) -> Result<Agreed, Disagreement> {
    for (name, view) in views {
        if !approved.is_empty() && !approved.contains(&view.header) {
            return Err(Disagreement::Upgraded {
                endpoint: (*name).to_owned(),
                found: header_text(&view.header),
            });
        }
    }
    let mut sorted = views.to_vec();
    sorted.sort_by_key(|(_name, view)| view.bridge.state.deposit_number);
    let Some(((lower, view), others)) = sorted.split_first() else {
        return Err(Disagreement::Header {
            first: "no endpoint".to_owned(),
            second: "no endpoint".to_owned(),
        });
    };
    let number = view.bridge.state.deposit_number;
    let mut last = Some(view.bridge.last);
    for (higher, other) in others {
        let (lower, higher) = ((*lower).to_owned(), (*higher).to_owned());
        if other.header != view.header {
            return Err(Disagreement::Header {
                first: lower,
                second: higher,
            });
        }
        match other.hash_at(number) {
            Some(hash) if hash == view.bridge.state.deposit_hash => {}
            Some(_) => {
                return Err(Disagreement::Deposits {
                    lower,
                    higher,
                    number,
                });
            }
            None => {
                return Err(Disagreement::FarBehind {
                    lower,
                    higher,
                    number,
                });
            }
        }
        let (ours, theirs) = (&view.bridge.last, &other.bridge.last);
        if ours.number != theirs.number {
            last = None;
        } else if ours != theirs {
            return Err(Disagreement::LastSettle {
                first: lower,
                second: higher,
                number: ours.number,
            });
        }
    }
    Ok(Agreed {
        slot: views
            .iter()
            .map(|(_name, view)| view.slot)
            .min()
            .unwrap_or(0),
        header: view.header,
        read_at: now,
        view: (*view).clone(),
        last,
    })
}
