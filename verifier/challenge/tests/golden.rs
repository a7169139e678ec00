//! The golden vectors, a naive second implementation, and the library agree to the byte.
#![expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    clippy::unwrap_used,
    reason = "a specification in its plainest words"
)]

use std::sync::OnceLock;

use io_challenge::{
    Draw, DrawInput, Element, Engine as _, FraudError, FraudProof, Lists, Nonce, Openings, Params,
    Roots, Run, ScalarEngine, Seed, SeedInput, VERSION, WalkIndex, WalkKey, check_fraud_proof,
    check_openings, commit_hash,
};
use reference::{Hash, Sizes};
use serde_json::{Value, json};

#[path = "golden/reference.rs"]
mod reference;

/// A test of each kind: short rows, a deep run, rows of half a chunk, rows of a whole chunk.
const CASES: [(&str, Sizes); 4] = [
    (
        "pulse-256",
        Sizes {
            class: 0,
            n: 256,
            k: 6,
            m: 6,
            w: 64,
            r: 128,
        },
    ),
    (
        "deep-256",
        Sizes {
            class: 7,
            n: 256,
            k: 3,
            m: 9,
            w: 128,
            r: 96,
        },
    ),
    (
        "pulse-512",
        Sizes {
            class: 8,
            n: 512,
            k: 5,
            m: 5,
            w: 256,
            r: 64,
        },
    ),
    (
        "pulse-1024",
        Sizes {
            class: 9,
            n: 1024,
            k: 3,
            m: 3,
            w: 64,
            r: 32,
        },
    ),
];

type Nonces = Vec<(Hash, Hash)>;

/// Beacon, supplier, device, processor, first and second nonces of every case.
fn inputs() -> (Hash, Hash, u64, u16, Nonces, Nonces) {
    let first = vec![
        ([1; 32], [11; 32]),
        ([2; 32], [12; 32]),
        ([4; 32], [14; 32]),
        ([5; 32], [15; 32]),
    ];
    let second = vec![
        ([1; 32], [21; 32]),
        ([2; 32], [22; 32]),
        ([4; 32], [24; 32]),
    ];
    (
        [0xB0; 32],
        [0x50; 32],
        0x0102_0304_0506_0708,
        3,
        first,
        second,
    )
}

fn hashes(list: &[Hash]) -> Vec<String> {
    list.iter().map(hex::encode).collect()
}

/// The vector of one case, by the naive reference alone.
fn vector(name: &str, sizes: &Sizes) -> Vector {
    let (beacon, supplier, device, processor, first, second) = inputs();
    let seed = reference::seed(sizes, (&beacon, &supplier), (device, processor), &first);
    let run = reference::run(sizes, &seed);
    let commit = reference::commit(sizes, &first, &run.root_a, &run.root_b);
    let verifier = first[1].0;
    let drawn = reference::draw(sizes, &commit, &verifier, &second);
    let openings = run.openings(&drawn);
    let element = run.prove_element(drawn.elements[0]);
    let walk = run.prove_walk(drawn.walks[0]);
    let nonce = |(verifier, value): &(Hash, Hash)| json!({"verifier": hex::encode(verifier), "value": hex::encode(value)});
    let sized = |bytes: &[u8]| json!({"bytes": bytes.len(), "blake3": blake3::hash(bytes).to_hex().as_str()});
    let key = reference::walk_key(&seed, &run.root_a);
    let value = json!({
        "name": name,
        "params": {"version": 1, "class": sizes.class, "size": sizes.n, "kept": sizes.k, "steps": sizes.m,
            "walkers": sizes.w, "reads": sizes.r, "bytes": hex::encode(sizes.bytes())},
        "beacon": hex::encode(beacon), "supplier": hex::encode(supplier), "device": device, "processor": processor,
        "first_nonces": first.iter().map(nonce).collect::<Vec<_>>(),
        "second_nonces": second.iter().map(nonce).collect::<Vec<_>>(),
        "verifier": hex::encode(verifier),
        "seed": hex::encode(seed),
        "older_first_32": hex::encode(&reference::seed_matrix(sizes, &seed, 0)[..32]),
        "newer_first_32": hex::encode(&reference::seed_matrix(sizes, &seed, 1)[..32]),
        "requantisers": (0..sizes.m).map(|step| {
            let (kappa, odd) = reference::requantiser(&seed, step);
            json!({"kappa": kappa, "odd": odd})
        }).collect::<Vec<_>>(),
        "results_first_32": run.results.iter().map(|bytes| hex::encode(&bytes[..32])).collect::<Vec<_>>(),
        "digests": hashes(&run.digests), "root_a": hex::encode(run.root_a),
        "walk_key": hex::encode(key), "start_of_walker_0": hex::encode(reference::start(&key, 0)),
        "tables_first_32": run.tables.iter().map(|bytes| hex::encode(&bytes[..32])).collect::<Vec<_>>(),
        "segments": hashes(&run.segments), "root_b": hex::encode(run.root_b),
        "commit": hex::encode(commit),
        "elements": drawn.elements, "walks": drawn.walks,
        "openings": sized(&openings), "proof_of_first_element": sized(&element), "proof_of_first_walk": sized(&walk),
    });
    (value, run, drawn)
}

