//! The files of a network as people write them, and how they become a spec.

use std::collections::BTreeMap;

use io_types::catalogue::{Catalogue, Class, ClassId, Model, ModelId, Pool};
use io_types::genesis::{
    GenesisBalance, GenesisBridge, GenesisSpec, GenesisValidator, GenesisVerifier,
};
use io_types::{BlockTime, ChainTime, MicroUsd, Params};
use serde::{Deserialize, Serialize};

use crate::engine::EngineParams;
use crate::problem::Problem;
use crate::{check, clock};

/// A network whose templates come with this library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Network {
    /// One machine, compressed epochs, a challenge that a CPU can meet.
    Localnet,
    /// The draft of a real network.
    MainnetDraft,
}

/// `network.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkFile {
    pub(crate) chain_id: String,
    pub(crate) genesis_time: String,
    pub(crate) chain_start: String,
    pub(crate) epoch_seconds: u32,
    pub(crate) schedule_start: String,
    pub(crate) accept_every_pair: bool,
    pub(crate) accepted_pairs: Vec<(String, String)>,
    pub(crate) bridge: GenesisBridge,
    pub(crate) engine: EngineParams,
}

/// `catalogue.toml`: its models are in the file that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CatalogueFile {
    pub(crate) models: String,
    #[serde(default)]
    pub(crate) every_model_in_class: Option<String>,
    pub(crate) class: Vec<Class>,
}

/// `models.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelsFile {
    pub(crate) model: Vec<ModelEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelEntry {
    id: ModelId,
    name: String,
    class: String,
    multiplier_milli: u32,
    pool: Pool,
    price_floor: MicroUsd,
    price_ceiling: MicroUsd,
    vram_mib: u32,
    placeholder: Vec<String>,
}

/// A network without its people and without its Solana side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub(crate) network: NetworkFile,
    pub(crate) params: Params,
    pub(crate) catalogue: CatalogueFile,
    pub(crate) models: ModelsFile,
}

/// What makes one network out of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The chain's id.
    pub chain_id: String,
    /// Block time of genesis, any instant.
    pub genesis_time: BlockTime,
    /// Chain time of genesis, a full hour.
    pub chain_start: ChainTime,
    /// Validators in any order.
    pub validators: Vec<GenesisValidator>,
    /// Verifiers in any order.
    pub verifiers: Vec<GenesisVerifier>,
    /// Balances in any order.
    pub balances: Vec<GenesisBalance>,
    /// The Solana side.
    pub bridge: GenesisBridge,
}

macro_rules! builtin {
    ($folder:literal) => {
        [
            (
                "network.toml",
                include_str!(concat!("../networks/", $folder, "/network.toml")),
            ),
            (
                "params.toml",
                include_str!(concat!("../networks/", $folder, "/params.toml")),
            ),
            (
                "catalogue.toml",
                include_str!(concat!("../networks/", $folder, "/catalogue.toml")),
            ),
            ("models.toml", include_str!("../networks/models.toml")),
        ]
    };
}

impl Network {
    /// The template's files: name and text.
    pub(crate) const fn files(self) -> [(&'static str, &'static str); 4] {
        match self {
            Self::Localnet => builtin!("localnet"),
            Self::MainnetDraft => builtin!("mainnet-draft"),
        }
    }
}

impl Template {
    /// A template that comes with this library.
    pub fn builtin(network: Network) -> Self {
        let [network, params, catalogue, models] = network.files().map(|(_name, text)| text);
        let sound = "a test parses every template of this library";
        Self {
            network: toml::from_str(network).expect(sound),
            params: toml::from_str(params).expect(sound),
            catalogue: toml::from_str(catalogue).expect(sound),
            models: toml::from_str(models).expect(sound),
        }
    }

    /// The parameters, to change them before [`Template::build`].
    pub fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    /// Real seconds of an epoch, to change them before [`Template::build`].
    pub fn epoch_seconds_mut(&mut self) -> &mut u32 {
        &mut self.network.epoch_seconds
    }

