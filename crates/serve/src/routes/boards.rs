//! Boards.

use axum::extract::State;
use axum::http::StatusCode;
use windlass_operations::ListPage;
use windlass_operations::boards::{self, BoardInput, BoardPatch, BoardQuery, BoardView};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{Json, Path, Query};
use crate::problem::{ProblemResponse, Problems};
use crate::random::random;

/// List boards, by name.
#[utoipa::path(get, path = "/api/v1/boards", tag = "boards", params(BoardQuery), responses((status = 200, body = ListPage<BoardView>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Query(query): Query<BoardQuery>,
) -> Result<axum::Json<ListPage<BoardView>>, ProblemResponse> {
    Ok(axum::Json(boards::list(&app.service, &caller, &query).await?))
}

/// Record a board.
#[utoipa::path(post, path = "/api/v1/boards", tag = "boards", request_body = BoardInput, responses((status = 201, body = BoardView), Problems))]
pub(crate) async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Json(input): Json<BoardInput>,
) -> Result<(StatusCode, axum::Json<BoardView>), ProblemResponse> {
    let made = boards::create(&app.service, &caller, input, random()?).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Show one board.
#[utoipa::path(get, path = "/api/v1/boards/{board}", tag = "boards", params(("board" = String, Path, description = "The id or name of a board")), responses((status = 200, body = BoardView), Problems))]
pub(crate) async fn get(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(board): Path<String>,
) -> Result<axum::Json<BoardView>, ProblemResponse> {
    Ok(axum::Json(boards::get(&app.service, &caller, &board).await?))
}

/// Change a board; with `paused` pause or resume it.
#[utoipa::path(patch, path = "/api/v1/boards/{board}", tag = "boards", params(("board" = String, Path, description = "The id or name of a board")), request_body = BoardPatch, responses((status = 200, body = BoardView), Problems))]
pub(crate) async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(board): Path<String>,
    Json(input): Json<BoardPatch>,
) -> Result<axum::Json<BoardView>, ProblemResponse> {
    Ok(axum::Json(boards::update(&app.service, &caller, &board, input).await?))
}

/// Delete a board without agents, with its memory.
#[utoipa::path(delete, path = "/api/v1/boards/{board}", tag = "boards", params(("board" = String, Path, description = "The id or name of a board")), responses((status = 204), Problems))]
pub(crate) async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(board): Path<String>,
) -> Result<StatusCode, ProblemResponse> {
    boards::delete(&app.service, &caller, &board).await?;
    Ok(StatusCode::NO_CONTENT)
}
