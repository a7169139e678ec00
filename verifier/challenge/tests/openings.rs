//! Every input that is no opening and no proof has its own error, and nothing panics.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use io_challenge::{
    Assembler, Draw, DrawInput, Element, ElementOpening, Engine as _, FRAME_BYTES_MAX,
    FRAUD_PROOF_BYTES_MAX, Flaw, FraudError, FraudProof, Judgement, Lists, Nonce, OpeningError,
    Openings, Params, Part, PartError, Roots, Run, ScalarEngine, Seed, Span, WalkIndex, WalkKey,
    WalkOpening, WireError, check_fraud_proof, check_openings, judge, root_a, root_b,
};
use proptest::prelude::*;

const PARAMS: Params = Params::TEST;
const SEED: Seed = Seed::from_bytes([42; 32]);

/// An honest run with the openings of a draw.
fn honest() -> (Run, Roots, Draw, Openings) {
    let mut engine = ScalarEngine::default();
    let run = engine.run(&PARAMS, &SEED).unwrap();
    let roots = Roots {
        root_a: run.root_a,
        root_b: run.root_b,
    };
    let nonces = [Nonce {
        verifier: [1; 32],
        value: [2; 32],
    }];
    let draw = Draw::derive(
        &PARAMS,
        &DrawInput {
            commit: &[5; 32],
            nonces: &nonces,
            verifier: &[1; 32],
        },
    )
    .unwrap();
    let openings = engine.open(&draw).unwrap();
    (run, roots, draw, openings)
}

#[test]
fn truncated_oversized_and_cut_openings_are_refused() {
    let (_, _, draw, openings) = honest();
    let bytes = openings.encode(&PARAMS, &draw).unwrap();
    let expected = Openings::encoded_length(&PARAMS, &draw).unwrap();
    assert_eq!(u64::try_from(bytes.len()).unwrap(), expected);
    for length in [0, 1, bytes.len() - 1] {
        let got = u64::try_from(length).unwrap();
        assert_eq!(
            Openings::decode(&PARAMS, &draw, &bytes[..length]),
            Err(WireError::Length { expected, got })
        );
    }
    let longer = [bytes.clone(), vec![0]].concat();
    assert_eq!(
        Openings::decode(&PARAMS, &draw, &longer),
        Err(WireError::Length {
            expected,
            got: expected + 1
        })
    );

    let mut assembler = Assembler::new(&PARAMS, &draw).unwrap();
    assert_eq!(assembler.push(&[]), Err(WireError::Frame(0)));
    assert_eq!(
        assembler.push(&vec![0; FRAME_BYTES_MAX + 1]),
        Err(WireError::Frame(FRAME_BYTES_MAX + 1))
    );
    let frames: Vec<_> = Openings::frames(&bytes).collect();
    assert!(frames.len() > 1 && frames.iter().all(|frame| frame.len() <= FRAME_BYTES_MAX));
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(assembler.push(frame), Ok(index + 1 == frames.len()));
    }
    assert_eq!(
        assembler.push(&[0]),
        Err(WireError::Length {
            expected,
            got: expected + 1
        })
    );
    assert!(assembler.into_bytes() == bytes);

    let mut short = openings.clone();
    short.elements[3].result.path.pop();
    assert_eq!(short.encode(&PARAMS, &draw), Err(WireError::Form));
    let mut missing = openings.clone();
    missing.walks.pop();
    assert!(matches!(
        missing.encode(&PARAMS, &draw),
        Err(WireError::Length { .. })
    ));
}

/// Changes the openings and gives the error of the check.
fn refused(change: impl Fn(&mut Openings)) -> OpeningError {
    let (_, roots, draw, mut openings) = honest();
    assert_eq!(
        check_openings(&PARAMS, &SEED, &roots, &draw, &openings),
        Ok(())
    );
    change(&mut openings);
    check_openings(&PARAMS, &SEED, &roots, &draw, &openings).unwrap_err()
}

/// The index of the first drawn element at or after step 2, whose three spans are all opened.
fn late_element(draw: &Draw) -> usize {
    draw.elements
        .iter()
        .position(|element| element.step >= 2)
        .unwrap()
}

fn late_walk(draw: &Draw) -> usize {
    draw.walks
        .iter()
        .position(|walk| walk.segment >= 1)
        .unwrap()
}

