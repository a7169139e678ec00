//! Measures this machine on the challenge's own work.

use std::time::{Duration, Instant};

use io_challenge::{Draw, EngineError, LINE_BYTES, Params, Roots, Seed, check_openings};
use io_types::catalogue::{Catalogue, Class};
use io_types::params::VerificationParams;
use serde::Serialize;

use crate::backend::Chosen;
use crate::terms::params_of;

/// What was measured, and what it would earn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What computed.
    pub engine: String,
    /// Matrix size N.
    pub size: u32,
    /// Matrices kept.
    pub kept: u32,
    /// Phase A, microseconds, the best of the rounds.
    pub phase_a_us: u64,
    /// Phase B, microseconds, the best of the rounds.
    pub phase_b_us: u64,
    /// Checking the openings of one verifier, microseconds.
    pub check_us: u64,
    /// int8 operations of phase A, millions in a second.
    pub int8_mops: u64,
    /// Bytes read by phase B, millions in a second.
    pub read_mbs: u64,
    /// Classes of the catalogue, best first, with the times that this machine would need.
    pub classes: Vec<ClassEstimate>,
}

/// What this machine would need for a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassEstimate {
    /// Its name.
    pub name: String,
    /// Phase A, milliseconds.
    pub phase_a_ms: u64,
    /// The most that phase A may take, milliseconds.
    pub phase_a_limit_ms: u64,
    /// Phase B, milliseconds.
    pub phase_b_ms: u64,
    /// The most that phase B may take, milliseconds.
    pub phase_b_limit_ms: u64,
    /// Whether both hold: memory is not looked at.
    pub granted: bool,
}

/// Runs a pulse of `size` and `kept` a few times, and keeps the best times.
///
/// # Errors
/// Those of the engine.
pub fn measure(
    chosen: &mut Chosen,
    size: u32,
    kept: u32,
    rounds: u32,
) -> Result<Report, EngineError> {
    let params = Params::pulse(0, size, kept, 256);
    let shape = params.shape()?;
    let why = chosen.why.clone();
    let engine = chosen.engines.first_mut().ok_or(EngineError::NotFilled)?;
    let (mut phase_a, mut phase_b, mut checked) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for round in 0..rounds.max(1) {
        let [b0, b1, b2, b3] = round.to_le_bytes();
        let mut bytes = [7; 32];
        for (to, from) in bytes.iter_mut().zip([b0, b1, b2, b3]) {
            *to = from;
        }
        let seed = Seed::from_bytes(bytes);
        let started = Instant::now();
        let fill = engine.fill(&params, &seed)?;
        phase_a = phase_a.min(started.elapsed());
        let started = Instant::now();
        let walk = engine.walk()?;
        phase_b = phase_b.min(started.elapsed());
        let draw = draw(&params, bytes);
        let openings = engine.open(&draw)?;
        let roots = Roots {
            root_a: fill.root_a,
            root_b: walk.root_b,
        };
        let started = Instant::now();
        check_openings(&params, &seed, &roots, &draw, &openings)
            .map_err(|error| EngineError::Device(Box::new(error)))?;
        checked = checked.min(started.elapsed());
    }
    engine.release();
    let steps = u128::from(params.steps);
    let n = u128::from(size);
    let operations = steps.saturating_mul(n.saturating_pow(3)).saturating_mul(2);
    let lines = u128::from(params.walkers).saturating_mul(u128::from(params.reads));
    let bytes = lines.saturating_mul(u128::try_from(LINE_BYTES).unwrap_or(u128::MAX));
    debug_assert!(shape.lines() > 0, "a checked shape has lines");
    Ok(Report {
        engine: why,
        size,
        kept,
        phase_a_us: micros(phase_a),
        phase_b_us: micros(phase_b),
        check_us: micros(checked),
        int8_mops: per_micro(operations, phase_a),
        read_mbs: per_micro(bytes, phase_b),
        classes: Vec::new(),
    })
}

