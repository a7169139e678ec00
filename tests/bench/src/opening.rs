//! What a verifier does with the openings of one challenge.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use io_challenge::{
    Draw, DrawInput, EngineError, Flaw, FraudProof, Lists, Nonce, Openings, Params, Roots, Seed,
    SeedMatrix, Shape, Source, Span, SpanKey, TableKey, Tree, WalkKey, check_element,
    check_fraud_proof, check_walk, open_from, root_a, root_b,
};

use crate::line::{Bar, Line, figure};
use crate::setup::{Setup, best};

const SEED: Seed = Seed::from_bytes([7; 32]);

/// Bytes with the tree that a matrix or a table has.
struct Sample {
    bytes: Vec<u8>,
    tree: Tree,
}

impl Sample {
    fn new(length: usize) -> Self {
        let mut bytes = vec![0; length];
        SEED.expand(SeedMatrix::Newer, 0, &mut bytes);
        let tree = Tree::of(0, &bytes);
        Self { bytes, tree }
    }

    fn span(&self, offset: u64, length: u64) -> Span {
        let level = (length / 1024).trailing_zeros();
        Span {
            bytes: self.bytes[offset as usize..(offset + length) as usize].to_vec(),
            path: self.tree.path(level, offset / length),
        }
    }
}

/// Stands for a whole run: one random matrix for each step, one random table for each segment. Every path is right, so a
/// check does all of its work on each place and only the comparison at the very end fails.
struct Samples {
    matrix: Sample,
    table: Sample,
}

impl Source for Samples {
    fn spans(
        &mut self,
        wanted: &BTreeSet<SpanKey>,
    ) -> Result<BTreeMap<SpanKey, Span>, EngineError> {
        Ok(wanted
            .iter()
            .map(|key| (*key, self.matrix.span(key.offset, key.bytes)))
            .collect())
    }

    fn tables(
        &mut self,
        wanted: &BTreeSet<TableKey>,
    ) -> Result<BTreeMap<TableKey, Span>, EngineError> {
        Ok(wanted
            .iter()
            .map(|key| (*key, self.table.span(u64::from(key.chunk) * 1024, 1024)))
            .collect())
    }
}

/// One challenge with its openings.
struct Case {
    params: Params,
    shape: Shape,
    lists: Lists,
    roots: Roots,
    key: WalkKey,
    draw: Draw,
    openings: Openings,
}

impl Case {
    fn new(setup: &Setup, params: Params) -> anyhow::Result<Self> {
        let shape = params.shape().context("these sizes are no challenge")?;
        setup.say("a matrix and a table");
        let mut samples = Samples {
            matrix: Sample::new(shape.matrix_bytes() as usize),
            table: Sample::new(shape.table_bytes() as usize),
        };
        let root = |tree: &Tree| tree.root().context("a tree of no leaf");
        let lists = Lists {
            digests: vec![root(&samples.matrix.tree)?; params.steps as usize],
            segments: vec![root(&samples.table.tree)?; shape.segments() as usize],
        };
        let roots = Roots {
            root_a: root_a(&lists.digests),
            root_b: root_b(&lists.segments),
        };
        let key = WalkKey::derive(&SEED, &roots.root_a);
        let nonces = [Nonce {
            verifier: [1; 32],
            value: [2; 32],
        }];
        let input = DrawInput {
            commit: &roots.root_b,
            nonces: &nonces,
            verifier: &[1; 32],
        };
        let draw = Draw::derive(&params, &input)?;
        let openings = open_from(&shape, &key, lists.clone(), &draw, &mut samples)?;
        Ok(Self {
            params,
            shape,
            lists,
            roots,
            key,
            draw,
            openings,
        })
    }
}

/// The check of one verifier at the sizes of an H200 and the proofs of fraud that may come of it, on one core.
pub fn lines(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    // Memory of an H200, MiB; of a card that a test can fill.
    let (size, memory) = setup.pick((32_768, 143_771 << 20), (1_024, 64 << 20));
    let case = Case::new(setup, Params::for_memory(0, size, memory, 1 << 18))?;
    let mut lines = vec![check(setup, &case)?];
    lines.extend(frauds(setup, &case)?);
    Ok(lines)
}

