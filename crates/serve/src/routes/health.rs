//! Probes.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use windlass_operations::{OperationError, OperationErrorCode, Scope};

use crate::App;
use crate::auth::Authenticated;
use crate::metrics;
use crate::problem::{ProblemResponse, Problems};

/// The service answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always true.
    ok: bool,
}

/// Whether the process works: its threads take turns.
#[utoipa::path(get, path = "/livez", tag = "health", security(()), responses((status = 200, body = Health), Problems))]
pub(crate) async fn livez() -> Json<Health> {
    Json(Health { ok: true })
}

/// Whether the service can do its work: the store answers, the journal is written, no shutdown is under way.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses((status = 200, body = Health), Problems))]
pub(crate) async fn readyz(State(app): State<App>) -> Result<Json<Health>, ProblemResponse> {
    app.service.ready().await?;
    Ok(Json(Health { ok: true }))
}

/// Numbers of the service in the text form of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String, content_type = "text/plain"), Problems))]
pub(crate) async fn numbers(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<Response, ProblemResponse> {
    caller.require(Scope::Read)?;
    let text = metrics::render(&app.service).ok_or_else(|| {
        OperationError::new(
            OperationErrorCode::Unavailable,
            "The program has installed no recorder of metrics",
            "Call windlass_serve::metrics::install at its start.",
        )
    })?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
