//! What a gateway, a line or time may do to a message under way.

use std::time::Instant;

use arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Value, json};
use windlass_protocol::connection::Continuity;
use windlass_protocol::run::{Asked, RunTracker};
use windlass_protocol::{
    CallError, ErrorCode, GatewayError, Generation, MethodName, NotSent, OutcomeUnknown, Rejected, TimedOut,
    UnknownReason,
};

use super::life;
use crate::shared::CANARY;

pub(super) const KEY: &str = "key-1";
pub(super) const SESSION: &str = "agent:main:main";
/// The whole answer; what comes is mostly a part of it.
const ANSWER: &str = "I look at it. Found: 日本, 🦞 and é; that is all.";

/// How the message begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) protocol: u32,
    pub(super) sent_before: bool,
    pub(super) accepted: bool,
    pub(super) life: Continuity,
    /// In seconds.
    pub(super) ago: u64,
    pub(super) resend: usize,
    pub(super) since_ms: Option<u64>,
}

impl Setting {
    pub(super) const fn of(bytes: [u8; 2]) -> Self {
        let [bits, number] = bytes;
        Self {
            protocol: 3 + (bits & 1) as u32,
            // One in four.
            sent_before: bits & 6 == 6,
            accepted: bits & 8 != 0,
            life: life(bits >> 4),
            ago: number as u64 * 2,
            resend: (number % 3) as usize,
            since_ms: if bits & 128 == 0 { None } else { Some(1_000) },
        }
    }
}

/// Few runs, so that steps meet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    Ours,
    Other,
    Third,
}

impl<'a> Arbitrary<'a> for Run {
    /// Ours is the likeliest.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..=159 => Self::Ours,
            160..=219 => Self::Other,
            220.. => Self::Third,
        })
    }
}

impl Run {
    const fn id(self) -> &'static str {
        match self {
            Self::Ours => KEY,
            Self::Other => "run-2",
            Self::Third => "run-3",
        }
    }
}

/// A part of the answer, or something else.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Said(u8);

impl Said {
    fn text(self) -> String {
        let characters = ANSWER.chars().count();
        match usize::from(self.0) {
            part if part <= characters => ANSWER.chars().take(part).collect(),
            200..=210 => "Something else.".to_owned(),
            211..=215 => format!("{ANSWER}\u{fffd}"),
            216..=220 => "⚠️ Agent failed before reply: no model".to_owned(),
            221..=224 => " \n".to_owned(),
            _ => ANSWER.to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    Delta,
    Final,
    Aborted,
    Error,
    Status,
    New,
}

impl<'a> Arbitrary<'a> for State {
    /// What does not end a run is the likeliest.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..=199 => Self::Delta,
            200..=224 => Self::Final,
            225..=231 => Self::Aborted,
            232..=239 => Self::Error,
            240..=247 => Self::Status,
            248.. => Self::New,
        })
    }
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Final => "final",
            Self::Aborted => "aborted",
            Self::Error => "error",
            Self::Status => "status",
            Self::New => "new",
        }
    }
}

#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Phase {
    Start,
    End,
    Error,
    Aborted,
    Model,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Status {
    Started,
    InFlight,
    Ok,
    Error,
    Timeout,
    New,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::InFlight => "in_flight",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::New => "new",
        }
    }
}

#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Row {
    /// Our message, with its key or without one.
    Ours {
        keyed: bool,
        steered: Option<Run>,
        at: u8,
    },
    /// Somebody's.
    User {
        run: Run,
        at: u8,
    },
    Assistant {
        said: Said,
        at: u8,
    },
    Failed {
        broken_session: bool,
    },
    Aborted {
        said: Said,
    },
    /// The gateway goes on after a restart.
    Notice {
        run: Run,
    },
    Tool,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) enum Trouble {
    Busy,
    Refused,
    Unknown,
    Late,
    NotReady,
    Closed,
    TooLarge,
}

impl Trouble {
    /// The attempt was not made, or was refused for now.
    pub(super) const fn passes(self) -> bool {
        matches!(self, Self::Busy | Self::NotReady | Self::Closed | Self::TooLarge)
    }
}

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Step {
    Chat(Chat),
    Agent(Agent),
    Message(Row),
    Changed(Changed),
    Sent { status: Status, run: Run },
    SendFails(Trouble),
    History(History),
    HistoryFails(Trouble),
    Waited(Waited),
    WaitFails(Trouble),
    Pass { tenths: u16 },
    Gap,
    Down,
    Up(u8),
    Replaced,
    Foreign(Run),
    Closed,
}

impl<'a> Arbitrary<'a> for Step {
    /// Weighed: a run is mostly events and answers, and what ends everything comes once in a few inputs.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..=89 => Self::Chat(u.arbitrary()?),
            90..=119 => Self::Agent(u.arbitrary()?),
            120..=129 => Self::Message(u.arbitrary()?),
            130..=139 => Self::Changed(u.arbitrary()?),
            140..=154 => Self::Sent {
                status: u.arbitrary()?,
                run: u.arbitrary()?,
            },
            155..=159 => Self::SendFails(u.arbitrary()?),
            160..=184 => Self::History(u.arbitrary()?),
            185..=189 => Self::HistoryFails(u.arbitrary()?),
            190..=204 => Self::Waited(u.arbitrary()?),
            205..=209 => Self::WaitFails(u.arbitrary()?),
            210..=224 => Self::Pass {
                tenths: u.int_in_range(0..=400)?,
            },
            225..=229 => Self::Gap,
            230..=237 => Self::Down,
            238..=249 => Self::Up(u.arbitrary()?),
            250..=251 => Self::Replaced,
            252..=254 => Self::Foreign(u.arbitrary()?),
            255 => Self::Closed,
        })
    }
}

/// A `chat` event.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Chat {
    run: Run,
    state: State,
    said: Option<Said>,
    added: Option<Said>,
    seq: Option<u8>,
    replace: bool,
}

/// An `agent` event.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Agent {
    run: Run,
    phase: Option<Phase>,
    said: Option<Said>,
    heartbeat: bool,
    no_session: bool,
}

/// A `sessions.changed` event.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Changed {
    run: Run,
    error: bool,
    reset: bool,
    runs: bool,
}

/// An answer to `chat.history`.
#[derive(Arbitrary, Debug, Clone)]
pub(super) struct History {
    rows: Vec<Row>,
    running: Option<Run>,
    said: Option<Said>,
    other_transcript: bool,
}

/// An answer to `agent.wait`.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub(super) struct Waited {
    run: Run,
    status: Status,
    said: Option<Said>,
    stopped: bool,
}

impl Step {
    /// Gives it to the tracker, as a line would.
    pub(super) fn give(&self, tracker: &mut RunTracker, now: Instant) {
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
            Self::Closed => tracker.on_closed(),
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
