//! Which events a subscriber wants: as it says so, and as it is asked for each event.

use std::collections::HashSet;

use windlass_protocol::EventKeys;

use super::Topic;

/// A choice of events. Empty choices leave everything through; several choices must all hold.
///
/// Markers pass every filter, but for those about the messages of a session that the filter leaves out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    names: Vec<Box<str>>,
    sessions: Vec<Box<str>>,
    agents: Vec<Box<str>>,
    snapshots: bool,
}

impl EventFilter {
    /// Every event.
    pub fn all() -> Self {
        Self::default()
    }

    /// Also wants events of this name, for example `chat`.
    pub fn name(mut self, name: impl Into<Box<str>>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Only events of this session, by its key (or of another one that is named too).
    pub fn session(mut self, key: impl Into<Box<str>>) -> Self {
        self.sessions.push(key.into());
        self
    }

    /// Only events of this agent, by its id (or of another one that is named too).
    pub fn agent(mut self, id: impl Into<Box<str>>) -> Self {
        self.agents.push(id.into());
        self
    }

    /// Of the names wanted, all; empty for every one.
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The only session wanted, where it is one.
    pub(crate) fn only_session(&self) -> Option<&str> {
        match &*self.sessions {
            [only] => Some(only),
            _ => None,
        }
    }

    /// With the snapshots of what is declared, in [`Marker::Resynced`](super::Marker::Resynced). Without this a
    /// subscriber is told that there was one, at no cost.
    pub const fn snapshots(mut self) -> Self {
        self.snapshots = true;
        self
    }
}

/// A filter made ready for being asked often.
#[derive(Debug)]
pub(crate) struct Sieve {
    names: Choice,
    sessions: Choice,
    agents: Choice,
    pub(super) snapshots: bool,
}

impl Sieve {
    pub(crate) fn new(filter: EventFilter) -> Self {
        Self {
            names: Choice::new(filter.names),
            sessions: Choice::new(filter.sessions),
            agents: Choice::new(filter.agents),
            snapshots: filter.snapshots,
        }
    }

    /// Whether the payload has to be looked into.
    pub(crate) const fn needs_keys(&self) -> bool {
        !matches!((&self.sessions, &self.agents), (Choice::Any, Choice::Any))
    }

    /// Whether an event of this name may pass, whatever it carries.
    pub(crate) fn wants_name(&self, name: &str) -> bool {
        self.names.has(Some(name))
    }

    pub(crate) fn wants_keys(&self, keys: &EventKeys<'_>) -> bool {
        self.sessions.has(keys.session_key.as_deref()) && self.agents.has(keys.agent_id.as_deref())
    }

    /// Whether a word about this topic concerns the subscriber.
    pub(crate) fn wants_topic(&self, topic: &Topic) -> bool {
        topic.session().is_none_or(|session| self.sessions.has(Some(session)))
    }
}

/// Names of which one has to fit.
#[derive(Debug)]
enum Choice {
    Any,
    /// So few that comparing beats hashing.
    Few(Box<[Box<str>]>),
    Many(HashSet<Box<str>>),
}

impl Choice {
    /// Up to so many names are compared one by one.
    const FEW: usize = 8;

    fn new(names: Vec<Box<str>>) -> Self {
        match names.len() {
            0 => Self::Any,
            1..=Self::FEW => Self::Few(names.into()),
            _ => Self::Many(names.into_iter().collect()),
        }
    }

    fn has(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (_, None) => false,
            (Self::Few(names), Some(value)) => names.iter().any(|name| **name == *value),
            (Self::Many(names), Some(value)) => names.contains(value),
        }
    }
}
