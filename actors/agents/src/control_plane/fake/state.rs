//! The state of the fake gateway, and its changes.

use serde_json::{Map, Value};
use windlass_protocol::config::{HeartbeatEntry, RosterAgent, default_heartbeat};
use windlass_protocol::{AgentId, SessionKey};

use super::{EFFECTS, FakeAgent, FakeEffect, FakeRelease, FakeSession, State};
use crate::control_plane::{Capabilities, ControlError, ControlResult, Patched, ResourceKind, SessionInfo};

impl State {
    pub(super) fn effect(&mut self, effect: FakeEffect) {
        if self.effects.len() < EFFECTS {
            self.effects.push(effect);
        }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        let agents = self.release != FakeRelease::ByConfig;
        Capabilities {
            agents,
            files: agents,
            scratch: self.release == FakeRelease::Current,
            delete_file: false,
            sessions_before_turns: self.sessions_before_turns,
        }
    }

    pub(super) fn agent(&mut self, id: &AgentId) -> ControlResult<&mut FakeAgent> {
        self.agents
            .get_mut(id)
            .ok_or_else(|| ControlError::NotFound(ResourceKind::Agent(id.to_string())))
    }

    pub(super) fn takes(&self, name: &str) -> bool {
        const RETIRED: [&str; 2] = ["TOOLS.md", "HEARTBEAT.md"];
        let known = [
            "AGENTS.md",
            "SOUL.md",
            "IDENTITY.md",
            "USER.md",
            "BOOTSTRAP.md",
            "MEMORY.md",
        ];
        match self.release {
            FakeRelease::ByConfig => false,
            FakeRelease::Classic => known.contains(&name) || RETIRED.contains(&name),
            FakeRelease::Current => known.contains(&name),
        }
    }

    pub(super) fn listed(&self) -> &'static [&'static str] {
        match self.release {
            FakeRelease::ByConfig => &[],
            FakeRelease::Classic => &[
                "AGENTS.md",
                "SOUL.md",
                "TOOLS.md",
                "IDENTITY.md",
                "USER.md",
                "HEARTBEAT.md",
                "BOOTSTRAP.md",
                "MEMORY.md",
            ],
            FakeRelease::Current => &["AGENTS.md", "SOUL.md", "USER.md", "BOOTSTRAP.md", "MEMORY.md"],
        }
    }

    /// An agent's roster entry with this one merged in; `None` if nothing changes.
    pub(super) fn merged(&self, entry: &HeartbeatEntry) -> Option<RosterAgent> {
        let mut heartbeat: Map<String, Value> = default_heartbeat();
        heartbeat.extend(entry.heartbeat.clone());
        if self.release == FakeRelease::Current {
            heartbeat.remove("includeReasoning");
        }
        let there = self.agents.get(&entry.id).map(|agent| &agent.entry);
        let mut next = there.cloned().unwrap_or_default();
        next.workspace = Some(entry.workspace.clone());
        next.heartbeat.get_or_insert_default().extend(heartbeat);
        (there != Some(&next)).then_some(next)
    }

    pub(super) fn patch(&mut self, entries: Vec<HeartbeatEntry>) -> Patched {
        let mut changed = Vec::new();
        for entry in entries {
            if let Some(next) = self.merged(&entry) {
                self.agents.entry(entry.id.clone()).or_default().entry = next;
                changed.push(entry.id);
            }
        }
        if changed.is_empty() {
            return Patched::Unchanged;
        }
        self.writes += 1;
        self.effect(FakeEffect::ConfigWritten(changed));
        Patched::Written {
            restarts: self.release != FakeRelease::Current,
            own: true,
        }
    }

    pub(super) fn has_message(&self, key: &SessionKey, idempotency_key: &str) -> bool {
        let session = self.sessions.get(key);
        session.is_some_and(|session| session.messages.iter().any(|(known, _)| known == idempotency_key))
    }

    pub(super) fn changed_sessions(&self) -> Vec<SessionInfo> {
        let changed = self
            .sessions
            .iter()
            .filter(|(_, session)| session.updated_at_ms.is_some());
        changed.map(|(key, session)| session.info(key)).collect()
    }

    pub(super) fn session(&mut self, key: &SessionKey) -> &mut FakeSession {
        let next = &mut self.next_session;
        self.sessions.entry(key.clone()).or_insert_with(|| {
            *next += 1;
            FakeSession {
                id: *next,
                ..FakeSession::default()
            }
        })
    }
}

impl FakeSession {
    pub(super) fn info(&self, key: &SessionKey) -> SessionInfo {
        SessionInfo {
            key: key.clone(),
            label: self.label.clone(),
            session_id: Some(self.id.to_string()),
            updated_at_ms: self.updated_at_ms,
        }
    }
}
