//! One writer per agent at a time.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use tokio::sync::{Mutex, OwnedMutexGuard};
use windlass_store::AgentUid;

use std::sync::Arc;

/// A lock per agent that is being worked on. A lock lives as long as somebody holds or wants it.
#[derive(Debug, Default)]
pub(crate) struct AgentLocks(RefCell<HashMap<AgentUid, std::sync::Weak<Mutex<()>>>>);

/// The right to work on some agents.
#[derive(Debug)]
pub(crate) struct AgentsGuard {
    #[expect(dead_code, reason = "held, not read")]
    guards: Vec<OwnedMutexGuard<()>>,
}

impl AgentLocks {
    /// Waits for all of these. They are taken in order of their ids, so that two who want the same ones can't each hold
    /// what the other waits for.
    pub(crate) async fn hold(&self, agents: impl IntoIterator<Item = AgentUid>) -> AgentsGuard {
        let ordered: BTreeSet<AgentUid> = agents.into_iter().collect();
        let mut guards = Vec::with_capacity(ordered.len());
        for agent in ordered {
            let lock = self.lock_of(agent);
            guards.push(lock.lock_owned().await);
        }
        AgentsGuard { guards }
    }

    fn lock_of(&self, agent: AgentUid) -> Arc<Mutex<()>> {
        let mut locks = self.0.borrow_mut();
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&agent).and_then(std::sync::Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(Mutex::new(()));
        locks.insert(agent, Arc::downgrade(&lock));
        lock
    }
}
