//! Transactions: signed, sent, and followed until they are in a block or never can be.

use std::time::Duration;

use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;

use super::{Blockhash, Commitment, Landed, SignatureStatus, SolanaRpc};
use crate::solana::error::SolanaError;

/// How often a sent transaction is looked up.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// A transaction that is not seen is sent again after so many looks.
const LOOKS_PER_SEND: u32 = 5;
/// A blockhash serves 150 blocks, so an endpoint that counts blocks says when one is too old. One that does not is given up after this.
const LAND_WITHIN: Duration = Duration::from_mins(2);

impl SolanaRpc {
    /// Signs the instructions with a fresh blockhash, sends them, and sends them again until they are in a block of that
    /// commitment or never can be. The first of the keys pays.
    ///
    /// # Errors
    /// Those of [`SolanaRpc::send`]; [`SolanaError::Expired`]; [`SolanaError::Unreachable`], after which it may be executed or not.
    pub async fn send_and_confirm(
        &self,
        instructions: &[Instruction],
        keys: &[&Keypair],
        commitment: Commitment,
    ) -> Result<Landed, SolanaError> {
        let blockhash = self.latest_blockhash(Commitment::Confirmed).await?;
        let transaction = sign_transaction(instructions, keys, &blockhash.hash)?;
        let signature = self.send(&transaction, Commitment::Confirmed).await?;
        self.confirm(&transaction, signature, &blockhash, commitment)
            .await
    }

    async fn confirm(
        &self,
        transaction: &VersionedTransaction,
        signature: Signature,
        blockhash: &Blockhash,
        commitment: Commitment,
    ) -> Result<Landed, SolanaError> {
        let started = tokio::time::Instant::now();
        let mut looks = 0_u32;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            looks = looks.saturating_add(1);
            let is_over = started.elapsed() > LAND_WITHIN;
            match self.look(signature).await {
                Ok((_, Some(status))) if status.commitment >= commitment => {
                    return landed(signature, status);
                }
                Ok((height, None)) if height > blockhash.last_valid_height || is_over => {
                    return Err(SolanaError::Expired {
                        signature: signature.to_string(),
                    });
                }
                Ok((_, None)) if looks.is_multiple_of(LOOKS_PER_SEND) => {
                    // Endpoints drop transactions under load. The status says how it ends, not this.
                    if let Err(error) = self.send(transaction, Commitment::Confirmed).await {
                        tracing::debug!(%signature, %error, "sent again");
                    }
                }
                // It is sent already, so an endpoint that is away for a moment is no reason to give up.
                Err(error) if is_over || !error.is_passing() => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// The final height, then the status: a transaction that is not known after its last height is final can never land.
    async fn look(
        &self,
        signature: Signature,
    ) -> Result<(u64, Option<SignatureStatus>), SolanaError> {
        let height = self.block_height(Commitment::Finalized).await?;
        let mut statuses = self.signature_statuses(&[signature]).await?;
        Ok((height, statuses.pop().flatten()))
    }
}

fn landed(signature: Signature, status: SignatureStatus) -> Result<Landed, SolanaError> {
    match status.err {
        None => Ok(Landed {
            signature,
            slot: status.slot,
        }),
        Some(err) => {
            let name = Some(signature.to_string());
            Err(SolanaError::of_transaction(&err, &[], name))
        }
    }
}

/// A signed transaction of these instructions. The first of the keys pays.
///
/// # Errors
/// [`SolanaError::Invalid`] if a key is missing or one too many.
pub fn sign_transaction(
    instructions: &[Instruction],
    keys: &[&Keypair],
    blockhash: &Hash,
) -> Result<VersionedTransaction, SolanaError> {
    let payer = keys.first().map(Signer::pubkey);
    let message = Message::new_with_blockhash(instructions, payer.as_ref(), blockhash);
    VersionedTransaction::try_new(VersionedMessage::Legacy(message), keys)
        .map_err(|error| SolanaError::invalid("Solana transaction", error.to_string()))
}

/// A transaction's bytes as they go over the wire.
///
/// # Errors
/// [`SolanaError::Invalid`] if it cannot be encoded.
pub fn transaction_bytes(transaction: &VersionedTransaction) -> Result<Vec<u8>, SolanaError> {
    wincode::serialize(transaction)
        .map_err(|error| SolanaError::invalid("Solana transaction", error.to_string()))
}
