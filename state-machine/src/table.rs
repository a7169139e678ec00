//! Typed tables over bytes: fixed-width big-endian keys, borsh values.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use borsh::{BorshDeserialize, BorshSerialize};
use io_storage::{Fault, Snapshot, TableId, Visit};
use io_types::{AccountId, Asset, DeviceId, Epoch, Hash, Holder, SystemAccount, ValidatorAddress};

use crate::state::State;

/// A key of fixed width whose byte order is its order.
pub trait Key: Sized {
    /// Its bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// The key of those bytes, if they are one.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// One table with the types of its keys and values. Declared only in `tables.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Table<K, V> {
    /// Its number.
    pub id: TableId,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Key, V: BorshSerialize + BorshDeserialize> Table<K, V> {
    /// The table of that number.
    pub const fn new(id: u8) -> Self {
        Self {
            id: TableId(id),
            types: PhantomData,
        }
    }

    /// Reads a row.
    pub fn get(&self, state: &State<'_>, key: &K) -> Result<Option<V>, Fault> {
        match state.overlay().get(self.id, &key.to_bytes())? {
            Some(bytes) => self.decode(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Whether a row is there.
    pub fn contains(&self, state: &State<'_>, key: &K) -> Result<bool, Fault> {
        Ok(state.overlay().get(self.id, &key.to_bytes())?.is_some())
    }

    /// Reads a row that must be there; `why` says why it is.
    pub fn expect(&self, state: &State<'_>, key: &K, why: &str) -> Result<V, Fault> {
        self.get(state, key)?.ok_or_else(|| {
            Fault::bug(
                format!("table {}", self.id),
                format!("a row is missing: {why}"),
            )
        })
    }

    /// Creates or replaces a row.
    pub fn put(&self, state: &mut State<'_>, key: &K, value: &V) {
        state
            .overlay_mut()
            .put(self.id, &key.to_bytes(), io_types::codec::encode(value));
    }

    /// Removes a row.
    pub fn delete(&self, state: &mut State<'_>, key: &K) {
        state.overlay_mut().delete(self.id, &key.to_bytes());
    }

    /// Visits the rows with `from` ≤ key (< `to`), in key order, until `visit` breaks.
    pub fn scan(
        &self,
        state: &State<'_>,
        from: &K,
        to: Option<&K>,
        visit: &mut dyn FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let to = to.map(Key::to_bytes);
        self.run(
            &mut |inner| {
                state
                    .overlay()
                    .scan(self.id, &from.to_bytes(), to.as_deref(), inner)
            },
            visit,
        )
    }

    /// All rows with `from` ≤ key (< `to`), in key order, at most `limit`.
    pub fn list(
        &self,
        state: &State<'_>,
        from: &K,
        to: Option<&K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, Fault> {
        let mut rows = Vec::new();
        self.scan(state, from, to, &mut |key, value| {
            if rows.len() >= limit {
                return ControlFlow::Break(());
            }
            rows.push((key, value));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Reads a row of a committed version: for queries and derived indices.
    pub fn read(&self, snapshot: &dyn Snapshot, key: &K) -> Result<Option<V>, Fault> {
        match snapshot.get(self.id, &key.to_bytes())? {
            Some(bytes) => self.decode(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Visits rows of a committed version: for queries and derived indices.
    pub fn visit(
        &self,
        snapshot: &dyn Snapshot,
        from: Option<&K>,
        visit: &mut dyn FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let from = from.map(Key::to_bytes).unwrap_or_default();
        self.run(
            &mut |inner| snapshot.scan(self.id, &from, None, inner),
            visit,
        )
    }

    /// Decodes a row's bytes.
    pub fn decode(&self, bytes: &[u8]) -> Result<V, Fault> {
        V::try_from_slice(bytes).map_err(|error| {
            Fault::corrupt(
                format!("table {}", self.id),
                format!("a row does not decode: {error}"),
            )
        })
    }

    /// Decodes a key's bytes.
    pub fn decode_key(&self, bytes: &[u8]) -> Result<K, Fault> {
        K::from_bytes(bytes)
            .ok_or_else(|| Fault::corrupt(format!("table {}", self.id), "a key does not decode"))
    }

    fn run(
        &self,
        scan: &mut dyn FnMut(&mut Visit<'_>) -> Result<(), Fault>,
        visit: &mut dyn FnMut(K, V) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let mut fault = None;
        scan(&mut |key, value| match self
            .decode_key(key)
            .and_then(|key| Ok((key, self.decode(value)?)))
        {
            Ok((key, value)) => visit(key, value),
            Err(found) => {
                fault = Some(found);
                ControlFlow::Break(())
            }
        })?;
        fault.map_or(Ok(()), Err)
    }
}

impl Key for () {
    fn to_bytes(&self) -> Vec<u8> {
        vec![0]
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes == [0]).then_some(())
    }
}

macro_rules! number_key {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn to_bytes(&self) -> Vec<u8> {
                self.0.to_be_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
            }
        }
    )*};
}

number_key!(
    DeviceId,
    io_types::OrderId,
    io_types::BookingId,
    io_types::ChallengeId,
    io_types::HoldId,
    io_types::BatchNumber,
    Epoch
);

impl Key for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for u16 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

macro_rules! byte_key {
    ($($type:ident),*) => {$(
        impl Key for $type {
            fn to_bytes(&self) -> Vec<u8> {
                self.0.to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }
    )*};
}

byte_key!(AccountId, ValidatorAddress, Hash);

impl Key for Asset {
    fn to_bytes(&self) -> Vec<u8> {
        vec![self.number()]
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [number] => Self::from_number(*number),
            _other => None,
        }
    }
}

/// 0 ‖ key, or 1 ‖ number of the system account, filled with zeros: 33 bytes.
impl Key for Holder {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(33);
        match self {
            Self::Account(account) => {
                bytes.push(0);
                bytes.extend_from_slice(&account.0);
            }
            Self::System(system) => {
                bytes.push(1);
                bytes.extend(io_types::codec::encode(system));
                bytes.resize(33, 0);
            }
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match tag {
            0 => AccountId::from_bytes(rest).map(Self::Account),
            1 if rest.len() == 32 => {
                let (number, zeros) = rest.split_first()?;
                let system = SystemAccount::try_from_slice(&[*number]).ok()?;
                zeros
                    .iter()
                    .all(|byte| *byte == 0)
                    .then_some(Self::System(system))
            }
            _other => None,
        }
    }
}

fn pair<A: Key, B: Key>(bytes: &[u8], first: usize) -> Option<(A, B)> {
    Some((
        A::from_bytes(bytes.get(..first)?)?,
        B::from_bytes(bytes.get(first..)?)?,
    ))
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

macro_rules! pair_key {
    ($(($a:ty, $b:ty, $width:literal)),* $(,)?) => {$(
        impl Key for ($a, $b) {
            fn to_bytes(&self) -> Vec<u8> {
                joined(&[self.0.to_bytes(), self.1.to_bytes()])
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                pair(bytes, $width)
            }
        }
    )*};
}

pair_key!(
    (Holder, Asset, 33),
    (AccountId, u16, 32),
    (AccountId, u64, 32),
    (Asset, AccountId, 1),
    (Epoch, DeviceId, 8)
);

impl Key for (AccountId, Epoch, DeviceId) {
    fn to_bytes(&self) -> Vec<u8> {
        joined(&[self.0.to_bytes(), self.1.to_bytes(), self.2.to_bytes()])
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (account, rest): (AccountId, (Epoch, DeviceId)) = pair(bytes, 32)?;
        Some((account, rest.0, rest.1))
    }
}
