//! A tracker on a clock of its own, and short forms of what gateways say.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_protocol::SessionKey;
use windlass_protocol::connection::Continuity;
use windlass_protocol::run::{
    Action, GatewayFacts, RunAnswer, RunConfig, RunEnd, RunFailure, RunOutput, RunProgress, RunTracker,
};

pub(crate) const KEY: &str = "key-1";
pub(crate) const SESSION: &str = "agent:main:main";
pub(crate) const TEXT: &str = "good morning";

pub(crate) fn epoch() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
    static START: LazyLock<Instant> = LazyLock::new(|| Instant::now() + Duration::from_secs(3600));
    *START
}

pub(crate) fn config(protocol: u32) -> RunConfig {
    let session = SessionKey::parse(SESSION).unwrap();
    RunConfig::new(session, KEY, TEXT, GatewayFacts::of_protocol(protocol))
}

pub(crate) struct Bench {
    pub(crate) tracker: RunTracker,
    pub(crate) now: Instant,
    /// Increments and replacements, folded.
    pub(crate) told: String,
    pub(crate) progress: Vec<RunProgress>,
    pub(crate) ends: Vec<RunEnd>,
    pub(crate) actions: VecDeque<Action>,
}

impl Bench {
    pub(crate) fn new(protocol: u32) -> Self {
        Self::with(config(protocol))
    }

    pub(crate) fn with(config: RunConfig) -> Self {
        let mut bench = Self {
            tracker: RunTracker::new(config, epoch()),
            now: epoch(),
            told: String::new(),
            progress: Vec::new(),
            ends: Vec::new(),
            actions: VecDeque::new(),
        };
        bench.drain();
        bench
    }

    /// Sent and answered `started`.
    pub(crate) fn started(protocol: u32) -> Self {
        let mut bench = Self::new(protocol);
        assert_eq!(bench.actions.pop_front(), Some(Action::Send));
        bench.sent("started");
        bench
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.tracker.poll(self.now) {
            match output {
                RunOutput::Do(action) => self.actions.push_back(action),
                RunOutput::Tell(progress) => self.fold(progress),
                RunOutput::End(end) => self.ends.push(end),
            }
        }
    }

    fn fold(&mut self, progress: RunProgress) {
        assert!(self.ends.is_empty(), "{progress:?} after the end");
        match &progress {
            RunProgress::Increment(more) => self.told.push_str(more),
            RunProgress::Replaced(whole) => self.told.clone_from(whole),
            _ => {}
        }
        self.progress.push(progress);
    }

    pub(crate) fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
        self.drain();
    }

    /// Goes on to the next deadline that brings an action, and gives it.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        for _ in 0..1000 {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            self.now = self.tracker.next_deadline()?.max(self.now);
            self.drain();
        }
        panic!("no action and no end after 1000 deadlines");
    }

    pub(crate) fn sent(&mut self, status: &str) {
        self.sent_as(json!({"runId": KEY, "status": status}));
    }

    pub(crate) fn sent_as(&mut self, reply: Value) {
        self.tracker.on_sent(&serde_json::from_value(reply).unwrap(), self.now);
        self.drain();
    }

    pub(crate) fn chat(&mut self, run: &str, state: &str, more: Value) {
        self.chat_event(with(json!({"runId": run, "sessionKey": SESSION, "state": state}), more));
    }

    pub(crate) fn chat_event(&mut self, payload: Value) {
        self.tracker
            .on_chat(&serde_json::from_value(payload).unwrap(), self.now);
        self.drain();
    }

    pub(crate) fn delta(&mut self, run: &str, text: &str) {
        self.chat(run, "delta", message(text));
    }

    pub(crate) fn done(&mut self, run: &str, text: &str) {
        self.chat(run, "final", message(text));
    }

    pub(crate) fn bare(&mut self, run: &str) {
        self.chat(run, "final", json!({}));
    }

    pub(crate) fn lifecycle(&mut self, run: &str, data: Value) {
        self.agent(json!({"runId": run, "sessionKey": SESSION, "stream": "lifecycle", "data": data}));
    }

    pub(crate) fn agent(&mut self, payload: Value) {
        self.tracker
            .on_agent(&serde_json::from_value(payload).unwrap(), self.now);
        self.drain();
    }

    pub(crate) fn history(&mut self, rows: &[Value]) {
        self.history_with(rows, json!({}));
    }

    pub(crate) fn history_with(&mut self, rows: &[Value], more: Value) {
        let reply = with(
            json!({"sessionKey": SESSION, "sessionId": "s-1", "messages": rows}),
            more,
        );
        self.tracker
            .on_history(&serde_json::from_value(reply).unwrap(), self.now);
        self.drain();
    }

    /// Waits for the question and answers it.
    pub(crate) fn answer_history(&mut self, rows: &[Value]) {
        self.expect_history();
        self.history(rows);
    }

    pub(crate) fn expect_history(&mut self) {
        let action = self.next_action();
        assert!(matches!(action, Some(Action::AskHistory { .. })), "{action:?}");
    }

    /// Waits for the question and answers it.
    pub(crate) fn answer_wait(&mut self, more: Value) {
        let Some(Action::AskWait { run_id, .. }) = self.next_action() else {
            panic!("no agent.wait: {:?}", self.ends)
        };
        let reply = with(json!({"runId": run_id}), more);
        self.tracker.on_wait(&serde_json::from_value(reply).unwrap(), self.now);
        self.drain();
    }

    pub(crate) fn cut(&mut self, life: Continuity) {
        self.tracker.on_line_down(self.now);
        self.actions.clear();
        self.pass(1.0);
        self.tracker.on_line_up(life, self.now);
        self.drain();
    }

    pub(crate) fn end(&self) -> &RunEnd {
        assert_eq!(self.ends.len(), 1, "{:?}", self.tracker);
        &self.ends[0]
    }

    pub(crate) fn answer(&self) -> &RunAnswer {
        let RunEnd::Final(answer) = self.end() else {
            panic!("{:?}", self.ends)
        };
        assert_eq!(answer.text, self.told, "what was told is the answer");
        answer
    }

    pub(crate) fn failure(&self) -> &RunFailure {
        let RunEnd::Failed(failure) = self.end() else {
            panic!("{:?}", self.ends)
        };
        failure
    }
}

pub(crate) fn with(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

pub(crate) fn message(text: &str) -> Value {
    json!({"message": {"role": "assistant", "content": [{"type": "text", "text": text}]}})
}

pub(crate) fn user(text: &str, key: Option<&str>) -> Value {
    let mut row = json!({"role": "user", "content": text, "timestamp": 1_000});
    if let Some(key) = key {
        row["idempotencyKey"] = json!(format!("{key}:user"));
    }
    row
}

pub(crate) fn assistant(text: &str) -> Value {
    json!({"role": "assistant", "content": [{"type": "text", "text": text}], "stopReason": "stop"})
}

pub(crate) fn failed(message: &str) -> Value {
    json!({"role": "assistant", "content": [], "stopReason": "error", "errorMessage": message})
}
