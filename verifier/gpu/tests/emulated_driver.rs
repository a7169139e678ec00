//! The whole engine, host side and kernels, on a CUDA driver without a card: `kernels/emulated_driver.cpp` built as
//! libcuda.so. The suite of `card.rs` passes on it bit for bit, and every fault that it plays ends in its own typed error.
//!
//! A library path is read when a program starts, so each test starts this program again with it.

use io_challenge::{Engine, EngineError, Params, Seed};
use io_gpu::{Backend, CudaEngine, GpuError, Process, Selection, facts, select};

use crate::emulated::{CHILD, library, on_emulated_driver};
use crate::skip::skip;

#[path = "support/emulated.rs"]
mod emulated;
#[path = "support/skip.rs"]
mod skip;
#[path = "support/suite.rs"]
mod suite;

const SEED: Seed = Seed::from_bytes([3; 32]);

/// A test of the suite in a child must pass, and on a card.
fn card_suite(test: &str, child: &str) {
    let Some(output) = on_emulated_driver(test, child, &[]) else {
        return;
    };
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{error}");
    assert!(
        out.contains("1 passed") && !error.contains("SKIPPED"),
        "{out}\n{error}"
    );
}

#[test]
fn sizes_on_the_emulated_driver() {
    card_suite("sizes_on_the_emulated_driver", "suite::every_size_gives");
}

#[test]
fn deep_runs_on_the_emulated_driver() {
    card_suite("deep_runs_on_the_emulated_driver", "suite::deep_runs");
}

#[test]
fn two_cards_at_once_on_the_emulated_driver() {
    card_suite(
        "two_cards_at_once_on_the_emulated_driver",
        "suite::all_cards",
    );
}

#[test]
fn a_full_card_on_the_emulated_driver() {
    card_suite("a_full_card_on_the_emulated_driver", "suite::a_fill_larger");
}

/// Runs the child below under settings and compares the error that it prints.
fn fault(test: &str, settings: &[(&str, &str)], expected: &str) {
    let Some(output) = on_emulated_driver(test, "a_child_says_what_went_wrong", settings) else {
        return;
    };
    let out = String::from_utf8_lossy(&output.stdout);
    let said = out
        .lines()
        .find_map(|line| line.split_once("WENT WRONG: "))
        .map(|(_, said)| said);
    assert!(
        output.status.success(),
        "{out}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.is_some_and(|said| said.starts_with(expected)),
        "{said:?} instead of {expected}"
    );
}

/// The variant of an error and what it holds, on one line.
fn debug(error: &EngineError) -> String {
    match error {
        EngineError::Device(inner) => inner
            .downcast_ref::<GpuError>()
            .map_or_else(String::new, |error| format!("{error:?}")),
        EngineError::Params(_)
        | EngineError::Draw(_)
        | EngineError::Memory(_)
        | EngineError::NotFilled
        | EngineError::NotWalked
        | EngineError::Hardware { .. } => format!("{error:?}"),
    }
}

#[test]
fn a_child_says_what_went_wrong() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let said = match CudaEngine::open(0) {
        Err(error) => format!("{error:?}"),
        Ok(mut engine) => match engine.run(&Params::TEST, &SEED) {
            Ok(_) => "nothing".to_owned(),
            Err(error) => debug(&error),
        },
    };
    println!("WENT WRONG: {said}");
    // Whatever went wrong with a card, `auto` still gives an answer.
    assert!(matches!(
        select(Backend::Auto),
        Ok(Selection::Cuda { .. } | Selection::Cpu { .. })
    ));
}

#[test]
fn without_a_fault_nothing_goes_wrong() {
    fault("without_a_fault_nothing_goes_wrong", &[], "nothing");
}

#[test]
fn a_driver_that_is_too_old_is_named() {
    let expected = "DriverTooOld { got: 11080, needed: 12000 }";
    fault(
        "a_driver_that_is_too_old_is_named",
        &[("IO_EMULATED_VERSION", "11080")],
        expected,
    );
}

#[test]
fn a_driver_without_cards_has_no_card_0() {
    let expected = "NoDevice { ordinal: 0, count: 0 }";
    fault(
        "a_driver_without_cards_has_no_card_0",
        &[("IO_EMULATED_CARDS", "0")],
        expected,
    );
}

#[test]
fn a_card_that_is_too_old_is_named() {
    let expected = "DeviceTooOld { name: \"Emulated card 0\", major: 7, minor: 5 }";
    fault(
        "a_card_that_is_too_old_is_named",
        &[("IO_EMULATED_CAPABILITY", "75")],
        expected,
    );
}

#[test]
fn a_card_without_free_memory_is_refused_before_it_allocates() {
    let settings = [("IO_EMULATED_MEMORY", "1000000")];
    fault(
        "a_card_without_free_memory_is_refused_before_it_allocates",
        &settings,
        "Memory { needed: ",
    );
}

