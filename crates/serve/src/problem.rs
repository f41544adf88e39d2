//! Errors as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};
use windlass_operations::{OperationError, OperationErrorCode};

/// An error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// The status, as a number.
    pub status: u16,
    /// The class of the error: `invalid`, `unauthenticated`, `forbidden`, `not_found`, `conflict`, `too_many`, `rejected`, `not_sent`,
    /// `outcome_unknown`, `timed_out`, `unavailable` or `internal`.
    pub code: String,
    /// The status, in words.
    pub title: String,
    /// The problem, as a sentence.
    pub detail: String,
    /// The next step, as a sentence; empty where there is none.
    pub advice: String,
    /// The member of the request that the problem is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The gateway's own words, where the gateway refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_error: Option<GatewayErrorView>,
}

/// The words of a gateway.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GatewayErrorView {
    /// The gateway's code.
    pub code: String,
    /// The gateway's message.
    pub message: String,
}

/// The error of a handler.
#[derive(Debug)]
pub struct ProblemResponse {
    error: OperationError,
    status: StatusCode,
}

impl ProblemResponse {
    /// The same with another status: for a request that is refused before its operation is known.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl<E: Into<OperationError>> From<E> for ProblemResponse {
    fn from(error: E) -> Self {
        let error = error.into();
        Self {
            status: status_of(error.code),
            error,
        }
    }
}

/// The status of each class of errors. An outcome of a call is a status of its own, so that a client can act on it without the body.
pub const fn status_of(code: OperationErrorCode) -> StatusCode {
    match code {
        OperationErrorCode::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        OperationErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        OperationErrorCode::Forbidden => StatusCode::FORBIDDEN,
        OperationErrorCode::NotFound => StatusCode::NOT_FOUND,
        OperationErrorCode::Conflict => StatusCode::CONFLICT,
        OperationErrorCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
        OperationErrorCode::Rejected | OperationErrorCode::OutcomeUnknown => StatusCode::BAD_GATEWAY,
        OperationErrorCode::NotSent | OperationErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        OperationErrorCode::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let Self { error, status } = self;
        let retry_after = error.retry_after;
        let problem = Problem {
            status: status.as_u16(),
            code: error.code.as_str().to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            detail: error.summary,
            advice: error.next_step,
            field: error.field,
            gateway_error: error.gateway.map(|words| GatewayErrorView {
                code: words.code,
                message: words.message,
            }),
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = retry_after {
            // Whole seconds, and never too early.
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            );
        }
        response
    }
}

/// The errors that each operation may answer with, for the document.
#[derive(Debug, IntoResponses)]
pub enum Problems {
    /// A malformed request: it is not HTTP or not JSON.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// No token, or one that is not known.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// The role of the token lacks the scope.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// The request names something that does not exist.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The state of a record does not allow this now.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not JSON by its type.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
    /// A member of the request is not acceptable; `field` names it.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
    /// A bound is reached.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(Problem),
    /// A fault of the service.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// The gateway rejected the request (`rejected`), or may have executed it (`outcome_unknown`).
    #[response(status = 502, content_type = "application/problem+json")]
    Gateway(Problem),
    /// The request was not sent to the gateway (`not_sent`), or the service is not ready (`unavailable`).
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
    /// The gateway did not answer in time.
    #[response(status = 504, content_type = "application/problem+json")]
    TimedOut(Problem),
}
