//! Gateways.

use axum::Json;
use axum::extract::State;
use windlass_operations::Page;
use windlass_operations::gateways::{self, GatewayQuery, GatewayView};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{Path, Query};
use crate::problem::{ProblemResponse, Problems};

/// List gateways with the state of their lines, by name.
#[utoipa::path(
    get, path = "/api/v1/gateways", tag = "gateways", params(GatewayQuery),
    responses((status = 200, body = Page<GatewayView>), Problems)
)]
pub(crate) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Query(query): Query<GatewayQuery>,
) -> Result<Json<Page<GatewayView>>, ProblemResponse> {
    Ok(Json(gateways::list(&app.service, &caller, &query)?))
}

/// Show one gateway, by id or name.
#[utoipa::path(
    get, path = "/api/v1/gateways/{gateway}", tag = "gateways",
    params(("gateway" = String, Path, description = "The id or name of a gateway")),
    responses((status = 200, body = GatewayView), Problems)
)]
pub(crate) async fn get(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
) -> Result<Json<GatewayView>, ProblemResponse> {
    Ok(Json(gateways::get(&app.service, &caller, &gateway)?))
}

/// Try a line that waits for its next attempt now.
#[utoipa::path(
    post, path = "/api/v1/gateways/{gateway}/reconnect", tag = "gateways",
    params(("gateway" = String, Path, description = "The id or name of a gateway")),
    responses((status = 200, body = GatewayView), Problems)
)]
pub(crate) async fn reconnect(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(gateway): Path<String>,
) -> Result<Json<GatewayView>, ProblemResponse> {
    Ok(Json(gateways::reconnect(&app.service, &caller, &gateway).await?))
}