#[test]
fn forged_lists_and_counts_are_refused() {
    assert_eq!(refused(|o| o.lists.digests[0][0] ^= 1), OpeningError::RootA);
    assert_eq!(
        refused(|o| o.lists.digests.truncate(5)),
        OpeningError::RootA
    );
    assert_eq!(
        refused(|o| o.lists.segments[1][31] ^= 1),
        OpeningError::RootB
    );
    assert_eq!(
        refused(|o| o.lists.segments.push([0; 32])),
        OpeningError::RootB
    );
    let count = |expected, got| OpeningError::Count { expected, got };
    assert_eq!(refused(|o| o.elements.truncate(127)), count(128, 127));
    assert_eq!(refused(|o| o.walks.truncate(31)), count(32, 31));
}

#[test]
fn a_forged_element_names_the_place_and_the_part() {
    type Change = fn(&mut ElementOpening);
    let cases: [(Change, Part, PartError); 7] = [
        (
            |o| o.left.as_mut().unwrap().bytes[5] ^= 1,
            Part::Left,
            PartError::Root,
        ),
        (
            |o| o.right.as_mut().unwrap().path[0][5] ^= 1,
            Part::Right,
            PartError::Root,
        ),
        (|o| o.result.bytes[1023] ^= 1, Part::Result, PartError::Root),
        (|o| o.left = None, Part::Left, PartError::Missing),
        (|o| o.right = None, Part::Right, PartError::Missing),
        (
            |o| o.result.bytes.truncate(1023),
            Part::Result,
            PartError::Bytes {
                expected: 1024,
                got: 1023,
            },
        ),
        (
            |o| o.result.path.push([0; 32]),
            Part::Result,
            PartError::Path {
                expected: 6,
                got: 7,
            },
        ),
    ];
    let (_, _, draw, _) = honest();
    let index = late_element(&draw);
    for (change, part, error) in cases {
        let flaw = Flaw::Part { part, error };
        let expected = OpeningError::Element {
            index,
            element: draw.elements[index],
            flaw,
        };
        assert_eq!(
            refused(|openings| change(&mut openings.elements[index])),
            expected
        );
    }
}

#[test]
fn a_forged_walk_names_the_place_and_the_part() {
    type Change = fn(&mut WalkOpening);
    let cases: [(Change, Part, PartError); 7] = [
        (
            |o| o.start.as_mut().unwrap().bytes[0] ^= 1,
            Part::Start,
            PartError::Root,
        ),
        (|o| o.start = None, Part::Start, PartError::Missing),
        (
            |o| o.lines[31].bytes[0] ^= 1,
            Part::Line(31),
            PartError::Root,
        ),
        (|o| o.lines.swap(0, 1), Part::Line(0), PartError::Root),
        (|o| o.lines.truncate(31), Part::Line(31), PartError::Missing),
        (
            |o| o.lines.push(o.lines[0].clone()),
            Part::Line(32),
            PartError::Unexpected,
        ),
        (|o| o.end.bytes[40] ^= 1, Part::End, PartError::Root),
    ];
    let (_, _, draw, _) = honest();
    let index = late_walk(&draw);
    for (change, part, error) in cases {
        let flaw = Flaw::Part { part, error };
        let expected = OpeningError::Walk {
            index,
            walk: draw.walks[index],
            flaw,
        };
        assert_eq!(
            refused(|openings| change(&mut openings.walks[index])),
            expected
        );
    }
}

#[test]
fn spans_that_come_from_the_seed_must_not_be_opened() {
    let (_, roots, draw, openings) = honest();
    let extra = || {
        Some(Span {
            bytes: vec![0; 1024],
            path: vec![[0; 32]; 6],
        })
    };
    let flaw_of =
        |changed: &Openings| check_openings(&PARAMS, &SEED, &roots, &draw, changed).unwrap_err();
    let first = draw
        .elements
        .iter()
        .position(|element| element.step == 0)
        .unwrap();
    let mut changed = openings.clone();
    changed.elements[first].left = extra();
    let flaw = Flaw::Part {
        part: Part::Left,
        error: PartError::Unexpected,
    };
    assert_eq!(
        flaw_of(&changed),
        OpeningError::Element {
            index: first,
            element: draw.elements[first],
            flaw
        }
    );
    let first = draw
        .walks
        .iter()
        .position(|walk| walk.segment == 0)
        .unwrap();
    let mut changed = openings;
    changed.walks[first].start = extra();
    let flaw = Flaw::Part {
        part: Part::Start,
        error: PartError::Unexpected,
    };
    assert_eq!(
        flaw_of(&changed),
        OpeningError::Walk {
            index: first,
            walk: draw.walks[first],
            flaw
        }
    );
}

