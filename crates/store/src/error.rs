//! What can go wrong with a store, as types: who is in the way, and what to do next.

use std::path::PathBuf;
use std::{fmt, io};

use windlass_protocol::SessionKey;

use crate::id::{AgentUid, BoardId, GatewayUid, RunId};
use crate::ownership::Right;

/// Why a call to a store did not do what it was asked. Nothing of it was done then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A member of a record is not acceptable.
    #[error("{field} {why}")]
    Invalid {
        /// The member, as it is called in the record: `agent.name`.
        field: &'static str,
        /// What is wrong with it, for example "is empty". Never its value.
        why: String,
    },
    /// The agent has been changed since it was read: read it again, and decide again.
    #[error("agent {agent} has been changed in the meantime: read it again")]
    Conflict {
        /// The agent.
        agent: AgentUid,
    },
    /// The name is taken, in whatever letters: an agent's on its board or in its gateway's workspace, a gateway's or a board's
    /// in its organization.
    #[error("the name {name:?} is taken by {what} {by}: choose another")]
    NameTaken {
        /// What has it: "agent", "gateway" or "board".
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
        /// Who has it.
        by: AgentUid,
    },
    /// The record is referred to by others.
    #[error("the {what} still has {by}: delete them first")]
    InUse {
        /// What was to be deleted, for example "gateway".
        what: &'static str,
        /// What refers to it, for example "agents".
        by: &'static str,
    },
    /// The agent has a run that has not ended.
    #[error("run {run} of this agent has not ended: continue or end it first")]
    RunActive {
        /// That run.
        run: RunId,
    },
    /// The run has ended: whoever still works on it is not its owner any more.
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
        /// What, for example "agent".
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// What is to be changed, or what a record refers to, does not exist.
    #[error("there is no {what} {id}")]
    Unknown {
        /// What, for example "organization".
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// There are more than a list may hold: ask for fewer.
    #[error("there are more than {limit} {what}: ask for those of one gateway or board")]
    TooMany {
        /// What was asked for, for example "agents".
        what: &'static str,
        /// The most that are given.
        limit: usize,
    },
    /// Another process kept the database locked for too long: try again.
    #[error("the database is busy: another process has kept it locked; try again")]
    Busy,
    /// No room for what was to be written.
    #[error("the disk, or the size allowed to the database, is full: make room and try again; what was stored is safe")]
    Full,
    /// What is stored makes no sense.
    #[error("the database is damaged ({what}): restore it from a backup")]
    Damaged {
        /// Where, for example `agents.status`. Never a value.
        what: String,
    },
    /// The store has been closed.
    #[error("the store is closed: open it again")]
    Closed,
    /// The journal, which is opened when it is first needed, can't be opened. The records are not touched by that.
    #[error("the journal can't be opened")]
    Journal(#[source] Box<OpenError>),
    /// Anything else that the database says.
    #[error("the database failed")]
    Backend(#[source] BackendError),
}

impl StoreError {
    /// Whether the same call may succeed later although nobody does anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy)
    }

    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { field, why: why.into() }
    }

    pub(crate) fn unknown(what: &'static str, id: impl fmt::Display) -> Self {
        Self::Unknown {
            what,
            id: id.to_string(),
        }
    }

    pub(crate) fn name_taken(what: &'static str, name: &str, by: impl fmt::Display) -> Self {
        Self::NameTaken {
            what,
            name: name.to_owned(),
            by: by.to_string(),
        }
    }

    pub(crate) fn exists(what: &'static str, id: impl fmt::Display) -> Self {
        Self::Exists {
            what,
            id: id.to_string(),
        }
    }
}

/// What a database says of its failure. It names tables and columns, never what is in them.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BackendError {
    /// The database's own code for it (SQLite: the extended result code).
    pub code: Option<i32>,
    message: String,
}

impl BackendError {
    pub(crate) fn new(code: Option<i32>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Why a database can't be opened. It is left as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is something else.
    #[error("{} is not a SQLite database: name another file, or move this one away", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database, but not one of ours.
    #[error("{} is the database of another program: name another file", path.display())]
    OtherProgram {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database that is not whole.
    #[error("{} is damaged ({what}): restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check found.
        what: String,
    },
    /// A file or folder that SQLite writes beside the database can't be written.
    #[error(
        "{} can't be written, and SQLite needs it beside {}: give it to this user, or name a store in a folder of yours",
        side.display(), path.display()
    )]
    SideFile {
        /// The database.
        path: PathBuf,
        /// The file or folder that is in the way.
        side: PathBuf,
    },
    /// Another process keeps the file locked.
    #[error("{} is locked by another process: end that, or wait for it", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No room to create or to migrate it.
    #[error("no room to open {}: make room on the disk, or allow the database more", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of the program has written it.
    #[error(
        "{} was written by a newer version (its schema is {found}, this version knows up to {known}): use that version",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The newest migration that it has been through.
        found: i64,
        /// The newest migration that this version knows.
        known: i64,
    },
    /// A migration that the file has been through is not the one that this version knows.
    #[error("{} has been through another migration {version} than the one this version knows: use the version that wrote it", path.display())]
    OtherMigration {
        /// The file.
        path: PathBuf,
        /// The migration.
        version: i64,
    },
    /// The file can't be created, read or written.
    #[error("can't open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Anything else that the database says.
    #[error("can't open {}", path.display())]
    Backend {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: BackendError,
    },
}

/// Why this process can't have a right over a store.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// Another has it.
    #[error(
        "another process{} {right} of this database (it holds {}): end that first",
        pid.map(|pid| format!(" ({pid})")).unwrap_or_default(), lock.display()
    )]
    Owned {
        /// Which right.
        right: Right,
        /// The lock; for a store in memory, an empty path.
        lock: PathBuf,
        /// The process, as it wrote it into the lock.
        pid: Option<u32>,
    },
    /// The lock can't be made.
    #[error("can't lock {}: give the file and its folder to this user, or name a store in a folder of yours", lock.display())]
    Io {
        /// The lock.
        lock: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
