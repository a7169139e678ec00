//! Actions on stake.

use io_types::action::{AddStake, UnstakeDevice, WithdrawStake};
use io_types::row::{DeviceState, HoldPurpose, Stake, StakeExit};
use io_types::{AccountId, Amount, Asset, DeviceId, Event, Rejection};

use crate::context::BlockContext;
use crate::device;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::ledger;
use crate::stake;
use crate::state::State;
use crate::tables::STAKES;

impl Execute for AddStake {
    /// Rules in order: 202.
    fn check_stateless(&self) -> Result<(), Rejection> {
        if self.amount.is_zero() {
            return Err(Rejection::ZeroAmount);
        }
        Ok(())
    }

    /// Rules in order: 401, 406, 702 or 701, 703, 201, 205.
    fn execute(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self { device, amount } = *self;
        let row = device::find(state, device)?;
        if row.state == DeviceState::Retired {
            return Err(Rejection::DeviceRetired { device }.into());
        }
        let stake = match STAKES.get(state, &device)? {
            None if row.owner != signer => {
                return Err(Rejection::OwnerStakesFirst { device }.into());
            }
            None => {
                let hold =
                    ledger::hold(state, signer, Asset::Io, amount, HoldPurpose::Stake(device))?;
                Stake {
                    staker: signer,
                    amount,
                    hold,
                    exit: None,
                }
            }
            Some(stake) => {
                require_staker(&stake, device, signer)?;
                require_no_exit(&stake, device)?;
                ledger::top_up(state, stake.hold, amount)?;
                let amount = stake
                    .amount
                    .checked_add(amount)
                    .ok_or(Rejection::AmountOverflow { asset: Asset::Io })?;
                Stake { amount, ..stake }
            }
        };
        STAKES.put(state, &device, &stake)?;
        stake::count(state, amount, Amount::ZERO)?;
        state.emit(Event::StakeAdded {
            device,
            staker: signer,
            amount,
            total: stake.amount,
        });
        Ok(())
    }
}

impl Execute for UnstakeDevice {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 401, 704, 701, 703, 706.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self { device } = *self;
        let row = device::find(state, device)?;
        let stake = require_stake(state, device, signer)?;
        require_no_exit(&stake, device)?;
        if row.booking.is_some() {
            return Err(Rejection::StakeWhileHired { device }.into());
        }
        let ends = block.now.plus_ms(block.params.stake.cooldown_ms);
        STAKES.put(
            state,
            &device,
            &Stake {
                exit: Some(StakeExit {
                    begun: block.now,
                    ends,
                }),
                ..stake
            },
        )?;
        state.emit(Event::UnstakeBegun { device, ends });
        Ok(())
    }
}

impl Execute for WithdrawStake {
    /// Rules in order: 202.
    fn check_stateless(&self) -> Result<(), Rejection> {
        if self.amount.is_zero() {
            return Err(Rejection::ZeroAmount);
        }
        Ok(())
    }

    /// Rules in order: 401, 704, 701, 703 in cooldown, 705.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self { device, amount } = *self;
        let row = device::find(state, device)?;
        let stake = require_stake(state, device, signer)?;
        let free = match stake.exit {
            Some(exit) if exit.ends > block.now => {
                return Err(Rejection::InCooldown {
                    device,
                    ends: exit.ends,
                }
                .into());
            }
            Some(_over) => stake.amount,
            None => stake.amount.saturating_sub(stake::minimum(block, &row)),
        };
        if amount > free {
            return Err(Rejection::BelowMinimum { device, free }.into());
        }
        ledger::release(state, stake.hold, amount)?;
        let left = stake.amount.saturating_sub(amount);
        if left.is_zero() {
            STAKES.delete(state, &device)?;
        } else {
            STAKES.put(
                state,
                &device,
                &Stake {
                    amount: left,
                    ..stake
                },
            )?;
        }
        stake::count(state, Amount::ZERO, amount)?;
        state.emit(Event::StakeWithdrawn {
            device,
            staker: signer,
            amount,
        });
        Ok(())
    }
}

fn require_stake(
    state: &State<'_>,
    device: DeviceId,
    signer: AccountId,
) -> Result<Stake, ActionError> {
    let stake = STAKES
        .get(state, &device)?
        .ok_or(Rejection::NoStake { device })?;
    require_staker(&stake, device, signer)?;
    Ok(stake)
}

fn require_staker(stake: &Stake, device: DeviceId, signer: AccountId) -> Result<(), Rejection> {
    if stake.staker != signer {
        return Err(Rejection::NotTheStaker {
            device,
            staker: stake.staker,
        });
    }
    Ok(())
}

fn require_no_exit(stake: &Stake, device: DeviceId) -> Result<(), Rejection> {
    match stake.exit {
        Some(exit) => Err(Rejection::InCooldown {
            device,
            ends: exit.ends,
        }),
        None => Ok(()),
    }
}
