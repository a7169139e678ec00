//! The GPU challenge in pure integers: the same bits on every processor.
//!
//! A challenge proves that for its whole length one processor had the integer tensor rate of its class **and** held
//! nine tenths of its memory. It has two phases:
//!
//! - **Phase A** ([`Engine::fill`]) is a chain of int8 matrix products whose results stay in memory: the fill *is*
//!   the work. Its digests end in `root_a`, which the prover sends at once (the verifier's clock stops for `T_A`).
//! - **Phase B** ([`Engine::walk`]) sends walkers over the whole fill, each read depending on the one before. Their
//!   states end in `root_b`. The [`commit_hash`] over both ends the challenge (`T_B`); the memory stays held until
//!   [`Engine::open`] has served the openings and [`Engine::release`] is called.
//!
//! The road of one challenge:
//!
//! ```
//! use io_challenge::{
//!     Draw, DrawInput, Engine, Nonce, Openings, Params, ScalarEngine, Seed, SeedInput, check_openings, commit_hash,
//! };
//!
//! let params = Params::TEST;
//! let nonces = [Nonce { verifier: [1; 32], value: [2; 32] }];
//! let seed = Seed::derive(&SeedInput {
//!     beacon: &[7; 32], nonces: &nonces, supplier: &[9; 32], device: 3, processor: 0, params: &params,
//! })?;
//!
//! // The prover.
//! let mut engine = ScalarEngine::default();
//! let fill = engine.fill(&params, &seed)?; // send fill.root_a now
//! let walk = engine.walk()?; // then the commit
//! let commit = commit_hash(&params, &nonces, &fill.root_a, &walk.root_b)?;
//!
//! // Second nonces become known only after the commit is final; prover and verifier draw the same places.
//! let draw = Draw::derive(&params, &DrawInput { commit: &commit, nonces: &nonces, verifier: &[1; 32] })?;
//! let bytes = engine.open(&draw)?.encode(&params, &draw)?;
//! engine.release();
//!
//! // The verifier, on one core, without the matrices.
//! let openings = Openings::decode(&params, &draw, &bytes)?;
//! let roots = io_challenge::Roots { root_a: fill.root_a, root_b: walk.root_b };
//! check_openings(&params, &seed, &roots, &draw, &openings)?;
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! What a verifier finds wrong becomes a [`FraudProof`] that the state machine judges alone by
//! [`check_fraud_proof`].
//!
//! This crate has no clock, no randomness, no I/O, no floats and no `unsafe`. It allocates only what it returns
//! (`Vec` fields of openings and proofs, the matrices of a [`HostEngine`]) and the working lists of functions whose
//! documentation says so. The specification that a second implementation can follow is `docs/challenge.md`.

#![no_std]

extern crate alloc;

mod check;
mod commit;
mod draw;
mod engine;
mod flaw;
mod fraud;
mod fraud_wire;
mod host;
mod list;
mod num;
mod opening;
mod params;
mod seed;
mod source;
mod step;
mod tree;
mod walk;
mod wire;

pub use check::{check_element, check_openings, check_walk};
pub use commit::{Roots, commit_hash, root_a, root_b};
pub use draw::{Draw, DrawError, DrawInput, Element, WalkIndex};
pub use engine::{Engine, EngineError, FillRoots, Run, WalkRoots};
pub use flaw::{Flaw, OpeningError, Part, PartError};
pub use fraud::{Fraud, FraudError, FraudProof, Judgement, check_fraud_proof, judge};
pub use host::{HostEngine, Kernels, Scalar, ScalarEngine};
pub use opening::{Assembler, ElementOpening, Lists, Openings, Span, WalkOpening};
pub use params::{Params, ParamsError, Shape};
pub use seed::{Nonce, NoncesError, Requantiser, Seed, SeedInput, SeedMatrix};
pub use source::{Source, SpanKey, TableKey, open_from};
pub use step::{dot, multiply_rows};
pub use tree::{Tree, subtree};
pub use walk::{Fill, State, WalkKey};
pub use wire::WireError;

/// A BLAKE3 hash, the inner value of one of its trees, or the root of a list.
pub type Digest = [u8; 32];

/// Version of the challenge; it is hashed into every seed.
pub const VERSION: u16 = 1;
/// Bytes that a walker reads at once.
pub const LINE_BYTES: usize = 128;
/// Bytes of a BLAKE3 chunk, the smallest piece of a matrix that can be opened.
pub const CHUNK_BYTES: usize = 1024;
/// Bytes of a walker's state.
pub const STATE_BYTES: usize = 32;
/// Reads after which the states of all walkers are committed.
pub const SEGMENT_READS: u32 = 32;
/// Reads for each line of the fill in a pulse made by [`Params::pulse`].
pub const READS_PER_LINE: u32 = 32;
/// Elements of phase A that one verifier opens.
pub const ELEMENT_OPENINGS: u32 = 128;
/// Walker segments of phase B that one verifier opens.
pub const WALK_OPENINGS: u32 = 32;
/// The longest encoded fraud proof that any valid parameters allow.
pub const FRAUD_PROOF_BYTES_MAX: usize = 68 * 1024;
/// The longest message on a verifier's stream; [`Openings::encode`] is cut into frames no longer than this.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
