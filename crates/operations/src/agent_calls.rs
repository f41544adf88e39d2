//! The calls of agents: what an agent may do with its own token.
//!
//! Paths, members and rights are those that agents of Mission Control know, so that their files need no change.

mod views;

use serde_json::Value;
use windlass::agents::coordinator::{AskUser, LeadMessage, LeadMessageKind, Nudge, Soul};
use windlass::agents::{Job, RunOptions, coordinator};
use windlass_store::{
    Agent, AgentFilter, AgentRole, AgentStatus, AgentUid, BoardId, BoardMemoryEntry, BoardMemoryFilter, CheckIn,
    Creator, FileOverride, MemoryId,
};

pub use views::{
    AgentCard, AgentHealth, AskUserInput, AskUserReceipt, BroadcastReceipt, HeartbeatInput, LeadKind, LeadMessageInput,
    LeadMessageReceipt, MemoryInput, MemoryView, NudgeInput, OffsetPage, OffsetQuery, OkReply, SoulInput, WorkerInput,
};

use crate::access::{Caller, Front, Role};
use crate::audit::{self, AuditChange};
use crate::error::{OperationError, OperationErrorCode};
use crate::service::Service;

/// That the token is known, and whose it is.
pub fn health(service: &Service, agent: &Agent) -> AgentHealth {
    AgentHealth {
        ok: true,
        agent_id: agent.id,
        board_id: agent.board_id,
        gateway_id: agent.gateway_id.to_string(),
        status: agent.shown_status(service.now()).to_string(),
        is_board_lead: agent.role() == AgentRole::Lead,
    }
}

/// The agent says that it is there.
///
/// # Errors
/// The store's.
pub async fn heartbeat(service: &Service, agent: &Agent, input: &HeartbeatInput) -> Result<AgentCard, OperationError> {
    let status = input.status.as_deref().and_then(|status| status.parse().ok());
    // An agent can't say that it is being deleted; any word that is not ours says that it is there.
    let status = status.filter(|status| !matches!(status, AgentStatus::Deleting | AgentStatus::Provisioned));
    let check_in = CheckIn {
        at: service.now(),
        status,
    };
    let seen = service.store().check_in(agent.id, check_in).await?;
    let seen = seen.ok_or_else(|| OperationError::not_found("agent", &agent.id.to_string()))?;
    Ok(AgentCard::of(&seen, service.now()))
}

/// The agents that an agent may see: those of its board; for a gateway's own agent, those of its gateway.
///
/// # Errors
/// An invalid limit, or the store's.
pub async fn list(
    service: &Service,
    agent: &Agent,
    query: &OffsetQuery,
) -> Result<OffsetPage<AgentCard>, OperationError> {
    let limit = query.limit()?;
    if let (Some(own), Some(asked)) = (agent.board_id, query.board_id)
        && own != asked
    {
        return Err(forbidden("An agent sees the agents of its own board only"));
    }
    let filter = AgentFilter {
        gateway: Some(agent.gateway_id),
        board: agent.board_id.or(query.board_id),
        ..AgentFilter::default()
    };
    let agents = service.store().agents(&filter).await?;
    let (total, offset) = (agents.len() as u64, query.offset.unwrap_or(0));
    let before = usize::try_from(offset).unwrap_or(usize::MAX);
    let now = service.now();
    let page = agents.iter().skip(before).take(limit);
    Ok(OffsetPage {
        items: page.map(|agent| AgentCard::of(agent, now)).collect(),
        total,
        limit,
        offset,
    })
}

