//! The state machine.

use std::time::Instant;

use super::config::{GatewayFacts, RunConfig};
use super::end::{Asked, Output};
use crate::connection::Continuity;
use crate::request::{AgentWaitReply, ChatHistoryReply, ChatSendReply};
use crate::{AgentEvent, CallError, ChatEvent, SessionMessageEvent, SessionsChangedEvent};

/// Follows one logical send to its end.
///
/// Feed it everything that concerns the session (events of other sessions are ignored), and after each input drain
/// [`poll`](Self::poll); set one timer to [`next_deadline`](Self::next_deadline) and call [`poll`](Self::poll) when it is
/// due. It never fails and never loops: each input does a bounded amount of work.
#[derive(Debug)]
pub struct RunTracker {
    config: RunConfig,
}

impl RunTracker {
    /// Begins at `now`, with the line up. The first [`poll`](Self::poll) gives the send.
    pub fn new(config: RunConfig, _now: Instant) -> Self {
        Self { config }
    }

    /// What is known of the gateway by now; worth keeping for the next send.
    pub const fn facts(&self) -> GatewayFacts {
        self.config.facts
    }

    /// The next thing to do or to tell; nothing when all is said for now, and for ever after the end.
    pub fn poll(&mut self, _now: Instant) -> Option<Output> {
        None
    }

    /// When to call [`poll`](Self::poll) even if nothing comes in.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Whether the end was reached, be it taken from [`poll`](Self::poll) or not.
    pub fn is_over(&self) -> bool {
        false
    }

    /// The run that answers, as far as it is known: what `chat.abort` needs.
    pub fn run_id(&self) -> &str {
        &self.config.key
    }

    /// The answer to [`Action::Send`](super::Action::Send).
    pub fn on_sent(&mut self, _reply: &ChatSendReply, _now: Instant) {}

    /// [`Action::Send`](super::Action::Send) ended without an answer.
    pub fn on_send_failed(&mut self, _error: &CallError, _now: Instant) {}

    /// The answer to [`Action::AskHistory`](super::Action::AskHistory).
    pub fn on_history(&mut self, _reply: &ChatHistoryReply, _now: Instant) {}

    /// The answer to [`Action::AskWait`](super::Action::AskWait).
    pub fn on_wait(&mut self, _reply: &AgentWaitReply, _now: Instant) {}

    /// A question ended without an answer. It is asked again while there is time.
    pub fn on_ask_failed(&mut self, _asked: Asked, _error: &CallError, _now: Instant) {}

    /// A `chat` event of any session.
    pub fn on_chat(&mut self, _event: &ChatEvent, _now: Instant) {}

    /// An `agent` event of any session.
    pub fn on_agent(&mut self, _event: &AgentEvent, _now: Instant) {}

    /// A `session.message` event of any session (from 2026.4 on, to subscribers).
    pub fn on_session_message(&mut self, _event: &SessionMessageEvent, _now: Instant) {}

    /// A `sessions.changed` event (from 2026.4 on, to subscribers).
    pub fn on_session_changed(&mut self, _event: &SessionsChangedEvent, _now: Instant) {}

    /// Another run of this session belongs to somebody else: another send of the same caller. It is never taken for the run
    /// that goes on with this message.
    pub fn on_foreign_run(&mut self, _run_id: &str) {}

    /// Events were lost: a gap in the sequence, or a queue that ran over.
    pub fn on_gap(&mut self, _now: Instant) {}

    /// The line broke. Calls under way are taken for unanswered; what they bring later is still welcome.
    pub fn on_line_down(&mut self, _now: Instant) {}

    /// The line is up again. `life` compares the gateway process with the one before the line broke.
    pub fn on_line_up(&mut self, _life: Continuity, _now: Instant) {}
}
