//! A backend over a map of texts, as a server for keys and values would have it. Organizations, activities and rights are its own;
//! the other records are those of a store in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use serde_json::Value;
use windlass_protocol::SessionKey;
use windlass_store::backend::{self, check};
use windlass_store::limits::LIST_LIMIT;
use windlass_store::{
    Acknowledged, Activities, Activity, ActivityFilter, Agent, AgentFilter, AgentUid, Agents, ApiTokenId,
    ApiTokenRecord, ApiTokens, Appended, Attempt, Board, BoardFilter, BoardId, BoardMemory, BoardMemoryEntry,
    BoardMemoryFilter, BoardMemoryPage, Boards, ChatSend, CheckIn, ClockStep, Consumer, Creator, Cursor, Extent,
    Gateway, GatewayUid, Gateways, Guard, Journal, JournalFilter, MemoryStore, NewActivity, NewEntry, NewSend,
    Organization, OrganizationId, Organizations, OwnError, Ownership, Page, Pruned, ReaderId, Retention, Right, Run,
    RunId, Runs, SendEnd, SendFilter, Sends, Step, Store, StoreError, Timestamp, TokenHash,
};

/// A right that is leased: whoever holds the newest number has it, until it expires.
#[derive(Debug, Default)]
struct Leases {
    next: AtomicU64,
    agents: AtomicU64,
    sends: AtomicU64,
    journal: AtomicU64,
}

impl Leases {
    fn of(&self, right: Right) -> &AtomicU64 {
        match right {
            Right::Agents => &self.agents,
            Right::Sends => &self.sends,
            Right::Journal => &self.journal,
        }
    }
}

struct Lease {
    leases: Arc<Leases>,
    right: Right,
    number: u64,
}

impl Guard for Lease {
    fn is_held(&self) -> bool {
        self.leases.of(self.right).load(Ordering::SeqCst) == self.number
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let slot = self.leases.of(self.right);
        // Gives back its own lease only.
        let _ = slot.compare_exchange(self.number, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct TextStore {
    texts: Mutex<BTreeMap<String, String>>,
    leases: Arc<Leases>,
    memory: MemoryStore,
}

impl TextStore {
    pub(crate) fn new() -> Self {
        Self {
            texts: Mutex::default(),
            leases: Arc::default(),
            memory: MemoryStore::new(),
        }
    }

    /// Takes the right to write the journal on behalf of a node.
    pub(crate) fn own_journal_for(&self, node: u32) -> Result<Ownership, OwnError> {
        self.lease(Right::Journal, node)
    }

    /// All leases run out.
    pub(crate) fn expire(&self) {
        for right in [Right::Agents, Right::Sends, Right::Journal] {
            self.leases.of(right).store(0, Ordering::SeqCst);
        }
    }

    fn lease(&self, right: Right, node: u32) -> Result<Ownership, OwnError> {
        let number = self.leases.next.fetch_add(1, Ordering::SeqCst) + 1;
        let slot = self.leases.of(right);
        match slot.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                let leases = Arc::clone(&self.leases);
                Ok(Ownership::new(right, Lease { leases, right, number }))
            }
            Err(_) => Err(OwnError::Owned {
                right,
                holder: Some(format!("node-{node}")),
                lock: None,
            }),
        }
    }

    async fn texts(&self) -> Result<MutexGuard<'_, BTreeMap<String, String>>, StoreError> {
        // The store in memory knows whether it is closed.
        self.memory.organizations().await?;
        Ok(self.texts.lock().unwrap())
    }
}

fn parsed<T>(text: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T, StoreError> {
    let value = serde_json::from_str(text).ok();
    value.as_ref().and_then(read).ok_or_else(|| StoreError::Damaged {
        what: "a text".to_owned(),
    })
}

fn read_organization(value: &Value) -> Option<Organization> {
    Some(Organization {
        id: value["id"].as_str()?.parse().ok()?,
        name: value["name"].as_str()?.to_owned(),
        owner: serde_json::from_value(value["owner"].clone()).ok()?,
    })
}

fn read_activity(value: &Value) -> Option<Activity> {
    let id = |name: &str| value[name].as_str();
    Some(Activity {
        id: value["id"].as_i64()?,
        kind: value["kind"].as_str()?.to_owned(),
        message: value["message"].as_str()?.to_owned(),
        agent_id: id("agent").map(str::parse).transpose().ok()?,
        board_id: id("board").map(str::parse).transpose().ok()?,
        actor: id("actor").map(str::to_owned),
        source: id("source").map(str::to_owned),
        at: Timestamp::from_millis(value["at"].as_i64()?),
    })
}

#[async_trait]
impl Organizations for TextStore {
    async fn put_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        organization.check()?;
        check::json("organization", organization)?;
        self.memory.put_organization(organization).await?;
        let text = serde_json::to_string(organization).unwrap();
        self.texts()
            .await?
            .insert(format!("organization/{}", organization.id), text);
        Ok(())
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        let texts = self.texts().await?;
        let text = texts.get(&format!("organization/{id}"));
        text.map(|text| parsed(text, read_organization)).transpose()
    }

    async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let texts = self.texts().await?;
        let found = texts.range("organization/".to_owned().."organization0".to_owned());
        let mut found = found
            .map(|(_, text)| parsed(text, read_organization))
            .collect::<Result<Vec<_>, _>>()?;
        if found.len() > LIST_LIMIT {
            return Err(StoreError::TooMany {
                what: "organizations",
                limit: LIST_LIMIT,
            });
        }
        found.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
        Ok(found)
    }
}

