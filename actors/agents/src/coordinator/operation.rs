//! The operations of the coordinator: their arguments and results, their permissions (decided from records alone), and their one
//! error, with the status that an API in front of it answers.

use std::time::Duration;

use serde::Serialize;
use windlass_protocol::Advise as _;
use windlass_store::resolver::ResolveError;
use windlass_store::{Agent, AgentRole, AgentUid, Board, BoardId, GatewayUid, StoreError};
use windlass_templates::{MessageKind, TemplateError};

use crate::control_plane::ControlError;
use crate::provisioner::{EnsureError, Interrupted, ProvisionFailure};

/// A message to an agent of a board, delivered to whom it speaks to.
#[derive(Debug, Clone)]
pub struct Nudge {
    /// The caller.
    pub caller: CoordinationCaller,
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
    pub caller: CoordinationCaller,
    /// The board.
    pub board: BoardId,
    /// The agent, of that board.
    pub agent: AgentUid,
}

/// A question for the user, through the gateway's own agent.
#[derive(Debug, Clone)]
pub struct AskUser {
    /// The caller.
    pub caller: CoordinationCaller,
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
    pub(crate) const fn template(self) -> MessageKind {
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
    pub caller: CoordinationCaller,
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
    pub caller: CoordinationCaller,
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

/// The caller of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinationCaller {
    /// A person, or the service itself: may do everything here.
    Operator,
    /// An agent, by its record.
    Agent(AgentUid),
}

/// Why something may not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// The agent belongs to another board, or to none.
    #[error("agent {agent} does not belong to board {board}")]
    OtherBoard {
        /// The agent.
        agent: AgentUid,
        /// The board.
        board: BoardId,
    },
    /// An agent of another board asks.
    #[error("an agent speaks to agents of its own board only")]
    OutsideOwnBoard,
    /// Only leads may.
    #[error("only the board's lead may do this")]
    LeadOnly,
    /// Only the gateway's own agent may.
    #[error("only the gateway's own agent may do this")]
    MainOnly,
    /// The board is on another gateway, or on none.
    #[error("board {board} is not on gateway {gateway}")]
    OtherGateway {
        /// The board.
        board: BoardId,
        /// The gateway.
        gateway: GatewayUid,
    },
}

/// An agent of the board may be nudged; by a person, or by an agent of the same board.
pub(crate) fn may_nudge(caller: Option<&Agent>, target: &Agent, board: BoardId) -> Result<(), Forbidden> {
    if target.board_id != Some(board) {
        return Err(Forbidden::OtherBoard {
            agent: target.id,
            board,
        });
    }
    match caller {
        Some(caller) if caller.board_id != Some(board) => Err(Forbidden::OutsideOwnBoard),
        _ => Ok(()),
    }
}

/// The callers who may nudge read a soul, and the agent itself.
pub(crate) fn may_read_soul(caller: Option<&Agent>, target: &Agent, board: BoardId) -> Result<(), Forbidden> {
    may_nudge(caller, target, board)
}

/// A soul is written by a person or by the board's lead.
pub(crate) fn may_write_soul(caller: Option<&Agent>, target: &Agent, board: BoardId) -> Result<(), Forbidden> {
    may_nudge(caller, target, board)?;
    match caller {
        Some(caller) if caller.role() != AgentRole::Lead => Err(Forbidden::LeadOnly),
        _ => Ok(()),
    }
}

/// The user is asked on behalf of a board by a person or by the board's lead.
pub(crate) fn may_ask_user(caller: Option<&Agent>, board: BoardId) -> Result<(), Forbidden> {
    match caller {
        Some(caller) if caller.board_id != Some(board) => Err(Forbidden::OutsideOwnBoard),
        Some(caller) if caller.role() != AgentRole::Lead => Err(Forbidden::LeadOnly),
        _ => Ok(()),
    }
}

