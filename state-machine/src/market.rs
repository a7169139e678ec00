//! The market. (Being written.)
use io_storage::{Fault, Snapshot, WriteSet};
use io_types::AccountId;
use io_types::Rejection;
use io_types::Slot;
use io_types::action::*;
use io_types::api::Quote;

use crate::context::BlockContext;
use crate::derived::Derived;
use crate::dispatch::Execute;
use crate::error::ActionError;
use crate::state::State;

/// Derived index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index;

impl Index {
    /// From rows.
    pub fn rebuild(_snapshot: &dyn Snapshot) -> Result<Self, Fault> {
        Ok(Self)
    }
    /// Follows a commit.
    pub fn apply(&mut self, _changes: &WriteSet) -> Result<(), Fault> {
        Ok(())
    }
}
/// Expiries.
pub fn expire(
    _state: &mut State<'_>,
    _block: &BlockContext,
    _derived: &Derived,
) -> Result<(), Fault> {
    Ok(())
}
/// Matching.
pub fn match_orders(
    _state: &mut State<'_>,
    _block: &BlockContext,
    _derived: &Derived,
) -> Result<(), Fault> {
    Ok(())
}
/// Metering.
pub fn meter_slot(
    _state: &mut State<'_>,
    _block: &BlockContext,
    _derived: &Derived,
    _slot: Slot,
    _neutral: bool,
) -> Result<(), Fault> {
    Ok(())
}
/// Quote.
pub fn quote(
    _order: &PlaceOrder,
    _block: &BlockContext,
    _derived: &Derived,
    _state: &mut State<'_>,
) -> Result<Quote, ActionError> {
    Err(Rejection::NoModels.into())
}
macro_rules! later {
    ($($t:ty),*) => {$(
        impl Execute for $t {
            fn check_stateless(&self) -> Result<(), Rejection> { Ok(()) }
            fn execute(&self, _s: AccountId, _b: &BlockContext, _st: &mut State<'_>) -> Result<(), ActionError> { Ok(()) }
        }
    )*};
}
later!(PlaceOrder, CancelOrder, Deliver, NotDelivered, EndBooking);
