//! The simulator: one chain in one process, driven by a seeded workload with faults, held against an auditor.
//!
//! No ports, no sleeps, no clock: a seed and a number of blocks say everything that happens.
//!
//! - [`world`]: who lives on the chain; [`votes`]: what validators say
//! - [`solana`]: the other ledger, what is sent to it and who sees what of it. Here is a model, seen without endpoints; the program
//!   itself and the endpoints come from `io-tests`, whose `sim` is the command line
//! - [`work`]: the transactions of a block; [`byzantine`]: proposals that must be refused
//! - [`node`]: one machine over one disk that may crash; [`run`]: a seed from genesis to the end, with four shadows
//! - [`audit`]: keeps its own account of everything from events and accepted actions; shares no code with the ledger
//! - [`shrink`]: fewer transactions with the same failure; [`golden`]: bytes that may change only with a version
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::integer_division,
    clippy::should_implement_trait,
    clippy::too_many_lines,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a simulator: a number that does not fit or a key that is not there is a failure of the seed, which is caught and named"
)]

pub mod audit;
pub mod byzantine;
pub mod golden;
pub mod node;
pub mod rng;
pub mod rows;
pub mod run;
pub mod shrink;
pub mod solana;
pub mod votes;
pub mod work;
pub mod world;

/// What a step gives, or what is wrong.
pub type Check<T = ()> = Result<T, String>;

/// Where a seed failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which seed.
    pub seed: u64,
    /// The block in the works.
    pub height: u64,
    /// What is wrong: the first difference.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {} block {}: {}", self.seed, self.height, self.what)
    }
}

/// An error as the text of a failure.
pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Fails unless the two are equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, want: &T) -> Check {
    if got == want {
        return Ok(());
    }
    Err(format!("{what}: the chain has {got:?}, expected {want:?}"))
}
