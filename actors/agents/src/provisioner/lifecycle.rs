//! The transitions of an agent's record: one function, as data.

use std::time::Duration;

use windlass_store::{Agent, AgentStatus, RunKind, Timestamp};

/// How long an agent has to check in after it was woken.
pub const CHECK_IN_WINDOW: Duration = Duration::from_secs(30);

/// How often an agent is woken without an answer before it is called offline.
pub const WAKES: u32 = 3;

/// Whether an agent was never provisioned: it has no token, and was never woken or seen. (Where there are no files
/// there is no token either: 2026.1.30.)
pub(crate) const fn is_new(agent: &Agent) -> bool {
    agent.token_hash.is_none() && agent.last_wake_sent_at.is_none() && agent.last_seen_at.is_none()
}

/// Something that happens to an agent's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transition {
    /// A run begins.
    Begin {
        /// The kind of run.
        kind: RunKind,
        /// When.
        at: Timestamp,
    },
    /// The run did all it had to do. `woken` is when the agent was woken, if it was.
    Succeed {
        /// When the wake was sent.
        woken: Option<Timestamp>,
        /// Until when an earlier wake was to be answered, when the run began.
        pending: Option<Timestamp>,
        /// Whether this process watches for the answer: a wake that nothing watches has no deadline, and is no miss.
        watched: bool,
        /// When the run ended.
        at: Timestamp,
    },
    /// The run ended without having done it.
    Fail {
        /// The text for an operator.
        error: String,
        /// Whether the agent was online before the run.
        was_online: bool,
    },
    /// The agent did not answer any of its wakes.
    GiveUp,
}

/// Applies a transition to a record.
pub(crate) fn apply(agent: &mut Agent, transition: Transition) {
    let from = agent.status;
    match transition {
        Transition::Begin { kind, at } => begin(agent, kind, at),
        Transition::Succeed {
            woken,
            pending,
            watched,
            at,
        } => succeed(agent, woken, pending, watched.then_some(at + CHECK_IN_WINDOW)),
        Transition::Fail { error, was_online } => {
            // Nothing stays in between: what was online before is so still.
            agent.status = if was_online {
                AgentStatus::Online
            } else {
                AgentStatus::Offline
            };
            agent.last_provision_error = Some(error);
            agent.checkin_deadline_at = None;
            agent.provision_action = None;
        }
        Transition::GiveUp => {
            agent.status = AgentStatus::Offline;
            agent.checkin_deadline_at = None;
            // What its run failed with, where that was seen.
            let seen = agent.last_provision_error.take().map(|error| format!(" ({error})"));
            agent.last_provision_error = Some(format!(
                "woken {} times without checking in within {} s{}: look at the agent's session on the gateway, then \
                 provision it again",
                agent.wake_attempts,
                CHECK_IN_WINDOW.as_secs(),
                seen.unwrap_or_default()
            ));
        }
    }
    tracing::debug!(agent = %agent.id, from = %from, to = %agent.status, "agent");
}

fn begin(agent: &mut Agent, kind: RunKind, at: Timestamp) {
    agent.lifecycle_generation += 1;
    agent.status = match kind {
        RunKind::Provision => AgentStatus::Provisioning,
        RunKind::Update => AgentStatus::Updating,
        RunKind::Delete => AgentStatus::Deleting,
    };
    agent.provision_requested_at = Some(at);
    agent.provision_action = Some(kind);
    agent.last_provision_error = None;
    agent.checkin_deadline_at = None;
}

/// `deadline`: until when a wake of this run has to be answered, if that is watched for.
fn succeed(agent: &mut Agent, woken: Option<Timestamp>, pending: Option<Timestamp>, deadline: Option<Timestamp>) {
    agent.status = AgentStatus::Online;
    agent.provision_action = None;
    agent.last_provision_error = None;
    if let Some(woken) = woken {
        agent.last_wake_sent_at = Some(woken);
        // It may have checked in before the run was written down as done.
        if has_answered(agent) {
            agent.checkin_deadline_at = None;
        } else {
            agent.wake_attempts = agent.wake_attempts.saturating_add(u32::from(deadline.is_some()));
            agent.checkin_deadline_at = deadline;
        }
    } else {
        // A run that wakes nobody lets nobody off.
        agent.checkin_deadline_at = pending.filter(|_| !has_answered(agent));
    }
}

/// Whether it was seen since it was woken last.
pub(crate) fn has_answered(agent: &Agent) -> bool {
    let seen_since = |sent| agent.last_seen_at.is_some_and(|seen| seen >= sent);
    agent.last_wake_sent_at.is_some_and(seen_since)
}

/// Whether an answer to its latest wake is still to come.
pub(crate) fn owes_an_answer(agent: &Agent) -> bool {
    agent.status == AgentStatus::Online
        && agent.provision_action.is_none()
        && agent.last_wake_sent_at.is_some()
        && !has_answered(agent)
}

/// A process begins to watch for the answer: unwatched time does not count.
pub(crate) fn watch(agent: &mut Agent, now: Timestamp) {
    if owes_an_answer(agent) {
        agent.checkin_deadline_at = agent.checkin_deadline_at.max(Some(now + CHECK_IN_WINDOW));
    }
}

/// The decision about an agent past its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reconcile {
    /// Nothing: it checked in, is being deleted, or the deadline moved.
    Skip,
    /// Update it, with a fresh session, and wake it once more.
    WakeAgain,
    /// It had its wakes.
    GiveUp,
}

/// Decides about an agent at its deadline.
pub(crate) fn reconcile(agent: &Agent, now: Timestamp) -> Reconcile {
    let due = agent.checkin_deadline_at.is_some_and(|deadline| deadline <= now);
    if !due || has_answered(agent) || agent.status == AgentStatus::Deleting {
        Reconcile::Skip
    } else if agent.wake_attempts >= WAKES {
        Reconcile::GiveUp
    } else {
        Reconcile::WakeAgain
    }
}
