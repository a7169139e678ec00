//! Every impossible size, order of nonces and order of calls has its own error.
use io_challenge::{
    Draw, DrawError, DrawInput, Element, Engine as _, EngineError, Nonce, NoncesError, Params,
    ParamsError, ScalarEngine, Seed, SeedInput, WalkIndex, commit_hash,
};
use proptest::prelude::*;

const PARAMS: Params = Params::TEST;
const SEED: Seed = Seed::from_bytes([42; 32]);

/// Each impossible value of each field.
fn impossible() -> [(Params, ParamsError); 18] {
    let version = |version| Params { version, ..PARAMS };
    let size = |size| Params { size, ..PARAMS };
    let kept = |kept| Params { kept, ..PARAMS };
    let steps = |steps| Params { steps, ..PARAMS };
    let walkers = |walkers| Params { walkers, ..PARAMS };
    let reads = |reads| Params { reads, ..PARAMS };
    let (kept_max, steps_max) = (u32::MAX, u32::MAX);
    let both = Params {
        kept: kept_max,
        steps: steps_max,
        ..PARAMS
    };
    [
        (version(2), ParamsError::Version(2)),
        (size(0), ParamsError::Size(0)),
        (size(128), ParamsError::Size(128)),
        (size(384), ParamsError::Size(384)),
        (size(65_536), ParamsError::Size(65_536)),
        (size(u32::MAX), ParamsError::Size(u32::MAX)),
        (kept(0), ParamsError::Kept(0)),
        (kept(2), ParamsError::Kept(2)),
        (steps(5), ParamsError::Steps { steps: 5, kept: 6 }),
        (
            steps(4097),
            ParamsError::Steps {
                steps: 4097,
                kept: 6,
            },
        ),
        (
            both,
            ParamsError::Steps {
                steps: steps_max,
                kept: kept_max,
            },
        ),
        (walkers(0), ParamsError::Walkers(0)),
        (walkers(32), ParamsError::Walkers(32)),
        (walkers(65), ParamsError::Walkers(65)),
        (walkers(1 << 21), ParamsError::Walkers(1 << 21)),
        (reads(0), ParamsError::Reads(0)),
        (reads(33), ParamsError::Reads(33)),
        (reads(262_176), ParamsError::Reads(262_176)),
    ]
}

#[test]
fn each_impossible_size_has_its_error() {
    for (params, error) in impossible() {
        assert_eq!(params.check(), Err(error));
        assert_eq!(params.shape(), Err(error));
        let mut engine = ScalarEngine::default();
        assert!(
            matches!(engine.fill(&params, &SEED), Err(EngineError::Params(got)) if got == error)
        );
    }
    assert_eq!(PARAMS.check(), Ok(()));
}

#[test]
fn memory_gives_the_sizes_of_the_table() {
    // Card memory in MiB and the K at N = 32768 that nine tenths of it hold.
    for (mebibytes, kept) in [
        (24_576_u64, 21),
        (49_140, 43),
        (40_960, 36),
        (81_920, 72),
        (81_559, 71),
        (143_771, 126),
    ] {
        let params = Params::for_memory(1, 32_768, mebibytes << 20, 1 << 18);
        assert_eq!(
            (params.kept, params.steps, params.check()),
            (kept, kept, Ok(())),
            "{mebibytes} MiB"
        );
        let shape = params.shape().unwrap();
        assert_eq!(
            u64::from(params.reads) << 18,
            32 * shape.lines(),
            "32 reads for each line"
        );
    }
    assert_eq!(
        Params::for_memory(1, 32_768, 1 << 30, 1 << 18).check(),
        Err(ParamsError::Kept(0))
    );
    assert_eq!(
        Params::for_memory(1, 256, u64::MAX, 64).check(),
        Err(ParamsError::Steps {
            steps: u32::MAX,
            kept: u32::MAX
        })
    );
}

#[test]
fn a_ping_is_the_smallest_challenge_of_its_size() {
    for size in [256, 8192, 32_768] {
        let ping = Params::ping(5, size);
        assert_eq!(ping.check(), Ok(()));
        for smaller in [
            Params {
                kept: ping.kept - 1,
                ..ping
            },
            Params {
                steps: ping.steps - 1,
                ..ping
            },
            Params {
                walkers: ping.walkers >> 1,
                ..ping
            },
            Params {
                reads: ping.reads - 32,
                ..ping
            },
        ] {
            assert_ne!(smaller.check(), Ok(()), "{smaller:?}");
        }
    }
}

