//! Events of conversations: `chat` (the answer of a run, as its whole text so far), `agent` (the steps inside a run), and those about
//! sessions, for subscribers.

use serde_json::Value;

use crate::open::{open_object, wire_names};

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

wire_names! {
    /// `agent.stream`.
    pub enum AgentStream {
        /// Begin, end and failure of the run; see [`AgentPhase`].
        Lifecycle = "lifecycle",
        /// `{text, delta}`.
        Assistant = "assistant",
        /// `{phase, name, toolCallId, args?, result?, isError?}`: only to the connection that started the run, with the capability
        /// `tool-events`.
        Tool = "tool",
        /// Begin and end of a step (from 2026.4 on).
        Item = "item",
        /// `{outputTokens}` (from 2026.8 on).
        Usage = "usage",
        /// As `chat` state `status` (from 2026.8 on).
        RunStatus = "run_status",
    }
}

wire_names! {
    /// `agent.data.phase`.
    pub enum AgentPhase {
        Start = "start",
        End = "end",
        /// With `lifecycle` not the end: on 2026.4 and 2026.5 a retry's `start` may follow for some 15 s.
        Error = "error",
        Result = "result",
        Model = "model",
        Finishing = "finishing",
        FallbackStep = "fallback_step",
    }
}

open_object! {
    /// An `agent` event.
    pub struct AgentEvent {
        required {
            /// The run.
            run_id: String = "runId",
            /// The kind of step.
            stream: AgentStream = "stream",
        }
        optional {
            /// The step itself.
            data: Value = "data",
            /// Counts per run.
            seq: u64 = "seq",
            /// In ms since 1970.
            ts: u64 = "ts",
            /// The session.
            session_key: String = "sessionKey",
            /// The session's transcript.
            session_id: String = "sessionId",
            /// The agent (generation 4).
            agent_id: String = "agentId",
            /// The run is a heartbeat's.
            is_heartbeat: bool = "isHeartbeat",
        }
    }
}

impl AgentEvent {
    /// Whether the model says something in it: stream `assistant` with a text.
    pub fn says_something(&self) -> bool {
        let text = self.data.as_ref().and_then(|data| data.get("text")?.as_str());
        self.stream == AgentStream::Assistant && text.is_some_and(|text| !text.is_empty())
    }

    /// `data.phase`.
    pub fn phase(&self) -> Option<AgentPhase> {
        self.data.as_ref()?.get("phase")?.as_str().map(AgentPhase::from)
    }
}

open_object! {
    /// `session.tool` (from 2026.4 on): a tool's begin or result, to subscribers of the session.
    pub struct SessionToolEvent {
        required {
            /// The run.
            run_id: String = "runId",
        }
        optional {
            /// `tool`.
            stream: AgentStream = "stream",
            /// As in `agent`.
            data: Value = "data",
            /// Counts per run.
            seq: u64 = "seq",
            /// In ms since 1970.
            ts: u64 = "ts",
            /// The session.
            session_key: String = "sessionKey",
            /// The session's transcript.
            session_id: String = "sessionId",
            /// The agent.
            agent_id: String = "agentId",
        }
    }
}

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
        self.message.as_ref().and_then(message_text)
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
