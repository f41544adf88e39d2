//! Boards.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use windlass_store::{Board, BoardFilter, BoardId, BoardRules, Store, Timestamp};

use crate::access::{Caller, Scope};
use crate::audit::{self, Change};
use crate::error::OperationError;
use crate::gateway_records::{given, recorded};
use crate::page::{Page, PageQuery};
use crate::service::Service;

/// A board.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BoardView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub id: BoardId,
    /// Its name.
    pub name: String,
    /// The gateway of its agents.
    pub gateway_id: Option<String>,
    /// Its type; `goal` by default.
    pub board_type: String,
    /// Its objective.
    pub objective: Option<String>,
    /// The metrics of success.
    #[schema(value_type = Option<Object>)]
    pub success_metrics: Option<Map<String, Value>>,
    /// The target date, as the owner wrote it.
    pub target_date: Option<String>,
    /// Whether the owner has confirmed the goal.
    pub goal_confirmed: bool,
    /// The rules for its agents.
    #[schema(value_type = Object)]
    pub rules: BoardRules,
    /// Most workers that its lead may create.
    pub max_agents: u32,
    /// Whether template syncs skip it.
    pub paused: bool,
    /// The time at which the record was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A board to record.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardInput {
    /// Its id; a new one by default.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub id: Option<BoardId>,
    /// Its name, unique, ignoring case.
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// The gateway of its agents, by id or name.
    pub gateway: String,
    /// Its type; `goal` by default.
    pub board_type: Option<String>,
    /// Its objective.
    pub objective: Option<String>,
    /// The metrics of success.
    #[schema(value_type = Option<Object>)]
    pub success_metrics: Option<Map<String, Value>>,
    /// The target date.
    pub target_date: Option<String>,
    /// Whether the owner has confirmed the goal.
    #[serde(default)]
    pub goal_confirmed: bool,
    /// The rules for its agents.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub rules: BoardRules,
    /// Most workers that its lead may create; 1 by default.
    #[schema(maximum = 10_000)]
    pub max_agents: Option<u32>,
    /// Whether template syncs skip it.
    #[serde(default)]
    pub paused: bool,
}

/// Changes of a board. A member that is missing stays as it is; `null` removes the value.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardPatch {
    /// The new name.
    #[schema(min_length = 1, max_length = 120)]
    pub name: Option<String>,
    /// The type.
    pub board_type: Option<String>,
    /// The objective.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub objective: Option<Option<String>>,
    /// The metrics of success.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub success_metrics: Option<Option<Map<String, Value>>>,
    /// The target date.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub target_date: Option<Option<String>>,
    /// Whether the owner has confirmed the goal.
    pub goal_confirmed: Option<bool>,
    /// The rules for its agents.
    #[schema(value_type = Option<Object>)]
    pub rules: Option<BoardRules>,
    /// Most workers that its lead may create.
    #[schema(maximum = 10_000)]
    pub max_agents: Option<u32>,
    /// Whether template syncs skip it.
    pub paused: Option<bool>,
}

/// A selection of boards.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BoardQuery {
    /// Only boards of this gateway, by id or name.
    pub gateway: Option<String>,
    /// The cursor of the page, from the page before.
    pub cursor: Option<String>,
    /// The number of boards on a page, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

impl BoardView {
    fn of(board: Board) -> Self {
        Self {
            id: board.id,
            name: board.name,
            gateway_id: board.gateway_id.map(|id| id.to_string()),
            board_type: board.board_type,
            objective: board.objective,
            success_metrics: board.success_metrics,
            target_date: board.target_date,
            goal_confirmed: board.goal_confirmed,
            rules: board.rules,
            max_agents: board.max_agents,
            paused: board.paused,
            created_at: board.created_at,
        }
    }
}

/// The boards that the query selects, by name.
///
/// # Errors
/// Missing scope, no such gateway, or an invalid cursor.
pub async fn list(service: &Service, caller: &Caller, query: &BoardQuery) -> Result<Page<BoardView>, OperationError> {
    caller.require(Scope::Read)?;
    let page = PageQuery::parse(query.cursor.as_deref(), query.limit)?;
    let gateway = match &query.gateway {
        Some(gateway) => Some(recorded(service, gateway).await?.id),
        None => None,
    };
    let filter = BoardFilter {
        gateway,
        ..BoardFilter::default()
    };
    let mut boards = service.store().boards(&filter).await?;
    let key = |board: &BoardView| format!("{}\n{}", board.name.to_lowercase(), board.id);
    boards.sort_by_cached_key(|board| (board.name.to_lowercase(), board.id));
    Ok(page.take(boards.into_iter().map(BoardView::of), key))
}

