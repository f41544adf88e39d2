//! Events of the session.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::stage::{EndSign, SendStage};
use super::{Evidence, FailureSign, RunTracker};
use crate::connection::Continuity;
use crate::releases::runs as rules;
use crate::request::ChatMessage;
use crate::run::end::RunEnd;
use crate::{AgentEvent, AgentPhase, AgentStream, ChatEvent, ChatState, SessionMessageEvent, SessionsChangedEvent};

/// From the end of a run's lifecycle to its `chat` final: under 0.1 s on all releases, so this is never a good run's.
const FINAL_AFTER_END: Duration = Duration::from_secs(3);

impl RunTracker {
    pub(super) fn take_chat(&mut self, event: &ChatEvent, now: Instant) {
        if !self.is_ours(&event.run_id) {
            return self.take_others_chat(event, now);
        }
        let anything_heard = self.heard_run;
        self.heard(&event.run_id, now);
        match event.state {
            ChatState::Delta => self.take_delta(event),
            ChatState::Final if event.is_bare_final() => self.take_bare_final(event, now),
            ChatState::Final => self.take_final(event, anything_heard, now),
            ChatState::Error => self.take_error(event, now),
            ChatState::Aborted => self.take_aborted(event, now),
            ChatState::Status | ChatState::Other(_) => {}
        }
    }

    /// Something of our run came: the gateway took the message, and the process that did so lives.
    fn heard(&mut self, run_id: &str, now: Instant) {
        self.heard_at = now;
        self.heard_run = true;
        self.heard_since_send = true;
        self.accept(now);
        if run_id == self.config.key || self.is_firm(run_id) {
            self.life = Continuity::Same;
            if self.ended.is_none() {
                self.run(now);
            }
        }
    }

    fn take_delta(&mut self, event: &ChatEvent) {
        if event.run_id != self.run_id() {
            return;
        }
        let replaces = event.replace == Some(true);
        let progress = match (event.text(), &event.delta_text) {
            (Some(text), _) => self.spoken.whole(&text, event.seq, replaces),
            (None, Some(piece)) if !replaces => self.spoken.piece(piece, event.seq),
            (None, Some(piece)) => self.spoken.whole(piece, event.seq, true),
            (None, None) => None,
        };
        self.tell(progress);
    }

    fn take_final(&mut self, event: &ChatEvent, anything_heard: bool, now: Instant) {
        let text = event.text().unwrap_or_default();
        if !self.is_firm(&event.run_id) {
            return self.confirm(&event.run_id, Some(text), now);
        }
        if rules::is_failure_told_as_answer(&text, anything_heard) {
            return self.finish_failed(text, event.run_id.clone(), FailureSign::ToldAsAnswer);
        }
        self.finish_final(&text, event.run_id.clone(), false, Evidence::Event);
    }

    /// Handed on, failed (2026.1.30), or nothing said: history tells.
    fn take_bare_final(&mut self, event: &ChatEvent, now: Instant) {
        let run_id = event.run_id.as_str();
        let began = self.begun.as_deref() == Some(run_id);
        if self.is_firm(run_id) && !rules::is_handed_on(event, began) {
            self.ended = Some(EndSign::Silent);
            self.stage = SendStage::Asking;
            self.tries = 0;
            self.waited = true;
            self.wants.nothing();
            return self.ask_history(now);
        }
        if run_id != self.config.key {
            if began {
                self.said_nothing = Some(run_id.to_owned());
            }
            return self.confirm(run_id, None, now);
        }
        self.handed_on = true;
        if self.adopted.is_none() {
            self.ended = Some(EndSign::Over(None));
            self.stage = SendStage::HandedOn { since: now };
            self.others.look_from_here();
            self.tries = 0;
            self.wants.nothing();
            self.ask_history(now);
        }
    }

    fn take_error(&mut self, event: &ChatEvent, now: Instant) {
        if self.is_firm(&event.run_id) {
            let message = event.error_message.clone().unwrap_or_default();
            self.finish_failed(message, event.run_id.clone(), FailureSign::Event);
        } else {
            self.confirm(&event.run_id, None, now);
        }
    }

    fn take_aborted(&mut self, event: &ChatEvent, now: Instant) {
        if self.is_firm(&event.run_id) {
            if let SendStage::Erring { message, .. } = &self.stage
                && self.without_answer
            {
                return self.finish_failed(message.clone(), event.run_id.clone(), FailureSign::Event);
            }
            self.finish(RunEnd::Aborted {
                run_id: event.run_id.clone(),
                reason: event.stop_reason.clone(),
                text: event.text(),
                by: Evidence::Event,
            });
        } else {
            self.confirm(&event.run_id, None, now);
        }
    }

    /// The run that seemed to go on with our message ended: whether it did, history tells.
    pub(super) fn confirm(&mut self, run_id: &str, text: Option<String>, now: Instant) {
        self.others.ended(run_id, text, now);
        if self.adopted.as_ref().is_some_and(|run| run.id == run_id) {
            self.ended = Some(EndSign::Over(None));
            self.stage = SendStage::HandedOn { since: now };
            self.others.look_from_here();
            self.tries = 0;
            self.ask_history(now);
        }
    }

