//! Sending events: who may see one, and which number it gets.

use serde_json::Value;

use super::profile::Profile;
use super::state::{Conn, State};
use super::wire;

/// Who an event is for, on top of what scopes allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Everyone,
    /// One connection; such events have no number where numbers are global.
    Only(u64),
    /// Connections that called `sessions.subscribe`.
    SessionSubscribers,
    /// Connections that called `sessions.messages.subscribe` for this key.
    MessageSubscribers(String),
}

/// An event on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) payload: Value,
    pub(crate) audience: Audience,
}

impl Event {
    pub(crate) fn new(name: &str, payload: Value) -> Self {
        Self {
            name: name.to_owned(),
            payload,
            audience: Audience::Everyone,
        }
    }

    pub(crate) fn to(mut self, audience: Audience) -> Self {
        self.audience = audience;
        self
    }

    /// Skipped for a slow reader instead of closing it: the repeated and the cumulative ones.
    fn droppable(&self) -> bool {
        match self.name.as_str() {
            "chat" => self.payload["state"] == "delta" || self.payload["state"] == "status",
            name => matches!(name, "agent" | "tick" | "presence" | "health"),
        }
    }

    /// The name under which [`Profile::unsequenced`] lists it.
    fn sort(&self) -> &str {
        if self.name == "agent" && self.payload["stream"] == "tool" {
            "agent:tool"
        } else {
            &self.name
        }
    }
}

/// Queues an event for everyone who may see it.
pub(crate) fn deliver(profile: &Profile, state: &mut State, event: &Event) {
    if state.silent {
        return;
    }
    let sequenced = !profile.unsequenced.contains(&event.sort());
    let global = profile.global_seq && sequenced && !matches!(event.audience, Audience::Only(_));
    if global {
        state.seq += 1;
    }
    let versions =
        matches!(event.name.as_str(), "presence" | "health").then_some((state.presence_version, state.health_version));
    let global_seq = state.seq;
    for (no, conn) in &mut state.conns {
        if !sees(profile, *no, conn, event) {
            continue;
        }
        let seq = if profile.global_seq {
            global.then_some(global_seq)
        } else {
            sequenced.then(|| {
                conn.seq += 1;
                conn.seq
            })
        };
        send(profile, conn, event, seq, versions);
    }
}

fn send(profile: &Profile, conn: &mut Conn, event: &Event, seq: Option<u64>, versions: Option<(u64, u64)>) {
    if std::mem::take(&mut conn.withhold) {
        return;
    }
    let text = wire::event(&event.name, &event.payload, seq, versions);
    let full = conn.outbox.queued() > profile.max_buffered_bytes;
    if full && event.droppable() {
        return;
    }
    if full || !conn.outbox.offer(text) {
        // The number is used up either way: the reader sees a hole, or the close.
        conn.outbox.close(1008, "slow consumer");
    }
}

fn sees(profile: &Profile, no: u64, conn: &Conn, event: &Event) -> bool {
    let Some(peer) = &conn.peer else { return false };
    let addressed = match &event.audience {
        Audience::Everyone => true,
        Audience::Only(only) => *only == no,
        Audience::SessionSubscribers => conn.sessions,
        Audience::MessageSubscribers(key) => conn.messages.contains(key),
    };
    addressed && needed_scope(profile, &event.name).is_none_or(|scope| peer.may(scope))
}

/// Protocol 3 guards only pairing and approval events; protocol 4 shows a client without scopes nothing but the
/// housekeeping ones.
fn needed_scope(profile: &Profile, name: &str) -> Option<&'static str> {
    if name.starts_with("device.pair.") || name.starts_with("node.pair.") {
        return Some("operator.pairing");
    }
    if name.contains(".approval.") {
        return Some("operator.approvals");
    }
    let open = matches!(
        name,
        "connect.challenge" | "tick" | "health" | "update.available" | "shutdown"
    );
    (profile.v4() && !open).then_some("operator.read")
}
