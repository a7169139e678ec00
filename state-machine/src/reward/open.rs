//! The opening of an epoch: who is nominated, and why not. The close of the epoch before asks it for each device.

use io_storage::Fault;
use io_types::row::{Device, DeviceState, NominationCheck};

use crate::context::BlockContext;
use crate::stake;
use crate::state::State;
use crate::tables::{BOOKINGS, EPOCHS};

/// Memory failures after which a device waits.
const MEMORY_FAILURES_MAX: u32 = 4;
/// How long it waits after the last of them, ms.
const MEMORY_WAIT_MS: u64 = 12 * 3_600_000;

/// The first epoch has no device yet.
pub fn open_first_epoch(state: &mut State<'_>, block: &BlockContext) {
    let epoch = block.epoch();
    EPOCHS.put(state, &epoch, &super::empty(epoch));
}

/// The checks that a device fails, in order.
///
/// `full_epochs` is how many full epochs in a row it has.
pub(super) fn refusals(
    state: &State<'_>,
    block: &BlockContext,
    device: &Device,
    full_epochs: u32,
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
    check(
        full_epochs >= params.nomination_epochs,
        NominationCheck::Uptime,
    );
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
