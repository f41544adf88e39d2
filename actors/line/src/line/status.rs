//! The present state of a line, for people and for watches.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tokio::sync::{Notify, watch};
use windlass_protocol::{Advice, GatewayId, Generation, HelloOk, SessionKeySpace};

use crate::clock::Clock;

/// The state of a line. Each variant holds the data that is valid only then.
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
        /// The gateway's hello.
        hello: Arc<HelloOk>,
    },
    /// The last attempt failed, or the connection broke; the next attempt comes by itself.
    Waiting {
        /// When.
        until: SystemTime,
    },
    /// A person has to act (wrong token, missing pairing, wrong protocol): the gateway is asked again only slowly,
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

/// The kind of an error of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum LineErrorKind {
    /// The gateway could not be reached, or the connection to it broke.
    Unreachable,
    /// Something is reached that is no gateway, or not in this way.
    WrongAddress,
    /// The other side could not prove its identity.
    Untrusted,
    /// The gateway does not let us in: token, pairing, signature, protocol.
    Refused,
    /// The gateway starts, drains, or has had enough for now.
    Busy,
    /// A bug of ours.
    Fault,
}

/// The last error, and the next step. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// When it happened.
    pub at: SystemTime,
    /// Its kind.
    pub kind: LineErrorKind,
    /// The problem and the next step.
    pub advice: Advice,
}

/// Everything that is known of a line at one moment.
///
/// ```no_run
/// # fn example(line: &windlass_line::Line) {
/// let status = line.status().borrow().clone();
/// match status.current_error() {
///     None => println!("{} is {}", status.id, status.state),
///     Some(error) => println!("{}: {}", status.id, error.advice),
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LineStatus {
    /// The gateway of the line.
    pub id: GatewayId,
    /// Its state.
    pub state: LineState,
    /// Since when.
    pub since: SystemTime,
    /// The connection that is up, or was up last.
    pub generation: Generation,
    /// The gateway as it last introduced itself; stays while the line is down.
    pub hello: Option<Arc<HelloOk>>,
    /// The last error; stays after the line is up again, for the record. See
    /// [`current_error`](Self::current_error).
    pub last_error: Option<LineError>,
}

impl LineStatus {
    /// Whether calls go through.
    pub const fn is_up(&self) -> bool {
        matches!(self.state, LineState::Up { .. })
    }

    /// How the gateway spells the keys of its sessions, as it last introduced itself.
    pub fn key_space(&self) -> SessionKeySpace {
        let hello = self.hello.as_deref();
        hello.map_or_else(SessionKeySpace::unknown, SessionKeySpace::of)
    }

    /// Why calls don't go through just now; nothing while they do.
    pub const fn current_error(&self) -> Option<&LineError> {
        if self.is_up() { None } else { self.last_error.as_ref() }
    }

    /// The protocol that was agreed on.
    pub fn protocol(&self) -> Option<u32> {
        self.hello.as_ref().map(|hello| hello.protocol)
    }

    /// The way in which the gateway let us in: `token`, `password`, `device-token`. Releases before 2026.9 name the way that they demand, which is
    /// the same but for device tokens.
    pub fn auth_method(&self) -> Option<&str> {
        self.hello.as_ref()?.auth_method()
    }

    /// The gateway's release; `"dev"` on 2026.1.30 and 2026.2.26.
    pub fn server_version(&self) -> Option<&str> {
        self.hello.as_ref().map(|hello| hello.server.version.as_str())
    }
}

/// `{gateway, state, sinceMs, generation, protocol, version, nextAttemptAtMs, attempt, failures, lastError}`: `state` is one
/// word, times are ms since 1970, an unknown value is `null`; `lastError` is `{atMs, kind, summary, nextStep}`. The shape is
/// stable: members are added, none is renamed or taken away.
impl Serialize for LineStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attempt = match self.state {
            LineState::Connecting { attempt } => Some(attempt),
            _ => None,
        };
        let failures = match self.state {
            LineState::Degraded { failures, .. } => Some(failures),
            _ => None,
        };
        let mut object = serializer.serialize_struct("LineStatus", 10)?;
        object.serialize_field("gateway", &self.id)?;
        object.serialize_field("state", self.state.name())?;
        object.serialize_field("sinceMs", &millis(self.since))?;
        object.serialize_field("generation", &self.generation)?;
        object.serialize_field("protocol", &self.protocol())?;
        object.serialize_field("version", &self.server_version())?;
        object.serialize_field("nextAttemptAtMs", &self.state.next_attempt_at().map(millis))?;
        object.serialize_field("attempt", &attempt)?;
        object.serialize_field("failures", &failures)?;
        object.serialize_field("lastError", &self.last_error)?;
        object.end()
    }
}