/// A lead creates a worker of its board; the worker is provisioned at once.
///
/// # Errors
/// The agent leads no board, the board has as many workers as it may have, or a member that is not acceptable.
pub async fn create(
    service: &Service,
    agent: &Agent,
    input: WorkerInput,
    random: [u8; 16],
) -> Result<AgentCard, OperationError> {
    let board = lead_of(agent)?;
    let now = service.now();
    let mut worker = Agent::new_worker(
        AgentUid::from_bytes(random),
        agent.gateway_id,
        board,
        input.name.trim(),
        now,
    );
    worker.heartbeat = input.heartbeat_config.unwrap_or_default();
    worker.identity = input
        .identity_profile
        .unwrap_or_default()
        .into_iter()
        .filter_map(trait_of)
        .collect();
    worker.soul_override = input.soul_template.map(FileOverride::Text);
    let worker = service.store().insert_agent(&worker, Creator::Lead).await?;
    note(
        service,
        agent,
        "agent.created",
        &worker,
        &format!("agent {:?}", worker.name),
    )
    .await?;
    let job = Job::Provision {
        agents: vec![worker.id],
        options: RunOptions::default(),
    };
    // It goes on by itself; its end is on record.
    drop(service.agents().work(job).await.map_err(|_| ends())?);
    Ok(AgentCard::of(&worker, now))
}

