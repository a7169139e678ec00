//! Each way to cheat runs here, and is caught with the probability or by the time that the design computes.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    clippy::disallowed_types,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "probabilities are floats, and a test may stop at the first surprise"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use io_challenge::{
    Digest, Draw, DrawInput, Engine, EngineError, Fill, Flaw, Fraud, FraudProof, HostEngine,
    Kernels, Nonce, OpeningError, Params, ParamsError, Requantiser, Roots, Run, SEGMENT_READS,
    ScalarEngine, Seed, SeedInput, State, WalkKey, check_fraud_proof, check_openings,
    multiply_rows,
};

const PARAMS: Params = Params::TEST;
const SEED: Seed = Seed::from_bytes([77; 32]);

fn draw(params: &Params, commit: u64, verifier: u8) -> Draw {
    let nonces = [Nonce {
        verifier: [1; 32],
        value: [2; 32],
    }];
    let commit = *blake3::hash(&commit.to_le_bytes()).as_bytes();
    Draw::derive(
        params,
        &DrawInput {
            commit: &commit,
            nonces: &nonces,
            verifier: &[verifier; 32],
        },
    )
    .unwrap()
}

fn roots(run: &Run) -> Roots {
    Roots {
        root_a: run.root_a,
        root_b: run.root_b,
    }
}

/// Skips the last columns of every product and writes a byte that costs nothing.
struct Skipping {
    columns: usize,
}

impl Kernels for Skipping {
    fn name(&self) -> &'static str {
        "skips part of phase A"
    }

    fn multiply(
        &self,
        size: usize,
        requantiser: &Requantiser,
        newer: &[u8],
        older: &[u8],
        out: &mut [u8],
    ) {
        multiply_rows(size, requantiser, newer, older, out);
        for row in out.chunks_exact_mut(size) {
            for byte in &mut row[size - self.columns..] {
                // One off is wrong everywhere, so that the expected probability is exact.
                *byte ^= 1;
            }
        }
    }
}

#[test]
fn skipping_two_percent_of_phase_a_is_caught_as_often_as_computed() {
    // 5 of 256 columns are 1.95 %.
    let columns = 5;
    let mut prover = HostEngine::new(Skipping { columns });
    let run = prover.run(&PARAMS, &SEED).unwrap();
    let skipped = 256 - columns as u32;
    let mut caught = 0;
    let draws = 4000;
    for commit in 0..draws {
        let draw = draw(&PARAMS, commit, 1);
        let first = draw
            .elements
            .iter()
            .position(|element| element.column >= skipped);
        caught += u64::from(first.is_some());
        if commit < 40 {
            // The check finds exactly the first skipped element of the draw, and finds nothing else.
            let openings = prover.open(&draw).unwrap();
            let outcome = check_openings(&PARAMS, &SEED, &roots(&run), &draw, &openings);
            let Some(first) = first else {
                assert_eq!(outcome, Ok(()));
                continue;
            };
            let Err(OpeningError::Element {
                index,
                element,
                flaw: Flaw::Element { committed, correct },
            }) = outcome
            else {
                panic!("{outcome:?}");
            };
            assert_eq!(
                (index, element, committed),
                (first, draw.elements[first], correct ^ 1)
            );
            let proof =
                FraudProof::of_element(&run.lists, element, openings.elements[first].clone());
            let proof = FraudProof::decode(&PARAMS, &proof.encode(&PARAMS).unwrap()).unwrap();
            let fraud = check_fraud_proof(&PARAMS, &SEED, &roots(&run), &proof);
            assert_eq!(
                fraud,
                Ok(Fraud::Element {
                    element,
                    committed,
                    correct
                })
            );
        }
    }
    let missed = (251.0_f64 / 256.0).powi(128);
    let rate = caught as f64 / draws as f64;
    // Four standard deviations of the measured rate.
    let spread = 4.0 * (missed * (1.0 - missed) / draws as f64).sqrt();
    assert!(
        (rate - (1.0 - missed)).abs() < spread,
        "caught {rate}, computed {}",
        1.0 - missed
    );
    // Five verifiers, 640 elements: less than one in 200 000 goes through, as for 2 % in the design.
    assert!(missed.powi(5) < 5e-6, "{}", missed.powi(5));
}

