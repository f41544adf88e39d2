//! The caller of a request, from its token.

use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use windlass_operations::tokens::{ApiToken, ApiTokenHash};
use windlass_operations::{Caller, Front, OperationError, OperationErrorCode, Role, Service};

use crate::App;
use crate::problem::ProblemResponse;

/// Finds the caller of a token.
#[derive(Clone)]
pub struct Authenticator {
    /// The token of this start of the service, for the person who started it: it has the role admin and is never stored.
    local: Arc<ApiTokenHash>,
}

impl Authenticator {
    /// An authenticator that knows the token of this start.
    pub fn new(local: &ApiToken) -> Self {
        Self {
            local: Arc::new(local.hash()),
        }
    }

    /// The caller with this token.
    ///
    /// # Errors
    /// [`OperationErrorCode::Unauthenticated`].
    pub async fn caller(&self, service: &Service, token: &str) -> Result<Caller, OperationError> {
        let hash = ApiTokenHash::of_text(token).ok_or_else(unknown_token)?;
        if hash == *self.local {
            return Ok(Caller::new("local", Role::Admin, Front::Api));
        }
        windlass_operations::tokens::caller(service, &hash)
            .await?
            .ok_or_else(unknown_token)
    }
}

fn unknown_token() -> OperationError {
    OperationError::new(
        OperationErrorCode::Unauthenticated,
        "The token is not known to this service",
        "Make one: windlass tokens create.",
    )
}

fn no_token() -> OperationError {
    OperationError::new(
        OperationErrorCode::Unauthenticated,
        "The request has no token",
        "Send the header Authorization: Bearer TOKEN.",
    )
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

/// The caller of a request. A handler that takes it refuses requests without a token that is known.
#[derive(Debug)]
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<App> for Authenticated {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ProblemResponse> {
        let header = parts.headers.get(AUTHORIZATION).ok_or_else(no_token)?;
        let token = header.to_str().ok().and_then(bearer).ok_or_else(no_token)?;
        app.limiter.check(parts)?;
        match app.auth.caller(&app.service, token).await {
            Ok(caller) => Ok(Self(caller)),
            Err(error) => {
                if error.code == OperationErrorCode::Unauthenticated {
                    app.limiter.failed(parts);
                }
                Err(error.into())
            }
        }
    }
}

/// The token of a `Bearer` header; the scheme is compared without case.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}
