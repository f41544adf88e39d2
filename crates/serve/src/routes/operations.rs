//! Operations that take long.

use axum::extract::State;
use axum::http::StatusCode;
use windlass_operations::ListPage;
use windlass_operations::jobs::{self, DeleteInput, JobView, ProvisionInput, SyncInput};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{Json, Path};
use crate::problem::{ProblemResponse, Problems};
use crate::random::random;

/// Bring agents to life, or up to date. The operation goes on by itself.
#[utoipa::path(
    post, path = "/api/v1/agents/provision", tag = "operations", request_body = ProvisionInput,
    responses((status = 202, body = JobView), Problems)
)]
pub(crate) async fn provision(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Json(input): Json<ProvisionInput>,
) -> Result<(StatusCode, axum::Json<JobView>), ProblemResponse> {
    let started = jobs::provision(&app.service, &caller, &input, random()?).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(started)))
}

/// Delete agents from their gateways and the records, or forget them.
#[utoipa::path(
    post, path = "/api/v1/agents/delete", tag = "operations", request_body = DeleteInput,
    responses((status = 202, body = JobView), Problems)
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Json(input): Json<DeleteInput>,
) -> Result<(StatusCode, axum::Json<JobView>), ProblemResponse> {
    let started = jobs::delete(&app.service, &caller, &input, random()?).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(started)))
}

/// Write the present templates for the agents of a gateway.
#[utoipa::path(
    post, path = "/api/v1/agents/sync", tag = "operations", request_body = SyncInput,
    responses((status = 202, body = JobView), Problems)
)]
pub(crate) async fn sync(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Json(input): Json<SyncInput>,
) -> Result<(StatusCode, axum::Json<JobView>), ProblemResponse> {
    let started = jobs::sync(&app.service, &caller, &input, random()?).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(started)))
}

/// List operations, newest first.
#[utoipa::path(get, path = "/api/v1/operations", tag = "operations", responses((status = 200, body = ListPage<JobView>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<axum::Json<ListPage<JobView>>, ProblemResponse> {
    Ok(axum::Json(jobs::list(&app.service, &caller)?))
}

/// Show one operation with its progress.
#[utoipa::path(get, path = "/api/v1/operations/{operation}", tag = "operations", params(("operation" = String, Path, description = "The id of an operation")), responses((status = 200, body = JobView), Problems))]
pub(crate) async fn get(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(operation): Path<String>,
) -> Result<axum::Json<JobView>, ProblemResponse> {
    Ok(axum::Json(jobs::get(&app.service, &caller, &operation)?))
}
