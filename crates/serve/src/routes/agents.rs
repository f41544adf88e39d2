//! Agents: records, plans, runs, activities.

use axum::extract::State;
use axum::http::StatusCode;
use windlass_operations::ListPage;
use windlass_operations::activities::{self, ActivityQuery, ActivityView};
use windlass_operations::agent_records::{self, AgentInput, AgentPatch};
use windlass_operations::agents::{self, AgentQuery, AgentView, PlanView};
use windlass_operations::lifecycle_runs::{self, LifecycleRunQuery, LifecycleRunView};

use crate::App;
use crate::auth::Authenticated;
use crate::extract::{Json, Path, Query};
use crate::problem::{ProblemResponse, Problems};
use crate::random::random;

/// List agents with their status, by name.
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents", params(AgentQuery), responses((status = 200, body = ListPage<AgentView>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Query(query): Query<AgentQuery>,
) -> Result<axum::Json<ListPage<AgentView>>, ProblemResponse> {
    Ok(axum::Json(agents::list(&app.service, &caller, &query).await?))
}

/// Record an agent. It comes to its gateway by the operation provision.
#[utoipa::path(post, path = "/api/v1/agents", tag = "agents", request_body = AgentInput, responses((status = 201, body = AgentView), Problems))]
pub(crate) async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Json(input): Json<AgentInput>,
) -> Result<(StatusCode, axum::Json<AgentView>), ProblemResponse> {
    let made = agent_records::create(&app.service, &caller, input, random()?).await?;
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Show one agent.
#[utoipa::path(get, path = "/api/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path, description = "The id of an agent, or its name where only one has it")), responses((status = 200, body = AgentView), Problems))]
pub(crate) async fn get(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(agent): Path<String>,
) -> Result<axum::Json<AgentView>, ProblemResponse> {
    Ok(axum::Json(agents::get(&app.service, &caller, &agent).await?))
}

/// Change an agent. Its gateway gets the change with the next provisioning.
#[utoipa::path(patch, path = "/api/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path, description = "The id of an agent, or its name where only one has it")), request_body = AgentPatch, responses((status = 200, body = AgentView), Problems))]
pub(crate) async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(agent): Path<String>,
    Json(input): Json<AgentPatch>,
) -> Result<axum::Json<AgentView>, ProblemResponse> {
    Ok(axum::Json(
        agent_records::update(&app.service, &caller, &agent, input).await?,
    ))
}

/// Compare an agent with its gateway, and show the steps that a run would take.
#[utoipa::path(get, path = "/api/v1/agents/{agent}/plan", tag = "agents", params(("agent" = String, Path, description = "The id of an agent, or its name where only one has it")), responses((status = 200, body = PlanView), Problems))]
pub(crate) async fn plan(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(agent): Path<String>,
) -> Result<axum::Json<PlanView>, ProblemResponse> {
    Ok(axum::Json(agents::plan(&app.service, &caller, &agent).await?))
}

/// Show the latest runs of an agent with their steps.
#[utoipa::path(get, path = "/api/v1/agents/{agent}/runs", tag = "agents", params(("agent" = String, Path, description = "The id of an agent, or its name where only one has it"), LifecycleRunQuery), responses((status = 200, body = ListPage<LifecycleRunView>), Problems))]
pub(crate) async fn runs(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(agent): Path<String>,
    Query(query): Query<LifecycleRunQuery>,
) -> Result<axum::Json<ListPage<LifecycleRunView>>, ProblemResponse> {
    let store = app.service.store();
    let runs = lifecycle_runs::list(&**store, &caller, &agent, query).await?;
    Ok(axum::Json(runs))
}

/// List activities, the audit trail among them: the latest first, or, after a number, the oldest first.
#[utoipa::path(get, path = "/api/v1/activities", tag = "activities", params(ActivityQuery), responses((status = 200, body = ListPage<ActivityView>), Problems))]
pub(crate) async fn activities(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ActivityQuery>,
) -> Result<axum::Json<ListPage<ActivityView>>, ProblemResponse> {
    Ok(axum::Json(
        activities::list(&**app.service.store(), &caller, &query).await?,
    ))
}
