//! The stream of events, and its consumers.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::{StreamExt as _, stream};
use windlass_operations::consumers::{self, AcknowledgeInput, ConsumerView};
use windlass_operations::stream::{self as operation, StreamItem, StreamQuery};
use windlass_operations::{ListPage, OperationError};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{Json, Path, Query};
use crate::problem::{ProblemResponse, Problems};
use crate::random::random;
use crate::sse;

/// Follow events of gateways, changes of lines, and activities.
///
/// Server-sent events. The `id` of an item is the cursor to continue after: send it as `Last-Event-ID` or `after`. An item `lost` tells
/// that entries are missing, `lagged` that the client was too slow and reads on from the journal, `end` that the service ends.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The cursor to continue after")),
    responses((status = 200, body = String, content_type = "text/event-stream"), Problems)
)]
pub(crate) async fn events(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, ProblemResponse> {
    let mut query = StreamQuery::of_pairs(pairs)?;
    if let Some(last) = last_event_id(&headers)? {
        query.after = Some(last);
        query.consumer = None;
    }
    let retry = sse::retry()?;
    let items = operation::open(&app.service, &caller, &query).await?;
    let first = stream::iter([Ok(Event::default().retry(retry))]);
    let rest = stream::unfold(items, move |mut items| async move {
        let item = items.next().await?;
        let event = match item {
            StreamItem::Entry { kind, cursor, data } => {
                let event = Event::default().event(kind).data(data);
                match cursor {
                    Some(cursor) => event.id(cursor.to_string()),
                    None => event,
                }
            }
            StreamItem::End(cursor) => Event::default()
                .event("end")
                .id(cursor.to_string())
                .retry(retry)
                .data(r#"{"kind":"end"}"#),
            StreamItem::Beat(cursor) => Event::default().comment("beat").id(cursor.to_string()),
            _ => Event::default().comment(""),
        };
        Some((Ok(event), items))
    });
    Ok(sse::response(first.chain(rest)))
}

/// The cursor that a client gives when it connects again.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, OperationError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| OperationError::invalid("Last-Event-ID", "is not ASCII"))?;
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// List consumers, by name.
#[utoipa::path(get, path = "/api/v1/consumers", tag = "events", responses((status = 200, body = ListPage<ConsumerView>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<axum::Json<ListPage<ConsumerView>>, ProblemResponse> {
    Ok(axum::Json(consumers::list(&app.service, &caller).await?))
}

/// Show the position of a consumer.
#[utoipa::path(get, path = "/api/v1/consumers/{consumer}", tag = "events", params(("consumer" = String, Path, description = "The name of a consumer")), responses((status = 200, body = ConsumerView), Problems))]
pub(crate) async fn get(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(consumer): Path<String>,
) -> Result<axum::Json<ConsumerView>, ProblemResponse> {
    Ok(axum::Json(consumers::get(&app.service, &caller, &consumer).await?))
}

/// Acknowledge all entries up to a cursor. `GET /api/v1/events?consumer=NAME` begins after them.
#[utoipa::path(post, path = "/api/v1/consumers/{consumer}", tag = "events", params(("consumer" = String, Path, description = "The name of a consumer")), request_body = AcknowledgeInput, responses((status = 200, body = ConsumerView), Problems))]
pub(crate) async fn acknowledge(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(consumer): Path<String>,
    Json(input): Json<AcknowledgeInput>,
) -> Result<axum::Json<ConsumerView>, ProblemResponse> {
    let done = consumers::acknowledge(&app.service, &caller, &consumer, &input, random()?).await?;
    Ok(axum::Json(done))
}

/// Forget a consumer.
#[utoipa::path(delete, path = "/api/v1/consumers/{consumer}", tag = "events", params(("consumer" = String, Path, description = "The name of a consumer")), responses((status = 204), Problems))]
pub(crate) async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(consumer): Path<String>,
) -> Result<StatusCode, ProblemResponse> {
    consumers::delete(&app.service, &caller, &consumer).await?;
    Ok(StatusCode::NO_CONTENT)
}
