//! The process around the state machine: ABCI, disk, HTTP API, metrics, verbs. It holds no rules of the chain.
//!
//! In reading order:
//! - [`abci`]: the boundary to CometBFT; [`chain`]: the state machine behind it
//! - [`comet`]: CometBFT's files, process and RPC; [`supervise`]: the two processes live and die together
//! - [`validator`]: what a validator adds to its votes
//! - [`journal`]: results and events, for people; [`api`]: HTTP; [`metrics`]: numbers
//! - [`disk`]: whether there is room; [`config`]: settings; [`logs`]: lines; [`cli`]: the verbs

pub mod abci;
pub mod api;
pub mod chain;
#[cfg(feature = "rocksdb")]
pub mod cli;
pub mod comet;
pub mod config;
pub mod disk;
pub mod journal;
pub mod logs;
pub mod metrics;
pub mod supervise;
pub mod validator;
