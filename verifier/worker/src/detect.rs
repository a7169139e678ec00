//! What NVML says of this machine. Claims for people; nothing is paid for them.

use io_types::catalogue::{Catalogue, Model};
use serde::Serialize;

/// One processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Processor {
    /// NVML's number.
    pub index: u32,
    /// UUID.
    pub uuid: String,
    /// Product name.
    pub name: Option<String>,
    /// PCI bus id.
    pub pci: Option<String>,
    /// Driver version.
    pub driver: Option<String>,
    /// Memory, MiB.
    pub memory_mib: Option<u64>,
    /// Free memory, MiB.
    pub memory_free_mib: Option<u64>,
    /// Clock of the multiprocessors, MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Compute capability, as "9.0".
    pub capability: Option<String>,
    /// Whether the card is split into instances; such a card cannot pass.
    pub mig: Option<bool>,
    /// Whether memory errors are corrected.
    pub ecc: Option<bool>,
    /// Numbers of processes that use it.
    pub processes: Vec<u32>,
    /// The model of the catalogue that fits the name, if one does.
    pub model: Option<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// The processors, in NVML's order.
    pub processors: Vec<Processor>,
    /// Why there are none.
    pub absent: Option<String>,
}

/// Asks NVML. A machine without it is no error.
pub fn detect(catalogue: Option<&Catalogue>) -> Detected {
    match io_gpu::facts() {
        Ok(cards) if cards.is_empty() => Detected {
            processors: Vec::new(),
            absent: Some("NVML shows no card".to_owned()),
        },
        Ok(cards) => Detected {
            processors: cards
                .into_iter()
                .map(|card| processor(card, catalogue))
                .collect(),
            absent: None,
        },
        Err(error) => Detected {
            processors: Vec::new(),
            absent: Some(error.to_string()),
        },
    }
}

fn processor(card: io_gpu::Facts, catalogue: Option<&Catalogue>) -> Processor {
    let mib = |bytes: u64| bytes >> 20;
    let memory_mib = card.memory_total.map(mib);
    let model = card
        .name
        .as_deref()
        .zip(catalogue)
        .and_then(|(name, catalogue)| model_of(name, memory_mib, catalogue));
    Processor {
        index: card.index,
        uuid: card.uuid,
        model: model.map(|model| model.name.clone()),
        name: card.name,
        pci: card.pci,
        driver: card.driver,
        memory_mib,
        memory_free_mib: card.memory_free.map(mib),
        sm_clock_mhz: card.sm_clock_mhz,
        capability: card
            .capability
            .map(|(major, minor)| format!("{major}.{minor}")),
        mig: card.mig,
        ecc: card.ecc,
        processes: card.processes.iter().map(|process| process.pid).collect(),
    }
}

/// The model whose every word stands in the product name and whose memory is nearest.
pub fn model_of<'c>(
    name: &str,
    memory_mib: Option<u64>,
    catalogue: &'c Catalogue,
) -> Option<&'c Model> {
    let plain = |text: &str| -> Vec<String> {
        text.to_ascii_lowercase()
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    };
    let words = plain(name);
    let has = |model: &&Model| {
        let own = plain(&model.name);
        // "SXM" and "PCIe" are not in every product name.
        let wanted = own
            .iter()
            .filter(|word| !["sxm", "pcie", "nvl"].contains(&word.as_str()));
        !own.is_empty() && wanted.clone().all(|word| words.contains(word)) && wanted.count() > 0
    };
    let distance =
        |model: &&Model| memory_mib.map_or(0, |mib| mib.abs_diff(u64::from(model.vram_mib)));
    let named = |model: &&Model| {
        plain(&model.name)
            .iter()
            .filter(|word| words.contains(word))
            .count()
    };
    catalogue.models.iter().filter(has).min_by_key(|model| {
        (
            distance(model).div_euclid(4096),
            std::cmp::Reverse(named(model)),
            model.id,
        )
    })
}

impl Detected {
    /// For people.
    pub fn table(&self) -> String {
        let Some(first) = self.processors.first() else {
            let why = self.absent.as_deref().unwrap_or("NVML shows no card");
            return format!("no processors found: {why}\n");
        };
        let driver = first.driver.as_deref().unwrap_or("unknown");
        let mut text = format!("{} processors, driver {driver}\n", self.processors.len());
        for one in &self.processors {
            let unknown = || "unknown".to_owned();
            let row = format!(
                "  {}: {}, {} MiB ({} free), capability {}, MIG {}, ECC {}, {} processes, {}, model {}\n",
                one.index,
                one.name.clone().unwrap_or_else(unknown),
                one.memory_mib.map_or_else(unknown, |mib| mib.to_string()),
                one.memory_free_mib
                    .map_or_else(unknown, |mib| mib.to_string()),
                one.capability.clone().unwrap_or_else(unknown),
                one.mig.map_or("none", |on| if on { "on" } else { "off" }),
                one.ecc.map_or("none", |on| if on { "on" } else { "off" }),
                one.processes.len(),
                one.uuid,
                one.model.clone().unwrap_or_else(unknown),
            );
            text.push_str(&row);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use io_types::MicroUsd;
    use io_types::catalogue::{ClassId, ModelId, Pool};

    use super::*;

    fn model(id: u16, name: &str, vram_mib: u32) -> Model {
        Model {
            id: ModelId(id),
            name: name.to_owned(),
            class: ClassId(id),
            multiplier_milli: 1000,
            pool: Pool::Enterprise,
            price_floor: MicroUsd(1),
            price_ceiling: MicroUsd(2),
            vram_mib,
            placeholder: Vec::new(),
        }
    }

    #[test]
    fn product_names_find_their_model() {
        let models = vec![
            model(1, "RTX 4090", 24_564),
            model(2, "H100 SXM", 81_559),
            model(3, "H100 PCIe", 81_559),
            model(4, "A100-40", 40_960),
            model(5, "RTX 4090 Ti", 24_564),
        ];
        let catalogue = Catalogue {
            classes: Vec::new(),
            models,
        };
        let cases = [
            ("NVIDIA GeForce RTX 4090", Some(24_564), Some(1)),
            ("NVIDIA H100 PCIe", Some(81_559), Some(3)),
            ("NVIDIA H100 80GB HBM3", Some(81_559), Some(2)),
            ("Tesla T4", Some(15_360), None),
        ];
        for (name, mib, expected) in cases {
            let found = model_of(name, mib, &catalogue).map(|model| model.id.0);
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_machine_without_cards_says_so() {
        let detected = detect(None);
        if detected.processors.is_empty() {
            let why = detected.absent.clone().unwrap();
            assert!(!why.is_empty());
            assert!(
                detected.table().starts_with("no processors found: "),
                "{}",
                detected.table()
            );
        } else {
            assert!(detected.table().contains("processors, driver"));
        }
    }
}
