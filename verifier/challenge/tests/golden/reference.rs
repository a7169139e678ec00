//! The challenge written a second time, as plainly as `docs/challenge.md` says it. Slow on purpose; shares no code with
//! the library.

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

pub(crate) type Hash = [u8; 32];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) class: u16,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) m: usize,
    pub(crate) w: usize,
    pub(crate) r: usize,
}

impl Sizes {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(1_u16.to_le_bytes());
        bytes.extend(self.class.to_le_bytes());
        for size in [self.n, self.k, self.m, self.w, self.r] {
            bytes.extend((size as u32).to_le_bytes());
        }
        bytes
    }
}

fn derive(context: &str, message: &[u8]) -> Hash {
    blake3::derive_key(context, message)
}

fn keyed(key: &Hash, parts: &[&[u8]]) -> Hash {
    *blake3::keyed_hash(key, &parts.concat()).as_bytes()
}

fn nonce_bytes(nonces: &[(Hash, Hash)]) -> Vec<u8> {
    let mut bytes = (nonces.len() as u16).to_le_bytes().to_vec();
    for (verifier, value) in nonces {
        bytes.extend(verifier);
        bytes.extend(value);
    }
    bytes
}

pub(crate) fn seed(
    sizes: &Sizes,
    (beacon, supplier): (&Hash, &Hash),
    (device, processor): (u64, u16),
    nonces: &[(Hash, Hash)],
) -> Hash {
    let mut message = sizes.bytes();
    message.extend(beacon);
    message.extend(supplier);
    message.extend(device.to_le_bytes());
    message.extend(processor.to_le_bytes());
    message.extend(nonce_bytes(nonces));
    derive("io-chain challenge 1 seed", &message)
}

pub(crate) fn requantiser(seed: &Hash, step: usize) -> (u32, u32) {
    let hash = keyed(seed, &[b"requantise", &(step as u32).to_le_bytes()]);
    let kappa = u32::from_le_bytes(hash[0..4].try_into().unwrap());
    let odd = u32::from_le_bytes(hash[4..8].try_into().unwrap()) | 1;
    (kappa, odd)
}

