//! Fixed-width little-endian encoding without allocation.

use crate::Error;

/// Takes values off the front of a byte slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    error: Option<Error>,
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            error: None,
        }
    }

    /// The next `N` bytes. [`Error::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `length` bytes. [`Error::Truncated`] if fewer are left.
    pub fn slice(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next value. Errors: [`Error::Truncated`] if it is not there whole, else what names a byte that no value has.
    #[inline]
    pub fn value<T: Fixed>(&mut self) -> Result<T, Error> {
        // One look at the length here lets the compiler leave out the looks at each field.
        if self.rest.len() < T::LEN {
            return Err(Error::Truncated);
        }
        let value = T::get(self);
        self.error.take().map_or(Ok(value), Err)
    }

    /// Everything that is left.
    pub const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// [`Error::TrailingBytes`] unless everything was read.
    pub const fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::TrailingBytes)
        }
    }

    /// The next `N` bytes for [`Fixed::get`]; zeros and an error kept for [`Self::value`] if fewer are left.
    #[inline]
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if let Ok(bytes) = self.array() {
            return *bytes;
        }
        self.fail(Error::Truncated);
        [0; N]
    }

    /// Keeps an error for [`Self::value`] to return.
    pub(crate) const fn fail(&mut self, error: Error) {
        self.error = Some(error);
    }
}

/// Puts values at the front of a byte slice.
#[derive(Debug)]
pub struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    /// Writes from the first byte on.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Writes the bytes. What does not fit is left out: callers size the slice by [`Fixed::LEN`].
    pub fn bytes(&mut self, bytes: &[u8]) {
        if let Some((head, rest)) =
            core::mem::take(&mut self.rest).split_at_mut_checked(bytes.len())
        {
            head.copy_from_slice(bytes);
            self.rest = rest;
        }
    }
}

/// A value whose encoding always has the same length.
pub trait Fixed: Sized {
    /// Bytes of the encoding.
    const LEN: usize;

    /// Writes the value.
    fn put(&self, to: &mut Writer<'_>);

    /// Reads a value for [`Reader::value`], which is the one to call: it says whether the value is one.
    fn get(from: &mut Reader<'_>) -> Self;
}

macro_rules! integers {
    ($($int:ty),+) => {$(
        impl Fixed for $int {
            const LEN: usize = size_of::<$int>();

            fn put(&self, to: &mut Writer<'_>) {
                to.bytes(&self.to_le_bytes());
            }

            #[inline]
            fn get(from: &mut Reader<'_>) -> Self {
                Self::from_le_bytes(from.bytes())
            }
        }
    )+};
}

macro_rules! byte_arrays {
    ($($length:literal),+) => {$(
        impl Fixed for [u8; $length] {
            const LEN: usize = $length;

            fn put(&self, to: &mut Writer<'_>) {
                to.bytes(self);
            }

            #[inline]
            fn get(from: &mut Reader<'_>) -> Self {
                from.bytes()
            }
        }
    )+};
}

integers!(u8, u16, u64);
byte_arrays!(16, 32);

impl<T: Fixed> Fixed for [T; 2] {
    const LEN: usize = T::LEN * 2;

    fn put(&self, to: &mut Writer<'_>) {
        let [first, second] = self;
        first.put(to);
        second.put(to);
    }

    #[inline]
    fn get(from: &mut Reader<'_>) -> Self {
        [T::get(from), T::get(from)]
    }
}

/// Declares a struct whose encoding is its fields in order.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[cfg_attr(feature = "borsh", derive(borsh::BorshSerialize, borsh::BorshDeserialize))]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type),+
        }

        impl $crate::codec::Fixed for $name {
            const LEN: usize = 0 $(+ <$type as $crate::codec::Fixed>::LEN)+;

            fn put(&self, to: &mut $crate::codec::Writer<'_>) {
                let Self { $($field),+ } = self;
                $($crate::codec::Fixed::put($field, to);)+
            }

            #[inline]
            fn get(from: &mut $crate::codec::Reader<'_>) -> Self {
                Self { $($field: <$type as $crate::codec::Fixed>::get(from)),+ }
            }
        }

        // The struct of offsets needs a name of its own per record; this scope gives it one.
        const _: () = {
            /// Where each field begins.
            #[derive(Clone, Copy, Debug)]
            pub struct Offsets {
                $(#[doc = "Offset of the field of this name, bytes."] pub $field: usize),+
            }

            impl $name {
                /// Where each field begins in the encoding.
                pub const AT: Offsets = {
                    let mut next = 0;
                    $(
                        let $field = next;
                        next = <$type as $crate::codec::Fixed>::LEN.saturating_add(next);
                    )+
                    assert!(next == Self::LEN);
                    Offsets { $($field),+ }
                };
            }
        };

        impl $name {
            /// Bytes of the encoding.
            pub const LEN: usize = <Self as $crate::codec::Fixed>::LEN;

            /// The encoding.
            pub fn to_bytes(&self) -> [u8; Self::LEN] {
                let mut bytes = [0; Self::LEN];
                $crate::codec::Fixed::put(self, &mut $crate::codec::Writer::new(&mut bytes));
                bytes
            }

            /// Reads exactly one value. Errors: too few or too many bytes, or a byte that no value has.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, $crate::Error> {
                let mut from = $crate::codec::Reader::new(bytes);
                let value = from.value()?;
                from.end()?;
                Ok(value)
            }
        }
    };
}

pub(crate) use record;