    fn take_others_chat(&mut self, event: &ChatEvent, now: Instant) {
        if event.is_terminal() {
            let text = if event.state == ChatState::Final {
                event.text()
            } else {
                None
            };
            self.others.ended(&event.run_id, text, now);
            // The lane is free: what was handed on shows now, or joined this run.
            if let SendStage::HandedOn { .. } = self.stage {
                self.tries = 0;
                self.wants.history(now + rules::JOIN_GRACE / 2);
            }
            return;
        }
        self.others.heard(&event.run_id);
        self.adopt_begun(now);
        if self.run_id() == event.run_id {
            self.take_chat(event, now);
        }
    }

    /// A run that begins while we wait for one is taken for it, until history says otherwise.
    pub(super) fn adopt_begun(&mut self, now: Instant) {
        let looks = match self.stage {
            SendStage::HandedOn { since } => now < since + rules::RUN_ADOPTED_WITHIN,
            SendStage::Resuming { .. } => true,
            _ => false,
        };
        if !looks || self.adopted.is_some() {
            return;
        }
        if let Some(id) = self.others.begun().map(str::to_owned) {
            self.adopt(&id, false);
            self.ended = None;
            self.wants.nothing();
            self.stage = SendStage::Running;
            self.heard_at = now;
        }
    }

    pub(super) fn take_agent(&mut self, event: &AgentEvent, now: Instant) {
        if event.is_heartbeat == Some(true) {
            return self.others.foreign(&event.run_id);
        }
        if !self.is_ours(&event.run_id) {
            // Without a session it may be anybody's.
            if event.session_key.is_none() {
                return;
            }
            return self.take_others_agent(event, now);
        }
        self.heard(&event.run_id, now);
        if let Some(id) = &event.session_id {
            self.session_id.get_or_insert_with(|| id.clone());
        }
        if event.run_id != self.run_id() {
            return;
        }
        match (&event.stream, event.phase()) {
            (AgentStream::Assistant, _) => {
                let text = event.data.as_ref().and_then(|data| data.get("text")?.as_str());
                let progress = text.and_then(|text| self.spoken.step(text));
                self.tell(progress);
            }
            (AgentStream::Lifecycle, Some(phase)) => self.take_lifecycle(event, &phase, now),
            _ => {}
        }
    }

    fn take_lifecycle(&mut self, event: &AgentEvent, phase: &AgentPhase, now: Instant) {
        let data = |key: &str| event.data.as_ref().and_then(|data| data.get(key));
        match phase {
            AgentPhase::Start => {
                self.ended = None;
                self.without_answer = false;
                self.begun = Some(event.run_id.clone());
                if event.run_id == self.config.key {
                    let started = data("startedAt").and_then(Value::as_u64).or(event.ts);
                    self.begun_ms = self.begun_ms.or(started);
                }
                self.stage = SendStage::Running;
                self.wants.nothing();
            }
            AgentPhase::End => {
                self.over(None);
                self.stage = SendStage::Asking;
                self.tries = 0;
                self.waited = true;
                self.wants.history(now + FINAL_AFTER_END);
            }
            AgentPhase::Error if data("aborted").and_then(Value::as_bool) != Some(true) => {
                let message = data("error").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.without_answer = event.data.as_ref().is_some_and(rules::is_without_answer);
                self.stage = SendStage::Erring { since: now, message };
                self.wants.nothing();
            }
            _ => {}
        }
    }

    fn take_others_agent(&mut self, event: &AgentEvent, now: Instant) {
        let over = event.stream == AgentStream::Lifecycle && event.phase() == Some(AgentPhase::End);
        // The end is told by `chat`; a lifecycle's end only means that nothing more is heard of it.
        if !over {
            self.others.heard(&event.run_id);
        }
        self.adopt_begun(now);
        if self.run_id() == event.run_id {
            self.take_agent(event, now);
        }
    }

    pub(super) fn take_session_message(&mut self, event: &SessionMessageEvent, now: Instant) {
        let row = event
            .message
            .clone()
            .and_then(|row| serde_json::from_value::<ChatMessage>(row).ok());
        let Some(row) = row.filter(|row| rules::row_key(row) == Some(self.config.key.as_str())) else {
            return;
        };
        self.config.facts.keys_in_history = Some(true);
        self.accept(now);
        if let Some(run) = rules::steered_to(&row) {
            self.join(run, now);
        }
    }

    pub(super) fn take_session_changed(&mut self, event: &SessionsChangedEvent, now: Instant) {
        let ours = event.run_id.as_deref().is_some_and(|run| run == self.run_id());
        match (event.phase.as_deref(), event.reason.as_deref()) {
            // 2026.4.15 tells it 15 s after the lifecycle error, when no retry comes any more.
            (Some("error"), _) if ours => {
                if let SendStage::Erring { message, .. } = &self.stage {
                    self.ended = Some(EndSign::Erred(message.clone()));
                    self.ask_how_it_ended(now);
                }
            }
            (_, Some("delete" | "reset")) if self.accepted.is_some() && !self.runs_in(event) => {
                self.session_replaced = true;
                self.wants.wait(now + Duration::from_secs(1));
            }
            _ => {}
        }
    }

    /// Whether the event's row says that our run goes on: a reset before the send may be told after it (2026.9.6).
    fn runs_in(&self, event: &SessionsChangedEvent) -> bool {
        let ids = event
            .session
            .as_ref()
            .and_then(|row| row.get("activeRunIds")?.as_array());
        ids.into_iter().flatten().any(|id| id == self.run_id())
    }

    pub(super) fn take_gap(&mut self, now: Instant) {
        self.spoken.gap();
        self.others.forget_activity();
        match self.stage {
            SendStage::Running => self.wants.wait(now),
            SendStage::Sending => {}
            _ => self.wants.history(now),
        }
    }
}
