//! Actions on devices.

use io_types::action::{
    DeviceSpec, PauseDevice, RegisterDevice, ResumeDevice, RetireDevice, UpdateDevice,
    consent_bytes,
};
use io_types::row::{ChallengeTrigger, Device, DeviceState};
use io_types::{AccountId, Asset, ChainTime, DeviceId, Event, MicroUsd, Reason, Rejection};

use crate::context::BlockContext;
use crate::device;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::ledger;
use crate::state::State;
use crate::tables::DEVICE_KEYS;
use crate::verification;

/// Most processors of one device.
const PROCESSORS_MAX: u16 = 64;

fn check_terms(ask: MicroUsd, payout_asset: Asset) -> Result<(), Rejection> {
    if ask.0 == 0 {
        return Err(Rejection::BadSpec {
            what: "the ask is zero",
        });
    }
    if payout_asset == Asset::Credit {
        return Err(Rejection::BadPayoutAsset {
            asset: payout_asset,
        });
    }
    Ok(())
}

fn check_ask(block: &BlockContext, spec: &DeviceSpec, ask: MicroUsd) -> Result<(), ActionError> {
    let model = block.model(spec.model).ok_or(Rejection::UnknownModel {
        model: spec.model.0,
    })?;
    if ask < model.price_floor || ask > model.price_ceiling {
        let (floor, ceiling) = (model.price_floor.0, model.price_ceiling.0);
        return Err(Rejection::AskOutsideBand {
            ask: ask.0,
            floor,
            ceiling,
        }
        .into());
    }
    Ok(())
}

impl Execute for RegisterDevice {
    /// Rules in order: 403 (quantity, country, connectivity, ask), 410.
    fn check_stateless(&self) -> Result<(), Rejection> {
        let DeviceSpec {
            model: _,
            quantity,
            vram_mib,
            country,
            connectivity,
            ask,
            payout_asset,
        } = &self.spec;
        if *quantity == 0 || *quantity > PROCESSORS_MAX {
            return Err(Rejection::BadSpec {
                what: "processors: 1 to 64",
            });
        }
        if *vram_mib == 0 {
            return Err(Rejection::BadSpec {
                what: "memory is zero",
            });
        }
        if !country.is_valid() {
            return Err(Rejection::BadSpec {
                what: "country: two capital letters",
            });
        }
        if *connectivity > 4 {
            return Err(Rejection::BadSpec {
                what: "connectivity tier: 0 to 4",
            });
        }
        check_terms(*ask, *payout_asset)
    }

    /// Rules in order: 302, 408, 104, 404, 411, 204.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self {
            spec,
            device_key,
            consent,
            client_id,
        } = self;
        check_ask(block, spec, spec.ask)?;
        if device_key.verifying_key().is_none() {
            return Err(Rejection::BadKey {
                account: *device_key,
            }
            .into());
        }
        if *device_key == signer
            || DEVICE_KEYS.contains(state, device_key)?
            || DEVICE_KEYS.contains(state, &signer)?
        {
            return Err(Rejection::DeviceKeyTaken { key: *device_key }.into());
        }
        if !device_key.verify(&consent_bytes(&block.facts.chain_id, &signer), consent) {
            return Err(Rejection::NoConsent { key: *device_key }.into());
        }
        ledger::issue_client_id(
            state,
            signer,
            *client_id,
            io_types::codec::hash_of(b"io-chain/client-id/device\0", self),
        )?;
        let id = state.next_device()?;
        let mut row = Device {
            id,
            owner: signer,
            device_key: *device_key,
            spec: spec.clone(),
            state: DeviceState::Onboarding,
            reason: Reason::Normal,
            since: block.now,
            compliance: 0,
            reputation: 5000,
            class: None,
            passed_at: None,
            last_failed: false,
            challenge: None,
            booking: None,
            waiting_since: block.now,
            memory_failures: 0,
            memory_failed_at: ChainTime(0),
            challenge_due: block.now,
            registered_at: block.now,
        };
        state.emit(Event::DeviceRegistered {
            device: id,
            owner: signer,
        });
        verification::trigger(state, block, &mut row, ChallengeTrigger::Onboarding)?;
        DEVICE_KEYS.put(state, device_key, &id);
        device::write(state, &row);
        Ok(())
    }
}

impl Execute for UpdateDevice {
    /// Rules in order: 403, 410.
    fn check_stateless(&self) -> Result<(), Rejection> {
        check_terms(self.ask, self.payout_asset)
    }

    /// Rules in order: 401, 402, 406, 302, 408.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self {
            device,
            ask,
            payout_asset,
        } = *self;
        let mut row = active(state, device, signer)?;
        check_ask(block, &row.spec, ask)?;
        row.spec.ask = ask;
        row.spec.payout_asset = payout_asset;
        device::write(state, &row);
        state.emit(Event::DeviceUpdated {
            device,
            ask,
            payout_asset,
        });
        Ok(())
    }
}

impl Execute for PauseDevice {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 401, 402, 406, 405, 409.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let mut row = free(state, self.device, signer)?;
        match row.state {
            DeviceState::Ready | DeviceState::Down | DeviceState::Onboarding => {}
            DeviceState::Paused
            | DeviceState::Hired
            | DeviceState::Probation
            | DeviceState::Blocked
            | DeviceState::Retired => {
                return Err(Rejection::CannotPause {
                    device: self.device,
                }
                .into());
            }
        }
        device::change_state(state, block, &mut row, DeviceState::Paused, Reason::Owner);
        device::write(state, &row);
        Ok(())
    }
}

impl Execute for ResumeDevice {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 401, 402, 406, 407.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let mut row = active(state, self.device, signer)?;
        if row.state != DeviceState::Paused {
            return Err(Rejection::NotPaused {
                device: self.device,
            }
            .into());
        }
        let to = device::idle_state(&row);
        device::change_state(state, block, &mut row, to, Reason::Owner);
        device::write(state, &row);
        Ok(())
    }
}

impl Execute for RetireDevice {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 401, 402, 406, 405.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let mut row = free(state, self.device, signer)?;
        device::change_state(state, block, &mut row, DeviceState::Retired, Reason::Owner);
        device::write(state, &row);
        Ok(())
    }
}

/// A device of this owner that is not retired: 401, 402, 406.
fn active(state: &State<'_>, id: DeviceId, signer: AccountId) -> Result<Device, ActionError> {
    let row = device::owned(state, id, signer)?;
    if row.state == DeviceState::Retired {
        return Err(Rejection::DeviceRetired { device: id }.into());
    }
    Ok(row)
}

/// The same, and not hired: 405.
fn free(state: &State<'_>, id: DeviceId, signer: AccountId) -> Result<Device, ActionError> {
    let row = active(state, id, signer)?;
    if row.booking.is_some() {
        return Err(Rejection::DeviceHired { device: id }.into());
    }
    Ok(row)
}
