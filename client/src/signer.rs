//! Numbers, signs and sends the transactions of one key on one lane.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use io_types::action::Action;
use io_types::amount::Amount;
use io_types::api::TransactionResult;
use io_types::id::{AccountId, Hash, Height};
use io_types::rejection::Rejection;
use io_types::transaction::{Transaction, TransactionBody};
use tokio::sync::Mutex;

use crate::error::ClientError;
use crate::node::{Client, Wait};
use crate::wallet::Wallet;

/// Blocks after which a transaction that no block took is dead, if the signer does not say otherwise.
const EXPIRY_BLOCKS: u64 = 30;
/// The same for duties. They are due now or never, and a pool drops one without a word when it is late or done by others.
const DUTY_EXPIRY_BLOCKS: u64 = 10;
/// How long a node that is out of reach is asked for what became of a transaction.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a sequence that another program of this key took may need to enter a block.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);
/// How often the account is read meanwhile.
const READ_EVERY: Duration = Duration::from_millis(300);

/// A fresh number for an action's `client_id`: random, and exact in every JSON reader.
pub fn client_id() -> u64 {
    rand::random::<u64>() >> 11
}

/// Sends transactions of one key. Sends from several tasks keep their order.
///
/// Two programs with the same key should use two lanes. If they do not, the slower one is rejected with 105, reads the
/// account and tries once more.
#[derive(Debug)]
pub struct Signer {
    client: Client,
    key: SigningKey,
    lane: u16,
    expiry_blocks: Option<u64>,
    known: Mutex<Known>,
}

/// What was learned from the node.
#[derive(Debug, Default)]
struct Known {
    rules: Option<Rules>,
    /// The next sequence of the lane.
    next: Option<u64>,
}

/// What does not change from one transaction to the next.
#[derive(Clone, Debug)]
struct Rules {
    chain_id: String,
    fee: Amount,
    expiry_blocks_max: u64,
}

impl Signer {
    /// Sends as the wallet's account on lane 0.
    pub fn new(client: Client, wallet: &Wallet) -> Self {
        Self {
            client,
            key: wallet.key().clone(),
            lane: 0,
            expiry_blocks: None,
            known: Mutex::default(),
        }
    }

    /// On another lane.
    #[must_use]
    pub fn on_lane(self, lane: u16) -> Self {
        Self { lane, ..self }
    }

    /// With another life of its transactions, in blocks; else it is 30, and 10 for duties.
    #[must_use]
    pub fn expiring_after(self, blocks: u64) -> Self {
        Self {
            expiry_blocks: Some(blocks),
            ..self
        }
    }

    /// Whose transactions these are.
    pub fn account(&self) -> AccountId {
        AccountId(self.key.verifying_key().to_bytes())
    }

    /// The node it sends to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends the actions, all or nothing, and waits until a block holds them.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] with the code of the rule; after [`ClientError::Unreachable`] they may be executed or not.
    pub async fn send(&self, actions: Vec<Action>) -> Result<TransactionResult, ClientError> {
        match self.send_once(actions.clone()).await {
            Err(error) if self.forget_if_outdated(&error).await => self.send_once(actions).await,
            other => other,
        }
    }

    /// Sends the actions and waits only until the node has taken them into its pool. Gives the hash and the last height.
    ///
    /// # Errors
    /// As [`Signer::send`], for rules that are checked at once.
    pub async fn post(&self, actions: Vec<Action>) -> Result<(Hash, Height), ClientError> {
        match self.post_once(actions.clone()).await {
            Err(error) if self.forget_if_outdated(&error).await => self.post_once(actions).await,
            other => other,
        }
    }

    /// The signed transaction for these actions as [`Signer::post`] would send it now. Sends nothing, takes no sequence.
    ///
    /// # Errors
    /// Those of reading the account.
    pub async fn sign(&self, actions: Vec<Action>) -> Result<Transaction, ClientError> {
        let mut known = self.known.lock().await;
        self.build(&mut known, actions).await
    }

