//! The sessions of one gateway as a value to look at and to watch.
//!
//! ```text
//!   Line ── events, markers, snapshots ──▶ Reflector (one for all users) ──▶ watch ──▶ SessionCache
//!    ▲                                         │
//!    └── load again, further pages ────────────┘
//! ```
//!
//! [`SessionRoster`] knows the rules of the wire; the reflector feeds it, and asks the gateway again when it says that
//! it may be wrong. The first user starts the reflector, the last one to go ends it.

mod reflector;
mod wire;
pub use reflector::Reflector;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use windlass_protocol::session_roster::SessionRoster;
pub use wire::{POLL, REST, REST_CAP};

/// A gateway's sessions at one moment. A clone costs two pointers.
#[derive(Debug, Clone, Default)]
pub struct SessionCacheView {
    /// The sessions and their runs. [`SessionRoster::stale`] tells whether a fresh list might say something else; then one is on
    /// its way, unless it was refused.
    pub sessions: Arc<SessionRoster>,
    /// Why the gateway does not let us have its sessions, in its own words; asked again at the next connection.
    pub refused: Option<Arc<str>>,
}

impl SessionCacheView {
    /// Whether a fresh list would say the same, as far as can be told.
    pub fn is_fresh(&self) -> bool {
        self.sessions.stale().is_none()
    }
}

/// The line was closed for good, or Windlass was shut down: the cache does not change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the line is closed: its cache does not change any more")]
pub struct SessionCacheClosed;

/// A handle of a gateway's session cache: to read, and to wait for changes. Clones read the same cache and wait by themselves.
///
/// Kept up to date over reconnects, restarts and lost events for as long as any user holds it. Releases before 2026.4 send no word
/// of changed sessions: there the list is asked for when a run ends, and every [`POLL`] besides.
#[derive(Clone)]
pub struct SessionCache {
    view: watch::Receiver<SessionCacheView>,
}

impl SessionCache {
    const fn new(view: watch::Receiver<SessionCacheView>) -> Self {
        Self { view }
    }

    /// Returns the sessions of this moment. Cheap; the returned view does not change.
    pub fn now(&self) -> SessionCacheView {
        self.view.borrow().clone()
    }

    /// Waits for a change since this handle last waited, and returns the view after it. Quick changes are seen as one.
    ///
    /// # Errors
    /// [`SessionCacheClosed`], when nothing changes any more.
    ///
    /// ## Cancel safety
    /// Nothing is missed when the future is dropped.
    pub async fn changed(&mut self) -> Result<SessionCacheView, SessionCacheClosed> {
        self.view.changed().await.map_err(|_| SessionCacheClosed)?;
        Ok(self.view.borrow_and_update().clone())
    }

    /// Waits until the view fulfils a condition; returns at once where it does.
    ///
    /// # Errors
    /// [`SessionCacheClosed`], when it will not be.
    pub async fn wait_for(
        &mut self,
        mut wanted: impl FnMut(&SessionCacheView) -> bool,
    ) -> Result<SessionCacheView, SessionCacheClosed> {
        loop {
            // Not `watch::Receiver::wait_for`: what is looked at is a copy, so that a slow look holds up nobody.
            let view = self.view.borrow_and_update().clone();
            if wanted(&view) {
                return Ok(view);
            }
            self.view.changed().await.map_err(|_| SessionCacheClosed)?;
        }
    }

    /// Waits until the view equals a fresh list.
    ///
    /// # Errors
    /// [`SessionCacheClosed`], when the line closes before.
    pub async fn fresh(&mut self) -> Result<SessionCacheView, SessionCacheClosed> {
        self.wait_for(SessionCacheView::is_fresh).await
    }
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.now();
        f.debug_struct("SessionCache")
            .field("sessions", &view.sessions.len())
            .field("stale", &view.sessions.stale())
            .finish_non_exhaustive()
    }
}

/// The cache of one line, while it has users.
#[derive(Debug, Default)]
pub(crate) struct SharedCache {
    taken: Mutex<Option<Arc<watch::Sender<SessionCacheView>>>>,
}

/// The right to fill the cache; there is one at a time.
#[derive(Debug)]
struct FeedGuard {
    slot: Arc<SharedCache>,
    view: Arc<watch::Sender<SessionCacheView>>,
}

impl SharedCache {
    /// A handle of the cache that is filled already; else a new one with the right to fill it.
    fn enter(self: &Arc<Self>) -> (SessionCache, Option<FeedGuard>) {
        let mut taken = self.lock();
        if let Some(view) = &*taken {
            return (SessionCache::new(view.subscribe()), None);
        }
        let (sender, receiver) = watch::channel(SessionCacheView::default());
        let view = Arc::new(sender);
        *taken = Some(Arc::clone(&view));
        let seat = FeedGuard {
            slot: Arc::clone(self),
            view,
        };
        (SessionCache::new(receiver), Some(seat))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<watch::Sender<SessionCacheView>>>> {
        // One pointer, changed in one step.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FeedGuard {
    fn view(&self) -> &watch::Sender<SessionCacheView> {
        &self.view
    }

    /// Gives the right up if the cache has no users any more: the next user gets it.
    fn leave_if_unseen(&self) -> bool {
        let mut taken = self.slot.lock();
        let unseen = self.view.receiver_count() == 0;
        if unseen {
            *taken = None;
        }
        unseen
    }
}

impl Drop for FeedGuard {
    /// However the reflector ends, the users learn of it by the end of the watch channel.
    fn drop(&mut self) {
        let mut taken = self.slot.lock();
        if taken.as_ref().is_some_and(|taken| Arc::ptr_eq(taken, &self.view)) {
            *taken = None;
        }
    }
}
