//! `chat`: the answer of a run, as its whole text so far.

use serde_json::Value;

use crate::names::wire_names;
use crate::open::open_object;

wire_names! {
    /// `chat.state`.
    pub enum ChatState {
        /// The run is being prepared (from 2026.8 on).
        Status = "status",
        /// More text.
        Delta = "delta",
        /// The end; without a message it means "handed on", or that nothing was said (see [`ChatEvent::is_bare_final`]).
        Final = "final",
        /// Stopped on request, or by a reset or delete of the session.
        Aborted = "aborted",
        /// Failed. From 2026.6 on it comes twice for one run.
        Error = "error",
    }
}

impl ChatState {
    /// Whether nothing more comes for the run, but perhaps the same again.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Final | Self::Aborted | Self::Error)
    }
}

open_object! {
    /// A `chat` event.
    pub struct ChatEvent {
        required {
            /// The run; with `chat.send` usually the idempotency key, but take it from the answer.
            run_id: String = "runId",
            /// The session.
            session_key: String = "sessionKey",
            /// The state of the run.
            state: ChatState = "state",
        }
        optional {
            /// Counts per run.
            seq: u64 = "seq",
            /// The agent (from 2026.7 on).
            agent_id: String = "agentId",
            /// The whole text so far: `{role, content, timestamp}`.
            message: Value = "message",
            /// The text since the last delta (from 2026.5 on).
            delta_text: String = "deltaText",
            /// The delta replaces the text so far.
            replace: bool = "replace",
            /// Why it ended (from 2026.6 on; with `aborted` on all).
            stop_reason: String = "stopReason",
            /// Why it failed, for people.
            error_message: String = "errorMessage",
            /// `refusal`, `timeout`, `rate_limit`, `context_length`, `unknown` (generation 4).
            error_kind: String = "errorKind",
            /// Which model failed, and how (generation 4, in one of the two error events).
            error_detail: Value = "errorDetail",
            /// With `status`: `preparing_workspace`, `preparing_context`, `starting_model`...
            phase: String = "phase",
        }
    }
}

impl ChatEvent {
    /// Whether nothing more comes for this run.
    pub fn is_terminal(&self) -> bool {
        self.state.is_terminal()
    }

    /// A `final` without a message: the input was merged into another run or queued again under a run id of the gateway's own,
    /// the model said nothing, or, on 2026.1, the run failed. [`releases::runs::is_handed_on`](crate::releases::runs::is_handed_on) and
    /// the history tell which.
    pub fn is_bare_final(&self) -> bool {
        self.state == ChatState::Final && self.message.as_ref().is_none_or(Value::is_null)
    }

    /// The text of the message.
    pub fn text(&self) -> Option<String> {
        self.message.as_ref().and_then(message_text)
    }
}

/// The text of a message: its `content` if that is a text, else all texts in it, joined. Also fits rows of `chat.history`.
pub fn message_text(message: &Value) -> Option<String> {
    match message.get("content")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter(|part| part.get("type").and_then(Value::as_str) == Some("text"))
                .filter_map(|part| part.get("text")?.as_str())
                .collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
        _ => None,
    }
}
