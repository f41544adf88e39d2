//! A store in memory: for tests, and for services that keep nothing.

mod agents;
mod entries;
mod journal;
mod organizations;
mod sends;
mod service;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::entries::Entries;
use crate::error::{OwnError, StoreError};
use crate::limits::LIST_LIMIT;
use crate::ownership::{Guard, Ownership, Right};
use crate::record::{
    Activity, Agent, ApiTokenRecord, Attempt, Board, BoardMemoryEntry, ChatSend, Gateway, Organization, Run, Step,
};
use crate::traits::Store;
use crate::values::{AgentUid, ApiTokenId, BoardId, GatewayUid, OrganizationId, RunId};

/// A store in memory. Clones share their content; it is gone with the last clone.
#[derive(Clone, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    owned: Arc<AtomicBool>,
    sends_owned: Arc<AtomicBool>,
    journal_owned: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

/// Every change checks all that could refuse it before it changes anything, under one lock: that makes it a transaction.
#[derive(Default)]
struct Tables {
    organizations: BTreeMap<OrganizationId, Organization>,
    gateways: BTreeMap<GatewayUid, Gateway>,
    boards: BTreeMap<BoardId, Board>,
    agents: BTreeMap<AgentUid, Agent>,
    runs: BTreeMap<RunId, Run>,
    // In the order in which they were begun.
    steps: BTreeMap<RunId, Vec<Step>>,
    activities: BTreeMap<i64, Activity>,
    last_activity: i64,
    // By position, by key, and each key's attempts.
    sends: BTreeMap<i64, ChatSend>,
    send_keys: BTreeMap<String, i64>,
    attempts: BTreeMap<String, Vec<Attempt>>,
    last_send: i64,
    journal: Entries,
    api_tokens: BTreeMap<ApiTokenId, ApiTokenRecord>,
    // In the order in which they were written.
    board_memory: Vec<BoardMemoryEntry>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        // Nothing panics between two changes of one transaction, so what is there is whole.
        Ok(self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// A right over a store in memory, taken as long as the flag is set.
struct Flag(Arc<AtomicBool>);

impl Guard for Flag {}

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn take(flag: &Arc<AtomicBool>, right: Right) -> Result<Ownership, OwnError> {
    if flag.swap(true, Ordering::AcqRel) {
        return Err(OwnError::Owned {
            right,
            holder: Some(std::process::id().to_string()),
            lock: None,
        });
    }
    Ok(Ownership::new(right, Flag(Arc::clone(flag))))
}

/// The sorted records of a list. More than [`LIST_LIMIT`] are refused.
fn listed<T, K: Ord>(
    what: &'static str,
    found: impl Iterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, StoreError> {
    let mut found: Vec<T> = found.take(LIST_LIMIT + 1).collect();
    if found.len() > LIST_LIMIT {
        return Err(StoreError::TooMany {
            what,
            limit: LIST_LIMIT,
        });
    }
    found.sort_by_key(key);
    Ok(found)
}

#[async_trait]
impl Store for MemoryStore {
    async fn own(&self) -> Result<Ownership, OwnError> {
        take(&self.owned, Right::Agents)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}
