//! Which class of the catalogue a processor would be granted, by the chain's own rule.

use io_challenge::{LINE_BYTES, Params};
use io_types::catalogue::{Catalogue, Class};
use io_types::class::{Bounds, memory_bytes};
use io_types::params::VerificationParams;
use serde::Serialize;

use crate::terms::params_of;

/// What decides about a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Whose.
    pub processor: String,
    /// int8 operations of phase A, millions in a second.
    pub int8_mops: u64,
    /// Bytes read by phase B, millions in a second.
    pub read_mbs: u64,
    /// Memory in bytes, where it is known.
    pub memory_bytes: Option<u64>,
}

/// What a processor would be granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Which processor.
    pub processor: String,
    /// The best class whose bounds hold, if there is one.
    pub granted: Option<String>,
    /// All classes, best first, with the times that this processor would need.
    pub classes: Vec<ClassEstimate>,
}

/// What a processor would need for a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassEstimate {
    /// Its name.
    pub name: String,
    /// Phase A, milliseconds.
    pub phase_a_ms: u32,
    /// The most that phase A may take, milliseconds.
    pub phase_a_limit_ms: u64,
    /// Phase B, milliseconds.
    pub phase_b_ms: u32,
    /// The most that phase B may take, milliseconds.
    pub phase_b_limit_ms: u64,
    /// Whether the memory holds its fill; where the memory is not known, it does.
    pub fits: bool,
    /// Whether all bounds hold: also the one below which nobody of the class can be.
    pub granted: bool,
}

/// int8 operations of phase A.
pub(super) fn operations(params: &Params) -> u128 {
    u128::from(params.steps)
        .saturating_mul(u128::from(params.size).saturating_pow(3))
        .saturating_mul(2)
}

/// Bytes that phase B reads.
pub(super) fn lines_bytes(params: &Params) -> u128 {
    let lines = u128::from(params.walkers).saturating_mul(u128::from(params.reads));
    lines.saturating_mul(u128::try_from(LINE_BYTES).unwrap_or(u128::MAX))
}

/// The class of a processor with these rates.
pub fn grant(rates: &Rates, catalogue: &Catalogue, params: &VerificationParams) -> Grant {
    let mut classes: Vec<&Class> = catalogue.classes.iter().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.rank));
    let classes: Vec<ClassEstimate> = classes
        .into_iter()
        .map(|class| estimate(rates, class, params))
        .collect();
    let best = classes.iter().find(|class| class.granted);
    Grant {
        processor: rates.processor.clone(),
        granted: best.map(|class| class.name.clone()),
        classes,
    }
}

fn estimate(rates: &Rates, class: &Class, params: &VerificationParams) -> ClassEstimate {
    let sizes = params_of(class);
    let ms = |units: u128, millions: u64| {
        let per_ms = u128::from(millions.max(1)).saturating_mul(1000);
        u32::try_from(units.div_ceil(per_ms)).unwrap_or(u32::MAX)
    };
    let times = (
        ms(operations(&sizes), rates.int8_mops),
        ms(lines_bytes(&sizes), rates.read_mbs),
    );
    let bounds = Bounds::of(class, params, class);
    let fits = rates
        .memory_bytes
        .is_none_or(|bytes| memory_bytes(class) <= u128::from(bytes));
    let shown = |limit: u128| u64::try_from(limit).unwrap_or(u64::MAX);
    ClassEstimate {
        name: class.name.clone(),
        phase_a_ms: times.0,
        phase_a_limit_ms: shown(bounds.phase_a_max_ms),
        phase_b_ms: times.1,
        phase_b_limit_ms: shown(bounds.phase_b_max_ms),
        fits,
        granted: fits && bounds.hold(times),
    }
}
