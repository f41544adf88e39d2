//! The audit trail: who changed what, and by which front.

use windlass_store::{AgentUid, BoardId, NewActivity, Store, StoreError, Timestamp};

use crate::access::Caller;

/// The beginning of the kind of each entry of the audit trail.
pub const AUDIT_PREFIX: &str = "audit.";

/// A change that a caller made.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The kind without the prefix, for example `gateway.updated`.
    pub kind: &'a str,
    /// The change in words. Holds no secret.
    pub message: &'a str,
    /// The agent that was changed.
    pub agent: Option<AgentUid>,
    /// The board that was changed, or that the agent belongs to.
    pub board: Option<BoardId>,
}

impl<'a> Change<'a> {
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
pub async fn record(store: &dyn Store, caller: &Caller, change: Change<'_>, now: Timestamp) -> Result<(), StoreError> {
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
