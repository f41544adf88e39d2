//! The audit trail: who changed what, and by which front.

use windlass_store::{AgentUid, BoardId, NewActivity, Store, StoreError, Timestamp};

use crate::access::{Caller, Scope};
use crate::error::OperationError;

/// The beginning of the kind of each entry of the audit trail.
pub const AUDIT_PREFIX: &str = "audit.";

/// The records of a store, for a caller who changes them at one time. No line is needed, so the command line works with it too.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    /// The records.
    pub store: &'a dyn Store,
    /// The person or program that changes them.
    pub caller: &'a Caller,
    /// The time.
    pub now: Timestamp,
}

impl Records<'_> {
    /// Checks that the caller has a right.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), OperationError> {
        self.caller.require(scope)
    }

    /// Records a change in the audit trail.
    pub(crate) async fn audit(&self, change: AuditChange<'_>) -> Result<(), StoreError> {
        record(self.store, self.caller, change, self.now).await
    }
}

/// A change that a caller made.
#[derive(Debug, Clone, Copy)]
pub struct AuditChange<'a> {
    /// The kind without the prefix, for example `gateway.updated`.
    pub kind: &'a str,
    /// The change in words. Holds no secret.
    pub message: &'a str,
    /// The agent that was changed.
    pub agent: Option<AgentUid>,
    /// The board that was changed, or that the agent belongs to.
    pub board: Option<BoardId>,
}

impl<'a> AuditChange<'a> {
    /// A change of something that is neither an agent nor a board.
    pub const fn new(kind: &'a str, message: &'a str) -> Self {
        Self {
            kind,
            message,
            agent: None,
            board: None,
        }
    }
}

/// Records a change.
///
/// # Errors
/// The store's.
pub async fn record(
    store: &dyn Store,
    caller: &Caller,
    change: AuditChange<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let activity = NewActivity {
        kind: format!("{AUDIT_PREFIX}{}", change.kind),
        message: change.message.to_owned(),
        agent_id: change.agent,
        board_id: change.board,
        actor: Some(caller.name.clone()),
        source: Some(caller.source.as_str().to_owned()),
        at: now,
    };
    store.record(&activity).await.map(drop)
}

/// The names of the members that differ, or `nothing`.
pub(crate) fn changed_members(members: &[(&str, bool)]) -> String {
    let changed: Vec<&str> = members
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| *name)
        .collect();
    if changed.is_empty() {
        "nothing".into()
    } else {
        changed.join(", ")
    }
}
