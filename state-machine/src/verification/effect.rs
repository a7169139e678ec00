//! What a decided challenge does to its device.

use io_storage::Fault;
use io_types::event::Reason;
use io_types::row::{Challenge, Device, DeviceState, Outcome};
use io_types::{ChainTime, Event};

use crate::context::BlockContext;
use crate::device::{self, change_state};
use crate::reward;
use crate::state::State;

use super::tally;

/// A device that did not answer its first challenge is tried again after ten minutes of chain time.
const ONBOARDING_RETRY_MS: u64 = 600_000;

/// Applies the outcome to the device.
pub(super) fn apply(
    state: &mut State<'_>,
    block: &BlockContext,
    challenge: &Challenge,
    outcome: Outcome,
) -> Result<(), Fault> {
    let mut device = device::read(state, challenge.device)?;
    if device.challenge == Some(challenge.id) {
        device.challenge = None;
    }
    let params = &block.params.verification;
    let next_ms = match outcome {
        Outcome::Passed(class) => {
            device.class = Some(class);
            device.passed_at = Some(block.now);
            device.last_failed = false;
            state.emit(Event::ClassGranted {
                device: device.id,
                class,
            });
            release(state, block, &mut device);
            reward::release(state, device.id)?;
            params.interval_max_ms
        }
        Outcome::Failed => {
            if tally::is_memory_failure(block, challenge) {
                device.memory_failures = device.memory_failures.saturating_add(1);
                device.memory_failed_at = block.now;
            }
            fail(state, block, &mut device, Reason::FailedChallenge);
            reward::forfeit(state, &block.params.reward, block.now, device.id)?;
            params.interval_ms
        }
        Outcome::NoAnswer => {
            device.last_failed = true;
            confine(state, block, &mut device, Reason::NoAnswer);
            // A machine that is being set up is tried again soon.
            if device.state == DeviceState::Onboarding {
                ONBOARDING_RETRY_MS
            } else {
                params.interval_ms
            }
        }
        Outcome::NotPassed => {
            device.passed_at = device.passed_at.map(|passed| half_spent(block, passed));
            params.interval_ms
        }
        Outcome::Excused => params.interval_ms,
    };
    device.challenge_due = block.now.plus_ms(next_ms);
    device::write(state, &device);
    Ok(())
}

/// A failed check: half of the reputation goes, and the device is tested without being hired.
pub(super) fn fail(
    state: &mut State<'_>,
    block: &BlockContext,
    device: &mut Device,
    reason: Reason,
) {
    device.last_failed = true;
    device.reputation = device
        .reputation
        .saturating_sub(device.reputation.div_ceil(2));
    confine(state, block, device, reason);
}

/// A pass brings a device that waited for one to the market; in any other state it only counts as a pass.
fn release(state: &mut State<'_>, block: &BlockContext, device: &mut Device) {
    match device.state {
        DeviceState::Onboarding | DeviceState::Probation => {
            change_state(state, block, device, DeviceState::Ready, Reason::Normal);
        }
        DeviceState::Ready
        | DeviceState::Hired
        | DeviceState::Paused
        | DeviceState::Down
        | DeviceState::Blocked
        | DeviceState::Retired => {}
    }
}

/// Off the market until a pass. A device that is not on it stays where it is.
fn confine(state: &mut State<'_>, block: &BlockContext, device: &mut Device, reason: Reason) {
    match device.state {
        DeviceState::Ready => change_state(state, block, device, DeviceState::Probation, reason),
        DeviceState::Onboarding
        | DeviceState::Probation
        | DeviceState::Hired
        | DeviceState::Paused
        | DeviceState::Down
        | DeviceState::Blocked
        | DeviceState::Retired => {}
    }
}

/// The old pass lasts for at most half of its age more: the device could not show anything, and nobody knows whose fault it was.
fn half_spent(block: &BlockContext, passed: ChainTime) -> ChainTime {
    let age_max = block.params.reward.pass_age_max_ms;
    let spent = age_max.div_ceil(2);
    ChainTime(passed.0.min(block.now.0.saturating_sub(spent)))
}
