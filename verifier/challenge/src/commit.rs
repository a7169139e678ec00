//! The commitments of a run: two roots and the hash that goes on chain.

use crate::Digest;
use crate::list::List;
use crate::params::Params;
use crate::seed::{Nonce, NoncesError, absorb_nonces};

const COMMIT_CONTEXT: &str = "io-chain challenge 1 commit";

/// The two roots of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Roots {
    /// Root over the digests of the steps of phase A.
    pub root_a: Digest,
    /// Root over the digests of the tables of phase B.
    pub root_b: Digest,
}

/// The root over the digests of all steps, in order. Allocates a list as long as the digests.
#[must_use]
pub fn root_a(digests: &[Digest]) -> Digest {
    List::Steps.root(digests)
}

/// The root over the digests of the tables after each segment, in order. Allocates a list as long as the digests.
#[must_use]
pub fn root_b(segments: &[Digest]) -> Digest {
    List::Tables.root(segments)
}

/// The commit: a hash over the parameters, the first nonces that were used, and both roots.
///
/// # Errors
/// Invalid parameters, or nonces that are missing or out of order.
pub fn commit_hash(
    params: &Params,
    nonces: &[Nonce],
    root_a: &Digest,
    root_b: &Digest,
) -> Result<Digest, NoncesError> {
    params.check()?;
    let mut hasher = blake3::Hasher::new_derive_key(COMMIT_CONTEXT);
    hasher
        .update(&params.to_bytes())
        .update(root_a)
        .update(root_b);
    absorb_nonces(&mut hasher, nonces)?;
    Ok(*hasher.finalize().as_bytes())
}
