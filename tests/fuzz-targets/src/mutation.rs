//! Inputs made of inputs, the same for the same seed.

use io_sim::rng::Rng;

/// Numbers on which bounds lie.
const EDGES: &[u64] = &[
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

/// `input` with up to eight changes, some of them taken from `other`.
pub fn mutate(input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _change in 0..=rng.below(8) {
        change(&mut bytes, other, rng);
    }
    bytes
}

fn place(length: usize, rng: &mut Rng) -> usize {
    usize::try_from(rng.below(length as u64)).unwrap()
}

fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.extend_from_slice(other);
        return;
    }
    let at = place(bytes.len(), rng);
    match rng.below(8) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.next().to_le_bytes()[0],
        2 => {
            let edge = rng.pick(EDGES).to_le_bytes();
            let width = 1 << rng.below(4);
            for (byte, new) in bytes[at..].iter_mut().zip(edge.iter().take(width)) {
                *byte = *new;
            }
        }
        3 => bytes.truncate(at),
        4 => {
            let end = at + place(bytes.len() - at, rng);
            bytes.drain(at..end);
        }
        5 => {
            let end = (at + 1 + place(64, rng)).min(bytes.len());
            let copied = bytes[at..end].to_vec();
            let to = place(bytes.len(), rng);
            bytes.splice(to..to, copied);
        }
        6 => bytes.insert(at, rng.next().to_le_bytes()[0]),
        _splice if !other.is_empty() => {
            let from = place(other.len(), rng);
            let end = (from + 1 + place(128, rng)).min(other.len());
            let to = (at + place(64, rng)).min(bytes.len());
            bytes.splice(at..to, other[from..end].iter().copied());
        }
        _nothing => {}
    }
}
