//! Which rows of a list, and which page.

use io_types::catalogue::ModelId;
use io_types::id::{AccountId, DeviceId};
use io_types::row::{BookingState, ChallengeStage, DeviceState};
use serde::Serialize;

/// Which page of a list: nothing set is the first page of the usual size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PageRequest {
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Rows, at most [`io_types::api::LIMIT_MAX`].
    pub limit: Option<usize>,
}

/// Which devices; nothing set is all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeviceFilter {
    /// Of this owner.
    pub owner: Option<AccountId>,
    /// In this state.
    pub state: Option<DeviceState>,
    /// Of this claimed model.
    pub model: Option<ModelId>,
}

/// Which orders; nothing set is all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrderFilter {
    /// Of this renter.
    pub renter: Option<AccountId>,
    /// In this state: `open`, `matched`, `cancelled` or `expired`.
    pub state: Option<String>,
}

/// Which bookings; nothing set is all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BookingFilter {
    /// Of this renter.
    pub renter: Option<AccountId>,
    /// With a device of this supplier.
    pub supplier: Option<AccountId>,
    /// With this device.
    pub device: Option<DeviceId>,
    /// In this state.
    pub state: Option<BookingState>,
}

/// Which challenges; nothing set is all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChallengeFilter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Judged by this verifier.
    pub verifier: Option<AccountId>,
    /// In this stage.
    pub stage: Option<ChallengeStage>,
}
