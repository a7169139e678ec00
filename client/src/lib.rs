//! The Rust SDK of io-chain: all that a program outside of the chain needs to talk to it.
//!
//! | module | holds |
//! |---|---|
//! | [`node`] | [`Client`]: a typed method for every route of a node's HTTP API |
//! | [`signer`] | [`Signer`]: numbers, signs and sends transactions of one key |
//! | [`events`] | [`EventStream`]: what happens on the chain, in order, reconnecting by itself |
//! | [`wallet`] | [`Wallet`]: key files, the same as Solana's |
//! | [`sealed`] | [`seal`] and [`unseal`]: text that only the owner of an account can read |
//! | [`money`] | amounts as people write them |
//! | [`proof`] | checks a proven row offline |
//! | [`solana`] | a thin JSON-RPC client and the bridge program's deposit and claim |
//! | [`error`] | [`ClientError`]: what, where, what to do |
//!
//! ```no_run
//! use io_client::{Client, Signer, Wallet};
//! use io_types::{Action, Amount, Asset, action::Transfer};
//!
//! # async fn example() -> Result<(), io_client::ClientError> {
//! let client = Client::new("http://127.0.0.1:26680")?;
//! let wallet = Wallet::load("id.json")?;
//! let signer = Signer::new(client, &wallet);
//! let action = Transfer {
//!     to: "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin".parse().expect("an account"),
//!     asset: Asset::Io,
//!     amount: Amount::new(100_000_000),
//!     client_id: io_client::client_id(),
//! };
//! let done = signer.send(vec![Action::Transfer(action)]).await?;
//! assert_eq!(done.code, 0);
//! # Ok(()) }
//! ```
//!
//! Nothing here retries a transaction that may have been executed, and nothing keeps a key outside of its [`Wallet`] or [`Signer`].

pub mod error;
pub mod events;
mod http;
pub mod money;
pub mod node;
pub mod proof;
pub mod sealed;
pub mod signer;
pub mod solana;
pub mod wallet;

#[cfg(test)]
mod test_server;

pub use error::ClientError;
pub use events::EventStream;
pub use http::body_within;
pub use node::{
    BookingFilter, ChallengeFilter, Client, DeviceFilter, OrderFilter, PageRequest, Wait,
};
pub use sealed::{seal, unseal};
pub use signer::{Signer, client_id};
pub use solana::SolanaRpc;
pub use wallet::Wallet;

pub use io_types as types;
