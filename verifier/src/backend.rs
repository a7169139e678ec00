//! Which engine computes. Part of worker and verifier, as `terms`.

use io_challenge::Engine;
use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// CUDA where there is a card that can be used, else the CPU.
    #[default]
    Auto,
    /// CUDA or nothing.
    Cuda,
    /// The CPU's vector units.
    Cpu,
}

/// An engine, and why it is this one.
pub struct Chosen {
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// For people: what computes, and what was not found.
    pub why: String,
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chosen").field("why", &self.why).finish_non_exhaustive()
    }
}

/// Chooses an engine for one processor.
///
/// # Errors
/// CUDA was asked for by name and cannot be used; the text says why.
pub fn choose(backend: Backend, processor: u16) -> Result<Chosen, String> {
    let cuda = match backend {
        Backend::Cpu => Err("the CPU was asked for".to_owned()),
        Backend::Auto | Backend::Cuda => cuda(processor),
    };
    match (backend, cuda) {
        (_, Ok(chosen)) => Ok(chosen),
        (Backend::Cuda, Err(why)) => Err(format!(
            "CUDA cannot be used for processor {processor}: {why}; use --backend cpu or auto"
        )),
        (Backend::Auto | Backend::Cpu, Err(why)) => {
            let engine = io_cpu::engine();
            let why = format!("{} ({why})", Engine::name(&engine));
            Ok(Chosen {
                engine: Box::new(engine),
                why,
            })
        }
    }
}

fn cuda(_processor: u16) -> Result<Chosen, String> {
    Err("this build has no CUDA engine".to_owned())
}
