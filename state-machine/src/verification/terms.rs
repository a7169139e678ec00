//! What a challenge row means to the challenge itself: sizes, seeds, roots.

use io_challenge::{Nonce, Params, Roots, Seed, SeedInput};
use io_types::AccountId;
use io_types::action::ProcessorAnswer;
use io_types::catalogue::Class;
use io_types::row::Challenge;

/// The sizes of a class.
pub(super) fn params_of(class: &Class) -> Params {
    let Class {
        id, n, k, m, w, r, ..
    } = *class;
    Params {
        version: io_challenge::VERSION,
        class: id.0,
        size: n,
        kept: k,
        steps: m,
        walkers: w,
        reads: r,
    }
}

/// The seed of one processor, from the nonces that the answer used.
pub(super) fn seed_of(
    challenge: &Challenge,
    params: &Params,
    supplier: &AccountId,
    processor: u16,
) -> Result<Seed, String> {
    let nonces: Vec<Nonce> = challenge
        .nonces_used
        .iter()
        .map(|(verifier, value)| Nonce {
            verifier: verifier.0,
            value: value.0,
        })
        .collect();
    let input = SeedInput {
        beacon: &challenge.beacon.0,
        nonces: &nonces,
        supplier: &supplier.0,
        device: challenge.device.0,
        processor,
        params,
    };
    Seed::derive(&input).map_err(|error| error.to_string())
}

/// The roots that one processor committed to.
pub(super) fn roots_of(answer: &ProcessorAnswer) -> Roots {
    Roots {
        root_a: answer.root_a.0,
        root_b: answer.root_b.0,
    }
}
