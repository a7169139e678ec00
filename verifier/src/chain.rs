//! What worker and verifier ask of the chain. Part of both crates, as `terms`.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use io_client::{BookingFilter, ChallengeFilter, Client, ClientError, PageRequest, Signer, Wallet};
use io_types::api::{DeviceView, LIMIT_MAX, Page, Status, TransactionResult};
use io_types::catalogue::Catalogue;
use io_types::row::{Booking, Challenge, ChallengeStage, VerifierRow};
use io_types::{AccountId, Action, BookingId, ChallengeId, DeviceId, Params};

/// Sequences of one key that do not wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Heartbeats.
    Uptime,
    /// Steps of challenges.
    Challenge,
    /// Everything else.
    Market,
}

/// A node, as the key of this program sees it.
pub trait Chain: Clone + Send + Sync + 'static {
    /// Whose key this is.
    fn account(&self) -> AccountId;
    /// Where the chain is.
    fn status(&self) -> impl Future<Output = Result<Status, ClientError>> + Send;
    /// The parameters.
    fn params(&self) -> impl Future<Output = Result<Params, ClientError>> + Send;
    /// Models and classes.
    fn catalogue(&self) -> impl Future<Output = Result<Catalogue, ClientError>> + Send;
    /// A device with its hash chain.
    fn device(
        &self,
        device: DeviceId,
    ) -> impl Future<Output = Result<DeviceView, ClientError>> + Send;
    /// A booking.
    fn booking(
        &self,
        booking: BookingId,
    ) -> impl Future<Output = Result<Booking, ClientError>> + Send;
    /// Bookings that a device is part of.
    fn bookings_of(
        &self,
        device: DeviceId,
    ) -> impl Future<Output = Result<Vec<Booking>, ClientError>> + Send;
    /// A challenge.
    fn challenge(
        &self,
        challenge: ChallengeId,
    ) -> impl Future<Output = Result<Challenge, ClientError>> + Send;
    /// Challenges that this key judges and that are not decided.
    fn assigned(&self) -> impl Future<Output = Result<Vec<Challenge>, ClientError>> + Send;
    /// All verifiers.
    fn verifiers(&self) -> impl Future<Output = Result<Vec<VerifierRow>, ClientError>> + Send;
    /// Sends actions, all or nothing, and waits for their block.
    fn submit(
        &self,
        lane: Lane,
        actions: Vec<Action>,
    ) -> impl Future<Output = Result<TransactionResult, ClientError>> + Send;
}

impl Lane {
    const ALL: [Self; 3] = [Self::Uptime, Self::Challenge, Self::Market];

    /// Its number on the chain.
    fn number(self) -> u16 {
        match self {
            Self::Uptime => 0,
            Self::Challenge => 1,
            Self::Market => 2,
        }
    }

    /// Blocks after which a transaction that no block took is given up. What is due then is read from the chain and sent
    /// anew; a long life would only keep the lane waiting for something that no proposer may take any more.
    fn life_blocks(self) -> u64 {
        match self {
            Self::Uptime => 5,
            Self::Challenge => 8,
            Self::Market => 30,
        }
    }
}

/// A node by its HTTP API.
#[derive(Clone, Debug)]
pub struct NodeChain {
    client: Client,
    wallet: Arc<Wallet>,
    signers: Arc<Mutex<[Arc<Signer>; 3]>>,
}

impl NodeChain {
    /// A node at `url`, as `http://127.0.0.1:26680`.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn new(url: &str, wallet: &Wallet) -> Result<Self, ClientError> {
        let client = Client::new(url)?;
        let wallet = Arc::new(Wallet::from_seed(wallet.key().to_bytes()));
        let signers = Lane::ALL.map(|lane| fresh(&client, &wallet, lane));
        Ok(Self {
            client,
            wallet,
            signers: Arc::new(Mutex::new(signers)),
        })
    }

    fn signer(&self, lane: Lane) -> Arc<Signer> {
        let signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        let [uptime, challenge, market] = &*signers;
        Arc::clone(match lane {
            Lane::Uptime => uptime,
            Lane::Challenge => challenge,
            Lane::Market => market,
        })
    }

    /// A signer that does not know what became of its last transaction is replaced by one that reads the account.
    fn renew(&self, lane: Lane) {
        let fresh = fresh(&self.client, &self.wallet, lane);
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        let [uptime, challenge, market] = &mut *signers;
        *match lane {
            Lane::Uptime => uptime,
            Lane::Challenge => challenge,
            Lane::Market => market,
        } = fresh;
    }
}

