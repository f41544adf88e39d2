//! The control plane of an OpenClaw gateway, over its line.
//!
//! Facts about a gateway are taken from what it shows: its methods from the hello, the form of its roster from the
//! configuration, the keys that it takes from its own schema. What only a text tells stands in `rules`.

mod agents;
mod answers;
mod ask;
mod files;
mod removal;
pub(crate) mod rules;
mod scratch;
mod sessions;
mod turn;
mod writer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use windlass_protocol::config::{ConfigSnapshot, HeartbeatEntry, Roster, read_config};
use windlass_protocol::connection::Resend;
use windlass_protocol::request::{ConfigGet, ConfigGetReply, Health};
use windlass_protocol::{AgentId, HelloOk, RetryPolicy, SessionKey, Verdict};

use self::writer::Writer;
use super::{
    AgentCard, ControlError, ControlPlane, ControlResult, Created, FileEntry, FileWrite, Offers, Outgoing, Patched,
    Removal, Scratch, Sent, SessionInfo, WouldPatch, WriteQueue,
};
use crate::Line;

/// How long one attempt of a call may take, the wait for the line included. Deleting an agent takes 2.7 s on an idle
/// 2026.9.6; the rest is for gateways that are not idle.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Most agents whose lock is kept while nobody holds it.
const IDLE_LOCKS: usize = 1024;

/// An OpenClaw gateway. Make one per gateway and share it: writes are serialised and gathered inside.
#[derive(Debug)]
pub struct OpenClaw {
    line: Arc<Line>,
    retry: RetryPolicy,
    call_timeout: Duration,
    rng: Mutex<StdRng>,
    /// One per agent that is being written to.
    locks: Mutex<HashMap<AgentId, Arc<tokio::sync::Mutex<()>>>>,
    /// Held over a request that changes the configuration.
    config_turn: tokio::sync::Mutex<()>,
    writer: Writer,
}

impl OpenClaw {
    /// Over this line, with the retry policy of provisioning. `seed` is what its jitter is drawn from.
    pub fn new(line: Arc<Line>, seed: u64) -> Self {
        Self {
            line,
            retry: RetryPolicy::PROVISIONING,
            call_timeout: CALL_TIMEOUT,
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            locks: Mutex::default(),
            config_turn: tokio::sync::Mutex::default(),
            writer: Writer::default(),
        }
    }

    /// With another retry policy.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// With another time for one attempt of a call, the wait for the line included.
    pub fn with_call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// The gateway's line.
    pub fn line(&self) -> &Arc<Line> {
        &self.line
    }

    fn with_rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut lock(&self.rng))
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

    /// How the gateway last introduced itself; waits for the line where it never did.
    async fn hello(&self) -> ControlResult<Arc<HelloOk>> {
        let known = || self.line.status().borrow().hello.clone();
        if let Some(hello) = known() {
            return Ok(hello);
        }
        self.health().await?;
        known().ok_or(ControlError::Shape {
            method: "connect",
            why: "there is no hello although the line was up".into(),
        })
    }

    async fn has_method(&self, method: &str) -> ControlResult<bool> {
        Ok(offers_method(&*self.hello().await?, method))
    }

    async fn config(&self) -> ControlResult<ConfigGetReply> {
        let answer = self.ask_raw(&ConfigGet::new(), None, Resend::Always).await?;
        read_config(&answer).map_err(|error| ask::shape::<ConfigGet>(&error))
    }
}

fn offers_method(hello: &HelloOk, method: &str) -> bool {
    let methods = hello.features.methods.as_deref().unwrap_or_default();
    methods.iter().any(|known| known == method)
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
        let hello = self.hello().await?;
        let version = Some(hello.server.version.as_str());
        if !Verdict::needs_config(version) {
            return Ok(Verdict::of(version, None));
        }
        let reply = self.config().await?;
        let touched = [&reply.config, &reply.resolved, &reply.parsed]
            .into_iter()
            .flatten()
            .find_map(|config| config.pointer("/meta/lastTouchedVersion")?.as_str());
        Ok(Verdict::of(version, touched))
    }

    async fn offers(&self) -> ControlResult<Offers> {
        let hello = self.hello().await?;
        let has = |method| offers_method(&hello, method);
        Ok(Offers {
            agents: has("agents.create") && has("agents.update"),
            files: has("agents.files.set") && has("agents.files.list"),
            scratch: has("cron.scratch.get") && has("cron.scratch.set"),
            delete_file: has("agents.files.delete"),
            sessions_before_turns: !rules::breaks_early_sessions(&hello.server.version),
        })
    }

    async fn roster(&self) -> ControlResult<Roster> {
        Ok(Roster::read(ConfigSnapshot::of(&self.config().await?).roster()))
    }

    async fn create_agent(&self, card: &AgentCard) -> ControlResult<Created> {
        self.make_agent(card).await
    }

    async fn update_agent(&self, card: &AgentCard, fresh: bool) -> ControlResult<()> {
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
        self.writer.queue(self.line.now())
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

    async fn ensure_session(&self, key: &SessionKey, label: Option<&str>) -> ControlResult<()> {
        self.make_session(key, label).await
    }

    async fn reset_session(&self, key: &SessionKey) -> ControlResult<bool> {
        self.empty_session(key).await
    }

    async fn delete_session(&self, key: &SessionKey) -> ControlResult<bool> {
        self.remove_session(key).await
    }

    async fn send(&self, message: &Outgoing) -> ControlResult<Sent> {
        self.say(message).await
    }

    async fn was_sent(&self, key: &SessionKey, idempotency_key: &str, marker: &str) -> ControlResult<bool> {
        self.find_message(key, idempotency_key, marker).await
    }

    async fn was_answered(&self, key: &SessionKey, idempotency_key: &str, marker: &str) -> ControlResult<bool> {
        self.find_answer(key, idempotency_key, marker).await
    }
}

/// Whether some JSON has this text as a whole value anywhere in it.
fn has_text(value: &Value, fits: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => fits(text),
        Value::Array(items) => items.iter().any(|item| has_text(item, fits)),
        Value::Object(members) => members.values().any(|member| has_text(member, fits)),
        _ => false,
    }
}
