//! One row of 64 values.

use std::marker::PhantomData;
use std::ops::Range;

use borsh::{BorshDeserialize, BorshSerialize};
use io_storage::{Fault, TableId};

pub(super) const HEADER: usize = 8;

/// The values of one row, each still in bytes.
#[derive(Clone, Debug)]
pub struct Page<V> {
    table: TableId,
    present: u64,
    lengths: [u8; 64],
    body: Vec<u8>,
    /// Where a value is encoded before it goes to its place.
    scratch: Vec<u8>,
    values: PhantomData<fn() -> V>,
}

pub(super) fn bit(place: u8) -> u64 {
    1_u64.checked_shl(u32::from(place)).unwrap_or(0)
}

pub(super) fn sum(lengths: &[u8]) -> usize {
    lengths
        .iter()
        .fold(0, |sum, length| sum.saturating_add(usize::from(*length)))
}

pub(super) fn corrupt(table: TableId, why: &str) -> Fault {
    Fault::corrupt(format!("table {table}"), why.to_owned())
}

impl<V: BorshSerialize + BorshDeserialize> Page<V> {
    pub(super) fn empty(table: TableId) -> Self {
        Self {
            table,
            present: 0,
            lengths: [0; 64],
            body: Vec::new(),
            scratch: Vec::new(),
            values: PhantomData,
        }
    }

    pub(super) fn read(table: TableId, bytes: &[u8]) -> Result<Self, Fault> {
        let short = || corrupt(table, "a row of 64 is cut off");
        let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or_else(short)?;
        let mut page = Self::empty(table);
        page.present = u64::from_be_bytes(*header);
        let count = usize::try_from(page.present.count_ones()).unwrap_or(64);
        let (given, body) = rest.split_at_checked(count).ok_or_else(short)?;
        let mut given = given.iter();
        for (place, length) in (0..64).zip(&mut page.lengths) {
            if page.present & bit(place) != 0 {
                *length = given.next().copied().unwrap_or(0);
            }
        }
        if sum(&page.lengths) != body.len() {
            return Err(corrupt(table, "the lengths of a row of 64 do not add up"));
        }
        page.body = body.to_vec();
        Ok(page)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len().saturating_add(72));
        bytes.extend_from_slice(&self.present.to_be_bytes());
        bytes.extend(self.places().filter_map(|place| self.length(place)));
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn length(&self, place: u8) -> Option<u8> {
        self.lengths.get(usize::from(place)).copied()
    }

    /// Where a value stands, or would.
    fn range(&self, place: u8) -> Range<usize> {
        let before = self.lengths.get(..usize::from(place)).unwrap_or_default();
        let start = sum(before);
        start..start.saturating_add(usize::from(self.length(place).unwrap_or(0)))
    }

    /// The places that have a value, one bit for each.
    pub fn present(&self) -> u64 {
        self.present
    }

    /// The places that have a value, ascending.
    pub fn places(&self) -> impl Iterator<Item = u8> + use<V> {
        let present = self.present;
        (0..64).filter(move |place| present & bit(*place) != 0)
    }

    pub(super) fn bytes(&self, place: u8) -> Option<&[u8]> {
        if self.present & bit(place) == 0 {
            return None;
        }
        self.body.get(self.range(place))
    }

    /// The value of a place.
    pub fn get(&self, place: u8) -> Result<Option<V>, Fault> {
        self.bytes(place)
            .map(|bytes| decode(self.table, bytes))
            .transpose()
    }

    /// Sets the value of a place.
    pub fn put(&mut self, place: u8, value: &V) -> Result<(), Fault> {
        self.scratch.clear();
        io_types::codec::encode_into(value, &mut self.scratch);
        let bytes = self.scratch.as_slice();
        let range = self.range(place);
        let (Ok(length), Some(of_place)) = (
            u8::try_from(bytes.len()),
            self.lengths.get_mut(usize::from(place)),
        ) else {
            let why = format!("a value of {} bytes in a row of 64", bytes.len());
            return Err(Fault::bug(format!("table {}", self.table), why));
        };
        if *of_place == length
            && let Some(old) = self.body.get_mut(range.clone())
        {
            old.copy_from_slice(bytes);
        } else {
            *of_place = length;
            self.body.splice(range, bytes.iter().copied());
        }
        self.present |= bit(place);
        Ok(())
    }

    /// Removes the value of a place, if there is one.
    pub fn remove(&mut self, place: u8) {
        self.body.drain(self.range(place));
        self.present &= !bit(place);
        if let Some(length) = self.lengths.get_mut(usize::from(place)) {
            *length = 0;
        }
    }
}

pub(super) fn decode<V: BorshDeserialize>(table: TableId, bytes: &[u8]) -> Result<V, Fault> {
    V::try_from_slice(bytes)
        .map_err(|error| corrupt(table, &format!("a value does not decode: {error}")))
}
