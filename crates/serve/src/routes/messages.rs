//! Messages to sessions.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;
use windlass_operations::messages::{
    self, LONGEST_WAIT_S, MessageEvent, MessageInput, MessageState, MessageView, path_of,
};
use windlass_operations::{OperationError, Service};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{IdempotencyKey, Json, Path, Query};
use crate::problem::{ProblemResponse, Problems};
use crate::random::random;
use crate::routes::events::last_event_id;
use crate::sse;

/// The interval between two signs of life.
const BEAT: Duration = Duration::from_secs(15);

/// Send a message to a session, once for each `Idempotency-Key`.
///
/// Answers at once with the key and where to follow the message; with `Prefer: wait=N` after its end, or after N seconds. A key that is
/// known gives the message that it was used for.
#[utoipa::path(
    post, path = "/api/v1/gateways/{gateway}/messages", tag = "messages",
    params(
        ("gateway" = String, Path, description = "The id or name of a gateway"),
        ("Idempotency-Key" = Option<String>, Header, description = "The key of the message; a new one by default"),
        ("Prefer" = Option<String>, Header, description = "wait=N: wait for the end, N seconds at most, up to 600"),
    ),
    request_body = MessageInput,
    responses(
        (status = 200, body = MessageView, description = "The message has ended"),
        (status = 202, body = MessageView, description = "The message is under way"), Problems
    )
)]
pub(crate) async fn send(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
    headers: HeaderMap,
    IdempotencyKey(key): IdempotencyKey,
    Json(input): Json<MessageInput>,
) -> Result<Response, ProblemResponse> {
    let wait = preferred_wait(&headers)?;
    let mut view = messages::send(&app.service, &caller, &gateway, input, key, random()?).await?;
    if let Some(wait) = wait
        && view.state != MessageState::Ended
    {
        view = messages::wait(&app.service, &caller, &view.key, Duration::from_secs(wait)).await?;
    }
    let status = if view.state == MessageState::Ended {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let location = path_of(&view.key);
    let mut response = (status, [("location", location)], axum::Json(view)).into_response();
    if let Some(wait) = wait
        && let Ok(applied) = format!("wait={wait}").parse()
    {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// The seconds of `Prefer: wait=N`. Other preferences are not known, and so left out.
fn preferred_wait(headers: &HeaderMap) -> Result<Option<u64>, OperationError> {
    let invalid = || OperationError::invalid("Prefer", format!("has no wait from 1 to {LONGEST_WAIT_S} seconds"));
    let values = headers.get_all("prefer").iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut preferences = texts.flat_map(|text| text.split([',', ';'])).map(str::trim);
    let wait = preferences.find_map(|preference| preference.strip_prefix("wait="));
    let Some(wait) = wait else { return Ok(None) };
    let seconds: u64 = wait.trim_matches('"').parse().map_err(|_| invalid())?;
    if seconds == 0 || seconds > LONGEST_WAIT_S {
        return Err(invalid());
    }
    Ok(Some(seconds))
}

/// Show a message with its end. After a restart of the service the text of the answer is in the history of the session.
#[utoipa::path(get, path = "/api/v1/messages/{key}", tag = "messages", params(("key" = String, Path, description = "The key of a message")), responses((status = 200, body = MessageView), Problems))]
pub(crate) async fn get(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(key): Path<String>,
) -> Result<axum::Json<MessageView>, ProblemResponse> {
    Ok(axum::Json(messages::get(&app.service, &caller, &key).await?))
}

/// A position of a message's stream.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PositionQuery {
    /// The `id` of the last item of an earlier stream.
    after: Option<String>,
}

/// Follow a message: `started`, `increment`, `replaced`, `hole`, `end`.
///
/// Server-sent events. The stream ends after the item `end`. One that ends without it can be continued.
#[utoipa::path(
    get, path = "/api/v1/messages/{key}/events", tag = "messages",
    params(
        ("key" = String, Path, description = "The key of a message"),
        ("after" = Option<String>, Query, description = "The id of the last item of an earlier stream"),
        ("Last-Event-ID" = Option<String>, Header, description = "The position to continue after"),
    ),
    responses((status = 200, body = String, content_type = "text/event-stream"), Problems)
)]
pub(crate) async fn events(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(key): Path<String>,
    headers: HeaderMap,
    Query(query): Query<PositionQuery>,
) -> Result<Response, ProblemResponse> {
    let after = last_event_id(&headers)?.or(query.after);
    let retry = sse::retry()?;
    let service: &Service = &app.service;
    let steps = messages::follow_events(service, &caller, &key, after.as_deref()).await?;
    let first = stream::iter([Ok(Event::default().retry(retry))]);
    let rest = stream::unfold(steps, |mut steps| async move {
        let event = match tokio::time::timeout(BEAT, steps.next()).await {
            Err(_) => Event::default().comment("beat"),
            Ok(step) => shown(&step?).id(steps.position()),
        };
        Some((Ok(event), steps))
    });
    Ok(sse::response(first.chain(rest)))
}

fn shown(step: &MessageEvent) -> Event {
    let (name, data) = match step {
        MessageEvent::Started { run_id } => ("started", json!({ "run_id": run_id })),
        MessageEvent::Increment(text) => ("increment", json!({ "text": text })),
        MessageEvent::Replaced(text) => ("replaced", json!({ "text": text })),
        MessageEvent::Hole => ("hole", json!({})),
        MessageEvent::End(end) => ("end", serde_json::to_value(end).unwrap_or_default()),
    };
    Event::default().event(name).data(data.to_string())
}
