//! CometBFT beside us: finding the program, writing its files once, running it as a child.
//!
//! It is never linked and never patched. Its `config.toml` belongs to the operator: `init` writes it, nothing edits it later;
//! what the node's own file decides is passed as flags.

mod binary;
mod child;
mod home;
mod rpc;
#[cfg(test)]
mod tests;

pub use binary::{Binary, BinaryError, VERSION_MIN};
pub use child::{Child, ChildError, Launch};
pub use home::{CometHome, HomeError, Tuning, address_of, node_id_of};
pub use rpc::{Checked, CometRpc, RpcError};
