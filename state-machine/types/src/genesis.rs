//! What the first block starts from. `io-genesis` makes and checks it; `InitChain` reads it from the engine's app state.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::asset::Asset;
use crate::catalogue::Catalogue;
use crate::id::{AccountId, Hash, ValidatorAddress};
use crate::params::Params;
use crate::time::{BlockTime, ChainTime};

/// One checked genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisSpec {
    /// The chain's id, 3..=50 characters of a–z, 0–9, '-'.
    pub chain_id: String,
    /// Block time of genesis, ms since 1970.
    pub genesis_time: BlockTime,
    /// Chain time of genesis, ms: a full hour.
    pub chain_start: ChainTime,
    /// Seconds of block time in an epoch: 3600 on a real network.
    pub epoch_seconds: u32,
    /// First instant of month 1 of the emission schedule.
    pub schedule_start: ChainTime,
    /// Parameters.
    pub params: Params,
    /// Hardware.
    pub catalogue: Catalogue,
    /// Validators, ascending by address.
    pub validators: Vec<GenesisValidator>,
    /// Verifiers, ascending by account.
    pub verifiers: Vec<GenesisVerifier>,
    /// Money put on this chain; matched by tokens in the vault.
    pub balances: Vec<GenesisBalance>,
    /// Where it settles.
    pub bridge: GenesisBridge,
    /// Pairs of models (by number) whose rewards let the bigger card earn less than the smaller ones it can pretend to be,
    /// accepted by name.
    pub accepted_pairs: Vec<(u16, u16)>,
}

/// A validator at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// Address of its consensus key.
    pub address: ValidatorAddress,
    /// ed25519 consensus key.
    pub consensus_key: Hash,
    /// Its power, in consensus and in the settlement set.
    pub power: u64,
    /// The key that signs settlements.
    pub settlement_key: AccountId,
    /// The account that owns it.
    pub operator: AccountId,
    /// Anchor of its beacon hash chain.
    pub beacon_anchor: Hash,
    /// Shown to people.
    pub moniker: String,
}

/// A verifier at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisVerifier {
    /// Its key.
    pub account: AccountId,
    /// Where workers dial.
    pub url: String,
    /// Its stake, IO base units, taken from its balance.
    pub stake: Amount,
}

/// Money at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisBalance {
    /// Whose.
    pub account: AccountId,
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
}

/// The bridge at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisBridge {
    /// Genesis hash of the Solana cluster.
    pub cluster: Hash,
    /// The program.
    pub program: AccountId,
    /// The IO mint.
    pub io_mint: AccountId,
    /// The USDC mint.
    pub usdc_mint: AccountId,
}
