//! One match over actions; the only one.

use io_types::{AccountId, Action, Rejection};

use crate::context::BlockContext;
use crate::error::ActionError;
use crate::state::State;

/// One thing that a signer asks the chain to do.
pub trait Execute {
    /// Rules that need no state.
    fn check_stateless(&self) -> Result<(), Rejection>;

    /// For a duty: whether this signer is registered for it and it does something new (116 and the component's own).
    /// It is asked in `CheckTx` and again in `ProcessProposal`; for other actions it asks nothing.
    fn check_duty(
        &self,
        _signer: AccountId,
        _block: &BlockContext,
        _state: &State<'_>,
    ) -> Result<(), ActionError> {
        Ok(())
    }

    /// Reads, decides, writes. On `Err` the caller drops every write.
    fn execute(
        &self,
        signer: AccountId,
        block: &BlockContext,
        state: &mut State<'_>,
    ) -> Result<(), ActionError>;
}

/// What an action does.
pub fn action(action: &Action) -> &dyn Execute {
    match action {
        Action::Transfer(action) => action,
        Action::Withdraw(action) => action,
        Action::ClaimSuspense(action) => action,
        Action::SignSettlement(action) => action,
        Action::RegisterDevice(action) => action,
        Action::UpdateDevice(action) => action,
        Action::PauseDevice(action) => action,
        Action::ResumeDevice(action) => action,
        Action::RetireDevice(action) => action,
        Action::RegisterUptimeChain(action) => action,
        Action::Heartbeats(action) => action,
        Action::AddStake(action) => action,
        Action::UnstakeDevice(action) => action,
        Action::WithdrawStake(action) => action,
        Action::Collect(action) => action,
        Action::PlaceOrder(action) => action,
        Action::CancelOrder(action) => action,
        Action::Deliver(action) => action,
        Action::NotDelivered(action) => action,
        Action::EndBooking(action) => action,
        Action::CommitNonce(action) => action,
        Action::CommitAnswer(action) => action,
        Action::RevealNonce(action) => action,
        Action::CommitVerdict(action) => action,
        Action::RevealVerdict(action) => action,
        Action::ReportFraud(action) => action,
        Action::RequestChallenge(action) => action,
    }
}
