//! A shelf: the devices of one kind that can be hired, in rank order, in a tree that skips those that cannot match.
//!
//! Each child of an inner node carries the best reputation below it for every asset and every least connectivity and
//! compliance. All devices of a shelf have one model, one quantity and, on the shelves by country, one country. So a search
//! goes down only where a match is: its cost grows with the logarithm of the shelf, whatever stands between two matches.
//!
//! Nodes are shared between copies and copied when they are written: a block works on a copy and drops it.

use std::cmp::Reverse;
use std::sync::Arc;

use io_types::catalogue::CountryCode;
use io_types::codec::hash_of;
use io_types::row::Device;
use io_types::{Asset, ChainTime, DeviceId, MicroUsd};

const LEAF_MAX: usize = 64;
const INNER_MAX: usize = 32;
const ASSETS: usize = 3;
const CONNECTIVITIES: usize = 5;
const COMPLIANCES: usize = 4;
const CELLS: usize = ASSETS * CONNECTIVITIES * COMPLIANCES;

/// The place of a device in the ranking: ask, then reputation (higher first), then waiting time (longer first), then a hash
/// that stays while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Micro-USD per processor-hour.
    pub ask: MicroUsd,
    reputation: Reverse<u16>,
    waiting_since: ChainTime,
    tie: u64,
    /// Whose place it is.
    pub id: DeviceId,
}

impl Place {
    /// Where a device stands.
    pub(super) fn of(device: &Device) -> Self {
        Self {
            ask: device.spec.ask,
            reputation: Reverse(device.reputation),
            waiting_since: device.waiting_since,
            tie: tie(&(device.waiting_since, device.id)),
            id: device.id,
        }
    }
}

/// The first bytes of a hash: what orders equals.
pub(super) fn tie(of: &impl borsh::BorshSerialize) -> u64 {
    let hash = hash_of(b"io-chain/tie/v1\0", of);
    hash.0
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A device on a shelf, with all that a search asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its rank as of the start of the block.
    pub place: Place,
    /// Its processors.
    pub quantity: u16,
    /// Where it stands.
    pub country: CountryCode,
    /// 0..=10 000.
    pub reputation: u16,
    /// 0..=4.
    pub connectivity: u8,
    /// 0..=3.
    pub compliance: u8,
    /// What its supplier takes.
    pub payout: Asset,
    /// Whether its ask is between floor and ceiling of its model.
    pub in_band: bool,
}

/// What a search asks for, beside model, country and quantity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// What the renter pays in.
    pub asset: Asset,
    /// Least tier.
    pub connectivity: u8,
    /// Least tier.
    pub compliance: u8,
    /// Least reputation.
    pub reputation: u16,
    /// Highest ask.
    pub price_max: MicroUsd,
}

impl Want {
    fn takes(&self, entry: &Entry) -> bool {
        entry.in_band
            && entry.payout == self.asset
            && entry.connectivity >= self.connectivity
            && entry.compliance >= self.compliance
            && entry.reputation >= self.reputation
    }
}

fn cell(asset: Asset, connectivity: u8, compliance: u8) -> usize {
    usize::from(asset.number())
        .saturating_mul(CONNECTIVITIES)
        .saturating_add(usize::from(connectivity))
        .saturating_mul(COMPLIANCES)
        .saturating_add(usize::from(compliance))
}

/// For each asset and each least connectivity and compliance: one more than the best reputation, 0 if there is no device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Best([u16; CELLS]);

impl Best {
    const NONE: Self = Self([0; CELLS]);

    fn at(&self, asset: Asset, connectivity: u8, compliance: u8) -> u16 {
        self.0
            .get(cell(asset, connectivity, compliance))
            .copied()
            .unwrap_or(0)
    }

    fn has(&self, want: &Want) -> bool {
        self.at(want.asset, want.connectivity, want.compliance) > want.reputation
    }

    fn add(&mut self, entry: &Entry) {
        if !entry.in_band {
            return;
        }
        let better = entry.reputation.saturating_add(1);
        for connectivity in 0..=entry.connectivity {
            for compliance in 0..=entry.compliance {
                if let Some(best) = self.0.get_mut(cell(entry.payout, connectivity, compliance)) {
                    *best = better.max(*best);
                }
            }
        }
    }

    fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// Whether it stays the same without that entry.
    fn stays_without(&self, entry: &Entry) -> bool {
        !entry.in_band
            || self.at(entry.payout, entry.connectivity, entry.compliance)
                > entry.reputation.saturating_add(1)
    }
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Vec<Entry>),
    Inner(Vec<Child>),
}

#[derive(Clone, Debug)]
struct Child {
    last: Place,
    best: Best,
    node: Arc<Node>,
}

impl Child {
    /// None for a node without entries.
    fn over(node: Node) -> Option<Self> {
        let mut best = Best::NONE;
        let last = match &node {
            Node::Leaf(entries) => {
                for entry in entries {
                    best.add(entry);
                }
                entries.last()?.place
            }
            Node::Inner(children) => {
                for child in children {
                    best.join(&child.best);
                }
                children.last()?.last
            }
        };
        let node = Arc::new(node);
        Some(Self { last, best, node })
    }

