use io_gpu::Pulse;
use io_types::catalogue::{Class, ClassId};

use super::card::Figures;
use super::classes::{Rates, grant};
use super::*;

fn class(name: &str, rank: u16, phase_a_ref_ms: u32) -> Class {
    Class {
        id: ClassId(rank),
        name: name.to_owned(),
        rank,
        n: 256,
        k: 6,
        m: 6,
        w: 64,
        r: 128,
        phase_a_ref_ms,
        phase_b_ref_ms: 10_000,
        phase_a_min_ms: 0,
        answer_blocks: 1,
    }
}

fn catalogue(classes: Vec<Class>) -> Catalogue {
    Catalogue {
        classes,
        models: Vec::new(),
    }
}

/// 200 million operations a second need 1007 ms for the 201 million of the classes here.
fn rates() -> Rates {
    Rates {
        processor: "a processor".to_owned(),
        int8_mops: 200,
        read_mbs: 1000,
        memory_bytes: Some(1 << 20),
    }
}

fn options() -> Options {
    Options {
        size: 256,
        kept: 4,
        rounds: 1,
        card_size: None,
        warm_up: 0,
        pulses: 1,
        pulse_bytes: None,
        walkers: 64,
        catalogue: None,
        calibrate: false,
    }
}

/// A card of 10^15 operations a second whose pulse took 2 s and 0.5 s.
fn measured() -> Measured {
    let pulse = Pulse {
        params: io_challenge::Params::pulse(0, 32_768, 20, 1 << 18),
        fill_ns: 2_000_000_001,
        walk_ns: 500_000_000,
        walk_bytes: 1 << 40,
        open_ns: 3_000_000,
        opens: true,
    };
    Measured {
        card: "CUDA, NVIDIA Card, wgmma".to_owned(),
        uuid: "GPU-1".to_owned(),
        cuda: 12_080,
        memory_bytes: 24 << 30,
        peak_ops: Some(1_000_000_000_000_000),
        size: 32_768,
        portable_ns: 100_000_000,
        hopper_ns: Some(80_000_000),
        cublaslt_ns: Some(75_000_000),
        cublaslt_missing: None,
        cublaslt_wrong: Some((0, 99)),
        digest_ns: 2_000_000,
        copy_ns: 1_000_000,
        start_ns: 1_500_000_000,
        pulses: vec![pulse],
        pulse_failed: None,
    }
}

#[test]
fn the_best_class_in_reach_is_named() {
    let classes = vec![
        class("slow", 1, 2000),
        class("just", 2, 500),
        class("fast", 3, 10),
    ];
    let found = grant(
        &rates(),
        &catalogue(classes),
        &VerificationParams::default(),
    );
    let granted: Vec<(&str, bool, u32)> = found
        .classes
        .iter()
        .map(|class| (class.name.as_str(), class.granted, class.phase_a_ms))
        .collect();
    assert_eq!(
        granted,
        [
            ("fast", false, 1007),
            ("just", true, 1007),
            ("slow", true, 1007)
        ]
    );
    assert_eq!(found.granted.as_deref(), Some("just"));
}

#[test]
fn a_class_whose_fill_does_not_fit_or_that_cannot_be_so_fast_is_not_granted() {
    let large = Class {
        k: 17,
        m: 17,
        ..class("large", 3, 50_000)
    };
    let slow = Class {
        phase_a_min_ms: 1008,
        ..class("never so fast", 2, 2000)
    };
    let found = grant(
        &rates(),
        &catalogue(vec![large, slow]),
        &VerificationParams::default(),
    );
    let seen: Vec<(bool, bool)> = found
        .classes
        .iter()
        .map(|class| (class.fits, class.granted))
        .collect();
    assert_eq!(seen, [(false, false), (true, false)]);
    assert_eq!(found.granted, None);
}

#[test]
fn a_card_s_shares_are_of_what_was_measured_beside_them() {
    let figures = Figures::of(&measured(), Some("999.1".to_owned()));
    assert_eq!(figures.portable_of_cublaslt, Some(750));
    assert_eq!(figures.hopper_of_cublaslt, Some(937));
    assert_eq!(figures.digest_of_step, 25, "of the Hopper product's step");
    // 2 · 32768³ operations in 80 ms.
    assert_eq!(figures.hopper_gops, Some(879_609));
    // 2 · 32768² bytes in a millisecond; the pulse reads 20 GiB 32 times in half a second.
    assert_eq!(figures.copy_mbs, 2_147_483);
    assert_eq!(figures.pulses.first().unwrap().read_mbs, 1_374_389);
    assert_eq!(figures.read_of_copy, Some(639));
}

#[derive(serde::Deserialize)]
struct File {
    class: Vec<Class>,
}

#[test]
fn an_entry_has_the_pulse_s_sizes_and_times_and_the_next_number() {
    let known = catalogue(vec![class("one", 7, 1)]);
    let entry =
        calibration::entry(&measured(), Some("999.1".to_owned()), "today", Some(&known)).unwrap();
    // 2 · 32768³ · 20 operations at 1.05 · 10^15 a second are 1340.4 ms; 1.25 · 2501 + 1500 are 4627 ms and 5 blocks more.
    let expected = Class {
        id: ClassId(8),
        name: "NVIDIA Card".to_owned(),
        rank: 8,
        n: 32_768,
        k: 20,
        m: 20,
        w: 1 << 18,
        // 32 reads for each of 20 · 2^23 lines, over 2^18 walkers.
        r: 20 * 32 * 32,
        phase_a_ref_ms: 2001,
        phase_b_ref_ms: 500,
        phase_a_min_ms: 1340,
        answer_blocks: 10,
    };
    assert_eq!(entry.class, expected);
    let text = entry.toml().unwrap();
    assert!(
        text.starts_with("# NVIDIA Card (GPU-1), driver 999.1, CUDA 12080, today:"),
        "{text}"
    );
    let file: File = toml::from_str(&text).unwrap();
    assert_eq!(file.class, [expected]);

    let mut wrong = measured();
    wrong.pulses.first_mut().unwrap().opens = false;
    assert_eq!(calibration::entry(&wrong, None, "today", None), None);
}

#[test]
fn without_a_card_its_figures_are_left_out_by_name_and_nothing_can_be_calibrated() {
    let mut report = measure(Backend::Cpu, &options(), &|_text| {}).unwrap();
    assert!(report.cpu.phase_a_us > 0 && report.cpu.phase_b_us > 0 && report.cpu.check_us > 0);
    assert!(report.cpu.int8_mops > 0 && report.cpu.read_mbs > 0);
    grade(&mut report, Err("no node answers".to_owned()));
    let text = report.to_string();
    for figure in OF_CARDS {
        let line = format!("SKIPPED        {figure}: backend cpu: as asked\n");
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("SKIPPED        class granted: no node answers\n"));
    assert_eq!(report.entries, []);
    assert_eq!(report.why_no_entry(), "backend cpu: as asked");
    grade(
        &mut report,
        Ok((
            catalogue(vec![class("one", 7, 1_000_000)]),
            VerificationParams::default(),
        )),
    );
    assert_eq!(
        report.grants.first().unwrap().granted.as_deref(),
        Some("one")
    );
}
