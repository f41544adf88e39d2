//! The memory of a board: what its agents and its people write down for each other.

use serde::Serialize;

use crate::backend::check;
use crate::error::StoreError;
use crate::limits;
use crate::values::{AgentUid, BoardId, MemoryId, Timestamp};

/// An entry of a board's memory. It is never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoardMemoryEntry {
    /// Its id.
    pub id: MemoryId,
    /// The board.
    pub board_id: BoardId,
    /// The text.
    pub content: String,
    /// Words by which readers select entries, for example `decision` or `user_reply`.
    pub tags: Vec<String>,
    /// The writer's own word for the origin of the text.
    pub source: Option<String>,
    /// The agent that wrote it; none for a person or program.
    pub agent_id: Option<AgentUid>,
    /// The time at which it was written.
    pub created_at: Timestamp,
}

/// The tag of a text that was said and is no lasting knowledge.
pub const CHAT_TAG: &str = "chat";

/// A selection of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardMemoryFilter {
    /// The board.
    pub board: BoardId,
    /// With `true` only those with the tag [`CHAT_TAG`], with `false` only the others.
    pub is_chat: Option<bool>,
}

/// Some entries, and the number of all that the filter takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardMemoryPage {
    /// The entries, newest first.
    pub entries: Vec<BoardMemoryEntry>,
    /// The number of all entries that the filter takes.
    pub total: u64,
}

impl BoardMemoryEntry {
    /// Checks the fields, before it is written.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.content.trim().is_empty() {
            return Err(StoreError::invalid("memory.content", "is empty"));
        }
        check::chars("memory.content", &self.content, limits::TEXT_CHARS)?;
        if self.tags.len() > limits::MEMORY_TAGS {
            let why = format!("has more than {} entries", limits::MEMORY_TAGS);
            return Err(StoreError::invalid("memory.tags", why));
        }
        for tag in &self.tags {
            check::name("memory.tags", tag, limits::NAME_CHARS)?;
        }
        check::optional("memory.source", self.source.as_ref(), limits::NAME_CHARS)
    }

    /// Whether it was said and is no lasting knowledge.
    pub fn is_chat(&self) -> bool {
        self.tags.iter().any(|tag| tag == CHAT_TAG)
    }
}

impl BoardMemoryFilter {
    /// Whether the filter takes it.
    pub fn takes(&self, entry: &BoardMemoryEntry) -> bool {
        entry.board_id == self.board && self.is_chat.is_none_or(|is_chat| entry.is_chat() == is_chat)
    }
}
