//! A control plane in memory, for tests of the parts above it.

mod plane;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::Notify;
use windlass_protocol::config::{HeartbeatEntry, RosterAgent, default_heartbeat};
use windlass_protocol::{AgentId, Release, SessionKey, Verdict};

use super::{Capabilities, ControlError, ControlResult, Patched, ResourceKind, Scratch, SessionInfo};

/// How many effects are remembered; later ones are counted only. A test never gets here.
const EFFECTS: usize = 100_000;

/// Which gateway the fake is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FakeRelease {
    /// 2026.1.30: no agent methods, no files, agents by configuration.
    ByConfig,
    /// 2026.2 to 2026.7: eight files, no scratch.
    Classic,
    /// From 2026.8 on: six files of which five are listed, scratch.
    #[default]
    Current,
}

/// Something that changed the fake gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FakeEffect {
    /// An agent was made.
    AgentCreated(AgentId),
    /// An agent's name or workspace was set.
    AgentUpdated(AgentId),
    /// An agent was deleted.
    AgentDeleted(AgentId),
    /// The configuration was written, for these agents.
    ConfigWritten(Vec<AgentId>),
    /// A file was written.
    FileWritten(AgentId, String),
    /// A file was deleted.
    FileDeleted(AgentId, String),
    /// A scratch was written.
    ScratchWritten(AgentId),
    /// A session was made or labelled.
    SessionPatched(SessionKey),
    /// A session was reset.
    SessionReset(SessionKey),
    /// A session was deleted.
    SessionDeleted(SessionKey),
    /// A message was taken; one that was known by its key is not counted again.
    Sent(SessionKey, String),
}

/// The operations of a [`ControlPlane`](super::ControlPlane), by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of the same name")]
pub enum FakeOperation {
    Health,
    Verdict,
    Capabilities,
    Roster,
    CreateAgent,
    UpdateAgent,
    DeleteAgent,
    PatchAgents,
    WouldPatch,
    ListFiles,
    GetFile,
    SetFile,
    DeleteFile,
    Scratch,
    SetScratch,
    Session,
    EnsureSession,
    ResetSession,
    DeleteSession,
    Send,
    WasAnswered,
}

/// A fault of the next call of an operation.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails and nothing was done.
    Before(ControlError),
    /// It is done, and fails all the same: the answer was lost.
    After(ControlError),
    /// It never returns, and nothing was done.
    HangBefore,
    /// It is done, and never returns.
    HangAfter,
    /// It waits until this is notified.
    Wait(Arc<Notify>),
    /// Nothing special: lets a fault come at the n-th call.
    Pass,
}

#[derive(Clone, Debug, Default)]
struct FakeAgent {
    entry: RosterAgent,
    files: BTreeMap<String, String>,
    scratch: Scratch,
}

#[derive(Clone, Debug, Default)]
struct FakeSession {
    label: Option<String>,
    id: u64,
    /// Idempotency key and text.
    messages: Vec<(String, String)>,
    /// Whether the agent said something after the last of them.
    answered: bool,
    /// When it changed, where a test says so.
    updated_at_ms: Option<u64>,
}

#[derive(Debug)]
struct State {
    release: FakeRelease,
    verdict: Verdict,
    sessions_before_turns: bool,
    agents: BTreeMap<AgentId, FakeAgent>,
    sessions: BTreeMap<SessionKey, FakeSession>,
    keys: BTreeMap<String, SessionKey>,
    effects: Vec<FakeEffect>,
    calls: HashMap<FakeOperation, u64>,
    faults: HashMap<FakeOperation, VecDeque<Fault>>,
    writes: u64,
    next_session: u64,
}

/// A gateway in memory. Cheap to clone; all clones are the same gateway, which stays when one "process" is dropped.
#[derive(Clone, Debug)]
pub struct FakeControlPlane {
    state: Arc<Mutex<State>>,
}

impl Default for FakeControlPlane {
    fn default() -> Self {
        Self::new(FakeRelease::default())
    }
}

/// How to go on after the faults were looked at.
enum Course {
    Normal,
    ThenFail(ControlError),
    ThenHang,
}

impl Course {
    async fn end<T>(self, value: T) -> ControlResult<T> {
        match self {
            Self::Normal => Ok(value),
            Self::ThenFail(error) => Err(error),
            Self::ThenHang => std::future::pending().await,
        }
    }
}

