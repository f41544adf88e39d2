//! The control plane of a gateway: one trait, the OpenClaw implementation over a line, and a fake in memory.
//!
//! Every operation here is a statement about how things should be, or a question, as far as the gateway's methods allow
//! it: repeating one after a lost answer changes nothing more. The exceptions are [`ControlPlane::reset_session`] and
//! [`ControlPlane::send`]: their callers keep a record of their own.
//!
//! | module | contents |
//! |---|---|
//! | `error` | errors, with their advice |
//! | `openclaw` | the implementation over a [`Line`](windlass_line::Line) |
//! | `writer` | configuration writes, gathered: one write for all that wait |
//! | `fake` | everything in memory, with faults to order |

mod error;
mod fake;
mod openclaw;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use windlass_protocol::config::{HeartbeatEntry, Roster};
use windlass_protocol::{AgentId, SessionKey, Verdict};

pub use error::{ConfigFault, ControlError, ResourceKind};
pub use fake::{FakeControlPlane, FakeEffect, FakeOperation, FakeRelease, Fault};
pub use openclaw::OpenClaw;

/// How an operation ends.
pub type ControlResult<T> = Result<T, ControlError>;

/// One gateway, as provisioning sees it.
///
/// Every operation waits for a line that is down, repeats calls that failed for a passing reason, and ends within the
/// implementation's retry budget. Dropping a future cancels the operation: no further call is made, except that
/// entries given to [`patch_agents`](Self::patch_agents) which already go out together with those of others stay in.
#[async_trait]
pub trait ControlPlane: fmt::Debug + Send + Sync + 'static {
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
    async fn send(&self, message: &AgentMessage) -> ControlResult<()>;

    /// Whether the agent said something in the session after a message, which is known by its idempotency key where the release
    /// keeps it, else by a text that it alone contains. The order of the history's rows counts, no clock. A session that was
    /// reset since knows of no answer.
    async fn was_answered(&self, key: &SessionKey, idempotency_key: &str, marker: &str) -> ControlResult<bool>;
}

/// An agent as the gateway should know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSpec {
    /// Its id.
    pub id: AgentId,
    /// The name shown.
    pub name: String,
    /// Its folder on the gateway's host.
    pub workspace: String,
}

/// The operations that a gateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a release")]
pub struct Capabilities {
    /// `agents.create`, `agents.update`, `agents.delete` (from 2026.2 on).
    pub agents: bool,
    /// `agents.files.*` (from 2026.2 on).
    pub files: bool,
    /// Heartbeat monitors with a scratch (from 2026.8 on).
    pub scratch: bool,
    /// `agents.files.delete` (no measured release).
    pub delete_file: bool,
    /// Whether a session may be made before its first turn (all but 2026.6.11, where that session breaks).
    pub sessions_before_turns: bool,
}

/// The result of [`ControlPlane::create_agent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was made now: for a moment other methods may not know it yet.
    Fresh,
    /// It was there.
    AlreadyThere,
    /// Nothing was sent: this gateway takes agents by configuration only.
    ByConfig,
}

/// The result of [`ControlPlane::patch_agents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patched {
    /// All of it stood there: nothing was sent.
    Unchanged,
    /// Something was written: for this caller, for others that waited with it, or a setting of the whole gateway.
    Written {
        /// Whether the gateway restarts because of it (up to 2026.3).
        restarts: bool,
        /// Whether an entry of this caller was different, and was written.
        own: bool,
    },
}

/// The settings that a change to the configuration would write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WouldPatch {
    /// An entry of the agents that were asked about.
    pub agents: bool,
    /// A setting of the whole gateway that heartbeats need: no change of any agent.
    pub settings: bool,
}

impl WouldPatch {
    /// Whether anything would be written.
    pub const fn any(self) -> bool {
        self.agents || self.settings
    }
}

/// How an agent was taken off its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// There was none.
    NotThere,
    /// By the gateway's own method, with all that belongs to it.
    Deleted,
    /// Out of the configuration only: its files stay on the gateway's host. Where there is no `agents.delete` (2026.1.30), and
    /// where the gateway refuses it because the agents are in an included file (2026.9.6).
    FromConfig,
}

/// The queue of configuration writes of one gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteQueue {
    /// Calls of [`patch_agents`](ControlPlane::patch_agents) that wait for their write.
    pub waiting: usize,
    /// How long the next write has to wait for the gateway's limit; nothing when none waits for it.
    pub next_write_in: Option<Duration>,
    /// The gateway's limit, writes per time, as far as it is known: a gateway tells it only when it is reached.
    pub limit: Option<(u32, Duration)>,
    /// Writes that the gateway accepted, since this control plane was made.
    pub written: u64,
}

/// A file that the gateway names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// For example `SOUL.md`.
    pub name: String,
    /// Whether it does not exist.
    pub missing: bool,
}

/// The result of [`ControlPlane::set_file`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileWrite {
    /// It stands there now.
    Written,
    /// The gateway takes no file of this name.
    Unsupported,
}

/// A heartbeat scratch. `Debug` shows its length only: it may hold confidential instructions.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Scratch {
    /// The text, if there is one.
    pub content: Option<String>,
    /// Counts up with every write.
    pub revision: u64,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch")
            .field("bytes", &self.content.as_ref().map(String::len))
            .field("revision", &self.revision)
            .finish()
    }
}

/// A session, as far as provisioning looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its full key.
    pub key: SessionKey,
    /// Its label.
    pub label: Option<String>,
    /// Its transcript.
    pub session_id: Option<String>,
    /// When it changed last, in ms since 1970.
    pub updated_at_ms: Option<u64>,
}

/// A message to an agent. `Debug` shows the length of the text only.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentMessage {
    /// In which session.
    pub key: SessionKey,
    /// The text.
    pub text: String,
    /// Whether the answer also goes out over the session's channel.
    pub deliver: bool,
    /// One per message, kept for every attempt to send it.
    pub idempotency_key: String,
    /// Whether an earlier attempt has an unknown outcome: then the gateway is asked for it first.
    pub tried_before: bool,
    /// How long to try.
    pub within: Duration,
}

impl fmt::Debug for AgentMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentMessage")
            .field("key", &self.key)
            .field("bytes", &self.text.len())
            .field("deliver", &self.deliver)
            .field("idempotency_key", &self.idempotency_key)
            .field("tried_before", &self.tried_before)
            .field("within", &self.within)
            .finish()
    }
}