#[test]
fn nonces_have_one_order() {
    let nonce = |verifier: u8| Nonce {
        verifier: [verifier; 32],
        value: [9; 32],
    };
    let derive = |nonces: &[Nonce]| {
        let input = SeedInput {
            beacon: &[0; 32],
            nonces,
            supplier: &[0; 32],
            device: 0,
            processor: 0,
            params: &PARAMS,
        };
        Seed::derive(&input)
    };
    assert_eq!(derive(&[]), Err(NoncesError::Empty));
    assert_eq!(derive(&[nonce(2), nonce(1)]), Err(NoncesError::Order(1)));
    assert_eq!(
        derive(&[nonce(1), nonce(2), nonce(2)]),
        Err(NoncesError::Order(2))
    );
    assert_eq!(
        derive(&vec![nonce(1); 65_536]),
        Err(NoncesError::TooMany(65_536))
    );
    assert_eq!(
        commit_hash(&PARAMS, &[], &[0; 32], &[0; 32]),
        Err(NoncesError::Empty)
    );
    let draw = Draw::derive(
        &PARAMS,
        &DrawInput {
            commit: &[0; 32],
            nonces: &[],
            verifier: &[0; 32],
        },
    );
    assert_eq!(draw, Err(NoncesError::Empty));
    let bad = Params { size: 0, ..PARAMS };
    let expected = Err(NoncesError::Params(ParamsError::Size(0)));
    assert_eq!(commit_hash(&bad, &[nonce(1)], &[0; 32], &[0; 32]), expected);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one line for each input of the seed")]
fn every_input_of_the_seed_changes_it() {
    let nonces = [
        Nonce {
            verifier: [1; 32],
            value: [2; 32],
        },
        Nonce {
            verifier: [3; 32],
            value: [4; 32],
        },
    ];
    let other = [
        nonces[0],
        Nonce {
            verifier: [3; 32],
            value: [5; 32],
        },
    ];
    let base = SeedInput {
        beacon: &[1; 32],
        nonces: &nonces,
        supplier: &[2; 32],
        device: 7,
        processor: 0,
        params: &PARAMS,
    };
    let sizes = [
        Params { class: 1, ..PARAMS },
        Params {
            size: 512,
            ..PARAMS
        },
        Params { kept: 5, ..PARAMS },
        Params { steps: 7, ..PARAMS },
        Params {
            walkers: 128,
            ..PARAMS
        },
        Params {
            reads: 160,
            ..PARAMS
        },
    ];
    let mut inputs = vec![
        base,
        SeedInput {
            beacon: &[9; 32],
            ..base
        },
        SeedInput {
            nonces: &nonces[..1],
            ..base
        },
        SeedInput {
            nonces: &other,
            ..base
        },
        SeedInput {
            supplier: &[9; 32],
            ..base
        },
        SeedInput { device: 8, ..base },
        SeedInput {
            processor: 1,
            ..base
        },
    ];
    inputs.extend(sizes.iter().map(|params| SeedInput { params, ..base }));
    let mut seeds: Vec<_> = inputs
        .iter()
        .map(|input| *Seed::derive(input).unwrap().as_bytes())
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), inputs.len());
}

#[test]
fn an_engine_asked_out_of_order_says_what_is_missing() {
    let draw = Draw {
        elements: vec![Element {
            step: 0,
            row: 0,
            column: 0,
        }],
        walks: vec![],
    };
    let mut engine = ScalarEngine::default();
    assert!(matches!(engine.walk(), Err(EngineError::NotFilled)));
    assert!(matches!(engine.open(&draw), Err(EngineError::NotFilled)));
    engine.fill(&PARAMS, &SEED).unwrap();
    assert!(matches!(engine.open(&draw), Err(EngineError::NotWalked)));
    engine.walk().unwrap();
    assert!(engine.open(&draw).is_ok());
    let outside = Draw {
        elements: vec![Element {
            step: 6,
            row: 0,
            column: 0,
        }],
        walks: vec![],
    };
    let expected = DrawError::Element(outside.elements[0]);
    assert!(matches!(engine.open(&outside), Err(EngineError::Draw(error)) if error == expected));
    let outside = Draw {
        elements: vec![],
        walks: vec![WalkIndex {
            walker: 0,
            segment: 4,
        }],
    };
    let expected = DrawError::Walk(outside.walks[0]);
    assert!(matches!(engine.open(&outside), Err(EngineError::Draw(error)) if error == expected));
    engine.release();
    assert!(matches!(engine.open(&draw), Err(EngineError::NotFilled)));
}

#[test]
fn a_replay_needs_three_matrices_and_stops_when_told() {
    let mut engine = ScalarEngine::default();
    let deep = Params {
        kept: 4,
        steps: 11,
        ..PARAMS
    };
    let fill = engine.fill(&deep, &SEED).unwrap();
    let mut seen = Vec::new();
    engine
        .replay(&deep, &SEED, &mut |step, digest| {
            seen.push((step, *digest));
            true
        })
        .unwrap();
    assert_eq!(
        seen.iter().map(|(_, digest)| *digest).collect::<Vec<_>>(),
        fill.digests
    );
    let mut steps = 0;
    engine
        .replay(&deep, &SEED, &mut |step, _| {
            steps += 1;
            step < 4
        })
        .unwrap();
    assert_eq!(steps, 5);
    assert!(engine.walk().is_ok(), "the fill is still held");
}

proptest! {
    #[test]
    fn params_and_their_bytes_are_one_to_one(bytes in any::<[u8; Params::BYTES]>()) {
        prop_assert_eq!(Params::from_bytes(&bytes).to_bytes(), bytes);
    }
}
