//! A catalogue entry from what a card has shown.

use io_gpu::Measured;
use io_types::catalogue::{Catalogue, Class, ClassId};
use serde::Serialize;

use super::classes::operations;

/// Blocks that a device has beside the time that its answer takes: to see the draw, and to be heard.
const BLOCKS_BESIDE: u64 = 5;

/// A class with reference times, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The card, by its driver's name.
    pub card: String,
    /// Its UUID.
    pub uuid: String,
    /// Version of the driver, where NVML says it.
    pub driver: Option<String>,
    /// CUDA version of the driver, as 1000·major + 10·minor.
    pub cuda: i32,
    /// When, by this machine's clock, UTC.
    pub date: String,
    /// Pulses of which the median was taken.
    pub pulses: usize,
    /// The entry.
    pub class: Class,
}

#[derive(Serialize)]
struct File<'a> {
    class: [&'a Class; 1],
}

fn millis(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds.div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// The entry that this card's median pulse gives; `None` where no pulse was run. Number and rank are the next ones of
/// the catalogue, for people to move.
pub fn entry(
    measured: &Measured,
    driver: Option<String>,
    date: &str,
    catalogue: Option<&Catalogue>,
) -> Option<Entry> {
    let pulse = measured.median_pulse().filter(|pulse| pulse.opens)?;
    let classes = catalogue.map_or(&[][..], |catalogue| &catalogue.classes);
    let next = |field: fn(&Class) -> u16| {
        let highest = classes.iter().map(field).max().unwrap_or(0);
        highest.saturating_add(1)
    };
    let (phase_a_ref_ms, phase_b_ref_ms) = (millis(pulse.fill_ns), millis(pulse.walk_ns));
    // Nobody of the class is faster than 105 % of the datasheet: operations / (1.05 · peak), in milliseconds.
    let least = measured.peak_ops.and_then(|peak| {
        let scaled = operations(&pulse.params).checked_mul(100_000)?;
        scaled.checked_div(u128::from(peak).checked_mul(105)?)
    });
    let both = u64::from(phase_a_ref_ms).saturating_add(u64::from(phase_b_ref_ms));
    // 1.25 times both and 1.5 s, in blocks of one second.
    let answer = both
        .saturating_mul(5)
        .div_ceil(4)
        .saturating_add(1500)
        .div_ceil(1000);
    let name = measured.card.split(", ").nth(1).unwrap_or(&measured.card);
    Some(Entry {
        card: name.to_owned(),
        uuid: measured.uuid.clone(),
        driver,
        cuda: measured.cuda,
        date: date.to_owned(),
        pulses: measured.pulses.len(),
        class: Class {
            id: ClassId(next(|class| class.id.0)),
            name: name.to_owned(),
            rank: next(|class| class.rank),
            n: pulse.params.size,
            k: pulse.params.kept,
            m: pulse.params.steps,
            w: pulse.params.walkers,
            r: pulse.params.reads,
            phase_a_ref_ms,
            phase_b_ref_ms,
            phase_a_min_ms: u32::try_from(least.unwrap_or(0)).unwrap_or(0),
            answer_blocks: u32::try_from(answer.saturating_add(BLOCKS_BESIDE)).unwrap_or(u32::MAX),
        },
    })
}

impl Entry {
    /// The entry as a catalogue file has it.
    ///
    /// # Errors
    /// None that a class has.
    pub fn toml(&self) -> Result<String, toml::ser::Error> {
        let driver = self.driver.as_deref().unwrap_or("unknown");
        let file = File {
            class: [&self.class],
        };
        Ok(format!(
            "# {} ({}), driver {driver}, CUDA {}, {}: median of {} pulses by `io-verifier bench --calibrate`.\n\
             # `id` and `rank` are the next free ones: move the rank to where the class belongs.\n{}",
            self.card,
            self.uuid,
            self.cuda,
            self.date,
            self.pulses,
            toml::to_string(&file)?
        ))
    }
}
