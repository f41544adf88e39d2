//! Agents: their records, their plans, their activities and runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use windlass::agents::RunOptions;
use windlass_store::{
    Activity, ActivityFilter, Agent, AgentFilter, AgentRole, AgentUid, Creator, FileOverride, Run, RunId, Step, Store,
    Timestamp, amend,
};

use crate::access::{Caller, Scope};
use crate::audit::{self, AUDIT_PREFIX, Change};
use crate::boards;
use crate::error::{ErrorCode, OperationError};
use crate::gateway_records::{given, main_agent_name, recorded};
use crate::page::{Page, PageQuery};
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
    /// The time at which the record was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// An agent to record. It comes to its gateway by `POST /api/v1/agents/provision`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentInput {
    /// Its id; a new one by default.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub id: Option<AgentUid>,
    /// Its name; leads and gateways' own agents have a default.
    #[schema(max_length = 120)]
    pub name: Option<String>,
    /// Its board, by id or name.
    pub board: Option<String>,
    /// The gateway whose own agent it is, by id or name; instead of a board.
    pub main_of: Option<String>,
    /// It leads the board.
    #[serde(default)]
    pub lead: bool,
    /// The settings of its heartbeat, for example `{"every": "10m"}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub heartbeat: Map<String, Value>,
    /// Its character, for example `{"role": "Writer"}`.
    #[serde(default)]
    pub identity: BTreeMap<String, String>,
    /// The text of its SOUL.md.
    pub soul: Option<String>,
}

/// Changes of an agent. A member that is missing stays as it is; `null` removes the value.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentPatch {
    /// The new name.
    #[schema(min_length = 1, max_length = 120)]
    pub name: Option<String>,
    /// The settings of its heartbeat.
    #[schema(value_type = Option<Object>)]
    pub heartbeat: Option<Map<String, Value>>,
    /// Its character.
    pub identity: Option<BTreeMap<String, String>>,
    /// The text of its SOUL.md; `null` takes the template.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub soul: Option<Option<String>>,
    /// Another board on the same gateway, by id or name.
    pub board: Option<String>,
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

/// The name of a board's lead, unless it is given another one.
const LEAD_NAME: &str = "Lead Agent";

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
            created_at: agent.created_at,
        }
    }
}

/// The agents that the query selects, by name.
///
/// # Errors
/// Missing scope, no such gateway or board, or an invalid cursor.
pub async fn list(service: &Service, caller: &Caller, query: &AgentQuery) -> Result<Page<AgentView>, OperationError> {
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
            ErrorCode::Conflict,
            format!("Several agents are called {agent:?}"),
            "Name the agent by its id.",
        )),
    }
}

/// Records an agent.
///
/// # Errors
/// Missing scope, no such board or gateway, a member that is not acceptable, or a name that is taken.
pub async fn create(
    service: &Service,
    caller: &Caller,
    input: AgentInput,
    random: [u8; 16],
) -> Result<AgentView, OperationError> {
    caller.require(Scope::Write)?;
    let agent = record_of(service, input, random).await?;
    let agent = service.store().insert_agent(&agent, Creator::Operator).await?;
    note(
        service,
        caller,
        "agent.created",
        &agent,
        &format!("agent {:?}", agent.name),
    )
    .await?;
    Ok(AgentView::of(&agent, service.now()))
}

async fn record_of(service: &Service, input: AgentInput, random: [u8; 16]) -> Result<Agent, OperationError> {
    let (id, now) = (input.id.unwrap_or_else(|| AgentUid::from_bytes(random)), service.now());
    let name = input.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let mut agent = match (&input.board, &input.main_of) {
        (None, Some(gateway)) if !input.lead => {
            let gateway = recorded(service, gateway).await?;
            let default = main_agent_name(&gateway.name);
            Agent::new_main(id, gateway.id, name.unwrap_or(&default), now)
        }
        (Some(board), None) => {
            let board = boards::find(&**service.store(), board).await?;
            let gateway = board
                .gateway_id
                .ok_or_else(|| OperationError::invalid("board", "has no gateway"))?;
            if input.lead {
                Agent::new_lead(id, gateway, board.id, name.unwrap_or(LEAD_NAME), now)
            } else {
                let name = name.ok_or_else(|| OperationError::invalid("name", "is missing: a worker needs one"))?;
                Agent::new_worker(id, gateway, board.id, name, now)
            }
        }
        _ => {
            return Err(OperationError::invalid(
                "board",
                "or main_of is to be given, and not both",
            ));
        }
    };
    agent.heartbeat = input.heartbeat;
    agent.identity = input.identity;
    agent.soul_override = input.soul.map(FileOverride::Text);
    Ok(agent)
}

