//! Actions on balances.

use io_types::action::Transfer;
use io_types::{AccountId, Asset, Event, Rejection};

use crate::context::BlockContext;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::ledger;
use crate::state::State;

impl Execute for Transfer {
    /// Rules in order: 202, 203.
    fn check_stateless(&self) -> Result<(), Rejection> {
        if self.amount.is_zero() {
            return Err(Rejection::ZeroAmount);
        }
        if self.asset == Asset::Credit {
            return Err(Rejection::CreditNotTransferable);
        }
        Ok(())
    }

    /// Rules in order: 206, 104, 204, 201, 205.
    fn execute(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self {
            to,
            asset,
            amount,
            client_id,
        } = *self;
        if to == signer {
            return Err(Rejection::TransferToSelf.into());
        }
        if to.verifying_key().is_none() {
            return Err(Rejection::BadKey { account: to }.into());
        }
        let content = io_types::codec::hash_of(b"io-chain/client-id/transfer\0", self);
        ledger::issue_client_id(state, signer, client_id, content)?;
        ledger::transfer(state, signer, to, asset, amount)?;
        state.emit(Event::Transferred {
            from: signer,
            to,
            asset,
            amount,
        });
        Ok(())
    }
}