impl FakeControlPlane {
    /// A gateway like this release, with its agent `main`.
    pub fn new(release: FakeRelease) -> Self {
        let version = match release {
            FakeRelease::ByConfig => Release::new(2026, 1, 30),
            FakeRelease::Classic => Release::new(2026, 3, 13),
            FakeRelease::Current => Release::new(2026, 9, 6),
        };
        let main = AgentId::parse("main").map(|id| (id, FakeAgent::default()));
        let state = State {
            release,
            verdict: Verdict::Supported { version },
            sessions_before_turns: true,
            agents: main.into_iter().collect(),
            sessions: BTreeMap::new(),
            keys: BTreeMap::new(),
            effects: Vec::new(),
            calls: HashMap::new(),
            faults: HashMap::new(),
            writes: 0,
            next_session: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Orders a fault for the next call of an operation that has none ordered yet. Several queue up.
    pub fn fault(&self, operation: FakeOperation, fault: Fault) {
        self.lock().faults.entry(operation).or_default().push_back(fault);
    }

    /// Takes back all faults that were ordered.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// A session changed at this time, in ms since 1970.
    pub fn change_session(&self, key: &SessionKey, at_ms: u64) {
        self.lock().session(key).updated_at_ms = Some(at_ms);
    }

    /// The agent says something in its session; no event tells of it.
    pub fn answer(&self, key: &SessionKey) {
        self.lock().session(key).answered = true;
    }

    /// All that changed, oldest first.
    pub fn effects(&self) -> Vec<FakeEffect> {
        self.lock().effects.clone()
    }

    /// How many effects `wanted` takes.
    pub fn count(&self, wanted: impl Fn(&FakeEffect) -> bool) -> usize {
        self.lock().effects.iter().filter(|effect| wanted(effect)).count()
    }

    /// How often an operation was called, refused calls included.
    pub fn calls(&self, operation: FakeOperation) -> u64 {
        self.lock().calls.get(&operation).copied().unwrap_or(0)
    }

    /// Sets the verdict on the gateway's release.
    pub fn set_verdict(&self, verdict: Verdict) {
        self.lock().verdict = verdict;
    }

    /// Whether a session may be made before its first turn; not so on 2026.6.11.
    pub fn set_sessions_before_turns(&self, may: bool) {
        self.lock().sessions_before_turns = may;
    }

    /// Updates the gateway, or takes it back: agents stay, and so do their files.
    pub fn set_release(&self, release: FakeRelease) {
        self.lock().release = release;
    }

    /// The gateway forgets which messages it took, as a restart makes it.
    pub fn forget_keys(&self) {
        self.lock().keys.clear();
    }

    /// A file as it stands there.
    pub fn file(&self, id: &AgentId, name: &str) -> Option<String> {
        self.lock().agents.get(id)?.files.get(name).cloned()
    }

    /// All files of an agent as they stand there.
    pub fn files(&self, id: &AgentId) -> BTreeMap<String, String> {
        let state = self.lock();
        state
            .agents
            .get(id)
            .map(|agent| agent.files.clone())
            .unwrap_or_default()
    }

    /// Puts a file there without an effect, as the agent itself would; `None` deletes it. Nothing happens if there is no
    /// such agent.
    pub fn put_file(&self, id: &AgentId, name: &str, content: Option<&str>) {
        if let Some(agent) = self.lock().agents.get_mut(id) {
            match content {
                Some(content) => drop(agent.files.insert(name.to_owned(), content.to_owned())),
                None => drop(agent.files.remove(name)),
            }
        }
    }

    /// The texts that a session was sent, oldest first.
    pub fn messages(&self, key: &SessionKey) -> Vec<String> {
        let state = self.lock();
        let session = state.sessions.get(key);
        session.map_or_else(Vec::new, |session| {
            session.messages.iter().map(|(_, text)| text.clone()).collect()
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn enter(&self, operation: FakeOperation) -> ControlResult<Course> {
        let fault = {
            let mut state = self.lock();
            *state.calls.entry(operation).or_default() += 1;
            state.faults.get_mut(&operation).and_then(VecDeque::pop_front)
        };
        match fault {
            None | Some(Fault::Pass) => Ok(Course::Normal),
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => Ok(Course::ThenFail(error)),
            Some(Fault::HangBefore) => std::future::pending().await,
            Some(Fault::HangAfter) => Ok(Course::ThenHang),
            Some(Fault::Wait(gate)) => {
                gate.notified().await;
                Ok(Course::Normal)
            }
        }
    }
}

impl State {
    fn effect(&mut self, effect: FakeEffect) {
        if self.effects.len() < EFFECTS {
            self.effects.push(effect);
        }
    }

    fn capabilities(&self) -> Capabilities {
        let agents = self.release != FakeRelease::ByConfig;
        Capabilities {
            agents,
            files: agents,
            scratch: self.release == FakeRelease::Current,
            delete_file: false,
            sessions_before_turns: self.sessions_before_turns,
        }
    }

    fn agent(&mut self, id: &AgentId) -> ControlResult<&mut FakeAgent> {
        self.agents
            .get_mut(id)
            .ok_or_else(|| ControlError::NotFound(ResourceKind::Agent(id.to_string())))
    }

    fn takes(&self, name: &str) -> bool {
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

    fn listed(&self) -> &'static [&'static str] {
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
    fn merged(&self, entry: &HeartbeatEntry) -> Option<RosterAgent> {
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

    fn patch(&mut self, entries: Vec<HeartbeatEntry>) -> Patched {
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

    fn has_message(&self, key: &SessionKey, idempotency_key: &str) -> bool {
        let session = self.sessions.get(key);
        session.is_some_and(|session| session.messages.iter().any(|(known, _)| known == idempotency_key))
    }

    fn changed_sessions(&self) -> Vec<SessionInfo> {
        let changed = self
            .sessions
            .iter()
            .filter(|(_, session)| session.updated_at_ms.is_some());
        changed.map(|(key, session)| session.info(key)).collect()
    }

    fn session(&mut self, key: &SessionKey) -> &mut FakeSession {
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
    fn info(&self, key: &SessionKey) -> SessionInfo {
        SessionInfo {
            key: key.clone(),
            label: self.label.clone(),
            session_id: Some(self.id.to_string()),
            updated_at_ms: self.updated_at_ms,
        }
    }
}
