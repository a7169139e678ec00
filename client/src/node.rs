//! A node's HTTP API under `/v1`: one typed method for each route.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use io_types::action::PlaceOrder;
use io_types::api::{
    AccountView, DeviceResultView, DeviceView, Page, PayoutFile, PayoutProof, ProvenRow, Quote,
    Status, SubmitRequest, Supply, TransactionResult,
};
use io_types::asset::Asset;
use io_types::catalogue::Catalogue;
use io_types::id::{
    AccountId, BatchNumber, BookingId, ChallengeId, DeviceId, Hash, Height, OrderId,
};
use io_types::params::{ChainFacts, Params};
use io_types::row::{
    Batch, BeaconState, Booking, BridgeState, Challenge, EpochRow, Order, PriceState, ValidatorRow,
    VerifierRow,
};
use io_types::time::Epoch;
use io_types::transaction::Transaction;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ClientError;
use crate::events::EventStream;
use crate::http::{answer, http_client};

mod filter;

pub use filter::{BookingFilter, ChallengeFilter, DeviceFilter, OrderFilter, PageRequest};

/// How long an answer may take, a wait for a block included.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// How often a transaction that waits is looked up.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What [`Client::submit`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until the node has checked the transaction and taken it into its pool.
    Check,
    /// Until a block holds it, or the node gives up waiting: then the result has no height.
    Block,
}

/// A node, by its URL. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
}

