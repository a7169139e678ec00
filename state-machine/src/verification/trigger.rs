//! When a device is challenged: at onboarding, by time, at the end of a booking, and when its owner asks.

use io_storage::Fault;
use io_types::event::Reason;
use io_types::row::{Challenge, ChallengeStage, ChallengeTrigger, Device, DeviceState};
use io_types::{ChallengeId, DeviceId, Event, Hash};

use crate::context::BlockContext;
use crate::device;
use crate::state::State;
use crate::tables::{CHALLENGES, CLOCK, COUNTERS, UPTIME};

use super::beacon;
use super::index::Index;

const DOMAIN: &[u8] = b"io-chain/trigger/v1\0";
/// Devices whose time is up that one block looks at.
const DUE_PER_BLOCK_MAX: usize = 1000;
/// Picks at random that one block makes.
const PICKS_PER_BLOCK_MAX: u64 = 1000;

/// Puts a device under challenge. The caller writes the device afterwards.
///
/// Nothing happens if it is under challenge already, if its model's class has no challenge, or if this would be its first one
/// and no worker has registered a hash chain yet: then it begins as soon as one has.
pub fn trigger(
    state: &mut State<'_>,
    block: &BlockContext,
    device: &mut Device,
    why: ChallengeTrigger,
) -> Result<(), Fault> {
    begin(state, block, device, why).map(|_challenge| ())
}

/// As [`trigger`]; says which challenge began.
pub(super) fn begin(
    state: &mut State<'_>,
    block: &BlockContext,
    device: &mut Device,
    trigger: ChallengeTrigger,
) -> Result<Option<ChallengeId>, Fault> {
    let class = block
        .model(device.spec.model)
        .and_then(|model| block.class(model.class))
        .map(|class| class.id);
    let (Some(class), None) = (class, device.challenge) else {
        return Ok(None);
    };
    if trigger == ChallengeTrigger::Onboarding && !UPTIME.contains(state, &device.id)? {
        return Ok(None);
    }
    let id = state.next_challenge()?;
    let challenge = Challenge {
        id,
        device: device.id,
        trigger,
        triggered: block.height,
        class,
        beacon: Hash::ZERO,
        stage: ChallengeStage::AwaitingBeacon,
        deadline: beacon::first_close_after(block.height, block.params.verification.window_blocks),
        verifiers: Vec::new(),
        answered: None,
        nonces_used: Vec::new(),
        answers: Vec::new(),
        outcome: None,
        decided_at: None,
        redraws: 0,
        earlier: Vec::new(),
        times_ms: None,
        fraud_reporter: None,
    };
    CHALLENGES.put(state, &id, &challenge);
    device.challenge = Some(id);
    state.emit(Event::ChallengeTriggered {
        challenge: id,
        device: device.id,
        trigger,
    });
    Ok(Some(id))
}

/// Triggers by time: devices that went too long without a challenge, and devices picked at random.
///
/// Each device is picked with the rate of one in `interval_ms` at every moment, whatever was before, so that nobody can know
/// when the next challenge comes: the block draws (devices × time since the last block ÷ interval) numbers among all device
/// numbers, and a number that may not be challenged now is a pick without effect.
pub(super) fn by_time(
    state: &mut State<'_>,
    block: &BlockContext,
    index: &Index,
) -> Result<(), Fault> {
    let running_max = usize::try_from(block.params.verification.running_max).unwrap_or(usize::MAX);
    let mut room = running_max.saturating_sub(index.running());
    for device in index.due_at(block.now, DUE_PER_BLOCK_MAX.min(room)) {
        due(state, block, device)?;
        room = room.saturating_sub(1);
    }
    for device in picks(state, block)? {
        if room > 0 && index.is_testable(device) {
            due(state, block, device)?;
            room = room.saturating_sub(1);
        }
    }
    Ok(())
}

fn due(state: &mut State<'_>, block: &BlockContext, id: DeviceId) -> Result<(), Fault> {
    let mut device = device::read(state, id)?;
    // The index shows the state before this block.
    let why = match device.state {
        DeviceState::Onboarding => ChallengeTrigger::Onboarding,
        DeviceState::Ready | DeviceState::Probation => ChallengeTrigger::Time,
        DeviceState::Hired
        | DeviceState::Paused
        | DeviceState::Down
        | DeviceState::Blocked
        | DeviceState::Retired => return Ok(()),
    };
    if device.challenge.is_some() {
        return Ok(());
    }
    if begin(state, block, &mut device, why)?.is_none() {
        // No challenge exists for this model: it may be hired, unproven.
        if device.state == DeviceState::Onboarding {
            device::change_state(
                state,
                block,
                &mut device,
                DeviceState::Ready,
                Reason::Normal,
            );
        }
        device.challenge_due = block.now.plus_ms(block.params.verification.interval_max_ms);
    }
    device::write(state, &device);
    Ok(())
}

fn picks(state: &State<'_>, block: &BlockContext) -> Result<Vec<DeviceId>, Fault> {
    let devices = COUNTERS.get(state, &())?.unwrap_or_default().device;
    let passed = block
        .now
        .since_ms(CLOCK.expect(state, &(), "genesis writes it")?.chain_time);
    let interval = u128::from(block.params.verification.interval_ms.max(1));
    let expected = u128::from(devices).saturating_mul(u128::from(passed));
    let whole = u64::try_from(expected.checked_div(interval).unwrap_or(0)).unwrap_or(u64::MAX);
    let rest = expected.checked_rem(interval).unwrap_or(0);
    let value = beacon::current(state)?.value;
    let draw = |number: u64, below: u128| {
        let Hash(bytes) = io_types::codec::hash_of(
            DOMAIN,
            &(value, block.app_hash_before, block.height, number),
        );
        let wide = bytes
            .first_chunk::<16>()
            .map_or(0, |half| u128::from_le_bytes(*half));
        wide.checked_rem(below).unwrap_or(0)
    };
    // The fraction of a pick is one pick with that chance.
    let one_more = u64::from(draw(0, interval) < rest);
    let count = whole.saturating_add(one_more).min(PICKS_PER_BLOCK_MAX);
    let pick = |number| {
        DeviceId(
            u64::try_from(draw(number, u128::from(devices)))
                .unwrap_or(0)
                .saturating_add(1),
        )
    };
    Ok((1..=count).map(pick).collect())
}