type Vector = (Value, reference::Run, reference::Drawn);

/// The vectors of all cases, made once for all tests.
fn vectors() -> impl Iterator<Item = (&'static str, &'static Sizes, &'static Vector)> {
    static VECTORS: OnceLock<Vec<Vector>> = OnceLock::new();
    let vectors = VECTORS.get_or_init(|| {
        CASES
            .iter()
            .map(|(name, sizes)| vector(name, sizes))
            .collect()
    });
    CASES
        .iter()
        .zip(vectors)
        .map(|((name, sizes), vector)| (*name, sizes, vector))
}

fn golden_path(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"))
}

#[test]
fn the_naive_reference_gives_the_golden_vectors() {
    for (name, _, (value, run, _)) in vectors() {
        assert_eq!(
            reference::hash_by_tree(&run.results[0]),
            run.digests[0],
            "{name}: BLAKE3 by its tree"
        );
        let text = serde_json::to_string_pretty(value).unwrap() + "\n";
        // Regeneration is approval: it needs a variable that no test run sets.
        if std::env::var_os("IO_GOLDEN_WRITE").is_some() {
            std::fs::write(golden_path(name), &text).unwrap();
        }
        let golden = std::fs::read_to_string(golden_path(name)).unwrap();
        assert_eq!(
            text, golden,
            "{name}: IO_GOLDEN_WRITE=1 rewrites the vectors, which is a new challenge version"
        );
    }
}

fn nonces(list: &[(Hash, Hash)]) -> Vec<Nonce> {
    list.iter()
        .map(|(verifier, value)| Nonce {
            verifier: *verifier,
            value: *value,
        })
        .collect()
}

fn params(sizes: &Sizes) -> Params {
    Params {
        version: VERSION,
        class: sizes.class,
        size: sizes.n as u32,
        kept: sizes.k as u32,
        steps: sizes.m as u32,
        walkers: sizes.w as u32,
        reads: sizes.r as u32,
    }
}

