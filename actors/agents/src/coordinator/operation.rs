//! The operations of the coordinator, and their results.

use serde::Serialize;
use windlass_store::{AgentUid, BoardId, GatewayUid};
use windlass_templates::MessageKind;

use super::policy::Caller;

/// A message to an agent of a board, delivered to whom it speaks to.
#[derive(Debug, Clone)]
pub struct Nudge {
    /// The caller.
    pub caller: Caller,
    /// The board.
    pub board: BoardId,
    /// The agent, of that board.
    pub agent: AgentUid,
    /// The text.
    pub message: String,
    /// The id of this message; a fresh one by default.
    pub correlation_id: Option<String>,
}

/// Reading or writing an agent's `SOUL.md`.
#[derive(Debug, Clone)]
pub struct Soul {
    /// The caller.
    pub caller: Caller,
    /// The board.
    pub board: BoardId,
    /// The agent, of that board.
    pub agent: AgentUid,
}

/// A question for the user, through the gateway's own agent.
#[derive(Debug, Clone)]
pub struct AskUser {
    /// The caller.
    pub caller: Caller,
    /// The board that wants to know.
    pub board: BoardId,
    /// The question.
    pub question: String,
    /// Over which channel, if it matters.
    pub channel: Option<String>,
    /// The id of this message; a fresh one by default.
    pub correlation_id: Option<String>,
    /// The tags of the answer.
    pub tags: Vec<String>,
    /// The source of the answer; `gateway-main` by default.
    pub source: Option<String>,
}

/// The kind of a message to a lead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LeadMessageKind {
    /// A question.
    #[default]
    Question,
    /// Work to take over.
    Handoff,
}

impl LeadMessageKind {
    pub(super) const fn template(self) -> MessageKind {
        match self {
            Self::Question => MessageKind::LeadQuestion,
            Self::Handoff => MessageKind::LeadHandoff,
        }
    }
}

/// A message to the leads of boards.
#[derive(Debug, Clone)]
pub struct LeadMessage {
    /// The caller: a person, or the gateway's own agent.
    pub caller: Caller,
    /// The gateway that the boards are on.
    pub gateway: GatewayUid,
    /// Question or handoff.
    pub kind: LeadMessageKind,
    /// The text.
    pub message: String,
    /// The id of this message; a fresh one by default.
    pub correlation_id: Option<String>,
    /// The tags of the answer.
    pub tags: Vec<String>,
    /// The source of the answer; `lead` by default.
    pub source: Option<String>,
}

/// A board about which the gateway's own agent is to ask its user.
#[derive(Debug, Clone)]
pub struct Onboarding {
    /// The caller.
    pub caller: Caller,
    /// The board.
    pub board: BoardId,
    /// The facts so far; may be empty.
    pub known: String,
    /// The id of this message; a fresh one by default.
    pub correlation_id: Option<String>,
}

/// A message that went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryReceipt {
    /// The agent that it was said to.
    pub agent: AgentUid,
    /// By which it is found again, here and in the agent's session.
    pub correlation_id: String,
    /// Whether the agent's record was made for it.
    pub created: bool,
}

/// How a broadcast came out for one board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BoardResult {
    /// The board.
    pub board: BoardId,
    /// Its name.
    pub name: String,
    /// Its lead, where it got that far.
    pub agent: Option<AgentUid>,
    /// Why not, if so.
    pub error: Option<String>,
    /// The error's HTTP status; 200 where there is none.
    pub status: u16,
}

/// How a broadcast came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BroadcastReport {
    /// By which it is found again, the same for all.
    pub correlation_id: String,
    /// Leads that got it.
    pub sent: usize,
    /// Boards where it failed.
    pub failed: usize,
    /// Each board, newest first.
    pub boards: Vec<BoardResult>,
}
