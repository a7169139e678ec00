//! Which class the times show.

use super::*;
use io_types::class::class_shown;
use io_types::params::VerificationParams;

fn shown(classes: Vec<Class>, run: u16, times_ms: (u32, u32)) -> Option<u16> {
    let catalogue = Catalogue {
        classes,
        models: Vec::new(),
    };
    let run = catalogue
        .classes
        .iter()
        .find(|class| class.id == ClassId(run))
        .unwrap();
    class_shown(&catalogue, &VerificationParams::default(), run, times_ms).map(|class| class.0)
}

#[test]
fn a_class_holds_up_to_reference_and_slack_to_the_millisecond() {
    // 2000 ms · 1.20 + 500, 1000 ms · 1.25 + 500.
    let one = || vec![class(1, 1)];
    assert_eq!(shown(one(), 1, (2900, 1750)), Some(1));
    assert_eq!(shown(one(), 1, (2901, 1750)), None);
    assert_eq!(shown(one(), 1, (2900, 1751)), None);
    assert_eq!(shown(one(), 1, (0, 0)), Some(1));
}

#[test]
fn the_best_class_whose_bounds_hold_is_granted_whatever_was_claimed() {
    let fast = Class {
        phase_a_ref_ms: 1000,
        ..class(2, 9)
    };
    let classes = || vec![class(1, 1), fast.clone()];
    assert_eq!(
        shown(classes(), 1, (1700, 1000)),
        Some(2),
        "claimed less than it is"
    );
    assert_eq!(
        shown(classes(), 2, (1701, 1000)),
        Some(1),
        "claimed more than it is"
    );
    assert_eq!(shown(classes(), 2, (3000, 1000)), None);
}

#[test]
fn a_run_that_is_faster_than_a_class_can_be_is_not_of_that_class() {
    let slow = Class {
        phase_a_min_ms: 1500,
        ..class(1, 1)
    };
    assert_eq!(shown(vec![slow.clone()], 1, (1499, 1000)), None);
    assert_eq!(shown(vec![slow], 1, (1500, 1000)), Some(1));
}

#[test]
fn references_are_scaled_by_the_work_and_memory_must_have_been_held() {
    // Twice the memory and twice the steps of class 1, at twice the rate.
    let big = Class {
        k: 12,
        m: 12,
        r: 256,
        phase_a_ref_ms: 2000,
        phase_b_ref_ms: 1000,
        ..class(2, 9)
    };
    let classes = || vec![class(1, 1), big.clone()];
    assert_eq!(
        shown(classes(), 1, (1000, 500)),
        Some(1),
        "a small fill never shows a big card"
    );
    assert_eq!(shown(classes(), 2, (2000, 1000)), Some(2));
    // At the sizes of class 2 the references of class 1 are 4000 and 2000.
    assert_eq!(shown(classes(), 2, (5300, 3000)), Some(1));
    assert_eq!(shown(classes(), 2, (5301, 2000)), None);
}
