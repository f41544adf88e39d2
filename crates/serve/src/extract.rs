//! The parts of a request, with errors as problems.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use windlass_operations::{OperationError, OperationErrorCode};

use crate::problem::ProblemResponse;

/// The longest idempotency key, in bytes; the gateway protocol has no bound, and a store has this one.
const KEY_LIMIT: usize = 200;

/// The members of a path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        let refused = |error: PathRejection| OperationError::new(OperationErrorCode::NotFound, error.body_text(), "");
        Ok(Self(read.map_err(refused)?.0))
    }
}

/// The members of a query.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let refused = |error: QueryRejection| OperationError::invalid("query", reason(&error.body_text()));
        Ok(Self(read.map_err(refused)?.0))
    }
}

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemResponse> {
        let read = <axum::Json<T> as FromRequest<S>>::from_request(request, state).await;
        Ok(Self(read.map_err(|error| refused_body(&error))?.0))
    }
}

/// A JSON body that may be missing: then it is a value without members.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemResponse> {
        let read = <axum::Json<T> as OptionalFromRequest<S>>::from_request(request, state).await;
        let read = read.map_err(|error| refused_body(&error))?;
        Ok(Self(read.map(|axum::Json(value)| value).unwrap_or_default()))
    }
}

fn refused_body(error: &JsonRejection) -> ProblemResponse {
    let text = error.body_text();
    let body = |why: &str| OperationError::invalid("body", why);
    let refused = match error.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => body("has no header Content-Type: application/json"),
        StatusCode::PAYLOAD_TOO_LARGE => body("is too large"),
        _ => match member(&text) {
            Some((member, words)) => OperationError::invalid(member, format!("is not acceptable: {words}")),
            None => body(&reason(&text)),
        },
    };
    ProblemResponse::from(refused).with_status(error.status())
}

/// The member that the parser's words begin with, and the words after it.
fn member(text: &str) -> Option<(&str, &str)> {
    let (_, words) = text.split_once(": ")?;
    let (member, words) = words.split_once(": ")?;
    let is_path = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
    (!member.is_empty() && member.chars().all(is_path)).then_some((member, words))
}

/// The end of axum's text: the words of the parser, which name the member.
fn reason(text: &str) -> String {
    let words = text.split_once(": ").map_or(text, |(_, words)| words);
    format!("is not acceptable: {words}")
}

/// The header `Idempotency-Key`.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let key = value
            .to_str()
            .ok()
            .filter(|key| !key.is_empty() && key.len() <= KEY_LIMIT);
        match key {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => Err(OperationError::invalid(
                "Idempotency-Key",
                format!("is not 1 to {KEY_LIMIT} visible ASCII characters"),
            )
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_a_body_names_the_member() {
        let text = "Failed to deserialize the JSON body into the target type: timeout_ms: invalid type: string \"x\", expected u64";
        assert_eq!(
            member(text),
            Some(("timeout_ms", "invalid type: string \"x\", expected u64"))
        );
        let whole = "Failed to parse the request body as JSON: expected value at line 1 column 1";
        assert_eq!(member(whole), None);
        assert_eq!(reason(whole), "is not acceptable: expected value at line 1 column 1");
    }
}
