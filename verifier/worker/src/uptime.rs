//! The hash chain: a seed on disk, and the links that are due.

use io_types::action::{Heartbeats, RegisterUptimeChain};
use io_types::api::Status;
use io_types::codec::sha256;
use io_types::params::UptimeParams;
use io_types::row::UptimeChain;
use io_types::{Action, DeviceId, Hash, Slot};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};

use crate::home::{Home, HomeError};

/// Name of the file in the data folder.
const FILE: &str = "uptime.json";
/// Slots that one transaction catches up at most.
const SLOTS_PER_SEND_MAX: u64 = 64;

/// A chain of which this worker has the seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeededChain {
    /// Whose.
    pub device: DeviceId,
    /// The link of the last slot.
    pub seed: Hash,
    /// The first slot that it covers.
    pub first_slot: Slot,
    /// How many slots it covers.
    pub slots: u16,
}

impl SeededChain {
    /// A fresh chain.
    pub fn random(device: DeviceId, first_slot: Slot, slots: u16) -> Self {
        let mut seed = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut seed);
        Self {
            device,
            seed: Hash(seed),
            first_slot,
            slots,
        }
    }

    /// The last slot that it covers.
    pub fn last_slot(&self) -> Slot {
        Slot(
            self.first_slot
                .0
                .saturating_add(u64::from(self.slots))
                .saturating_sub(1),
        )
    }

    /// The link of a slot, of which SHA-256 is the link of the slot before; none outside of the chain. The slot before the
    /// first has the anchor.
    pub fn link(&self, slot: Slot) -> Option<Hash> {
        let last = self.last_slot();
        if slot > last || slot.next() < self.first_slot {
            return None;
        }
        let mut link = self.seed;
        for _slot in slot.0..last.0 {
            link = sha256(&link.0);
        }
        Some(link)
    }

    /// What registers it.
    pub fn registration(&self) -> Option<RegisterUptimeChain> {
        Some(RegisterUptimeChain {
            device: self.device,
            anchor: self.link(Slot(self.first_slot.0.checked_sub(1)?))?,
            first_slot: self.first_slot,
            slots: self.slots,
        })
    }

    /// Whether this is the chain that the row stands for.
    fn is(&self, row: &UptimeChain) -> bool {
        row.last_slot == self.last_slot() && self.link(row.link_slot) == Some(row.link)
    }
}

/// The chains on disk: the one in use, and the one that was made to follow it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chains {
    /// Newest last, at most two.
    chains: Vec<SeededChain>,
}

/// The hash chain of one device.
#[derive(Debug)]
pub struct Uptime {
    device: DeviceId,
    chains: Chains,
}

impl Uptime {
    /// Reads what an earlier process left.
    ///
    /// # Errors
    /// A file that is broken.
    pub fn open(home: &Home, device: DeviceId) -> Result<Self, HomeError> {
        let mut chains: Chains = home.read(FILE)?.unwrap_or_default();
        chains.chains.retain(|chain| chain.device == device);
        Ok(Self { device, chains })
    }

    /// What is due now: links of every slot up to the block's time, and a new chain in time. What was sent already and is not
    /// in a block yet is due again, which is harmless.
    ///
    /// # Errors
    /// A disk that does not take the seed of a new chain; it is not registered then.
    pub fn due(
        &mut self,
        home: &Home,
        status: &Status,
        params: &UptimeParams,
        row: Option<&UptimeChain>,
    ) -> Result<Vec<Action>, HomeError> {
        let now = status.slot;
        let in_use = row.and_then(|row| {
            let chain = self.chains.chains.iter().find(|chain| chain.is(row))?;
            let behind = now.0.saturating_sub(row.link_slot.0);
            // A link that skips more is not taken: the chain is lost.
            (behind <= params.skip_slots_max.saturating_add(1))
                .then(|| (chain.clone(), row.clone()))
        });
        let mut actions: Vec<Action> = match &in_use {
            Some((chain, row)) => links(chain, row.link_slot, now, params),
            None => Vec::new(),
        };
        let quarter = u64::from(params.chain_slots_max).div_euclid(4);
        let ends_soon = |row: &UptimeChain| row.last_slot.0 <= now.0.saturating_add(quarter);
        let first_slot = match (&in_use, row) {
            (Some((_chain, row)), _) if ends_soon(row) => Some(now.next()),
            (Some(_), _) => None,
            (None, None) => Some(now),
            (None, Some(row)) => Some(Slot(now.0.max(row.link_slot.0.saturating_add(1)))),
        };
        if let Some(first_slot) = first_slot {
            let chain = self.prepared(home, first_slot, params.chain_slots_max)?;
            actions.extend(chain.registration().map(Action::RegisterUptimeChain));
        }
        Ok(actions)
    }

    /// A chain that was made before and may still be registered, or a new one, on disk in either case.
    fn prepared(
        &mut self,
        home: &Home,
        first_slot: Slot,
        slots: u16,
    ) -> Result<SeededChain, HomeError> {
        if let Some(made) = self
            .chains
            .chains
            .iter()
            .find(|chain| chain.first_slot == first_slot)
        {
            return Ok(made.clone());
        }
        let chain = SeededChain::random(self.device, first_slot, slots);
        self.chains.chains.push(chain.clone());
        // More than the chain in use and a few tries that did not reach the chain are never needed.
        let surplus = self.chains.chains.len().saturating_sub(8);
        self.chains.chains.drain(..surplus);
        home.write(FILE, &self.chains)?;
        Ok(chain)
    }
}

/// Links of the slots after `last` up to `now` that are still taken.
fn links(chain: &SeededChain, last: Slot, now: Slot, params: &UptimeParams) -> Vec<Action> {
    // A slot that is about to close may be closed in the block that takes the transaction, and would reject all of it.
    let late = params
        .late_slots
        .saturating_sub(params.late_slots.div_euclid(4));
    let from = last.0.saturating_add(1).max(now.0.saturating_sub(late));
    let from = from.max(now.0.saturating_sub(SLOTS_PER_SEND_MAX));
    let to = now.0.min(chain.last_slot().0);
    (from..=to)
        .filter_map(|slot| {
            let link = chain.link(Slot(slot))?;
            Some(Action::Heartbeats(Heartbeats {
                slot: Slot(slot),
                entries: vec![(chain.device, link)],
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests;
