//! Probes.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
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