#[test]
fn a_card_that_others_use_names_their_processes() {
    let settings = [
        ("IO_EMULATED_MEMORY", "1000000"),
        ("IO_EMULATED_PROCESS", "4242"),
    ];
    let test = "a_card_that_others_use_names_their_processes";
    let Some(output) = on_emulated_driver(test, "a_child_says_what_went_wrong", &settings) else {
        return;
    };
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        out.contains("WENT WRONG: Busy { needed: ") && out.contains("processes: [4242] }"),
        "{out}"
    );
}

#[test]
fn a_card_with_mig_on_is_named() {
    let expected = "Mig { uuid: \"GPU-e0e1e2e3-e4e5-e6e7-e8e9-eaebecedee00\" }";
    fault(
        "a_card_with_mig_on_is_named",
        &[("IO_EMULATED_MIG", "1")],
        expected,
    );
}

#[test]
fn a_part_of_a_card_is_named_without_nvml() {
    let test = "a_part_of_a_card_is_named_without_nvml";
    let Some(folder) = below(test, "alone") else {
        return;
    };
    let settings = [
        ("LD_LIBRARY_PATH", folder.as_str()),
        ("IO_EMULATED_PART", "1"),
    ];
    fault(test, &settings, "Mig { uuid: ");
}

/// A folder of the libraries; `None`, said aloud, where they cannot be built.
fn below(test: &str, name: &str) -> Option<String> {
    let Some(folder) = library() else {
        skip(test, "there is no C++ compiler named c++");
        return None;
    };
    Some(folder.join(name).display().to_string())
}

#[test]
fn a_driver_that_lacks_a_function_is_named() {
    let test = "a_driver_that_lacks_a_function_is_named";
    let Some(folder) = below(test, "broken") else {
        return;
    };
    let settings = [("LD_LIBRARY_PATH", folder.as_str())];
    fault(test, &settings, "BrokenDriver(");
}

#[test]
fn a_child_has_no_nvml() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    assert!(matches!(facts(), Err(GpuError::NoNvml(_))));
    let mut engine = CudaEngine::open(0).expect("a card needs no NVML");
    engine
        .run(&Params::TEST, &SEED)
        .expect("nor do its kernels");
    println!("ANSWERED");
}

#[test]
fn without_nvml_a_card_answers_all_the_same() {
    let test = "without_nvml_a_card_answers_all_the_same";
    let Some(folder) = below(test, "alone") else {
        return;
    };
    let settings = [("LD_LIBRARY_PATH", folder.as_str())];
    let Some(output) = on_emulated_driver(test, "a_child_has_no_nvml", &settings) else {
        return;
    };
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("ANSWERED"),
        "{out}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_child_lists_its_cards() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let cards = facts().expect("the emulated library answers");
    for (ordinal, card) in cards.iter().enumerate() {
        let engine = CudaEngine::open(ordinal).expect("the emulated card opens");
        assert_eq!(
            (card.uuid.as_str(), card.mig, card.ecc),
            (engine.uuid(), Some(false), None)
        );
        assert_eq!(
            card.processes,
            [Process {
                pid: 77,
                bytes: Some(123_456_789)
            }]
        );
    }
    println!("LISTED {}", cards.len());
}

#[test]
fn facts_and_engines_are_joined_by_uuid() {
    let test = "facts_and_engines_are_joined_by_uuid";
    let settings = [("IO_EMULATED_PROCESS", "77"), ("IO_EMULATED_CARDS", "3")];
    let Some(output) = on_emulated_driver(test, "a_child_lists_its_cards", &settings) else {
        return;
    };
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && out.contains("LISTED 3"),
        "{out}\n{error}"
    );
}

#[test]
fn a_card_that_is_lost_says_during_what() {
    // Launches: two expansions, then a product, its chunks and its tree for each step.
    let lost = |launch, during| {
        let expected =
            format!("Lost {{ during: \"{during}\", code: \"CUDA_ERROR_LAUNCH_FAILED\" }}");
        fault(
            "a_card_that_is_lost_says_during_what",
            &[("IO_EMULATED_LOST", launch)],
            &expected,
        );
    };
    lost("1", "expanding the seed");
    lost("3", "multiplying");
    lost("4", "hashing chunks");
    lost("5", "hashing a tree");
    lost("22", "walking");
}

#[test]
fn a_flipped_bit_is_a_fault_of_the_card_and_no_answer() {
    // All bytes of the third product are wrong, so the sampled one of step 2 is.
    let settings = [("IO_EMULATED_FLIP", "3")];
    fault(
        "a_flipped_bit_is_a_fault_of_the_card_and_no_answer",
        &settings,
        "Hardware { step: 2, ",
    );
}
