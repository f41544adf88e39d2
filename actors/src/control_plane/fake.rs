//! A control plane in memory, for tests of what stands above it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use windlass_protocol::config::{HeartbeatEntry, Roster, RosterAgent, default_heartbeat};
use windlass_protocol::request::ChatSendStatus;
use windlass_protocol::{AgentId, Release, SessionKey, Verdict};

use super::{
    AgentCard, ControlError, ControlPlane, ControlResult, Created, FileEntry, FileWrite, Offers, Outgoing, Patched,
    Scratch, Sent, SessionInfo, Thing, WriteQueue,
};

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

/// The operations of a [`ControlPlane`], by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of the same name")]
pub enum Operation {
    Health,
    Verdict,
    Offers,
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
    WasSent,
}

/// What happens to the next call of an operation.
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
    calls: HashMap<Operation, u64>,
    faults: HashMap<Operation, VecDeque<Fault>>,
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
    pub fn fault(&self, operation: Operation, fault: Fault) {
        self.lock().faults.entry(operation).or_default().push_back(fault);
    }

    /// Takes back all faults that were ordered.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
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
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().calls.get(&operation).copied().unwrap_or(0)
    }

    /// What the gateway says of its release from now on.
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

    async fn enter(&self, operation: Operation) -> ControlResult<Course> {
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

    fn offers(&self) -> Offers {
        let agents = self.release != FakeRelease::ByConfig;
        Offers {
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
            .ok_or_else(|| ControlError::NotFound(Thing::Agent(id.to_string())))
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

    /// What stands there for an agent once its entry is merged in; nothing if that is what stands there now.
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
        }
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

#[async_trait]
impl ControlPlane for FakeControlPlane {
    async fn health(&self) -> ControlResult<()> {
        self.enter(Operation::Health).await?.end(()).await
    }

    async fn verdict(&self) -> ControlResult<Verdict> {
        let course = self.enter(Operation::Verdict).await?;
        let verdict = self.lock().verdict.clone();
        course.end(verdict).await
    }

    async fn offers(&self) -> ControlResult<Offers> {
        let course = self.enter(Operation::Offers).await?;
        let offers = self.lock().offers();
        course.end(offers).await
    }

    async fn roster(&self) -> ControlResult<Roster> {
        let course = self.enter(Operation::Roster).await?;
        let agents = self
            .lock()
            .agents
            .iter()
            .map(|(id, agent)| (id.clone(), agent.entry.clone()))
            .collect();
        course.end(Roster { agents }).await
    }

    async fn create_agent(&self, card: &AgentCard) -> ControlResult<Created> {
        let course = self.enter(Operation::CreateAgent).await?;
        let created = {
            let mut state = self.lock();
            if !state.offers().agents {
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

    async fn update_agent(&self, card: &AgentCard, _fresh: bool) -> ControlResult<()> {
        let course = self.enter(Operation::UpdateAgent).await?;
        {
            let mut state = self.lock();
            if state.offers().agents {
                let agent = state.agent(&card.id)?;
                agent.entry.name = Some(card.name.clone());
                agent.entry.workspace = Some(card.workspace.clone());
                state.effect(FakeEffect::AgentUpdated(card.id.clone()));
            }
        }
        course.end(()).await
    }

    async fn delete_agent(&self, id: &AgentId, _delete_files: bool) -> ControlResult<bool> {
        let course = self.enter(Operation::DeleteAgent).await?;
        let deleted = {
            let mut state = self.lock();
            if !state.offers().agents {
                return Err(ControlError::NotOffered {
                    method: "agents.delete",
                });
            }
            let there = state.agents.remove(id).is_some();
            state.sessions.retain(|key, _| key.agent_id().as_ref() != Some(id));
            if there {
                state.effect(FakeEffect::AgentDeleted(id.clone()));
            }
            there
        };
        course.end(deleted).await
    }

    async fn patch_agents(&self, entries: Vec<HeartbeatEntry>) -> ControlResult<Patched> {
        let course = self.enter(Operation::PatchAgents).await?;
        let patched = self.lock().patch(entries);
        course.end(patched).await
    }

    async fn would_patch(&self, entries: &[HeartbeatEntry]) -> ControlResult<bool> {
        let course = self.enter(Operation::WouldPatch).await?;
        let would = entries.iter().any(|entry| self.lock().merged(entry).is_some());
        course.end(would).await
    }

    fn writes(&self) -> WriteQueue {
        WriteQueue {
            written: self.lock().writes,
            ..WriteQueue::default()
        }
    }

    async fn list_files(&self, id: &AgentId) -> ControlResult<Vec<FileEntry>> {
        let course = self.enter(Operation::ListFiles).await?;
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
        let course = self.enter(Operation::GetFile).await?;
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
        let course = self.enter(Operation::SetFile).await?;
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
        self.enter(Operation::DeleteFile).await?.end(false).await
    }

    async fn scratch(&self, id: &AgentId) -> ControlResult<Option<Scratch>> {
        let course = self.enter(Operation::Scratch).await?;
        let scratch = {
            let state = self.lock();
            let offered = state.offers().scratch;
            state
                .agents
                .get(id)
                .filter(|_| offered)
                .map(|agent| agent.scratch.clone())
        };
        course.end(scratch).await
    }

    async fn set_scratch(&self, id: &AgentId, content: &str) -> ControlResult<bool> {
        let course = self.enter(Operation::SetScratch).await?;
        let written = {
            let mut state = self.lock();
            let offered = state.offers().scratch;
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
        let course = self.enter(Operation::Session).await?;
        let found = self.lock().sessions.get(key).map(|session| SessionInfo {
            key: key.clone(),
            label: session.label.clone(),
            session_id: Some(session.id.to_string()),
            updated_at_ms: None,
        });
        course.end(found).await
    }

    async fn ensure_session(&self, key: &SessionKey, label: Option<&str>) -> ControlResult<()> {
        let course = self.enter(Operation::EnsureSession).await?;
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
        let course = self.enter(Operation::ResetSession).await?;
        let reset = {
            let mut state = self.lock();
            let there = state.sessions.contains_key(key);
            if there {
                state.session(key).messages.clear();
                state.effect(FakeEffect::SessionReset(key.clone()));
            }
            there
        };
        course.end(reset).await
    }

    async fn delete_session(&self, key: &SessionKey) -> ControlResult<bool> {
        let course = self.enter(Operation::DeleteSession).await?;
        let deleted = {
            let mut state = self.lock();
            let agent = key.agent_id().filter(|agent| state.agents.contains_key(agent));
            if agent.is_some_and(|agent| SessionKey::main_of(&agent) == *key) && state.release == FakeRelease::Current {
                return Err(ControlError::NotAllowed(Thing::MainSession(key.to_string())));
            }
            let there = state.sessions.remove(key).is_some();
            if there {
                state.effect(FakeEffect::SessionDeleted(key.clone()));
            }
            there
        };
        course.end(deleted).await
    }

    async fn send(&self, message: &Outgoing) -> ControlResult<Sent> {
        let course = self.enter(Operation::Send).await?;
        let status = {
            let mut state = self.lock();
            if state.keys.contains_key(&message.idempotency_key) {
                ChatSendStatus::Ok
            } else {
                state.keys.insert(message.idempotency_key.clone(), message.key.clone());
                let row = (message.idempotency_key.clone(), message.text.clone());
                state.session(&message.key).messages.push(row);
                state.effect(FakeEffect::Sent(message.key.clone(), message.idempotency_key.clone()));
                ChatSendStatus::Started
            }
        };
        let run_id = message.idempotency_key.clone();
        course.end(Sent { run_id, status }).await
    }

    async fn was_sent(&self, key: &SessionKey, idempotency_key: &str, marker: &str) -> ControlResult<bool> {
        let course = self.enter(Operation::WasSent).await?;
        let found = {
            let state = self.lock();
            let rows = state.sessions.get(key).map(|session| session.messages.as_slice());
            let is_it = |(known, text): &(String, String)| {
                known == idempotency_key || (!marker.is_empty() && text.contains(marker))
            };
            rows.unwrap_or_default().iter().any(is_it)
        };
        course.end(found).await
    }
}
