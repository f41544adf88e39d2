//! The calls of agents, at the paths that agents of Mission Control know. An agent proves itself by its token in the header
//! `X-Agent-Token`, or as a bearer token.
//!
//! The tags and the `x-llm-intent` of each call are for agents that read the document to find the call they need.

use axum::Json as Answer;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use windlass_operations::agent_auth::agent_of;
use windlass_operations::agent_calls::{
    self, AgentCard, AgentHealth, AskUserInput, AskUserReceipt, BroadcastReceipt, HeartbeatInput, LeadMessageInput,
    LeadMessageReceipt, MemoryInput, MemoryView, NudgeInput, OffsetPage, OffsetQuery, OkReply, SoulInput, WorkerInput,
};
use windlass_operations::{OperationError, OperationErrorCode};
use windlass_store::{Agent, AgentUid, BoardId};

use crate::App;
use crate::auth::bearer;
use crate::extract::{Json, OptionalJson, Path, Query};
use crate::problem::{ProblemResponse, Problems};
use crate::random::random;

/// The agent of a request.
#[derive(Debug)]
pub(crate) struct AgentCaller(Agent);

impl FromRequestParts<App> for AgentCaller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ProblemResponse> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let token = header("x-agent-token").or_else(|| header(AUTHORIZATION.as_str()).and_then(bearer));
        let token = token.ok_or_else(no_token)?;
        app.limiter.check(parts)?;
        match agent_of(&app.service, token).await {
            Ok(agent) => Ok(Self(agent)),
            Err(error) => {
                if error.code == OperationErrorCode::Unauthenticated {
                    app.limiter.failed(parts);
                }
                Err(error.into())
            }
        }
    }
}

fn no_token() -> OperationError {
    OperationError::new(
        OperationErrorCode::Unauthenticated,
        "The request has no token of an agent",
        "Send the AUTH_TOKEN of your workspace in the header X-Agent-Token.",
    )
}

/// Check that the token is known, and whose it is.
#[utoipa::path(
    get, path = "/api/v1/agent/healthz", tags = ["agent-lead", "agent-worker", "agent-main"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_auth_health")), ("x-required-actor" = json!("any_agent"))),
    responses((status = 200, body = AgentHealth), Problems)
)]
pub(crate) async fn health(State(app): State<App>, AgentCaller(agent): AgentCaller) -> Answer<AgentHealth> {
    Answer(agent_calls::health(&app.service, &agent))
}

/// Say that the agent is there.
#[utoipa::path(
    post, path = "/api/v1/agent/heartbeat", tags = ["agent-lead", "agent-worker", "agent-main"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_heartbeat")), ("x-required-actor" = json!("any_agent"))),
    request_body = Option<HeartbeatInput>, responses((status = 200, body = AgentCard), Problems)
)]
pub(crate) async fn heartbeat(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    OptionalJson(input): OptionalJson<HeartbeatInput>,
) -> Result<Answer<AgentCard>, ProblemResponse> {
    Ok(Answer(agent_calls::heartbeat(&app.service, &agent, &input).await?))
}

/// List the agents that the agent may see: those of its board; for a gateway's own agent, those of its gateway.
#[utoipa::path(
    get, path = "/api/v1/agent/agents", tags = ["agent-lead", "agent-worker", "agent-main"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_roster_discovery")), ("x-required-actor" = json!("any_agent"))),
    params(OffsetQuery), responses((status = 200, body = OffsetPage<AgentCard>), Problems)
)]
pub(crate) async fn agents(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Query(query): Query<OffsetQuery>,
) -> Result<Answer<OffsetPage<AgentCard>>, ProblemResponse> {
    Ok(Answer(agent_calls::list(&app.service, &agent, &query).await?))
}

/// Create a worker on the board that the agent leads. The worker is provisioned at once.
#[utoipa::path(
    post, path = "/api/v1/agent/agents", tags = ["agent-lead"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_management")), ("x-required-actor" = json!("board_lead"))),
    request_body = WorkerInput, responses((status = 200, body = AgentCard), Problems)
)]
pub(crate) async fn create(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Json(input): Json<WorkerInput>,
) -> Result<Answer<AgentCard>, ProblemResponse> {
    Ok(Answer(
        agent_calls::create(&app.service, &agent, input, random()?).await?,
    ))
}

/// Delete a worker of the board that the agent leads.
#[utoipa::path(
    delete, path = "/api/v1/agent/boards/{board_id}/agents/{agent_id}", tags = ["agent-lead"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_lifecycle")), ("x-required-actor" = json!("board_lead"))),
    params(("board_id" = uuid::Uuid, Path, description = "The board"), ("agent_id" = uuid::Uuid, Path, description = "The agent")),
    responses((status = 200, body = OkReply), Problems)
)]
pub(crate) async fn delete(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Path((board, target)): Path<(BoardId, AgentUid)>,
) -> Result<Answer<OkReply>, ProblemResponse> {
    Ok(Answer(agent_calls::delete(&app.service, &agent, board, target).await?))
}

/// Say something to one agent of the board that the agent leads.
#[utoipa::path(
    post, path = "/api/v1/agent/boards/{board_id}/agents/{agent_id}/nudge", tags = ["agent-lead"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_coordination")), ("x-required-actor" = json!("board_lead"))),
    params(("board_id" = uuid::Uuid, Path, description = "The board"), ("agent_id" = uuid::Uuid, Path, description = "The agent")),
    request_body = NudgeInput, responses((status = 200, body = OkReply), Problems)
)]
pub(crate) async fn nudge(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Path((board, target)): Path<(BoardId, AgentUid)>,
    Json(input): Json<NudgeInput>,
) -> Result<Answer<OkReply>, ProblemResponse> {
    Ok(Answer(
        agent_calls::nudge(&app.service, &agent, board, target, input).await?,
    ))
}

