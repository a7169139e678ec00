//! What a block is executed in: its place, its times, the rules in force.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use io_storage::Fault;
use io_types::catalogue::{Catalogue, Class, ClassId, Model, ModelId};
use io_types::params::ChainFacts;
use io_types::{BlockTime, ChainTime, Epoch, Hash, Height, MicroUsd, OrderId, Params, Slot};

use crate::device::Owners;
use crate::state::State;
use crate::tables::{CATALOGUE, CHAIN, PARAMS};

/// How far chain time has been worked off. Table `clock`, one row.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Clock {
    /// Time of the last block.
    pub block_time: BlockTime,
    /// Chain time of the last block.
    pub chain_time: ChainTime,
    /// The next slot to meter: everything before it is metered.
    pub next_slot: Slot,
    /// The epoch that is open.
    pub open_epoch: Epoch,
    /// Chain times of recent blocks' slots, ascending, no older than the late window needs: for neutral slots.
    pub seen_slots: Vec<Slot>,
    /// The order that was tried last, if the book was too long for one block: price limit, height of entry, number.
    pub matched_through: Option<(MicroUsd, Height, OrderId)>,
}

/// The block in which something happens. Everything is the same on every node.
#[derive(Clone, Debug)]
pub struct BlockContext {
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: BlockTime,
    /// Its chain time.
    pub now: ChainTime,
    /// The app hash after the block before: the source of tie-breaks.
    pub app_hash_before: Hash,
    /// Fixed facts.
    pub facts: Arc<ChainFacts>,
    /// Parameters in force.
    pub params: Arc<Params>,
    /// The catalogue in force.
    pub catalogue: Arc<Catalogue>,
    /// Devices with rewards not collected by owner, as of the block before; empty where no block is executed.
    pub owners: Arc<Owners>,
}

impl BlockContext {
    /// Reads what is in force.
    pub fn load(
        state: &State<'_>,
        height: Height,
        time: BlockTime,
        app_hash_before: Hash,
    ) -> Result<Self, Fault> {
        let facts = CHAIN.expect(state, &(), "genesis writes it")?;
        Ok(Self {
            height,
            time,
            now: facts.scale.chain_time(time),
            app_hash_before,
            facts: Arc::new(facts),
            params: Arc::new(PARAMS.expect(state, &(), "genesis writes it")?),
            catalogue: Arc::new(CATALOGUE.expect(state, &(), "genesis writes it")?),
            owners: Arc::default(),
        })
    }

    /// The epoch of this block.
    pub fn epoch(&self) -> Epoch {
        self.now.epoch()
    }

    /// The slot of this block.
    pub fn slot(&self) -> Slot {
        self.now.slot()
    }

    /// A model of the catalogue.
    pub fn model(&self, id: ModelId) -> Option<&Model> {
        self.catalogue
            .models
            .binary_search_by_key(&id, |model| model.id)
            .ok()
            .and_then(|index| self.catalogue.models.get(index))
    }

    /// A class of the catalogue.
    pub fn class(&self, id: ClassId) -> Option<&Class> {
        self.catalogue
            .classes
            .binary_search_by_key(&id, |class| class.id)
            .ok()
            .and_then(|index| self.catalogue.classes.get(index))
    }
}
