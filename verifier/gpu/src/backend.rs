//! `--backend auto|cuda|cpu`: one rule for worker and verifier.

use std::fmt;
use std::str::FromStr;

use crate::driver::count;
use crate::engine::CudaEngine;
use crate::error::GpuError;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// CUDA where there is a usable card, else the CPU.
    #[default]
    Auto,
    /// CUDA or an error.
    Cuda,
    /// The CPU, without looking for a card.
    Cpu,
}

impl FromStr for Backend {
    type Err = GpuError;

    fn from_str(word: &str) -> Result<Self, GpuError> {
        match word {
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda),
            "cpu" => Ok(Self::Cpu),
            other => Err(GpuError::Backend(other.to_owned())),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
        })
    }
}

/// What was chosen. The CPU engine lives in `io-cpu`; the caller makes it.
#[derive(Debug)]
pub enum Selection {
    /// One engine for each usable card, in CUDA's order. Run each on a thread of its own.
    Cuda {
        /// The engines; at least one.
        engines: Vec<CudaEngine>,
        /// What was chosen and why, for people.
        why: String,
    },
    /// The caller shall use the CPU.
    Cpu {
        /// What was chosen and why, for people.
        why: String,
    },
}

/// Chooses. In `auto` the reason why there is no card ends in the sentence, not in an error.
///
/// # Errors
/// With [`Backend::Cuda`]: why no card can be used.
pub fn select(backend: Backend) -> Result<Selection, GpuError> {
    if backend == Backend::Cpu {
        return Ok(Selection::Cpu {
            why: "backend cpu: as asked".to_owned(),
        });
    }
    match open_all() {
        Ok(engines) => {
            let names: Vec<_> = engines
                .iter()
                .map(|engine| io_challenge::Engine::name(engine).to_owned())
                .collect();
            let asked = if backend == Backend::Cuda {
                "as asked"
            } else {
                "cards were found"
            };
            Ok(Selection::Cuda {
                engines,
                why: format!("backend cuda: {asked}: {}", names.join("; ")),
            })
        }
        Err(error) if backend == Backend::Auto => Ok(Selection::Cpu {
            why: format!("backend cpu: {error}"),
        }),
        Err(error) => Err(error),
    }
}

fn open_all() -> Result<Vec<CudaEngine>, GpuError> {
    let count = count()?;
    if count == 0 {
        return Err(GpuError::NoDevice { ordinal: 0, count });
    }
    (0..count).map(CudaEngine::open).collect()
}
