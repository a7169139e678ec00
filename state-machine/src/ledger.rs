//! Double entry over many assets: every unit has an owner, and every asset sums to zero over all accounts.
//!
//! Tables: `accounts`, `holds`, `totals`, `client_ids`. Nobody else writes them.
//!
//! - INV-01: Σ balances of an asset over all holders is 0; `outside` is the counterpart of all that is on this chain.
//! - INV-02: the held part of an account is the sum of its holds, and never more than its balance.
//! - INV-03: what is on this chain is what the totals say came in less what went out.

mod action;
pub mod conservation;
mod state;

pub use state::{
    Entry, Exit, Supply, account, available, burn, enter, hold, hold_remaining, issue_client_id,
    leave, mint, post, release, release_all, top_up, totals, transfer, withdraw,
};
