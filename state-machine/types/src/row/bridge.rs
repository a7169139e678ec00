//! Rows of settlement, prices and validators.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::asset::Asset;
use crate::id::{AccountId, BatchNumber, Hash, Height, Signature, ValidatorAddress};
use crate::time::{BlockTime, ChainTime, Epoch};

/// A validator. Table `validators`, key: address.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ValidatorRow {
    /// Address of its consensus key.
    pub address: ValidatorAddress,
    /// Its consensus key (ed25519).
    pub consensus_key: Hash,
    /// Its power in consensus.
    pub power: u64,
    /// The key that signs settlements.
    pub settlement_key: AccountId,
    /// The account that owns it.
    pub operator: AccountId,
    /// The last link seen of its beacon hash chain; the anchor at first.
    pub beacon_link: Hash,
    /// Shown to people.
    pub moniker: String,
}

/// Totals of one asset in a batch, since genesis.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
pub struct BatchTotals {
    /// Root of the payout tree.
    pub payout_root: [u8; 32],
    /// Sum of all frozen payouts.
    pub payout_total: Amount,
}

/// A batch frozen for Solana. Table `settlements`, key: number.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Batch {
    /// Its number.
    pub number: BatchNumber,
    /// The exact body that is signed (io-settlement's fixed-width encoding of `SettleBody`).
    #[serde(with = "crate::id::hex_bytes")]
    pub body: Vec<u8>,
    /// SHA-256 of the body.
    pub hash: Hash,
    /// The height at which it was frozen.
    pub height: Height,
    /// The epoch that it closes.
    pub epoch: Epoch,
    /// Set epoch of the program's members that sign.
    pub set_epoch: u64,
    /// Signatures so far, ascending by settlement key.
    pub signatures: Vec<(AccountId, Signature)>,
    /// Power of those signatures.
    pub signed_power: u64,
    /// Power of the whole set.
    pub total_power: u64,
    /// Whether a `LastSettle` with this number is attested.
    pub settled: bool,
    /// Balances on chain at the freeze by asset number (all accounts without `outside` and `payouts`): for the invariant.
    pub balances: [Amount; 3],
    /// Emitted, reminted, burned (both kinds) at the freeze, IO.
    pub emitted: Amount,
    /// Reminted at the freeze.
    pub reminted: Amount,
    /// Burned at the freeze, both kinds, by asset number.
    pub burned: [Amount; 3],
    /// Payouts frozen, by asset number.
    pub payout_totals: [Amount; 3],
    /// Deposits credited at the freeze, by asset number.
    pub deposited: [Amount; 3],
    /// Number of the last credited deposit at the freeze.
    pub deposit_number: u64,
}

/// One account's payout. Table `payouts`, key: asset, account.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct Payout {
    /// Its leaf in the tree, in order of first withdrawal.
    pub index: u64,
    /// What the newest batch commits to, since genesis.
    pub frozen: Amount,
    /// All withdrawn since genesis; the next freeze commits to it.
    pub pending: Amount,
}

/// What is known of Solana by attestation.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct LastSettleRow {
    /// The attested bytes (io-settlement's encoding of `LastSettle`).
    #[serde(with = "crate::id::hex_bytes")]
    pub bytes: Vec<u8>,
    /// Their number.
    pub number: BatchNumber,
    /// The height at which it was attested.
    pub height: Height,
    /// Solana's slot of that settle.
    pub slot: u64,
    /// Surplus of the invariant 5.7 by bridged asset number; `None`: violated.
    pub surplus: [Option<Amount>; 2],
}

/// The bridge. Table `bridge`, one row.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct BridgeState {
    /// Genesis hash of the Solana cluster.
    pub cluster: Hash,
    /// The program.
    pub program: AccountId,
    /// Mints by bridged asset number.
    pub mints: [AccountId; 2],
    /// Members that sign: settlement key and power, ascending by key.
    pub members: Vec<(AccountId, u64)>,
    /// Their set epoch.
    pub set_epoch: u64,
    /// The last credited deposit.
    pub deposit_number: u64,
    /// Its rolling hash.
    pub deposit_hash: Hash,
    /// The last attested `LastSettle`.
    pub last_settle: Option<LastSettleRow>,
    /// Set when the invariant was violated or a `LastSettle` was refused: withdrawals are closed. Text says why.
    pub withdrawals_closed: Option<String>,
    /// Number of the newest batch; 0: none yet.
    pub newest_batch: BatchNumber,
    /// Stake target: staked IO.
    pub staked: Amount,
    /// Payout rows so far, by bridged asset number.
    pub payout_rows: [u64; 2],
    /// Sum of all frozen payouts, by bridged asset number.
    pub payout_totals: [Amount; 2],
}

/// A deposit that could not be credited. Table `suspense`, key: deposit number.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SuspendedDeposit {
    /// Its number.
    pub number: u64,
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// The 32 bytes that are no valid key.
    pub account: Hash,
    /// Who may take it out.
    pub depositor: AccountId,
    /// Since when.
    pub since: ChainTime,
}

/// Prices in force. Table `price`, one row.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PriceState {
    /// Micro-USD per whole IO, after the last accepted median.
    pub spot: u64,
    /// Micro-USD per whole USDC.
    pub usdc: u64,
    /// Block time of the last accepted median; at first that of genesis.
    pub updated: BlockTime,
    /// Spot by minute of block time, oldest first: (minute, sum of price·ms, ms).
    pub minutes: Vec<(u64, u128, u64)>,
    /// ⌊average⌋ of the last 30 minutes.
    pub t30: u64,
    /// ⌊average⌋ of the last 60 minutes.
    pub t60: u64,
}