#[async_trait]
impl Activities for TextStore {
    async fn record(&self, activity: &NewActivity) -> Result<Activity, StoreError> {
        activity.check()?;
        let mut texts = self.texts().await?;
        let last: i64 = texts.get("last_activity").map_or(0, |last| last.parse().unwrap());
        let stored = activity.numbered(last + 1);
        let text = serde_json::json!({
            "id": stored.id,
            "kind": stored.kind,
            "message": stored.message,
            "agent": stored.agent_id,
            "board": stored.board_id,
            "actor": stored.actor,
            "source": stored.source,
            "at": stored.at.as_millis(),
        });
        texts.insert("last_activity".to_owned(), stored.id.to_string());
        texts.insert(format!("activity/{:020}", stored.id), text.to_string());
        Ok(stored)
    }

    async fn activities(
        &self,
        filter: &ActivityFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        let texts = self.texts().await?;
        let all = texts.range("activity/".to_owned().."activity0".to_owned());
        let all = all.map(|(_, text)| parsed(text, read_activity));
        let mut found = all.collect::<Result<Vec<_>, _>>()?;
        found.retain(|activity| filter.takes(activity) && after.is_none_or(|after| activity.id > after));
        let limit = backend::page_size(limit);
        let surplus = found.len().saturating_sub(limit);
        match after {
            Some(_) => found.truncate(limit),
            None => drop(found.drain(..surplus)),
        }
        Ok(found)
    }

    async fn prune_activities(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut texts = self.texts().await?;
        let all = texts.range("activity/".to_owned().."activity0".to_owned());
        let is_old = |text: &str| parsed(text, read_activity).is_ok_and(|found| found.at < before);
        let old = all.filter(|(_, text)| is_old(text)).map(|(key, _)| key.clone());
        let old: Vec<String> = old.take(backend::page_size(limit)).collect();
        for key in &old {
            texts.remove(key);
        }
        Ok(old.len() as u64)
    }
}

/// A hash that went through a column of text.
fn stored(hash: Option<TokenHash>) -> Option<TokenHash> {
    hash.map(|hash| TokenHash::parse(hash.as_stored()).unwrap())
}

fn read_agent(agent: Agent) -> Agent {
    Agent {
        token_hash: stored(agent.token_hash),
        next_token_hash: stored(agent.next_token_hash),
        ..agent
    }
}

/// Implements a trait by the store in memory.
macro_rules! by_memory {
    ($name:ident { $(fn $method:ident($($argument:ident: $type:ty),*) -> $output:ty;)+ $(own $own:ident: $right:ident;)? }) => {
        #[async_trait]
        impl $name for TextStore {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$output, StoreError> {
                self.memory.$method($($argument),*).await
            })+

            $(async fn $own(&self) -> Result<Ownership, OwnError> {
                self.lease(Right::$right, 1)
            })?
        }
    };
}

by_memory! { Gateways {
    fn insert_gateway(gateway: &Gateway) -> ();
    fn update_gateway(gateway: &Gateway) -> ();
    fn gateway(id: GatewayUid) -> Option<Gateway>;
    fn gateways(organization: Option<OrganizationId>) -> Vec<Gateway>;
    fn delete_gateway(id: GatewayUid) -> bool;
}}

by_memory! { Boards {
    fn insert_board(board: &Board) -> ();
    fn update_board(board: &Board) -> ();
    fn board(id: BoardId) -> Option<Board>;
    fn boards(filter: &BoardFilter) -> Vec<Board>;
    fn delete_board(id: BoardId) -> bool;
}}

by_memory! { Runs {
    fn begin_run(run: &Run, agent: &Agent) -> Agent;
    fn put_step(step: &Step) -> ();
    fn steps(run: RunId) -> Vec<Step>;
    fn end_run(run: &Run, agent: Option<&Agent>) -> Option<Agent>;
    fn end_run_and_delete(run: &Run) -> bool;
    fn run(id: RunId) -> Option<Run>;
    fn active_runs(limit: usize) -> Vec<Run>;
    fn runs(agent: AgentUid, limit: usize) -> Vec<Run>;
    fn prune_runs(before: Timestamp, limit: usize) -> u64;
}}

