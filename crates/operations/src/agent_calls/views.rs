//! The inputs and outputs of the calls of agents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use windlass_store::{Agent, AgentRole, AgentUid, BoardId, BoardMemoryEntry, MemoryId, Timestamp};

use crate::error::OperationError;

/// Longest page of a list, as agents of Mission Control know it.
const LARGEST_LIMIT: usize = 200;
/// Items on a page, unless the query says otherwise.
const DEFAULT_LIMIT: usize = 50;

/// A list that is read by offset.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OffsetPage<T> {
    /// The items.
    pub items: Vec<T>,
    /// The number of all items.
    pub total: u64,
    /// The most items on this page.
    pub limit: usize,
    /// The number of items before this page.
    pub offset: u64,
}

/// A part of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OffsetQuery {
    /// The most items, 50 by default.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// The number of items to leave out.
    pub offset: Option<u64>,
    /// Only entries that were said (`true`), or only lasting ones (`false`). For the memory of a board.
    pub is_chat: Option<bool>,
    /// Only agents of this board. For agents.
    #[param(value_type = Option<uuid::Uuid>)]
    pub board_id: Option<BoardId>,
}

impl OffsetQuery {
    /// The most items, checked.
    pub(super) fn limit(&self) -> Result<usize, OperationError> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if limit == 0 || limit > LARGEST_LIMIT {
            return Err(OperationError::invalid(
                "limit",
                format!("is not from 1 to {LARGEST_LIMIT}"),
            ));
        }
        Ok(limit)
    }
}

/// That an operation was done.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct OkReply {
    /// Always true.
    pub ok: bool,
}

impl OkReply {
    /// The only value.
    pub(super) const YES: Self = Self { ok: true };
}

/// The agent that asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AgentHealth {
    /// Always true.
    pub ok: bool,
    /// The agent.
    #[schema(value_type = uuid::Uuid)]
    pub agent_id: AgentUid,
    /// Its board.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub board_id: Option<BoardId>,
    /// Its gateway.
    pub gateway_id: String,
    /// Its status.
    pub status: String,
    /// Whether it leads its board.
    pub is_board_lead: bool,
}

/// An agent, as agents see each other.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AgentCard {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub id: AgentUid,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: String,
    /// Its board.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub board_id: Option<BoardId>,
    /// Its gateway.
    pub gateway_id: String,
    /// Whether it leads its board.
    pub is_board_lead: bool,
    /// Whether it is the gateway's own agent.
    pub is_gateway_main: bool,
    /// Its session on the gateway.
    pub openclaw_session_id: String,
    /// The settings of its heartbeat.
    #[schema(value_type = Object)]
    pub heartbeat_config: Map<String, Value>,
    /// Its character.
    pub identity_profile: BTreeMap<String, String>,
    /// The time at which it was last seen.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen_at: Option<Timestamp>,
    /// The time at which the record was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl AgentCard {
    /// The view of a record.
    pub(super) fn of(agent: &Agent, now: Timestamp) -> Self {
        Self {
            id: agent.id,
            name: agent.name.clone(),
            status: agent.shown_status(now).to_string(),
            board_id: agent.board_id,
            gateway_id: agent.gateway_id.to_string(),
            is_board_lead: agent.role() == AgentRole::Lead,
            is_gateway_main: agent.role() == AgentRole::Main,
            openclaw_session_id: agent.session_key.to_string(),
            heartbeat_config: agent.heartbeat.clone(),
            identity_profile: agent.identity.clone(),
            last_seen_at: agent.last_seen_at,
            created_at: agent.created_at,
        }
    }
}

/// A check-in.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct HeartbeatInput {
    /// `online`, `offline`, `updating` or `provisioning`; any other word counts as `online`.
    pub status: Option<String>,
}

/// A worker that a lead creates.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct WorkerInput {
    /// Its name.
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// The settings of its heartbeat.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub heartbeat_config: Option<Map<String, Value>>,
    /// Its character. A list of words is joined.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub identity_profile: Option<Map<String, Value>>,
    /// The text of its SOUL.md.
    pub soul_template: Option<String>,
}

