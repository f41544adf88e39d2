//! The routes, each registered together with its description.

mod calls;
mod gateways;
mod health;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::openapi;

/// All routes, and the document that describes them.
pub(crate) fn described() -> (Router<App>, OpenApi) {
    OpenApiRouter::with_openapi(openapi::description())
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(gateways::list))
        .routes(routes!(gateways::get))
        .routes(routes!(gateways::reconnect))
        .routes(routes!(calls::call))
        .split_for_parts()
}
