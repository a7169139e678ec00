//! The opening of an epoch: who is nominated, and why not.

use std::ops::ControlFlow;

use io_storage::Fault;
use io_types::row::{Device, DeviceResult, DeviceState, NominationCheck};
use io_types::{Amount, DeviceId, Epoch, Event};

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::stake;
use crate::state::State;
use crate::tables::{BOOKINGS, DEVICE_RESULTS, DEVICES, EPOCHS, UPTIME};

/// Memory failures after which a device waits.
const MEMORY_FAILURES_MAX: u32 = 4;
/// How long it waits after the last of them, ms.
const MEMORY_WAIT_MS: u64 = 12 * 3_600_000;

/// A result without anything in it.
pub(super) fn no_result() -> DeviceResult {
    DeviceResult {
        nominated: false,
        succeeded: false,
        failed_checks: Vec::new(),
        slots_up: 0,
        slots_hired: 0,
        base: 0,
        reward: Amount::ZERO,
    }
}

/// The first epoch has no device yet.
pub fn open_first_epoch(state: &mut State<'_>, block: &BlockContext) {
    let epoch = block.epoch();
    EPOCHS.put(state, &epoch, &super::empty(epoch));
}

/// Every device that is not retired.
pub(super) fn active_devices(state: &State<'_>) -> Result<Vec<Device>, Fault> {
    let mut devices = Vec::new();
    DEVICES.scan(state, &DeviceId(0), None, &mut |_id, device| {
        if device.state != DeviceState::Retired {
            devices.push(device);
        }
        ControlFlow::Continue(())
    })?;
    Ok(devices)
}

/// Nominates devices for an epoch; each refused device keeps the checks that it failed.
pub fn open_epoch(
    state: &mut State<'_>,
    block: &BlockContext,
    _derived: &Derived,
    epoch: Epoch,
) -> Result<(), Fault> {
    let mut nominated = 0_u64;
    for device in active_devices(state)? {
        let key = (epoch, device.id);
        let mut result = DEVICE_RESULTS.get(state, &key)?.unwrap_or_else(no_result);
        result.failed_checks = refusals(state, block, &device)?;
        result.nominated = result.failed_checks.is_empty();
        nominated = nominated.saturating_add(u64::from(result.nominated));
        DEVICE_RESULTS.put(state, &key, &result);
    }
    let mut row = super::read(state, epoch)?;
    row.nominated = nominated;
    EPOCHS.put(state, &epoch, &row);
    state.emit(Event::EpochOpened { epoch, nominated });
    Ok(())
}

/// The checks that a device fails, in order.
fn refusals(
    state: &State<'_>,
    block: &BlockContext,
    device: &Device,
) -> Result<Vec<NominationCheck>, Fault> {
    let params = &block.params.reward;
    let mut failed = Vec::new();
    let mut check = |holds: bool, what: NominationCheck| {
        if !holds {
            failed.push(what);
        }
    };
    check(
        matches!(device.state, DeviceState::Ready | DeviceState::Hired),
        NominationCheck::State,
    );
    check(
        stake::terms(block, device).is_some_and(|model| model.multiplier_milli > 0),
        NominationCheck::Multiplier,
    );
    check(device.spec.connectivity > 0, NominationCheck::Connectivity);
    check(
        stake::is_enough(state, block, device)?,
        NominationCheck::Stake,
    );
    let full = UPTIME
        .get(state, &device.id)?
        .map_or(0, |chain| chain.full_epochs);
    check(full >= params.nomination_epochs, NominationCheck::Uptime);
    let fresh = device
        .passed_at
        .is_some_and(|at| block.now.since_ms(at) <= params.pass_age_max_ms);
    // A hired device whose order does not allow pulses cannot renew its pass: the clock of its pass stops.
    let excused = match device.booking {
        Some(id) => BOOKINGS
            .get(state, &id)?
            .is_some_and(|booking| !booking.pulse_ok),
        None => false,
    };
    let passed = device.passed_at.is_some() && !device.last_failed && (fresh || excused);
    check(passed, NominationCheck::Challenge);
    let memory = device.memory_failures < MEMORY_FAILURES_MAX
        || block.now.since_ms(device.memory_failed_at) > MEMORY_WAIT_MS;
    check(memory, NominationCheck::Memory);
    Ok(failed)
}
