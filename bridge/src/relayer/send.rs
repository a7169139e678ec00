//! Simulates, sends and follows one transaction.

use std::time::Duration;

use io_client::solana::rpc::{Simulation, sign_transaction};
use io_client::solana::{Blockhash, Commitment, Landed, SolanaError, SolanaRpc};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer as _;
use solana_transaction::versioned::VersionedTransaction;

use super::instructions::{unit_limit, unit_price};
use crate::failpoint;

/// Compute units while simulating.
const SIMULATED_UNITS: u32 = 400_000;
/// How often a sent transaction is looked up.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// It is sent again after so many looks.
const LOOKS_PER_SEND: u32 = 5;
/// An endpoint that does not count blocks is given up after this.
const LAND_WITHIN: Duration = Duration::from_mins(2);

/// Sends transactions of one payer at one price.
pub(super) struct Sender<'a> {
    pub(super) rpc: &'a SolanaRpc,
    pub(super) payer: Keypair,
    /// Micro-lamports per compute unit.
    pub(super) price: u64,
}

/// Fail points before and after a transaction is sent.
pub(super) type Points = [&'static str; 2];

impl Sender<'_> {
    /// The payer's address.
    pub(super) fn address(&self) -> Pubkey {
        self.payer.pubkey()
    }

    /// Simulates; if that succeeds, sends and waits until the transaction is confirmed or never can be. Nothing is sent if the
    /// simulation fails, so a lost race costs nothing unless it is lost in between.
    pub(super) async fn send(
        &self,
        instructions: &[Instruction],
        others: &[&Keypair],
        points: Points,
    ) -> Result<Landed, SolanaError> {
        let blockhash = self.rpc.latest_blockhash(Commitment::Confirmed).await?;
        let trial = self.transaction(instructions, others, SIMULATED_UNITS, &blockhash)?;
        let Simulation { err, logs, units } =
            self.rpc.simulate(&trial, Commitment::Confirmed).await?;
        if let Some(err) = err {
            return Err(SolanaError::of_transaction(&err, &logs, None));
        }
        let transaction = self.transaction(instructions, others, limit_for(units), &blockhash)?;
        let [before, after] = points;
        failpoint::hit(before);
        let signature = self.rpc.send(&transaction, Commitment::Confirmed).await?;
        failpoint::hit(after);
        self.follow(&transaction, signature, &blockhash).await
    }

    fn transaction(
        &self,
        instructions: &[Instruction],
        others: &[&Keypair],
        units: u32,
        blockhash: &Blockhash,
    ) -> Result<VersionedTransaction, SolanaError> {
        let mut all = vec![unit_limit(units), unit_price(self.price)];
        all.extend_from_slice(instructions);
        let mut keys = vec![&self.payer];
        keys.extend_from_slice(others);
        sign_transaction(&all, &keys, &blockhash.hash)
    }

    async fn follow(
        &self,
        transaction: &VersionedTransaction,
        signature: Signature,
        blockhash: &Blockhash,
    ) -> Result<Landed, SolanaError> {
        let started = tokio::time::Instant::now();
        let mut looks = 0_u32;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            looks = looks.saturating_add(1);
            // The height is read first: what is not known after it is too old can never land.
            let height = self.rpc.block_height(Commitment::Confirmed).await?;
            let status = self
                .rpc
                .signature_statuses(&[signature])
                .await?
                .pop()
                .flatten();
            if let Some(status) = status.filter(|status| status.commitment >= Commitment::Confirmed)
            {
                let name = Some(signature.to_string());
                return match status.err {
                    None => Ok(Landed {
                        signature,
                        slot: status.slot,
                    }),
                    Some(err) => Err(SolanaError::of_transaction(&err, &[], name)),
                };
            }
            if height > blockhash.last_valid_height || started.elapsed() > LAND_WITHIN {
                return Err(SolanaError::Expired {
                    signature: signature.to_string(),
                });
            }
            if looks.is_multiple_of(LOOKS_PER_SEND) {
                // Endpoints drop transactions under load. The status says how it ends, not this.
                if let Err(error) = self.rpc.send(transaction, Commitment::Confirmed).await {
                    tracing::debug!(%signature, %error, "sent again");
                }
            }
        }
    }
}

/// A quarter more than the simulation used: what it depends on may change until it is executed.
fn limit_for(units: u64) -> u32 {
    let with_room = units
        .saturating_add(units.checked_div(4).unwrap_or(0))
        .saturating_add(5000);
    u32::try_from(with_room).unwrap_or(SIMULATED_UNITS)
}
