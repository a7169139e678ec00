//! Which engines compute. Part of worker and verifier, as `terms`.

use io_challenge::Engine;
use io_gpu::Selection;
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

/// Engines, and why these.
pub struct Chosen {
    /// One for each processor.
    pub engines: Vec<Box<dyn Engine>>,
    /// For people: what computes, and what was not found.
    pub why: String,
    /// Whether they hold the fill in this machine's own memory.
    pub on_host: bool,
}

impl From<Backend> for io_gpu::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Cuda => Self::Cuda,
            Backend::Cpu => Self::Cpu,
        }
    }
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chosen")
            .field("engines", &self.engines.len())
            .field("why", &self.why)
            .field("on_host", &self.on_host)
            .finish()
    }
}

/// Chooses engines for that many processors.
///
/// # Errors
/// CUDA was asked for by name and cannot be used, or shows fewer cards; the text says what to do.
pub fn choose(backend: Backend, processors: u16) -> Result<Chosen, String> {
    let wanted = usize::from(processors);
    match io_gpu::select(backend.into()).map_err(|error| error.to_string())? {
        Selection::Cuda { engines, why } if engines.len() >= wanted => {
            let mut boxed: Vec<Box<dyn Engine>> = Vec::new();
            for engine in engines.into_iter().take(wanted) {
                boxed.push(Box::new(engine));
            }
            Ok(Chosen {
                engines: boxed,
                why,
                on_host: false,
            })
        }
        Selection::Cuda { engines, .. } if backend == Backend::Cuda => Err(format!(
            "{} cards can be used, {wanted} processors are declared: correct `processors`",
            engines.len()
        )),
        Selection::Cuda { engines, .. } => {
            let why = format!("{} cards for {wanted} processors", engines.len());
            Ok(on_cpu(wanted, &why))
        }
        Selection::Cpu { why } => Ok(on_cpu(wanted, &why)),
    }
}

fn on_cpu(wanted: usize, why: &str) -> Chosen {
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    for _processor in 0..wanted {
        engines.push(Box::new(io_cpu::engine()));
    }
    let name = engines.first().map_or("nothing", |engine| engine.name());
    Chosen {
        why: format!("{name} ({why})"),
        engines,
        on_host: true,
    }
}
