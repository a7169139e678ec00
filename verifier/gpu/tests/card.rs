//! The suite of the CPU engines on every card of this machine. Where there is no card each test says so by name.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::thread;

use io_challenge::{
    Draw, DrawInput, Engine, Nonce, Params, Roots, ScalarEngine, Seed, check_openings,
};
use io_gpu::{Backend, CudaEngine, GpuError, Product, Selection, select};

use crate::skip::skip;

#[path = "support/skip.rs"]
mod skip;

/// The cards, or nothing, said aloud.
fn cards(test: &str) -> Vec<CudaEngine> {
    match select(Backend::Auto).unwrap() {
        Selection::Cuda { engines, .. } => engines,
        Selection::Cpu { why } => {
            skip(test, &why);
            Vec::new()
        }
    }
}

fn same(engine: &mut CudaEngine, params: &Params, seed: &Seed) {
    let mut scalar = ScalarEngine::default();
    let run = scalar.run(params, seed).unwrap();
    assert!(
        engine.run(params, seed).unwrap() == run,
        "{}: {params:?}",
        engine.name()
    );
    let nonces = [Nonce {
        verifier: [1; 32],
        value: *seed.as_bytes(),
    }];
    let input = DrawInput {
        commit: &run.root_b,
        nonces: &nonces,
        verifier: &[1; 32],
    };
    let draw = Draw::derive(params, &input).unwrap();
    let openings = engine.open(&draw).unwrap();
    assert!(
        openings == scalar.open(&draw).unwrap(),
        "{}: openings of {params:?}",
        engine.name()
    );
    let roots = Roots {
        root_a: run.root_a,
        root_b: run.root_b,
    };
    assert_eq!(
        check_openings(params, seed, &roots, &draw, &openings),
        Ok(())
    );
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
    engine.release();
}

#[test]
fn every_size_gives_the_scalar_bits_on_every_card() {
    for (ordinal, mut engine) in cards("every_size_gives_the_scalar_bits_on_every_card")
        .into_iter()
        .enumerate()
    {
        for size in [256, 512, 1024, 2048] {
            let params = Params {
                size,
                kept: 4,
                steps: 4,
                walkers: 128,
                ..Params::TEST
            };
            let seed = Seed::from_bytes([size.to_le_bytes()[1]; 32]);
            same(&mut engine, &params, &seed);
            let mut portable = CudaEngine::open_with(ordinal, Some(Product::Portable)).unwrap();
            same(&mut portable, &params, &seed);
        }
    }
}

#[test]
fn deep_runs_and_many_segments_give_the_scalar_bits_on_every_card() {
    for mut engine in cards("deep_runs_and_many_segments_give_the_scalar_bits_on_every_card") {
        let params = Params {
            kept: 3,
            steps: 20,
            walkers: 2048,
            reads: 40 * 32,
            ..Params::TEST
        };
        same(&mut engine, &params, &Seed::from_bytes([21; 32]));
    }
}

#[test]
fn all_cards_work_at_once() {
    let mut engines = cards("all_cards_work_at_once");
    thread::scope(|scope| {
        for (number, engine) in (1_u8..).zip(&mut engines) {
            scope.spawn(move || same(engine, &Params::TEST, &Seed::from_bytes([number; 32])));
        }
    });
}

#[test]
fn a_fill_larger_than_the_card_is_refused_before_it_begins() {
    for mut engine in cards("a_fill_larger_than_the_card_is_refused_before_it_begins") {
        let memory = engine.memory_bytes().unwrap();
        let params = Params::for_memory(0, 32_768, memory.saturating_mul(2), 1 << 18);
        let error = engine
            .fill(&params, &Seed::from_bytes([1; 32]))
            .unwrap_err();
        let io_challenge::EngineError::Device(inner) = error else {
            panic!("{error}")
        };
        assert!(
            matches!(inner.downcast_ref(), Some(GpuError::Memory { .. })),
            "{inner}"
        );
    }
}
