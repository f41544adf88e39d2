//! Steps given to a tracker: the frames that they stand for.

use std::time::Instant;

use serde_json::{Value, json};
use windlass_protocol::run::{Asked, RunTracker};
use windlass_protocol::{
    CallError, ErrorCode, GatewayError, Generation, MethodName, NotSent, OutcomeUnknown, Rejected, TimedOut,
    UnknownReason,
};

use super::{Agent, Changed, Chat, History, KEY, Phase, Rare, Row, Run, SESSION, Said, Step, Trouble, Waited, life};
use crate::shared::CANARY;

impl Step {
    /// Gives it to the tracker, as a line would.
    pub(in super::super) fn give(&self, tracker: &mut RunTracker, now: Instant) {
        match self {
            Self::Chat(chat) => tracker.on_chat(&typed(chat.value()), now),
            Self::Agent(agent) => tracker.on_agent(&typed(agent.value()), now),
            Self::Message(row) => {
                tracker.on_session_message(&typed(json!({ "sessionKey": SESSION, "message": row.value() })), now);
            }
            Self::Changed(changed) => tracker.on_session_changed(&typed(changed.value()), now),
            Self::Sent { status, run } => {
                tracker.on_sent(
                    &typed(json!({ "runId": run.id(), "status": status.name(), "summary": "m" })),
                    now,
                );
            }
            Self::SendFails(trouble) => tracker.on_send_failed(&trouble.error(), now),
            Self::History(history) => tracker.on_history(&typed(history.value()), now),
            Self::HistoryFails(trouble) => tracker.on_ask_failed(Asked::History, &trouble.error(), now),
            Self::Waited(waited) => tracker.on_wait(&typed(waited.value()), now),
            Self::WaitFails(trouble) => tracker.on_ask_failed(Asked::Wait, &trouble.error(), now),
            Self::Pass { .. } => {}
            Self::Gap => tracker.on_gap(now),
            Self::Down => tracker.on_line_down(now),
            Self::Up(number) => tracker.on_line_up(life(*number), now),
            Self::Replaced => tracker.on_session_replaced(now),
            Self::Foreign(run) => tracker.on_foreign_run(run.id()),
            Self::Rare(rare) => rare.give(tracker, now),
            Self::Closed => tracker.on_closed(),
        }
    }
}

impl Rare {
    fn give(self, tracker: &mut RunTracker, now: Instant) {
        let bare =
            |run: Run| json!({ "sessionKey": SESSION, "runId": run.id(), "state": "final", "stopReason": "stop" });
        match self {
            Self::Command { aborted, run } => {
                let reply = json!({ "ok": true, "aborted": aborted, "runIds": [run.id()] });
                tracker.on_sent(&typed(reply), now);
            }
            Self::SentOddly => tracker.on_sent_oddly(now),
            Self::Elsewhere(chat) => {
                let mut event = chat.value();
                event["sessionKey"] = json!("agent:main:elsewhere");
                tracker.on_chat(&typed(event), now);
            }
            Self::Silent(run) => tracker.on_chat(&typed(bare(run)), now),
            Self::SilentTwice(run) => {
                let data = json!({ "phase": "error", "error": "m", "terminalReply": { "disposition": "silent" } });
                let lifecycle =
                    json!({ "sessionKey": SESSION, "runId": run.id(), "stream": "lifecycle", "data": data });
                tracker.on_agent(&typed(lifecycle), now);
                let mut aborted = bare(run);
                aborted["state"] = json!("aborted");
                tracker.on_chat(&typed(aborted), now);
            }
        }
    }
}

impl Chat {
    fn value(self) -> Value {
        let mut event = json!({ "sessionKey": SESSION, "runId": self.run.id(), "state": self.state.name() });
        if let Some(said) = self.said {
            event["message"] = json!({ "role": "assistant", "content": [{ "type": "text", "text": said.text() }] });
        }
        if let Some(added) = self.added {
            event["deltaText"] = json!(added.text());
        }
        if let Some(seq) = self.seq {
            event["seq"] = json!(seq);
        }
        if self.replace {
            event["replace"] = json!(true);
        }
        event
    }
}

