//! Arguments and results of a control plane.

use std::fmt;
use std::time::Duration;

use windlass_protocol::{AgentId, SessionKey};

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

/// The result of [`ControlPlane::create_agent`](super::ControlPlane::create_agent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was made now: for a moment other methods may not know it yet.
    Fresh,
    /// It was there.
    AlreadyThere,
    /// Nothing was sent: this gateway takes agents by configuration only.
    ByConfig,
}

/// The result of [`ControlPlane::patch_agents`](super::ControlPlane::patch_agents).
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
    /// Calls of [`patch_agents`](super::ControlPlane::patch_agents) that wait for their write.
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

/// The result of [`ControlPlane::set_file`](super::ControlPlane::set_file).
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
pub struct Outgoing {
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

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("key", &self.key)
            .field("bytes", &self.text.len())
            .field("deliver", &self.deliver)
            .field("idempotency_key", &self.idempotency_key)
            .field("tried_before", &self.tried_before)
            .field("within", &self.within)
            .finish()
    }
}
