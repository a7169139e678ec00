//! Why a card cannot work, and what to do about it.

use io_challenge::EngineError;

/// Why a card cannot work. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// There is no NVIDIA driver.
    #[error(
        "no NVIDIA driver is installed (libcuda is missing): install one, or use `--backend cpu`"
    )]
    NoDriver,
    /// NVML is missing or refuses.
    #[error("NVML cannot be used: {0}; install the driver's management library")]
    NoNvml(String),
    /// The driver is older than the kernels.
    #[error(
        "the driver speaks CUDA {got}, the kernels need {needed}: update the driver to version 525 or later"
    )]
    DriverTooOld {
        /// CUDA version of the driver, as 1000·major + 10·minor.
        got: i32,
        /// What the kernels need, in the same form.
        needed: i32,
    },
    /// The driver lacks a function that every supported driver has.
    #[error("the driver lacks a function that is needed: {0}; install it anew")]
    BrokenDriver(String),
    /// No card has this number.
    #[error(
        "there is no card {ordinal}, the driver shows {count}: check CUDA_VISIBLE_DEVICES and nvidia-smi, and that MIG is off"
    )]
    NoDevice {
        /// The card asked for.
        ordinal: usize,
        /// How many the driver shows.
        count: usize,
    },
    /// The card has no int8 tensor cores that the kernels can use.
    #[error(
        "{name} has compute capability {major}.{minor}, 8.0 or later is needed: use `--backend cpu`"
    )]
    DeviceTooOld {
        /// The card's name.
        name: String,
        /// Compute capability, major.
        major: i32,
        /// Compute capability, minor.
        minor: i32,
    },
    /// The card is split into instances.
    #[error(
        "MIG is on for {uuid}: a part of a card cannot pass; turn it off with `nvidia-smi -i {uuid} -mig 0`"
    )]
    Mig {
        /// The card.
        uuid: String,
    },
    /// The fill does not fit into free memory, and no other process is known to use it.
    #[error(
        "{needed} bytes of device memory are needed, {free} are free: take the sizes of this card's class"
    )]
    Memory {
        /// What the run needs.
        needed: u64,
        /// What is free.
        free: u64,
    },
    /// The fill does not fit beside what other processes use.
    #[error(
        "{needed} bytes of device memory are needed, {free} are free beside processes {processes:?}: stop them"
    )]
    Busy {
        /// What the run needs.
        needed: u64,
        /// What is free.
        free: u64,
        /// Processes on the card other than this one, by their numbers.
        processes: Vec<u32>,
    },
    /// The card or its driver stopped in the middle.
    #[error(
        "the card was lost while {during} ({code}): look for Xid messages in the kernel log, reset or restart the machine"
    )]
    Lost {
        /// What was going on.
        during: &'static str,
        /// The driver's name for the error.
        code: String,
    },
    /// The driver refused something else.
    #[error(
        "the driver refused {during} ({code}): restart the machine; if it happens again, report it with the card and the driver's version"
    )]
    Driver {
        /// What was going on.
        during: &'static str,
        /// The driver's name for the error.
        code: String,
    },
    /// A word that names no backend.
    #[error("`{0}` is no backend: use auto, cuda or cpu")]
    Backend(String),
}

impl From<GpuError> for EngineError {
    fn from(error: GpuError) -> Self {
        Self::Device(Box::new(error))
    }
}