/// Read an agent's SOUL.md: for the lead of the board, and for the agent itself.
#[utoipa::path(
    get, path = "/api/v1/agent/boards/{board_id}/agents/{agent_id}/soul", tags = ["agent-lead", "agent-worker"],
    security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_board_soul_lookup")), ("x-required-actor" = json!("board_lead_or_same_actor"))),
    params(("board_id" = uuid::Uuid, Path, description = "The board"), ("agent_id" = uuid::Uuid, Path, description = "The agent")),
    responses((status = 200, body = String, content_type = "application/json"), Problems)
)]
pub(crate) async fn soul(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Path((board, target)): Path<(BoardId, AgentUid)>,
) -> Result<Answer<String>, ProblemResponse> {
    Ok(Answer(agent_calls::soul(&app.service, &agent, board, target).await?))
}

/// Give an agent of the board that the agent leads another SOUL.md.
#[utoipa::path(
    put, path = "/api/v1/agent/boards/{board_id}/agents/{agent_id}/soul", tags = ["agent-lead"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_knowledge_authoring")), ("x-required-actor" = json!("board_lead"))),
    params(("board_id" = uuid::Uuid, Path, description = "The board"), ("agent_id" = uuid::Uuid, Path, description = "The agent")),
    request_body = SoulInput, responses((status = 200, body = OkReply), Problems)
)]
pub(crate) async fn set_soul(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Path((board, target)): Path<(BoardId, AgentUid)>,
    Json(input): Json<SoulInput>,
) -> Result<Answer<OkReply>, ProblemResponse> {
    Ok(Answer(
        agent_calls::set_soul(&app.service, &agent, board, target, input).await?,
    ))
}

/// Ask the user, through the gateway's own agent. The answer comes into the memory of the board.
#[utoipa::path(
    post, path = "/api/v1/agent/boards/{board_id}/gateway/main/ask-user", tags = ["agent-lead"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("human_escalation")), ("x-required-actor" = json!("board_lead"))),
    params(("board_id" = uuid::Uuid, Path, description = "The board")),
    request_body = AskUserInput, responses((status = 200, body = AskUserReceipt), Problems)
)]
pub(crate) async fn ask_user(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Path(board): Path<BoardId>,
    Json(input): Json<AskUserInput>,
) -> Result<Answer<AskUserReceipt>, ProblemResponse> {
    Ok(Answer(agent_calls::ask_user(&app.service, &agent, board, input).await?))
}

/// Say something to the lead of a board: for the gateway's own agent. A lead that is missing is created.
#[utoipa::path(
    post, path = "/api/v1/agent/gateway/boards/{board_id}/lead/message", tags = ["agent-main"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("lead_direct_routing")), ("x-required-actor" = json!("agent_main"))),
    params(("board_id" = uuid::Uuid, Path, description = "The board")),
    request_body = LeadMessageInput, responses((status = 200, body = LeadMessageReceipt), Problems)
)]
pub(crate) async fn message_lead(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Path(board): Path<BoardId>,
    Json(input): Json<LeadMessageInput>,
) -> Result<Answer<LeadMessageReceipt>, ProblemResponse> {
    Ok(Answer(
        agent_calls::message_lead(&app.service, &agent, board, input).await?,
    ))
}

/// Say something to the leads of the gateway's boards: for the gateway's own agent.
#[utoipa::path(
    post, path = "/api/v1/agent/gateway/leads/broadcast", tags = ["agent-main"], security(("agent" = [])),
    extensions(("x-llm-intent" = json!("lead_broadcast_routing")), ("x-required-actor" = json!("agent_main"))),
    request_body = LeadMessageInput, responses((status = 200, body = BroadcastReceipt), Problems)
)]
pub(crate) async fn broadcast(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Json(input): Json<LeadMessageInput>,
) -> Result<Answer<BroadcastReceipt>, ProblemResponse> {
    Ok(Answer(agent_calls::broadcast(&app.service, &agent, input).await?))
}

/// Read the memory of a board, newest first.
#[utoipa::path(
    get, path = "/api/v1/agent/boards/{board_id}/memory", tags = ["agent-lead", "agent-worker", "agent-main"],
    security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_board_memory_discovery")), ("x-required-actor" = json!("any_agent"))),
    params(("board_id" = uuid::Uuid, Path, description = "The board"), OffsetQuery),
    responses((status = 200, body = OffsetPage<MemoryView>), Problems)
)]
pub(crate) async fn memory(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Path(board): Path<BoardId>,
    Query(query): Query<OffsetQuery>,
) -> Result<Answer<OffsetPage<MemoryView>>, ProblemResponse> {
    Ok(Answer(agent_calls::memory(&app.service, &agent, board, &query).await?))
}

/// Write into the memory of a board.
#[utoipa::path(
    post, path = "/api/v1/agent/boards/{board_id}/memory", tags = ["agent-lead", "agent-worker", "agent-main"],
    security(("agent" = [])),
    extensions(("x-llm-intent" = json!("agent_board_memory_record")), ("x-required-actor" = json!("any_agent"))),
    params(("board_id" = uuid::Uuid, Path, description = "The board")),
    request_body = MemoryInput, responses((status = 200, body = MemoryView), Problems)
)]
pub(crate) async fn remember(
    State(app): State<App>,
    AgentCaller(agent): AgentCaller,
    Path(board): Path<BoardId>,
    Json(input): Json<MemoryInput>,
) -> Result<(StatusCode, Answer<MemoryView>), ProblemResponse> {
    let entry = agent_calls::remember(&app.service, &agent, board, input, random()?).await?;
    Ok((StatusCode::OK, Answer(entry)))
}
