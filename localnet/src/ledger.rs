//! The Solana ledger of a localnet: a process of its own that executes the real program and the real token programs.
//!
//! It stands on `surfpool-core`. Three things are added, because a bridge cannot be tested without them:
//!
//! - **State that survives `kill -9`** ([`store`]): every transaction's accounts are one record of a journal, so that a transaction is
//!   there whole or not at all. The slot goes on and never falls.
//! - **Finality** ([`front`]): `surfpool` answers every commitment with its newest state; the front answers `finalized` with the
//!   accounts as they stood 31 slots ago.
//! - **Real time** ([`clock`]): the clock is anchored to the machine's, because `surfpool` counts slots and falls behind under load.
//!
//! It must never offer a way to change state other than transactions and the faucet: the rest is done before it listens.

pub mod clock;
pub mod config;
pub mod finality;
pub mod front;
pub mod genesis;
pub mod journal;
pub mod log;
pub mod machine;
pub mod store;

pub use config::LedgerConfig;
pub use genesis::LedgerGenesis;
pub use machine::run;