/// X₋₁ for index 0, X₀ for index 1.
pub(crate) fn seed_matrix(sizes: &Sizes, seed: &Hash, index: u8) -> Vec<u8> {
    let mut message = b"matrix".to_vec();
    message.push(index);
    let mut bytes = vec![0; sizes.n * sizes.n];
    blake3::Hasher::new_keyed(seed)
        .update(&message)
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// `f(newer · olderᵀ)`.
pub(crate) fn step(sizes: &Sizes, seed: &Hash, step: usize, newer: &[u8], older: &[u8]) -> Vec<u8> {
    let n = sizes.n;
    let (kappa, odd) = requantiser(seed, step);
    let mut result = Vec::with_capacity(n * n);
    for i in 0..n {
        for j in 0..n {
            let left = &newer[i * n..(i + 1) * n];
            let right = &older[j * n..(j + 1) * n];
            let mut c = 0_i32;
            for x in 0..n {
                c += i32::from(left[x] as i8) * i32::from(right[x] as i8);
            }
            let scrambled = (c as u32).wrapping_add(kappa).wrapping_mul(odd);
            result.push((scrambled >> 24) as u8);
        }
    }
    result
}

/// All results of phase A, none forgotten.
pub(crate) fn phase_a(sizes: &Sizes, seed: &Hash) -> Vec<Vec<u8>> {
    let mut older = seed_matrix(sizes, seed, 0);
    let mut newer = seed_matrix(sizes, seed, 1);
    let mut results = Vec::new();
    for k in 0..sizes.m {
        let result = step(sizes, seed, k, &newer, &older);
        older = std::mem::replace(&mut newer, result.clone());
        results.push(result);
    }
    results
}

pub(crate) fn list_root(context: &str, leaves: &[Hash]) -> Hash {
    let mut padded = leaves.to_vec();
    padded.resize(leaves.len().next_power_of_two(), [0; 32]);
    let mut message = (leaves.len() as u32).to_le_bytes().to_vec();
    message.extend(list_top(&padded));
    derive(context, &message)
}

fn list_top(leaves: &[Hash]) -> Hash {
    if leaves.len() == 1 {
        return leaves[0];
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    derive(
        "io-chain challenge 1 list node",
        &[list_top(left), list_top(right)].concat(),
    )
}

/// Siblings from the leaf's level up.
pub(crate) fn list_path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    let mut padded = leaves.to_vec();
    padded.resize(leaves.len().next_power_of_two(), [0; 32]);
    path_below(&padded, index)
}

fn path_below(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let half = leaves.len() / 2;
    let (left, right) = leaves.split_at(half);
    let (mut path, sibling) = if index < half {
        (path_below(left, index), list_top(right))
    } else {
        (path_below(right, index - half), list_top(left))
    };
    path.push(sibling);
    path
}

pub(crate) fn root_a(digests: &[Hash]) -> Hash {
    list_root("io-chain challenge 1 root a", digests)
}

pub(crate) fn root_b(tables: &[Hash]) -> Hash {
    list_root("io-chain challenge 1 root b", tables)
}

pub(crate) fn walk_key(seed: &Hash, root_a: &Hash) -> Hash {
    keyed(seed, &[b"walkers", root_a])
}

pub(crate) fn start(walk_key: &Hash, walker: usize) -> Hash {
    keyed(walk_key, &[&(walker as u32).to_le_bytes()])
}

/// The line that a state points at, and the state after reading it.
pub(crate) fn read(fill: &[u8], state: &Hash) -> (usize, Hash) {
    let lines = fill.len() / 128;
    let pointer = u64::from_le_bytes(state[0..8].try_into().unwrap());
    let line = ((u128::from(pointer) * lines as u128) >> 64) as usize;
    let bytes = &fill[line * 128..(line + 1) * 128];

    let mut s: Vec<u32> = state
        .chunks(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect();
    for lane in 0..8 {
        for (part, multiplier) in [0x9E37_79B1_u32, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F]
            .iter()
            .enumerate()
        {
            let at = lane * 16 + part * 4;
            let word = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            s[lane] = (s[lane] ^ word).wrapping_mul(*multiplier).rotate_left(15);
        }
    }
    for distance in [1, 2, 4] {
        let old = s.clone();
        for lane in 0..8 {
            let own = old[lane].wrapping_mul(0x9E37_79B1);
            let other = old[lane ^ distance].wrapping_mul(0x85EB_CA76);
            s[lane] = own.wrapping_add(other).rotate_left(13);
        }
    }
    let next: Vec<u8> = s.iter().flat_map(|word| word.to_le_bytes()).collect();
    (line, next.try_into().unwrap())
}

/// The table of states after each segment of 32 reads.
pub(crate) fn phase_b(sizes: &Sizes, seed: &Hash, root_a: &Hash, fill: &[u8]) -> Vec<Vec<u8>> {
    let key = walk_key(seed, root_a);
    let mut states: Vec<Hash> = (0..sizes.w).map(|walker| start(&key, walker)).collect();
    let mut tables = Vec::new();
    for _ in 0..sizes.r / 32 {
        for state in &mut states {
            for _ in 0..32 {
                *state = read(fill, state).1;
            }
        }
        tables.push(states.concat());
    }
    tables
}

pub(crate) fn commit(sizes: &Sizes, nonces: &[(Hash, Hash)], root_a: &Hash, root_b: &Hash) -> Hash {
    let message = [
        sizes.bytes(),
        root_a.to_vec(),
        root_b.to_vec(),
        nonce_bytes(nonces),
    ]
    .concat();
    derive("io-chain challenge 1 commit", &message)
}

fn drawn(entropy: &Hash, label: &[u8], index: u32, bounds: [usize; 3]) -> [usize; 3] {
    let hash = keyed(entropy, &[label, &index.to_le_bytes()]);
    let mut places = [0; 3];
    for (at, bound) in bounds.iter().enumerate() {
        let word = u64::from_le_bytes(hash[at * 8..at * 8 + 8].try_into().unwrap());
        places[at] = ((u128::from(word) * *bound as u128) >> 64) as usize;
    }
    places
}

pub(crate) struct Drawn {
    /// (step, row, column)
    pub(crate) elements: Vec<[usize; 3]>,
    /// (walker, segment)
    pub(crate) walks: Vec<[usize; 2]>,
}

pub(crate) fn draw(
    sizes: &Sizes,
    commit: &Hash,
    verifier: &Hash,
    nonces: &[(Hash, Hash)],
) -> Drawn {
    let message = [commit.to_vec(), verifier.to_vec(), nonce_bytes(nonces)].concat();
    let entropy = derive("io-chain challenge 1 draw", &message);
    let elements =
        (0..128).map(|index| drawn(&entropy, b"element", index, [sizes.m, sizes.n, sizes.n]));
    let walks = (0..32).map(|index| {
        let [walker, segment, _] = drawn(&entropy, b"walk", index, [sizes.w, sizes.r / 32, 1]);
        [walker, segment]
    });
    Drawn {
        elements: elements.collect(),
        walks: walks.collect(),
    }
}

/// The inner value of the BLAKE3 tree over an aligned power of two of chunks.
fn inner(offset: usize, bytes: &[u8]) -> Hash {
    if bytes.len() == 1024 {
        return blake3::Hasher::new()
            .set_input_offset(offset as u64)
            .update(bytes)
            .finalize_non_root();
    }
    let half = bytes.len() / 2;
    merge_subtrees_non_root(
        &inner(offset, &bytes[..half]),
        &inner(offset + half, &bytes[half..]),
        Mode::Hash,
    )
}

/// BLAKE3 of bytes by its tree, which must equal BLAKE3 of bytes.
pub(crate) fn hash_by_tree(bytes: &[u8]) -> Hash {
    let half = bytes.len() / 2;
    *merge_subtrees_root(
        &inner(0, &bytes[..half]),
        &inner(half, &bytes[half..]),
        Mode::Hash,
    )
    .as_bytes()
}

/// The aligned span of `length` bytes around `at`, then its path.
fn span(bytes: &[u8], at: usize, length: usize) -> Vec<u8> {
    let mut offset = at / length * length;
    let mut encoded = bytes[offset..offset + length].to_vec();
    let mut width = length;
    while width < bytes.len() {
        let sibling = offset ^ width;
        encoded.extend(inner(sibling, &bytes[sibling..sibling + width]));
        offset &= !width;
        width *= 2;
    }
    encoded
}

/// A finished run, from which everything can be opened.
pub(crate) struct Run {
    pub(crate) sizes: Sizes,
    pub(crate) seed: Hash,
    pub(crate) results: Vec<Vec<u8>>,
    pub(crate) digests: Vec<Hash>,
    pub(crate) root_a: Hash,
    pub(crate) tables: Vec<Vec<u8>>,
    pub(crate) segments: Vec<Hash>,
    pub(crate) root_b: Hash,
}

pub(crate) fn run(sizes: &Sizes, seed: &Hash) -> Run {
    let results = phase_a(sizes, seed);
    let digests: Vec<Hash> = results
        .iter()
        .map(|bytes| *blake3::hash(bytes).as_bytes())
        .collect();
    let root_a = root_a(&digests);
    let fill = results[sizes.m - sizes.k..].concat();
    let tables = phase_b(sizes, seed, &root_a, &fill);
    let segments: Vec<Hash> = tables
        .iter()
        .map(|bytes| *blake3::hash(bytes).as_bytes())
        .collect();
    let root_b = root_b(&segments);
    Run {
        sizes: *sizes,
        seed: *seed,
        results,
        digests,
        root_a,
        tables,
        segments,
        root_b,
    }
}

impl Run {
    /// The spans of one element, each with a path in the list of digests if `rooted`.
    pub(crate) fn open_element(&self, [step, row, column]: [usize; 3], rooted: bool) -> Vec<u8> {
        let n = self.sizes.n;
        let row_bytes = n.max(1024);
        let mut encoded = Vec::new();
        let mut add = |result: usize, at: usize, length: usize| {
            encoded.extend(span(&self.results[result], at, length));
            if rooted {
                encoded.extend(list_path(&self.digests, result).concat());
            }
        };
        if step >= 1 {
            add(step - 1, row * n, row_bytes);
        }
        if step >= 2 {
            add(step - 2, column * n, row_bytes);
        }
        add(step, row * n + column, 1024);
        encoded
    }

    /// The spans of one walker segment, each with a path in its list if `rooted`.
    pub(crate) fn open_walk(&self, [walker, segment]: [usize; 2], rooted: bool) -> Vec<u8> {
        let first = self.sizes.m - self.sizes.k;
        let fill = self.results[first..].concat();
        let mut encoded = Vec::new();
        let mut state = start(&walk_key(&self.seed, &self.root_a), walker);
        if segment > 0 {
            let table = &self.tables[segment - 1];
            state = table[walker * 32..walker * 32 + 32].try_into().unwrap();
            encoded.extend(span(table, walker * 32, 1024));
            if rooted {
                encoded.extend(list_path(&self.segments, segment - 1).concat());
            }
        }
        for _ in 0..32 {
            let (line, next) = read(&fill, &state);
            let matrix = self.sizes.n * self.sizes.n;
            let result = first + line * 128 / matrix;
            encoded.extend(span(&self.results[result], line * 128 % matrix, 1024));
            if rooted {
                encoded.extend(list_path(&self.digests, result).concat());
            }
            state = next;
        }
        assert_eq!(
            state[..],
            self.tables[segment][walker * 32..walker * 32 + 32]
        );
        encoded.extend(span(&self.tables[segment], walker * 32, 1024));
        if rooted {
            encoded.extend(list_path(&self.segments, segment).concat());
        }
        encoded
    }

    /// All openings of a draw.
    pub(crate) fn openings(&self, drawn: &Drawn) -> Vec<u8> {
        let mut encoded = [self.digests.concat(), self.segments.concat()].concat();
        for element in &drawn.elements {
            encoded.extend(self.open_element(*element, false));
        }
        for walk in &drawn.walks {
            encoded.extend(self.open_walk(*walk, false));
        }
        encoded
    }

    /// The bytes of a proof about one element.
    pub(crate) fn prove_element(&self, place: [usize; 3]) -> Vec<u8> {
        let mut encoded = vec![0];
        for index in place {
            encoded.extend((index as u32).to_le_bytes());
        }
        encoded.extend(self.open_element(place, true));
        encoded
    }

    /// The bytes of a proof about one walker segment.
    pub(crate) fn prove_walk(&self, place: [usize; 2]) -> Vec<u8> {
        let mut encoded = vec![1];
        for index in place {
            encoded.extend((index as u32).to_le_bytes());
        }
        encoded.extend(self.open_walk(place, true));
        encoded
    }
}
