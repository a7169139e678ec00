//! Transactions: one signed body, one encoding.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::amount::Amount;
use crate::codec::{self, DecodeError};
use crate::id::{AccountId, Hash, Height, Signature};

/// Largest transaction, bytes.
pub const TRANSACTION_BYTES_MAX: usize = 64 * 1024;
/// Largest transaction that carries a fraud proof, bytes.
pub const FRAUD_TRANSACTION_BYTES_MAX: usize = 96 * 1024;
/// Most actions in one transaction.
pub const ACTIONS_MAX: usize = 256;
/// What stands before the body in the bytes that are signed.
pub const SIGN_DOMAIN: &[u8] = b"io-chain/tx/v1\0";

/// What a signer signs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TransactionBody {
    /// The chain it is for.
    pub chain_id: String,
    /// Who signs and pays the fee.
    pub signer: AccountId,
    /// One of the signer's independent sequences.
    pub lane: u16,
    /// Strictly one more than the last of this lane; the first is 1.
    pub sequence: u64,
    /// Last height at which it may enter a block.
    pub expires: Height,
    /// Most IO that the signer is ready to pay as fee.
    pub fee_max: Amount,
    /// 1..=256, all or nothing.
    pub actions: Vec<Action>,
}

impl TransactionBody {
    /// The bytes to sign: the domain, then the body.
    pub fn sign_bytes(&self) -> Vec<u8> {
        let mut bytes = SIGN_DOMAIN.to_vec();
        bytes.extend(codec::encode(self));
        bytes
    }

    /// Signs with an ed25519 key; the key must be the signer's.
    pub fn sign(self, key: &ed25519_dalek::SigningKey) -> Transaction {
        use ed25519_dalek::Signer as _;
        let signature = Signature(key.sign(&self.sign_bytes()).to_bytes());
        Transaction {
            body: self,
            signature,
        }
    }
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Transaction {
    /// What is signed.
    pub body: TransactionBody,
    /// By the signer's key over [`TransactionBody::sign_bytes`].
    pub signature: Signature,
}

impl Transaction {
    /// Decodes: canonical, bounded, every byte used.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let transaction: Self = codec::decode(bytes, FRAUD_TRANSACTION_BYTES_MAX)?;
        let fraud = transaction
            .body
            .actions
            .iter()
            .any(|action| matches!(action, Action::ReportFraud(_)));
        if !fraud && bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(DecodeError::TooLong {
                len: bytes.len(),
                max: TRANSACTION_BYTES_MAX,
            });
        }
        Ok(transaction)
    }

    /// Encodes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Its hash: SHA-256 of its bytes, the same as the engine's.
    pub fn hash_of(bytes: &[u8]) -> Hash {
        codec::sha256(bytes)
    }
}
