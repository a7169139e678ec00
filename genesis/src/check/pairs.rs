//! A big card must not earn less than the small cards that it can pretend to be.
//!
//! A card is bigger than another if it has no less memory and no lower rate, and more of one of them. It can pretend to be as many of the
//! smaller ones as its memory holds and as it can serve one after another within their time limit: floor(memory ratio) and
//! floor(limit / time of one challenge of the small card's class on the big card).

use std::collections::BTreeMap;

use io_types::catalogue::{Class, ClassId, Model, ModelId};
use io_types::genesis::GenesisSpec;

use crate::problem::Problem;

const WHOLE: u128 = 10_000;

/// A pair of models whose multipliers reward pretending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfairPair {
    /// The bigger card.
    pub big: ModelId,
    /// The smaller card.
    pub small: ModelId,
    /// As how many smaller ones it can pass.
    pub copies: u64,
}

/// Work of a class's phase A in units of 2 n³ products' halves, and the milliseconds that its reference takes.
#[derive(Clone, Copy)]
struct Rate {
    work: u128,
    ms: u128,
}

impl Rate {
    fn of(class: &Class) -> Self {
        let n = u128::from(class.n);
        Self {
            work: n
                .saturating_mul(n)
                .saturating_mul(n)
                .saturating_mul(u128::from(class.m)),
            ms: u128::from(class.phase_a_ref_ms.max(1)),
        }
    }

    /// self's rate compared with other's: work / ms, crosswise.
    fn compare(self, other: Self) -> std::cmp::Ordering {
        let this = self.work.saturating_mul(other.ms);
        this.cmp(&other.work.saturating_mul(self.ms))
    }
}

/// Every pair of the catalogue in which the bigger model's multiplier is below that of the smaller ones that it can pretend to be,
/// ascending by the two numbers.
pub fn unfair_pairs(spec: &GenesisSpec) -> Vec<UnfairPair> {
    let classes: BTreeMap<ClassId, &Class> = spec
        .catalogue
        .classes
        .iter()
        .map(|class| (class.id, class))
        .collect();
    let mut pairs = Vec::new();
    for big in &spec.catalogue.models {
        for small in &spec.catalogue.models {
            let (Some(big_class), Some(small_class)) =
                (classes.get(&big.class), classes.get(&small.class))
            else {
                continue;
            };
            let copies = copies(spec, (big, big_class), (small, small_class));
            let pretended = u64::from(small.multiplier_milli).saturating_mul(copies);
            if u64::from(big.multiplier_milli) < pretended {
                pairs.push(UnfairPair {
                    big: big.id,
                    small: small.id,
                    copies,
                });
            }
        }
    }
    pairs
}

/// As how many small ones the big one can pass; 0 if it is not the bigger one.
fn copies(spec: &GenesisSpec, big: (&Model, &Class), small: (&Model, &Class)) -> u64 {
    let (fast, slow) = (Rate::of(big.1), Rate::of(small.1));
    let rate = fast.compare(slow);
    let memory = big.0.vram_mib.cmp(&small.0.vram_mib);
    if rate.is_lt() || memory.is_lt() || (rate.is_eq() && memory.is_eq()) {
        return 0;
    }
    let by_memory = big.0.vram_mib.checked_div(small.0.vram_mib).unwrap_or(0);
    let verification = &spec.params.verification;
    let slack = WHOLE.saturating_add(u128::from(verification.phase_a_slack.get()));
    let limit = slow
        .ms
        .saturating_mul(slack)
        .checked_div(WHOLE)
        .unwrap_or(0)
        .saturating_add(u128::from(verification.slack_ms));
    let by_rate = limit
        .saturating_mul(fast.work)
        .checked_div(fast.ms.saturating_mul(slow.work))
        .unwrap_or(0);
    u64::from(by_memory).min(u64::try_from(by_rate).unwrap_or(u64::MAX))
}

pub(super) fn check(spec: &GenesisSpec, problems: &mut Vec<Problem>) {
    super::ascending(
        spec.accepted_pairs.iter().copied(),
        ("accepted pairs", "the numbers of their models"),
        |(big, small)| format!("{big}, {small}"),
        problems,
    );
    let models: BTreeMap<u16, &Model> = spec
        .catalogue
        .models
        .iter()
        .map(|model| (model.id.0, model))
        .collect();
    let unfair = unfair_pairs(spec);
    for pair in &unfair {
        if spec.accepted_pairs.contains(&(pair.big.0, pair.small.0)) {
            continue;
        }
        if let (Some(big), Some(small)) = (models.get(&pair.big.0), models.get(&pair.small.0)) {
            problems.push(Problem::UnfairPair {
                big: big.name.clone(),
                big_milli: big.multiplier_milli,
                small: small.name.clone(),
                small_milli: small.multiplier_milli,
                copies: pair.copies,
            });
        }
    }
    for (big, small) in &spec.accepted_pairs {
        let (Some(big_model), Some(small_model)) = (models.get(big), models.get(small)) else {
            let unknown = if models.contains_key(big) { small } else { big };
            problems.push(Problem::UnknownModel {
                model: unknown.to_string(),
            });
            continue;
        };
        let is_unfair = unfair
            .iter()
            .any(|pair| pair.big.0 == *big && pair.small.0 == *small);
        if !is_unfair {
            problems.push(Problem::FairPair {
                big: big_model.name.clone(),
                small: small_model.name.clone(),
            });
        }
    }
}
