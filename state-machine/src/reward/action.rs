//! Collecting rewards.

use io_types::action::Collect;
use io_types::{AccountId, Amount, Asset, Event, Rejection, SystemAccount};

use crate::context::BlockContext;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::reward::accrual;
use crate::state::State;
use crate::{device, ledger};

/// Accruals taken by one action, counted to the end of a device; the rest waits for the next.
const TAKEN_MAX: usize = 10_000;

impl Execute for Collect {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 601.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let (mut sum, mut taken) = (Amount::ZERO, 0_usize);
        for id in block.owners.candidates(signer) {
            if taken >= TAKEN_MAX {
                break;
            }
            if device::read(state, id)?.owner != signer {
                continue;
            }
            let (amount, epochs) = accrual::take(state, block, id, self.through)?;
            sum = sum
                .checked_add(amount)
                .ok_or(Rejection::AmountOverflow { asset: Asset::Io })?;
            taken = taken.saturating_add(epochs);
        }
        if sum.is_zero() {
            return Err(Rejection::NothingToCollect.into());
        }
        ledger::transfer(state, SystemAccount::RewardPool, signer, Asset::Io, sum)?;
        state.emit(Event::Collected {
            account: signer,
            amount: sum,
        });
        Ok(())
    }
}