fn check(setup: &Setup, case: &Case) -> anyhow::Result<Line> {
    let Case {
        params,
        shape,
        lists,
        roots,
        key,
        draw,
        openings,
    } = case;
    let bytes = openings.encode(params, draw)?;
    let (mut elements, mut walks) = (0, 0);
    setup.say("checks");
    let took = best(setup.pick(21, 2), || {
        let openings = Openings::decode(params, draw, &bytes).expect("it was encoded above");
        openings
            .lists
            .check(shape, roots)
            .expect("the roots are of these lists");
        let pairs = draw.elements.iter().zip(&openings.elements);
        let flaws =
            pairs.map(|(element, opening)| check_element(shape, &SEED, lists, *element, opening));
        elements = flaws
            .filter(|flaw| matches!(flaw, Err(Flaw::Element { .. })))
            .count();
        let pairs = draw.walks.iter().zip(&openings.walks);
        let flaws = pairs.map(|(walk, opening)| check_walk(shape, key, lists, *walk, opening));
        walks = flaws
            .filter(|flaw| matches!(flaw, Err(Flaw::State { .. })))
            .count();
    });
    // One random element in 256 is right by chance; every other place was followed to its last comparison.
    ensure!(
        elements * 100 >= draw.elements.len() * 90 && walks == draw.walks.len(),
        "{elements} elements and {walks} walks were followed to their end, of {} and {}",
        draw.elements.len(),
        draw.walks.len()
    );
    Ok(Line::measured(
        "opening",
        format!(
            "opening check of one verifier, N = {}, {} bytes, one core; the limit is the bar itself",
            params.size,
            bytes.len()
        ),
        figure(took.as_secs_f64() * 1e3, "ms"),
        figure(50.0, "ms"),
        Bar::AtMost(50.0),
    ))
}

/// What a node of the chain does with the proof that an element, or a walk, is wrong.
fn frauds(setup: &Setup, case: &Case) -> anyhow::Result<[Line; 2]> {
    let Case {
        params,
        shape,
        lists,
        roots,
        key,
        draw,
        openings,
    } = case;
    setup.say("proofs of fraud");
    // Neither of a seed matrix nor of the first segment, since less is proven there; one random element in 256 is right by chance.
    let at = draw
        .elements
        .iter()
        .zip(&openings.elements)
        .position(|(element, opening)| {
            element.step >= 2 && check_element(shape, &SEED, lists, *element, opening).is_err()
        });
    let at = at.context("no wrong element of a product was drawn")?;
    let of_element =
        FraudProof::of_element(lists, draw.elements[at], openings.elements[at].clone());
    let at = draw.walks.iter().position(|walk| walk.segment >= 1);
    let at = at.context("no walk behind the first segment was drawn")?;
    let of_walk = FraudProof::of_walk(
        shape,
        key,
        lists,
        draw.walks[at],
        openings.walks[at].clone(),
    );
    let line = |name: &str, what: &str, proof: &FraudProof| -> anyhow::Result<Line> {
        let bytes = proof.encode(params)?;
        let took = best(setup.pick(101, 2), || {
            let proof = FraudProof::decode(params, &bytes).expect("it was encoded above");
            check_fraud_proof(params, &SEED, roots, &proof).expect("a flaw is there")
        });
        Ok(Line::measured(
            name,
            format!(
                "proof that {what} is wrong, N = {}, {} bytes, decoded and judged, one core; the limit is the bar itself",
                params.size,
                bytes.len()
            ),
            figure(took.as_secs_f64() * 1e3, "ms"),
            figure(2.0, "ms"),
            Bar::AtMost(2.0),
        ))
    };
    Ok([
        line("opening/element-fraud", "an element", &of_element)?,
        line("opening/walk-fraud", "a walk", &of_walk)?,
    ])
}
