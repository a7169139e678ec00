//! The market of one block: the shelves as of the last commit, with what the block itself changed, and less what it hired.

use std::collections::{BTreeMap, BTreeSet};

use io_storage::Fault;
use io_types::DeviceId;
use io_types::action::PlaceOrder;
use io_types::catalogue::{CountryCode, ModelId};
use io_types::row::{Device, DeviceState};

use crate::market::index::{Counts, Index, Kind, is_free, kinds};
use crate::market::shelf::{Entry, Place, Shelf, Want};
use crate::state::State;
use crate::tables::{DEVICES, STAKES};

/// The shelves and counts of a block in the works, over those of the last commit.
pub(super) struct Book<'i> {
    index: &'i Index,
    shelves: BTreeMap<Kind, Shelf>,
    counts: BTreeMap<ModelId, Counts>,
}

/// What an order asks of a single device.
pub(super) fn want(ask: &PlaceOrder) -> Want {
    Want {
        asset: ask.asset,
        connectivity: ask.connectivity_min,
        compliance: ask.compliance_min,
        reputation: ask.reputation_min,
        price_max: ask.price_max,
    }
}

impl<'i> Book<'i> {
    /// The market as it is in a state. A device keeps the ask and the rank of the start of the block; one that did not exist
    /// then is not there.
    pub(super) fn new(index: &'i Index, state: &State<'_>) -> Result<Self, Fault> {
        let mut book = Self {
            index,
            shelves: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        let mut touched: BTreeSet<DeviceId> = BTreeSet::new();
        for (key, _value) in state.overlay().writes_of(DEVICES.id) {
            touched.insert(DEVICES.decode_key(key)?);
        }
        touched.extend(STAKES.written(state)?);
        for id in touched {
            let key = crate::table::Key::to_bytes(&id);
            let Some(before) = state.overlay().old(DEVICES.id, &key)? else {
                continue;
            };
            let before = DEVICES.decode(&before)?;
            book.take_old(&before);
            if let Some(now) = DEVICES.get(state, &id)? {
                let staked = STAKES.get(state, &id)?;
                let entry = index.rules.entry(&now, staked.as_ref(), Place::of(&before));
                book.put_new(&now, entry);
            }
        }
        Ok(book)
    }

    fn take_old(&mut self, before: &Device) {
        if before.state == DeviceState::Retired {
            return;
        }
        let model = before.spec.model;
        let mut shelved = false;
        if is_free(before) {
            for country in [None, Some(before.spec.country)] {
                let kind = (model, country, before.spec.quantity);
                shelved = self.remove(kind, &Place::of(before));
            }
        }
        let counts = self.counts(model);
        let counts = counts.less(1, u64::from(is_free(before)), u64::from(shelved));
        self.counts.insert(model, counts);
    }

    fn put_new(&mut self, now: &Device, entry: Option<Entry>) {
        if now.state == DeviceState::Retired {
            return;
        }
        let model = now.spec.model;
        let counts = self.counts(model);
        let counts = counts.more(
            1,
            u64::from(is_free(now)),
            u64::from(is_free(now) && entry.is_some()),
        );
        self.counts.insert(model, counts);
        let Some(entry) = entry else { return };
        for kind in kinds(model, &entry) {
            self.shelf_mut(kind).insert(entry);
        }
    }

    /// Takes a device off that was just hired.
    pub(super) fn hire(&mut self, model: ModelId, entry: &Entry) {
        for kind in kinds(model, entry) {
            self.remove(kind, &entry.place);
        }
        let counts = self.counts(model).less(0, 1, 1);
        self.counts.insert(model, counts);
    }

    fn remove(&mut self, kind: Kind, place: &Place) -> bool {
        self.shelf_mut(kind).remove(place).is_some()
    }

    /// This block's own copy of a shelf.
    fn shelf_mut(&mut self, kind: Kind) -> &mut Shelf {
        let before = self.index.shelves.get(&kind);
        self.shelves
            .entry(kind)
            .or_insert_with(|| before.cloned().unwrap_or_default())
    }

    /// Devices of a model.
    pub(super) fn counts(&self, model: ModelId) -> Counts {
        let before = || self.index.counts.get(&model);
        let counts = self.counts.get(&model).or_else(before);
        counts.copied().unwrap_or_default()
    }

    /// Devices of all models.
    pub(super) fn present(&self) -> u64 {
        let models: BTreeSet<ModelId> = (self.index.counts.keys())
            .chain(self.counts.keys())
            .copied()
            .collect();
        models.into_iter().fold(0, |sum, model| {
            sum.saturating_add(self.counts(model).present)
        })
    }

    /// Countries with a shelf of one of the models.
    pub(super) fn countries(&self, models: &[ModelId]) -> BTreeSet<CountryCode> {
        let mut countries = BTreeSet::new();
        for model in models {
            let (first, last) = (CountryCode([0; 2]), CountryCode([u8::MAX; 2]));
            let range = (*model, Some(first), 0)..=(*model, Some(last), u16::MAX);
            let own = self.shelves.range(range.clone()).map(|(kind, _shelf)| kind);
            let before = self.index.shelves.range(range).map(|(kind, _shelf)| kind);
            countries.extend(
                own.chain(before)
                    .filter_map(|(_model, country, _q)| *country),
            );
        }
        countries
    }

    /// The shelves of a model and a country (none: all) whose devices have at most so many processors.
    fn shelves(
        &self,
        model: ModelId,
        country: Option<CountryCode>,
        quantity: u16,
    ) -> impl Iterator<Item = &Shelf> {
        let range = (model, country, 0)..=(model, country, quantity);
        let before = self
            .index
            .shelves
            .range(range.clone())
            .filter(|(kind, _shelf)| !self.shelves.contains_key(kind));
        self.shelves
            .range(range)
            .chain(before)
            .map(|(_kind, shelf)| shelf)
    }

    /// The matching devices of an order in rank order, in these countries (none: in all), each with at most the wanted
    /// processors.
    pub(super) fn ranked(&self, ask: &PlaceOrder, countries: &[CountryCode]) -> Ranked<'_> {
        let mut ranked = Ranked {
            want: want(ask),
            shelves: Vec::new(),
            heads: BTreeMap::new(),
            steps: 0,
        };
        for model in &ask.models {
            if countries.is_empty() {
                ranked.open(*model, self.shelves(*model, None, ask.quantity));
            }
            for country in countries {
                ranked.open(*model, self.shelves(*model, Some(*country), ask.quantity));
            }
        }
        ranked
    }

