//! Boards.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use windlass_store::{AgentFilter, Board, BoardFilter, BoardId, BoardRules, Gateway, Store, Timestamp};

use crate::access::{Caller, Scope};
use crate::audit::{self, AuditChange, Records};
use crate::error::{OperationError, OperationErrorCode};
use crate::gateway_records::{given, recorded};
use crate::page::{ListPage, PageQuery};
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
    pub rules: BoardRulesView,
    /// Most workers that its lead may create.
    pub max_agents: u32,
    /// Whether template syncs skip it.
    pub paused: bool,
    /// The time at which the record was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The rules for the agents of a board.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "five independent switches of a form")]
pub struct BoardRulesView {
    /// Nothing is done without an approval.
    pub require_approval_for_done: bool,
    /// Nothing is done without a review.
    pub require_review_before_done: bool,
    /// A review needs a comment.
    pub comment_required_for_review: bool,
    /// No change of status while an approval is pending.
    pub block_status_changes_with_pending_approval: bool,
    /// Only the lead changes a status.
    pub only_lead_can_change_status: bool,
}

impl From<BoardRules> for BoardRulesView {
    fn from(rules: BoardRules) -> Self {
        Self {
            require_approval_for_done: rules.require_approval_for_done,
            require_review_before_done: rules.require_review_before_done,
            comment_required_for_review: rules.comment_required_for_review,
            block_status_changes_with_pending_approval: rules.block_status_changes_with_pending_approval,
            only_lead_can_change_status: rules.only_lead_can_change_status,
        }
    }
}

/// Rules to be set. A rule that is missing stays as it is; for a new board it has its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardRulesPatch {
    /// Nothing is done without an approval; on by default.
    pub require_approval_for_done: Option<bool>,
    /// Nothing is done without a review.
    pub require_review_before_done: Option<bool>,
    /// A review needs a comment.
    pub comment_required_for_review: Option<bool>,
    /// No change of status while an approval is pending.
    pub block_status_changes_with_pending_approval: Option<bool>,
    /// Only the lead changes a status.
    pub only_lead_can_change_status: Option<bool>,
}

impl BoardRulesPatch {
    fn apply(self, rules: &mut BoardRules) {
        for (given, rule) in [
            (self.require_approval_for_done, &mut rules.require_approval_for_done),
            (self.require_review_before_done, &mut rules.require_review_before_done),
            (self.comment_required_for_review, &mut rules.comment_required_for_review),
            (
                self.block_status_changes_with_pending_approval,
                &mut rules.block_status_changes_with_pending_approval,
            ),
            (self.only_lead_can_change_status, &mut rules.only_lead_can_change_status),
        ] {
            *rule = given.unwrap_or(*rule);
        }
    }
}

/// A board to record.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
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
    pub rules: BoardRulesPatch,
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
    /// The gateway of its agents, by id or name. A board with agents stays where it is.
    pub gateway: Option<String>,
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
    #[serde(default)]
    pub rules: BoardRulesPatch,
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
            rules: board.rules.into(),
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
pub async fn list(
    service: &Service,
    caller: &Caller,
    query: &BoardQuery,
) -> Result<ListPage<BoardView>, OperationError> {
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
    let gateway = recorded(service, &input.gateway).await?;
    let board = insert(&service.records(caller), &gateway, input, random).await?;
    Ok(BoardView::of(board))
}

/// Records a board, on a gateway that was found already.
///
/// # Errors
/// Missing scope, a member that is not acceptable, or a name that is taken.
pub async fn insert(
    records: &Records<'_>,
    gateway: &Gateway,
    input: BoardInput,
    random: [u8; 16],
) -> Result<Board, OperationError> {
    records.require(Scope::Write)?;
    let id = input.id.unwrap_or_else(|| BoardId::from_bytes(random));
    let organization = gateway.organization_id;
    let new = Board::new(id, organization, Some(gateway.id), input.name.trim(), records.now);
    let mut board = Board {
        board_type: input.board_type.unwrap_or(new.board_type),
        objective: input.objective,
        success_metrics: input.success_metrics,
        target_date: input.target_date,
        goal_confirmed: input.goal_confirmed,
        max_agents: input.max_agents.unwrap_or(new.max_agents),
        paused: input.paused,
        name: new.name,
        ..new
    };
    input.rules.apply(&mut board.rules);
    records.store.insert_board(&board).await?;
    note(records, "board.created", &board, &format!("board {:?}", board.name)).await?;
    Ok(board)
}