#[test]
fn one_quorum_catches_two_percent_every_time_it_is_tried() {
    for commit in 0..500 {
        let found = (1..=5_u8).any(|verifier| {
            draw(&PARAMS, commit, verifier)
                .elements
                .iter()
                .any(|element| element.column >= 251)
        });
        assert!(found, "commit {commit}");
    }
}

/// Does not take part of the reads of phase B: absorbs zeros instead of a line that is not held.
struct Faking {
    held_lines: u64,
}

impl Kernels for Faking {
    fn name(&self) -> &'static str {
        "reads zeros where it holds nothing"
    }

    fn advance(&self, fill: &Fill<'_>, table: &mut [u8]) {
        let (states, _) = table.as_chunks_mut::<32>();
        for bytes in states {
            let mut state = State::from_bytes(bytes);
            for _ in 0..SEGMENT_READS {
                let line = state.line(fill.lines());
                let held = if line < self.held_lines {
                    fill.line(line).unwrap()
                } else {
                    &[0; 128]
                };
                state.absorb(held);
            }
            *bytes = state.to_bytes();
        }
    }
}

#[test]
fn faking_the_reads_of_ten_percent_of_the_fill_is_caught_and_proven() {
    let lines = PARAMS.shape().unwrap().lines();
    let mut prover = HostEngine::new(Faking {
        held_lines: lines * 9 / 10,
    });
    let run = prover.run(&PARAMS, &SEED).unwrap();
    let draw = draw(&PARAMS, 0, 1);
    let openings = prover.open(&draw).unwrap();
    let outcome = check_openings(&PARAMS, &SEED, &roots(&run), &draw, &openings);
    let Err(OpeningError::Walk { index, walk, flaw }) = outcome else {
        panic!("{outcome:?}")
    };
    let Flaw::State { committed, correct } = flaw else {
        panic!("{flaw}")
    };
    // A segment has 32 reads: all but 3.4 % of them touch what is not held, so the first or second opening shows it.
    assert!(index < 4, "{index}");
    let (shape, key) = (PARAMS.shape().unwrap(), WalkKey::derive(&SEED, &run.root_a));
    let proof = FraudProof::of_walk(
        &shape,
        &key,
        &run.lists,
        walk,
        openings.walks[index].clone(),
    );
    let proof = FraudProof::decode(&PARAMS, &proof.encode(&PARAMS).unwrap()).unwrap();
    let fraud = check_fraud_proof(&PARAMS, &SEED, &roots(&run), &proof);
    assert_eq!(
        fraud,
        Ok(Fraud::Walk {
            walk,
            committed,
            correct
        })
    );
}

/// Counts the reads that fall on lines which a cheater keeps elsewhere. The answer stays right; only time tells.
struct Counting {
    held_lines: u64,
    missing: AtomicU64,
}

impl Kernels for &Counting {
    fn name(&self) -> &'static str {
        "gets part of the fill from elsewhere"
    }

    fn advance(&self, fill: &Fill<'_>, table: &mut [u8]) {
        let (states, _) = table.as_chunks_mut::<32>();
        for bytes in states {
            let mut state = State::from_bytes(bytes);
            for _ in 0..SEGMENT_READS {
                let line = state.line(fill.lines());
                self.missing
                    .fetch_add(u64::from(line >= self.held_lines), Ordering::Relaxed);
                state.absorb(fill.line(line).unwrap());
            }
            *bytes = state.to_bytes();
        }
    }
}

/// One row of the design's table at N = 32768: int8 peak in 10^12 operations a second, K, reference times in ms.
struct Card {
    name: &'static str,
    peak: u64,
    kept: u64,
    a_ms: u64,
    b_ms: u64,
    memory_mib: u64,
}

const CARDS: [Card; 7] = [
    Card {
        name: "RTX 3090",
        peak: 284,
        kept: 21,
        a_ms: 6120,
        b_ms: 1280,
        memory_mib: 24_576,
    },
    Card {
        name: "RTX 4090",
        peak: 660,
        kept: 21,
        a_ms: 2630,
        b_ms: 1190,
        memory_mib: 24_564,
    },
    Card {
        name: "RTX A6000",
        peak: 309,
        kept: 43,
        a_ms: 12_200,
        b_ms: 3210,
        memory_mib: 49_140,
    },
    Card {
        name: "A100-40",
        peak: 624,
        kept: 36,
        a_ms: 5070,
        b_ms: 1330,
        memory_mib: 40_960,
    },
    Card {
        name: "A100-80",
        peak: 624,
        kept: 72,
        a_ms: 10_200,
        b_ms: 2020,
        memory_mib: 81_920,
    },
    Card {
        name: "H100",
        peak: 1979,
        kept: 71,
        a_ms: 3370,
        b_ms: 1210,
        memory_mib: 81_559,
    },
    Card {
        name: "H200",
        peak: 1979,
        kept: 126,
        a_ms: 5970,
        b_ms: 1500,
        memory_mib: 143_771,
    },
];