/// Leads are spoken to by a person or by the gateway's own agent, and only those of boards on that gateway.
pub(crate) fn may_message_lead(caller: Option<&Agent>, board: &Board, gateway: GatewayUid) -> Result<(), Forbidden> {
    if caller.is_some_and(|caller| caller.role() != AgentRole::Main) {
        return Err(Forbidden::MainOnly);
    }
    let caller_is_elsewhere = caller.is_some_and(|caller| caller.gateway_id != gateway);
    if caller_is_elsewhere || board.gateway_id != Some(gateway) {
        return Err(Forbidden::OtherGateway {
            board: board.id,
            gateway,
        });
    }
    Ok(())
}

/// Why something was not said or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoordinationError {
    /// There is no such agent.
    #[error("there is no agent {0}")]
    NoAgent(AgentUid),
    /// There is no such board.
    #[error("there is no board {0}")]
    NoBoard(BoardId),
    /// There is no such gateway.
    #[error("there is no gateway {0}")]
    NoGateway(GatewayUid),
    /// The gateway has no agent of its own yet.
    #[error("gateway {0} has no agent of its own yet: ensure it first")]
    NoMainAgent(GatewayUid),
    /// The agent's file is not there.
    #[error("the agent has no SOUL.md on its gateway yet: provision it first")]
    NoSoul,
    /// It is not allowed.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The records don't fit together.
    #[error(transparent)]
    Resolve(ResolveError),
    /// An argument is not acceptable.
    #[error("{field} {why}")]
    Invalid {
        /// The argument.
        field: &'static str,
        /// The fault.
        why: String,
    },
    /// The message's template fails.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The lead could not be brought to life.
    #[error("the board's lead could not be brought to life: {0}")]
    Lead(Box<ProvisionFailure>),
    /// The gateway failed, or refused.
    #[error(transparent)]
    Gateway(#[from] ControlError),
    /// It took longer than its budget; a message on its way may have arrived.
    #[error("no answer from the gateway within {} s", after.as_secs())]
    TooLate {
        /// So long.
        after: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The coordinator is gone.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl CoordinationError {
    /// The HTTP status that says the same: 404 missing, 403 forbidden, 409 conflict, 422 invalid, 502 the gateway failed, 503
    /// this service is stopping, 500 the store failed.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NoAgent(_) | Self::NoBoard(_) | Self::NoGateway(_) | Self::NoSoul => 404,
            Self::Resolve(error) => resolve_status(error),
            Self::Forbidden(_) => 403,
            Self::NoMainAgent(_) => 409,
            Self::Invalid { .. } | Self::Template(_) => 422,
            Self::Lead(_) | Self::Gateway(_) | Self::TooLate { .. } => 502,
            Self::Store(error) => store_status(error),
            Self::Interrupted(_) => 503,
        }
    }

    /// The next step of an operator.
    pub fn next_step(&self) -> String {
        match self {
            Self::Gateway(error) => error.advice().next_step.into_owned(),
            Self::Lead(failure) => failure.next_step.clone(),
            Self::NoAgent(_) | Self::NoBoard(_) | Self::NoGateway(_) => "Compare the id with the records.".into(),
            Self::NoMainAgent(_) => "Provision the gateway's own agent.".into(),
            Self::NoSoul => "Provision the agent.".into(),
            Self::Forbidden(_) => "Ask on behalf of somebody who may.".into(),
            Self::Resolve(_) => "Correct the record of the board or the gateway.".into(),
            Self::TooLate { .. } => "Say it again under the same correlation id: it is heard once.".into(),
            Self::Invalid { .. } => "Correct it and try again.".into(),
            Self::Template(_) => "Correct the template of this message.".into(),
            Self::Store(_) => "Look at the store.".into(),
            Self::Interrupted(_) => "Try again when the service is up.".into(),
        }
    }
}

impl From<ResolveError> for CoordinationError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::BoardUnknown { board } => Self::NoBoard(board),
            ResolveError::GatewayUnknown { gateway } => Self::NoGateway(gateway),
            ResolveError::Store(error) => Self::Store(error),
            other => Self::Resolve(other),
        }
    }
}

impl From<EnsureError> for CoordinationError {
    fn from(error: EnsureError) -> Self {
        match error {
            EnsureError::Resolve(error) => error.into(),
            EnsureError::Store(error) => Self::Store(error),
            EnsureError::Interrupted(error) => Self::Interrupted(error),
        }
    }
}