fn draw(params: &Params, bytes: [u8; 32]) -> Draw {
    let nonces = [io_challenge::Nonce {
        verifier: bytes,
        value: bytes,
    }];
    let input = io_challenge::DrawInput {
        commit: &bytes,
        nonces: &nonces,
        verifier: &bytes,
    };
    Draw::derive(params, &input).unwrap_or(Draw {
        elements: Vec::new(),
        walks: Vec::new(),
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Units in a microsecond are millions in a second.
fn per_micro(units: u128, duration: Duration) -> u64 {
    let micros = duration.as_micros().max(1);
    u64::try_from(units.checked_div(micros).unwrap_or(0)).unwrap_or(u64::MAX)
}

/// Fills in what this machine would need for each class.
pub fn estimate(report: &mut Report, catalogue: &Catalogue, params: &VerificationParams) {
    let mut classes: Vec<&Class> = catalogue.classes.iter().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.rank));
    report.classes = classes
        .into_iter()
        .map(|class| estimate_class(report, class, params))
        .collect();
}

fn estimate_class(report: &Report, class: &Class, params: &VerificationParams) -> ClassEstimate {
    let sizes = params_of(class);
    let n = u128::from(sizes.size);
    let operations = u128::from(sizes.steps)
        .saturating_mul(n.saturating_pow(3))
        .saturating_mul(2);
    let lines = u128::from(sizes.walkers).saturating_mul(u128::from(sizes.reads));
    let bytes = lines.saturating_mul(u128::try_from(LINE_BYTES).unwrap_or(u128::MAX));
    let ms = |units: u128, millions: u64| {
        let per_ms = u128::from(millions.max(1)).saturating_mul(1000);
        u64::try_from(units.div_ceil(per_ms)).unwrap_or(u64::MAX)
    };
    let limit = |reference: u32, slack: io_types::BasisPoints| {
        let whole = u64::from(reference).saturating_mul(10_000_u64.saturating_add(slack.get()));
        whole
            .checked_div(10_000)
            .unwrap_or(0)
            .saturating_add(u64::from(params.slack_ms))
    };
    let phase_a_ms = ms(operations, report.int8_mops);
    let phase_b_ms = ms(bytes, report.read_mbs);
    let phase_a_limit_ms = limit(class.phase_a_ref_ms, params.phase_a_slack);
    let phase_b_limit_ms = limit(class.phase_b_ref_ms, params.phase_b_slack);
    ClassEstimate {
        name: class.name.clone(),
        phase_a_ms,
        phase_a_limit_ms,
        phase_b_ms,
        phase_b_limit_ms,
        granted: phase_a_ms <= phase_a_limit_ms && phase_b_ms <= phase_b_limit_ms,
    }
}

impl Report {
    /// The report as a table for people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "engine        {}\nsizes         N = {}, K = M = {}\nphase A       {} us, {} M int8 operations/s\n\
             phase B       {} us, {} MB/s read\nopening check {} us for one verifier\n",
            self.engine,
            self.size,
            self.kept,
            self.phase_a_us,
            self.int8_mops,
            self.phase_b_us,
            self.read_mbs,
            self.check_us
        );
        if self.classes.is_empty() {
            text.push_str("classes       unknown: no node was reached for the catalogue\n");
            return text;
        }
        let mut rows = vec![format!(
            "\n{:<24} {:>12} {:>12} {:>12} {:>12}  granted\n",
            "class", "A ms", "A limit", "B ms", "B limit"
        )];
        for class in &self.classes {
            rows.push(format!(
                "{:<24} {:>12} {:>12} {:>12} {:>12}  {}\n",
                class.name,
                class.phase_a_ms,
                class.phase_a_limit_ms,
                class.phase_b_ms,
                class.phase_b_limit_ms,
                if class.granted { "yes" } else { "no" }
            ));
        }
        text.push_str(&rows.concat());
        let best = self.classes.iter().find(|class| class.granted);
        let verdict = match best {
            Some(class) => format!(
                "\nby its speed this machine would be granted {:?}\n",
                class.name
            ),
            None => "\nby its speed this machine would be granted no class\n".to_owned(),
        };
        text.push_str(&verdict);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, choose};
    use io_types::catalogue::ClassId;

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

    #[test]
    fn the_best_class_in_reach_is_named_and_what_was_measured_is_above_zero() {
        let mut chosen = choose(Backend::Cpu, 1).unwrap();
        let mut report = measure(&mut chosen, 256, 4, 1).unwrap();
        assert!(report.phase_a_us > 0 && report.phase_b_us > 0 && report.check_us > 0);
        assert!(report.int8_mops > 0 && report.read_mbs > 0);
        // 200 million operations a second need 1007 ms for the classes' 201 million.
        report.int8_mops = 200;
        report.read_mbs = 1000;
        let classes = vec![
            class("slow", 1, 2000),
            class("just", 2, 500),
            class("fast", 3, 10),
        ];
        let catalogue = Catalogue {
            classes,
            models: Vec::new(),
        };
        estimate(&mut report, &catalogue, &VerificationParams::default());
        let granted: Vec<(&str, bool, u64)> = report
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
        assert!(
            report.table().contains("would be granted \"just\""),
            "{}",
            report.table()
        );
    }
}
