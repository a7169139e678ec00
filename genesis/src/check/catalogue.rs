//! Rules on classes and models.

use std::collections::{BTreeMap, BTreeSet};

use io_types::catalogue::{Catalogue, Class, Model};

use super::ascending;
use crate::problem::Problem;

/// Above this a sum of products could leave 32 bits.
const N_MAX: u32 = 131_072;
const READS_STEP: u32 = 64;
/// Fields of a model that may lack a source.
const PLACEHOLDERS: [&str; 7] = [
    "class",
    "multiplier_milli",
    "pool",
    "price_floor",
    "price_ceiling",
    "vram_mib",
    "name",
];

pub(super) fn check(catalogue: &Catalogue, problems: &mut Vec<Problem>) {
    let Catalogue { classes, models } = catalogue;
    ascending(
        classes.iter().map(|class| class.id),
        ("classes", "id"),
        |id| format!("id = {}", id.0),
        problems,
    );
    ascending(
        models.iter().map(|model| model.id),
        ("models", "id"),
        |id| format!("id = {}", id.0),
        problems,
    );
    let mut ranks: BTreeMap<u16, &str> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for class in classes {
        if !names.insert(&class.name) {
            problems.push(Problem::NameTwice {
                what: "class",
                name: class.name.clone(),
            });
        }
        if let Some(first) = ranks.insert(class.rank, &class.name) {
            problems.push(Problem::RankTwice {
                first: first.to_owned(),
                second: class.name.clone(),
                rank: class.rank,
            });
        }
        if let Some(rule) = class_rule(class) {
            problems.push(Problem::ClassSize {
                class: class.name.clone(),
                rule,
            });
        }
    }
    let numbers: BTreeSet<_> = classes.iter().map(|class| class.id).collect();
    let mut names = BTreeSet::new();
    for model in models {
        if !names.insert(&model.name) {
            problems.push(Problem::NameTwice {
                what: "model",
                name: model.name.clone(),
            });
        }
        if !numbers.contains(&model.class) {
            problems.push(Problem::UnknownClass {
                model: model.name.clone(),
                class: model.class.0.to_string(),
            });
        }
        model_figures(model, problems);
    }
}

fn class_rule(class: &Class) -> Option<&'static str> {
    let Class {
        id: _,
        name: _,
        rank: _,
        n,
        k,
        m,
        w,
        r,
        phase_a_ref_ms,
        phase_b_ref_ms,
        phase_a_min_ms,
        answer_blocks,
    } = *class;
    let rules = [
        (
            !n.is_power_of_two() || !(READS_STEP..N_MAX).contains(&n),
            "n must be a power of two from 64 to 65536",
        ),
        (k < 2, "k must be 2 or more"),
        (m < k, "m must not be below k"),
        (w == 0, "w must be above 0"),
        (
            r == 0 || !r.is_multiple_of(READS_STEP),
            "r must be a multiple of 64 above 0",
        ),
        (
            phase_a_ref_ms == 0 || phase_b_ref_ms == 0,
            "phase_a_ref_ms and phase_b_ref_ms must be above 0",
        ),
        (
            phase_a_min_ms > phase_a_ref_ms,
            "phase_a_min_ms must not be above phase_a_ref_ms",
        ),
        (answer_blocks < 5, "answer_blocks must be 5 or more"),
    ];
    rules
        .iter()
        .find_map(|(broken, rule)| broken.then_some(*rule))
}

fn model_figures(model: &Model, problems: &mut Vec<Problem>) {
    if model.price_floor.0 == 0 || model.price_floor > model.price_ceiling {
        problems.push(Problem::PriceBounds {
            model: model.name.clone(),
            floor: model.price_floor.0,
            ceiling: model.price_ceiling.0,
        });
    }
    let known = model
        .placeholder
        .iter()
        .all(|field| PLACEHOLDERS.contains(&field.as_str()));
    let rules = [
        (model.vram_mib == 0, "vram_mib must be above 0"),
        (
            model.multiplier_milli > 1_000_000,
            "multiplier_milli is in thousandths, 1 000 000 at most",
        ),
        (!known, "placeholder must name fields of a model"),
        (model.name.is_empty(), "it needs a name"),
    ];
    for (broken, rule) in rules {
        if broken {
            problems.push(Problem::ModelFigure {
                model: model.name.clone(),
                rule,
            });
        }
    }
}
