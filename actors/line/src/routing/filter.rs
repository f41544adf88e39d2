//! Which events a subscriber wants: as it says so, and as it is asked for each event.

use std::collections::HashSet;

use windlass_protocol::{EventKeys, SessionKeySpace};

use crate::routing::Topic;

/// A choice of events. Empty choices leave everything through; several choices must all hold.
///
/// Sessions and agents are meant as the gateway takes them, in whichever spelling they are given: `main`, `Main` and
/// `agent:main:main` name one session where `main` is the default agent. See [`SessionKeySpace`] for the rules of gateways.
///
/// Markers pass every filter, but for those about the messages of a session that the filter leaves out.
///
/// ```
/// use windlass_line::EventFilter;
/// use windlass_line::routing::CompiledFilter;
/// use windlass_protocol::{EventKeys, SessionKeySpace};
///
/// let filter = EventFilter::all().name("chat").session("agent:main:main");
/// let compiled = CompiledFilter::new(filter, &SessionKeySpace::unknown());
/// assert!(compiled.wants_name("chat") && !compiled.wants_name("presence"));
/// assert!(compiled.wants_keys(&EventKeys::parse(r#"{"sessionKey":"agent:main:main"}"#)));
/// assert!(!compiled.wants_keys(&EventKeys::parse(r#"{"sessionKey":"agent:main:other"}"#)));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    names: Vec<Box<str>>,
    sessions: Vec<Box<str>>,
    agents: Vec<Box<str>>,
    runs: Vec<Box<str>>,
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

    /// Also the events of this run, by its id, of any session and agent.
    pub fn run(mut self, id: impl Into<Box<str>>) -> Self {
        self.runs.push(id.into());
        self
    }

    /// Of the names wanted, all; empty for every one.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The only session key wanted, where it is one on every gateway.
    pub fn only_session(&self) -> Option<String> {
        let [only] = &*self.sessions else { return None };
        let spellings = SessionKeySpace::unknown().spellings(only);
        let is_one = !spellings.is_of_any_agent() && spellings.iter().all(|key| key == spellings.canonical());
        (is_one && self.runs.is_empty()).then(|| spellings.canonical().to_owned())
    }

    /// With the snapshots of subscribed topics, in [`Marker::Resynced`](crate::routing::Marker::Resynced). Without this a
    /// subscriber is told that there was one, at no cost.
    pub const fn snapshots(mut self) -> Self {
        self.snapshots = true;
        self
    }
}

/// A filter made ready for being asked often, of one gateway.
#[derive(Debug)]
pub struct CompiledFilter {
    filter: EventFilter,
    names: Matcher,
    sessions: Matcher,
    /// Sessions by the last part of their keys, where the agent is not known.
    sessions_of_any_agent: Matcher,
    agents: Matcher,
    runs: Matcher,
    /// Whether a session without an agent in its key is of a wanted one: it is the default agent's, be it `global` (2026.3.13 sends no
    /// `agentId` with it) or a short key (2026.1.30).
    bare_of_wanted: bool,
    pub(super) snapshots: bool,
}

impl CompiledFilter {
    /// Makes it ready for a gateway that spells its keys as `space` says.
    pub fn new(filter: EventFilter, space: &SessionKeySpace) -> Self {
        let (mut keys, mut bare) = (Vec::new(), Vec::new());
        for key in &filter.sessions {
            let spellings = space.spellings(key);
            let all = spellings.iter().map(Box::from);
            if spellings.is_of_any_agent() {
                bare.extend(all);
            } else {
                keys.extend(all);
            }
            keys.push(key.clone());
        }
        let mut agents: Vec<Box<str>> = filter.agents.iter().map(|id| space.agent(id)).collect();
        let bare_of_wanted = space
            .default_agent()
            .is_some_and(|default| agents.iter().any(|id| **id == *default));
        agents.extend(filter.agents.iter().cloned());
        Self {
            names: Matcher::new(filter.names.clone()),
            sessions: Matcher::new(keys),
            sessions_of_any_agent: Matcher::new(bare),
            agents: Matcher::new(agents),
            runs: Matcher::new(filter.runs.clone()),
            bare_of_wanted,
            snapshots: filter.snapshots,
            filter,
        }
    }

    /// The gateway spells its keys in another way than was known.
    pub(super) fn recompile(&mut self, space: &SessionKeySpace) {
        if self.needs_keys() {
            *self = Self::new(std::mem::take(&mut self.filter), space);
        }
    }

    /// Whether the payload has to be looked into.
    pub const fn needs_keys(&self) -> bool {
        !matches!((&self.sessions, &self.agents), (Matcher::Any, Matcher::Any))
    }

    /// Whether an event of this name may pass, with some payload.
    pub fn wants_name(&self, name: &str) -> bool {
        self.names.has(Some(name))
    }

    /// Whether an event of a wanted name passes by its payload.
    pub fn wants_keys(&self, keys: &EventKeys<'_>) -> bool {
        let session = keys.session_key.as_deref();
        (self.wants_session(session) && self.wants_agent(session, keys.agent_id.as_deref()))
            || self.runs.names(keys.run_id.as_deref())
    }

    fn wants_session(&self, session: Option<&str>) -> bool {
        self.sessions.has(session)
            || (!matches!(self.sessions_of_any_agent, Matcher::Any)
                && self.sessions_of_any_agent.has(session.map(without_agent)))
    }

    fn wants_agent(&self, session: Option<&str>, agent: Option<&str>) -> bool {
        self.agents.has(agent) || (self.bare_of_wanted && agent.is_none() && session.is_some())
    }

    /// Whether a marker about this topic concerns the subscriber. A topic is in the spelling of its subscriber.
    pub fn wants_topic(&self, topic: &Topic, space: &SessionKeySpace) -> bool {
        topic.session().is_none_or(|session| {
            self.wants_session(Some(session))
                || space.spellings(session).iter().any(|key| self.wants_session(Some(key)))
        })
    }
}

fn without_agent(key: &str) -> &str {
    let rest = key.strip_prefix("agent:").and_then(|rest| rest.split_once(':'));
    rest.map_or(key, |(_, rest)| rest)
}

/// Names of which one has to fit.
#[derive(Debug)]
enum Matcher {
    Any,
    /// So few that comparing beats hashing.
    Few(Box<[Box<str>]>),
    Many(HashSet<Box<str>>),
}

impl Matcher {
    /// Up to so many names are compared one by one.
    const FEW: usize = 8;

    fn new(mut names: Vec<Box<str>>) -> Self {
        names.sort_unstable();
        names.dedup();
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

    /// Whether one is named and fits.
    fn names(&self, value: Option<&str>) -> bool {
        !matches!(self, Self::Any) && self.has(value)
    }
}
