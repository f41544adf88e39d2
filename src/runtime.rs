//! Windlass itself: the threads that lines run on, and the directory of gateways.

mod builder;
mod threads;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use rand::rngs::StdRng;
use tokio::sync::watch;
use windlass_line::stall_detector::BlockedTask;
use windlass_line::{Backstop, Clock, Directory, GatewaySpec, Line, Metering, OnceAdded, RegistryError, ShardHandle};
use windlass_protocol::GatewayId;
use windlass_sessions::SessionManagerHandle;
#[cfg(feature = "agents")]
use windlass_store::Store;

pub use self::builder::{StartError, WindlassBuilder};
use crate::Gateway;
#[cfg(feature = "agents")]
use crate::agents::AgentsBuilder;

/// One supervised line to every gateway. Cheap to clone, usable from any thread and any async framework that runs on
/// tokio.
///
/// Lines run on threads of their own, so that nothing a host does can stall them. When the last clone (and the last
/// [`Gateway`]) is dropped, the lines are closed and the threads end; [`shutdown`](Self::shutdown) does the same, waits
/// for calls under way, and tells when it is done.
#[derive(Clone)]
pub struct Windlass {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// The gateways, and the shards that their lines run on.
    directory: Directory,
    /// The side shard: work on the events of lines runs there, beside the lines, so that it delays none.
    side: ShardHandle,
    next_shard: AtomicUsize,
    clock: Arc<dyn Clock>,
    rng: Mutex<StdRng>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Its other ends are held by the threads: it is closed when all have ended.
    alive: watch::Receiver<()>,
    sessions: SessionManagerHandle,
    metering: Metering,
    observers: Mutex<Vec<Arc<dyn LineObserver>>>,
    blocked: watch::Sender<Vec<BlockedTask>>,
    /// Keeps deadlines where the lines have threads of their own.
    backstop: Option<Backstop>,
}

/// Follows the lines from their first event to their last.
pub(crate) trait LineObserver: Send + Sync {
    /// A line was added, and is not up yet.
    fn added(&self, line: &Arc<Line>);

    /// All lines are closed. Shutdown waits for the future.
    fn stop(&self) -> BoxFuture<'static, ()>;

    /// Whether it needs no more calls.
    #[cfg(feature = "journal")]
    fn is_gone(&self) -> bool;
}

impl Windlass {
    /// Starts Windlass with the defaults.
    ///
    /// # Errors
    /// See [`WindlassBuilder::start`].
    pub fn start() -> Result<Self, StartError> {
        WindlassBuilder::default().start()
    }

    /// Other settings than the defaults.
    pub fn builder() -> WindlassBuilder {
        WindlassBuilder::default()
    }

    /// Takes a gateway in and keeps a line to it from now on. Returns at once; the line comes up when it does. Where a line of the
    /// same id is closing after [`remove`](Self::remove), this waits until it is closed.
    ///
    /// ## Cancel safety
    /// Each operation on gateways takes effect at one moment. When its future is dropped, it has either not begun or is carried out
    /// all the same: [`gateway`](Self::gateway) tells which.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyThere`], or [`RegistryError::ShutDown`].
    pub async fn add(&self, spec: GatewaySpec) -> Result<Gateway, RegistryError> {
        let inner = &self.inner;
        let shard = inner.next_shard.fetch_add(1, Ordering::Relaxed);
        let ends = Line::new(
            spec.id.clone(),
            spec.limits,
            Arc::clone(&inner.clock),
            inner.metering,
            inner.backstop.clone(),
        );
        // Before it comes up, so that its first event is recorded too.
        let record = |line: &Arc<Line>| {
            for observer in &inner.observers() {
                observer.added(line);
            }
        };
        let sessions = inner.sessions.clone();
        let take_up = |line| -> OnceAdded { Box::pin(async move { sessions.take_up(line).await }) };
        // In a box: it holds a whole line.
        let line = Box::pin(inner.directory.add(shard, spec, ends, record, take_up)).await?;
        Ok(self.gateway_at(line))
    }

