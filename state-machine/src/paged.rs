//! Tables of values that nearly every device has: one row holds those of 64 devices with neighbouring numbers.
//!
//! A slot, an hour, touches all devices. With a row for each, a million map entries are looked up, copied and hashed one by
//! one; with 64 in a row all of that is paid once for 64. The price: to change one value is to write its row.
//!
//! A row is: which of the 64 are there (u64, big endian, bit 0 the first), the length of each that is there (u8), then the
//! values in borsh, in order. A row without values is not there.

mod page;

use std::marker::PhantomData;
use std::ops::ControlFlow;

use borsh::{BorshDeserialize, BorshSerialize};
use io_storage::{Fault, Snapshot, TableId, Value, WriteSet};
use io_types::{DeviceId, Epoch};

use crate::state::State;
use crate::table::Key;

use page::{HEADER, bit, corrupt, decode, sum};

pub use page::Page;

/// Values of one row.
pub const PER_ROW: u64 = 64;

/// The key of a value: a row, and a place in it.
pub trait PagedKey: Copy + Ord {
    /// The bytes of the row's key.
    fn row(&self) -> Vec<u8>;
    /// The place in the row, 0..64.
    fn place(&self) -> u8;
    /// The key of a place, if those bytes are a row's key.
    fn at(row: &[u8], place: u8) -> Option<Self>;
}

/// The first device of the row in which a device stands.
pub fn first_of_row(device: DeviceId) -> DeviceId {
    DeviceId(device.0 & !63)
}

fn place_of(device: DeviceId) -> u8 {
    u8::try_from(device.0 & 63).unwrap_or(0)
}

impl PagedKey for DeviceId {
    fn row(&self) -> Vec<u8> {
        first_of_row(*self).to_bytes()
    }

    fn place(&self) -> u8 {
        place_of(*self)
    }

    fn at(row: &[u8], place: u8) -> Option<Self> {
        let first = Self::from_bytes(row)?;
        (first == first_of_row(first)).then_some(Self(first.0 | u64::from(place)))
    }
}

/// All epochs of 64 devices stand together, the oldest first.
impl PagedKey for (DeviceId, Epoch) {
    fn row(&self) -> Vec<u8> {
        [self.0.row(), self.1.to_bytes()].concat()
    }

    fn place(&self) -> u8 {
        place_of(self.0)
    }

    fn at(row: &[u8], place: u8) -> Option<Self> {
        let device = DeviceId::at(row.get(..8)?, place)?;
        Some((device, Epoch::from_bytes(row.get(8..)?)?))
    }
}

/// What is called for a row that a commit changed: the key of its first place, the row before and after.
type VisitChange<'v, K, V> = dyn FnMut(K, &Page<V>, &Page<V>) -> Result<(), Fault> + 'v;

/// What is called for a row's key and bytes.
type VisitRow<'v> = dyn FnMut(&[u8], &Value) -> Result<(), Fault> + 'v;

/// One table of that kind. Declared only in `tables.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Paged<K, V> {
    /// Its number.
    pub id: TableId,
    types: PhantomData<fn(K) -> V>,
}

impl<K: PagedKey, V: BorshSerialize + BorshDeserialize> Paged<K, V> {
    /// The table of that number.
    pub const fn new(id: u8) -> Self {
        Self {
            id: TableId(id),
            types: PhantomData,
        }
    }

    /// Reads a value.
    pub fn get(&self, state: &State<'_>, key: &K) -> Result<Option<V>, Fault> {
        self.pick(state.overlay().get(self.id, &key.row())?.as_ref(), key)
    }

    /// Reads a value of a committed version: for queries and derived indices.
    pub fn read(&self, snapshot: &dyn Snapshot, key: &K) -> Result<Option<V>, Fault> {
        self.pick(snapshot.get(self.id, &key.row())?.as_ref(), key)
    }

    /// One value out of a row's bytes, the others untouched.
    fn pick(&self, row: Option<&Value>, key: &K) -> Result<Option<V>, Fault> {
        let Some(row) = row else { return Ok(None) };
        let cut = || corrupt(self.id, "a row of 64 is cut off");
        let (header, rest) = row.split_first_chunk::<HEADER>().ok_or_else(cut)?;
        let present = u64::from_be_bytes(*header);
        let mark = bit(key.place());
        if present & mark == 0 {
            return Ok(None);
        }
        let all = usize::try_from(present.count_ones()).unwrap_or(64);
        let nth = usize::try_from((present & mark.saturating_sub(1)).count_ones()).unwrap_or(0);
        let (lengths, body) = rest.split_at_checked(all).ok_or_else(cut)?;
        let start = sum(lengths.get(..nth).unwrap_or_default());
        let length = lengths.get(nth).copied().map_or(0, usize::from);
        let bytes = body.get(start..start.saturating_add(length));
        decode(self.id, bytes.ok_or_else(cut)?).map(Some)
    }

    /// Whether a value is there.
    pub fn contains(&self, state: &State<'_>, key: &K) -> Result<bool, Fault> {
        Ok(self.get(state, key)?.is_some())
    }

    /// Reads a value that must be there; `why` says why it is.
    pub fn expect(&self, state: &State<'_>, key: &K, why: &str) -> Result<V, Fault> {
        self.get(state, key)?.ok_or_else(|| {
            Fault::bug(
                format!("table {}", self.id),
                format!("a value is missing: {why}"),
            )
        })
    }

    /// Creates or replaces a value.
    pub fn put(&self, state: &mut State<'_>, key: &K, value: &V) -> Result<(), Fault> {
        let mut page = self.page(state, key)?;
        page.put(key.place(), value)?;
        self.put_page(state, key, &page);
        Ok(())
    }

