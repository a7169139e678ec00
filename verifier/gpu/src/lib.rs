//! The GPU challenge on CUDA, and what NVML says about a machine's cards.
//!
//! Nothing of CUDA is needed to build this crate, and nothing is loaded until [`CudaEngine::open`], [`facts()`] or
//! [`select`] is called. A machine without a driver gets [`GpuError::NoDriver`], never a panic.
//!
//! - [`CudaEngine`] is an [`io_challenge::Engine`] for one card: the fill lies in plain device memory, phase A runs on the
//!   tensor cores, digests and walkers on the card, and sampled elements are checked on the host before anything is
//!   committed. Engines of several cards run each on a thread of its caller.
//! - [`select`] turns `--backend auto|cuda|cpu` into engines and a sentence that says what was chosen and why.
//! - [`facts()`] lists cards by UUID. They are claims for people; nothing is paid for them.
//!
//! The kernels are CUDA source in `kernels/`, made to PTX by `kernels/build`. The PTX is part of this crate.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::integer_division,
    reason = "sizes are checked powers of two; addresses and lengths cross to C"
)]

mod backend;
mod cublaslt;
mod driver;
mod engine;
mod error;
mod facts;
mod kernels;
mod measure;
mod ring;
mod source;
mod walked;

pub use backend::{Backend, Selection, select};
pub use engine::CudaEngine;
pub use error::GpuError;
pub use facts::{Facts, Process, facts};
pub use kernels::{HOPPER_PTX, PORTABLE_PTX, Product};
pub use measure::{Measure, Measured, Pulse, measure};
