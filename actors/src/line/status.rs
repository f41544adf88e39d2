//! What a line does just now, for people and for watches.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use windlass_protocol::{Advice, GatewayId, Generation, HelloOk};

use crate::clock::Clock;

/// The state of a line. Each variant holds what is true only then.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LineState {
    /// An attempt to connect is under way, or waits for its turn.
    Connecting {
        /// Attempts since the line was last up, this one included.
        attempt: u32,
    },
    /// Calls go through.
    Up {
        /// What the gateway said of itself.
        hello: Arc<HelloOk>,
    },
    /// The last attempt failed, or the connection broke; the next attempt comes by itself.
    Waiting {
        /// When.
        until: SystemTime,
    },
    /// Somebody has to act (wrong token, missing pairing, wrong protocol): the gateway is asked again only slowly,
    /// and at once on "reconnect now" or when the gateway's settings are changed.
    Paused {
        /// When the gateway is asked again.
        until: SystemTime,
    },
    /// The connection's actor failed too often within a short time: it is started again only slowly.
    Degraded {
        /// When it is started again.
        until: SystemTime,
        /// Failures in the window.
        failures: usize,
    },
    /// The line is closing: calls under way are waited for.
    Draining {
        /// Until when.
        until: SystemTime,
    },
    /// The line is closed for good.
    Closed,
}

impl LineState {
    /// One lower-case word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connecting { .. } => "connecting",
            Self::Up { .. } => "up",
            Self::Waiting { .. } => "waiting",
            Self::Paused { .. } => "paused",
            Self::Degraded { .. } => "degraded",
            Self::Draining { .. } => "draining",
            Self::Closed => "closed",
        }
    }

    /// When the gateway is tried next, where the line waits for that.
    pub const fn next_attempt_at(&self) -> Option<SystemTime> {
        match self {
            Self::Waiting { until } | Self::Paused { until } | Self::Degraded { until, .. } => Some(*until),
            Self::Connecting { .. } | Self::Up { .. } | Self::Draining { .. } | Self::Closed => None,
        }
    }
}

impl fmt::Display for LineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineErrorKind {
    /// The gateway could not be reached, or the connection to it broke.
    Unreachable,
    /// Something is reached that is no gateway, or not in this way.
    WrongAddress,
    /// The other side could not prove who it is.
    Untrusted,
    /// The gateway does not let us in: token, pairing, signature, protocol.
    Refused,
    /// The gateway starts, drains, or has had enough for now.
    Busy,
    /// A bug of ours.
    Fault,
}

/// What went wrong last, and what to do about it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// When it happened.
    pub at: SystemTime,
    /// What kind of thing it was.
    pub kind: LineErrorKind,
    /// What happened and what to do next.
    pub advice: Advice,
}

/// Everything that is known of a line at one moment.
#[derive(Debug, Clone)]
pub struct LineStatus {
    /// Whose line it is.
    pub id: GatewayId,
    /// What it does.
    pub state: LineState,
    /// Since when.
    pub since: SystemTime,
    /// The connection that is up, or was up last.
    pub generation: Generation,
    /// The gateway as it last introduced itself; stays while the line is down.
    pub hello: Option<Arc<HelloOk>>,
    /// What went wrong last; stays after the line is up again, for the record. See
    /// [`current_error`](Self::current_error).
    pub last_error: Option<LineError>,
}

impl LineStatus {
    /// Whether calls go through.
    pub const fn is_up(&self) -> bool {
        matches!(self.state, LineState::Up { .. })
    }

    /// Why calls don't go through just now; nothing while they do.
    pub const fn current_error(&self) -> Option<&LineError> {
        if self.is_up() { None } else { self.last_error.as_ref() }
    }

    /// The protocol that was agreed on.
    pub fn protocol(&self) -> Option<u32> {
        self.hello.as_ref().map(|hello| hello.protocol)
    }

    /// The gateway's release; `"dev"` on 2026.1.30 and 2026.2.26.
    pub fn server_version(&self) -> Option<&str> {
        self.hello.as_ref().map(|hello| hello.server.version.as_str())
    }
}

/// The writing end of a status. All changes go through [`transition`](Self::transition).
pub(crate) struct StatusCell {
    sender: watch::Sender<LineStatus>,
    clock: Arc<dyn Clock>,
}

impl StatusCell {
    pub(crate) fn new(id: GatewayId, clock: Arc<dyn Clock>) -> (Self, watch::Receiver<LineStatus>) {
        let status = LineStatus {
            id,
            state: LineState::Connecting { attempt: 0 },
            since: clock.wall(),
            generation: Generation::default(),
            hello: None,
            last_error: None,
        };
        let (sender, receiver) = watch::channel(status);
        (Self { sender, clock }, receiver)
    }

    /// The one way to another state: also the log's line and the watchers' wake-up.
    pub(crate) fn transition(&self, state: LineState, error: Option<(LineErrorKind, Advice)>) {
        let now = self.clock.wall();
        self.sender.send_modify(|status| {
            if let LineState::Up { hello } = &state {
                status.generation = status.generation.next();
                status.hello = Some(Arc::clone(hello));
            }
            if let Some((kind, advice)) = error {
                status.last_error = Some(LineError { at: now, kind, advice });
            }
            let from = std::mem::replace(&mut status.state, state);
            status.since = now;
            log(&from, status);
        });
    }

    /// The generation that the next hello-ok begins.
    pub(crate) fn next_generation(&self) -> Generation {
        self.sender.borrow().generation.next()
    }

    /// The present state's status.
    pub(crate) fn current(&self) -> LineStatus {
        self.sender.borrow().clone()
    }
}

fn log(from: &LineState, status: &LineStatus) {
    let (id, state, generation) = (&status.id, &status.state, status.generation);
    match (state, &status.last_error) {
        (LineState::Up { hello }, _) => {
            let (protocol, version) = (hello.protocol, &hello.server.version);
            tracing::info!(gateway = %id, %from, %generation, protocol, version, "line up");
        }
        (LineState::Waiting { .. } | LineState::Paused { .. } | LineState::Degraded { .. }, Some(error)) => {
            let (why, next) = (&error.advice.summary, &error.advice.next_step);
            tracing::warn!(gateway = %id, %from, to = %state, %generation, %why, %next, "line down");
        }
        _ => tracing::debug!(gateway = %id, %from, to = %state, %generation, "line changed"),
    }
}