    /// Removes a value.
    pub fn delete(&self, state: &mut State<'_>, key: &K) -> Result<(), Fault> {
        let mut page = self.page(state, key)?;
        page.remove(key.place());
        self.put_page(state, key, &page);
        Ok(())
    }

    /// The row in which a key stands, to work on many of its values.
    pub fn page(&self, state: &State<'_>, key: &K) -> Result<Page<V>, Fault> {
        match state.overlay().get(self.id, &key.row())? {
            Some(bytes) => Page::read(self.id, &bytes),
            None => Ok(Page::empty(self.id)),
        }
    }

    /// Writes a row; `key` is any key of it.
    pub fn put_page(&self, state: &mut State<'_>, key: &K, page: &Page<V>) {
        let row = key.row();
        if page.present() == 0 {
            state.overlay_mut().delete(self.id, &row);
        } else {
            state.overlay_mut().put(self.id, &row, page.encode());
        }
    }

    /// The values at one place of the rows from that of `from` to that of `to`, both included, in order.
    pub fn column(&self, snapshot: &dyn Snapshot, from: &K, to: &K) -> Result<Vec<(K, V)>, Fault> {
        let mut values = Vec::new();
        self.rows(snapshot, (from, to), &mut |row, bytes| {
            let key = self.key(row, from.place())?;
            values.extend(self.pick(Some(bytes), &key)?.map(|value| (key, value)));
            Ok(())
        })?;
        Ok(values)
    }

    /// The rows from that of `from` to that of `to`, both included, each with the key of its first place.
    pub fn pages(
        &self,
        snapshot: &dyn Snapshot,
        from: &K,
        to: &K,
    ) -> Result<Vec<(K, Page<V>)>, Fault> {
        let mut pages = Vec::new();
        self.rows(snapshot, (from, to), &mut |row, bytes| {
            pages.push((self.key(row, 0)?, Page::read(self.id, bytes)?));
            Ok(())
        })?;
        Ok(pages)
    }

    fn rows(
        &self,
        snapshot: &dyn Snapshot,
        (from, to): (&K, &K),
        take: &mut VisitRow<'_>,
    ) -> Result<(), Fault> {
        let mut end = to.row();
        end.push(0);
        let mut fault = None;
        snapshot.scan(
            self.id,
            &from.row(),
            Some(&end),
            &mut |row, bytes| match take(row, bytes) {
                Ok(()) => ControlFlow::Continue(()),
                Err(found) => {
                    fault = Some(found);
                    ControlFlow::Break(())
                }
            },
        )?;
        fault.map_or(Ok(()), Err)
    }

    /// Visits the values of a committed version from a key's row on, row by row, until `visit` breaks.
    pub fn visit(
        &self,
        snapshot: &dyn Snapshot,
        from: Option<&K>,
        visit: &mut dyn FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let mut fault = None;
        let from = from.map(PagedKey::row).unwrap_or_default();
        snapshot.scan(self.id, &from, None, &mut |row, bytes| {
            self.visit_row(row, bytes, visit).unwrap_or_else(|found| {
                fault = Some(found);
                ControlFlow::Break(())
            })
        })?;
        fault.map_or(Ok(()), Err)
    }

    fn visit_row(
        &self,
        row: &[u8],
        bytes: &[u8],
        visit: &mut dyn FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Fault> {
        let page: Page<V> = Page::read(self.id, bytes)?;
        for place in page.places() {
            let key = self.key(row, place)?;
            if let Some(value) = page.get(place)?
                && visit(key, value).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Visits the rows that a commit changed.
    pub fn changed_rows(
        &self,
        changes: &WriteSet,
        visit: &mut VisitChange<'_, K, V>,
    ) -> Result<(), Fault> {
        for (row, change) in changes.table(self.id) {
            let old = self.page_of(change.old.as_ref())?;
            let new = self.page_of(change.new.as_ref())?;
            visit(self.key(row, 0)?, &old, &new)?;
        }
        Ok(())
    }

    /// The keys whose values a commit changed, ascending.
    pub fn changed(&self, changes: &WriteSet) -> Result<Vec<K>, Fault> {
        let mut keys = Vec::new();
        for (row, change) in changes.table(self.id) {
            let old = self.page_of(change.old.as_ref())?;
            let new = self.page_of(change.new.as_ref())?;
            self.differing(row, &old, &new, &mut keys)?;
        }
        Ok(keys)
    }

    /// The keys whose values a state has changed so far, ascending.
    pub fn written(&self, state: &State<'_>) -> Result<Vec<K>, Fault> {
        let mut keys = Vec::new();
        for (row, value) in state.overlay().writes_of(self.id) {
            let old = self.page_of(state.overlay().old(self.id, row)?.as_ref())?;
            let new = self.page_of(value)?;
            self.differing(row, &old, &new, &mut keys)?;
        }
        Ok(keys)
    }

    fn differing(
        &self,
        row: &[u8],
        old: &Page<V>,
        new: &Page<V>,
        keys: &mut Vec<K>,
    ) -> Result<(), Fault> {
        for place in (0..64).filter(|place| old.bytes(*place) != new.bytes(*place)) {
            keys.push(self.key(row, place)?);
        }
        Ok(())
    }

    fn page_of(&self, row: Option<&Value>) -> Result<Page<V>, Fault> {
        row.map_or_else(
            || Ok(Page::empty(self.id)),
            |bytes| Page::read(self.id, bytes),
        )
    }

    fn key(&self, row: &[u8], place: u8) -> Result<K, Fault> {
        K::at(row, place).ok_or_else(|| corrupt(self.id, "a key does not decode"))
    }
}

#[cfg(test)]
mod tests;