impl Card {
    fn a_limit(&self) -> u64 {
        self.a_ms * 120 / 100 + 500
    }

    fn b_limit(&self) -> u64 {
        self.b_ms * 125 / 100 + 500
    }

    /// Reads of a pulse: 32 for each line of 128 bytes.
    fn reads(&self) -> u64 {
        self.kept * (1 << 30) / 128 * 32
    }
}

/// The share of reads that miss, in parts of a million, by running the cheat.
fn missing_share(held_tenths: u64) -> u64 {
    let params = Params {
        reads: 2048,
        ..PARAMS
    };
    let lines = params.shape().unwrap().lines();
    let counting = Counting {
        held_lines: lines * held_tenths / 10,
        missing: AtomicU64::new(0),
    };
    let mut cheater = HostEngine::new(&counting);
    let mut honest = ScalarEngine::default();
    assert_eq!(
        cheater.run(&params, &SEED).unwrap(),
        honest.run(&params, &SEED).unwrap(),
        "only time tells"
    );
    let reads = u64::from(params.reads) * u64::from(params.walkers);
    counting.missing.load(Ordering::Relaxed) * 1_000_000 / reads
}

#[test]
fn recomputing_ten_percent_of_the_fill_on_demand_breaks_the_bound_of_phase_b() {
    let share = missing_share(9);
    assert!(
        (97_000..104_000).contains(&share),
        "{share} of a million reads miss"
    );
    for card in &CARDS {
        // A line of 128 bytes is 128 products of 32768 pairs, two operations each, here at the datasheet's peak.
        let operations = card.reads() / 1_000_000 * share * 128 * 2 * 32_768;
        let extra_ms = operations / (card.peak * 1_000_000_000);
        assert!(
            card.b_ms + extra_ms > card.b_limit(),
            "{}: {extra_ms} ms more",
            card.name
        );
        // With time to spare: the bound still holds when a twentieth of that much is missing.
        assert!(
            extra_ms > 5 * (card.b_limit() - card.b_ms),
            "{}: {extra_ms} ms more",
            card.name
        );
    }
}

#[test]
fn streaming_ten_percent_of_the_fill_from_host_memory_breaks_the_bound_of_phase_b() {
    let share = missing_share(9);
    for card in &CARDS {
        for gigabytes in [25, 55] {
            let bytes = card.reads() / 1_000_000 * share * 128;
            let extra_ms = bytes / (gigabytes * 1_000_000);
            assert!(
                card.b_ms + extra_ms > card.b_limit(),
                "{} at {gigabytes} GB/s: {extra_ms} ms",
                card.name
            );
        }
        // Streaming all of it is not close.
        let all_ms = card.reads() * 128 / (55 * 1_000_000);
        assert!(all_ms > 5 * card.b_limit(), "{}: {all_ms} ms", card.name);
    }
}

#[test]
fn two_identities_on_one_card_fit_neither_time_nor_memory() {
    for card in &CARDS {
        // One after the other: the second answer's phase A ends after both of the first's phases.
        let second_a = card.a_ms + card.b_ms + card.a_ms;
        assert!(second_a > card.a_limit(), "{}: {second_a} ms", card.name);
        // Side by side: both phases take twice as long.
        assert!(2 * card.a_ms > card.a_limit(), "{}", card.name);
        // Two fills do not fit; the second drives out the first before it is opened.
        assert!(2 * card.kept * 1024 > card.memory_mib, "{}", card.name);
    }

    // Run: the card answers for device 1, then for device 2, and has lost the first when it is asked to open it.
    let nonces = [Nonce {
        verifier: [1; 32],
        value: [2; 32],
    }];
    let seed = |device| {
        let input = SeedInput {
            beacon: &[3; 32],
            nonces: &nonces,
            supplier: &[4; 32],
            device,
            processor: 0,
            params: &PARAMS,
        };
        Seed::derive(&input).unwrap()
    };
    let mut card = ScalarEngine::default();
    let first = card.run(&PARAMS, &seed(1)).unwrap();
    let second = card.run(&PARAMS, &seed(2)).unwrap();
    let draw = draw(&PARAMS, 9, 1);
    let openings = card.open(&draw).unwrap();
    assert_eq!(
        check_openings(&PARAMS, &seed(2), &roots(&second), &draw, &openings),
        Ok(())
    );
    let outcome = check_openings(&PARAMS, &seed(1), &roots(&first), &draw, &openings);
    assert_eq!(outcome, Err(OpeningError::RootA));
    card.release();
    assert!(matches!(card.open(&draw), Err(EngineError::NotFilled)));
}