by_memory! { Sends {
    fn begin_send(send: &NewSend) -> ChatSend;
    fn note_attempt(key: &str, at: Timestamp, facts: &Value) -> u32;
    fn amend_attempt(key: &str, number: u32, facts: &Value) -> ();
    fn attempts(key: &str) -> Vec<Attempt>;
    fn end_send(key: &str, end: &SendEnd, at: Timestamp) -> ChatSend;
    fn chat_send(key: &str) -> Option<ChatSend>;
    fn pending_sends(filter: &SendFilter, after: Option<i64>, limit: usize) -> Vec<ChatSend>;
    fn prune_sends(before: Timestamp, limit: usize) -> u64;
    own own_sends: Sends;
}}

by_memory! { ApiTokens {
    fn insert_api_token(token: &ApiTokenRecord) -> ();
    fn api_token_by_hash(hash: &[u8; 32]) -> Option<ApiTokenRecord>;
    fn api_tokens() -> Vec<ApiTokenRecord>;
    fn revoke_api_token(id: ApiTokenId, at: Timestamp) -> bool;
    fn touch_api_token(id: ApiTokenId, at: Timestamp) -> ();
    fn delete_api_token(id: ApiTokenId) -> bool;
}}

by_memory! { BoardMemory {
    fn remember(entry: &BoardMemoryEntry) -> ();
    fn board_memory(filter: &BoardMemoryFilter, offset: u64, limit: usize) -> BoardMemoryPage;
}}

by_memory! { Journal {
    fn append(entries: &[NewEntry]) -> Appended;
    fn read_journal(after: Option<Cursor>, filter: &JournalFilter, limit: usize) -> Page;
    fn journal_extent() -> Extent;
    fn prune_journal(retention: &Retention, now: Timestamp, limit: usize) -> Pruned;
    fn note_clock_step(step: ClockStep) -> ();
    fn clock_steps() -> Vec<ClockStep>;
    fn acknowledge(consumer: &str, cursor: Cursor, reader: ReaderId, at: Timestamp) -> Acknowledged;
    fn acknowledged(consumer: &str) -> Option<Cursor>;
    fn consumers() -> Vec<Consumer>;
    fn delete_consumer(consumer: &str) -> bool;
    own own_journal: Journal;
}}

#[async_trait]
impl Agents for TextStore {
    async fn insert_agent(&self, agent: &Agent, created_by: Creator) -> Result<Agent, StoreError> {
        self.memory.insert_agent(agent, created_by).await.map(read_agent)
    }

    async fn update_agent(&self, agent: &Agent) -> Result<Agent, StoreError> {
        self.memory.update_agent(agent).await.map(read_agent)
    }

    async fn agent(&self, id: AgentUid) -> Result<Option<Agent>, StoreError> {
        Ok(self.memory.agent(id).await?.map(read_agent))
    }

    async fn agents(&self, filter: &AgentFilter) -> Result<Vec<Agent>, StoreError> {
        self.memory.agents(filter).await
    }

    async fn delete_agent(&self, id: AgentUid) -> Result<bool, StoreError> {
        self.memory.delete_agent(id).await
    }

    async fn agent_by_session(&self, gateway: GatewayUid, key: &SessionKey) -> Result<Option<Agent>, StoreError> {
        self.memory.agent_by_session(gateway, key).await
    }

    async fn check_in(&self, id: AgentUid, check_in: CheckIn) -> Result<Option<Agent>, StoreError> {
        // A backend that has no transaction of its own compares revisions.
        check_in.check()?;
        loop {
            let Some(mut agent) = self.memory.agent(id).await? else {
                return Ok(None);
            };
            let revision = agent.revision;
            if !agent.checked_in(&check_in) {
                return Ok(Some(agent));
            }
            match self.memory.update_agent(&Agent { revision, ..agent }).await {
                Err(StoreError::Conflict { .. }) => {}
                written => return written.map(Some),
            }
        }
    }

    async fn touch(&self, id: AgentUid, at: Timestamp) -> Result<bool, StoreError> {
        self.memory.touch(id, at).await
    }

    async fn next_deadline(&self) -> Result<Option<(AgentUid, Timestamp)>, StoreError> {
        let agents = self.memory.agents(&AgentFilter::default()).await?;
        let deadlines = agents.iter().filter_map(|agent| Some((agent.deadline()?, agent.id)));
        Ok(deadlines.min().map(|(deadline, id)| (id, deadline)))
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Agent>, StoreError> {
        self.memory.due(now, limit).await
    }
}

#[async_trait]
impl Store for TextStore {
    async fn own(&self) -> Result<Ownership, OwnError> {
        self.lease(Right::Agents, 1)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.memory.close().await
    }
}
