//! Calls of any method of a gateway.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use windlass_operations::OperationError;
use windlass_operations::calls::{self, CallInput};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{IdempotencyKey, Json, Path};
use crate::problem::{ProblemResponse, Problems};

/// Call a method of a gateway; the answer is the payload of the gateway, unchanged.
#[utoipa::path(
    post, path = "/api/v1/gateways/{gateway}/call/{method}", tag = "calls",
    params(
        ("gateway" = String, Path, description = "The id or name of a gateway"),
        ("method" = String, Path, description = "The method, for example health"),
        ("Idempotency-Key" = Option<String>, Header, description = "The key by which the gateway knows a repeated request"),
    ),
    request_body = CallInput,
    responses((status = 200, body = serde_json::Value, description = "The payload of the gateway"), Problems)
)]
pub(crate) async fn call(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((gateway, method)): Path<(String, String)>,
    IdempotencyKey(key): IdempotencyKey,
    Json(input): Json<CallInput>,
) -> Result<Response, ProblemResponse> {
    let payload = calls::call(&app.service, &caller, &gateway, method, input, key).await?;
    let body = Body::from(Bytes::copy_from_slice(payload.as_str().as_bytes()));
    Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|error| {
            OperationError::new(windlass_operations::OperationErrorCode::Internal, error.to_string(), "").into()
        })
}
