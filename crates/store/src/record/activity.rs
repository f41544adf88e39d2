//! Activities: what happened, in order.

use serde::Serialize;

use crate::backend::{self, check};
use crate::error::StoreError;
use crate::id::{AgentUid, BoardId};
use crate::limits;
use crate::time::Timestamp;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// Counted up from 1 and never used again: the cursor of a reader.
    pub id: i64,
    /// What sort of thing, for example `agent.provisioned`.
    pub kind: String,
    /// In words.
    pub message: String,
    /// The agent it is about, which may be gone by now.
    pub agent_id: Option<AgentUid>,
    /// The board it is about, which may be gone by now.
    pub board_id: Option<BoardId>,
    /// When.
    pub at: Timestamp,
}

/// An activity that is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewActivity {
    /// What sort of thing, for example `agent.provisioned`.
    pub kind: String,
    /// In words; cut to [`limits::MESSAGE_CHARS`].
    pub message: String,
    /// The agent it is about.
    pub agent_id: Option<AgentUid>,
    /// The board it is about.
    pub board_id: Option<BoardId>,
    /// When.
    pub at: Timestamp,
}

/// Which activities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Those of this agent only.
    pub agent: Option<AgentUid>,
    /// Those of this board only.
    pub board: Option<BoardId>,
}

impl NewActivity {
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("activity.kind", &self.kind, limits::KEY_CHARS)
    }

    pub fn numbered(&self, id: i64) -> Activity {
        Activity {
            id,
            kind: self.kind.clone(),
            message: backend::cut(&self.message),
            agent_id: self.agent_id,
            board_id: self.board_id,
            at: self.at,
        }
    }
}

impl ActivityFilter {
    pub fn takes(&self, activity: &Activity) -> bool {
        self.agent.is_none_or(|id| activity.agent_id == Some(id))
            && self.board.is_none_or(|id| activity.board_id == Some(id))
    }
}
