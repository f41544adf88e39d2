//! The parts that Windlass, the handles of its gateways and their calls share.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use tokio::sync::watch;
use windlass_line::stall_detector::BlockedTask;
use windlass_line::{Backstop, Clock, GatewayDirectory, Line, Metering, ShardHandle};
use windlass_sessions::SessionManagerHandle;

/// The gateways of a Windlass, and the threads and services that work for them.
pub(crate) struct SharedRuntime {
    /// The gateways, and the shards that their lines run on.
    pub(super) directory: GatewayDirectory,
    /// The side shard: work on the events of lines runs there, beside the lines, so that it delays none.
    pub(super) side: ShardHandle,
    pub(super) next_shard: AtomicUsize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Mutex<StdRng>,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    /// Its other ends are held by the threads: it is closed when all have ended.
    pub(super) alive: watch::Receiver<()>,
    pub(super) sessions: SessionManagerHandle,
    pub(super) metering: Metering,
    pub(super) observers: Mutex<Vec<Arc<dyn LineObserver>>>,
    pub(super) blocked: watch::Sender<Vec<BlockedTask>>,
    /// Keeps deadlines where the lines have threads of their own.
    pub(super) backstop: Option<Backstop>,
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

impl SharedRuntime {
    /// Waits until all threads have ended.
    pub(super) async fn join_threads(&self) {
        let mut alive = self.alive.clone();
        // Nothing is ever sent: what comes is the end of the last sender.
        while alive.changed().await.is_ok() {}
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // They are at their ends: this takes microseconds.
        if threads.into_iter().map(JoinHandle::join).any(|end| end.is_err()) {
            tracing::error!("a thread of Windlass ended by a panic");
        }
    }

    pub(crate) const fn directory(&self) -> &GatewayDirectory {
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

    pub(super) fn observers(&self) -> Vec<Arc<dyn LineObserver>> {
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

impl fmt::Debug for SharedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRuntime").finish_non_exhaustive()
    }
}

/// A line, and the Windlass that keeps it. Cheap to clone: one count for all that a call needs.
#[derive(Clone)]
pub(crate) struct LineHandle(Arc<LineParts>);

struct LineParts {
    runtime: Arc<SharedRuntime>,
    line: Arc<Line>,
}

impl LineHandle {
    pub(crate) fn new(runtime: Arc<SharedRuntime>, line: Arc<Line>) -> Self {
        Self(Arc::new(LineParts { runtime, line }))
    }

    pub(crate) fn runtime(&self) -> &SharedRuntime {
        &self.0.runtime
    }

    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.0.line
    }
}

impl Deref for LineHandle {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.0.line
    }
}

impl fmt::Debug for LineHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("id", self.id()).finish_non_exhaustive()
    }
}
