//! The stage of a send, and the times of the next requests.

use std::time::{Duration, Instant};

/// How long `agent.wait` waits when only the state is wanted: time for an end that is just being told.
pub(super) const PROBE: Duration = Duration::from_millis(500);

/// Where a send stands.
#[derive(Debug)]
pub(super) enum SendStage {
    /// It is being sent, and nothing is in doubt.
    Sending,
    /// The gateway has it, and events are expected.
    Running,
    /// The run failed, and a retry may follow.
    Erring { since: Instant, message: String },
    /// The answer comes with another run, or not at all: history tells.
    HandedOn { since: Instant },
    /// It is not known how it stands: history tells.
    Asking,
    /// After a restart the message is there, and nothing goes on with it yet.
    Resuming { since: Instant },
}

/// A sign that the run is over.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum EndSign {
    /// Somehow; `agent.wait` may have said with which text.
    Over(Option<String>),
    /// By a lifecycle error that no retry followed.
    Erred(String),
    /// With nothing said, by a bare final of a run that had begun.
    Silent,
}

/// The due request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Send,
    History,
    Wait,
}

/// One thing to ask: when, and whether it was.
#[derive(Debug, Default)]
struct Want {
    at: Option<Instant>,
    asked: bool,
}

impl Want {
    fn set(&mut self, at: Instant) {
        self.at = Some(self.at.map_or(at, |known| known.min(at)));
    }

    fn answered(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.asked && self.at.is_some_and(|at| at <= now)
    }

    fn next(&self) -> Option<Instant> {
        if self.asked { None } else { self.at }
    }
}

/// The requests to make; each at most once at a time.
#[derive(Debug, Default)]
pub(super) struct Wants {
    send: Want,
    history: Want,
    wait: Want,
}

impl Wants {
    pub(super) fn send(&mut self, at: Instant) {
        self.send.set(at);
    }

    pub(super) fn history(&mut self, at: Instant) {
        self.history.set(at);
    }

    pub(super) fn wait(&mut self, at: Instant) {
        self.wait.set(at);
    }

    /// No more requests are needed; answers to open ones will come.
    pub(super) fn nothing(&mut self) {
        self.send.at = None;
        self.history.at = None;
        self.wait.at = None;
    }

    /// No answer will come any more. Whether a send was under way.
    pub(super) fn broken(&mut self) -> bool {
        self.history = Want::default();
        self.wait = Want::default();
        self.send.answered()
    }

    pub(super) fn any(&self) -> bool {
        [&self.send, &self.history, &self.wait]
            .iter()
            .any(|want| want.asked || want.at.is_some())
    }

    pub(super) fn is_sending(&self) -> bool {
        self.send.asked
    }

    pub(super) fn send_answered(&mut self) -> bool {
        self.send.answered()
    }

    pub(super) fn history_answered(&mut self) -> bool {
        self.history.answered()
    }

    pub(super) fn wait_answered(&mut self) -> bool {
        self.wait.answered()
    }

    /// The due request, which counts as made from here on. On a line that is down only the first send is due.
    pub(super) fn due(&mut self, now: Instant, line_up: bool, first: bool) -> Option<Due> {
        let sends = line_up || first;
        let (want, due) = if sends && self.send.is_due(now) {
            (&mut self.send, Due::Send)
        } else if line_up && self.wait.is_due(now) {
            (&mut self.wait, Due::Wait)
        } else if line_up && self.history.is_due(now) {
            (&mut self.history, Due::History)
        } else {
            return None;
        };
        want.at = None;
        want.asked = true;
        Some(due)
    }

    pub(super) fn next(&self, line_up: bool, first: bool) -> Option<Instant> {
        let send = self.send.next().filter(|_| line_up || first);
        let asks = [self.history.next(), self.wait.next()];
        let asks = asks.into_iter().flatten().filter(|_| line_up);
        send.into_iter().chain(asks).min()
    }
}
