//! Errors of a store. Each names the record that is in the way, and the next step.

use std::error::Error;
use std::fmt;

use windlass_protocol::SessionKey;

use crate::ownership::Right;
use crate::values::{AgentUid, BoardId, GatewayUid, RunId};

/// The reason why a call to a store failed. A failed call has changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A member of a record is not acceptable.
    #[error("{field} {why}")]
    Invalid {
        /// The member, as it is called in the record: `agent.name`.
        field: &'static str,
        /// The problem, for example "is empty". Never the value.
        why: String,
    },
    /// The agent has been changed since it was read: read it again, and decide again.
    #[error("agent {agent} has been changed in the meantime: read it again")]
    Conflict {
        /// The agent.
        agent: AgentUid,
    },
    /// The name is taken, ignoring case: an agent's on its board or in its gateway's workspace, a gateway's or a board's in its
    /// organization.
    #[error("the name {name:?} is taken by {what} {by}: choose another")]
    NameTaken {
        /// The kind of the record that has it: "agent", "gateway" or "board".
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The id of the record that has it.
        by: String,
    },
    /// The board has as many workers as its lead may have.
    #[error("the board has its {max} workers already: delete one, or raise the board's max_agents")]
    LimitReached {
        /// The board's `max_agents`.
        max: u32,
    },
    /// The board has a lead.
    #[error("board {board} has its lead already: agent {by}")]
    AlreadyHasLead {
        /// The board.
        board: BoardId,
        /// Its lead.
        by: AgentUid,
    },
    /// The gateway has its own agent.
    #[error("gateway {gateway} has its main agent already: agent {by}")]
    AlreadyHasMain {
        /// The gateway.
        gateway: GatewayUid,
        /// Its main agent.
        by: AgentUid,
    },
    /// Another agent of the gateway has this session.
    #[error("the session {key} belongs to agent {by}")]
    SessionTaken {
        /// The session.
        key: SessionKey,
        /// The agent that has it.
        by: AgentUid,
    },
    /// The record is referred to by others.
    #[error("the {what} still has {by}: delete them first")]
    InUse {
        /// The kind of the record, for example "gateway".
        what: &'static str,
        /// The records that refer to it, for example "agents".
        by: &'static str,
    },
    /// The agent has a run that has not ended.
    #[error("run {run} of this agent has not ended: continue or end it first")]
    RunActive {
        /// That run.
        run: RunId,
    },
    /// The run has ended: the caller is not its owner any more.
    #[error("run {run} has ended: start another")]
    RunEnded {
        /// That run.
        run: RunId,
    },
    /// The send has ended: it is neither tried nor ended again.
    #[error("the send {key} has ended: it is not tried again")]
    SendEnded {
        /// Its key.
        key: String,
    },
    /// There is a record with this id already.
    #[error("there is a {what} {id} already")]
    Exists {
        /// The kind of the record, for example "agent".
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The record to change, or a record that it refers to, does not exist.
    #[error("there is no {what} {id}")]
    Unknown {
        /// The kind of the record, for example "organization".
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// There are more than a list may hold: ask for fewer.
    #[error("there are more than {limit} {what}: ask for those of one gateway or board")]
    TooMany {
        /// The kind of the records, for example "agents".
        what: &'static str,
        /// The most that are given.
        limit: usize,
    },
    /// Another process kept the database locked for too long: try again.
    #[error("the database is busy: another process has kept it locked; try again")]
    Busy,
    /// There is no room to write.
    #[error("the disk, or the size allowed to the database, is full: make room and try again; what was stored is safe")]
    Full,
    /// A stored value is not valid.
    #[error("the database is damaged ({what}): restore it from a backup")]
    Damaged {
        /// The place, for example `agents.status`. Never a value.
        what: String,
    },
    /// The store has been closed.
    #[error("the store is closed: open it again")]
    Closed,
    /// The journal can't be opened: a backend may open it when it is first needed. The records are not touched by that.
    #[error("the journal can't be opened")]
    Journal(#[source] Box<dyn Error + Send + Sync>),
    /// Any other failure of the database.
    #[error("the database failed")]
    Backend(#[source] BackendError),
}

impl StoreError {
    /// Whether the same call may succeed later without any action.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy)
    }

    /// [`StoreError::Invalid`].
    pub fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { field, why: why.into() }
    }

    /// [`StoreError::Unknown`].
    pub fn unknown(what: &'static str, id: impl fmt::Display) -> Self {
        Self::Unknown {
            what,
            id: id.to_string(),
        }
    }

    /// [`StoreError::NameTaken`].
    pub fn name_taken(what: &'static str, name: &str, by: impl fmt::Display) -> Self {
        Self::NameTaken {
            what,
            name: name.to_owned(),
            by: by.to_string(),
        }
    }

    /// [`StoreError::Exists`].
    pub fn exists(what: &'static str, id: impl fmt::Display) -> Self {
        Self::Exists {
            what,
            id: id.to_string(),
        }
    }
}

/// A failure in the words of the database. It names tables and columns, never their content.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BackendError {
    code: Option<String>,
    message: String,
}

impl BackendError {
    /// A failure that the database describes as `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            code: None,
            message: message.into(),
        }
    }

    /// The same with the database's own code: SQLite's extended result code, Postgres' SQLSTATE.
    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        Self {
            code: Some(code.into()),
            ..self
        }
    }

    /// The database's own code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

/// The reason why this process can't have a right over a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnError {
    /// Another process has it.
    #[error("another process{} {right} of this {}: end that first", in_parentheses(holder.as_ref()), held_by(lock.as_ref()))]
    Owned {
        /// The right.
        right: Right,
        /// That process, as far as the backend knows it: its number, or the name of its node.
        holder: Option<String>,
        /// The lock as a person finds it, for example the path of a file.
        lock: Option<String>,
    },
    /// The backend failed to take the right. Its error names the next step.
    #[error(transparent)]
    Backend(Box<dyn Error + Send + Sync>),
}

fn in_parentheses(holder: Option<&String>) -> String {
    holder.map(|holder| format!(" ({holder})")).unwrap_or_default()
}

fn held_by(lock: Option<&String>) -> String {
    match lock {
        Some(lock) => format!("database (it holds {lock})"),
        None => "database".to_owned(),
    }
}
