//! Server-sent events: the form of all streams.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response, Sse};
use futures_util::Stream;
use windlass_operations::OperationError;

use crate::random::random;

/// The shortest time before a client connects again.
const RETRY_MIN_MS: u64 = 2_500;
/// The spread of these times, so that clients of a service that restarts do not come all at once.
const RETRY_SPREAD_MS: u64 = 2_000;

/// The time before a client connects again.
pub(crate) fn retry() -> Result<Duration, OperationError> {
    let random = u64::from(u16::from_be_bytes(random()?));
    Ok(Duration::from_millis(
        RETRY_MIN_MS + random * RETRY_SPREAD_MS / u64::from(u16::MAX),
    ))
}

/// A response of events, which no proxy keeps back or stores.
pub(crate) fn response(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(events).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
