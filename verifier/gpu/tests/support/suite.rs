//! The suite of the CPU engines on every card that the driver shows. Where there is no card each test says so by name.

use std::thread;

use io_challenge::{
    Draw, DrawInput, Engine, EngineError, Nonce, Params, Roots, ScalarEngine, Seed, check_openings,
};
use io_gpu::{Backend, CudaEngine, GpuError, Product, Selection, select};

use crate::skip::skip;

/// The cards, or nothing, said aloud.
fn cards(test: &str) -> Vec<CudaEngine> {
    match select(Backend::Auto).expect("auto has no error") {
        Selection::Cuda { engines, .. } => engines,
        Selection::Cpu { why } => {
            skip(test, &why);
            Vec::new()
        }
    }
}

/// An emulated card is as slow as a CPU that pretends, so it gets the small sizes.
fn emulated(engine: &CudaEngine) -> bool {
    engine.name().contains("Emulated")
}

fn same(engine: &mut CudaEngine, params: &Params, seed: &Seed) {
    let mut scalar = ScalarEngine::default();
    let run = scalar
        .run(params, seed)
        .expect("the scalar engine has no limits here");
    let got = engine.run(params, seed).expect("the card answers");
    assert!(got == run, "{}: {params:?}", engine.name());
    let nonces = [Nonce {
        verifier: [1; 32],
        value: *seed.as_bytes(),
    }];
    let input = DrawInput {
        commit: &run.root_b,
        nonces: &nonces,
        verifier: &[1; 32],
    };
    let draw = Draw::derive(params, &input).expect("one nonce is enough");
    let openings = engine.open(&draw).expect("the card opens");
    assert!(
        openings == scalar.open(&draw).expect("the scalar engine opens"),
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
    let (mut steps, mut segments) = (Vec::new(), Vec::new());
    let fill = engine.fill_watched(params, seed, &mut |step, digest| {
        steps.push((step, *digest));
    });
    let walk = engine.walk_watched(&mut |segment, digest| {
        segments.push((segment, *digest));
    });
    let (fill, walk) = (fill.expect("filled before"), walk.expect("walked before"));
    assert_eq!((fill.root_a, walk.root_b), (run.root_a, run.root_b));
    assert!(steps.into_iter().eq((0..).zip(run.lists.digests.clone())));
    assert!(
        segments
            .into_iter()
            .eq((0..).zip(run.lists.segments.clone()))
    );
    let mut digests = Vec::new();
    let replayed = engine.replay(params, seed, &mut |_, digest| {
        digests.push(*digest);
        true
    });
    assert!(
        replayed.is_ok() && digests == run.lists.digests,
        "{}: replay of {params:?}",
        engine.name()
    );
    engine.release();
    assert!(matches!(engine.open(&draw), Err(EngineError::NotFilled)));
}

#[test]
fn every_size_gives_the_scalar_bits_on_every_card() {
    let test = "every_size_gives_the_scalar_bits_on_every_card";
    for (ordinal, mut engine) in cards(test).into_iter().enumerate() {
        let sizes: &[u32] = if emulated(&engine) {
            &[256, 512]
        } else {
            &[256, 512, 1024, 2048]
        };
        for size in sizes {
            let params = Params {
                size: *size,
                kept: 4,
                steps: 4,
                walkers: 128,
                ..Params::TEST
            };
            let seed = Seed::from_bytes([size.to_le_bytes()[1]; 32]);
            same(&mut engine, &params, &seed);
            let mut portable =
                CudaEngine::open_with(ordinal, Some(Product::Portable)).expect("it was open");
            same(&mut portable, &params, &seed);
        }
    }
}

#[test]
fn deep_runs_and_many_segments_give_the_scalar_bits_on_every_card() {
    for mut engine in cards("deep_runs_and_many_segments_give_the_scalar_bits_on_every_card") {
        // More segments than one launch walks, and on a real card more than one block of every kernel.
        let (steps, walkers) = if emulated(&engine) {
            (7, 64)
        } else {
            (20, 1 << 16)
        };
        let params = Params {
            kept: 3,
            steps,
            walkers,
            reads: 20 * 32,
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
        let memory = engine.memory_bytes().expect("the card was just opened");
        let twice = |size| Params::for_memory(0, size, memory.saturating_mul(2), 1 << 18);
        let sizes = [32_768, 8192, 1024].into_iter();
        let params = sizes
            .map(twice)
            .find(|params| params.check().is_ok())
            .expect("some size fits the limits");
        let error = engine
            .fill(&params, &Seed::from_bytes([1; 32]))
            .expect_err("it does not fit");
        let EngineError::Device(inner) = error else {
            panic!("{error}")
        };
        assert!(
            matches!(
                inner.downcast_ref(),
                Some(GpuError::Memory { .. } | GpuError::Busy { .. })
            ),
            "{inner}"
        );
    }
}
