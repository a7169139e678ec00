//! Faults on purpose, while everything runs.
//!
//! - [`proxy`] stands between each validator and its Solana RPC and can be down, slow, behind or lying, each listener for itself.
//! - [`link`] carries the validators' peer-to-peer connections, so that a partition cuts real connections.
//! - Killing and pausing processes is the business of [`crate::process`].
//!
//! A fault changes what others see and never what is true: it touches no state of any process.

pub mod lie;
pub mod link;
pub mod mode;
pub mod order;
pub mod proxy;

pub use mode::{Lie, Mode};
pub use order::Fault;
pub use proxy::Proxy;
