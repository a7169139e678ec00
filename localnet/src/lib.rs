//! A whole network on one machine: ledger, nodes, verifiers, suppliers, relayer, prices, faults.
//!
//! | module | holds |
//! |---|---|
//! | [`ledger`] | the Solana ledger, a process of its own |
//! | [`faults`] | what breaks on purpose: RPC listeners, peer-to-peer links |
//! | [`prices`] | price sources |
//! | [`process`] | starting, restarting and ending processes |
//! | [`ports`], [`home`] | a block of ports and a folder for each localnet |
//! | [`plan`] | who is who: names, keys, ports, addresses |
//!
//! | [`materials`] | keys, homes and genesis, made by the programs that operators use |
//! | [`network`], [`workers`], [`people`] | starting it all, and the people who use it |
//! | [`up`], [`view`], [`once`], [`control`], [`cli`] | the verbs |
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
pub mod materials;
pub mod network;
pub mod once;
pub mod people;
pub mod plan;
pub mod ports;
pub mod prices;
pub mod process;
pub mod signal;
pub mod tools;
pub mod up;
pub mod view;
pub mod workers;