/// Changes an agent's record. The gateway gets the change with the next provisioning.
///
/// # Errors
/// Missing scope, no such agent or board, a member that is not acceptable, or a name that is taken.
pub async fn update(
    service: &Service,
    caller: &Caller,
    agent: &str,
    patch: AgentPatch,
) -> Result<AgentView, OperationError> {
    caller.require(Scope::Write)?;
    let store = service.store();
    let before = find(&**store, agent).await?;
    let board = match &patch.board {
        Some(board) => Some(boards::find(&**store, board).await?),
        None => None,
    };
    if let Some(board) = &board {
        if before.role() != AgentRole::Worker {
            return Err(OperationError::invalid("board", "can be changed for workers only"));
        }
        if board.gateway_id != Some(before.gateway_id) {
            return Err(OperationError::invalid(
                "board",
                "is on another gateway: the agent would be another one there",
            ));
        }
    }
    let change = |agent: &mut Agent| {
        if let Some(name) = &patch.name {
            name.trim().clone_into(&mut agent.name);
        }
        if let Some(heartbeat) = &patch.heartbeat {
            agent.heartbeat.clone_from(heartbeat);
        }
        if let Some(identity) = &patch.identity {
            agent.identity.clone_from(identity);
        }
        if let Some(soul) = &patch.soul {
            agent.soul_override = soul.clone().map(FileOverride::Text);
        }
        if let Some(board) = &board {
            agent.board_id = Some(board.id);
        }
    };
    let after = amend(&**store, before.id, change).await?;
    let after = after.ok_or_else(|| OperationError::not_found("agent", agent))?;
    note(
        service,
        caller,
        "agent.updated",
        &after,
        &format!("agent {:?}", before.name),
    )
    .await?;
    Ok(AgentView::of(&after, service.now()))
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
    let plan = plan
        .map_err(|error| OperationError::new(ErrorCode::NotSent, error.to_string(), "See the state of the gateway."))?;
    Ok(PlanView {
        drifted: plan.drifted(),
        changes: plan.any(),
        plan: serde_json::to_value(&plan).unwrap_or_default(),
    })
}

/// A run of an agent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub id: RunId,
    /// `provision`, `update` or `delete`.
    pub kind: String,
    /// `active`, `done` or `failed`.
    pub state: String,
    /// Why it failed.
    pub error: Option<String>,
    /// The time of its start.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// The time of its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Its steps, in the order in which they began.
    pub steps: Vec<StepView>,
}

/// A step of a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepView {
    /// Its name, for example `files`.
    pub name: String,
    /// `begun`, `done`, `skipped` or `failed`.
    pub state: String,
    /// The number of attempts.
    pub attempts: u32,
    /// The time of its last change.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Runs that are shown of an agent.
const RUNS: usize = 20;

/// The latest runs of an agent, newest first.
///
/// # Errors
/// Missing scope, or no such agent.
pub async fn runs(service: &Service, caller: &Caller, agent: &str) -> Result<Page<RunView>, OperationError> {
    caller.require(Scope::Read)?;
    let store = service.store();
    let agent = find(&**store, agent).await?;
    let mut items = Vec::new();
    for run in store.runs(agent.id, RUNS).await? {
        let steps = store.steps(run.id).await?;
        items.push(run_view(run, &steps));
    }
    Ok(Page {
        items,
        next_cursor: None,
    })
}

fn run_view(run: Run, steps: &[Step]) -> RunView {
    let step = |step: &Step| StepView {
        name: step.name.to_string(),
        state: step.state.to_string(),
        attempts: step.attempts,
        at: step.at,
    };
    RunView {
        id: run.id,
        kind: run.kind.to_string(),
        state: run.state.to_string(),
        error: run.error,
        started_at: run.started_at,
        ended_at: run.ended_at,
        steps: steps.iter().map(step).collect(),
    }
}

/// Something that happened to an agent, a board or a record.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActivityView {
    /// Its number: counted up, and the cursor of a reader.
    pub id: i64,
    /// Its kind, for example `agent.provisioned`; changes by callers begin with `audit.`.
    pub kind: String,
    /// Its text.
    pub message: String,
    /// The agent it is about.
    pub agent_id: Option<String>,
    /// The board it is about.
    pub board_id: Option<String>,
    /// Who made the change.
    pub actor: Option<String>,
    /// The front by which the change came: `api`, `page`, `cli` or `agent`.
    pub source: Option<String>,
    /// The time of it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A selection of activities.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Only activities of this agent, by id or name.
    pub agent: Option<String>,
    /// Only activities of this board, by id or name.
    pub board: Option<String>,
    /// Only the audit trail.
    #[serde(default)]
    pub audit: bool,
    /// Those after this number; the latest ones by default.
    pub after: Option<i64>,
    /// The number of activities, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// The activities that the query selects, oldest first.
///
/// # Errors
/// Missing scope, no such agent or board, or an invalid limit.
pub async fn activities(
    service: &Service,
    caller: &Caller,
    query: &ActivityQuery,
) -> Result<Page<ActivityView>, OperationError> {
    caller.require(Scope::Read)?;
    let page = PageQuery::parse(None, query.limit)?;
    let store = service.store();
    let mut filter = ActivityFilter {
        kind_prefix: query.audit.then_some(AUDIT_PREFIX),
        ..ActivityFilter::default()
    };
    if let Some(agent) = &query.agent {
        filter.agent = Some(find(&**store, agent).await?.id);
    }
    if let Some(board) = &query.board {
        filter.board = Some(boards::find(&**store, board).await?.id);
    }
    let found = store.activities(&filter, query.after, page.limit()).await?;
    Ok(Page {
        items: found.into_iter().map(ActivityView::of).collect(),
        next_cursor: None,
    })
}

impl ActivityView {
    /// An activity.
    pub fn of(activity: Activity) -> Self {
        Self {
            id: activity.id,
            kind: activity.kind,
            message: activity.message,
            agent_id: activity.agent_id.map(|id| id.to_string()),
            board_id: activity.board_id.map(|id| id.to_string()),
            actor: activity.actor,
            source: activity.source,
            at: activity.at,
        }
    }
}

async fn note(
    service: &Service,
    caller: &Caller,
    kind: &str,
    agent: &Agent,
    message: &str,
) -> Result<(), OperationError> {
    let change = Change {
        agent: Some(agent.id),
        board: agent.board_id,
        ..Change::new(kind, message)
    };
    audit::record(&**service.store(), caller, change, service.now()).await?;
    Ok(())
}
