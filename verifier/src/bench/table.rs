//! The report for people.

use std::fmt::{self, Display, Formatter};

use super::card::{Card, Figures};
use super::classes::Grant;
use super::{Report, cpu};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "date           {}", self.date)?;
        writeln!(f, "chosen         {}\n", self.backend)?;
        self.cpu.fmt(f)?;
        for card in &self.cards {
            match card {
                Card::Measured(figures) => figures.fmt(f)?,
                Card::Failed { ordinal, error } => {
                    writeln!(f, "\ncard {ordinal}         FAILED: {error}")?;
                }
            }
        }
        if let Some(skipped) = &self.skipped {
            for figure in &skipped.figures {
                writeln!(f, "SKIPPED        {figure}: {}", skipped.why)?;
            }
        }
        for grant in &self.grants {
            grant.fmt(f)?;
        }
        if let Some(why) = &self.classes_skipped {
            writeln!(f, "SKIPPED        class granted: {why}")?;
        }
        Ok(())
    }
}

impl Display for cpu::Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPU            {}", self.engine)?;
        writeln!(f, "sizes          N = {}, K = M = {}", self.size, self.kept)?;
        let (a, b) = (self.phase_a_us, self.phase_b_us);
        writeln!(
            f,
            "phase A        {a} us, {} M int8 operations/s",
            self.int8_mops
        )?;
        writeln!(
            f,
            "phase B        {b} us, {} MB/s read at random",
            self.read_mbs
        )?;
        writeln!(f, "opening check  {} us for one verifier", self.check_us)
    }
}

/// A share in thousandths as a percentage.
fn percent(share: Option<u64>) -> String {
    share.map_or_else(
        || "-".to_owned(),
        |share| format!("{}.{} %", share.div_euclid(10), share.rem_euclid(10)),
    )
}

impl Display for Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let driver = self.driver.as_deref().unwrap_or("unknown");
        writeln!(f, "\ncard           {} ({})", self.card, self.uuid)?;
        writeln!(f, "driver         {driver}, CUDA {}", self.cuda)?;
        writeln!(f, "memory         {} MiB", self.memory_bytes >> 20)?;
        writeln!(
            f,
            "int8 rate      N = {}: portable {} G operations/s, {} of cuBLASLt",
            self.size,
            self.portable_gops,
            percent(self.portable_of_cublaslt)
        )?;
        if let Some(rate) = self.hopper_gops {
            let share = percent(self.hopper_of_cublaslt);
            writeln!(
                f,
                "               Hopper {rate} G operations/s, {share} of cuBLASLt"
            )?;
        }
        match (self.cublaslt_gops, &self.cublaslt_missing) {
            (Some(rate), _) => writeln!(f, "cuBLASLt       {rate} G operations/s")?,
            (None, Some(why)) => writeln!(f, "cuBLASLt       SKIPPED: {why}")?,
            (None, None) => {}
        }
        if let Some((wrong, compared)) = self.cublaslt_wrong {
            writeln!(f, "               {wrong} of {compared} elements differ")?;
        }
        writeln!(
            f,
            "digest         {} of a step",
            percent(Some(self.digest_of_step))
        )?;
        writeln!(f, "copy           {} MB/s read and written", self.copy_mbs)?;
        writeln!(
            f,
            "random read    {} of the copy",
            percent(self.read_of_copy)
        )?;
        writeln!(
            f,
            "start          {} ms to the end of the first step",
            self.start_ms
        )?;
        for pulse in &self.pulses {
            writeln!(
                f,
                "pulse          K = {}: A {} ms, B {} ms, openings {} ms, {}",
                pulse.kept,
                pulse.phase_a_ms,
                pulse.phase_b_ms,
                pulse.open_ms,
                if pulse.opens { "right" } else { "WRONG" }
            )?;
        }
        match &self.pulse_failed {
            Some(why) => writeln!(f, "pulse          FAILED: {why}"),
            None => Ok(()),
        }
    }
}

impl Display for Grant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.processor)?;
        writeln!(
            f,
            "{:<24} {:>12} {:>12} {:>12} {:>12}  fits  granted",
            "class", "A ms", "A limit", "B ms", "B limit"
        )?;
        let word = |yes| if yes { "yes" } else { "no" };
        for class in &self.classes {
            writeln!(
                f,
                "{:<24} {:>12} {:>12} {:>12} {:>12}  {:<4}  {}",
                class.name,
                class.phase_a_ms,
                class.phase_a_limit_ms,
                class.phase_b_ms,
                class.phase_b_limit_ms,
                word(class.fits),
                word(class.granted)
            )?;
        }
        match &self.granted {
            Some(name) => writeln!(f, "class granted: {name:?}"),
            None => writeln!(f, "class granted: none"),
        }
    }
}