/// One board, by id or name.
///
/// # Errors
/// Missing scope, or no such board.
pub async fn get(service: &Service, caller: &Caller, board: &str) -> Result<BoardView, OperationError> {
    caller.require(Scope::Read)?;
    find(&**service.store(), board).await.map(BoardView::of)
}

/// The board that a text names: an id, or a name in any case.
pub(crate) async fn find(store: &dyn Store, board: &str) -> Result<Board, OperationError> {
    let found = if let Ok(id) = board.parse() {
        store.board(id).await?
    } else {
        let boards = store.boards(&BoardFilter::default()).await?;
        boards
            .into_iter()
            .find(|known| known.name.to_lowercase() == board.to_lowercase())
    };
    found.ok_or_else(|| OperationError::not_found("board", board))
}

/// Records a board.
///
/// # Errors
/// Missing scope, no such gateway, a member that is not acceptable, or a name that is taken.
pub async fn create(
    service: &Service,
    caller: &Caller,
    input: BoardInput,
    random: [u8; 16],
) -> Result<BoardView, OperationError> {
    caller.require(Scope::Write)?;
    let now = service.now();
    let gateway = recorded(service, &input.gateway).await?;
    let id = input.id.unwrap_or_else(|| BoardId::from_bytes(random));
    let new = Board::new(id, gateway.organization_id, Some(gateway.id), input.name.trim(), now);
    let board = Board {
        board_type: input.board_type.unwrap_or(new.board_type),
        objective: input.objective,
        success_metrics: input.success_metrics,
        target_date: input.target_date,
        goal_confirmed: input.goal_confirmed,
        rules: input.rules,
        max_agents: input.max_agents.unwrap_or(new.max_agents),
        paused: input.paused,
        name: new.name,
        ..new
    };
    service.store().insert_board(&board).await?;
    note(
        service,
        caller,
        "board.created",
        &board,
        &format!("board {:?}", board.name),
    )
    .await?;
    Ok(BoardView::of(board))
}

/// Changes a board.
///
/// # Errors
/// Missing scope, no such board, a member that is not acceptable, or a name that is taken.
pub async fn update(
    service: &Service,
    caller: &Caller,
    board: &str,
    patch: BoardPatch,
) -> Result<BoardView, OperationError> {
    caller.require(Scope::Write)?;
    let mut board = find(&**service.store(), board).await?;
    let name = board.name.clone();
    let paused = patch.paused.filter(|paused| *paused != board.paused);
    apply(&mut board, patch);
    service.store().update_board(&board).await?;
    let kind = match paused {
        Some(true) => "board.paused",
        Some(false) => "board.resumed",
        None => "board.updated",
    };
    note(service, caller, kind, &board, &format!("board {name:?}")).await?;
    Ok(BoardView::of(board))
}

fn apply(board: &mut Board, patch: BoardPatch) {
    if let Some(name) = patch.name {
        name.trim().clone_into(&mut board.name);
    }
    if let Some(board_type) = patch.board_type {
        board.board_type = board_type;
    }
    if let Some(objective) = patch.objective {
        board.objective = objective;
    }
    if let Some(metrics) = patch.success_metrics {
        board.success_metrics = metrics;
    }
    if let Some(date) = patch.target_date {
        board.target_date = date;
    }
    board.goal_confirmed = patch.goal_confirmed.unwrap_or(board.goal_confirmed);
    board.rules = patch.rules.unwrap_or(board.rules);
    board.max_agents = patch.max_agents.unwrap_or(board.max_agents);
    board.paused = patch.paused.unwrap_or(board.paused);
}

/// Deletes a board without agents, with its memory.
///
/// # Errors
/// Missing scope, no such board, or [`Conflict`](crate::ErrorCode::Conflict) while agents are on it.
pub async fn delete(service: &Service, caller: &Caller, board: &str) -> Result<(), OperationError> {
    caller.require(Scope::Write)?;
    let board = find(&**service.store(), board).await?;
    service.store().delete_board(board.id).await?;
    note(
        service,
        caller,
        "board.deleted",
        &board,
        &format!("board {:?}", board.name),
    )
    .await
}

async fn note(
    service: &Service,
    caller: &Caller,
    kind: &str,
    board: &Board,
    message: &str,
) -> Result<(), OperationError> {
    let change = Change {
        board: Some(board.id),
        ..Change::new(kind, message)
    };
    audit::record(&**service.store(), caller, change, service.now()).await?;
    Ok(())
}
