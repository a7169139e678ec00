//! The key of a row in memory: short keys stand in place, so that a search follows no pointers.

use std::{borrow::Borrow, cmp::Ordering, fmt};

const INLINE: usize = 38;

/// Bytes, ordered as bytes. 40 bytes in size, with no allocation up to 38 bytes of key.
#[derive(Clone)]
pub(crate) struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl Key {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(key);
                Self(Repr::Inline { len, bytes })
            }
            (Some(_) | None, Ok(_) | Err(_)) => Self(Repr::Heap(key.into())),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Heap(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.as_slice()))
    }
}

/// Lower-case hexadecimal, for messages.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_bytes_and_their_order_at_any_length() {
        let mut keys: Vec<Vec<u8>> = [0usize, 1, 37, 38, 39, 255, 256, 300]
            .into_iter()
            .flat_map(|len| [vec![0; len], vec![9; len], vec![255; len]])
            .collect();
        for key in &keys {
            assert_eq!(Key::new(key).as_slice(), key.as_slice());
        }
        let mut short: Vec<Key> = keys.iter().map(|key| Key::new(key)).collect();
        keys.sort();
        short.sort();
        let sorted: Vec<&[u8]> = short.iter().map(Key::as_slice).collect();
        assert_eq!(sorted, keys);
    }

    #[test]
    fn a_row_costs_64_bytes_beside_its_value() {
        assert_eq!(size_of::<Key>(), 40);
        assert_eq!(size_of::<crate::rows::Row>(), 24);
    }
}
