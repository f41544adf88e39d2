//! The context that every part of the provisioner shares.

use crate::control_plane::{ControlError, ControlPlane};
use async_trait::async_trait;
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use windlass_line::clock::Clock;
use windlass_line::routing::Subscription;
use windlass_store::{Agent, AgentUid, Gateway, GatewayUid, Store, StoreError, Timestamp};
use windlass_templates::Templates;

/// Agents of one gateway that are worked on at a time. Their files are read and written one after the other each, so this
/// is how many calls of ours a gateway has in hand: well below the 256 that 2026.9.6 lets wait in all.
pub const AGENTS_AT_A_TIME: usize = 16;

/// Where the provisioner finds its gateways.
#[async_trait]
pub trait Fleet: Send + Sync + 'static {
    /// The control plane of a gateway, its line opened if it was not yet. The same one each time: it knows which entries were
    /// written and when the next write may be.
    async fn control_plane(&self, gateway: &Gateway) -> Result<Arc<dyn ControlPlane>, ControlError>;

    /// The gateway's events that tell of agents at work ([`ACTIVITY`](super::ACTIVITY)), if it has any to give.
    async fn activity(&self, gateway: &Gateway) -> Option<Subscription>;
}

/// How long records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Runs and their steps, from their end on. A run under way is never deleted.
    pub runs: Duration,
    /// Activities, from when they happened on.
    pub activities: Duration,
}

impl Default for Keep {
    /// Runs for 30 days: long enough to look into a failure. Activities for a year: an audit asks for them.
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            runs: 30 * DAY,
            activities: 365 * DAY,
        }
    }
}

/// How the provisioner works.
#[derive(Debug, Clone)]
pub struct ProvisionerSettings {
    /// Where agents reach the service that they belong to: `base_url` in their files. Goes onto the records of the gateways that
    /// are worked with; without it the recorded one counts. An empty one removes it.
    pub base_url: Option<String>,
    /// Take up broken-off runs, wake agents that did not check in, and watch gateways' events: for the one service that
    /// runs the agents of a store, not for a command that ends when its work is done.
    pub supervise: bool,
    /// How long records are kept, by the service that supervises.
    pub keep: Keep,
}

impl ProvisionerSettings {
    /// Where the agents of this gateway reach the service; empty where that is not known.
    pub(crate) fn base_url_of<'a>(&'a self, gateway: &'a Gateway) -> &'a str {
        let given = self.base_url.as_deref().or(gateway.base_url.as_deref());
        given.unwrap_or_default().trim()
    }
}

/// The parts of the provisioner.
#[derive(Clone)]
pub struct ProvisionerParts {
    /// The records.
    pub store: Arc<dyn Store>,
    /// The files' templates.
    pub templates: Templates,
    /// The gateways.
    pub fleet: Arc<dyn Fleet>,
    /// Where time is read.
    pub clock: Arc<dyn Clock>,
    /// The seed of tokens and keys. Must come from the system's randomness outside of tests.
    pub seed: [u8; 32],
    /// How it works.
    pub settings: ProvisionerSettings,
}

impl fmt::Debug for ProvisionerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvisionerParts")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Context {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) templates: Templates,
    pub(crate) fleet: Arc<dyn Fleet>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: ProvisionerSettings,
    pub(crate) locks: AgentLocks,
    /// Moves on whenever a deadline may have come nearer.
    pub(crate) deadlines: watch::Sender<u64>,
    /// The gateways that were worked with.
    pub(crate) met: watch::Sender<BTreeSet<GatewayUid>>,
    rng: RefCell<StdRng>,
}

impl Context {
    pub(crate) fn new(parts: ProvisionerParts, rng: StdRng) -> Self {
        Self {
            store: parts.store,
            templates: parts.templates,
            fleet: parts.fleet,
            clock: parts.clock,
            settings: parts.settings,
            locks: AgentLocks::default(),
            deadlines: watch::Sender::new(0),
            met: watch::Sender::default(),
            rng: RefCell::new(rng),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from(self.clock.wall())
    }

    pub(crate) fn random<T>(&self) -> T
    where
        rand::distr::StandardUniform: rand::distr::Distribution<T>,
    {
        self.rng.borrow_mut().random()
    }

    /// Changes an agent's record as it is now; nothing when it is gone.
    pub(crate) async fn change(
        &self,
        agent: AgentUid,
        change: impl FnMut(&mut Agent) + Send,
    ) -> Result<Option<Agent>, StoreError> {
        windlass_store::amend(&*self.store, agent, change).await
    }

    /// A fresh idempotency key: a random UUID.
    pub(crate) fn fresh_key(&self) -> String {
        uuid::Builder::from_random_bytes(self.random()).into_uuid().to_string()
    }

    /// Says that a deadline may have come nearer.
    pub(crate) fn deadline_moved(&self) {
        self.deadlines.send_modify(|count| *count += 1);
    }
}

/// Sleeps; virtual time included.
pub(crate) fn sleep(duration: Duration) -> impl Future<Output = ()> {
    tokio::time::sleep(duration)
}

/// A lock per agent that is being worked on. A lock lives as long as it is held or waited for.
#[derive(Debug, Default)]
pub(crate) struct AgentLocks(RefCell<HashMap<AgentUid, Weak<Mutex<()>>>>);

/// The right to work on some agents.
#[derive(Debug)]
pub(crate) struct AgentsGuard {
    #[expect(dead_code, reason = "held, not read")]
    guards: Vec<OwnedMutexGuard<()>>,
}

impl AgentLocks {
    /// Waits for all of these. They are taken in the order of their ids, so that two callers can't each hold a lock
    /// that the other waits for.
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
        if let Some(lock) = locks.get(&agent).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(Mutex::new(()));
        locks.insert(agent, Arc::downgrade(&lock));
        lock
    }
}
