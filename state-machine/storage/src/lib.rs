//! Ordered rows of bytes, authenticated: what the state machine reads, writes and commits to.
//!
//! This crate knows no noun of the chain: a table is a number, a key and a value are bytes. It is synchronous, reads no
//! clock and no network, and touches the disk only in [`backend`].
//!
//! In reading order:
//! - [`table`]: the fixed list of tables;
//! - [`snapshot`]: reading rows; [`overlay`]: reading and writing on top of a snapshot; [`write_set`]: what a block changed;
//! - [`hash`]: every hashing formula; `tree`: the dense Merkle tree; `indices`: which index a row gets;
//!   `rows`: one table; `version`: all tables at one height;
//! - [`store`]: staging and committing a block; [`patch`]: a staged block; [`view`]: reading what is committed;
//! - [`proof`]: rows proven to outsiders;
//! - `record`: what is stored beside the rows; `open`: loading it all; [`restore`]: filling an empty store from a snapshot;
//! - [`backend`]: the durable store below, as RocksDB, in memory, or failing on purpose;
//! - [`fault`]: this node is broken and must stop.

pub mod backend;
pub mod fault;
pub mod hash;
mod indices;
mod key;
mod open;
pub mod overlay;
pub mod patch;
pub mod proof;
mod record;
pub mod restore;
mod rows;
pub mod snapshot;
pub mod store;
pub mod table;
mod tree;
mod version;
pub mod view;
pub mod write_set;

pub use fault::Fault;
pub use overlay::{Mark, Overlay};
pub use patch::Patch;
pub use proof::{Proof, ProofError, ProveError};
pub use record::{Head, TableHead};
pub use restore::{RestoreError, RestoreTarget, SnapshotRow};
pub use snapshot::{Snapshot, Visit};
pub use store::Store;
pub use table::{Leaf, TableId, TableSpec, Value};
pub use version::PROOF_HEIGHTS;
pub use view::{Reader, View, VisitIndexed};
pub use write_set::{Change, WriteSet};