const fn resolve_status(error: &ResolveError) -> u16 {
    match error {
        ResolveError::BoardUnknown { .. } | ResolveError::GatewayUnknown { .. } => 404,
        ResolveError::OtherOrganization { .. } => 403,
        ResolveError::BoardWithoutGateway { .. } => 409,
        ResolveError::UrlMissing { .. } | ResolveError::WorkspaceRootMissing { .. } => 422,
        ResolveError::Store(_) => 500,
    }
}

const fn store_status(error: &StoreError) -> u16 {
    match error {
        StoreError::Conflict { .. } => 409,
        StoreError::Invalid { .. } => 422,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use windlass_store::{OrganizationId, Timestamp};

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(0);

    fn gateway(n: u8) -> GatewayUid {
        GatewayUid::from_bytes([n; 16])
    }

    fn board_id(n: u8) -> BoardId {
        BoardId::from_bytes([n; 16])
    }

    fn board(n: u8) -> Board {
        let organization = OrganizationId::from_bytes([1; 16]);
        Board::new(board_id(n), organization, Some(gateway(1)), "board", AT)
    }

    fn worker(board: u8) -> Agent {
        Agent::new_worker(AgentUid::from_bytes([9; 16]), gateway(1), board_id(board), "worker", AT)
    }

    fn lead(board: u8) -> Agent {
        Agent::new_lead(AgentUid::from_bytes([8; 16]), gateway(1), board_id(board), "lead", AT)
    }

    fn main(n: u8) -> Agent {
        Agent::new_main(AgentUid::from_bytes([7; 16]), gateway(n), "main", AT)
    }

    #[test]
    fn agents_of_a_board_nudge_each_other_and_nobody_else() {
        let target = worker(1);
        assert_eq!(may_nudge(None, &target, board_id(1)), Ok(()));
        assert_eq!(may_nudge(Some(&lead(1)), &target, board_id(1)), Ok(()));
        assert_eq!(
            may_nudge(Some(&lead(2)), &target, board_id(1)),
            Err(Forbidden::OutsideOwnBoard)
        );
        assert_eq!(
            may_nudge(Some(&main(1)), &target, board_id(1)),
            Err(Forbidden::OutsideOwnBoard)
        );
        let wrong = may_nudge(None, &target, board_id(2)).unwrap_err();
        assert!(matches!(wrong, Forbidden::OtherBoard { .. }));
    }

    #[test]
    fn souls_are_read_by_the_board_and_written_by_its_lead() {
        let target = worker(1);
        assert_eq!(may_read_soul(Some(&target), &target, board_id(1)), Ok(()));
        assert_eq!(
            may_write_soul(Some(&target), &target, board_id(1)),
            Err(Forbidden::LeadOnly)
        );
        assert_eq!(may_write_soul(Some(&lead(1)), &target, board_id(1)), Ok(()));
        assert_eq!(may_write_soul(None, &target, board_id(1)), Ok(()));
    }

    #[test]
    fn the_user_is_asked_by_the_boards_lead() {
        assert_eq!(may_ask_user(Some(&lead(1)), board_id(1)), Ok(()));
        assert_eq!(may_ask_user(Some(&worker(1)), board_id(1)), Err(Forbidden::LeadOnly));
        assert_eq!(
            may_ask_user(Some(&lead(2)), board_id(1)),
            Err(Forbidden::OutsideOwnBoard)
        );
    }

    #[test]
    fn leads_are_spoken_to_by_their_gateways_own_agent() {
        assert_eq!(may_message_lead(Some(&main(1)), &board(1), gateway(1)), Ok(()));
        assert_eq!(
            may_message_lead(Some(&lead(1)), &board(1), gateway(1)),
            Err(Forbidden::MainOnly)
        );
        let elsewhere = may_message_lead(Some(&main(2)), &board(1), gateway(2)).unwrap_err();
        assert!(matches!(elsewhere, Forbidden::OtherGateway { .. }));
        assert!(may_message_lead(Some(&main(2)), &board(1), gateway(1)).is_err());
    }
}
