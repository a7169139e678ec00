//! The HTTP API under `/v1`. Routes and shapes are those of [`io_types::api`].
//!
//! Reads take one view of the last commit and give it back before they answer. A list visits at most
//! [`VISITS_MAX`] rows for a page, so that a filter that fits nothing can not hold up a commit.

mod account;
mod chain;
mod failure;
mod market;
mod pages;
mod prove;
mod settlement;
mod stream;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::chain::Chain;
use crate::comet::CometRpc;

pub use chain::{AppHashView, TableView};
pub use failure::Failure;
pub use pages::VISITS_MAX;

/// The oldest client that this API serves.
pub const MIN_CLIENT_VERSION: &str = "0.1.0";

/// What the routes share.
#[derive(Clone, Debug)]
pub struct Api {
    /// The chain.
    pub chain: Arc<Chain>,
    /// The own CometBFT.
    pub rpc: CometRpc,
    /// Shown to people.
    pub moniker: Arc<str>,
    /// How long a submitted transaction is waited for.
    pub wait: Duration,
}

impl Api {
    /// Every route.
    pub fn router(self) -> Router {
        Router::new()
            .route("/v1/status", get(chain::status))
            .route("/v1/transactions", post(transactions::submit))
            .route("/v1/transactions/{hash}", get(transactions::read))
            .route("/v1/accounts/{account}", get(account::read))
            .route("/v1/params", get(chain::params))
            .route("/v1/catalogue", get(chain::catalogue))
            .route("/v1/chain", get(chain::facts))
            .route("/v1/price", get(chain::price))
            .route("/v1/bridge", get(chain::bridge))
            .route("/v1/beacon", get(chain::beacon))
            .route("/v1/verifiers", get(chain::verifiers))
            .route("/v1/validators", get(chain::validators))
            .route("/v1/app-hash", get(chain::app_hash))
            .route("/v1/devices", get(market::devices))
            .route("/v1/devices/{id}", get(market::device))
            .route("/v1/orders", get(market::orders))
            .route("/v1/orders/quote", post(market::quote))
            .route("/v1/orders/{id}", get(market::order))
            .route("/v1/bookings", get(market::bookings))
            .route("/v1/bookings/{id}", get(market::booking))
            .route("/v1/challenges", get(market::challenges))
            .route("/v1/challenges/{id}", get(market::challenge))
            .route("/v1/epochs", get(market::epochs))
            .route("/v1/epochs/{epoch}", get(market::epoch))
            .route("/v1/epochs/{epoch}/devices", get(market::epoch_devices))
            .route("/v1/settlements", get(settlement::list))
            .route("/v1/settlements/{number}", get(settlement::read))
            .route("/v1/settlements/{number}/payouts", get(settlement::payouts))
            .route(
                "/v1/settlements/{number}/payouts/{asset}/{account}",
                get(settlement::payout),
            )
            .route("/v1/supply", get(settlement::supply))
            .route("/v1/supply/{which}", get(settlement::supply_number))
            .route("/v1/prove/{table}/{key}", get(prove::read))
            .route("/v1/events", get(stream::events))
            .fallback(failure::no_route)
            .with_state(self)
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        axum::serve(listener, self.router()).await
    }
}

/// Serves the metrics until the process ends.
///
/// # Errors
/// The listener failed.
pub async fn serve_metrics(chain: Arc<Chain>, listener: TcpListener) -> std::io::Result<()> {
    let answer = move || {
        let text = chain::metrics(&chain);
        async move { ([("content-type", "text/plain; version=0.0.4")], text) }
    };
    axum::serve(listener, Router::new().route("/metrics", get(answer))).await
}
