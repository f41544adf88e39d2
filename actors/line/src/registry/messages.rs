//! Messages to the registry, and their answers.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use actix::Message;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use windlass_protocol::GatewayId;
use windlass_protocol::connection::CallCounters;

use crate::GatewaySpec;
use crate::line::{Line, LineBackend, ResyncCounters};

/// Why the registry did not carry out an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A gateway of that id is there already.
    #[error("a gateway with the id {0} is registered already; update it, or remove it first")]
    AlreadyThere(GatewayId),
    /// No gateway of that id is there.
    #[error("no gateway with the id {0} is registered")]
    NotThere(GatewayId),
    /// The registry panicked over this request. The lines of all gateways go on.
    #[error(
        "a bug in Windlass broke this request off: please report it with the log; look at what is registered, and ask again"
    )]
    Fault,
    /// Windlass was shut down.
    #[error("Windlass was shut down")]
    ShutDown,
}

/// Where the registry sends the answer to a message.
pub(crate) type Answer<T = ()> = oneshot::Sender<Result<T, RegistryError>>;

/// A future that runs on a shard's thread, made there: it need not be `Send`.
pub(crate) type Hosted = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// A message to the registry. The permit is its place in the bounded mailbox.
pub(crate) struct RegistryMessage {
    pub(crate) request: Request,
    pub(crate) place: OwnedSemaphorePermit,
}

/// A request to the registry.
pub(crate) enum Request {
    /// Start a line.
    Add(Box<Addition>, Answer),
    /// Use another spec for a line.
    Update(Box<GatewaySpec>, Answer),
    /// Connect a line now.
    ReconnectNow(GatewayId, Answer),
    /// Count the contents of a line.
    Inspect(GatewayId, Answer<Inspection>),
    /// Close a line within this time; answered when it is closed.
    Remove(GatewayId, Duration, Answer),
    /// Run a future on the shard's thread.
    Host(Hosted),
    /// Close all lines within this time, and stop; answered when all are closed.
    Stop(Duration, Answer),
}

impl Message for RegistryMessage {
    type Result = ();
}

/// A gateway that is to be added.
pub(crate) struct Addition {
    pub(super) spec: GatewaySpec,
    pub(super) ends: LineBackend,
    /// The entry in a directory, which is there as long as the line is.
    pub(super) registration: Option<Registration>,
    /// Done once the line runs, before the addition is answered.
    pub(super) added: Option<OnceAdded>,
}

impl Addition {
    pub(crate) const fn new(spec: GatewaySpec, ends: LineBackend, added: Option<OnceAdded>) -> Self {
        Self {
            spec,
            ends,
            registration: None,
            added,
        }
    }

    /// Has the entry of a directory live as long as the line.
    pub(crate) fn register(&mut self, registration: Registration) {
        self.registration = Some(registration);
    }
}

/// The contents and the work of a line, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Calls by the way they went, since the line was made.
    pub calls: CallCounters,
    /// Requests that were written and not answered yet.
    pub in_flight: usize,
    /// Calls that were not written yet, or wait to be written again.
    pub waiting: usize,
    /// Event streams that are open.
    pub subscribers: usize,
    /// Event payloads that were looked into to filter them: one look for each event at most, however many subscribers.
    pub parses: u64,
    /// Topics that are kept subscribed.
    pub topics: usize,
    /// How often those were loaded.
    pub resyncs: ResyncCounters,
}

/// Something to do once a gateway was added, on its shard, before it is told.
pub type OnceAdded = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug, Default)]
pub(crate) struct DirectoryTable {
    entries: Mutex<BTreeMap<GatewayId, DirectoryEntry>>,
    /// An entry was taken out.
    pub(super) freed: Notify,
}

#[derive(Debug)]
pub(crate) struct DirectoryEntry {
    pub(super) line: Arc<Line>,
    pub(super) shard: usize,
    /// It was removed, and its line is not closed yet. Then it is not there, but for the fact that its id is not free.
    pub(super) closing: bool,
}

/// An entry, as its shard holds it. When this is dropped, the entry is gone.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(super) table: Weak<DirectoryTable>,
    pub(super) id: GatewayId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            // Its line is dropped when the lock is free again.
            let entry = table.entries().remove(&self.id);
            table.freed.notify_waiters();
            drop(entry);
        }
    }
}

impl DirectoryTable {
    pub(super) fn entries(&self) -> MutexGuard<'_, BTreeMap<GatewayId, DirectoryEntry>> {
        // Held by steps that can't panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
