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
pub(crate) type ReplySender<T = ()> = oneshot::Sender<Result<T, RegistryError>>;

/// A future that runs on a shard's thread, made there: it need not be `Send`.
pub(crate) type HostedFuture = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// A message to the registry. The permit is its place in the bounded mailbox.
pub(crate) struct RegistryMessage {
    pub(crate) request: RegistryRequest,
    pub(crate) place: OwnedSemaphorePermit,
}

/// A request to the registry.
pub(crate) enum RegistryRequest {
    /// Start a line.
    Add(Box<Addition>, ReplySender),
    /// Use another spec for a line.
    Update(Box<GatewaySpec>, ReplySender),
    /// Connect a line now.
    ReconnectNow(GatewayId, ReplySender),
    /// Count the contents of a line.
    Inspect(GatewayId, ReplySender<Inspection>),
    /// Close a line within this time; answered when it is closed.
    Remove(GatewayId, Duration, ReplySender),
    /// Run a future on the shard's thread.
    Host(HostedFuture),
    /// Close all lines within this time, and stop; answered when all are closed.
    Stop(Duration, ReplySender),
}

impl Message for RegistryMessage {
    type Result = ();
}

/// A gateway that is to be added.
pub(crate) struct Addition {
    pub(crate) spec: GatewaySpec,
    pub(crate) backend: LineBackend,
    /// The entry in a directory, which is there as long as the line is.
    pub(crate) registration: Option<Registration>,
    /// Done once the line runs, before the addition is answered.
    pub(crate) added: Option<OnceAdded>,
}

impl Addition {
    pub(crate) const fn new(spec: GatewaySpec, backend: LineBackend, added: Option<OnceAdded>) -> Self {
        Self {
            spec,
            backend,
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
    pub(crate) freed: Notify,
}

#[derive(Debug)]
pub(crate) struct DirectoryEntry {
    pub(crate) line: Arc<Line>,
    pub(crate) shard: usize,
    /// It was removed, and its line is not closed yet. Then it is not there, but for the fact that its id is not free.
    pub(crate) closing: bool,
}

/// An entry, as its shard holds it. When this is dropped, the entry is gone.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) table: Weak<DirectoryTable>,
    pub(crate) id: GatewayId,
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
    pub(crate) fn entries(&self) -> MutexGuard<'_, BTreeMap<GatewayId, DirectoryEntry>> {
        // Held by steps that can't panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