    /// Reaches a gateway in another way from now on: its line is closed and opened again at once. Handles, calls that
    /// wait, and event streams stay. The bounds of its calls stay as they were when it was added.
    ///
    /// ## Cancel safety
    /// As [`add`](Self::add).
    ///
    /// # Errors
    /// [`RegistryError::NotThere`], or [`RegistryError::ShutDown`].
    pub async fn update(&self, spec: GatewaySpec) -> Result<(), RegistryError> {
        self.inner.directory.update(spec).await
    }

    /// Lets a gateway go: it is not there any more at once. Calls under way have `drain` to end by themselves; returns when its line
    /// is closed.
    ///
    /// ## Cancel safety
    /// As [`add`](Self::add): the line is closed even if the future is dropped.
    ///
    /// # Errors
    /// [`RegistryError::NotThere`], or [`RegistryError::ShutDown`].
    pub async fn remove(&self, id: &GatewayId, drain: Duration) -> Result<(), RegistryError> {
        self.inner.directory.remove(id, drain).await
    }

    /// The handle of a gateway that was added.
    pub fn gateway(&self, id: &GatewayId) -> Option<Gateway> {
        self.inner.directory.get(id).map(|line| self.gateway_at(line))
    }

    /// The handles of all gateways, ordered by id.
    pub fn gateways(&self) -> Vec<Gateway> {
        let lines = self.inner.directory.all();
        lines.into_iter().map(|line| self.gateway_at(line)).collect()
    }

    /// Closes every line and ends the threads. Open calls have `drain` to end by themselves; a call that is open after that
    /// ends with a definite outcome. Returns when all lines are closed. Calling it again does no harm.
    pub async fn shutdown(&self, drain: Duration) {
        let shards = self.inner.directory.shards();
        join_all(shards.iter().map(|shard| shard.stop(drain))).await;
        // What the lines brought to their end is recorded; then nothing is left to do.
        let observers = self.inner.observers();
        join_all(observers.iter().map(|observer| observer.stop())).await;
        self.inner.side.stop(Duration::ZERO).await;
        self.inner.directory.clear();
        self.inner.join_threads().await;
    }

    /// A watch of the tasks that block a thread just now: a task that computes or waits without an `await` holds up all lines of its
    /// thread. It changes once a task has blocked for [`BLOCKED_AFTER`](crate::BLOCKED_AFTER), and again when that is over. Such a
    /// task is mostly code of the host: a [`Connector`](crate::Connector), a [`Store`](crate::store::Store). Calls end by their deadlines all the same.
    pub fn blocked(&self) -> watch::Receiver<Vec<BlockedTask>> {
        self.inner.blocked.subscribe()
    }

    /// Works with the agents of a store, over the lines of this Windlass.
    #[cfg(feature = "agents")]
    pub fn agents(&self, store: Arc<dyn Store>) -> AgentsBuilder {
        AgentsBuilder::new(self.clone(), store)
    }

    #[cfg(any(feature = "agents", feature = "journal"))]
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    fn gateway_at(&self, line: Arc<Line>) -> Gateway {
        Gateway::new(Arc::clone(&self.inner), line)
    }
}

impl Inner {
    /// Waits until all threads have ended.
    async fn join_threads(&self) {
        let mut alive = self.alive.clone();
        // Nothing is ever sent: what comes is the end of the last sender.
        while alive.changed().await.is_ok() {}
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // They are at their ends: this takes microseconds.
        if threads.into_iter().map(JoinHandle::join).any(|end| end.is_err()) {
            tracing::error!("a thread of Windlass ended by a panic");
        }
    }

    pub(crate) const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The shard without lines, for work on events.
    pub(crate) const fn side(&self) -> &ShardHandle {
        &self.side
    }

    /// Tells `observer` of lines that are added from now on, and of the end.
    #[cfg(feature = "journal")]
    pub(crate) fn observe(&self, observer: Arc<dyn LineObserver>) {
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.retain(|observer| !observer.is_gone());
        observers.push(observer);
    }

    fn observers(&self) -> Vec<Arc<dyn LineObserver>> {
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.clone()
    }

    pub(crate) const fn sessions(&self) -> &SessionManagerHandle {
        &self.sessions
    }

    #[cfg(any(feature = "agents", feature = "journal"))]
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Draws from the randomness of keys and waits.
    pub(crate) fn with_rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Windlass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windlass")
            .field("gateways", &self.inner.directory.all().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}
