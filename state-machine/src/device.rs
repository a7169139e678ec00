//! Devices: what suppliers register, and the states it goes through.
//!
//! Owns tables `devices`, `device_keys`. Others change a device through [`change_state`] and [`write()`].
//!
//! - INV-11: a device key belongs to one device, and is no owner of one.
//! - INV-12: a device is `Hired` exactly while `booking` names the booking it serves.

mod action;
mod owners;

use io_storage::Fault;
use io_types::row::{Device, DeviceState};
use io_types::{AccountId, DeviceId, Event, Reason, Rejection};

use crate::context::BlockContext;
use crate::error::ActionError;
use crate::state::State;
use crate::tables::{DEVICE_KEYS, DEVICES};

pub use owners::Owners;

/// A device, or rejection 401.
pub fn find(state: &State<'_>, device: DeviceId) -> Result<Device, ActionError> {
    Ok(DEVICES
        .get(state, &device)?
        .ok_or(Rejection::UnknownDevice { device })?)
}

/// A device that some row names.
pub fn read(state: &State<'_>, device: DeviceId) -> Result<Device, Fault> {
    DEVICES.expect(
        state,
        &device,
        "a row names this device, and devices are never deleted",
    )
}

/// Writes a device.
pub fn write(state: &mut State<'_>, device: &Device) {
    DEVICES.put(state, &device.id, device);
}

/// A device of this owner: rejections 401, 402.
pub fn owned(
    state: &State<'_>,
    device: DeviceId,
    signer: AccountId,
) -> Result<Device, ActionError> {
    let row = find(state, device)?;
    if row.owner != signer {
        return Err(Rejection::NotYourDevice { device }.into());
    }
    Ok(row)
}

/// A device whose key this is: rejections 401, 503.
pub fn keyed(
    state: &State<'_>,
    device: DeviceId,
    signer: AccountId,
) -> Result<Device, ActionError> {
    let row = find(state, device)?;
    if row.device_key != signer {
        return Err(Rejection::NotDeviceKey { device }.into());
    }
    Ok(row)
}

/// The device of a device key.
pub fn by_key(state: &State<'_>, key: AccountId) -> Result<Option<DeviceId>, Fault> {
    DEVICE_KEYS.get(state, &key)
}

/// Puts a device into a state, with the reason. The caller writes the row. Nothing happens if it is in that state.
pub fn change_state(
    state: &mut State<'_>,
    block: &BlockContext,
    device: &mut Device,
    to: DeviceState,
    reason: Reason,
) {
    let from = device.state;
    if from == to {
        return;
    }
    device.state = to;
    device.reason = reason;
    device.since = block.now;
    if to == DeviceState::Ready {
        device.waiting_since = block.now;
    }
    state.emit(Event::DeviceStateChanged {
        device: device.id,
        from,
        to,
        reason,
        code: reason.code(),
    });
}

/// The state that a device without a booking goes back to: `Ready` if its last challenge was passed and not failed since,
/// else `Onboarding` before the first pass, `Probation` after a failure.
pub fn idle_state(device: &Device) -> DeviceState {
    match (device.passed_at, device.last_failed) {
        (_any, true) => DeviceState::Probation,
        (Some(_passed), false) => DeviceState::Ready,
        (None, false) => DeviceState::Onboarding,
    }
}