/// A text for one agent.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct NudgeInput {
    /// The text.
    #[schema(min_length = 1)]
    pub message: String,
}

/// A new SOUL.md.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct SoulInput {
    /// The text.
    #[schema(min_length = 1)]
    pub content: String,
    /// Where the text comes from.
    pub source_url: Option<String>,
    /// Why it was changed.
    pub reason: Option<String>,
}

/// A question for the user.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct AskUserInput {
    /// The question.
    #[schema(min_length = 1)]
    pub content: String,
    /// The id by which the question is known; the same one is asked once.
    pub correlation_id: Option<String>,
    /// The channel to ask on.
    pub preferred_channel: Option<String>,
    /// The tags of the answer in the board's memory; `gateway_main` and `user_reply` by default.
    pub reply_tags: Option<Vec<String>>,
    /// The source of the answer; `user_via_gateway_main` by default.
    pub reply_source: Option<String>,
}

/// That a question was handed to the gateway's own agent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AskUserReceipt {
    /// Always true.
    pub ok: bool,
    /// The board that asks.
    #[schema(value_type = uuid::Uuid)]
    pub board_id: BoardId,
    /// The gateway's own agent.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub main_agent_id: Option<AgentUid>,
    /// Its name.
    pub main_agent_name: Option<String>,
}

/// A message to leads.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct LeadMessageInput {
    /// `question` (the default) or `handoff`.
    #[serde(default)]
    pub kind: LeadKind,
    /// The text.
    #[schema(min_length = 1)]
    pub content: String,
    /// The id by which the message is known; the same one is delivered once.
    pub correlation_id: Option<String>,
    /// The boards; all of the gateway by default. For a broadcast.
    #[serde(default)]
    #[schema(value_type = Option<Vec<uuid::Uuid>>)]
    pub board_ids: Option<Vec<BoardId>>,
    /// The tags of the answer in the board's memory; `gateway_main` and `lead_reply` by default.
    pub reply_tags: Option<Vec<String>>,
    /// The source of the answer; `lead_to_gateway_main` by default.
    pub reply_source: Option<String>,
}

/// The kind of a message to a lead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LeadKind {
    /// A question.
    #[default]
    Question,
    /// Work to take over.
    Handoff,
}

/// That a lead has a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LeadMessageReceipt {
    /// Whether the lead has it.
    pub ok: bool,
    /// The board.
    #[schema(value_type = uuid::Uuid)]
    pub board_id: BoardId,
    /// Its lead.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub lead_agent_id: Option<AgentUid>,
    /// The lead's name.
    pub lead_agent_name: Option<String>,
    /// Whether the lead was made for this message.
    pub lead_created: bool,
    /// Why the lead does not have it.
    pub error: Option<String>,
}

/// How a broadcast ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BroadcastReceipt {
    /// Whether all leads have it.
    pub ok: bool,
    /// Leads that have it.
    pub sent: usize,
    /// Boards where it failed.
    pub failed: usize,
    /// Each board.
    pub results: Vec<LeadMessageReceipt>,
}

/// An entry for a board's memory.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct MemoryInput {
    /// The text.
    #[schema(min_length = 1)]
    pub content: String,
    /// Words by which readers select entries.
    pub tags: Option<Vec<String>>,
    /// The writer's word for the origin of the text.
    pub source: Option<String>,
}

/// An entry of a board's memory.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MemoryView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub id: MemoryId,
    /// The board.
    #[schema(value_type = uuid::Uuid)]
    pub board_id: BoardId,
    /// The text.
    pub content: String,
    /// Words by which readers select entries.
    pub tags: Vec<String>,
    /// The writer's word for the origin of the text.
    pub source: Option<String>,
    /// Whether it was said and is no lasting knowledge.
    pub is_chat: bool,
    /// The time at which it was written.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl MemoryView {
    /// The view of a record.
    pub(super) fn of(entry: BoardMemoryEntry) -> Self {
        Self {
            is_chat: entry.is_chat(),
            id: entry.id,
            board_id: entry.board_id,
            content: entry.content,
            tags: entry.tags,
            source: entry.source,
            created_at: entry.created_at,
        }
    }
}
