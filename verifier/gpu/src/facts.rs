//! What NVML says. Claims for people and reasons for errors; no decision about money rests on them.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;

use crate::error::GpuError;

/// A process that uses a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number, in the name space of the driver.
    pub pid: u32,
    /// Device memory that it uses, in bytes, where the driver says so.
    pub bytes: Option<u64>,
}

/// One card. Fields that a card or driver does not report are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// NVML's number of the card; not always CUDA's.
    pub index: u32,
    /// "GPU-…", by which NVML and CUDA are joined.
    pub uuid: String,
    /// Product name.
    pub name: Option<String>,
    /// PCI bus id.
    pub pci: Option<String>,
    /// Driver version.
    pub driver: Option<String>,
    /// Device memory in bytes.
    pub memory_total: Option<u64>,
    /// Free device memory in bytes.
    pub memory_free: Option<u64>,
    /// Clock of the multiprocessors in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Their highest clock in MHz.
    pub sm_clock_max_mhz: Option<u32>,
    /// Clock of the memory in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Compute capability.
    pub capability: Option<(i32, i32)>,
    /// Whether MIG is on; `None` where the card has none.
    pub mig: Option<bool>,
    /// Whether ECC is on; `None` where the card has none.
    pub ecc: Option<bool>,
    /// Why the clocks are held back, as NVML's names.
    pub throttle: Option<String>,
    /// Power draw in milliwatts.
    pub power_milliwatts: Option<u32>,
    /// Temperature in degrees Celsius.
    pub temperature: Option<u32>,
    /// Processes that compute or draw on the card.
    pub processes: Vec<Process>,
}

/// All cards that NVML sees, in its order.
///
/// # Errors
/// [`GpuError::NoNvml`] where there is no driver or it refuses.
pub fn facts() -> Result<Vec<Facts>, GpuError> {
    let refuse = |error: NvmlError| GpuError::NoNvml(error.to_string());
    let nvml = Nvml::init().map_err(refuse)?;
    let count = nvml.device_count().map_err(refuse)?;
    (0..count)
        .map(|index| card(&nvml, index).map_err(refuse))
        .collect()
}

fn card(nvml: &Nvml, index: u32) -> Result<Facts, NvmlError> {
    let device = nvml.device_by_index(index)?;
    let memory = device.memory_info().ok();
    let capability = device.cuda_compute_capability().ok();
    let mut processes = device.running_compute_processes().unwrap_or_default();
    processes.extend(device.running_graphics_processes().unwrap_or_default());
    processes.sort_by_key(|process| process.pid);
    processes.dedup_by_key(|process| process.pid);
    let processes = processes.iter().map(|process| Process {
        pid: process.pid,
        bytes: match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        },
    });
    Ok(Facts {
        index,
        uuid: device.uuid()?,
        name: device.name().ok(),
        pci: device.pci_info().ok().map(|pci| pci.bus_id),
        driver: nvml.sys_driver_version().ok(),
        memory_total: memory.as_ref().map(|memory| memory.total),
        memory_free: memory.as_ref().map(|memory| memory.free),
        sm_clock_mhz: device.clock_info(Clock::SM).ok(),
        sm_clock_max_mhz: device.max_clock_info(Clock::SM).ok(),
        memory_clock_mhz: device.clock_info(Clock::Memory).ok(),
        capability: capability.map(|capability| (capability.major, capability.minor)),
        mig: device.mig_mode().ok().map(|mode| mode.current == 1),
        ecc: device
            .is_ecc_enabled()
            .ok()
            .map(|ecc| ecc.currently_enabled),
        throttle: device
            .current_throttle_reasons()
            .ok()
            .map(|reasons| format!("{reasons:?}")),
        power_milliwatts: device.power_usage().ok(),
        temperature: device.temperature(TemperatureSensor::Gpu).ok(),
        processes: processes.collect(),
    })
}

/// The facts of the card with this UUID; `None` where NVML does not show it.
pub(crate) fn of_uuid(uuid: &str) -> Option<Facts> {
    facts().ok()?.into_iter().find(|card| card.uuid == uuid)
}

/// The processes on a card other than this one, by their numbers.
pub(crate) fn foreign(uuid: &str) -> Vec<u32> {
    let own = std::process::id();
    let processes = of_uuid(uuid).map(|card| card.processes).unwrap_or_default();
    processes
        .iter()
        .map(|process| process.pid)
        .filter(|pid| *pid != own)
        .collect()
}
