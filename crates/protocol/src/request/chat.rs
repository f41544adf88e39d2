//! Conversations.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::request;
use crate::event::message_text;
use crate::open::open_object;
use crate::open::wire_names;

/// Most rows that one `chat.history` gives (both generations); more are refused.
pub const HISTORY_LIMIT: u32 = 1000;

request! {
    /// says something in a session, which is made if there is none. Answers at once; the run shows in `chat` events.
    ///
    /// Its `idempotencyKey` is not here: it belongs to the call, and other options of the call depend on it.
    ChatSend = "chat.send" => ChatSendReply {
        required {
            /// Where; `weird` is taken as `agent:main:weird`.
            session_key: String,
            /// The text; must not be empty.
            message: String,
        }
        optional {
            /// Whether the answer also goes out over the session's channel.
            deliver: bool,
            /// How much the model thinks for this run: `off`, `low`...
            thinking: String,
            /// Files, as `{type, mimeType, fileName, content}` with the content in base64.
            attachments: Vec<Value>,
            /// How long the run may take, in ms.
            timeout_ms: u64,
        }
    }
}

wire_names! {
    /// `status` in the answer to `chat.send`.
    pub enum ChatSendStatus {
        /// The run begins now.
        Started = "started",
        /// The key was known already, and its run goes on.
        InFlight = "in_flight",
        /// The key was known already, and its run is over (on 2026.3 however it ended).
        Ok = "ok",
        /// The key was known already, and its run was stopped (generation 4).
        Timeout = "timeout",
    }
}

/// The answer to `chat.send`. Of whichever kind, the message has arrived.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ChatSendReply {
    /// A run, begun now or known already.
    Run(ChatSendRun),
    /// The message was a command that the gateway carries out itself, such as `stop`: there is no run, no event and no row of it,
    /// and its idempotency key is not remembered (all nine releases of 2026).
    ///
    /// Only commands that stop runs are answered so. `/status`, `/new`, `/compact` and the like are answered with a run; its one
    /// event is a `final` with a message.
    Command(ChatCommandReply),
}

impl<'de> Deserialize<'de> for ChatSendReply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let reply = Value::deserialize(deserializer)?;
        // `ok` alone is in many answers, and a proxy may mix answers up.
        let is_command = reply.get("runId").is_none()
            && reply.get("ok") == Some(&Value::Bool(true))
            && reply.get("aborted").is_some_and(Value::is_boolean);
        let read = if is_command {
            serde_json::from_value(reply).map(Self::Command)
        } else {
            serde_json::from_value(reply).map(Self::Run)
        };
        read.map_err(serde::de::Error::custom)
    }
}

open_object! {
    /// The answer of `chat.send` to a command.
    pub struct ChatCommandReply {
        optional {
            /// Whether a run was stopped by it.
            aborted: bool = "aborted",
            /// The runs that were stopped.
            run_ids: Vec<String> = "runIds",
        }
    }
}

open_object! {
    /// The run of a message.
    pub struct ChatSendRun {
        required {
            /// The run. Usually the idempotency key; 2026.6 answers another run's id when the same text was just sent.
            run_id: String = "runId",
            /// Whether it began, or is known already.
            status: ChatSendStatus = "status",
        }
        optional {
            /// How a known run ended, for people (generation 4).
            summary: String = "summary",
            /// Why a known run was stopped (generation 4).
            stop_reason: String = "stopReason",
            /// When a known run ended, in ms since 1970 (generation 4).
            ended_at: u64 = "endedAt",
        }
    }
}

request! {
    /// the rows of a session, oldest first.
    ChatHistory = "chat.history" => ChatHistoryReply {
        required {
            /// Which session; one that does not exist has no rows.
            session_key: String,
        }
        optional {
            /// The last so many; at most [`HISTORY_LIMIT`].
            limit: u32,
            /// Leaves out so many at the end (from 2026.7 on; refused by older releases).
            offset: u32,
            /// The rows around the one with this [id](MessageMeta::id), also from before a reset, instead of the last ones. Needs
            /// [`session_id`](Self::session_id) (2026.9, by its documentation; refused by older releases).
            message_id: String,
            /// The transcript in which the row is.
            session_id: String,
        }
    }
}

open_object! {
    /// The answer to `chat.history`.
    pub struct ChatHistoryReply {
        required {
            /// The session's full key.
            session_key: String = "sessionKey",
        }
        rows {
            /// The rows. Generation 3 shows the user's text only after the run.
            messages: ChatMessage = "messages",
        }
        optional {
            /// The transcript; absent where the session does not exist.
            session_id: String = "sessionId",
            /// How much the model thinks (generation 3).
            thinking_level: String = "thinkingLevel",
            /// The session's row, as in `sessions.list` (generation 4).
            session_info: super::SessionRow = "sessionInfo",
            /// The run that goes on just now (generation 4).
            in_flight_run: InFlightRun = "inFlightRun",
            /// Messages that no run has taken up yet (generation 4).
            pending_inputs: Value = "pendingInputs",
            /// Whether there are older rows (generation 4).
            has_more: bool = "hasMore",
            /// The offset at which they begin (generation 4).
            next_offset: u64 = "nextOffset",
            /// How many rows there are (generation 4).
            total_messages: u64 = "totalMessages",
            /// Where [`ChatHistoryDelta`] goes on from here (2026.9, with the last rows).
            delta_cursor: String = "deltaCursor",
        }
    }
}

