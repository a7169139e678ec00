//! The verifier's daemon: it is drawn to judge challenges, and judges them.
//!
//! In reading order:
//! - [`config`]: what an operator sets; [`settings`]: in which layers
//! - [`run`]: the daemon; [`server`]: workers' connections; [`judge`]: one challenge after the other; [`record`]: what must
//!   outlive a crash; [`check`]: openings, fraud proofs, replay; [`outbox`]: what goes to the chain
//! - [`terms`], [`wire`], [`chain`], [`backend`]: what worker and verifier share
//! - [`mod@bench`], [`replay`], [`keys`]: the other verbs
//!
//! A verifier may crash at any moment: its nonces and its verdict are on disk, synced, before their commitments are sent.

pub mod backend;
pub mod bench;
pub mod chain;
pub mod check;
pub mod config;
pub mod judge;
pub mod keys;
pub mod outbox;
pub mod record;
pub mod replay;
pub mod run;
pub mod server;
pub mod settings;
pub mod terms;
pub mod wire;
