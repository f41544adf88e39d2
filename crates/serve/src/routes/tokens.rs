//! Tokens of people and programs.

use axum::extract::State;
use axum::http::StatusCode;
use windlass_operations::ListPage;
use windlass_operations::tokens::{self, NewToken, TokenInput, TokenView};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{Json, Path};
use crate::problem::{ProblemResponse, Problems};
use crate::random::random;

/// List tokens, by name.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", responses((status = 200, body = ListPage<TokenView>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<axum::Json<ListPage<TokenView>>, ProblemResponse> {
    Ok(axum::Json(tokens::list(&**app.service.store(), &caller).await?))
}

/// Make a token. It is shown once.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", request_body = TokenInput,
    responses((status = 201, body = NewToken), Problems)
)]
pub(crate) async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Json(input): Json<TokenInput>,
) -> Result<(StatusCode, axum::Json<NewToken>), ProblemResponse> {
    let (store, now) = (app.service.store(), app.service.now());
    let made = tokens::create(&**store, &caller, input, (random()?, random()?), now).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Revoke a token, by its id or name.
#[utoipa::path(
    post, path = "/api/v1/tokens/{token}/revoke", tag = "tokens",
    params(("token" = String, Path, description = "The id or name of a token")),
    responses((status = 200, body = TokenView), Problems)
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(token): Path<String>,
) -> Result<axum::Json<TokenView>, ProblemResponse> {
    let (store, now) = (app.service.store(), app.service.now());
    let revoked = tokens::revoke(&**store, &caller, &token, now).await?;
    app.service.forget_tokens();
    Ok(axum::Json(revoked))
}
