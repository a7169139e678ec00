//! Openings against the committed roots; a wrong element or walker step becomes a fraud proof.

use io_challenge::{
    Digest, Draw, Engine, Flaw, FraudProof, OpeningError, Openings, Roots, Seed, WalkKey,
    check_openings,
};

use crate::terms::Terms;

/// What the openings of one processor show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Every opened place is right.
    Right {
        /// Whether phase A was replayed to its end as well.
        replayed: bool,
    },
    /// They do not open what was committed.
    Wrong(String),
    /// The prover committed to something wrong, and this proves it.
    Fraud {
        /// What is wrong.
        why: String,
        /// The proof's canonical bytes.
        proof: Vec<u8>,
    },
}

/// Checks the openings of one processor; replays phase A on `replay` if one is given.
pub fn check(
    terms: &Terms,
    seed: &Seed,
    roots: &Roots,
    draw: &Draw,
    bytes: &[u8],
    replay: Option<&mut dyn Engine>,
) -> Finding {
    let openings = match Openings::decode(&terms.params, draw, bytes) {
        Ok(openings) => openings,
        Err(error) => return Finding::Wrong(error.to_string()),
    };
    if let Err(error) = check_openings(&terms.params, seed, roots, draw, &openings) {
        return wrong(terms, seed, roots, &openings, &error);
    }
    match replay {
        None => Finding::Right { replayed: false },
        Some(engine) => compare(terms, seed, &openings.lists.digests, engine),
    }
}

fn wrong(
    terms: &Terms,
    seed: &Seed,
    roots: &Roots,
    openings: &Openings,
    error: &OpeningError,
) -> Finding {
    let why = error.to_string();
    match proof(terms, seed, roots, openings, error) {
        Some(proof) => match proof.encode(&terms.params) {
            Ok(proof) => Finding::Fraud { why, proof },
            Err(unfit) => Finding::Wrong(format!("{why}; it makes no proof: {unfit}")),
        },
        None => Finding::Wrong(why),
    }
}

/// The proof of a wrong element or state. Spans that cannot be used prove nothing.
fn proof(
    terms: &Terms,
    seed: &Seed,
    roots: &Roots,
    openings: &Openings,
    error: &OpeningError,
) -> Option<FraudProof> {
    match *error {
        OpeningError::Element {
            index,
            element,
            flaw: Flaw::Element { .. },
        } => {
            let opening = openings.elements.get(index)?.clone();
            Some(FraudProof::of_element(&openings.lists, element, opening))
        }
        OpeningError::Walk {
            index,
            walk,
            flaw: Flaw::State { .. },
        } => {
            let opening = openings.walks.get(index)?.clone();
            let shape = terms.params.shape().ok()?;
            let key = WalkKey::derive(seed, &roots.root_a);
            Some(FraudProof::of_walk(
                &shape,
                &key,
                &openings.lists,
                walk,
                opening,
            ))
        }
        OpeningError::Element { .. }
        | OpeningError::Walk { .. }
        | OpeningError::Params(_)
        | OpeningError::RootA
        | OpeningError::RootB
        | OpeningError::Count { .. } => None,
    }
}

/// Runs phase A again and compares each step's digest.
fn compare(terms: &Terms, seed: &Seed, committed: &[Digest], engine: &mut dyn Engine) -> Finding {
    let mut differs = None;
    let mut digests = committed.iter();
    let replayed = engine.replay(&terms.params, seed, &mut |step, digest| {
        if digests.next() == Some(digest) {
            return true;
        }
        differs = Some(step);
        false
    });
    match (replayed, differs) {
        (_, Some(step)) => Finding::Wrong(format!("replayed, step {step} of phase A differs")),
        (Ok(()), None) => Finding::Right { replayed: true },
        (Err(error), None) => {
            // The spot check stands; this machine alone could not do more.
            tracing::warn!(%error, challenge = %terms.challenge, "the replay failed on this machine");
            Finding::Right { replayed: false }
        }
    }
}
