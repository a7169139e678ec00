//! A whole network on one machine: ledger, nodes, verifiers, suppliers, relayer, prices, faults.

pub mod faults;
pub mod ledger;
pub mod ports;
pub mod prices;
pub mod process;
pub mod rpc;
pub mod signal;
