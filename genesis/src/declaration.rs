//! What a validator says of itself at genesis, signed by each of its keys.

use ed25519_dalek::{Signer, SigningKey};
use io_types::genesis::GenesisValidator;
use io_types::id::{AccountId, Hash, Signature};
use serde::{Deserialize, Serialize};

use crate::engine::consensus_address;
use crate::problem::Problem;

const DOMAIN: &str = "io-chain/genesis-validator/v1";

/// A validator's file in `validators/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// Shown to people.
    pub moniker: String,
    /// Power in consensus and in the settlement set.
    pub power: u64,
    /// ed25519 consensus key, hexadecimal.
    pub consensus_key: Hash,
    /// The key that signs settlements.
    pub settlement_key: AccountId,
    /// The account that owns the validator.
    pub operator: AccountId,
    /// Anchor of its beacon hash chain.
    pub beacon_anchor: Hash,
    /// The consensus key's signature.
    pub consensus_signature: Signature,
    /// The settlement key's signature.
    pub settlement_signature: Signature,
    /// The operator's signature.
    pub operator_signature: Signature,
}

/// The keys of one validator.
#[derive(Debug)]
pub struct Signers {
    /// Votes.
    pub consensus: SigningKey,
    /// Signs settlements.
    pub settlement: SigningKey,
    /// Owns the validator.
    pub operator: SigningKey,
}

impl Declaration {
    /// Signs a validator's facts for one chain.
    pub fn sign(
        chain_id: &str,
        moniker: &str,
        power: u64,
        beacon_anchor: Hash,
        keys: &Signers,
    ) -> Self {
        let mut declaration = Self {
            moniker: moniker.to_owned(),
            power,
            consensus_key: Hash(keys.consensus.verifying_key().to_bytes()),
            settlement_key: AccountId(keys.settlement.verifying_key().to_bytes()),
            operator: AccountId(keys.operator.verifying_key().to_bytes()),
            beacon_anchor,
            consensus_signature: Signature([0; 64]),
            settlement_signature: Signature([0; 64]),
            operator_signature: Signature([0; 64]),
        };
        let message = declaration.message(chain_id);
        let sign = |key: &SigningKey| Signature(key.sign(&message).to_bytes());
        declaration.consensus_signature = sign(&keys.consensus);
        declaration.settlement_signature = sign(&keys.settlement);
        declaration.operator_signature = sign(&keys.operator);
        declaration
    }

    /// The bytes that each key signs: one fact a line, so that a moniker cannot spill into the next.
    fn message(&self, chain_id: &str) -> Vec<u8> {
        let Self {
            moniker,
            power,
            consensus_key,
            settlement_key,
            operator,
            beacon_anchor,
            consensus_signature: _,
            settlement_signature: _,
            operator_signature: _,
        } = self;
        let name = hex::encode(moniker.as_bytes());
        format!(
            "{DOMAIN}\n{chain_id}\n{name}\n{power}\n{consensus_key}\n{settlement_key}\n{operator}\n{beacon_anchor}\n"
        )
        .into_bytes()
    }

    /// The keys whose signature is missing or of another chain.
    pub fn check(&self, chain_id: &str) -> Vec<Problem> {
        let message = self.message(chain_id);
        let signed = [
            (
                "consensus",
                AccountId(self.consensus_key.0),
                self.consensus_signature,
            ),
            ("settlement", self.settlement_key, self.settlement_signature),
            ("operator", self.operator, self.operator_signature),
        ];
        signed
            .into_iter()
            .filter(|(_key, account, signature)| !account.verify(&message, signature))
            .map(|(key, _account, _signature)| Problem::Unsigned {
                moniker: self.moniker.clone(),
                chain_id: chain_id.to_owned(),
                key,
            })
            .collect()
    }

    /// The row of the spec.
    pub fn validator(&self) -> GenesisValidator {
        GenesisValidator {
            address: consensus_address(&self.consensus_key),
            consensus_key: self.consensus_key,
            power: self.power,
            settlement_key: self.settlement_key,
            operator: self.operator,
            beacon_anchor: self.beacon_anchor,
            moniker: self.moniker.clone(),
        }
    }
}
