//! The boundary to CometBFT: ABCI 2.0 over a unix socket, synchronous, on plain threads.
//!
//! CometBFT opens four connections (consensus, mempool, info, snapshot) and speaks on each of them
//! `varint length ‖ protobuf` frames, answered in the order in which they came.
//! The application is given as three parts, so that what may run beside what is a matter of types:
//! [`Consensus`] is used by one call at a time, [`Mempool`] and [`Views`] by any number.
//!
//! What a broken call does (the boundary never holds a lock while the application runs):
//!
//! | call | a fault or a panic |
//! |---|---|
//! | `InitChain`, `FinalizeBlock`, `Commit` | answers an exception and stops the process; nothing was written |
//! | `PrepareProposal` | tried again without the transaction at fault, at last with none |
//! | `ProcessProposal`, `VerifyVoteExtension` | refuses |
//! | `ExtendVote` | answers the empty extension, which is always valid |
//! | `CheckTx`, `Query` | refuses with [`CODE_BROKEN`] |
//! | snapshot calls | abort the restore, or have nothing to offer |

mod application;
mod connection;
mod dispatch;
mod frame;
mod inbox;
mod server;
#[cfg(test)]
mod tests;

pub use application::{Application, Consensus, Mempool, Progress, Stop, Views};
pub use dispatch::CODE_BROKEN;
pub use frame::{FrameError, Frames, MESSAGE_BYTES_MAX, WINDOW_BYTES};
pub use server::{BindError, SOCKET_PATH_BYTES_MAX, Server, serve_stream};
