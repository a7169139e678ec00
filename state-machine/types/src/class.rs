//! Which class a run has shown, by its times and sizes alone. The chain grants by it; verifiers and benchmarks report by it.

use crate::amount::BasisPoints;
use crate::catalogue::{Catalogue, Class, ClassId};
use crate::params::VerificationParams;

/// The times that a run must keep to for a class, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Phase A takes at least this long: nobody of the class can be faster.
    pub phase_a_min_ms: u128,
    /// Phase A takes at most this long.
    pub phase_a_max_ms: u128,
    /// Phase B takes at most this long.
    pub phase_b_max_ms: u128,
}

impl Bounds {
    /// The bounds of `class` for a run with the sizes of `run`: reference plus slack, references scaled by the work.
    pub fn of(class: &Class, params: &VerificationParams, run: &Class) -> Self {
        let scaled = |reference: u32, work: fn(&Class) -> u128| {
            let of = work(class).max(1);
            u128::from(reference)
                .saturating_mul(work(run))
                .checked_div(of)
                .unwrap_or(u128::MAX)
        };
        let limit = |reference: u128, slack: BasisPoints| {
            let share = u128::from(BasisPoints::WHOLE).saturating_add(u128::from(slack.get()));
            let stretched = reference
                .saturating_mul(share)
                .checked_div(u128::from(BasisPoints::WHOLE))
                .unwrap_or(u128::MAX);
            stretched.saturating_add(u128::from(params.slack_ms))
        };
        Self {
            phase_a_min_ms: scaled(class.phase_a_min_ms, multiplications),
            phase_a_max_ms: limit(
                scaled(class.phase_a_ref_ms, multiplications),
                params.phase_a_slack,
            ),
            phase_b_max_ms: limit(scaled(class.phase_b_ref_ms, reads), params.phase_b_slack),
        }
    }

    /// Whether both times keep to them. Times are milliseconds, the slowest processor.
    pub fn hold(&self, (phase_a_ms, phase_b_ms): (u32, u32)) -> bool {
        let (phase_a_ms, phase_b_ms) = (u128::from(phase_a_ms), u128::from(phase_b_ms));
        phase_a_ms <= self.phase_a_max_ms
            && phase_a_ms >= self.phase_a_min_ms
            && phase_b_ms <= self.phase_b_max_ms
    }
}

/// The best class whose bounds hold for a run with the sizes of `run`, whatever was claimed; of equal ranks the lowest number.
///
/// Times are milliseconds, the slowest processor.
pub fn class_shown(
    catalogue: &Catalogue,
    params: &VerificationParams,
    run: &Class,
    times_ms: (u32, u32),
) -> Option<ClassId> {
    let mut best: Option<&Class> = None;
    for class in &catalogue.classes {
        let better = best.is_none_or(|held| class.rank > held.rank);
        if better && holds_bounds(class, params, run, times_ms) {
            best = Some(class);
        }
    }
    best.map(|class| class.id)
}

/// Whether a run with the sizes of `run` meets the bounds of `class`: it held at least as much memory, both phases were within
/// the reference plus slack, and phase A was not faster than the class can be.
fn holds_bounds(
    class: &Class,
    params: &VerificationParams,
    run: &Class,
    times_ms: (u32, u32),
) -> bool {
    memory_bytes(run) >= memory_bytes(class) && Bounds::of(class, params, run).hold(times_ms)
}

/// Bytes that stay filled.
pub fn memory_bytes(class: &Class) -> u128 {
    u128::from(class.k)
        .saturating_mul(u128::from(class.n))
        .saturating_mul(u128::from(class.n))
}

/// Products of phase A.
pub fn multiplications(class: &Class) -> u128 {
    let n = u128::from(class.n);
    u128::from(class.m)
        .saturating_mul(n)
        .saturating_mul(n)
        .saturating_mul(n)
}

/// Lines read in phase B.
pub fn reads(class: &Class) -> u128 {
    u128::from(class.w).saturating_mul(u128::from(class.r))
}
