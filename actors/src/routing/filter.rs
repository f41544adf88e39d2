//! Which events a subscriber wants.

use windlass_protocol::EventKeys;

/// A choice of events. Empty choices leave everything through; several choices must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    names: Vec<Box<str>>,
    sessions: Vec<Box<str>>,
    agents: Vec<Box<str>>,
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

    /// Whether the payload has to be looked into.
    pub(crate) const fn needs_keys(&self) -> bool {
        !(self.sessions.is_empty() && self.agents.is_empty())
    }

    pub(crate) fn wants(&self, name: &str, keys: &EventKeys<'_>) -> bool {
        let among = |choice: &[Box<str>], value: Option<&str>| {
            choice.is_empty() || value.is_some_and(|value| choice.iter().any(|wanted| **wanted == *value))
        };
        among(&self.names, Some(name))
            && among(&self.sessions, keys.session_key.as_deref())
            && among(&self.agents, keys.agent_id.as_deref())
    }
}
