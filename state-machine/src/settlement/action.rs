//! Actions on settlement: withdrawals, suspense, signatures by plain transaction.

use io_types::action::{ClaimSuspense, SignSettlement, Withdraw};
use io_types::row::Payout;
use io_types::{AccountId, Amount, Asset, Event, Rejection, SystemAccount};

use crate::context::BlockContext;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::ledger;
use crate::state::State;
use crate::tables::{BRIDGE, PAYOUTS, SETTLEMENTS, SUSPENSE};

use super::attest::{message, take_signature};

impl Execute for Withdraw {
    /// Rules in order: 203 (credit), 202.
    fn check_stateless(&self) -> Result<(), Rejection> {
        if self.asset == Asset::Credit {
            return Err(Rejection::NotBridged { asset: self.asset });
        }
        if self.amount.is_zero() {
            return Err(Rejection::ZeroAmount);
        }
        Ok(())
    }

    /// Rules in order: 901, 903, 204, 201, 205.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self {
            asset,
            amount,
            client_id,
        } = *self;
        let minimum = block.params.settlement.withdraw_min;
        let min = if asset == Asset::Io {
            minimum[0]
        } else {
            minimum[1]
        };
        if amount < min {
            return Err(Rejection::BelowWithdrawMinimum { amount, min }.into());
        }
        let mut bridge = super::bridge(state)?;
        if let Some(why) = bridge.withdrawals_closed {
            return Err(Rejection::WithdrawalsClosed { why }.into());
        }
        ledger::issue_client_id(
            state,
            signer,
            client_id,
            io_types::codec::hash_of(b"io-chain/client-id/withdraw\0", self),
        )?;
        ledger::withdraw(state, signer, asset, amount)?;
        let row = if let Some(row) = PAYOUTS.get(state, &(asset, signer))? {
            row
        } else {
            let [io, usdc] = &mut bridge.payout_rows;
            let rows = if asset == Asset::Io { io } else { usdc };
            let index = *rows;
            *rows = index.saturating_add(1);
            BRIDGE.put(state, &(), &bridge);
            Payout {
                index,
                frozen: Amount::ZERO,
                pending: Amount::ZERO,
            }
        };
        let pending = row
            .pending
            .checked_add(amount)
            .ok_or(Rejection::AmountOverflow { asset })?;
        PAYOUTS.put(state, &(asset, signer), &Payout { pending, ..row });
        state.emit(Event::Withdrawn {
            account: signer,
            asset,
            amount,
        });
        Ok(())
    }
}

impl Execute for ClaimSuspense {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 908, 909, 104.
    fn execute(
        &self,
        signer: AccountId,
        _block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        let Self { deposit, to } = *self;
        let row = SUSPENSE
            .get(state, &deposit)?
            .ok_or(Rejection::UnknownSuspense { deposit })?;
        if row.depositor != signer {
            return Err(Rejection::NotDepositor { deposit }.into());
        }
        if to.verifying_key().is_none() {
            return Err(Rejection::BadKey { account: to }.into());
        }
        ledger::transfer(state, SystemAccount::Suspense, to, row.asset, row.amount)?;
        SUSPENSE.delete(state, &deposit);
        state.emit(Event::SuspenseClaimed {
            number: deposit,
            to,
            asset: row.asset,
            amount: row.amount,
        });
        Ok(())
    }
}

impl Execute for SignSettlement {
    fn check_stateless(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Rules in order: 904, 905, 907, 906.
    fn check_duty(
        &self,
        _signer: AccountId,
        _block: &BlockContext,
        state: &State<'_>,
    ) -> Result<(), ActionError> {
        let Self {
            number,
            member,
            signature,
        } = *self;
        let batch = SETTLEMENTS
            .get(state, &number)?
            .filter(|batch| !batch.settled);
        let (Some(batch), true) = (batch, number >= super::first_open(state)?) else {
            return Err(Rejection::UnknownBatch { number }.into());
        };
        if !super::bridge(state)?
            .members
            .iter()
            .any(|(key, _power)| *key == member)
        {
            return Err(Rejection::NotAMember { member }.into());
        }
        if batch
            .signatures
            .iter()
            .any(|(key, _signature)| *key == member)
        {
            return Err(Rejection::AlreadySigned { number }.into());
        }
        if !member.verify(&message(&batch), &signature) {
            return Err(Rejection::BadBatchSignature { number }.into());
        }
        Ok(())
    }

    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError> {
        self.check_duty(signer, block, state)?;
        let Self {
            number,
            member,
            signature,
        } = *self;
        take_signature(state, number, member, signature)?;
        Ok(())
    }
}