fn fresh(client: &Client, wallet: &Wallet, lane: Lane) -> Arc<Signer> {
    let signer = Signer::new(client.clone(), wallet);
    Arc::new(
        signer
            .on_lane(lane.number())
            .expiring_after(lane.life_blocks()),
    )
}

impl Chain for NodeChain {
    fn account(&self) -> AccountId {
        self.wallet.account()
    }

    async fn status(&self) -> Result<Status, ClientError> {
        self.client.status().await
    }

    async fn params(&self) -> Result<Params, ClientError> {
        self.client.params().await
    }

    async fn catalogue(&self) -> Result<Catalogue, ClientError> {
        self.client.catalogue().await
    }

    async fn device(&self, device: DeviceId) -> Result<DeviceView, ClientError> {
        self.client.device(device).await
    }

    async fn booking(&self, booking: BookingId) -> Result<Booking, ClientError> {
        self.client.booking(booking).await
    }

    async fn bookings_of(&self, device: DeviceId) -> Result<Vec<Booking>, ClientError> {
        let filter = BookingFilter {
            device: Some(device),
            ..BookingFilter::default()
        };
        let mut found = Vec::new();
        let mut request = Some(first_page());
        while let Some(page) = request {
            let answer = self.client.bookings(&filter, &page).await?;
            request = next_page(&answer, &page);
            found.extend(answer.items);
        }
        Ok(found)
    }

    async fn challenge(&self, challenge: ChallengeId) -> Result<Challenge, ClientError> {
        self.client.challenge(challenge).await
    }

    async fn assigned(&self) -> Result<Vec<Challenge>, ClientError> {
        let mut found = Vec::new();
        for stage in [
            ChallengeStage::Nonces,
            ChallengeStage::Answer,
            ChallengeStage::Verdicts,
            ChallengeStage::Reveals,
        ] {
            let filter = ChallengeFilter {
                verifier: Some(self.account()),
                stage: Some(stage),
                ..ChallengeFilter::default()
            };
            let mut request = Some(first_page());
            while let Some(page) = request {
                let answer = self.client.challenges(&filter, &page).await?;
                request = next_page(&answer, &page);
                found.extend(answer.items);
            }
        }
        Ok(found)
    }

    async fn verifiers(&self) -> Result<Vec<VerifierRow>, ClientError> {
        self.client.verifiers().await
    }

    async fn submit(
        &self,
        lane: Lane,
        actions: Vec<Action>,
    ) -> Result<TransactionResult, ClientError> {
        let result = self.signer(lane).send(actions).await;
        if let Err(ClientError::Expired { .. } | ClientError::Unreachable { .. }) = &result {
            self.renew(lane);
        }
        result
    }
}

fn first_page() -> PageRequest {
    PageRequest {
        after: None,
        limit: Some(LIMIT_MAX),
    }
}

/// The page after this one. A node that names the page that was asked for as the next one would be asked for ever.
fn next_page<T>(page: &Page<T>, asked: &PageRequest) -> Option<PageRequest> {
    let after = page.next.clone()?;
    if asked.after.as_ref() == Some(&after) {
        return None;
    }
    Some(PageRequest {
        after: Some(after),
        limit: Some(LIMIT_MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_names_itself_as_the_next_one_is_the_last() {
        let answer = |next: Option<&str>| Page::<u8> {
            items: Vec::new(),
            next: next.map(ToOwned::to_owned),
            height: io_types::Height(1),
        };
        let second = next_page(&answer(Some("a")), &first_page()).unwrap();
        assert_eq!(second.after.as_deref(), Some("a"));
        assert_eq!(next_page(&answer(Some("a")), &second), None);
        assert_eq!(next_page(&answer(None), &second), None);
    }
}
