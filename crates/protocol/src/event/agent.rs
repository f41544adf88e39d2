//! `agent`: the steps inside a run.

use serde_json::Value;

use crate::names::wire_names;
use crate::open::open_object;

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
