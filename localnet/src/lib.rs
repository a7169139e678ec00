//! A whole network on one machine: ledger, nodes, verifiers, suppliers, relayer, prices, faults.
//!
//! | module | holds |
//! |---|---|
//! | [`ledger`] | the Solana ledger, a process of its own |
//! | [`faults`] | what breaks on purpose: RPC listeners, peer-to-peer links |
//! | [`prices`] | price sources |
//! | [`process`] | starting, restarting and ending processes |
//! | [`ports`] | a block of ports for each localnet |
//! | [`plan`] | who is who: names, keys, ports, addresses |
//!
//! It holds no rule of the chain: everything that it starts is the program that operators run.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "instants and durations are added; money never is"
)]

pub mod cli;
pub mod control;
pub mod faults;
pub mod home;
pub mod ledger;
pub mod plan;
pub mod ports;
pub mod prices;
pub mod process;
pub mod signal;
