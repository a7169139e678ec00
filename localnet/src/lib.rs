//! A whole network on one machine: ledger, nodes, verifiers, suppliers, relayer, prices, faults.
#![expect(clippy::disallowed_methods, reason = "placeholder")]

pub mod ledger;
pub mod rpc;
pub mod signal;