    /// Brings `last` and `best` up to its node.
    fn refresh(&mut self, best_too: bool) {
        let mut best = Best::NONE;
        match self.node.as_ref() {
            Node::Leaf(entries) => {
                for entry in entries.iter().filter(|_entry| best_too) {
                    best.add(entry);
                }
                self.last = entries.last().map_or(self.last, |entry| entry.place);
            }
            Node::Inner(children) => {
                for child in children.iter().filter(|_child| best_too) {
                    best.join(&child.best);
                }
                self.last = children.last().map_or(self.last, |child| child.last);
            }
        }
        if best_too {
            self.best = best;
        }
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        match self {
            Self::Leaf(entries) => entries.is_empty(),
            Self::Inner(children) => children.is_empty(),
        }
    }

    /// Puts an entry in; gives back the right half if it had to split.
    fn insert(&mut self, entry: Entry) -> Option<Self> {
        match self {
            Self::Leaf(entries) => {
                let at = entries.partition_point(|held| held.place < entry.place);
                match entries.get_mut(at) {
                    Some(held) if held.place == entry.place => *held = entry,
                    Some(_) | None => entries.insert(at, entry),
                }
                let full = entries.len() > LEAF_MAX;
                full.then(|| Self::Leaf(entries.split_off(LEAF_MAX.div_euclid(2))))
            }
            Self::Inner(children) => {
                let end = children.len().saturating_sub(1);
                let at = children
                    .partition_point(|child| child.last < entry.place)
                    .min(end);
                let child = children.get_mut(at)?;
                let right = Arc::make_mut(&mut child.node).insert(entry);
                child.best.add(&entry);
                child.refresh(right.is_some());
                if let Some(right) = right.and_then(Child::over) {
                    children.insert(at.saturating_add(1), right);
                }
                let full = children.len() > INNER_MAX;
                full.then(|| Self::Inner(children.split_off(INNER_MAX.div_euclid(2))))
            }
        }
    }

    /// Takes an entry out, if it is there.
    fn remove(&mut self, place: &Place) -> Option<Entry> {
        match self {
            Self::Leaf(entries) => {
                let at = entries
                    .binary_search_by(|held| held.place.cmp(place))
                    .ok()?;
                Some(entries.remove(at))
            }
            Self::Inner(children) => {
                let at = children.partition_point(|child| child.last < *place);
                let child = children.get_mut(at)?;
                let removed = Arc::make_mut(&mut child.node).remove(place)?;
                if child.node.is_empty() {
                    children.remove(at);
                } else {
                    child.refresh(!child.best.stays_without(&removed));
                }
                Some(removed)
            }
        }
    }

    /// The first entry after a place that a search takes.
    fn next(&self, after: Option<&Place>, want: &Want) -> Option<&Entry> {
        match self {
            Self::Leaf(entries) => {
                let from = entries.partition_point(|entry| Some(&entry.place) <= after);
                entries.get(from..)?.iter().find(|entry| want.takes(entry))
            }
            Self::Inner(children) => {
                let from = children.partition_point(|child| Some(&child.last) <= after);
                children
                    .get(from..)?
                    .iter()
                    .filter(|child| child.best.has(want))
                    .find_map(|child| child.node.next(after, want))
            }
        }
    }

    /// Adds entries in rank order until there are `room`.
    fn first(&self, room: usize, into: &mut Vec<Entry>) {
        match self {
            Self::Leaf(entries) => {
                let left = room.saturating_sub(into.len());
                into.extend(entries.iter().take(left));
            }
            Self::Inner(children) => {
                for child in children {
                    if into.len() >= room {
                        return;
                    }
                    child.node.first(room, into);
                }
            }
        }
    }
}

/// Devices in rank order. A copy is cheap and shares what is not written.
#[derive(Clone, Debug)]
pub(super) struct Shelf(Arc<Node>);

impl Default for Shelf {
    fn default() -> Self {
        Self(Arc::new(Node::Leaf(Vec::new())))
    }
}

impl PartialEq for Shelf {
    fn eq(&self, other: &Self) -> bool {
        let all = |shelf: &Self| {
            let mut all = Vec::new();
            shelf.first(usize::MAX, &mut all);
            all
        };
        all(self) == all(other)
    }
}

impl Eq for Shelf {}

impl Shelf {
    /// Puts a device on it.
    pub(super) fn insert(&mut self, entry: Entry) {
        let Some(right) = Arc::make_mut(&mut self.0).insert(entry) else {
            return;
        };
        let left = std::mem::replace(Arc::make_mut(&mut self.0), Node::Leaf(Vec::new()));
        let halves = [left, right].into_iter().filter_map(Child::over).collect();
        self.0 = Arc::new(Node::Inner(halves));
    }

    /// Takes a device off. None if it is not there.
    pub(super) fn remove(&mut self, place: &Place) -> Option<Entry> {
        // Looked for first, so that a miss copies no node.
        self.find(place)?;
        Arc::make_mut(&mut self.0).remove(place)
    }

    fn find(&self, place: &Place) -> Option<&Entry> {
        let mut node = self.0.as_ref();
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries
                        .binary_search_by(|held| held.place.cmp(place))
                        .ok()?;
                    return entries.get(at);
                }
                Node::Inner(children) => {
                    let at = children.partition_point(|child| child.last < *place);
                    node = children.get(at)?.node.as_ref();
                }
            }
        }
    }

    /// Whether nothing stands on it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first device after a place that matches and asks no more than the limit.
    pub(super) fn next(&self, after: Option<&Place>, want: &Want) -> Option<&Entry> {
        self.0
            .next(after, want)
            .filter(|entry| entry.place.ask <= want.price_max)
    }

    /// Adds devices in rank order until there are `room`.
    pub(super) fn first(&self, room: usize, into: &mut Vec<Entry>) {
        self.0.first(room, into);
    }
}