    /// The consensus engine's parameters.
    pub fn engine(&self) -> &EngineParams {
        &self.network.engine
    }

    /// Sorts everything and makes the spec. Every rule that it breaks comes back, not just the first.
    pub fn build(&self, inputs: Inputs) -> Result<GenesisSpec, Vec<Problem>> {
        let mut problems = self.network.engine.check();
        let catalogue = self.catalogue(&mut problems);
        let schedule_start = Self::instant(
            "schedule_start",
            &self.network.schedule_start,
            &mut problems,
        );
        let Inputs {
            chain_id,
            genesis_time,
            chain_start,
            mut validators,
            mut verifiers,
            mut balances,
            bridge,
        } = inputs;
        validators.sort_by_key(|validator| validator.address);
        verifiers.sort_by_key(|verifier| verifier.account);
        balances.sort_by_key(|balance| (balance.account, balance.asset));
        let mut spec = GenesisSpec {
            chain_id,
            genesis_time,
            chain_start,
            epoch_seconds: self.network.epoch_seconds,
            schedule_start: ChainTime(schedule_start),
            params: self.params.clone(),
            catalogue,
            validators,
            verifiers,
            balances,
            bridge,
            accepted_pairs: Vec::new(),
        };
        spec.accepted_pairs = self.pairs(&spec, &mut problems);
        problems.extend(check(&spec));
        if problems.is_empty() {
            Ok(spec)
        } else {
            Err(problems)
        }
    }

    /// An instant of `network.toml` in milliseconds; 0 and a problem if it is none.
    pub(crate) fn instant(field: &'static str, text: &str, problems: &mut Vec<Problem>) -> u64 {
        clock::parse(text).unwrap_or_else(|| {
            problems.push(Problem::Instant {
                field,
                value: text.to_owned(),
            });
            0
        })
    }

    fn catalogue(&self, problems: &mut Vec<Problem>) -> Catalogue {
        let CatalogueFile {
            models: _,
            every_model_in_class,
            class,
        } = &self.catalogue;
        let numbers: BTreeMap<&str, ClassId> = class
            .iter()
            .map(|class| (class.name.as_str(), class.id))
            .collect();
        let mut classes = class.clone();
        classes.sort_by_key(|class| class.id);
        let mut models = Vec::new();
        for entry in &self.models.model {
            let class = every_model_in_class.as_ref().unwrap_or(&entry.class);
            let Some(class) = numbers.get(class.as_str()).copied() else {
                problems.push(Problem::UnknownClass {
                    model: entry.name.clone(),
                    class: format!("{class:?}"),
                });
                continue;
            };
            models.push(entry.model(class));
        }
        models.sort_by_key(|model| model.id);
        Catalogue { classes, models }
    }

    fn pairs(&self, spec: &GenesisSpec, problems: &mut Vec<Problem>) -> Vec<(u16, u16)> {
        let mut pairs = Vec::new();
        if self.network.accept_every_pair {
            pairs.extend(
                check::unfair_pairs(spec)
                    .iter()
                    .map(|pair| (pair.big.0, pair.small.0)),
            );
        }
        let number = |name: &String, problems: &mut Vec<Problem>| {
            let found = spec
                .catalogue
                .models
                .iter()
                .find(|model| model.name == *name);
            if found.is_none() {
                problems.push(Problem::UnknownModel {
                    model: name.clone(),
                });
            }
            found.map(|model| model.id.0)
        };
        for (big, small) in &self.network.accepted_pairs {
            if let (Some(big), Some(small)) = (number(big, problems), number(small, problems)) {
                pairs.push((big, small));
            }
        }
        pairs.sort_unstable();
        pairs
    }
}

impl ModelEntry {
    fn model(&self, class: ClassId) -> Model {
        let Self {
            id,
            name,
            class: _,
            multiplier_milli,
            pool,
            price_floor,
            price_ceiling,
            vram_mib,
            placeholder,
        } = self.clone();
        Model {
            id,
            name,
            class,
            multiplier_milli,
            pool,
            price_floor,
            price_ceiling,
            vram_mib,
            placeholder,
        }
    }
}