/// Changes a board.
///
/// # Errors
/// Missing scope, no such board or gateway, a member that is not acceptable, or a name that is taken.
pub async fn update(
    service: &Service,
    caller: &Caller,
    board: &str,
    patch: BoardPatch,
) -> Result<BoardView, OperationError> {
    caller.require(Scope::Write)?;
    let board = find(&**service.store(), board).await?;
    let gateway = match &patch.gateway {
        Some(gateway) => Some(recorded(service, gateway).await?),
        None => None,
    };
    let board = change(&service.records(caller), board, gateway.as_ref(), patch).await?;
    Ok(BoardView::of(board))
}

/// Changes a board. `gateway` is the one that the patch names, if it names one.
///
/// # Errors
/// Missing scope, a member that is not acceptable, a name that is taken, or another gateway while agents are on the board.
pub async fn change(
    records: &Records<'_>,
    before: Board,
    gateway: Option<&Gateway>,
    patch: BoardPatch,
) -> Result<Board, OperationError> {
    records.require(Scope::Write)?;
    let mut board = before.clone();
    if let Some(gateway) = gateway.filter(|gateway| board.gateway_id != Some(gateway.id)) {
        refuse_with_agents(records.store, &board).await?;
        board.gateway_id = Some(gateway.id);
    }
    apply(&mut board, patch);
    if board == before {
        return Ok(board);
    }
    records.store.update_board(&board).await?;
    let kind = match (before.paused, board.paused) {
        (false, true) => "board.paused",
        (true, false) => "board.resumed",
        _ => "board.updated",
    };
    let message = format!("board {:?}: {}", before.name, changes(&before, &board));
    note(records, kind, &board, &message).await?;
    Ok(board)
}

/// The agents of a board live on its gateway, so a board with agents can't go to another one.
async fn refuse_with_agents(store: &dyn Store, board: &Board) -> Result<(), OperationError> {
    let filter = AgentFilter {
        board: Some(board.id),
        ..AgentFilter::default()
    };
    if store.agents(&filter).await?.is_empty() {
        return Ok(());
    }
    Err(OperationError {
        field: Some("gateway".into()),
        ..OperationError::new(
            OperationErrorCode::Conflict,
            format!("Board {:?} has agents, which live on its present gateway", board.name),
            "Delete its agents first, and add them again after the change.",
        )
    })
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
    patch.rules.apply(&mut board.rules);
    board.goal_confirmed = patch.goal_confirmed.unwrap_or(board.goal_confirmed);
    board.max_agents = patch.max_agents.unwrap_or(board.max_agents);
    board.paused = patch.paused.unwrap_or(board.paused);
}

fn changes(before: &Board, after: &Board) -> String {
    audit::changed_members(&[
        ("name", before.name != after.name),
        ("gateway", before.gateway_id != after.gateway_id),
        ("board_type", before.board_type != after.board_type),
        ("objective", before.objective != after.objective),
        ("success_metrics", before.success_metrics != after.success_metrics),
        ("target_date", before.target_date != after.target_date),
        ("goal_confirmed", before.goal_confirmed != after.goal_confirmed),
        ("rules", before.rules != after.rules),
        ("max_agents", before.max_agents != after.max_agents),
        ("paused", before.paused != after.paused),
    ])
}

/// Deletes a board without agents, with its memory.
///
/// # Errors
/// Missing scope, no such board, or [`Conflict`](crate::OperationErrorCode::Conflict) while agents are on it.
pub async fn delete(service: &Service, caller: &Caller, board: &str) -> Result<(), OperationError> {
    caller.require(Scope::Write)?;
    let board = find(&**service.store(), board).await?;
    remove(&service.records(caller), &board).await
}

/// Deletes a board that was found already.
///
/// # Errors
/// Missing scope, no such board, or [`Conflict`](crate::OperationErrorCode::Conflict) while agents are on it.
pub async fn remove(records: &Records<'_>, board: &Board) -> Result<(), OperationError> {
    records.require(Scope::Write)?;
    if !records.store.delete_board(board.id).await? {
        return Err(OperationError::not_found("board", &board.name));
    }
    note(records, "board.deleted", board, &format!("board {:?}", board.name)).await
}

async fn note(records: &Records<'_>, kind: &str, board: &Board, message: &str) -> Result<(), OperationError> {
    let change = AuditChange {
        board: Some(board.id),
        ..AuditChange::new(kind, message)
    };
    records.audit(change).await?;
    Ok(())
}
