//! Agents as they are shown, and the plans of their runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use windlass::agents::RunOptions;
use windlass_store::{Agent, AgentFilter, AgentRole, AgentUid, FileOverride, Store, Timestamp};

use crate::access::{Caller, Scope};
use crate::boards;
use crate::error::{OperationError, OperationErrorCode};
use crate::gateway_records::recorded;
use crate::page::{ListPage, PageQuery};
use crate::service::Service;

/// An agent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AgentView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub id: AgentUid,
    /// Its name.
    pub name: String,
    /// `main`, `lead` or `worker`.
    #[schema(value_type = String)]
    pub role: AgentRole,
    /// The gateway that it lives on.
    pub gateway_id: String,
    /// Its board; none for a gateway's own agent.
    pub board_id: Option<String>,
    /// Its id on the gateway.
    pub agent_id: String,
    /// Its session on the gateway.
    pub session_key: String,
    /// `provisioning`, `provisioned`, `online`, `offline`, `updating` or `deleting`.
    pub status: String,
    /// The time at which it was last seen.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen_at: Option<Timestamp>,
    /// The time of its last wake.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_wake_sent_at: Option<Timestamp>,
    /// The time until which an answer to the wake is waited for.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub checkin_deadline_at: Option<Timestamp>,
    /// Why its last run failed.
    pub error: Option<String>,
    /// The settings of its heartbeat.
    #[schema(value_type = Object)]
    pub heartbeat: Map<String, Value>,
    /// Its character.
    pub identity: BTreeMap<String, String>,
    /// Its own SOUL.md, in place of the role's template.
    pub soul: Option<FileForm>,
    /// Its own IDENTITY.md, in place of the role's template.
    pub identity_file: Option<FileForm>,
    /// The number of its runs.
    pub lifecycle_generation: u64,
    /// The time at which the record was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A file of an agent, in place of the file that its role's template makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileForm {
    /// The file itself, as it is.
    Text(String),
    /// The source of a template, which sees every variable of the agent, its token among them.
    Template(String),
}

impl From<FileForm> for FileOverride {
    fn from(form: FileForm) -> Self {
        match form {
            FileForm::Text(text) => Self::Text(text),
            FileForm::Template(source) => Self::Template(source),
        }
    }
}

impl From<&FileOverride> for FileForm {
    fn from(file: &FileOverride) -> Self {
        match file {
            FileOverride::Text(text) => Self::Text(text.clone()),
            FileOverride::Template(source) => Self::Template(source.clone()),
        }
    }
}

/// A selection of agents.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgentQuery {
    /// Only agents of this gateway, by id or name.
    pub gateway: Option<String>,
    /// Only agents of this board, by id or name.
    pub board: Option<String>,
    /// Only agents with this status.
    pub status: Option<String>,
    /// The cursor of the page, from the page before.
    pub cursor: Option<String>,
    /// The number of agents on a page, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

impl AgentView {
    /// An agent at this time: the status depends on it.
    pub fn of(agent: &Agent, now: Timestamp) -> Self {
        Self {
            id: agent.id,
            name: agent.name.clone(),
            role: agent.role(),
            gateway_id: agent.gateway_id.to_string(),
            board_id: agent.board_id.map(|id| id.to_string()),
            agent_id: agent.agent_id().to_string(),
            session_key: agent.session_key.to_string(),
            status: agent.shown_status(now).to_string(),
            last_seen_at: agent.last_seen_at,
            last_wake_sent_at: agent.last_wake_sent_at,
            checkin_deadline_at: agent.checkin_deadline_at,
            error: agent.last_provision_error.clone(),
            heartbeat: agent.heartbeat.clone(),
            identity: agent.identity.clone(),
            soul: agent.soul_override.as_ref().map(FileForm::from),
            identity_file: agent.identity_override.as_ref().map(FileForm::from),
            lifecycle_generation: agent.lifecycle_generation,
            created_at: agent.created_at,
        }
    }
}

/// The agents that the query selects, by name.
///
/// # Errors
/// Missing scope, no such gateway or board, or an invalid cursor.
pub async fn list(
    service: &Service,
    caller: &Caller,
    query: &AgentQuery,
) -> Result<ListPage<AgentView>, OperationError> {
    caller.require(Scope::Read)?;
    let page = PageQuery::parse(query.cursor.as_deref(), query.limit)?;
    let mut filter = AgentFilter::default();
    if let Some(gateway) = &query.gateway {
        filter.gateway = Some(recorded(service, gateway).await?.id);
    }
    if let Some(board) = &query.board {
        filter.board = Some(boards::find(&**service.store(), board).await?.id);
    }
    let now = service.now();
    let agents = service.store().agents(&filter).await?;
    let views = agents.iter().map(|agent| AgentView::of(agent, now));
    let mut views: Vec<AgentView> = views
        .filter(|view| query.status.as_ref().is_none_or(|status| view.status == *status))
        .collect();
    views.sort_by_cached_key(|view| (view.name.to_lowercase(), view.id));
    Ok(page.take(views, |view| format!("{}\n{}", view.name.to_lowercase(), view.id)))
}

/// One agent, by id or, where only one has it, by name.
///
/// # Errors
/// Missing scope, no such agent, or several of that name.
pub async fn get(service: &Service, caller: &Caller, agent: &str) -> Result<AgentView, OperationError> {
    caller.require(Scope::Read)?;
    let found = find(&**service.store(), agent).await?;
    Ok(AgentView::of(&found, service.now()))
}

/// The agent that a text names.
pub(crate) async fn find(store: &dyn Store, agent: &str) -> Result<Agent, OperationError> {
    let not_found = || OperationError::not_found("agent", agent);
    if let Ok(id) = agent.parse() {
        return store.agent(id).await?.ok_or_else(not_found);
    }
    let agents = store.agents(&AgentFilter::default()).await?;
    let wanted = agent.to_lowercase();
    let mut named = agents.into_iter().filter(|known| known.name.to_lowercase() == wanted);
    let found = named.next().ok_or_else(not_found)?;
    match named.next() {
        None => Ok(found),
        Some(_) => Err(OperationError::new(
            OperationErrorCode::Conflict,
            format!("Several agents are called {agent:?}"),
            "Name the agent by its id.",
        )),
    }
}

/// The steps that a run would take, without taking them; and whether the gateway differs from the record.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanView {
    /// Whether the gateway has something else than the record says.
    pub drifted: bool,
    /// Whether a run would write or send anything.
    pub changes: bool,
    /// The steps.
    #[schema(value_type = Object)]
    pub plan: Value,
}

/// Compares an agent's record with its gateway.
///
/// # Errors
/// Missing scope, no such agent, a template that does not render, or a gateway that does not answer.
pub async fn plan(service: &Service, caller: &Caller, agent: &str) -> Result<PlanView, OperationError> {
    caller.require(Scope::Read)?;
    let agent = find(&**service.store(), agent).await?;
    let plan = service.agents().plan(agent.id, RunOptions::default()).await;
    let plan = plan.map_err(|error| {
        OperationError::new(
            OperationErrorCode::NotSent,
            error.to_string(),
            "See the state of the gateway.",
        )
    })?;
    Ok(PlanView {
        drifted: plan.drifted(),
        changes: plan.any(),
        plan: serde_json::to_value(&plan).unwrap_or_default(),
    })
}