/// The proofs of one element and one walk of an honest run, with every span opened.
fn honest_proofs() -> (Roots, FraudProof, FraudProof) {
    let (run, roots, draw, openings) = honest();
    let at = late_element(&draw);
    let element =
        FraudProof::of_element(&run.lists, draw.elements[at], openings.elements[at].clone());
    let at = late_walk(&draw);
    let (shape, key) = (PARAMS.shape().unwrap(), WalkKey::derive(&SEED, &run.root_a));
    let walk = FraudProof::of_walk(
        &shape,
        &key,
        &run.lists,
        draw.walks[at],
        openings.walks[at].clone(),
    );
    (roots, element, walk)
}

#[test]
fn a_proof_against_a_right_answer_is_refused() {
    let (roots, element, walk) = honest_proofs();
    for proof in [element, walk] {
        assert_eq!(
            judge(&PARAMS, &SEED, &roots, &proof),
            Ok(Judgement::Correct)
        );
        assert_eq!(
            check_fraud_proof(&PARAMS, &SEED, &roots, &proof),
            Err(FraudError::Correct)
        );
    }
}

#[test]
fn a_proof_of_wrong_shape_is_refused_before_it_is_judged() {
    let (_, element, walk) = honest_proofs();
    assert_eq!(FraudProof::decode(&PARAMS, &[]), Err(WireError::Kind(None)));
    assert_eq!(
        FraudProof::decode(&PARAMS, &[2]),
        Err(WireError::Kind(Some(2)))
    );
    for (proof, header) in [(element, 13), (walk, 9)] {
        let bytes = proof.encode(&PARAMS).unwrap();
        let expected = u64::try_from(bytes.len()).unwrap();
        assert_eq!(FraudProof::decode(&PARAMS, &bytes).as_ref(), Ok(&proof));
        for got in [header, bytes.len() - 32, bytes.len() - 1] {
            let refused = FraudProof::decode(&PARAMS, &bytes[..got]);
            assert_eq!(
                refused,
                Err(WireError::Length {
                    expected,
                    got: u64::try_from(got).unwrap()
                })
            );
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        let refused = FraudProof::decode(&PARAMS, &longer);
        assert_eq!(
            refused,
            Err(WireError::Length {
                expected,
                got: expected + 1
            })
        );
        let mut outside = bytes;
        outside[4] = 0xff;
        assert!(matches!(
            FraudProof::decode(&PARAMS, &outside),
            Err(WireError::Place(_))
        ));
    }
}

#[test]
fn a_proof_with_a_path_of_wrong_length_cannot_be_encoded_or_judged() {
    let (roots, element, walk) = honest_proofs();
    let FraudProof::Element {
        element,
        opening,
        mut paths,
    } = element
    else {
        panic!("an element was asked for")
    };
    paths[2].pop();
    let proof = FraudProof::Element {
        element,
        opening,
        paths,
    };
    assert_eq!(proof.encode(&PARAMS), Err(WireError::Form));
    let flaw = Flaw::Part {
        part: Part::Result,
        error: PartError::Path {
            expected: 3,
            got: 2,
        },
    };
    assert_eq!(
        check_fraud_proof(&PARAMS, &SEED, &roots, &proof),
        Err(FraudError::Flaw(flaw))
    );

    let FraudProof::Walk {
        walk,
        opening,
        start_path,
        mut line_paths,
        end_path,
    } = walk
    else {
        panic!("a walk was asked for")
    };
    line_paths[7].push([0; 32]);
    let proof = FraudProof::Walk {
        walk,
        opening,
        start_path,
        line_paths,
        end_path,
    };
    assert_eq!(proof.encode(&PARAMS), Err(WireError::Form));
    let flaw = Flaw::Part {
        part: Part::Line(7),
        error: PartError::Path {
            expected: 3,
            got: 4,
        },
    };
    assert_eq!(
        check_fraud_proof(&PARAMS, &SEED, &roots, &proof),
        Err(FraudError::Flaw(flaw))
    );
}

#[test]
fn the_longest_proof_of_any_parameters_fits_its_bound() {
    let largest = Params {
        size: 32_768,
        kept: 4096,
        steps: 4096,
        walkers: 1 << 20,
        reads: 262_144,
        ..PARAMS
    };
    let shape = largest.shape().unwrap();
    let depth = |count: u32| usize::try_from(count).unwrap();
    let span = |bytes: u64, levels: u32| Span {
        bytes: vec![0; usize::try_from(bytes).unwrap()],
        path: vec![[0; 32]; depth(levels)],
    };
    let path = vec![[0; 32]; depth(shape.steps_depth())];
    let row = span(shape.row_span(), shape.row_depth());
    let chunk = span(1024, shape.chunk_depth());
    let element = FraudProof::Element {
        element: Element {
            step: 4095,
            row: 1,
            column: 2,
        },
        opening: ElementOpening {
            left: Some(row.clone()),
            right: Some(row),
            result: chunk.clone(),
        },
        paths: [path.clone(), path.clone(), path.clone()],
    };
    let table = span(1024, shape.table_depth());
    let table_path = vec![[0; 32]; depth(shape.segments_depth())];
    let walk = FraudProof::Walk {
        walk: WalkIndex {
            walker: 1,
            segment: 8191,
        },
        opening: WalkOpening {
            start: Some(table.clone()),
            lines: vec![chunk; 32],
            end: table,
        },
        start_path: table_path.clone(),
        line_paths: vec![path; 32],
        end_path: table_path,
    };
    let lengths = [element, walk].map(|proof| proof.encode(&largest).unwrap().len());
    assert_eq!(lengths, [69_325, 69_385]);
    assert!(
        lengths
            .iter()
            .all(|length| *length <= FRAUD_PROOF_BYTES_MAX)
    );
}

#[test]
fn a_wrong_list_with_the_right_root_cannot_be_made_from_the_other_list() {
    let digests = [[1; 32], [2; 32], [3; 32]];
    assert_ne!(root_a(&digests), root_b(&digests));
    // Zeros at the end are not padding: the length is part of the root.
    assert_ne!(
        root_a(&digests),
        root_a(&[[1; 32], [2; 32], [3; 32], [0; 32]])
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn bytes_that_decode_encode_to_themselves(kind in 0_u8..2, tail in proptest::collection::vec(any::<u8>(), 0..64)) {
        let (_, element, walk) = honest_proofs();
        let mut bytes = if kind == 0 { element } else { walk }.encode(&PARAMS).unwrap();
        // Places inside of the challenge, everything else at random.
        let header = if kind == 0 { 13 } else { 9 };
        for (index, byte) in tail.iter().enumerate() {
            let at = header + index * 61 % (bytes.len() - header);
            bytes[at] = *byte;
        }
        let proof = FraudProof::decode(&PARAMS, &bytes).unwrap();
        prop_assert_eq!(proof.encode(&PARAMS).unwrap(), bytes);
    }

    #[test]
    fn no_change_of_one_byte_makes_a_proof_against_a_right_answer(kind in 0_u8..2, at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (roots, element, walk) = honest_proofs();
        let mut bytes = if kind == 0 { element } else { walk }.encode(&PARAMS).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let outcome = FraudProof::decode(&PARAMS, &bytes).map(|proof| check_fraud_proof(&PARAMS, &SEED, &roots, &proof));
        let accepted = matches!(outcome, Ok(Ok(_)));
        prop_assert!(!accepted);
    }

    #[test]
    fn no_parameters_and_no_bytes_make_a_panic(params in any::<[u8; Params::BYTES]>(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut params = Params::from_bytes(&params);
        prop_assert!(FraudProof::decode(&params, &bytes).is_err());
        params.version = 1;
        prop_assert!(FraudProof::decode(&params, &bytes).is_err());
        prop_assert!(FraudProof::decode(&PARAMS, &bytes).is_err());
        let lists = Lists::default();
        let none = Roots { root_a: [0; 32], root_b: [0; 32] };
        prop_assert_eq!(lists.check(&PARAMS.shape().unwrap(), &none), Err(OpeningError::RootA));
    }
}
