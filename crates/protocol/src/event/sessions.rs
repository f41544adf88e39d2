//! Events about sessions, for subscribers.

use serde_json::Value;

use crate::open::open_object;

open_object! {
    /// `sessions.changed` (from 2026.4 on): a row of `sessions.list` changed, or a run in it came a step further.
    pub struct SessionsChangedEvent {
        optional {
            /// Why, for example `create`, `patch`, `delete`, `send`.
            reason: String = "reason",
            /// A run's step: `start`, `model`, `end`, `error`, `message`...
            phase: String = "phase",
            /// In ms since 1970.
            ts: u64 = "ts",
            /// The session; absent when all may have changed.
            session_key: String = "sessionKey",
            /// The session's transcript.
            session_id: String = "sessionId",
            /// The agent.
            agent_id: String = "agentId",
            /// The run.
            run_id: String = "runId",
            /// `running`, `done`, `killed`, `failed`...
            status: String = "status",
            /// The row.
            session: Value = "session",
        }
    }
}

open_object! {
    /// `session.message` (from 2026.4 on): a row was added to a transcript.
    pub struct SessionMessageEvent {
        required {
            /// The session.
            session_key: String = "sessionKey",
        }
        optional {
            /// The agent.
            agent_id: String = "agentId",
            /// The session's transcript.
            session_id: String = "sessionId",
            /// The row, as in `chat.history`.
            message: Value = "message",
            /// The row's id.
            message_id: String = "messageId",
            /// The row's place.
            message_seq: u64 = "messageSeq",
            /// The row of `sessions.list`.
            session: Value = "session",
        }
    }
}

impl SessionMessageEvent {
    /// The text of the row.
    pub fn text(&self) -> Option<String> {
        self.message.as_ref().and_then(super::message_text)
    }
}

open_object! {
    /// `chat.metadata.changed` (from 2026.8 on): models or commands changed; it says no more.
    pub struct ChatMetadataChangedEvent {
        optional {
            /// The session, if it is about one.
            session_key: String = "sessionKey",
        }
    }
}
