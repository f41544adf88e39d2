//! Sessions of a gateway.

use axum::extract::State;
use windlass_operations::ListPage;
use windlass_operations::roster::{self, RosterQuery, RosterView};
use windlass_operations::sessions::{
    self, AbortInput, AbortView, HistoryListQuery, HistoryView, SessionChangeView, SessionInput, SessionListQuery,
    SessionPatch, SessionView,
};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{Json, OptionalJson, Path, Query};
use crate::problem::{ProblemResponse, Problems};

/// List the sessions of a gateway, by key. Each page asks the gateway: to look often, read the roster.
#[utoipa::path(
    get, path = "/api/v1/gateways/{gateway}/sessions", tag = "sessions",
    params(("gateway" = String, Path, description = "The id or name of a gateway"), SessionListQuery),
    responses((status = 200, body = ListPage<SessionView>), Problems)
)]
pub(crate) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
    Query(query): Query<SessionListQuery>,
) -> Result<axum::Json<ListPage<SessionView>>, ProblemResponse> {
    Ok(axum::Json(
        sessions::list(&app.service, &caller, &gateway, &query).await?,
    ))
}

/// See to it that a session is there, with this label if one is given.
#[utoipa::path(
    post, path = "/api/v1/gateways/{gateway}/sessions", tag = "sessions",
    params(("gateway" = String, Path, description = "The id or name of a gateway")),
    request_body = SessionInput, responses((status = 200, body = SessionChangeView), Problems)
)]
pub(crate) async fn ensure(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
    Json(input): Json<SessionInput>,
) -> Result<axum::Json<SessionChangeView>, ProblemResponse> {
    Ok(axum::Json(
        sessions::ensure(&app.service, &caller, &gateway, &input).await?,
    ))
}

/// Show the live sessions of a gateway and their runs. The service keeps them true; a look asks the gateway nothing.
#[utoipa::path(
    get, path = "/api/v1/gateways/{gateway}/roster", tag = "sessions",
    params(("gateway" = String, Path, description = "The id or name of a gateway"), RosterQuery),
    responses((status = 200, body = RosterView), Problems)
)]
pub(crate) async fn roster(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
    Query(query): Query<RosterQuery>,
) -> Result<axum::Json<RosterView>, ProblemResponse> {
    Ok(axum::Json(
        roster::roster(&app.service, &caller, &gateway, &query).await?,
    ))
}

/// Show one session.
#[utoipa::path(
    get, path = "/api/v1/gateways/{gateway}/sessions/{session}", tag = "sessions",
    params(
        ("gateway" = String, Path, description = "The id or name of a gateway"),
        ("session" = String, Path, description = "The key of a session"),
    ),
    responses((status = 200, body = SessionView), Problems)
)]
pub(crate) async fn get(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((gateway, session)): Path<(String, String)>,
) -> Result<axum::Json<SessionView>, ProblemResponse> {
    Ok(axum::Json(
        sessions::get(&app.service, &caller, &gateway, &session).await?,
    ))
}

/// Change the label of a session.
#[utoipa::path(
    patch, path = "/api/v1/gateways/{gateway}/sessions/{session}", tag = "sessions",
    params(
        ("gateway" = String, Path, description = "The id or name of a gateway"),
        ("session" = String, Path, description = "The key of a session"),
    ),
    request_body = SessionPatch, responses((status = 200, body = SessionChangeView), Problems)
)]
pub(crate) async fn patch(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((gateway, session)): Path<(String, String)>,
    Json(input): Json<SessionPatch>,
) -> Result<axum::Json<SessionChangeView>, ProblemResponse> {
    Ok(axum::Json(
        sessions::patch(&app.service, &caller, &gateway, &session, input).await?,
    ))
}

/// Delete a session, and end its run. One that is not there has the outcome `not_there`.
#[utoipa::path(
    delete, path = "/api/v1/gateways/{gateway}/sessions/{session}", tag = "sessions",
    params(
        ("gateway" = String, Path, description = "The id or name of a gateway"),
        ("session" = String, Path, description = "The key of a session"),
    ),
    responses((status = 200, body = SessionChangeView), Problems)
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((gateway, session)): Path<(String, String)>,
) -> Result<axum::Json<SessionChangeView>, ProblemResponse> {
    Ok(axum::Json(
        sessions::delete(&app.service, &caller, &gateway, &session).await?,
    ))
}

/// Read the history of a session: the last rows, and page by page those before.
#[utoipa::path(
    get, path = "/api/v1/gateways/{gateway}/sessions/{session}/history", tag = "sessions",
    params(
        ("gateway" = String, Path, description = "The id or name of a gateway"),
        ("session" = String, Path, description = "The key of a session"), HistoryListQuery,
    ),
    responses((status = 200, body = HistoryView), Problems)
)]
pub(crate) async fn history(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((gateway, session)): Path<(String, String)>,
    Query(query): Query<HistoryListQuery>,
) -> Result<axum::Json<HistoryView>, ProblemResponse> {
    Ok(axum::Json(
        sessions::history(&app.service, &caller, &gateway, &session, &query).await?,
    ))
}

/// Empty a session, and end its run.
#[utoipa::path(
    post, path = "/api/v1/gateways/{gateway}/sessions/{session}/reset", tag = "sessions",
    params(
        ("gateway" = String, Path, description = "The id or name of a gateway"),
        ("session" = String, Path, description = "The key of a session"),
    ),
    responses((status = 200, body = SessionChangeView), Problems)
)]
pub(crate) async fn reset(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((gateway, session)): Path<(String, String)>,
) -> Result<axum::Json<SessionChangeView>, ProblemResponse> {
    Ok(axum::Json(
        sessions::reset(&app.service, &caller, &gateway, &session).await?,
    ))
}

/// Stop one run of a session, or all of them.
#[utoipa::path(
    post, path = "/api/v1/gateways/{gateway}/sessions/{session}/abort", tag = "sessions",
    params(
        ("gateway" = String, Path, description = "The id or name of a gateway"),
        ("session" = String, Path, description = "The key of a session"),
    ),
    request_body = Option<AbortInput>, responses((status = 200, body = AbortView), Problems)
)]
pub(crate) async fn abort(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((gateway, session)): Path<(String, String)>,
    OptionalJson(input): OptionalJson<AbortInput>,
) -> Result<axum::Json<AbortView>, ProblemResponse> {
    Ok(axum::Json(
        sessions::abort(&app.service, &caller, &gateway, &session, &input).await?,
    ))
}
