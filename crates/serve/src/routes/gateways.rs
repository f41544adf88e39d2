//! Gateways: their records, and the state of their lines.

use axum::extract::State;
use axum::http::StatusCode;
use windlass_operations::ListPage;
use windlass_operations::gateway_records::{self, GatewayInput, GatewayPatch};
use windlass_operations::gateways::{self, GatewayQuery, GatewayView};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{Json, Path, Query};
use crate::problem::{ProblemResponse, Problems};
use crate::random::random;

/// List gateways with the state of their lines, by name.
#[utoipa::path(get, path = "/api/v1/gateways", tag = "gateways", params(GatewayQuery), responses((status = 200, body = ListPage<GatewayView>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Query(query): Query<GatewayQuery>,
) -> Result<axum::Json<ListPage<GatewayView>>, ProblemResponse> {
    Ok(axum::Json(gateways::list(&app.service, &caller, &query)?))
}

/// Record a gateway and open its line.
#[utoipa::path(post, path = "/api/v1/gateways", tag = "gateways", request_body = GatewayInput, responses((status = 201, body = GatewayView), Problems))]
pub(crate) async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Json(input): Json<GatewayInput>,
) -> Result<(StatusCode, axum::Json<GatewayView>), ProblemResponse> {
    let made = gateway_records::create(&app.service, &caller, input, [random()?, random()?]).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Show one gateway.
#[utoipa::path(get, path = "/api/v1/gateways/{gateway}", tag = "gateways", params(("gateway" = String, Path, description = "The id or name of a gateway")), responses((status = 200, body = GatewayView), Problems))]
pub(crate) async fn get(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
) -> Result<axum::Json<GatewayView>, ProblemResponse> {
    Ok(axum::Json(gateways::get(&app.service, &caller, &gateway)?))
}

/// Change the record of a gateway. The line is opened anew where the record describes another way to it.
#[utoipa::path(patch, path = "/api/v1/gateways/{gateway}", tag = "gateways", params(("gateway" = String, Path, description = "The id or name of a gateway")), request_body = GatewayPatch, responses((status = 200, body = GatewayView), Problems))]
pub(crate) async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
    Json(input): Json<GatewayPatch>,
) -> Result<axum::Json<GatewayView>, ProblemResponse> {
    Ok(axum::Json(
        gateway_records::update(&app.service, &caller, &gateway, input).await?,
    ))
}

/// Delete the record of a gateway without boards and agents, and close its line.
#[utoipa::path(delete, path = "/api/v1/gateways/{gateway}", tag = "gateways", params(("gateway" = String, Path, description = "The id or name of a gateway")), responses((status = 204), Problems))]
pub(crate) async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
) -> Result<StatusCode, ProblemResponse> {
    gateway_records::delete(&app.service, &caller, &gateway).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a gateway that is gone for good out of the records, with its boards and agents, and ask it nothing.
#[utoipa::path(post, path = "/api/v1/gateways/{gateway}/forget", tag = "gateways", params(("gateway" = String, Path, description = "The id or name of a gateway")), responses((status = 204), Problems))]
pub(crate) async fn forget(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
) -> Result<StatusCode, ProblemResponse> {
    gateway_records::forget(&app.service, &caller, &gateway).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a line that waits for its next attempt now.
#[utoipa::path(post, path = "/api/v1/gateways/{gateway}/reconnect", tag = "gateways", params(("gateway" = String, Path, description = "The id or name of a gateway")), responses((status = 200, body = GatewayView), Problems))]
pub(crate) async fn reconnect(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
) -> Result<axum::Json<GatewayView>, ProblemResponse> {
    Ok(axum::Json(gateways::reconnect(&app.service, &caller, &gateway).await?))
}
