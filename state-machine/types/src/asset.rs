//! Assets, and the accounts that belong to the chain itself.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::id::AccountId;

/// What an amount is of.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Asset {
    /// The IO token, 8 decimals.
    Io = 0,
    /// USD Coin, 6 decimals.
    Usdc = 1,
    /// A USD unit for use on this chain only, 6 decimals; never leaves it.
    Credit = 2,
}

impl Asset {
    /// All of them, in order of number.
    pub const ALL: [Self; 3] = [Self::Io, Self::Usdc, Self::Credit];
    /// Those that exist on Solana, in order of number.
    pub const BRIDGED: [Self; 2] = [Self::Io, Self::Usdc];

    /// The number used in keys and on Solana.
    pub const fn number(self) -> u8 {
        match self {
            Self::Io => 0,
            Self::Usdc => 1,
            Self::Credit => 2,
        }
    }

    /// The asset of that number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Io),
            1 => Some(Self::Usdc),
            2 => Some(Self::Credit),
            _ => None,
        }
    }

    /// Digits after the point.
    pub const fn decimals(self) -> u8 {
        match self {
            Self::Io => 8,
            Self::Usdc | Self::Credit => 6,
        }
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io => "io",
            Self::Usdc => "usdc",
            Self::Credit => "credit",
        })
    }
}

impl FromStr for Asset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "io" => Ok(Self::Io),
            "usdc" => Ok(Self::Usdc),
            "credit" => Ok(Self::Credit),
            _other => Err(format!("{text:?} is no asset: use io, usdc or credit")),
        }
    }
}

/// An account of the chain itself. It has no key, so nobody can sign for it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum SystemAccount {
    /// The counterpart of all that is on this chain: minus the sum of the rest.
    Outside = 0,
    /// Rewards that were accrued to someone and are not yet collected.
    RewardPool = 1,
    /// The network's own money.
    Treasury = 2,
    /// Pays duties.
    DutyFund = 3,
    /// The safety module's share of each hour.
    SafetyModule = 4,
    /// Y1: what the pools of an hour did not give.
    RewardVault = 5,
    /// Y2: client fees of the dynamic engine.
    FeeVault = 6,
    /// Inventory that swaps between the renter's and the supplier's asset.
    ConversionDesk = 7,
    /// Slashed money that waits for an appeal.
    SlashCustody = 8,
    /// Withdrawn here, not yet claimed on Solana.
    Payouts = 9,
    /// Deposits whose account is no valid key.
    Suspense = 10,
    /// Fees of the running epoch.
    Revenue = 11,
    /// Money that must burn and waits for the desk.
    BurnPending = 12,
    /// What rounding leaves.
    Dust = 13,
}

impl SystemAccount {
    /// All of them, in order of number.
    pub const ALL: [Self; 14] = [
        Self::Outside,
        Self::RewardPool,
        Self::Treasury,
        Self::DutyFund,
        Self::SafetyModule,
        Self::RewardVault,
        Self::FeeVault,
        Self::ConversionDesk,
        Self::SlashCustody,
        Self::Payouts,
        Self::Suspense,
        Self::Revenue,
        Self::BurnPending,
        Self::Dust,
    ];
}

/// Who can own money: somebody with a key, or the chain itself.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// Somebody with a key.
    Account(AccountId),
    /// The chain itself.
    System(SystemAccount),
}

impl From<AccountId> for Holder {
    fn from(account: AccountId) -> Self {
        Self::Account(account)
    }
}

impl From<SystemAccount> for Holder {
    fn from(system: SystemAccount) -> Self {
        Self::System(system)
    }
}
