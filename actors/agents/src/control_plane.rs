//! The control plane of a gateway: one trait, the OpenClaw implementation over a line, and a fake in memory.
//!
//! Every operation here is a statement about how things should be, or a question, as far as the gateway's methods allow
//! it: repeating one after a lost answer changes nothing more. The exceptions are [`ControlPlane::reset_session`] and
//! [`ControlPlane::send`]: their callers keep a record of their own.
//!
//! | module | contents |
//! |---|---|
//! | `types` | arguments and results |
//! | `error` | errors, with their advice |
//! | `openclaw` | the implementation over a [`Line`](windlass_line::Line) |
//! | `writer` | configuration writes, gathered: one write for all that wait |
//! | `fake` | everything in memory, with faults to order |

mod error;
mod fake;
mod openclaw;
mod types;

use std::time::Duration;

use async_trait::async_trait;
use windlass_protocol::config::{HeartbeatEntry, Roster};
use windlass_protocol::{AgentId, SessionKey, Verdict};

pub use error::{ConfigFault, ControlError, ResourceKind};
pub use fake::{FakeControlPlane, FakeEffect, FakeOperation, FakeRelease, Fault};
pub use openclaw::OpenClaw;
pub use types::{
    AgentSpec, Capabilities, Created, FileEntry, FileWrite, Outgoing, Patched, Removal, Scratch, SessionInfo,
    WouldPatch, WriteQueue,
};

/// How an operation ends.
pub type ControlResult<T> = Result<T, ControlError>;

/// One gateway, as provisioning sees it.
///
/// Every operation waits for a line that is down, repeats calls that failed for a passing reason, and ends within the
/// implementation's retry budget. Dropping a future cancels the operation: no further call is made, except that
/// entries given to [`patch_agents`](Self::patch_agents) which already go out together with those of others stay in.
#[async_trait]
pub trait ControlPlane: std::fmt::Debug + Send + Sync + 'static {
    /// Whether the gateway answers at all.
    async fn health(&self) -> ControlResult<()>;

    /// Whether its release is supported. That it is not, or not known, is an answer and not an error.
    async fn verdict(&self) -> ControlResult<Verdict>;

    /// Which of the operations below it has.
    async fn capabilities(&self) -> ControlResult<Capabilities>;

    /// The configured agents. One `config.get`.
    async fn roster(&self) -> ControlResult<Roster>;

    /// Makes an agent. That it is there already is no error, but says so.
    ///
    /// Where there is no `agents.create` (2026.1.30) nothing is sent: the agent comes by
    /// [`patch_agents`](Self::patch_agents).
    async fn create_agent(&self, card: &AgentSpec) -> ControlResult<Created>;

    /// Sets an agent's name and workspace. `fresh`: it was made a moment ago, so that "not found" is waited for and not
    /// an error at once.
    ///
    /// Does nothing where there is no `agents.update` (2026.1.30).
    async fn update_agent(&self, card: &AgentSpec, fresh: bool) -> ControlResult<()>;

    /// Deletes an agent. Where the gateway has no method for it, or refuses to use it, the agent is taken out of the
    /// configuration: see [`Removal::FromConfig`].
    async fn delete_agent(&self, id: &AgentId, delete_files: bool) -> ControlResult<Removal>;

    /// Sets workspace and heartbeat of any number of agents, in as few writes as there can be: entries that come
    /// while a write waits or runs go out in the next one. Nothing is sent when nothing would change, nor an entry that the
    /// gateway's own schema refuses. Where the write restarts the gateway, this returns when it is back. Where the gateway
    /// keeps a part of its configuration in an included file (2026.9.6), each section is a write of its own.
    async fn patch_agents(&self, entries: Vec<HeartbeatEntry>) -> ControlResult<Patched>;

    /// Says what kinds of settings [`patch_agents`](Self::patch_agents) would write, without writing.
    async fn would_patch(&self, entries: &[HeartbeatEntry]) -> ControlResult<WouldPatch>;

    /// The queue of configuration writes.
    fn writes(&self) -> WriteQueue;

    /// The files that the gateway names, those that are missing included. Empty where there are no file methods.
    async fn list_files(&self, id: &AgentId) -> ControlResult<Vec<FileEntry>>;

    /// The text of a file; `None` where it does not exist, or the gateway takes no such file.
    async fn get_file(&self, id: &AgentId, name: &str) -> ControlResult<Option<String>>;

    /// Writes a file. Writes to one agent go one after another. That the gateway takes no such file is an answer.
    async fn set_file(&self, id: &AgentId, name: &str, content: &str) -> ControlResult<FileWrite>;

    /// Deletes a file; `false` where it does not exist or can't be deleted (no measured release can).
    async fn delete_file(&self, id: &AgentId, name: &str) -> ControlResult<bool>;

    /// The agent's heartbeat scratch; nothing where the gateway has none for it.
    async fn scratch(&self, id: &AgentId) -> ControlResult<Option<Scratch>>;

    /// Writes the agent's heartbeat scratch; `false` where the gateway has none for it.
    async fn set_scratch(&self, id: &AgentId, content: &str) -> ControlResult<bool>;

    /// A session, if it exists.
    async fn session(&self, key: &SessionKey) -> ControlResult<Option<SessionInfo>>;

    /// The sessions that changed within this time, by the gateway's clock.
    async fn active_sessions(&self, within: Duration) -> ControlResult<Vec<SessionInfo>>;

    /// Makes a session if there is none, and labels it where the label is free.
    ///
    /// Not before the first turn on 2026.6.11, where a session made like this breaks at its second turn:
    /// [`Capabilities::sessions_before_turns`] says so, and [`send`](Self::send) makes the session by itself.
    async fn ensure_session(&self, key: &SessionKey, label: Option<&str>) -> ControlResult<()>;

    /// Empties a session; `false` if there is none, which stays so. Each call is a reset of its own.
    async fn reset_session(&self, key: &SessionKey) -> ControlResult<bool>;

    /// Deletes a session; `false` if there is none, or if it is that of an agent which is gone. The main session of an
    /// agent that lives is an error where the gateway keeps it ([`ResourceKind::MainSession`], from 2026.8 on).
    async fn delete_session(&self, key: &SessionKey) -> ControlResult<bool>;

    /// Hands a message to a session, which is made if there is none, exactly once: an attempt of unknown outcome is looked up
    /// before another one. Returns when the gateway has taken the message, and does not wait for the answer.
    async fn send(&self, message: &Outgoing) -> ControlResult<()>;

    /// Whether the agent said something in the session after a message, which is known by its idempotency key where the release
    /// keeps it, else by a text that it alone contains. The order of the history's rows counts, no clock. A session that was
    /// reset since knows of no answer.
    async fn was_answered(&self, key: &SessionKey, idempotency_key: &str, marker: &str) -> ControlResult<bool>;
}