/// An answer made for one seed and parameters, judged under others.
fn reused(params: &Params, seed: &Seed) -> OpeningError {
    let mut prover = ScalarEngine::default();
    let run = prover.run(&PARAMS, &SEED).unwrap();
    let made_for = draw(&PARAMS, 5, 1);
    let openings = prover.open(&made_for).unwrap();
    // The commit does not change with the judge's parameters, so the cheater even gets the places he opened.
    check_openings(params, seed, &roots(&run), &made_for, &openings).unwrap_err()
}

#[test]
fn an_answer_for_another_seed_device_size_or_version_never_passes() {
    // Another seed, which another beacon, nonce, device or processor makes: the first element is already wrong, or was
    // opened against rows that the seed gives differently.
    for byte in 0..32 {
        let mut other = *SEED.as_bytes();
        other[byte] ^= 1;
        let error = reused(&PARAMS, &Seed::from_bytes(other));
        let OpeningError::Element {
            index,
            flaw: Flaw::Element { .. },
            ..
        } = error
        else {
            panic!("{error}")
        };
        // An element is right by chance once in 256.
        assert!(index <= 3, "{index}");
    }
    let larger = reused(
        &Params {
            size: 512,
            ..PARAMS
        },
        &SEED,
    );
    assert!(
        matches!(
            larger,
            OpeningError::Element {
                index: 0,
                flaw: Flaw::Part { .. },
                ..
            }
        ),
        "{larger}"
    );
    assert_eq!(
        reused(
            &Params {
                kept: 7,
                steps: 7,
                ..PARAMS
            },
            &SEED
        ),
        OpeningError::RootA
    );
    assert_eq!(
        reused(
            &Params {
                reads: 160,
                ..PARAMS
            },
            &SEED
        ),
        OpeningError::RootB
    );
    let version = reused(
        &Params {
            version: 2,
            ..PARAMS
        },
        &SEED,
    );
    assert_eq!(version, OpeningError::Params(ParamsError::Version(2)));
}

#[test]
fn openings_prepared_before_the_commit_do_not_fit_the_draw_after_it() {
    let mut prover = ScalarEngine::default();
    let run = prover.run(&PARAMS, &SEED).unwrap();
    let (guessed, drawn) = (draw(&PARAMS, 1, 1), draw(&PARAMS, 2, 1));
    let openings = prover.open(&guessed).unwrap();
    let error = check_openings(&PARAMS, &SEED, &roots(&run), &drawn, &openings).unwrap_err();
    let OpeningError::Element {
        flaw: Flaw::Part { .. },
        ..
    } = error
    else {
        panic!("{error}")
    };
}

#[test]
fn a_line_cannot_be_kept_in_fewer_bytes() {
    // Every bit of a line moves about half of the state, and no two words of a line can stand for each other.
    let base = State::from_bytes(&[0x5a; 32]);
    let line: [u8; 128] = std::array::from_fn(|index| (index * 37 % 251) as u8);
    let after = |line: &[u8; 128]| {
        let mut state = base;
        state.absorb(line);
        state.to_bytes()
    };
    let reference: Digest = after(&line);
    let mut fewest = 256;
    for bit in 0..1024 {
        let mut changed = line;
        changed[bit / 8] ^= 1 << (bit % 8);
        let different = after(&changed)
            .iter()
            .zip(reference)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum::<u32>();
        fewest = fewest.min(different);
    }
    assert!(
        fewest >= 64,
        "a bit of the line moves only {fewest} of 256 bits of the state"
    );
}
