//! Why a request failed, as HTTP.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use io_types::Rejection;
use io_types::api::ApiError;

use crate::comet::RpcError;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    error: ApiError,
}

impl Failure {
    fn new(status: StatusCode, code: u32, error: impl Into<String>) -> Self {
        Self {
            status,
            error: ApiError {
                code,
                error: error.into(),
            },
        }
    }

    /// The request itself is wrong.
    pub fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 0, error)
    }

    /// There is no such thing.
    pub fn absent(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, 0, error)
    }

    /// It was there once.
    pub fn gone(error: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, 0, error)
    }

    /// The chain has not started, or CometBFT is away.
    pub fn not_yet(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, 0, error)
    }

    /// This node is broken.
    pub fn broken(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a request could not be served");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            0,
            format!("this node is broken: {error}; ask another one"),
        )
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.error)).into_response()
    }
}

impl From<io_storage::Fault> for Failure {
    fn from(fault: io_storage::Fault) -> Self {
        Self::broken(fault)
    }
}

impl From<crate::journal::JournalError> for Failure {
    fn from(error: crate::journal::JournalError) -> Self {
        Self::broken(error)
    }
}

impl From<crate::chain::PayoutError> for Failure {
    fn from(error: crate::chain::PayoutError) -> Self {
        Self::broken(error)
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self::not_yet(error.to_string())
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            rejection.code(),
            rejection.to_string(),
        )
    }
}

pub(super) async fn no_route(uri: Uri) -> Failure {
    Failure::absent(format!(
        "there is no route {}; all begin with /v1",
        uri.path()
    ))
}
