//! The process around the state machine: ABCI, disk, HTTP API, metrics. It holds no rules of the chain.

pub mod abci;
pub mod comet;
pub mod supervise;