    /// The first devices of some models in rank order, whatever an order asks.
    pub(super) fn first(&self, models: &[ModelId], limit: usize) -> Vec<Entry> {
        let mut first = Vec::new();
        for model in models {
            for shelf in self.shelves(*model, None, u16::MAX) {
                let room = first.len().saturating_add(limit);
                shelf.first(room, &mut first);
            }
            first.sort_unstable_by_key(|entry| entry.place);
            first.truncate(limit);
        }
        first
    }
}

/// Matching devices of several shelves in rank order.
pub(super) struct Ranked<'b> {
    want: Want,
    shelves: Vec<(ModelId, &'b Shelf)>,
    /// The next device of each shelf.
    heads: BTreeMap<Place, (usize, &'b Entry)>,
    /// Shelves opened and devices taken from them.
    pub steps: u64,
}

impl<'b> Ranked<'b> {
    fn open(&mut self, model: ModelId, shelves: impl Iterator<Item = &'b Shelf>) {
        for shelf in shelves {
            self.steps = self.steps.saturating_add(1);
            if let Some(entry) = shelf.next(None, &self.want) {
                self.heads.insert(entry.place, (self.shelves.len(), entry));
                self.shelves.push((model, shelf));
            }
        }
    }

    /// The next device with at most so many processors. A shelf whose devices are too large is closed: what is missing only
    /// shrinks.
    pub(super) fn next(&mut self, missing: u16) -> Option<(ModelId, Entry)> {
        loop {
            let (place, (at, entry)) = self.heads.pop_first()?;
            self.steps = self.steps.saturating_add(1);
            if entry.quantity > missing {
                continue;
            }
            let (model, shelf) = self.shelves.get(at)?;
            if let Some(next) = shelf.next(Some(&place), &self.want) {
                self.heads.insert(next.place, (at, next));
            }
            return Some((*model, *entry));
        }
    }
}
