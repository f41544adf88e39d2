//! The fake's operations.

use std::time::Duration;

use async_trait::async_trait;
use windlass_protocol::config::{HeartbeatEntry, Roster};
use windlass_protocol::{AgentId, SessionKey, Verdict};

use super::{FakeControlPlane, FakeEffect, FakeOperation, FakeRelease, FakeSession};
use crate::control_plane::{
    AgentMessage, AgentSpec, Capabilities, ControlError, ControlPlane, ControlResult, Created, FileEntry, FileWrite,
    Patched, Removal, ResourceKind, Scratch, SessionInfo, WouldPatch, WriteQueue,
};

#[async_trait]
impl ControlPlane for FakeControlPlane {
    async fn health(&self) -> ControlResult<()> {
        self.enter(FakeOperation::Health).await?.end(()).await
    }

    async fn verdict(&self) -> ControlResult<Verdict> {
        let course = self.enter(FakeOperation::Verdict).await?;
        let verdict = self.lock().verdict.clone();
        course.end(verdict).await
    }

    async fn capabilities(&self) -> ControlResult<Capabilities> {
        let course = self.enter(FakeOperation::Capabilities).await?;
        let capabilities = self.lock().capabilities();
        course.end(capabilities).await
    }

    async fn roster(&self) -> ControlResult<Roster> {
        let course = self.enter(FakeOperation::Roster).await?;
        let agents = self
            .lock()
            .agents
            .iter()
            .map(|(id, agent)| (id.clone(), agent.entry.clone()))
            .collect();
        course.end(Roster { agents }).await
    }

    async fn create_agent(&self, card: &AgentSpec) -> ControlResult<Created> {
        let course = self.enter(FakeOperation::CreateAgent).await?;
        let created = {
            let mut state = self.lock();
            if !state.capabilities().agents {
                Created::ByConfig
            } else if state.agents.contains_key(&card.id) {
                Created::AlreadyThere
            } else {
                let agent = state.agents.entry(card.id.clone()).or_default();
                agent.entry.name = Some(card.id.to_string());
                agent.entry.workspace = Some(card.workspace.clone());
                agent
                    .files
                    .insert("IDENTITY.md".into(), format!("- Name: {}\n", card.id));
                state.effect(FakeEffect::AgentCreated(card.id.clone()));
                Created::Fresh
            }
        };
        course.end(created).await
    }

    async fn update_agent(&self, card: &AgentSpec, _fresh: bool) -> ControlResult<()> {
        let course = self.enter(FakeOperation::UpdateAgent).await?;
        {
            let mut state = self.lock();
            if state.capabilities().agents {
                let agent = state.agent(&card.id)?;
                agent.entry.name = Some(card.name.clone());
                agent.entry.workspace = Some(card.workspace.clone());
                state.effect(FakeEffect::AgentUpdated(card.id.clone()));
            }
        }
        course.end(()).await
    }

    async fn delete_agent(&self, id: &AgentId, _delete_files: bool) -> ControlResult<Removal> {
        let course = self.enter(FakeOperation::DeleteAgent).await?;
        let deleted = {
            let mut state = self.lock();
            let there = state.agents.remove(id).is_some();
            if there && state.release == FakeRelease::ByConfig {
                // Its sessions stay.
                state.writes += 1;
                state.effect(FakeEffect::ConfigWritten(vec![id.clone()]));
            } else if there {
                state.sessions.retain(|key, _| key.agent_id().as_ref() != Some(id));
                state.effect(FakeEffect::AgentDeleted(id.clone()));
            }
            match (there, state.release) {
                (false, _) => Removal::NotThere,
                (true, FakeRelease::ByConfig) => Removal::FromConfig,
                (true, _) => Removal::Deleted,
            }
        };
        course.end(deleted).await
    }

    async fn patch_agents(&self, entries: Vec<HeartbeatEntry>) -> ControlResult<Patched> {
        let course = self.enter(FakeOperation::PatchAgents).await?;
        let patched = self.lock().patch(entries);
        course.end(patched).await
    }

    async fn would_patch(&self, entries: &[HeartbeatEntry]) -> ControlResult<WouldPatch> {
        let course = self.enter(FakeOperation::WouldPatch).await?;
        let agents = entries.iter().any(|entry| self.lock().merged(entry).is_some());
        let would = WouldPatch {
            agents,
            settings: false,
        };
        course.end(would).await
    }

    fn writes(&self) -> WriteQueue {
        WriteQueue {
            written: self.lock().writes,
            ..WriteQueue::default()
        }
    }

    async fn list_files(&self, id: &AgentId) -> ControlResult<Vec<FileEntry>> {
        let course = self.enter(FakeOperation::ListFiles).await?;
        let files = {
            let mut state = self.lock();
            let names = state.listed();
            if names.is_empty() {
                Vec::new()
            } else {
                let agent = state.agent(id)?;
                let entry = |name: &&str| FileEntry {
                    name: (*name).to_owned(),
                    missing: !agent.files.contains_key(*name),
                };
                names.iter().map(entry).collect()
            }
        };
        course.end(files).await
    }

    async fn get_file(&self, id: &AgentId, name: &str) -> ControlResult<Option<String>> {
        let course = self.enter(FakeOperation::GetFile).await?;
        let content = {
            let mut state = self.lock();
            if state.takes(name) {
                state.agent(id)?.files.get(name).cloned()
            } else {
                None
            }
        };
        course.end(content).await
    }