/// A trait of a character: a text, or words that are joined.
fn trait_of((key, value): (String, Value)) -> Option<(String, String)> {
    let text = match value {
        Value::String(text) => text,
        Value::Array(words) => {
            let words = words.iter().filter_map(|word| word.as_str().map(str::trim));
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let text = text.trim();
    (!text.is_empty()).then(|| (key, text.to_owned()))
}

/// A lead deletes a worker of its board.
///
/// # Errors
/// The agent does not lead the board, no such agent on it, or the gateway failed.
pub async fn delete(
    service: &Service,
    agent: &Agent,
    board: BoardId,
    worker: AgentUid,
) -> Result<OkReply, OperationError> {
    lead(agent, board)?;
    let found = service.store().agent(worker).await?;
    let found = found.filter(|found| found.board_id == Some(board) && found.role() == AgentRole::Worker);
    let found = found.ok_or_else(|| OperationError::not_found("agent", &worker.to_string()))?;
    let job = Job::Delete {
        agents: vec![worker],
        delete_files: false,
    };
    let operation = service.agents().work(job).await.map_err(|_| ends())?;
    let report = operation.report().await.map_err(|_| ends())?;
    if let Some(failure) = report.failed().next().and_then(|report| report.failure.as_ref()) {
        return Err(OperationError::new(
            OperationErrorCode::Rejected,
            failure.to_string(),
            failure.next_step.clone(),
        ));
    }
    note(
        service,
        agent,
        "agent.deleted",
        &found,
        &format!("agent {:?}", found.name),
    )
    .await?;
    Ok(OkReply::YES)
}

/// A lead says something to an agent of its board.
///
/// # Errors
/// [`OperationError`].
pub async fn nudge(
    service: &Service,
    agent: &Agent,
    board: BoardId,
    target: AgentUid,
    input: NudgeInput,
) -> Result<OkReply, OperationError> {
    lead(agent, board)?;
    let nudge = Nudge {
        caller: coordinator::CoordinationCaller::Agent(agent.id),
        board,
        agent: target,
        message: input.message,
        correlation_id: None,
    };
    service.agents().coordinator().nudge(nudge).await?;
    Ok(OkReply::YES)
}

/// Reads an agent's SOUL.md: for the board's lead, and for the agent itself.
///
/// # Errors
/// [`OperationError`].
pub async fn soul(
    service: &Service,
    agent: &Agent,
    board: BoardId,
    target: AgentUid,
) -> Result<String, OperationError> {
    if agent.id != target {
        lead(agent, board)?;
    }
    let soul = Soul {
        caller: coordinator::CoordinationCaller::Agent(agent.id),
        board,
        agent: target,
    };
    Ok(service.agents().coordinator().read_soul(soul).await?)
}

/// A lead gives an agent of its board another SOUL.md.
///
/// # Errors
/// [`OperationError`].
pub async fn set_soul(
    service: &Service,
    agent: &Agent,
    board: BoardId,
    target: AgentUid,
    input: SoulInput,
) -> Result<OkReply, OperationError> {
    lead(agent, board)?;
    let soul = Soul {
        caller: coordinator::CoordinationCaller::Agent(agent.id),
        board,
        agent: target,
    };
    service.agents().coordinator().write_soul(soul, input.content).await?;
    let reason = input.reason.unwrap_or_default();
    let message = match input.source_url {
        Some(url) => format!("soul, from {url}: {reason}"),
        None => format!("soul: {reason}"),
    };
    if let Some(target) = service.store().agent(target).await? {
        note(
            service,
            agent,
            "agent.soul",
            &target,
            message.trim_end_matches([':', ' ']),
        )
        .await?;
    }
    Ok(OkReply::YES)
}

/// A lead asks the user, through the gateway's own agent.
///
/// # Errors
/// [`OperationError`].
pub async fn ask_user(
    service: &Service,
    agent: &Agent,
    board: BoardId,
    input: AskUserInput,
) -> Result<AskUserReceipt, OperationError> {
    lead(agent, board)?;
    let ask = AskUser {
        caller: coordinator::CoordinationCaller::Agent(agent.id),
        board,
        question: input.content,
        channel: input.preferred_channel,
        correlation_id: input.correlation_id,
        tags: input.reply_tags.unwrap_or_else(|| tags(["gateway_main", "user_reply"])),
        source: Some(input.reply_source.unwrap_or_else(|| "user_via_gateway_main".into())),
    };
    let receipt = service.agents().coordinator().ask_user(ask).await?;
    Ok(AskUserReceipt {
        ok: true,
        board_id: board,
        main_agent_id: Some(receipt.agent),
        main_agent_name: name_of(service, receipt.agent).await?,
    })
}

/// A gateway's own agent says something to the lead of a board.
///
/// # Errors
/// [`OperationError`].
pub async fn message_lead(
    service: &Service,
    agent: &Agent,
    board: BoardId,
    input: LeadMessageInput,
) -> Result<LeadMessageReceipt, OperationError> {
    let message = lead_message(agent, input)?;
    let receipt = service.agents().coordinator().message_lead(message, board).await?;
    Ok(LeadMessageReceipt {
        ok: true,
        board_id: board,
        lead_agent_id: Some(receipt.agent),
        lead_agent_name: name_of(service, receipt.agent).await?,
        lead_created: receipt.created,
        error: None,
    })
}

/// A gateway's own agent says something to the leads of its boards.
///
/// # Errors
/// [`OperationError`].
pub async fn broadcast(
    service: &Service,
    agent: &Agent,
    mut input: LeadMessageInput,
) -> Result<BroadcastReceipt, OperationError> {
    let boards = input.board_ids.take();
    let message = lead_message(agent, input)?;
    let report = service.agents().coordinator().broadcast(message, boards).await?;
    let mut results = Vec::new();
    for board in report.boards {
        let lead_agent_name = match board.agent {
            Some(lead) => name_of(service, lead).await?,
            None => None,
        };
        results.push(LeadMessageReceipt {
            ok: board.error.is_none(),
            board_id: board.board,
            lead_agent_id: board.agent,
            lead_agent_name,
            lead_created: false,
            error: board.error,
        });
    }
    Ok(BroadcastReceipt {
        ok: report.failed == 0,
        sent: report.sent,
        failed: report.failed,
        results,
    })
}

/// The memory of a board, newest first: for agents of the board, and for its gateway's own agent.
///
/// # Errors
/// [`OperationError`].
pub async fn memory(
    service: &Service,
    agent: &Agent,
    board: BoardId,
    query: &OffsetQuery,
) -> Result<OffsetPage<MemoryView>, OperationError> {
    let limit = query.limit()?;
    may_remember(service, agent, board).await?;
    let filter = BoardMemoryFilter {
        board,
        is_chat: query.is_chat,
    };
    let offset = query.offset.unwrap_or(0);
    let page = service.store().board_memory(&filter, offset, limit).await?;
    Ok(OffsetPage {
        items: page.entries.into_iter().map(MemoryView::of).collect(),
        total: page.total,
        limit,
        offset,
    })
}

/// Writes into the memory of a board.
///
/// # Errors
/// [`OperationError`].
pub async fn remember(
    service: &Service,
    agent: &Agent,
    board: BoardId,
    input: MemoryInput,
    random: [u8; 16],
) -> Result<MemoryView, OperationError> {
    may_remember(service, agent, board).await?;
    let entry = BoardMemoryEntry {
        id: MemoryId::from_bytes(random),
        board_id: board,
        content: input.content,
        tags: input.tags.unwrap_or_default(),
        source: input.source,
        agent_id: Some(agent.id),
        created_at: service.now(),
    };
    service.store().remember(&entry).await?;
    Ok(MemoryView::of(entry))
}

async fn may_remember(service: &Service, agent: &Agent, board: BoardId) -> Result<(), OperationError> {
    let found = service.store().board(board).await?;
    let found = found.ok_or_else(|| OperationError::not_found("board", &board.to_string()))?;
    let is_own = match agent.board_id {
        Some(own) => own == board,
        None => found.gateway_id == Some(agent.gateway_id),
    };
    if is_own {
        Ok(())
    } else {
        Err(forbidden("The agent does not belong to this board"))
    }
}

fn lead_message(agent: &Agent, input: LeadMessageInput) -> Result<LeadMessage, OperationError> {
    if agent.role() != AgentRole::Main {
        return Err(forbidden("Only the gateway's own agent may do this"));
    }
    Ok(LeadMessage {
        caller: coordinator::CoordinationCaller::Agent(agent.id),
        gateway: agent.gateway_id,
        kind: match input.kind {
            LeadKind::Question => LeadMessageKind::Question,
            LeadKind::Handoff => LeadMessageKind::Handoff,
        },
        message: input.content,
        correlation_id: input.correlation_id,
        tags: input.reply_tags.unwrap_or_else(|| tags(["gateway_main", "lead_reply"])),
        source: Some(input.reply_source.unwrap_or_else(|| "lead_to_gateway_main".into())),
    })
}

fn tags(words: [&str; 2]) -> Vec<String> {
    words.map(str::to_owned).into()
}

/// The board that the agent leads.
fn lead_of(agent: &Agent) -> Result<BoardId, OperationError> {
    let is_lead = agent.role() == AgentRole::Lead;
    agent
        .board_id
        .filter(|_| is_lead)
        .ok_or_else(|| forbidden("Only the lead of a board may do this"))
}

fn lead(agent: &Agent, board: BoardId) -> Result<(), OperationError> {
    if lead_of(agent)? == board {
        Ok(())
    } else {
        Err(forbidden("The agent leads another board"))
    }
}

fn forbidden(why: &str) -> OperationError {
    OperationError::new(
        OperationErrorCode::Forbidden,
        why,
        "Ask the lead of the board, or the gateway's own agent.",
    )
}

fn ends() -> OperationError {
    OperationError::new(
        OperationErrorCode::Unavailable,
        "The service ends",
        "Send the request again later.",
    )
}

async fn name_of(service: &Service, agent: AgentUid) -> Result<Option<String>, OperationError> {
    Ok(service.store().agent(agent).await?.map(|agent| agent.name))
}

async fn note(service: &Service, by: &Agent, kind: &str, agent: &Agent, message: &str) -> Result<(), OperationError> {
    let caller = Caller::new(by.name.clone(), Role::Viewer, Front::Agent);
    let change = AuditChange {
        agent: Some(agent.id),
        board: agent.board_id,
        ..AuditChange::new(kind, message)
    };
    audit::record(&**service.store(), &caller, change, service.now()).await?;
    Ok(())
}
