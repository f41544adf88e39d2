//! The lifecycle runs of agents: provisioning, updates and deletions, with their steps.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use windlass_store::{
    AgentUid, GatewayUid, Run, RunId, RunKind, RunState, Step, StepName, StepState, Store, Timestamp,
};

use crate::access::{Caller, Scope};
use crate::agents;
use crate::error::OperationError;
use crate::page::ListPage;

/// Runs that are given, unless the query says otherwise.
const DEFAULT_LIMIT: usize = 20;
/// The most runs that are given: each costs a read of its steps.
const LARGEST_LIMIT: usize = 100;

/// A lifecycle run of an agent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LifecycleRunView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub id: RunId,
    /// The agent, which may be gone when the run has ended.
    #[schema(value_type = uuid::Uuid)]
    pub agent_id: AgentUid,
    /// The gateway.
    #[schema(value_type = uuid::Uuid)]
    pub gateway_id: GatewayUid,
    /// `provision`, `update` or `delete`.
    #[schema(value_type = String)]
    pub kind: RunKind,
    /// `active`, `done` or `failed`.
    #[schema(value_type = String)]
    pub state: RunState,
    /// The number of the run among those of its agent.
    pub generation: u64,
    /// The error of a failed run.
    pub error: Option<String>,
    /// The time of its start.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// The time of its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Its steps, in the order in which they were begun.
    pub steps: Vec<StepView>,
}

/// A step of a lifecycle run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepView {
    /// The step, for example `files`.
    #[schema(value_type = String)]
    pub name: StepName,
    /// `begun`, `done`, `skipped` or `failed`.
    #[schema(value_type = String)]
    pub state: StepState,
    /// The number of attempts.
    pub attempts: u32,
    /// The time of its last change.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// The number of runs that are asked for.
#[derive(Debug, Default, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LifecycleRunQuery {
    /// The number of runs, 20 by default.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<usize>,
}

/// The lifecycle runs of an agent, newest first. Runs of an agent that is gone are found by its id, until they are pruned.
///
/// # Errors
/// Missing scope, no such agent, an invalid limit, or the store's.
pub async fn list(
    store: &dyn Store,
    caller: &Caller,
    agent: &str,
    query: LifecycleRunQuery,
) -> Result<ListPage<LifecycleRunView>, OperationError> {
    caller.require(Scope::Read)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > LARGEST_LIMIT {
        let why = format!("is not from 1 to {LARGEST_LIMIT}");
        return Err(OperationError::invalid("limit", why));
    }
    let id = match agent.parse() {
        Ok(id) => id,
        Err(_) => agents::find(store, agent).await?.id,
    };
    let runs = store.runs(id, limit).await?;
    if runs.is_empty() {
        // An agent without runs has an empty list; an id that no agent has is an error.
        agents::find(store, agent).await?;
    }
    let mut items = Vec::with_capacity(runs.len());
    for run in runs {
        let steps = store.steps(run.id).await?;
        items.push(LifecycleRunView::of(&run, &steps));
    }
    Ok(ListPage {
        items,
        next_cursor: None,
    })
}

impl LifecycleRunView {
    /// The view of a record. Options and details of steps are the provisioner's own, and not shown.
    fn of(run: &Run, steps: &[Step]) -> Self {
        Self {
            id: run.id,
            agent_id: run.agent_id,
            gateway_id: run.gateway_id,
            kind: run.kind,
            state: run.state,
            generation: run.generation,
            error: run.error.clone(),
            started_at: run.started_at,
            ended_at: run.ended_at,
            steps: steps.iter().map(StepView::of).collect(),
        }
    }
}

impl StepView {
    const fn of(step: &Step) -> Self {
        Self {
            name: step.name,
            state: step.state,
            attempts: step.attempts,
            at: step.at,
        }
    }
}