#[test]
fn the_library_equals_the_naive_reference_in_every_byte() {
    let (beacon, supplier, device, processor, first, second) = inputs();
    for (name, sizes, (_, expected, drawn)) in vectors() {
        let params = params(sizes);
        assert_eq!(params.to_bytes().to_vec(), sizes.bytes(), "{name}");
        let first = nonces(&first);
        let seed = Seed::derive(&SeedInput {
            beacon: &beacon,
            nonces: &first,
            supplier: &supplier,
            device,
            processor,
            params: &params,
        })
        .unwrap();
        assert_eq!(*seed.as_bytes(), expected.seed, "{name}");

        let mut engine = ScalarEngine::default();
        let run = engine.run(&params, &seed).unwrap();
        for step in sizes.m - sizes.k..sizes.m {
            assert_eq!(
                engine.result(step as u32),
                Some(expected.results[step].as_slice()),
                "{name} step {step}"
            );
        }
        let lists = Lists {
            digests: expected.digests.clone(),
            segments: expected.segments.clone(),
        };
        assert_eq!(run.lists, lists, "{name}");
        assert_eq!(
            (run.root_a, run.root_b),
            (expected.root_a, expected.root_b),
            "{name}"
        );

        let commit = commit_hash(&params, &first, &run.root_a, &run.root_b).unwrap();
        assert_eq!(
            commit,
            reference::commit(sizes, &inputs().4, &run.root_a, &run.root_b),
            "{name}"
        );
        let verifier = first[1].verifier;
        let input = DrawInput {
            commit: &commit,
            nonces: &nonces(&second),
            verifier: &verifier,
        };
        let draw = Draw::derive(&params, &input).unwrap();
        let elements: Vec<_> = draw
            .elements
            .iter()
            .map(|e| [e.step as usize, e.row as usize, e.column as usize])
            .collect();
        let walks: Vec<_> = draw
            .walks
            .iter()
            .map(|w| [w.walker as usize, w.segment as usize])
            .collect();
        assert_eq!(
            (elements, walks),
            (drawn.elements.clone(), drawn.walks.clone()),
            "{name}"
        );

        assert_openings(&mut engine, &params, &run, &draw, (expected, drawn));
    }
}

/// The openings, and the proofs of the first element and walk, are the reference's bytes and pass their checks.
fn assert_openings(
    engine: &mut ScalarEngine,
    params: &Params,
    run: &Run,
    draw: &Draw,
    (expected, drawn): (&reference::Run, &reference::Drawn),
) {
    let seed = Seed::from_bytes(expected.seed);
    let openings = engine.open(draw).unwrap();
    let bytes = openings.encode(params, draw).unwrap();
    assert!(bytes == expected.openings(drawn), "openings");
    assert!(
        Openings::decode(params, draw, &bytes).unwrap() == openings,
        "openings read back"
    );
    let roots = Roots {
        root_a: run.root_a,
        root_b: run.root_b,
    };
    check_openings(params, &seed, &roots, draw, &openings).unwrap();

    let key = WalkKey::derive(&seed, &run.root_a);
    let shape = params.shape().unwrap();
    let (element, walk) = (openings.elements[0].clone(), openings.walks[0].clone());
    let element = FraudProof::of_element(&run.lists, draw.elements[0], element);
    let walk = FraudProof::of_walk(&shape, &key, &run.lists, draw.walks[0], walk);
    let expected = [
        expected.prove_element(drawn.elements[0]),
        expected.prove_walk(drawn.walks[0]),
    ];
    for (proof, expected) in [element, walk].iter().zip(expected) {
        let bytes = proof.encode(params).unwrap();
        assert!(bytes == expected, "proof");
        assert!(
            FraudProof::decode(params, &bytes).unwrap() == *proof,
            "proof read back"
        );
        assert_eq!(
            check_fraud_proof(params, &seed, &roots, proof),
            Err(FraudError::Correct)
        );
    }
}

#[test]
fn every_first_and_last_place_can_be_opened() {
    for (name, sizes) in &CASES {
        let params = params(sizes);
        let seed = Seed::from_bytes([3; 32]);
        let mut engine = ScalarEngine::default();
        let run = engine.run(&params, &seed).unwrap();
        let edge = [0, params.size - 1];
        let mut draw = Draw {
            elements: Vec::new(),
            walks: Vec::new(),
        };
        for step in 0..params.steps {
            for (row, column) in edge
                .iter()
                .flat_map(|row| edge.map(|column| (*row, column)))
            {
                draw.elements.push(Element { step, row, column });
            }
        }
        for segment in 0..params.reads / 32 {
            draw.walks.extend(
                [0, 31, 32, params.walkers - 1].map(|walker| WalkIndex { walker, segment }),
            );
        }
        let openings = engine.open(&draw).unwrap();
        let roots = Roots {
            root_a: run.root_a,
            root_b: run.root_b,
        };
        assert_eq!(
            check_openings(&params, &seed, &roots, &draw, &openings),
            Ok(()),
            "{name}"
        );
    }
}
