//! The chain as a function: same state and same block in, same state and same results out.
//!
//! Nothing here is async, reads a clock, the environment or the network, uses floats, iterates a hash map, or has `unsafe`.
//!
//! In reading order:
//! - [`machine`]: what an engine drives: init, check, prepare, process, finalize, commit
//! - [`block`]: the fixed order of work in a block; [`context`]: what it is executed in
//! - [`admission`], [`dispatch`]: the road of a transaction; [`extension`]: what vote extensions attest
//! - [`tables`], [`table`], [`state`], [`derived`]: rows, typed
//! - the components, each owner of its tables: [`ledger`], [`device`], [`stake`], [`uptime`], [`market`], [`reward`],
//!   [`verification`], [`settlement`], [`price`]
//! - [`genesis`]: the first rows; [`error`]: a user's mistake and a broken node
//!
//! A component has the same files: `x.rs` (what it owns, its invariants), `x/action.rs` (its actions), `x/state.rs` (typed
//! reads and writes of its tables), `x/block.rs` (its share of a block), `x/tests.rs`. Small ones have fewer.

pub mod admission;
pub mod block;
pub mod context;
pub mod derived;
pub mod device;
pub mod dispatch;
pub mod error;
pub mod extension;
pub mod genesis;
pub mod ledger;
pub mod machine;
pub mod market;
pub mod opened;
pub mod paged;
pub mod price;
pub mod reward;
pub mod settlement;
pub mod stake;
pub mod state;
pub mod table;
pub mod tables;
pub mod uptime;
pub mod verification;

pub use machine::{
    BlockOutcome, BridgeData, ExtensionDuties, Machine, Options, ProposalError, ProposalRefusal,
};
pub use opened::Opened;
