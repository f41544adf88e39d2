//! The topics of a gateway that a line can keep subscribed.

use std::fmt;
use std::sync::Arc;

/// A set of events that is subscribed at a gateway, and loaded again wherever events may have been missed.
///
/// Events that a gateway sends to everybody (`chat`, `agent`, `presence`...) need no subscription; these do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Topic {
    /// The list of sessions: `sessions.changed`, and `sessions.list` as the snapshot. Releases before 2026.4 know no such
    /// subscription: there the snapshot is all there is.
    Sessions,
    /// One session's messages, by its key: `session.message` and `session.tool`, and `chat.history` as the snapshot. Before
    /// 2026.4 as above.
    Messages(Arc<str>),
    /// [`Sessions`](Self::Sessions), and the messages of every session of the list, those that appear later included. The
    /// snapshot is that of the sessions; no history is loaded.
    Everything,
}

impl Topic {
    /// One session's messages, by its key.
    pub fn messages(key: impl Into<Arc<str>>) -> Self {
        Self::Messages(key.into())
    }

    /// One lower-case word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Messages(_) => "messages",
            Self::Everything => "everything",
        }
    }

    /// The session that it is about, where it is about one.
    pub fn session(&self) -> Option<&str> {
        match self {
            Self::Messages(key) => Some(key),
            Self::Sessions | Self::Everything => None,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(key) => write!(f, "messages of {key}"),
            Self::Sessions | Self::Everything => f.write_str(self.name()),
        }
    }
}