impl Serialize for LineError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("LineError", 4)?;
        object.serialize_field("atMs", &millis(self.at))?;
        object.serialize_field("kind", &self.kind)?;
        object.serialize_field("summary", &self.advice.summary)?;
        object.serialize_field("nextStep", &self.advice.next_step)?;
        object.end()
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The writing end of a status. All changes go through [`transition`](Self::transition).
pub(crate) struct StatusCell {
    sender: watch::Sender<LineStatus>,
    clock: Arc<dyn Clock>,
    /// Behind the sender, so that a task that is woken by its drop finds the sender gone.
    changes: StatusChanges,
}

/// Wakes the waiting tasks, also when it is dropped.
struct StatusChanges(Arc<Notify>);

impl Drop for StatusChanges {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// A status to wait on from within. A `watch` wakes its waiters in an order that tokio draws for each runtime; this one wakes
/// them in the order in which they came, so that a run repeats.
#[derive(Debug, Clone)]
pub struct StatusWatch {
    receiver: watch::Receiver<LineStatus>,
    changes: Arc<Notify>,
}

impl StatusWatch {
    /// For watches outside.
    pub(crate) fn receiver(&self) -> &watch::Receiver<LineStatus> {
        &self.receiver
    }

    /// Waits until the status is as wanted; nothing when the line was closed before.
    ///
    /// ```no_run
    /// # async fn example(line: &windlass_line::Line) {
    /// let up = line.watched_status().until(|status| status.is_up()).await;
    /// if let Some(status) = up {
    ///     println!("the gateway's release is {:?}", status.server_version());
    /// }
    /// # }
    /// ```
    ///
    /// ## Cancel safety
    /// Nothing is missed when the future is dropped.
    pub async fn until(&self, mut wanted: impl FnMut(&LineStatus) -> bool) -> Option<LineStatus> {
        loop {
            // Before the look: a change after it is not missed.
            let changed = self.changes.notified();
            let found = self.look(&mut wanted);
            if found.is_some() {
                return found;
            }
            self.receiver.has_changed().ok()?;
            changed.await;
        }
    }

    fn look(&self, wanted: impl FnOnce(&LineStatus) -> bool) -> Option<LineStatus> {
        let status = self.receiver.borrow();
        wanted(&status).then(|| status.clone())
    }
}

impl StatusCell {
    pub(crate) fn new(id: GatewayId, clock: Arc<dyn Clock>) -> (Self, StatusWatch) {
        let status = LineStatus {
            id,
            state: LineState::Connecting { attempt: 0 },
            since: clock.wall(),
            generation: Generation::default(),
            hello: None,
            last_error: None,
        };
        let (sender, receiver) = watch::channel(status);
        let changes = Arc::new(Notify::new());
        let watch = StatusWatch {
            receiver,
            changes: Arc::clone(&changes),
        };
        let changes = StatusChanges(changes);
        (Self { sender, clock, changes }, watch)
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
        self.changes.0.notify_waiters();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_has_its_documented_shape() {
        let at = UNIX_EPOCH + Duration::from_secs(1);
        let status = LineStatus {
            id: GatewayId::new("gw").unwrap(),
            state: LineState::Paused { until: at },
            since: at,
            generation: Generation::new(2),
            hello: None,
            last_error: Some(LineError {
                at,
                kind: LineErrorKind::WrongAddress,
                advice: Advice::new("What.", "Do."),
            }),
        };
        assert_eq!(
            serde_json::to_value(&status).unwrap(),
            json!({
                "gateway": "gw", "state": "paused", "sinceMs": 1000, "generation": 2, "protocol": null, "version": null,
                "nextAttemptAtMs": 1000, "attempt": null, "failures": null,
                "lastError": {"atMs": 1000, "kind": "wrongAddress", "summary": "What.", "nextStep": "Do."},
            })
        );
    }
}