    async fn send_once(&self, actions: Vec<Action>) -> Result<TransactionResult, ClientError> {
        let (hash, expires) = self.post_once(actions).await?;
        let result = self.client.await_transaction(hash, expires, PATIENCE).await;
        if matches!(
            result,
            Err(ClientError::Expired { .. } | ClientError::Unreachable { .. })
        ) {
            // The sequence was not used, or nobody knows.
            self.known.lock().await.next = None;
        }
        result
    }

    async fn post_once(&self, actions: Vec<Action>) -> Result<(Hash, Height), ClientError> {
        let mut known = self.known.lock().await;
        let transaction = self.build(&mut known, actions).await?;
        let (sequence, expires) = (transaction.body.sequence, transaction.body.expires);
        match self.client.submit(&transaction, Wait::Check).await {
            Ok(result) => {
                known.next = sequence.checked_add(1);
                Ok((result.hash, expires))
            }
            // Not taken: the sequence is free.
            Err(error @ ClientError::Rejected { height: None, .. }) => Err(error),
            Err(error) => {
                // Nobody knows whether the sequence is taken.
                known.next = None;
                Err(error)
            }
        }
    }

    async fn build(
        &self,
        known: &mut Known,
        actions: Vec<Action>,
    ) -> Result<Transaction, ClientError> {
        let rules = match &known.rules {
            Some(rules) => rules.clone(),
            None => known.rules.insert(self.read_rules().await?).clone(),
        };
        let (sequence, height) = match known.next {
            Some(next) => (next, self.client.status().await?.height),
            None => self.read_lane().await?,
        };
        known.next = Some(sequence);
        let is_free = !actions.is_empty() && actions.iter().all(Action::is_duty);
        let usual = if is_free {
            DUTY_EXPIRY_BLOCKS
        } else {
            EXPIRY_BLOCKS
        };
        let life = self
            .expiry_blocks
            .unwrap_or(usual)
            .min(rules.expiry_blocks_max);
        let body = TransactionBody {
            chain_id: rules.chain_id,
            signer: self.account(),
            lane: self.lane,
            sequence,
            expires: Height(height.0.saturating_add(life)),
            fee_max: if is_free { Amount::ZERO } else { rules.fee },
            actions,
        };
        Ok(body.sign(&self.key))
    }

    async fn read_rules(&self) -> Result<Rules, ClientError> {
        let admission = self.client.params().await?.admission;
        let status = self.client.status().await?;
        self.client.check_version(&status)?;
        Ok(Rules {
            chain_id: status.chain_id,
            fee: admission.fee,
            expiry_blocks_max: admission.expiry_blocks_max,
        })
    }

    /// The next sequence by the account, and the height at which it was read.
    async fn read_lane(&self) -> Result<(u64, Height), ClientError> {
        let account = self.client.account(self.account()).await?;
        let used = account.lanes.iter().find(|(lane, _)| *lane == self.lane);
        let used = used.map_or(0, |(_, sequence)| *sequence);
        Ok((used.saturating_add(1), account.height))
    }

    /// Whether the rejection came of knowing too little: a sequence or a fee that is not right any more. Forgets it then.
    async fn forget_if_outdated(&self, error: &ClientError) -> bool {
        let wrong_sequence = Rejection::WrongSequence {
            lane: 0,
            got: 0,
            want: 0,
        };
        let fee_above_limit = Rejection::FeeAboveLimit {
            fee: Amount::ZERO,
            max: Amount::ZERO,
        };
        let mut known = self.known.lock().await;
        if error.code() == Some(fee_above_limit.code()) {
            known.rules = None;
            return true;
        }
        if error.code() != Some(wrong_sequence.code()) {
            return false;
        }
        // The account shows what blocks hold. Behind what was tried: transactions of ours wait for their block. Equal to it:
        // somebody else's does. Beyond it: others were faster.
        let tried = known.next.take();
        let started = tokio::time::Instant::now();
        let mut was_behind = false;
        loop {
            let Ok((next, _)) = self.read_lane().await else {
                return false;
            };
            let has_caught_up = Some(next) > tried || (Some(next) == tried && was_behind);
            if has_caught_up || started.elapsed() > SETTLE_WITHIN {
                known.next = Some(next);
                return true;
            }
            was_behind |= Some(next) < tried;
            tokio::time::sleep(READ_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests;
