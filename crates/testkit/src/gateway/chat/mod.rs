//! Chat runs: accepting a text, running the fake model, waiting for the end.

mod accept;
mod commands;
mod drive;
mod frames;
mod history;
mod steps;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::clock;
use super::state::State;

pub(crate) use accept::{abort, abort_session, agent, inject, send};
pub(crate) use drive::{resume, start};
pub(crate) use history::history;
pub(crate) use wait::{agent_final, agent_wait, wait};

/// Accepted keys are remembered this long after the run's end (server constants of both generations).
const DEDUPE_TIME: Duration = Duration::from_secs(300);
/// ... and at most so many of them.
const DEDUPE_ENTRIES: usize = 1000;

/// How a fake model run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// With the whole text.
    Complete,
    /// The model call fails with this HTTP status; from 500 on, 4.15 and 5.12 retry it.
    Fail {
        /// HTTP status of the model's answer.
        status: u16,
    },
    /// The model has nothing to say.
    Silent,
    /// Never, unless aborted.
    Hang,
}

/// What the fake model does with a text.
///
/// ```
/// use std::time::Duration;
/// use windlass_testkit::ChatPlan;
/// let slow = ChatPlan { increments: 30, pace: Duration::from_millis(300), ..ChatPlan::default() };
/// ```
#[derive(Clone, Debug)]
pub struct ChatPlan {
    /// The answer; `None` echoes the text as `echo: <text>`, and says nothing to one that asks for [`NO_REPLY`].
    pub reply: Option<String>,
    /// Pieces in which the answer comes, at least 1.
    pub increments: u32,
    /// Time until the first piece.
    pub first_after: Duration,
    /// Time between pieces.
    pub pace: Duration,
    /// The run uses a tool before it answers.
    pub tool: bool,
    /// How it ends.
    pub outcome: Outcome,
}

/// What models are told to say when they have nothing to say.
pub const NO_REPLY: &str = "NO_REPLY";

impl ChatPlan {
    /// What it comes to for one text.
    fn for_text(mut self, text: &str) -> Self {
        if self.reply.is_none() && self.outcome == Outcome::Complete && text.contains(NO_REPLY) {
            self.outcome = Outcome::Silent;
        }
        self
    }
}

impl Default for ChatPlan {
    /// An echo in three pieces, 20 ms apart.
    fn default() -> Self {
        Self {
            reply: None,
            increments: 3,
            first_after: Duration::from_millis(20),
            pace: Duration::from_millis(20),
            tool: false,
            outcome: Outcome::Complete,
        }
    }
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Ok,
    /// Its text joined another run, or was put back; its own end was a bare final.
    HandedOn,
    Failed(String),
    Aborted(&'static str),
}

/// One accepted text.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) session: String,
    /// The key under which events show the session.
    pub(crate) shown_as: String,
    /// `sessionId` of the session when the text came in.
    pub(crate) session_id: String,
    pub(crate) message: String,
    /// When the text came in, which is what its row is stamped with.
    pub(crate) came_ms: u64,
    /// The connection that asked, for tool events.
    pub(crate) sender: u64,
    pub(crate) sender_label: String,
    pub(crate) plan: ChatPlan,
    pub(crate) status: Status,
    pub(crate) text: String,
    pub(crate) seq: u64,
    pub(crate) joined: Vec<String>,
    /// Texts that run after this one.
    pub(crate) waiting: Vec<String>,
    /// The user's row stands in the transcript, where a restart finds it.
    pub(crate) noted: bool,
    /// The first of two error events was sent, the second one follows.
    pub(crate) failing: bool,
    pub(crate) ended: Option<(Instant, u64)>,
    pub(crate) over: Arc<watch::Sender<bool>>,
}

impl Run {
    pub(crate) fn active(&self) -> bool {
        self.status == Status::Running
    }

    /// Marks the end and wakes whoever waits for it.
    fn end(&mut self, status: Status, now_ms: u64) {
        self.status = status;
        self.ended = Some((clock::now(), now_ms));
        self.over.send_replace(true);
    }
}

/// Forgets what the dedupe memory no longer holds.
fn forget(state: &mut State) {
    let now = clock::now();
    let runs = &mut state.runs;
    state.run_order.retain(|id| {
        let old = runs.get(id).is_none_or(|run| {
            run.ended
                .is_some_and(|(at, _)| now.saturating_duration_since(at) >= DEDUPE_TIME)
        });
        if old {
            runs.remove(id);
        }
        !old
    });
    while state.run_order.len() > DEDUPE_ENTRIES {
        let Some(at) = state
            .run_order
            .iter()
            .position(|id| runs.get(id).is_none_or(|run| !run.active()))
        else {
            return;
        };
        if let Some(id) = state.run_order.remove(at) {
            runs.remove(&id);
        }
    }
}

/// The id of the run that is active in a session.
pub(crate) fn active_run(state: &State, session: &str) -> Option<String> {
    holder(state, session).map(|run| run.id.clone())
}

/// Whether a run of the session ended so short a time ago that a list may still tell of it.
pub(crate) fn ended_lately(state: &State, session: &str) -> bool {
    /// Seen on 2026.5.12: 26 to 500 ms after the answer.
    const LATELY: Duration = Duration::from_millis(500);
    let now = clock::now();
    let lately = |run: &Run| run.ended.is_some_and(|(at, _)| now < at + LATELY);
    state.runs.values().any(|run| run.session == session && lately(run))
}

/// The run that holds a session's lane.
fn holder<'a>(state: &'a State, session: &str) -> Option<&'a Run> {
    state
        .runs
        .values()
        .find(|run| run.active() && run.session == session && !is_joined(state, &run.id))
}

/// Whether a run goes on in a session.
pub(crate) fn is_active(state: &State, session: &str) -> bool {
    holder(state, session).is_some()
}

fn is_joined(state: &State, id: &str) -> bool {
    let has = |ids: &[String]| ids.iter().any(|known| known == id);
    state.runs.values().any(|run| has(&run.joined) || has(&run.waiting))
}
