//! The control plane of an OpenClaw gateway, over its line.
//!
//! Facts about a gateway are read from the gateway: its methods from the hello, the form of its roster from the
//! configuration, the keys that it takes from its own schema. Facts that only a text tells stand in
//! [`windlass_protocol::releases`].

mod agents;
mod files;
mod sessions;
mod settling;
mod writer;

use std::time::Duration;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use windlass_protocol::config::{ConfigSnapshot, HeartbeatEntry, Roster, read_config};
use windlass_protocol::connection::Resend;
use windlass_protocol::releases;
use windlass_protocol::request::{ConfigGet, ConfigGetReply, Health};
use windlass_protocol::{AgentId, HelloOk, RetryPolicy, SessionKey, Verdict};

use self::writer::Writer;
use super::{
    AgentMessage, AgentSpec, Capabilities, ControlPlane, ControlResult, Created, FileEntry, FileWrite, Patched,
    Removal, Scratch, SessionInfo, WouldPatch, WriteQueue,
};
use windlass_line::Line;
use windlass_sessions::{AskError, GatewayClient, Sessions, offers_method};

/// Most unused locks of agents that are kept.
const IDLE_LOCKS: usize = 1024;

/// An OpenClaw gateway. Make one per gateway and share it: writes are serialised and gathered inside.
#[derive(Debug)]
pub struct OpenClaw {
    /// The session API, with the retries of a control plane; its client makes all other calls, too.
    sessions: Sessions,
    /// One per agent that is being written to.
    locks: Mutex<HashMap<AgentId, Arc<tokio::sync::Mutex<()>>>>,
    /// Held over a request that changes the configuration.
    config_turn: tokio::sync::Mutex<()>,
    writer: Writer,
}

impl OpenClaw {
    /// A control plane over the session API of a gateway, with [`RetryPolicy::PROVISIONING`]. `seed` is for the jitter.
    pub fn new(sessions: Sessions, seed: u64) -> Self {
        Self {
            sessions: sessions.retry(RetryPolicy::PROVISIONING, seed),
            locks: Mutex::default(),
            config_turn: tokio::sync::Mutex::default(),
            writer: Writer::default(),
        }
    }

    /// The gateway's line.
    pub const fn line(&self) -> &Arc<Line> {
        self.sessions.line()
    }

    const fn client(&self) -> &GatewayClient {
        self.sessions.client()
    }

    /// Keeps other writers of this agent away while it is held.
    async fn only_writer(&self, id: &AgentId) -> tokio::sync::OwnedMutexGuard<()> {
        let own = {
            let mut locks = lock(&self.locks);
            if locks.len() >= IDLE_LOCKS {
                locks.retain(|_, held| Arc::strong_count(held) > 1);
            }
            Arc::clone(locks.entry(id.clone()).or_default())
        };
        own.lock_owned().await
    }

    async fn hello(&self) -> ControlResult<Arc<HelloOk>> {
        Ok(self.client().hello().await?)
    }

    async fn has_method(&self, method: &str) -> ControlResult<bool> {
        Ok(offers_method(&*self.hello().await?, method))
    }

    async fn config(&self) -> ControlResult<ConfigGetReply> {
        let answer = self.client().ask_raw(&ConfigGet::new(), Resend::Always).await?;
        let config = read_config(&answer).map_err(|error| AskError::shape::<ConfigGet>(&error))?;
        Ok(config)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ControlPlane for OpenClaw {
    async fn health(&self) -> ControlResult<()> {
        self.ask(&Health::new(), Resend::Always).await.map(drop)
    }

    async fn verdict(&self) -> ControlResult<Verdict> {
        Ok(self.sessions.verdict().await?)
    }

    async fn capabilities(&self) -> ControlResult<Capabilities> {
        let hello = self.hello().await?;
        let has = |method| offers_method(&hello, method);
        Ok(Capabilities {
            agents: has("agents.create") && has("agents.update"),
            files: has("agents.files.set") && has("agents.files.list"),
            scratch: has("cron.scratch.get") && has("cron.scratch.set"),
            delete_file: has("agents.files.delete"),
            sessions_before_turns: !releases::breaks_early_sessions(&hello.server.version),
        })
    }

    async fn roster(&self) -> ControlResult<Roster> {
        Ok(Roster::read(ConfigSnapshot::of(&self.config().await?).roster()))
    }

    async fn create_agent(&self, card: &AgentSpec) -> ControlResult<Created> {
        self.make_agent(card).await
    }

    async fn update_agent(&self, card: &AgentSpec, fresh: bool) -> ControlResult<()> {
        self.change_agent(card, fresh).await
    }

    async fn delete_agent(&self, id: &AgentId, delete_files: bool) -> ControlResult<Removal> {
        self.remove_agent(id, delete_files).await
    }

    async fn patch_agents(&self, entries: Vec<HeartbeatEntry>) -> ControlResult<Patched> {
        self.write_config(entries).await
    }

    async fn would_patch(&self, entries: &[HeartbeatEntry]) -> ControlResult<WouldPatch> {
        self.would_write_config(entries).await
    }

    fn writes(&self) -> WriteQueue {
        self.writer.queue(self.line().now())
    }

    async fn list_files(&self, id: &AgentId) -> ControlResult<Vec<FileEntry>> {
        self.files_of(id).await
    }

    async fn get_file(&self, id: &AgentId, name: &str) -> ControlResult<Option<String>> {
        self.read_file(id, name).await
    }

    async fn set_file(&self, id: &AgentId, name: &str, content: &str) -> ControlResult<FileWrite> {
        self.write_file(id, name, content).await
    }

    async fn delete_file(&self, id: &AgentId, name: &str) -> ControlResult<bool> {
        self.remove_file(id, name).await
    }

    async fn scratch(&self, id: &AgentId) -> ControlResult<Option<Scratch>> {
        self.read_scratch(id).await
    }

    async fn set_scratch(&self, id: &AgentId, content: &str) -> ControlResult<bool> {
        self.write_scratch(id, content).await
    }

    async fn session(&self, key: &SessionKey) -> ControlResult<Option<SessionInfo>> {
        self.find_session(key).await
    }

    async fn active_sessions(&self, within: Duration) -> ControlResult<Vec<SessionInfo>> {
        self.list_active(within).await
    }

    async fn ensure_session(&self, key: &SessionKey, label: Option<&str>) -> ControlResult<()> {
        self.make_session(key, label).await
    }

    async fn reset_session(&self, key: &SessionKey) -> ControlResult<bool> {
        self.empty_session(key).await
    }

    async fn delete_session(&self, key: &SessionKey) -> ControlResult<bool> {
        self.remove_session(key).await
    }

    async fn send(&self, message: &AgentMessage) -> ControlResult<()> {
        self.say(message).await
    }

    async fn was_answered(&self, key: &SessionKey, idempotency_key: &str, marker: &str) -> ControlResult<bool> {
        self.find_answer(key, idempotency_key, marker).await
    }
}
