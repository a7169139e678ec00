//! Every level of every machine gives the bits of the scalar engine.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use io_challenge::{
    Draw, DrawInput, Engine, HostEngine, Kernels, Nonce, Params, Scalar, ScalarEngine, Seed,
};
use io_cpu::{Level, Simd};
use proptest::prelude::*;

fn engines() -> Vec<HostEngine<Simd>> {
    let levels = Level::available();
    levels
        .into_iter()
        .map(|level| HostEngine::new(Simd::with(level).unwrap()))
        .collect()
}

fn same(params: &Params, seed: &Seed) {
    let nonces = [Nonce {
        verifier: [1; 32],
        value: *seed.as_bytes(),
    }];
    let mut scalar = ScalarEngine::default();
    let run = scalar.run(params, seed).unwrap();
    let input = DrawInput {
        commit: &run.root_b,
        nonces: &nonces,
        verifier: &[1; 32],
    };
    let draw = Draw::derive(params, &input).unwrap();
    let openings = scalar.open(&draw).unwrap();
    for mut engine in engines() {
        assert!(
            engine.run(params, seed).unwrap() == run,
            "{}: {params:?}",
            engine.name()
        );
        for step in params.steps - params.kept..params.steps {
            assert!(
                engine.result(step) == scalar.result(step),
                "{}: step {step} of {params:?}",
                engine.name()
            );
        }
        assert!(
            engine.open(&draw).unwrap() == openings,
            "{}: openings of {params:?}",
            engine.name()
        );
        if params.size > 512 {
            continue;
        }
        let mut digests = Vec::new();
        engine
            .replay(params, seed, &mut |_, digest| {
                digests.push(*digest);
                true
            })
            .unwrap();
        assert!(
            digests == run.lists.digests,
            "{}: replay of {params:?}",
            engine.name()
        );
    }
}

#[test]
fn every_size_up_to_2048_gives_the_scalar_bits() {
    for size in [256, 512, 1024, 2048] {
        let params = Params {
            size,
            kept: 3,
            steps: 3,
            reads: 32,
            ..Params::TEST
        };
        same(&params, &Seed::from_bytes([size.to_le_bytes()[1]; 32]));
    }
}

#[test]
fn a_deep_run_opens_results_that_are_no_longer_held() {
    same(
        &Params {
            size: 256,
            kept: 3,
            steps: 12,
            walkers: 128,
            reads: 64,
            ..Params::TEST
        },
        &Seed::from_bytes([5; 32]),
    );
}

#[test]
fn extreme_rows_do_not_saturate() {
    // All −128, all 127, and both: the sums of N products at their limits, where a saturating instruction shows.
    for (left, right) in [
        (0x80, 0x80),
        (0x7f, 0x80),
        (0x80, 0x7f),
        (0x7f, 0x7f),
        (0xff, 0x80),
        (0x80, 0xff),
    ] {
        let size = 512;
        let requantiser = Seed::from_bytes([9; 32]).requantiser(0);
        let (newer, older) = (vec![left; size * size], vec![right; size * size]);
        let mut expected = vec![0; size * size];
        Scalar.multiply(size, &requantiser, &newer, &older, &mut expected);
        for level in Level::available() {
            let mut out = vec![0xaa; size * size];
            Simd::with(level)
                .unwrap()
                .multiply(size, &requantiser, &newer, &older, &mut out);
            assert!(out == expected, "{}: {left:#x} by {right:#x}", level.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_seeds_and_sizes_give_the_scalar_bits(
        seed in any::<[u8; 32]>(),
        size in prop_oneof![Just(256_u32), Just(512)],
        kept in 3_u32..6,
        extra in 0_u32..3,
        walkers in prop_oneof![Just(64_u32), Just(256)],
        segments in 1_u32..4,
    ) {
        let params = Params { size, kept, steps: kept + extra, walkers, reads: segments * 32, ..Params::TEST };
        same(&params, &Seed::from_bytes(seed));
    }
}