impl Agent {
    fn value(self) -> Value {
        let lifecycle = |data: Value| json!({ "stream": "lifecycle", "data": data });
        let mut event = match self.phase {
            None => json!({ "stream": "assistant", "data": { "text": self.said.map(Said::text) } }),
            Some(Phase::Start) => lifecycle(json!({ "phase": "start", "startedAt": 1_500 })),
            Some(Phase::End) => lifecycle(json!({ "phase": "end" })),
            Some(Phase::Error) => lifecycle(json!({ "phase": "error", "error": "500" })),
            Some(Phase::Aborted) => lifecycle(json!({ "phase": "error", "aborted": true })),
            Some(Phase::Model) => lifecycle(json!({ "phase": "model" })),
        };
        event["runId"] = json!(self.run.id());
        event["sessionId"] = json!("s-1");
        event["isHeartbeat"] = json!(self.heartbeat);
        if !self.no_session {
            event["sessionKey"] = json!(SESSION);
        }
        event
    }
}

impl Changed {
    fn value(self) -> Value {
        let mut event = json!({ "sessionKey": SESSION, "runId": self.run.id(), "ts": 2_000 });
        if self.error {
            event["phase"] = json!("error");
        }
        if self.reset {
            event["reason"] = json!("reset");
        }
        if self.runs {
            event["session"] = json!({ "key": SESSION, "activeRunIds": [self.run.id()] });
        }
        event
    }
}

impl History {
    fn value(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|row| row.value()).collect();
        let transcript = if self.other_transcript { "s-2" } else { "s-1" };
        let mut reply = json!({ "sessionKey": SESSION, "sessionId": transcript, "messages": rows });
        if let Some(run) = self.running {
            reply["inFlightRun"] = json!({ "runId": run.id(), "text": self.said.map(Said::text) });
        }
        reply
    }
}

impl Waited {
    fn value(self) -> Value {
        let mut reply = json!({ "runId": self.run.id(), "status": self.status.name() });
        if let Some(said) = self.said {
            reply["terminalReply"] = json!({ "text": said.text() });
        }
        if self.stopped {
            reply["stopReason"] = json!("rpc");
        }
        reply
    }
}

impl Row {
    fn value(self) -> Value {
        let at = |at: u8| json!(900 + 10 * u64::from(at));
        match self {
            Self::Ours {
                keyed,
                steered,
                at: when,
            } => {
                let mut row = json!({ "role": "user", "content": CANARY, "timestamp": at(when) });
                if keyed {
                    row["idempotencyKey"] = json!(format!("{KEY}:user"));
                }
                if let Some(run) = steered {
                    row["__openclaw"] = json!({ "steerTargetRunId": run.id() });
                }
                row
            }
            Self::User { run, at: when } => json!({
                "role": "user", "content": "another", "timestamp": at(when), "idempotencyKey": format!("{}:user", run.id())
            }),
            Self::Assistant { said, at: when } => json!({
                "role": "assistant", "content": [{ "type": "text", "text": said.text() }], "timestamp": at(when),
                "stopReason": "stop"
            }),
            Self::Failed { broken_session } => {
                let why = if broken_session {
                    "reply session initialization conflicted"
                } else {
                    "500"
                };
                json!({ "role": "assistant", "content": [], "stopReason": "error", "errorMessage": why })
            }
            Self::Aborted { said } => json!({
                "role": "assistant", "content": said.text(), "stopReason": "stop",
                "openclawAbort": { "aborted": true, "origin": "rpc" }
            }),
            Self::Notice { run } => json!({
                "role": "user", "content": "[System] Your previous turn was interrupted by a restart.",
                "idempotencyKey": format!("{}:user", run.id()),
                "provenance": { "sourceTool": "main_session_restart_recovery" }
            }),
            Self::Tool => json!({ "role": "toolResult", "content": [] }),
        }
    }
}

impl Trouble {
    fn error(self) -> CallError {
        let method = MethodName::new("chat.send").expect("it has only letters and a dot");
        let rejected = |code: &str, retryable| {
            let mut error = GatewayError::new(ErrorCode::from(code), "m");
            error.retryable = Some(retryable);
            CallError::from(Box::new(Rejected {
                method: method.clone(),
                error,
            }))
        };
        match self {
            Self::Busy => rejected("UNAVAILABLE", true),
            Self::Refused => rejected("INVALID_REQUEST", false),
            Self::Unknown => OutcomeUnknown {
                method,
                generation: Generation::new(1),
                why: UnknownReason::LineLost,
            }
            .into(),
            Self::Late => TimedOut {
                method,
                after: std::time::Duration::from_secs(30),
            }
            .into(),
            Self::NotReady => NotSent::NotReady {
                waited: std::time::Duration::from_secs(1),
            }
            .into(),
            Self::Closed => NotSent::Closed.into(),
            Self::TooLarge => NotSent::TooLarge { size: 2, limit: 1 }.into(),
        }
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it has the members of its type")
}
