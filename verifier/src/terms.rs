//! What a challenge row of the chain means to the challenge itself: sizes, seeds, commits, draws.
//!
//! Worker and verifier must agree on every bit of it, and neither may use the other, so this file is part of both crates.

use io_challenge::{
    Digest, Draw, DrawInput, Nonce, NoncesError, Params, ParamsError, Roots, Seed, SeedInput,
};
use io_types::action::ProcessorAnswer;
use io_types::catalogue::{Catalogue, Class, ClassId};
use io_types::row::{Challenge, Device};
use io_types::{AccountId, ChallengeId, DeviceId, Hash};

/// Why a challenge cannot be worked on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The catalogue has no such class.
    #[error(
        "challenge {challenge} is of class {class}, which the catalogue does not have; compare the versions of node and program"
    )]
    UnknownClass {
        /// The challenge.
        challenge: ChallengeId,
        /// Its class.
        class: u16,
    },
    /// The class has sizes that no challenge can have.
    #[error("class {class} of the catalogue cannot be used: {why}")]
    Params {
        /// The class.
        class: u16,
        /// What is wrong with it.
        why: ParamsError,
    },
    /// Nonces are missing or out of order.
    #[error("the nonces of challenge {challenge} cannot be used: {why}")]
    Nonces {
        /// The challenge.
        challenge: ChallengeId,
        /// What is wrong with them.
        why: NoncesError,
    },
}

/// One challenge of one device, as the chain has fixed it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Which challenge.
    pub challenge: ChallengeId,
    /// How often it was drawn again; nonces of an earlier draw are worth nothing.
    pub redraws: u8,
    /// Whom it tests.
    pub device: DeviceId,
    /// Its owner.
    pub supplier: AccountId,
    /// The beacon that drew it.
    pub beacon: Hash,
    /// Processors.
    pub quantity: u16,
    /// The class whose sizes are used.
    pub class: Class,
    /// Those sizes.
    pub params: Params,
    /// Verifiers that were drawn, ascending.
    pub drawn: Vec<AccountId>,
}

impl Terms {
    /// Reads the rows.
    ///
    /// # Errors
    /// A class that is unknown or has impossible sizes.
    pub fn new(
        challenge: &Challenge,
        device: &Device,
        catalogue: &Catalogue,
    ) -> Result<Self, TermsError> {
        let ClassId(number) = challenge.class;
        let class = catalogue
            .classes
            .iter()
            .find(|class| class.id == challenge.class)
            .ok_or(TermsError::UnknownClass {
                challenge: challenge.id,
                class: number,
            })?;
        let params = params_of(class);
        params
            .check()
            .map_err(|why| TermsError::Params { class: number, why })?;
        Ok(Self {
            challenge: challenge.id,
            redraws: challenge.redraws,
            device: device.id,
            supplier: device.owner,
            beacon: challenge.beacon,
            quantity: device.spec.quantity,
            class: class.clone(),
            params,
            drawn: challenge
                .verifiers
                .iter()
                .map(|drawn| drawn.account)
                .collect(),
        })
    }

    /// How many nonces an answer needs: two thirds of those drawn, rounded up.
    pub fn nonces_needed(&self) -> usize {
        self.drawn.len().saturating_mul(2).div_ceil(3)
    }

    /// The seed of one processor from the first nonces that are used, ascending by verifier.
    ///
    /// # Errors
    /// Nonces that are missing or out of order.
    pub fn seed(&self, nonces: &[(AccountId, Hash)], processor: u16) -> Result<Seed, TermsError> {
        let nonces = nonces_of(nonces);
        let input = SeedInput {
            beacon: &self.beacon.0,
            nonces: &nonces,
            supplier: &self.supplier.0,
            device: self.device.0,
            processor,
            params: &self.params,
        };
        Seed::derive(&input).map_err(|why| self.nonces_error(why))
    }

    /// The commit hash of one processor.
    ///
    /// # Errors
    /// Nonces that are missing or out of order.
    pub fn commit(
        &self,
        nonces: &[(AccountId, Hash)],
        answer: &ProcessorAnswer,
    ) -> Result<Digest, TermsError> {
        let nonces = nonces_of(nonces);
        io_challenge::commit_hash(&self.params, &nonces, &answer.root_a.0, &answer.root_b.0)
            .map_err(|why| self.nonces_error(why))
    }

    /// What one processor opens to one verifier, by that verifier's second nonce.
    ///
    /// # Errors
    /// None that a checked class allows.
    pub fn draw(
        &self,
        commit: &Digest,
        verifier: &AccountId,
        second: &Hash,
    ) -> Result<Draw, TermsError> {
        let nonces = [Nonce {
            verifier: verifier.0,
            value: second.0,
        }];
        let input = DrawInput {
            commit,
            nonces: &nonces,
            verifier: &verifier.0,
        };
        Draw::derive(&self.params, &input).map_err(|why| self.nonces_error(why))
    }

    fn nonces_error(&self, why: NoncesError) -> TermsError {
        TermsError::Nonces {
            challenge: self.challenge,
            why,
        }
    }
}

/// The sizes of a class.
pub fn params_of(class: &Class) -> Params {
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

/// The roots that a processor committed to.
pub fn roots_of(answer: &ProcessorAnswer) -> Roots {
    Roots {
        root_a: answer.root_a.0,
        root_b: answer.root_b.0,
    }
}

fn nonces_of(nonces: &[(AccountId, Hash)]) -> Vec<Nonce> {
    nonces
        .iter()
        .map(|(verifier, value)| Nonce {
            verifier: verifier.0,
            value: value.0,
        })
        .collect()
}
