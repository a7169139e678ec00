//! Which class a run has shown, by its times and sizes alone.

use io_types::amount::BasisPoints;
use io_types::catalogue::{Catalogue, Class, ClassId};
use io_types::params::VerificationParams;

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
/// the reference plus slack, and phase A was not faster than the class can be. References are scaled by the work of the run.
pub fn holds_bounds(
    class: &Class,
    params: &VerificationParams,
    run: &Class,
    times_ms: (u32, u32),
) -> bool {
    let (phase_a_ms, phase_b_ms) = (u128::from(times_ms.0), u128::from(times_ms.1));
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
    memory(run) >= memory(class)
        && phase_a_ms
            <= limit(
                scaled(class.phase_a_ref_ms, multiplications),
                params.phase_a_slack,
            )
        && phase_a_ms >= scaled(class.phase_a_min_ms, multiplications)
        && phase_b_ms <= limit(scaled(class.phase_b_ref_ms, reads), params.phase_b_slack)
}

/// Bytes that stay filled.
fn memory(class: &Class) -> u128 {
    u128::from(class.k)
        .saturating_mul(u128::from(class.n))
        .saturating_mul(u128::from(class.n))
}

/// Products of phase A.
fn multiplications(class: &Class) -> u128 {
    let n = u128::from(class.n);
    u128::from(class.m)
        .saturating_mul(n)
        .saturating_mul(n)
        .saturating_mul(n)
}

/// Lines read in phase B.
fn reads(class: &Class) -> u128 {
    u128::from(class.w).saturating_mul(u128::from(class.r))
}
