//! Actions on devices, uptime, stake and rewards.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::amount::{Amount, MicroUsd};
use crate::asset::Asset;
use crate::catalogue::{CountryCode, ModelId};
use crate::codec;
use crate::id::{AccountId, DeviceId, Hash, Signature};
use crate::time::{Epoch, Slot};

/// Connectivity tier: 0 not eligible, 1 low, 2 medium, 3 high, 4 ultra high.
pub type ConnectivityTier = u8;
/// In which asset a supplier is paid.
pub type PayoutAsset = Asset;

/// What a supplier says of a device. Claims, not proofs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// The claimed model, from the catalogue.
    pub model: ModelId,
    /// Processors Q, 1..=64, all of that model.
    pub quantity: u16,
    /// Memory of one processor, MiB.
    pub vram_mib: u32,
    /// Where it stands.
    pub country: CountryCode,
    /// Connectivity tier 0..=4.
    pub connectivity: ConnectivityTier,
    /// Ask price, micro-USD per processor-hour.
    pub ask: MicroUsd,
    /// In which asset the supplier is paid: IO or USDC.
    pub payout_asset: PayoutAsset,
}

/// What stands before the bytes by which a device key consents.
pub const CONSENT_DOMAIN: &[u8] = b"io-chain/device-consent/v1\0";

/// The bytes by which a device key consents to serve devices of `owner` on this chain: domain, then borsh of chain id and owner.
pub fn consent_bytes(chain_id: &str, owner: &AccountId) -> Vec<u8> {
    let mut bytes = CONSENT_DOMAIN.to_vec();
    bytes.extend(codec::encode(&(chain_id, owner)));
    bytes
}

/// The consent of a device key, made where that key is.
pub fn consent(key: &ed25519_dalek::SigningKey, chain_id: &str, owner: &AccountId) -> Signature {
    use ed25519_dalek::Signer as _;
    Signature(key.sign(&consent_bytes(chain_id, owner)).to_bytes())
}

/// Registers a device; the signer becomes its owner.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RegisterDevice {
    /// What it is.
    pub spec: DeviceSpec,
    /// The key that the worker on the device holds; unique over all devices.
    pub device_key: AccountId,
    /// By the device key over [`consent_bytes`]: nobody can register a key that is not in the hands of his worker.
    pub consent: Signature,
    /// The owner's own number; the same number again is refused.
    pub client_id: u64,
}

/// Changes what an owner may change at any time.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct UpdateDevice {
    /// Which device.
    pub device: DeviceId,
    /// New ask price, micro-USD per processor-hour.
    pub ask: MicroUsd,
    /// New payout asset: IO or USDC.
    pub payout_asset: PayoutAsset,
}

/// Takes a device off the market; refused while hired.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PauseDevice {
    /// Which device.
    pub device: DeviceId,
}

/// Puts a paused device back.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct ResumeDevice {
    /// Which device.
    pub device: DeviceId,
}

/// Ends a device for good; refused while hired. Stake is not touched.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RetireDevice {
    /// Which device.
    pub device: DeviceId,
}

/// Registers the last link of a device's hash chain. Signed by the device key.
///
/// The link for slot `first_slot + k` is SHA-256 applied `slots − 1 − k` … times to the seed such that SHA-256(link of
/// `first_slot`) = `anchor` and SHA-256(link of slot s + 1) = link of slot s.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct RegisterUptimeChain {
    /// Which device.
    pub device: DeviceId,
    /// The last link: SHA-256 of the link of `first_slot`.
    pub anchor: Hash,
    /// The first slot that the chain covers; not in the past by more than the late window.
    pub first_slot: Slot,
    /// How many slots it covers, 1..=1440.
    pub slots: u16,
}

/// Links of many devices for one slot. Signed by a registered carrier, or by the device key of the only entry.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Heartbeats {
    /// Which slot.
    pub slot: Slot,
    /// Device and its link for that slot.
    pub entries: Vec<(DeviceId, Hash)>,
}

/// Adds IO from the signer's balance to a device's stake. The owner stakes first; then only the staking account.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct AddStake {
    /// Which device.
    pub device: DeviceId,
    /// How much IO.
    pub amount: Amount,
}

/// Starts the cooldown of the whole stake; irreversible; refused while hired.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct UnstakeDevice {
    /// Which device.
    pub device: DeviceId,
}

/// Takes out of a stake: after the cooldown all of it; before, at most what is above the minimum.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct WithdrawStake {
    /// Which device.
    pub device: DeviceId,
    /// How much IO.
    pub amount: Amount,
}

/// Moves the signer's collectable rewards of epochs up to `through` to his balance.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Collect {
    /// The last epoch to collect.
    pub through: Epoch,
}
