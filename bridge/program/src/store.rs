//! Reads and writes fields of this program's accounts in place.
//!
//! Whole accounts are not decoded: copying the bridge's thirteen hundred bytes about costs more than all the rules. Offsets are those of
//! the shared records.

use io_settlement::account::{Bridge, Claim, Signatures, State, TAG_BRIDGE, TAG_CLAIM, VERSION};
use io_settlement::codec::{Fixed, Reader, Writer};
use io_settlement::{Asset, Bytes32, Error};
use pinocchio::{AccountView, Address};

use crate::Failure;

/// Where fields of [`State`] lie in the bridge account.
pub(crate) const fn state(field: usize) -> usize {
    Bridge::AT.state.saturating_add(field)
}

/// Where fields of the counters lie in the bridge account.
pub(crate) const fn counter(field: usize) -> usize {
    state(State::AT.counters.saturating_add(field))
}

/// Where fields of the configuration lie in the bridge account.
pub(crate) const fn config(field: usize) -> usize {
    Bridge::AT.config.saturating_add(field)
}

/// The asset's entry of an array that begins at `first`.
pub(crate) const fn of(asset: Asset, first: usize, width: usize) -> usize {
    match asset {
        Asset::Io => first,
        Asset::Usdc => first.saturating_add(width),
    }
}

/// An account whose owner and tag were checked.
#[derive(Clone, Copy)]
pub(crate) struct Store(AccountView);

impl Store {
    /// The bridge account. Only this program can have made an account of its own with the bridge's tag, and it makes one alone, at the
    /// address of the seed; [`Error::WrongBridge`] otherwise.
    pub(crate) fn bridge(program: &Address, account: &AccountView) -> Result<Self, Failure> {
        Self::open(program, account, TAG_BRIDGE, Error::WrongBridge)
    }

    /// An account of this program with this tag, whose length goes with the tag; the rule `error` otherwise.
    #[inline(never)]
    pub(crate) fn open(
        program: &Address,
        account: &AccountView,
        tag: u8,
        error: Error,
    ) -> Result<Self, Failure> {
        let length = match tag {
            TAG_BRIDGE => Bridge::LEN,
            TAG_CLAIM => Claim::LEN,
            _ => Signatures::LEN,
        };
        if account.owned_by(program)
            && account.data_len() == length
            && account.try_borrow()?.first_chunk() == Some(&[tag, VERSION])
        {
            return Ok(Self(*account));
        }
        Err(error.into())
    }

    /// An account that an instruction made or checked itself.
    pub(crate) const fn checked(account: &AccountView) -> Self {
        Self(*account)
    }

    /// A value.
    pub(crate) fn get<T: Fixed>(&self, at: usize) -> Result<T, Failure> {
        let data = self.0.try_borrow()?;
        Ok(Reader::new(data.get(at..).ok_or(Error::Truncated)?).value()?)
    }

    /// A number.
    #[inline(never)]
    pub(crate) fn number(&self, at: usize) -> Result<u64, Failure> {
        self.get(at)
    }

    /// A digest or an address.
    #[inline(never)]
    pub(crate) fn bytes(&self, at: usize) -> Result<Bytes32, Failure> {
        self.get(at)
    }

    /// The rule `error` unless the 32 bytes are these.
    #[inline(never)]
    pub(crate) fn has(&self, at: usize, expected: &Bytes32, error: Error) -> Result<(), Failure> {
        if self.bytes(at)? == *expected {
            Ok(())
        } else {
            Err(error.into())
        }
    }

    /// The rule `error` unless the bridge names this account.
    pub(crate) fn names(
        &self,
        at: usize,
        account: &AccountView,
        error: Error,
    ) -> Result<(), Failure> {
        self.has(at, account.address().as_array(), error)
    }

    /// Writes a value.
    pub(crate) fn set<T: Fixed>(&mut self, at: usize, value: &T) -> Result<(), Failure> {
        let mut data = self.0.try_borrow_mut()?;
        let place = data
            .get_mut(at..)
            .and_then(|rest| rest.get_mut(..T::LEN))
            .ok_or(Error::Truncated)?;
        value.put(&mut Writer::new(place));
        Ok(())
    }

    /// Writes a number.
    #[inline(never)]
    pub(crate) fn set_number(&mut self, at: usize, number: u64) -> Result<(), Failure> {
        self.set(at, &number)
    }

    /// Writes a digest or an address.
    #[inline(never)]
    pub(crate) fn set_bytes(&mut self, at: usize, bytes: &Bytes32) -> Result<(), Failure> {
        self.set(at, bytes)
    }

    /// Adds to a number. [`Error::Arithmetic`] if the sum does not fit.
    pub(crate) fn add(&mut self, at: usize, more: u64) -> Result<(), Failure> {
        let sum = self
            .number(at)?
            .checked_add(more)
            .ok_or(Error::Arithmetic)?;
        self.set_number(at, sum)
    }

    /// The bump of the bridge account.
    pub(crate) fn bump(&self) -> Result<u8, Failure> {
        self.get(Bridge::AT.bump)
    }
}
