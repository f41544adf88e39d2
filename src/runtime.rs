//! Windlass itself: the threads that lines run on, and the directory of gateways.

mod builder;
mod shared;
mod threads;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use windlass_line::stall_detector::BlockedTask;
use windlass_line::{GatewaySpec, Line, OnceAdded, RegistryError};
use windlass_protocol::GatewayId;

pub use self::builder::WindlassBuilder;
#[cfg(feature = "journal")]
pub(crate) use self::shared::LineObserver;
pub(crate) use self::shared::{LineHandle, SharedRuntime};
pub use self::threads::StartError;
use crate::Gateway;

/// One supervised line to every gateway. Cheap to clone, usable from any thread and any async framework that runs on
/// tokio.
///
/// Lines run on threads of their own, so that nothing a host does can stall them. When the last clone (and the last
/// [`Gateway`]) is dropped, the lines are closed and the threads end; [`shutdown`](Self::shutdown) does the same, waits
/// for calls under way, and tells when it is done.
///
/// ```no_run
/// # async fn example(specs: Vec<windlass::GatewaySpec>) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let windlass = windlass::Windlass::start()?;
/// for spec in specs {
///     windlass.add(spec).await?;
/// }
/// for gateway in windlass.gateways() {
///     println!("{} is {}", gateway.id(), gateway.current_status().state);
/// }
/// windlass.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Windlass {
    inner: Arc<SharedRuntime>,
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
    /// ```no_run
    /// # async fn example(windlass: windlass::Windlass, mut spec: windlass::GatewaySpec) -> Result<(), windlass::RegistryError> {
    /// spec.token = Some(windlass::Secret::new("the new token"));
    /// windlass.update(spec).await?;
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```no_run
    /// # async fn example(windlass: windlass::Windlass, id: windlass::GatewayId) -> Result<(), windlass::RegistryError> {
    /// windlass.remove(&id, std::time::Duration::from_secs(5)).await?;
    /// assert!(windlass.gateway(&id).is_none());
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```no_run
    /// # async fn example(windlass: windlass::Windlass) {
    /// let mut blocked = windlass.blocked();
    /// while blocked.changed().await.is_ok() {
    ///     for task in &*blocked.borrow_and_update() {
    ///         eprintln!("{task}");
    ///     }
    /// }
    /// # }
    /// ```
    pub fn blocked(&self) -> watch::Receiver<Vec<BlockedTask>> {
        self.inner.blocked.subscribe()
    }

    #[cfg(any(feature = "agents", feature = "journal"))]
    pub(crate) fn inner(&self) -> &SharedRuntime {
        &self.inner
    }

    fn gateway_at(&self, line: Arc<Line>) -> Gateway {
        Gateway::new(LineHandle::new(Arc::clone(&self.inner), line))
    }
}

impl fmt::Debug for Windlass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windlass")
            .field("gateways", &self.inner.directory.all().len())
            .finish_non_exhaustive()
    }
}
