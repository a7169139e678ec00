//! Collecting rewards.

use io_types::action::Collect;
use io_types::{AccountId, Amount, Asset, DeviceId, Epoch, Event, Rejection, SystemAccount};

use crate::context::BlockContext;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::ledger;
use crate::state::State;
use crate::tables::ACCRUALS;

/// Accruals taken by one action; the rest waits for the next.
const ROWS_MAX: usize = 10_000;

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
        let first = (signer, Epoch(0), DeviceId(0));
        let last = (signer, self.through.next(), DeviceId(0));
        let mut sum = Amount::ZERO;
        for (key, row) in ACCRUALS.list(state, &first, Some(&last), ROWS_MAX)? {
            if row.collectable_at <= block.now {
                sum = sum
                    .checked_add(row.amount)
                    .ok_or(Rejection::AmountOverflow { asset: Asset::Io })?;
                ACCRUALS.delete(state, &key);
            }
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