request! {
    /// the additions to a session since a cursor (2026.9; older releases refuse it).
    ChatHistoryDelta = "chat.history" => ChatHistoryDeltaReply {
        required {
            /// Which session.
            session_key: String,
            /// The [cursor](ChatHistoryReply::delta_cursor) of the answer before.
            cursor: String,
        }
    }
}

wire_names! {
    /// The verdict on a cursor.
    pub enum HistoryDeltaKind {
        /// It holds: these are the additions since.
        Delta = "delta",
        /// It does not hold any more (a reset, a compaction, another branch, over 200 rows or 1 MB behind): ask for the last
        /// rows again.
        Reset = "reset",
    }
}

open_object! {
    /// The answer of `chat.history` to a cursor.
    pub struct ChatHistoryDeltaReply {
        required {
            /// Whether the cursor holds.
            kind: HistoryDeltaKind = "kind",
        }
        optional {
            /// The additions, each as a `session.message` event carries it.
            messages: Vec<crate::SessionMessageEvent> = "messages",
            /// Where to go on.
            delta_cursor: String = "deltaCursor",
            /// The session's row, as in `sessions.list`.
            session_info: super::SessionRow = "sessionInfo",
            /// The run that goes on just now.
            in_flight_run: InFlightRun = "inFlightRun",
            /// Messages that no run has taken up yet.
            pending_inputs: Value = "pendingInputs",
        }
    }
}

open_object! {
    /// A run that goes on.
    pub struct InFlightRun {
        optional {
            /// The run.
            run_id: String = "runId",
            /// Its text so far.
            text: String = "text",
        }
    }
}

open_object! {
    /// One row of a transcript.
    pub struct ChatMessage {
        optional {
            /// `user`, `assistant`, `toolResult`...
            role: String = "role",
            /// A text, or a list of parts; [`text`](Self::text) reads both.
            content: Value = "content",
            /// In ms since 1970.
            timestamp: u64 = "timestamp",
            /// `<run>:user` in a user's row (from 2026.6 on).
            idempotency_key: String = "idempotencyKey",
            /// Why the model stopped; `error` when it failed.
            stop_reason: String = "stopReason",
            /// Why it failed, for people.
            error_message: String = "errorMessage",
            /// The provider of the model.
            provider: String = "provider",
            /// The model.
            model: String = "model",
            /// The gateway's notes (from 2026.4 on).
            meta: MessageMeta = "__openclaw",
        }
    }
}

open_object! {
    /// The notes of the gateway on a row.
    pub struct MessageMeta {
        optional {
            /// The row's id.
            id: String = "id",
            /// Its place in the transcript, from 1 on.
            seq: u64 = "seq",
            /// The run that made it (generation 4, in rows of the assistant).
            run_id: String = "runId",
        }
    }
}

impl ChatMessage {
    /// The text of the row, all its parts joined.
    pub fn text(&self) -> Option<String> {
        message_text(&json!({ "content": self.content.as_ref()? }))
    }

    /// The run that the row belongs to, where the release names it (rows of users from 2026.6 on, rows of the assistant
    /// in generation 4).
    pub fn run_id(&self) -> Option<&str> {
        let noted = self.meta.as_ref().and_then(|meta| meta.run_id.as_deref());
        noted.or_else(|| self.idempotency_key.as_deref()?.strip_suffix(":user"))
    }

    /// Whether the model failed: the one sign of it on 2026.1, 2026.4 and 2026.5, where neither events nor `agent.wait`
    /// tell.
    pub fn is_failure(&self) -> bool {
        self.stop_reason.as_deref() == Some("error")
    }
}

request! {
    /// stops a run. One that is unknown or over is no error.
    ChatAbort = "chat.abort" => ChatAbortReply {
        required {
            /// Its session.
            session_key: String,
        }
        optional {
            /// Only this run; otherwise each run of the session.
            run_id: String,
        }
    }
}

open_object! {
    /// The answer to `chat.abort`.
    pub struct ChatAbortReply {
        required {
            /// Whether something was stopped.
            aborted: bool = "aborted",
            /// The runs that were.
            run_ids: Vec<String> = "runIds",
        }
        optional {
            /// Always true so far.
            ok: bool = "ok",
        }
    }
}

request! {
    /// waits until a run ends, over any connection.
    ///
    /// The call's own timeout has to be longer than [`timeout_ms`](Self::timeout_ms), or the gateway's answer comes too late.
    AgentWait = "agent.wait" => AgentWaitReply {
        required {
            /// The run. An unknown one is waited for too.
            run_id: String,
        }
        optional {
            /// How long the gateway waits, in ms.
            timeout_ms: u64,
        }
    }
}

wire_names! {
    /// `status` in the answer to `agent.wait`.
    pub enum AgentWaitStatus {
        /// The run is over; up to 2026.5 failed and stopped runs say so too.
        Ok = "ok",
        /// The run failed or was stopped.
        Error = "error",
        /// The run goes on, or there is none.
        Timeout = "timeout",
    }
}

open_object! {
    /// The answer to `agent.wait`.
    pub struct AgentWaitReply {
        required {
            /// The run.
            run_id: String = "runId",
            /// How it is.
            status: AgentWaitStatus = "status",
        }
        optional {
            /// In ms since 1970.
            ended_at: u64 = "endedAt",
            /// Why it failed, for people.
            error: String = "error",
            /// Why it ended: `stop`, `rpc`...
            stop_reason: String = "stopReason",
            /// Its last text (generation 4).
            terminal_reply: TerminalReply = "terminalReply",
        }
    }
}

open_object! {
    /// The last text of a run.
    pub struct TerminalReply {
        optional {
            /// `visible`...
            disposition: String = "disposition",
            /// The text.
            text: String = "text",
        }
    }
}