impl Client {
    /// A client of the node at `url`, as `http://127.0.0.1:26680`. Connects with the first request, not here.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if the URL is none, or not http or https.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Ok(Self {
            http: http_client(url, Some(ANSWER_WITHIN))?,
            base: url.trim_end_matches('/').into(),
        })
    }

    /// The node's URL.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// `GET /v1/status`
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// Whether a node with this status still serves this version of the client.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] that names both versions.
    pub fn check_version(&self, status: &Status) -> Result<(), ClientError> {
        let own = env!("CARGO_PKG_VERSION");
        let least = &status.min_client_version;
        if version(own) >= version(least) {
            return Ok(());
        }
        Err(ClientError::invalid(
            format!("client version {own}"),
            format!(
                "{} serves {least} or later; update this program",
                self.url()
            ),
        ))
    }

    /// `POST /v1/transactions`. A rejection is an error, wherever it happened.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], and those of every request. After [`ClientError::Unreachable`] the transaction may be executed or not.
    pub async fn submit(
        &self,
        transaction: &Transaction,
        wait: Wait,
    ) -> Result<TransactionResult, ClientError> {
        let wait = match wait {
            Wait::Check => "check",
            Wait::Block => "block",
        };
        let request = SubmitRequest {
            transaction: BASE64.encode(transaction.encode()),
        };
        let url = self.route(&format!("/v1/transactions?wait={wait}"));
        let request = self.http.post(&url).json(&request);
        accepted(answer(&url, request.send().await).await?)
    }

    /// `GET /v1/transactions/{hash}`; none if the node does not know it (yet). A rejection is not an error here.
    pub async fn transaction(&self, hash: Hash) -> Result<Option<TransactionResult>, ClientError> {
        match self.get(&format!("/v1/transactions/{hash}")).await {
            Ok(result) => Ok(Some(result)),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until a block holds the transaction. A node that is out of reach meanwhile is asked again until `patience` is over.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], [`ClientError::Expired`] once the chain is past `expires`, [`ClientError::Unreachable`].
    pub async fn await_transaction(
        &self,
        hash: Hash,
        expires: Height,
        patience: Duration,
    ) -> Result<TransactionResult, ClientError> {
        let started = tokio::time::Instant::now();
        loop {
            let seen = async {
                // The height is read first: a transaction that is not in a block by then is expired for good.
                let height = self.status().await?.height;
                Ok::<_, ClientError>((height, self.transaction(hash).await?))
            };
            match seen.await {
                Ok((_, Some(result))) if result.height.is_some() => return accepted(result),
                Ok((height, _)) if height > expires => {
                    return Err(ClientError::Expired { hash, expires });
                }
                Err(error) if !error.is_passing() || started.elapsed() > patience => {
                    return Err(error);
                }
                Ok(_) if started.elapsed() > patience => {
                    return Err(ClientError::Unreachable {
                        url: self.url().to_owned(),
                        why: format!(
                            "no block held transaction {hash} within {} s; it may still be executed up to height {expires}",
                            patience.as_secs()
                        ),
                    });
                }
                Ok(_) | Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// `GET /v1/accounts/{account}`
    pub async fn account(&self, account: AccountId) -> Result<AccountView, ClientError> {
        self.get(&format!("/v1/accounts/{account}")).await
    }

    /// `GET /v1/params`
    pub async fn params(&self) -> Result<Params, ClientError> {
        self.get("/v1/params").await
    }

    /// `GET /v1/catalogue`
    pub async fn catalogue(&self) -> Result<Catalogue, ClientError> {
        self.get("/v1/catalogue").await
    }

    /// `GET /v1/chain`
    pub async fn chain(&self) -> Result<ChainFacts, ClientError> {
        self.get("/v1/chain").await
    }

    /// `GET /v1/price`
    pub async fn price(&self) -> Result<PriceState, ClientError> {
        self.get("/v1/price").await
    }

    /// `GET /v1/bridge`
    pub async fn bridge(&self) -> Result<BridgeState, ClientError> {
        self.get("/v1/bridge").await
    }

    /// `GET /v1/beacon`
    pub async fn beacon(&self) -> Result<BeaconState, ClientError> {
        self.get("/v1/beacon").await
    }

    /// `GET /v1/devices`
    pub async fn devices(
        &self,
        filter: &DeviceFilter,
        page: &PageRequest,
    ) -> Result<Page<DeviceView>, ClientError> {
        self.list("/v1/devices", filter, page).await
    }

    /// `GET /v1/devices/{id}`
    pub async fn device(&self, device: DeviceId) -> Result<DeviceView, ClientError> {
        self.get(&format!("/v1/devices/{device}")).await
    }

    /// `GET /v1/orders`
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        page: &PageRequest,
    ) -> Result<Page<Order>, ClientError> {
        self.list("/v1/orders", filter, page).await
    }

    /// `GET /v1/orders/{id}`
    pub async fn order(&self, order: OrderId) -> Result<Order, ClientError> {
        self.get(&format!("/v1/orders/{order}")).await
    }

    /// `POST /v1/orders/quote`: what an order would do if it were sent now.
    pub async fn quote(&self, order: &PlaceOrder) -> Result<Quote, ClientError> {
        let url = self.route("/v1/orders/quote");
        answer(&url, self.http.post(&url).json(order).send().await).await
    }

    /// `GET /v1/bookings`
    pub async fn bookings(
        &self,
        filter: &BookingFilter,
        page: &PageRequest,
    ) -> Result<Page<Booking>, ClientError> {
        self.list("/v1/bookings", filter, page).await
    }

    /// `GET /v1/bookings/{id}`
    pub async fn booking(&self, booking: BookingId) -> Result<Booking, ClientError> {
        self.get(&format!("/v1/bookings/{booking}")).await
    }

    /// `GET /v1/epochs`, newest first
    pub async fn epochs(&self, page: &PageRequest) -> Result<Page<EpochRow>, ClientError> {
        self.list("/v1/epochs", &(), page).await
    }

    /// `GET /v1/epochs/{epoch}`
    pub async fn epoch(&self, epoch: Epoch) -> Result<EpochRow, ClientError> {
        self.get(&format!("/v1/epochs/{epoch}")).await
    }

    /// `GET /v1/epochs/{epoch}/devices`
    pub async fn epoch_devices(
        &self,
        epoch: Epoch,
        page: &PageRequest,
    ) -> Result<Page<DeviceResultView>, ClientError> {
        self.list(&format!("/v1/epochs/{epoch}/devices"), &(), page)
            .await
    }

    /// `GET /v1/challenges`
    pub async fn challenges(
        &self,
        filter: &ChallengeFilter,
        page: &PageRequest,
    ) -> Result<Page<Challenge>, ClientError> {
        self.list("/v1/challenges", filter, page).await
    }

    /// `GET /v1/challenges/{id}`
    pub async fn challenge(&self, challenge: ChallengeId) -> Result<Challenge, ClientError> {
        self.get(&format!("/v1/challenges/{challenge}")).await
    }

    /// `GET /v1/verifiers`
    pub async fn verifiers(&self) -> Result<Vec<VerifierRow>, ClientError> {
        self.get("/v1/verifiers").await
    }

    /// `GET /v1/validators`
    pub async fn validators(&self) -> Result<Vec<ValidatorRow>, ClientError> {
        self.get("/v1/validators").await
    }

    /// `GET /v1/settlements`, newest first
    pub async fn settlements(&self, page: &PageRequest) -> Result<Page<Batch>, ClientError> {
        self.list("/v1/settlements", &(), page).await
    }

    /// `GET /v1/settlements/{number}`
    pub async fn settlement(&self, number: BatchNumber) -> Result<Batch, ClientError> {
        self.get(&format!("/v1/settlements/{number}")).await
    }

    /// `GET /v1/settlements/{number}/payouts`: the whole leaf set.
    pub async fn payout_file(&self, number: BatchNumber) -> Result<PayoutFile, ClientError> {
        self.get(&format!("/v1/settlements/{number}/payouts")).await
    }

    /// `GET /v1/settlements/{number}/payouts/{asset}/{account}`
    pub async fn payout_proof(
        &self,
        number: BatchNumber,
        asset: Asset,
        account: AccountId,
    ) -> Result<PayoutProof, ClientError> {
        self.get(&format!(
            "/v1/settlements/{number}/payouts/{asset}/{account}"
        ))
        .await
    }

    /// `GET /v1/supply`
    pub async fn supply(&self) -> Result<Supply, ClientError> {
        self.get("/v1/supply").await
    }

    /// `GET /v1/prove/{table}/{key}`: a row with its proof, checked by nobody yet.
    pub async fn prove(&self, table: &str, key: &[u8]) -> Result<ProvenRow, ClientError> {
        self.get(&format!("/v1/prove/{table}/{}", hex::encode(key)))
            .await
    }

    /// `GET /v1/events`: what happens from now on, or everything after the event with id `after` (0: from the first).
    ///
    /// Connects with the first [`EventStream::next`], and again whenever the connection breaks.
    pub fn events(&self, after: Option<u64>) -> EventStream {
        EventStream::new(self.route("/v1/events"), after)
    }

    fn route(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let url = self.route(path);
        answer(&url, self.http.get(&url).send().await).await
    }

    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: &impl Serialize,
        page: &PageRequest,
    ) -> Result<Page<T>, ClientError> {
        let url = self.route(path);
        let request = self.http.get(&url).query(filter).query(page);
        answer(&url, request.send().await).await
    }
}

/// All rows of a list, page by page: `all_pages(async |page| client.devices(&filter, &page).await)`.
///
/// # Errors
/// Those of the pages.
pub async fn all_pages<T>(
    fetch: impl AsyncFn(PageRequest) -> Result<Page<T>, ClientError>,
) -> Result<Vec<T>, ClientError> {
    let mut request = PageRequest {
        after: None,
        limit: Some(io_types::api::LIMIT_MAX),
    };
    let mut rows = Vec::new();
    loop {
        let page = fetch(request.clone()).await?;
        rows.extend(page.items);
        if page.next.is_none() || page.next == request.after {
            return Ok(rows);
        }
        request.after = page.next;
    }
}

/// The numbers of a version, so that they compare; a part that is no number counts as 0.
fn version(text: &str) -> Vec<u64> {
    let parts = text.split(['.', '-', '+']).take(3);
    parts.map(|part| part.parse().unwrap_or(0)).collect()
}

fn accepted(result: TransactionResult) -> Result<TransactionResult, ClientError> {
    if result.code == 0 {
        return Ok(result);
    }
    Err(ClientError::Rejected {
        code: result.code,
        text: result.log,
        hash: Some(result.hash),
        height: result.height,
    })
}

#[cfg(test)]
pub(crate) mod tests;