    async fn set_file(&self, id: &AgentId, name: &str, content: &str) -> ControlResult<FileWrite> {
        let course = self.enter(FakeOperation::SetFile).await?;
        let written = {
            let mut state = self.lock();
            if state.takes(name) {
                state.agent(id)?.files.insert(name.to_owned(), content.to_owned());
                state.effect(FakeEffect::FileWritten(id.clone(), name.to_owned()));
                FileWrite::Written
            } else {
                FileWrite::Unsupported
            }
        };
        course.end(written).await
    }

    async fn delete_file(&self, _id: &AgentId, _name: &str) -> ControlResult<bool> {
        self.enter(FakeOperation::DeleteFile).await?.end(false).await
    }

    async fn scratch(&self, id: &AgentId) -> ControlResult<Option<Scratch>> {
        let course = self.enter(FakeOperation::Scratch).await?;
        let scratch = {
            let state = self.lock();
            let offered = state.capabilities().scratch;
            state
                .agents
                .get(id)
                .filter(|_| offered)
                .map(|agent| agent.scratch.clone())
        };
        course.end(scratch).await
    }

    async fn set_scratch(&self, id: &AgentId, content: &str) -> ControlResult<bool> {
        let course = self.enter(FakeOperation::SetScratch).await?;
        let written = {
            let mut state = self.lock();
            let offered = state.capabilities().scratch;
            match state.agents.get_mut(id).filter(|_| offered) {
                Some(agent) => {
                    agent.scratch.content = Some(content.to_owned());
                    agent.scratch.revision += 1;
                    state.effect(FakeEffect::ScratchWritten(id.clone()));
                    true
                }
                None => false,
            }
        };
        course.end(written).await
    }

    async fn session(&self, key: &SessionKey) -> ControlResult<Option<SessionInfo>> {
        let course = self.enter(FakeOperation::Session).await?;
        let found = self.lock().sessions.get(key).map(|session| session.info(key));
        course.end(found).await
    }

    async fn active_sessions(&self, _: Duration) -> ControlResult<Vec<SessionInfo>> {
        let course = self.enter(FakeOperation::Session).await?;
        let rows = self.lock().changed_sessions();
        course.end(rows).await
    }

    async fn ensure_session(&self, key: &SessionKey, label: Option<&str>) -> ControlResult<()> {
        let course = self.enter(FakeOperation::EnsureSession).await?;
        {
            let mut state = self.lock();
            if state.sessions_before_turns || state.sessions.contains_key(key) {
                let taken =
                    |(other, session): (&SessionKey, &FakeSession)| other != key && session.label.as_deref() == label;
                let free = label.filter(|_| !state.sessions.iter().any(taken)).map(str::to_owned);
                let session = state.session(key);
                session.label = free.or(session.label.take());
                state.effect(FakeEffect::SessionPatched(key.clone()));
            }
        }
        course.end(()).await
    }

    async fn reset_session(&self, key: &SessionKey) -> ControlResult<bool> {
        let course = self.enter(FakeOperation::ResetSession).await?;
        let reset = {
            let mut state = self.lock();
            let there = state.sessions.contains_key(key);
            if there {
                let session = state.session(key);
                session.messages.clear();
                session.answered = false;
                state.effect(FakeEffect::SessionReset(key.clone()));
            }
            there
        };
        course.end(reset).await
    }

    async fn delete_session(&self, key: &SessionKey) -> ControlResult<bool> {
        let course = self.enter(FakeOperation::DeleteSession).await?;
        let deleted = {
            let mut state = self.lock();
            let agent = key.agent_id().filter(|agent| state.agents.contains_key(agent));
            if agent.is_some_and(|agent| SessionKey::main_of(&agent) == *key) && state.release == FakeRelease::Current {
                return Err(ControlError::NotAllowed(ResourceKind::MainSession(key.to_string())));
            }
            let there = state.sessions.remove(key).is_some();
            if there {
                state.effect(FakeEffect::SessionDeleted(key.clone()));
            }
            there
        };
        course.end(deleted).await
    }

    async fn send(&self, message: &AgentMessage) -> ControlResult<()> {
        let course = self.enter(FakeOperation::Send).await?;
        {
            let mut state = self.lock();
            let is_known = state.keys.contains_key(&message.idempotency_key)
                || (message.tried_before && state.has_message(&message.key, &message.idempotency_key));
            if !is_known {
                state.keys.insert(message.idempotency_key.clone(), message.key.clone());
                let row = (message.idempotency_key.clone(), message.text.clone());
                let session = state.session(&message.key);
                session.messages.push(row);
                session.answered = false;
                state.effect(FakeEffect::Sent(message.key.clone(), message.idempotency_key.clone()));
            }
        }
        course.end(()).await
    }

    async fn was_answered(&self, key: &SessionKey, idempotency_key: &str, marker: &str) -> ControlResult<bool> {
        let course = self.enter(FakeOperation::WasAnswered).await?;
        let answered = {
            let state = self.lock();
            let is_it = |(known, text): &(String, String)| {
                known == idempotency_key || (!marker.is_empty() && text.contains(marker))
            };
            let session = state.sessions.get(key);
            session.is_some_and(|session| session.answered && session.messages.iter().any(is_it))
        };
        course.end(answered).await
    }
}
