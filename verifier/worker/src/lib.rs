//! The supplier's agent on one machine: its keys, its hash chain, its answers to challenges, its jobs.
//!
//! In reading order:
//! - [`config`]: what a supplier sets; [`settings`]: in which layers
//! - [`run`]: the daemon; [`uptime`]: the hash chain; [`job`]: hooks and delivery
//! - [`link`]: connections to verifiers; [`prover`]: answers; [`compute`]: the work itself
//! - [`detect`]: what NVML says of the machine; [`register`]: a device's first transaction; [`home`]: the data folder
//! - [`terms`], [`wire`], [`chain`], [`backend`]: what worker and verifier share
//!
//! Nothing that NVML says is evidence; a class is granted for what the challenge shows.

// Worker and verifier must agree on these to the bit and neither may use the other: ADR 0070.
#[path = "../../src/backend.rs"]
pub mod backend;
#[path = "../../src/chain.rs"]
pub mod chain;
pub mod compute;
pub mod config;
pub mod detect;
pub mod home;
pub mod job;
pub mod link;
pub mod prover;
pub mod register;
pub mod run;
#[path = "../../src/settings.rs"]
pub mod settings;
#[path = "../../src/terms.rs"]
pub mod terms;
pub mod uptime;
#[path = "../../src/wire.rs"]
pub mod wire;
