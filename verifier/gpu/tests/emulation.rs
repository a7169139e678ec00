//! The kernels' own source, built for the CPU with the tensor-core instructions emulated, gives the scalar engine's bits.
//!
//! Needs a C++ compiler; where there is none the tests say so by name and do nothing.
#![expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use io_challenge::{
    Engine as _, Fill, Kernels as _, Params, Scalar, ScalarEngine, Seed, SeedMatrix, State, Tree,
    WalkKey, subtree,
};

use crate::skip::skip;

#[path = "support/skip.rs"]
mod skip;

/// The emulator, built once; `None` where there is no C++ compiler.
fn emulator() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/emulate.cpp");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulate");
    let status = Command::new("c++")
        .args(["-O2", "-std=c++17", "-w", "-U_FORTIFY_SOURCE"])
        .arg(&source)
        .arg("-o")
        .arg(&out)
        .status();
    match status {
        Ok(status) => {
            assert!(status.success(), "the kernels do not compile for the host");
            Some(out)
        }
        Err(_) => None,
    }
}

/// Runs a kernel; `None`, said aloud, where it cannot be built.
fn emulate(test: &str, arguments: &[String], input: &[&[u8]]) -> Option<Vec<u8>> {
    let Some(program) = emulator() else {
        skip(test, "there is no C++ compiler named c++");
        return None;
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = input.concat();
    let writer = thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    Some(output.stdout)
}

fn words(arguments: &[&dyn ToString]) -> Vec<String> {
    arguments
        .iter()
        .map(|argument| argument.to_string())
        .collect()
}

#[test]
fn the_tensor_core_product_gives_the_scalar_bits() {
    for (size, seed) in [(256_usize, 1_u8), (512, 2), (1024, 3)] {
        let seed = Seed::from_bytes([seed; 32]);
        let (mut newer, mut older) = (vec![0; size * size], vec![0; size * size]);
        seed.expand(SeedMatrix::Newer, 0, &mut newer);
        seed.expand(SeedMatrix::Older, 0, &mut older);
        let requantiser = seed.requantiser(0);
        let mut expected = vec![0; size * size];
        Scalar.multiply(size, &requantiser, &newer, &older, &mut expected);
        let arguments = words(&[&"product", &size, &requantiser.kappa, &requantiser.odd]);
        let Some(got) = emulate("the tensor-core product", &arguments, &[&newer, &older]) else {
            return;
        };
        let wrong = got
            .iter()
            .zip(&expected)
            .position(|(got, expected)| got != expected);
        assert!(
            got.len() == expected.len() && wrong.is_none(),
            "N = {size}: first wrong byte {wrong:?}"
        );
    }
}

#[test]
fn the_hopper_product_gives_the_scalar_bits() {
    // Blocks: one for each tile, and fewer, so that a block takes several tiles and its ring goes round.
    for (size, blocks) in [(256_usize, 2), (256, 1), (1024, 3)] {
        let seed = Seed::from_bytes([blocks; 32]);
        let (mut newer, mut older) = (vec![0; size * size], vec![0; size * size]);
        seed.expand(SeedMatrix::Newer, 0, &mut newer);
        seed.expand(SeedMatrix::Older, 0, &mut older);
        let requantiser = seed.requantiser(3);
        let mut expected = vec![0; size * size];
        Scalar.multiply(size, &requantiser, &newer, &older, &mut expected);
        let arguments = words(&[
            &"hopper",
            &size,
            &requantiser.kappa,
            &requantiser.odd,
            &blocks,
        ]);
        let Some(got) = emulate("the Hopper product", &arguments, &[&newer, &older]) else {
            return;
        };
        let wrong = got
            .iter()
            .zip(&expected)
            .position(|(got, expected)| got != expected);
        assert!(
            got.len() == expected.len() && wrong.is_none(),
            "N = {size}: first wrong byte {wrong:?}"
        );
    }
}

#[test]
fn every_tile_is_computed_once_at_every_size() {
    for size in [256_u32, 512, 1024, 2048, 4096, 32_768] {
        let Some(got) = emulate("the order of tiles", &words(&[&"tiles", &size]), &[]) else {
            return;
        };
        let (places, _) = got.as_chunks::<8>();
        let mut places: Vec<_> = places
            .iter()
            .map(|place| {
                let (words, _) = place.as_chunks::<4>();
                (u32::from_le_bytes(words[0]), u32::from_le_bytes(words[1]))
            })
            .collect();
        places.sort_unstable();
        let rows = (0..size).step_by(128);
        let expected: Vec<_> = rows
            .flat_map(|row| (0..size).step_by(256).map(move |column| (row, column)))
            .collect();
        assert!(places == expected, "N = {size}");
    }
}

#[test]
fn the_expansion_gives_the_starting_matrices() {
    let seed = Seed::from_bytes([6; 32]);
    for (index, matrix) in [(0, SeedMatrix::Older), (1, SeedMatrix::Newer)] {
        let mut expected = vec![0; 1 << 16];
        seed.expand(matrix, 0, &mut expected);
        let arguments = words(&[&"expand", &1024, &index]);
        let Some(got) = emulate("the expansion", &arguments, &[seed.as_bytes()]) else {
            return;
        };
        assert!(got == expected, "{matrix:?}");
    }
}

#[test]
fn the_digest_is_blake3_and_keeps_the_groups_of_32_chunks() {
    // Chunks of each input, and inputs: the smallest table, a matrix of 256, several tables, more than one block of fold.
    for (inputs, per_input) in [(1_usize, 2_usize), (3, 2), (1, 64), (2, 256), (1, 4096)] {
        let mut bytes = vec![0; inputs * per_input * 1024];
        Seed::from_bytes([8; 32]).expand(SeedMatrix::Newer, 0, &mut bytes);
        let arguments = words(&[&"digest", &inputs, &per_input]);
        let Some(got) = emulate("the digest", &arguments, &[&bytes]) else {
            return;
        };
        let (roots, groups) = got.split_at(inputs * 32);
        for (input, root) in bytes
            .chunks_exact(per_input * 1024)
            .zip(roots.chunks_exact(32))
        {
            assert_eq!(
                root,
                blake3::hash(input).as_bytes(),
                "{inputs} inputs of {per_input} chunks"
            );
        }
        if per_input >= 64 {
            let expected = bytes.chunks_exact(per_input * 1024).flat_map(|input| {
                let pieces = input.chunks_exact(32 * 1024).enumerate();
                pieces
                    .flat_map(|(index, group)| subtree(index as u64 * 32 * 1024, group))
                    .collect::<Vec<_>>()
            });
            assert!(
                groups == expected.collect::<Vec<_>>(),
                "groups of {inputs} inputs of {per_input} chunks"
            );
            let leaves = groups[..per_input].as_chunks::<32>().0.to_vec();
            assert_eq!(
                Tree::from_leaves(leaves).root(),
                Some(*blake3::hash(&bytes[..per_input * 1024]).as_bytes())
            );
        }
    }
}

#[test]
fn the_walkers_give_the_scalar_tables_also_when_they_walk_again() {
    let params = Params {
        kept: 5,
        steps: 5,
        walkers: 128,
        reads: 5 * 32,
        ..Params::TEST
    };
    let (shape, seed) = (params.shape().unwrap(), Seed::from_bytes([11; 32]));
    let mut engine = ScalarEngine::default();
    let roots = engine.fill(&params, &seed).unwrap();
    let segments = engine.walk().unwrap().segments;
    let key = WalkKey::derive(&seed, &roots.root_a);
    let matrices: Vec<&[u8]> = (0..5).map(|step| engine.result(step).unwrap()).collect();
    let shift = shape.matrix_lines().trailing_zeros();
    let arguments = words(&[&"walk", &shift, &5, &params.walkers, &shape.segments()]);
    let input: Vec<&[u8]> = [key.as_bytes().as_slice()]
        .into_iter()
        .chain(matrices.iter().copied())
        .collect();
    let Some(got) = emulate("the walkers", &arguments, &input) else {
        return;
    };

    let table = shape.table_bytes() as usize;
    let (starts, rest) = got.split_at(table);
    let (tables, again) = rest.split_at(table * segments.len());
    let mut expected = vec![0; table];
    key.start_all(&mut expected);
    assert!(starts == expected, "starting states");
    for (segment, (bytes, digest)) in tables.chunks_exact(table).zip(&segments).enumerate() {
        assert_eq!(blake3::hash(bytes).as_bytes(), digest, "table {segment}");
    }
    for (segment, bytes) in again.chunks_exact(1024).enumerate() {
        let group = segment % 4;
        let start = segment * table + group * 1024;
        assert!(
            *bytes == tables[start..start + 1024],
            "segment {segment} of group {group}, walked again"
        );
    }
    // The emulator and the library read the same lines, or none of this would agree; one walker by hand as well.
    let fill = Fill::new(&shape, matrices);
    let first = fill.advance(key.start(127), 32);
    assert_eq!(
        first,
        State::from_bytes(tables[127 * 32..128 * 32].try_into().unwrap())
    );
}
